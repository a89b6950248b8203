# SPDX-License-Identifier: Apache-2.0
"""What the benchmarks share: interleaved rounds, medians, and one line a result."""
import os
import statistics
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../lib'))
ROUNDS = int(os.environ.get('ROUNDS', '3'))


def timed(run):
    start = time.time()
    run()
    return time.time() - start


def race(what, unit, amount, ours, peer, peer_name, aim, higher=True):
    """Runs ours and peer in turn (each returns seconds) and prints both medians and the ratio ours/peer in `unit` per second."""
    us, them = [], []
    for _ in range(ROUNDS):
        them.append(peer())
        us.append(ours())
    a, b = amount / statistics.median(us), amount / statistics.median(them)
    print('%-28s %12s %s/s   %-34s %12s %s/s   ratio %.2f  (aim %s)' % (what, '{:,.0f}'.format(a), unit, peer_name, '{:,.0f}'.format(b), unit, a / b, aim), flush=True)
    return a / b


def rss_mb(pid):
    """(resident now, peak) in MB."""
    with open('/proc/%d/status' % pid) as f:
        lines = dict(line.split(':', 1) for line in f if ':' in line)
    return tuple(int(lines[k].split()[0]) / 1024 for k in ('VmRSS', 'VmHWM'))
