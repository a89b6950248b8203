#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""syslog_kill.py [MESSAGES] [KILL]: numbered messages over TCP through to the file sink; with KILL=1 (default) `kill -9` in the middle.

 - every record seen below a sampled high watermark before the kill is in the file exactly once, in order per connection;
 - everything in the file was sent; the gap (sent, never read) is printed: plain TCP syslog is not acknowledged;
 - with no kill, every message arrives.
"""
import json
import os
import socket
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../lib'))
from daemon import Daemon, Scratch, free_port, wait_until  # noqa: E402

MESSAGES = int(sys.argv[1]) if len(sys.argv) > 1 else int(os.environ.get('MESSAGES', '100000'))
KILL = (sys.argv[2] if len(sys.argv) > 2 else os.environ.get('KILL', '1')) == '1'
SENDERS = 4
PIPELINE = '''pipeline: logs
sources:
  syslog:
    connector: syslog
    topic: logs
    tcp: "127.0.0.1:%d"
sinks:
  file:
    connector: file
    path: "%s"
'''


class Sender(threading.Thread):
    """Sends its numbers in order over one connection until the end, or until the connection breaks."""

    def __init__(self, port, index, first, count):
        super().__init__()
        self.port, self.index, self.first, self.count, self.sent = port, index, first, count, 0

    def run(self):
        frame = '<14>1 2026-01-01T00:00:00Z host sender%d - - - n=%d ' + 'x' * 200
        try:
            with socket.create_connection(('127.0.0.1', self.port)) as s:
                for at in range(self.first, self.first + self.count, 100):
                    lines = [frame % (self.index, n) for n in range(at, min(at + 100, self.first + self.count))]
                    self.sent += len(lines)  # may be sent in part: counted as sent, never required
                    s.sendall(''.join('%d %s' % (len(line), line) for line in lines).encode())
        except OSError:
            pass


def identity(message):
    """(sender, number) of a record's value or a line of the file."""
    return message['app_name'], int(message['message'].split()[0][2:])


def high_watermark(daemon):
    done = daemon.run('topics', 'logs', '--json', check=False)
    if done.returncode:
        return 0
    return sum(p['high_watermark'] for p in json.loads(done.stdout)['partitions'])


def send(port, base, total):
    senders = [Sender(port, i, base, total // SENDERS) for i in range(SENDERS)]
    for s in senders:
        s.start()
    return senders


def read_file(path):
    with open(path) as f:
        return [identity(json.loads(line)) for line in f]


def check(lines, sent, must):
    """lines: what the file has; sent: {sender: highest number}; must: what has to be there."""
    seen, last = set(), {}
    for who, n in lines:
        assert (who, n) not in seen, '%s n=%d is in the file twice' % (who, n)
        seen.add((who, n))
        assert last.get(who, -1) < n, '%s: n=%d after n=%d' % (who, n, last[who])
        last[who] = n
        assert n < sent[who], '%s n=%d was never sent' % (who, n)
    missing = must - seen
    assert not missing, '%d records below the sampled high watermark are not in the file, e.g. %s' % (len(missing), sorted(missing)[:3])
    return seen


def main():
    with Scratch('syslog') as scratch:
        port, out = free_port(), scratch.file('out.jsonl')
        with Daemon(scratch, {'logs': PIPELINE % (port, out)}) as daemon:
            wait_until('the listener is bound', lambda: daemon.states().get('logs-syslog') == ['RUNNING'])
            started = time.time()
            senders, mark = send(port, 0, MESSAGES), 0
            if KILL:
                while mark < MESSAGES // 2:
                    mark = max(mark, high_watermark(daemon))
                    assert any(s.is_alive() for s in senders) or mark >= MESSAGES // 2, 'all was sent before the kill: send more'
                daemon.kill()
            for s in senders:
                s.join()
            if KILL:
                daemon.start()
            sent = {'sender%d' % s.index: s.sent for s in senders}
            if not KILL:
                wait_until('every message is in the log', lambda: high_watermark(daemon) >= MESSAGES, 300)
                mark = MESSAGES
                print('%d messages in %.1f s' % (MESSAGES, time.time() - started), flush=True)
            must = {identity(r['value']) for r in daemon.consume('logs') if r['offset'] < mark}
            end = high_watermark(daemon)
            wait_until('the file has every record', lambda: os.path.exists(out) and sum(1 for _ in open(out)) >= end, 300, 0.5)
        seen = check(read_file(out), sent, must)
        total = sum(sent.values())
        print('%d sent, high watermark %d at the %s, %d in the file exactly once and in order; gap (sent, never read): %d'
              % (total, mark, 'kill' if KILL else 'end', len(seen), total - len(seen)))
        assert KILL or len(seen) == MESSAGES


main()
