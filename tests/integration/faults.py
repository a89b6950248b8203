#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Faults under running pipelines: a disk that fills up, damaged segments. What can go on does, what can not says so, nothing is lost."""
import json
import os
import shutil
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../lib'))
from daemon import Daemon, Scratch, wait_until  # noqa: E402

COPY = '''pipeline: %(name)s
source: {connector: file, topic: %(name)s, path: ["%(input)s"]}
sink: {connector: file, path: "%(output)s"}
'''


def same(what, got, want):
    assert got == want, '%s: got %s, want %s' % (what, repr(got)[:600], repr(want)[:600])


def pipeline(scratch, name):
    return COPY % {'name': name, 'input': scratch.file(name + '.in', ''), 'output': scratch.file(name + '.out')}


def append(scratch, name, lines):
    with open(scratch.file(name + '.in'), 'a') as f:
        f.write(''.join(line + '\n' for line in lines))


def arrived(scratch, name):
    path = scratch.file(name + '.out')
    return [json.loads(line) for line in open(path)] if os.path.exists(path) else []


def task(daemon, name):
    return daemon.json('status', name)['tasks'][0]


def disk_full(scratch):
    """Writes are refused and said to be, the tasks stay RUNNING, what is in the log is still read; with room again everything goes on by
    itself and nothing is missing or twice. A kill on the full disk changes nothing of that."""
    mount = scratch.file('small')
    os.mkdir(mount)
    if os.geteuid() or subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=96m,mode=755', 'none', mount], capture_output=True).returncode:
        print('skipped: disk full (needs root, to mount a small file system)')
        return
    try:
        daemon = Daemon(scratch, {'p': pipeline(scratch, 'p')},
                        args=['--set', 'log.journal.bytes=33554432', '--set', 'log.commit.max.bytes=16777216', '--set', 'log.reserve.bytes=4194304',
                              '--set', 'producer.compression.type=none'])
        daemon.data = os.path.join(mount, 'data')
        lines, ballast = [], os.path.join(mount, 'ballast')
        for round_ in range(2):
            with daemon:
                lines += ['before %d %d' % (round_, i) for i in range(100)]
                append(scratch, 'p', lines[-100:])
                wait_until('the first are delivered', lambda: arrived(scratch, 'p') == lines)
                subprocess.run(['fallocate', '-l', str(shutil.disk_usage(mount).free - (1 << 20)), ballast], check=True)
                held = ['held back %d %d %s' % (round_, i, 'x' * 1000) for i in range(20000)]
                append(scratch, 'p', held)
                wait_until('status says why', lambda: 'bytes free' in str(task(daemon, 'p-source').get('blocked')))
                same('state', task(daemon, 'p-source')['state'], 'RUNNING')
                assert 'RUNNING' in daemon.run('status').stdout
                same('reads', [r['value'] for r in daemon.consume('p')][:len(lines)], lines)
                if round_ == 1:
                    daemon.kill()
                    daemon.start()
                    wait_until('it says so again', lambda: 'bytes free' in str(task(daemon, 'p-source').get('blocked')))
                os.unlink(ballast)
                lines += held
                wait_until('everything is delivered', lambda: len(arrived(scratch, 'p')) >= len(lines), 90)
                same('delivered', arrived(scratch, 'p'), lines)
                wait_until('nothing is blocked', lambda: not task(daemon, 'p-source').get('blocked'))
    finally:
        subprocess.run(['umount', '-l', mount])


def segment_of(daemon, topic):
    return next(os.path.join(at, f) for at, _, names in os.walk(daemon.data) for f in sorted(names) if f.endswith('.log') and os.path.basename(at).startswith(topic))


def flip(path, at):
    with open(path, 'r+b') as f:
        f.seek(at)
        byte = f.read(1)[0]
        f.seek(at)
        f.write(bytes([byte ^ 1]))


def damaged(scratch):
    """Damage in one topic, met by a reader: that topic stops and says where and what to do, keeping the bytes; another goes on. Doing what it
    says, the sink goes on behind the damage, and what it has lost is told."""
    daemon = Daemon(scratch, {n: pipeline(scratch, n) for n in ('bad', 'good')}, args=['--set', 'log.checkpoint.interval.ms=10', '--set', 'offset.flush.interval.ms=100'])
    with daemon:
        for n in ('bad', 'good'):
            append(scratch, n, ['one', 'two', 'three'])
            wait_until('delivered', lambda: arrived(scratch, n) == ['one', 'two', 'three'])
        append(scratch, 'bad', ['four'])
        wait_until('delivered', lambda: len(arrived(scratch, 'bad')) == 4)
        wait_until('the sink has committed', lambda: [o['offset']['kafka_offset'] for o in daemon.json('offsets', 'get', 'bad-sink')['offsets']] == [4])
    path = segment_of(daemon, 'bad')
    for at in (64, 66, 70):
        flip(path, at)
    kept = open(path, 'rb').read()
    daemon.files.append(scratch.file('late.yaml', 'pipeline: late\nsink: {connector: file, topics: [bad], path: "%s"}\n' % scratch.file('late.out')))
    with daemon:
        append(scratch, 'good', ['four'])
        wait_until('the other goes on', lambda: len(arrived(scratch, 'good')) == 4)
        # Clean shutdowns are trusted, so the damage shows when it is read.
        done = daemon.run('consume', 'bad', '--from-beginning', '--until-end', check=False)
        same('exit code of consume', done.returncode, 1)
        for part in ('bad-0', os.path.basename(path)):
            assert part in done.stderr, done.stderr
        wait_until('a sink that reads it stops', lambda: task(daemon, 'late-sink')['state'] == 'FAILED')
        shown = daemon.run('status', check=False)
        same('exit code of status', shown.returncode, 1)
        for part in (os.path.basename(path), 'checksum', 'connectd log-repair show bad-0'):
            assert part in shown.stdout, '%r is not in:\n%s' % (part, shown.stdout)
        same('the other', daemon.states()['good-sink'], ['RUNNING'])
        same('the bytes', open(path, 'rb').read(), kept)
        # What the hint says.
        same('exit code of show', daemon.run('log-repair', 'show', 'bad-0', check=False).returncode, 65)
        done = json.loads(daemon.run('log-repair', 'accept', 'bad-0', '--yes', '--json').stdout)
        same('what is lost', [(g['first'], g['end']) for g in done['gaps']], [(0, 3)])
        aside = open(os.path.join(daemon.data, done['quarantined'][0]), 'rb').read()
        assert aside and kept.startswith(aside), 'the bytes were not kept'
        daemon.run('restart', 'late-sink')
        wait_until('it goes on behind the damage', lambda: arrived(scratch, 'late') == ['four'])
        wait_until('it is told what it has lost', lambda: 'bad-0@0 to 2 were damaged on disk and accepted as lost before connect-late-sink' in daemon.tail())


def restored(scratch):
    """What was damaged while the daemon was dead and is still in the journal is whole again after the start."""
    daemon = Daemon(scratch, {'p': pipeline(scratch, 'p')}, args=['--set', 'log.checkpoint.interval.ms=3600000'])
    with daemon:
        append(scratch, 'p', ['one', 'two', 'three'])
        wait_until('delivered', lambda: arrived(scratch, 'p') == ['one', 'two', 'three'])
        daemon.kill()
        path = segment_of(daemon, 'p-')
        kept = open(path, 'rb').read()
        flip(path, 70)
        daemon.start()
        same('records', [r['value'] for r in daemon.consume('p')], ['one', 'two', 'three'])
        assert 'restored' in daemon.tail(), daemon.tail()
        same('the bytes', open(path, 'rb').read()[:len(kept)], kept)


CASES = [disk_full, damaged, restored]


def main():
    for case in CASES:
        if len(sys.argv) > 1 and case.__name__ not in sys.argv[1:]:
            continue
        with Scratch('faults') as scratch:
            case(scratch)
        print('ok %s' % case.__name__, flush=True)


if __name__ == '__main__':
    main()
