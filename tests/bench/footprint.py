#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Start time and idle memory; a 50 MiB value through source, log and HTTP."""
import os
import statistics
import subprocess
import sys
import time

from race import rss_mb
from daemon import BUILD, CONNECTD, Scratch
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../integration'))
import large_value  # noqa: E402

def start_times(scratch):
    """From exec to READY=1 (sd_notify), on an empty and on an existing data folder."""
    import socket
    times = []
    for _ in range(6):
        path = scratch.file('notify')
        if os.path.exists(path):
            os.unlink(path)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.bind(path)
            start = time.time()
            p = subprocess.Popen([CONNECTD, 'run', '--data', scratch.file('data'), '--plugin-path', os.path.join(BUILD, 'plugins')],
                                 env=dict(os.environ, NOTIFY_SOCKET=path), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            while b'READY=1' not in s.recv(4096):
                pass
            times.append((time.time() - start) * 1000)
            time.sleep(1)
            idle = rss_mb(p.pid)[0]
            p.terminate()
            p.wait()
    return times[0], statistics.median(times[1:]), idle


def main():
    with Scratch('bench-start') as scratch:
        first, again, idle = start_times(scratch)
        print('%-28s %.0f ms on an empty folder, %.0f ms on an existing one (aim < 50 ms); idle %.1f MB (aim < 15)' % ('start to ready', first, again, idle))
    with Scratch('bench-big') as scratch:
        print('%-28s arrived unchanged; %.0f MB peak (aim < 256)' % ('50 MiB value to HTTP', large_value.unchanged(scratch) / (1 << 20)))


main()
