#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A reader written from docs/on-disk.md alone finds every record that connectd shows: after a kill (with what only the journal holds)
and after a clean stop; also of topics that were compacted, grown, deleted and made again, and rolled over many segments."""
import json
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '../lib'))
from daemon import Daemon, Scratch  # noqa: E402
from read_log import catalogue  # noqa: E402


def theirs(data):
    done = subprocess.run([sys.executable, os.path.join(HERE, 'read_log.py'), data], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


def plain(text):
    """A value as consume prints it: JSON where it is JSON."""
    try:
        return json.loads(text) if text is not None else None
    except ValueError:
        return text


def same(ours, found, regex):
    keys = ('topic', 'partition', 'offset', 'timestamp', 'key', 'value')
    a = [tuple(json.dumps(r[k]) for k in keys) for r in ours]
    b = [tuple(json.dumps(plain(r[k]) if k in ('key', 'value') else r[k]) for k in keys) for r in found if r['topic'].startswith(regex)]
    assert len(a) == len(b), '%d records by connectd, %d by the reader' % (len(a), len(b))
    for x, y in zip(sorted(a), sorted(b)):
        assert x == y, (x, y)
    return len(a)


def produce(daemon, topic, first, n, *more):
    daemon.run('produce', topic, *more, input=''.join('%s line %d\n' % ('x' * (i % 300), i) for i in range(first, first + n)))


def lose(data):
    """What a power cut may do: takes from the files what only the journal has to keep. Returns how many bytes."""
    lost = 0
    for topic, index, _, _, _, inline in catalogue(data).values():
        for base, at, piece in inline:
            with open(os.path.join(data, '%s-%d' % (topic, index), '%020d.log' % base), 'r+b') as f:
                f.seek(at)
                f.write(bytes(len(piece)))
                lost += len(piece)
    return lost


def main():
    with Scratch('read-log') as scratch:
        daemon = Daemon(scratch, {}, args=['--set', 'producer.compression.type=none'])
        with daemon:
            daemon.run('topics', 'create', 'r.rolled', '--partitions', '3', '--set', 'segment.bytes=65536')
            daemon.run('topics', 'create', 'r.compacted', '--set', 'cleanup.policy=compact', '--set', 'segment.bytes=16384')
            for i in range(4):
                produce(daemon, 'r.rolled', i * 1000, 1000)
                for k in range(20):
                    produce(daemon, 'r.compacted', k, 30, '--key', 'k%d' % k)
            daemon.run('topics', 'create', 'r.again')
            produce(daemon, 'r.again', 0, 10)
            daemon.run('topics', 'delete', 'r.again')
            produce(daemon, 'r.again', 100, 10)
            daemon.kill()
        killed = theirs(daemon.data)
        lost = lose(daemon.data)
        assert theirs(daemon.data) == killed
        with daemon:
            same(daemon.consume(r'r\..*'), killed, 'r.')
            produce(daemon, 'r.rolled', 9000, 100)
            ours = list(daemon.consume(r'r\..*'))
        clean = same(ours, theirs(daemon.data), 'r.')
        assert len([n for n in os.listdir(os.path.join(daemon.data, 'r.rolled-0')) if n.endswith('.log')]) > 2, 'nothing rolled: this test shows less than it says'
    print('the same %d records after a kill, %d bytes of them from the journal; %d after a clean stop' % (len(killed), lost, clean))


main()
