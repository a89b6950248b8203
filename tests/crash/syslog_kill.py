#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""syslog_kill.py [MESSAGES] [KILL]: numbered messages over TCP through to the file sink; with KILL=1 (default) `kill -9` in the middle.

 - every record below a high watermark sampled before the kill, and every record a consumer had seen, is in the file exactly once, in
   order per connection;
 - everything in the file was sent; the gap (sent, never read) is printed: plain TCP syslog is not acknowledged;
 - what is sent after the restart, and with no kill everything, arrives.
"""
import json
import os
import socket
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../lib'))
from daemon import CONNECTD, Daemon, Scratch, free_port, wait_until  # noqa: E402

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


class Reader(threading.Thread):
    """Keeps what a consumer was shown until the daemon died."""

    def __init__(self, daemon):
        super().__init__(daemon=True)
        self.seen = []
        self.process = subprocess.Popen([CONNECTD, '--data', daemon.data, 'consume', 'logs', '--from-beginning', '--json'],
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def run(self):
        for line in self.process.stdout:
            record = json.loads(line)
            if 'error' in record:  # the daemon went away
                break
            self.seen.append(identity(record['value']))
        self.process.wait()


def send(port, base, total):
    senders = [Sender(port, i, base, total // SENDERS) for i in range(SENDERS)]
    for s in senders:
        s.start()
    return senders


def read_file(path):
    with open(path) as f:
        return [identity(json.loads(line)) for line in f]


def has_all(path, must):
    """More than must may be there: what was in the log beyond the last sample of its end."""
    if not os.path.exists(path):
        return False
    with open(path) as f:
        whole = [line for line in f if line.endswith('\n')]
    return len(whole) >= len(must) and must <= {identity(json.loads(line)) for line in whole}


def check(lines, sent, must):
    """lines: what the file has; sent: the numbers below which each sender may have sent all; must: what has to be there."""
    seen, last = set(), {}
    for who, n in lines:
        assert (who, n) not in seen, '%s n=%d is in the file twice' % (who, n)
        seen.add((who, n))
        assert last.get(who, -1) < n, '%s: n=%d after n=%d' % (who, n, last[who])
        last[who] = n
        assert any(first <= n < end for first, end in sent[who]), '%s n=%d was never sent' % (who, n)
    missing = must - seen
    assert not missing, '%d records that had to be there are not in the file, e.g. %s' % (len(missing), sorted(missing)[:3])
    return seen


def kill_in_the_middle(daemon):
    """Returns the last high watermark sampled before the kill, and what a consumer had seen by then."""
    wait_until('the topic is there', lambda: high_watermark(daemon) > 0, every=0)
    reader, mark = Reader(daemon), 0
    reader.start()
    while mark < MESSAGES // 4:
        mark = max(mark, high_watermark(daemon))
    daemon.kill()
    reader.join()
    assert mark < MESSAGES, 'everything was in the log before the kill: send more'
    return mark, reader.seen


def main():
    with Scratch('syslog') as scratch:
        port, out = free_port(), scratch.file('out.jsonl')
        with Daemon(scratch, {'logs': PIPELINE % (port, out)}) as daemon:
            wait_until('the listener is bound', lambda: daemon.states().get('logs-syslog') == ['RUNNING'])
            started, mark, seen = time.time(), 0, []
            senders = send(port, 0, MESSAGES)
            if KILL:
                mark, seen = kill_in_the_middle(daemon)
                print('killed at high watermark %d, %d records seen by a consumer' % (mark, len(seen)), flush=True)
            for s in senders:
                s.join()
            sent = {'sender%d' % s.index: [(0, s.sent)] for s in senders}
            if KILL:  # what comes after the restart all arrives
                daemon.start()
                below = [(r['offset'], identity(r['value'])) for r in daemon.consume('logs') if r['offset'] < mark]
                assert [o for o, _ in below] == list(range(mark)), 'the log has %d of the %d records below the high watermark it had shown' % (len(below), mark)
                must = set(i for _, i in below) | set(seen)
                wait_until('the listener is bound again', lambda: daemon.states().get('logs-syslog') == ['RUNNING'])
                for s in send(port, MESSAGES, MESSAGES // 10):
                    s.join()
                    sent['sender%d' % s.index].append((s.first, s.first + s.sent))
                    must |= {('sender%d' % s.index, n) for n in range(s.first, s.first + s.count)}
            else:
                must = {('sender%d' % s.index, n) for s in senders for n in range(s.count)}
            wait_until('the file has what it must', lambda: has_all(out, must), 300, 0.2)
            if not KILL:
                print('%d messages into the file in %.1f s' % (MESSAGES, time.time() - started), flush=True)
        in_file = check(read_file(out), sent, must)
        total = sum(end - first for spans in sent.values() for first, end in spans)
        print('%d sent; %d had to be in the file and %d are, exactly once and in order; gap (sent, never read): %d' % (total, len(must), len(in_file), total - len(in_file)))


if __name__ == '__main__':
    main()
