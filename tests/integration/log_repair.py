#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""log-repair as users run it: a damaged topic beside one that goes on, through the daemon and on the folder of one that has ended."""
import json
import os
import pty
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../lib'))
from daemon import CONNECTD, Daemon, Scratch, wait_until  # noqa: E402

SINK = 'pipeline: %s\nsink: {connector: file, topics: [bad], value.converter: string, path: "%s"}\n'
RECORDS = 200


def same(what, got, want):
    assert got == want, '%s: got %s, want %s' % (what, repr(got)[:600], repr(want)[:600])


def has(what, text, *parts):
    for part in parts:
        assert part in text, '%s: %r is not in:\n%s' % (what, part, text)


def produce(daemon, topic, values):
    daemon.run('produce', topic, input=''.join(v + '\n' for v in values))


def values(daemon, topic):
    return [r['value'] for r in daemon.consume(topic)]


def segments(daemon, folder='bad-0'):
    path = os.path.join(daemon.data, folder)
    return [os.path.join(path, f) for f in sorted(os.listdir(path)) if f.endswith('.log')]


def batches(path):
    """Positions of the batches, and their first and last offset."""
    done = subprocess.run([CONNECTD, 'log-dump', '--json', path], capture_output=True, text=True)
    return [b for b in map(json.loads, done.stdout.splitlines()) if 'baseOffset' in b]


def spoil(path, at, n):
    with open(path, 'r+b') as f:
        f.seek(at)
        old = f.read(n)
        f.seek(at)
        f.write(bytes(b ^ 0x55 for b in old))
    return old


def write(path, at, data):
    with open(path, 'r+b') as f:
        f.seek(at)
        f.write(data)


def fill(daemon):
    daemon.run('topics', 'create', 'bad', '--set', 'segment.bytes=2000')
    daemon.run('topics', 'create', 'good')
    want = []
    for i in range(0, RECORDS, 10):
        want += ['value %d' % k for k in range(i, i + 10)]
        produce(daemon, 'bad', want[-10:])
    produce(daemon, 'good', ['one'])
    return want


def read_log(daemon, topic):
    """What the reader finds that was written from docs/on-disk.md alone."""
    done = subprocess.run([sys.executable, os.path.join(os.path.dirname(os.path.abspath(__file__)), 'read_log.py'), daemon.data], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [r['value'] for r in map(json.loads, done.stdout.splitlines()) if r['topic'] == topic]


def others_serve(daemon, so_far):
    produce(daemon, 'good', ['more'])
    so_far.append('more')
    same('the other topic', values(daemon, 'good'), so_far)


def answer(args, text):
    """A command on a terminal, answered: exit code and output."""
    pid, fd = pty.fork()
    if pid == 0:
        os.execv(CONNECTD, [CONNECTD, *args])
    out = b''
    while True:
        try:
            piece = os.read(fd, 65536)
        except OSError:
            break
        if not piece:
            break
        out += piece
        if b'Type yes: ' in out and text:
            os.write(fd, text.encode())
            text = None
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), out.decode()


def with_daemon(scratch):
    daemon = Daemon(scratch, {'copy': SINK % ('copy', scratch.file('out'))}, args=['--set', 'log.verify.bytes.per.second=0'])
    good = ['one']
    with daemon:
        want = fill(daemon)
        wait_until('the sink has all', lambda: os.path.exists(scratch.file('out')) and len(open(scratch.file('out')).readlines()) == RECORDS)
        path = segments(daemon)[1]
        lost = batches(path)[1]
        spoil(path, lost['position'] + 30, 40)
        lost = list(range(lost['baseOffset'], lost['lastOffset'] + 1))
        done = daemon.run('log-repair', 'show')
        has('nothing is known yet', done.stdout, 'no partition is stopped')

        # A reader meets it: the partition stops, everything names the command, the others go on.
        done = daemon.run('consume', 'bad', '--from-beginning', '--until-end', check=False)
        same('exit code of consume', done.returncode, 1)
        has('consume', done.stderr, 'bad-0 is stopped', 'connectd log-repair show bad-0')
        done = daemon.run('produce', 'bad', input='refused\n', check=False)
        assert done.returncode == 1, done
        has('produce', done.stderr, 'bad-0 is stopped', 'connectd log-repair show bad-0')
        has('the log', daemon.tail(), 'bad-0 is stopped', 'connectd log-repair show bad-0')
        stopped = daemon.status()['backend']['log']['failed_partitions']
        same('stopped', [(p['topic'], p['partition']) for p in stopped], [('bad', 0)])
        has('status', stopped[0]['hint'], 'connectd log-repair show bad-0')
        others_serve(daemon, good)

        # show
        shown = daemon.run('log-repair', 'show', check=False)
        same('exit code of show', shown.returncode, 65)
        has('show', shown.stdout, os.path.basename(path), 'lost', 'connectd log-repair salvage bad-0', 'connectd log-repair accept bad-0')
        said = json.loads(daemon.run('log-repair', 'show', 'bad-0', '--json', check=False).stdout)
        area = said['damaged'][0]['areas'][0]
        same('the area', list(range(area['first'], area['end'])), lost)
        same('whole records', said['records'], RECORDS - len(lost))
        same('exit code of show for a good one', daemon.run('log-repair', 'show', 'good-0').returncode, 0)
        for args, code in ((['show', 'nosuch-0'], 1), (['show', 'bad'], 1), (['salvage', 'bad-0'], 2), (['accept'], 2), (['accept', 'bad-0'], 2), (['accept', 'good-0', '--yes'], 1)):
            done = daemon.run('log-repair', *args, check=False)
            same('exit code of %s' % args, done.returncode, code)

        # salvage
        left = [v for i, v in enumerate(want) if i not in lost]
        copied = json.loads(daemon.run('log-repair', 'salvage', 'bad-0', '--to', 'rescued', '--json').stdout)
        same('copied', copied['records'], len(left))
        same('the copy', values(daemon, 'rescued'), left)
        has('salvage to the same', daemon.run('log-repair', 'salvage', 'bad-0', '--to', 'rescued', check=False).stderr, 'exists')
        has('still stopped', daemon.run('consume', 'bad', '--until-end', '--from-beginning', check=False).stderr, 'is stopped')

        # accept: asks on a terminal, and serves again
        code, out = answer(['--data', daemon.data, 'log-repair', 'accept', 'bad-0'], 'no\n')
        same('exit code of no', code, 1)
        has('no', out, 'lost', 'nothing was changed')
        code, out = answer(['--data', daemon.data, 'log-repair', 'accept', 'bad-0'], 'yes\n')
        same('exit code of yes', code, 0)
        has('yes', out, 'bad-0 serves again', 'lost for good', 'quarantine/')
        same('what is left', values(daemon, 'bad'), left)
        same('offsets', [r['offset'] for r in daemon.consume('bad')], [i for i in range(RECORDS) if i not in lost])
        produce(daemon, 'bad', ['new'])
        same('the next offset', list(daemon.consume('bad'))[-1]['offset'], RECORDS)
        losses = daemon.status()['backend']['log']['accepted_losses']
        has('status', daemon.run('status', check=False).stdout, 'bad-0 is without %d offsets' % len(lost))
        same('losses', [(x['topic'], x['lost']['offsets']) for x in losses], [('bad', len(lost))])
        has('the log', daemon.tail(), 'bad-0 serves again without offsets [%d, %d)' % (lost[0], lost[-1] + 1))
        daemon.run('restart', 'copy-sink')
        wait_until('the sink goes on', lambda: len(open(scratch.file('out')).readlines()) == RECORDS + 1)
        others_serve(daemon, good)
        daemon.kill()
        same('by a reader of our formats', read_log(daemon, 'bad'), left + ['new'])
        daemon.start()
        same('after a kill', values(daemon, 'bad'), left + ['new'])
    return want


def without_daemon(scratch):
    daemon = Daemon(scratch, {}, args=['--set', 'log.verify.bytes.per.second=0'])

    def repair(*args, code):
        done = subprocess.run([CONNECTD, 'log-repair', *args, '--data-dir', daemon.data], capture_output=True, text=True)
        same('exit code of %s' % (args,), done.returncode, code)
        return done.stdout + done.stderr

    with daemon:
        want = fill(daemon)
        path = segments(daemon)[1]
        has('in use', repair('show', code=1), 'leave --data-dir away')
    has('no folder', subprocess.run([CONNECTD, 'log-repair', 'show', '--data-dir', scratch.file('empty-' + '/'), ], capture_output=True, text=True).stderr, 'data folder')
    has('no daemon', daemon.run('log-repair', 'show', check=False).stderr, 'no daemon')
    os.rename(path, path + '.away')
    has('missing', repair('show', code=65), 'there is no such file', 'bad-0 is stopped')
    os.rename(path + '.away', path)
    has('put back', repair('show', code=0), 'no partition is stopped')
    first, old = batches(path)[0], None
    old = spoil(path, 40, 3)
    same('a served one is shown, too', json.loads(repair('show', 'bad-0', '--json', code=65))['stopped'], False)
    with daemon:
        has('found', daemon.run('consume', 'bad', '--from-beginning', '--until-end', check=False).stderr, 'bad-0 is stopped')
    has('needs to be asked', repair('accept', 'bad-0', code=2), '--yes')
    has('salvage', repair('salvage', 'bad-0', '--to', 'rescued', code=0), 'in topic rescued now')
    has('accept', repair('accept', 'bad-0', '--yes', code=0), 'bad-0 serves again')
    has('again', repair('accept', 'bad-0', '--yes', code=1), 'not stopped')
    kept = [f for f in os.listdir(os.path.join(daemon.data, 'quarantine')) if f.endswith('.damaged')]
    same('kept', len(kept), 1)
    bytes_kept = open(os.path.join(daemon.data, 'quarantine', kept[0]), 'rb').read()
    same('kept bytes', bytes_kept[40:43], bytes(b ^ 0x55 for b in old))
    left = want[:first['baseOffset']] + want[first['lastOffset'] + 1:]
    with daemon:
        same('left', values(daemon, 'bad'), left)
        same('copied', values(daemon, 'rescued'), left)


CASES = [with_daemon, without_daemon]


def main():
    for case in CASES:
        if len(sys.argv) > 1 and case.__name__ not in sys.argv[1:]:
            continue
        with Scratch('repair') as scratch:
            case(scratch)
        print('ok %s' % case.__name__, flush=True)


if __name__ == '__main__':
    main()
