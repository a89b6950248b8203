#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Syslog to the durable log, against rsyslog writing an unsynced file: TCP at full speed, UDP at rising rates until one loses."""
import json
import os
import shutil
import subprocess
import time

from race import race, rss_mb
from daemon import BUILD, Daemon, Scratch, free_port, wait_until

COUNT = int(os.environ.get('COUNT', '1000000'))
SIZE = 300
SEND = os.path.join(BUILD, 'tests/bench/syslog_send')
PIPELINE = '''pipeline: bench
sources:
  syslog:
    connector: syslog
    topic: logs
    tcp: "127.0.0.1:%d"
    udp: "127.0.0.1:%d"
'''
RSYSLOG = '''module(load="imtcp") module(load="imudp")
global(workDirectory="%(dir)s" maxMessageSize="64k")
input(type="imtcp" port="%(tcp)d" address="127.0.0.1")
input(type="imudp" port="%(udp)d" address="127.0.0.1" rcvbufSize="8m")
template(name="raw" type="string" string="%%rawmsg%%\\n")
action(type="omfile" file="%(dir)s/out.log" template="raw" asyncWriting="off" flushOnTXEnd="off" ioBufferSize="64k")
'''


def high_watermark(daemon):
    done = daemon.run('topics', 'logs', '--json', check=False)
    return sum(p['high_watermark'] for p in json.loads(done.stdout)['partitions']) if done.returncode == 0 else 0


def lines(path):
    with open(path, 'rb') as f:
        return sum(chunk.count(b'\n') for chunk in iter(lambda: f.read(1 << 20), b''))


class Rsyslog:
    def __init__(self, scratch, tcp, udp):
        self.dir = scratch.file('rsyslog')
        os.mkdir(self.dir)
        self.out = os.path.join(self.dir, 'out.log')
        conf = scratch.file('rsyslog.conf', RSYSLOG % {'dir': self.dir, 'tcp': tcp, 'udp': udp})
        self.process = subprocess.Popen(['rsyslogd', '-n', '-f', conf, '-i', os.path.join(self.dir, 'pid')], stderr=subprocess.DEVNULL)
        time.sleep(1)

    def close(self):
        self.process.terminate()
        self.process.wait()


def tcp_race(daemon, rsyslog, tcp, peer_tcp):
    def ours():
        before, start = high_watermark(daemon), time.time()
        subprocess.run([SEND, 'tcp', str(tcp), str(COUNT), str(SIZE)], check=True, stdout=subprocess.DEVNULL)
        wait_until('all is durable', lambda: high_watermark(daemon) >= before + COUNT, 300, 0.02)
        return time.time() - start

    def peer():
        size, start = os.path.getsize(rsyslog.out) if os.path.exists(rsyslog.out) else 0, time.time()
        subprocess.run([SEND, 'tcp', str(peer_tcp), str(COUNT), str(SIZE)], check=True, stdout=subprocess.DEVNULL)
        # The last buffer stays in memory: within 64 KiB of the end counts as written.
        wait_until('rsyslog wrote it', lambda: os.path.getsize(rsyslog.out) - size >= COUNT * (SIZE + 1) - 65536, 300, 0.02)
        return time.time() - start
    race('syslog TCP, 300 B', 'msg', COUNT, ours, peer, 'rsyslog imtcp, unsynced file', '1.0')


def udp_loss(port, count, received):
    """Highest offered rate (of a rising series) without loss, and what came in when over-driven."""
    best = 0
    for rate in (50000, 100000, 150000, 200000, 250000, 300000, 400000, 500000, 650000):
        before = received()
        subprocess.run([SEND, 'udp', str(port), str(rate), str(SIZE), str(rate)], check=True, stdout=subprocess.DEVNULL)
        time.sleep(1)
        got = received() - before
        if got < rate * 0.9999:
            break
        best = rate
    before, start = received(), time.time()
    subprocess.run([SEND, 'udp', str(port), str(count), str(SIZE)], check=True, stdout=subprocess.DEVNULL)
    sending = time.time() - start
    time.sleep(1)
    return best, (received() - before) / sending


def main():
    if not shutil.which('rsyslogd'):
        raise SystemExit('rsyslog is not installed')
    with Scratch('bench-syslog') as scratch:
        tcp, udp, peer_tcp, peer_udp = (free_port() for _ in range(4))
        rsyslog = Rsyslog(scratch, peer_tcp, peer_udp)
        try:
            with Daemon(scratch, {'bench': PIPELINE % (tcp, udp)}) as daemon:
                wait_until('it listens', lambda: daemon.states().get('bench-syslog') == ['RUNNING'])
                tcp_race(daemon, rsyslog, tcp, peer_tcp)
                ours = udp_loss(udp, COUNT, lambda: high_watermark(daemon))
                theirs = udp_loss(peer_udp, COUNT, lambda: lines(rsyslog.out))
                print('%-28s %s msg/s without loss, %s when over-driven   rsyslog imudp: %s, %s   ratio %.2f, %.2f  (aim 1.0)' % (
                    ('syslog UDP, 300 B',) + tuple('{:,.0f}'.format(x) for x in ours + theirs) + (ours[0] / max(theirs[0], 1), ours[1] / max(theirs[1], 1))))
                print('%-28s %.0f MB resident, %.0f MB peak' % (('memory',) + rss_mb(daemon.process.pid)))
        finally:
            rsyslog.close()


main()
