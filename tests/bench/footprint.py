#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Start time and idle memory; a 50 MiB value through source, log and HTTP."""
import hashlib
import http.server
import os
import statistics
import subprocess
import threading
import time

from race import rss_mb
from daemon import BUILD, CONNECTD, Daemon, Scratch, free_port, wait_until

TAIL = '''pipeline: big
sources:
  file:
    connector: file
    path: ["%s"]
    topic: big
    max.line.bytes: 64MiB
    value.converter: string
sinks:
  http:
    connector: http-sink
    url: "http://127.0.0.1:%d/"
    value.converter: string
    batch.mode: single
    request.body.format: raw
'''


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


def big_value(scratch):
    got = {}

    class Server(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            got['hash'] = hashlib.sha256(self.rfile.read(int(self.headers['Content-Length']))).hexdigest()
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args):
            pass
    port = free_port()
    server = http.server.ThreadingHTTPServer(('127.0.0.1', port), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    line = os.urandom(25 << 20).hex()
    path = scratch.file('big.txt', line + '\n')
    with Daemon(scratch, {'big': TAIL % (path, port)}) as daemon:
        wait_until('it arrived', lambda: 'hash' in got, 120)
        peak = rss_mb(daemon.process.pid)[1]
    server.shutdown()
    assert got['hash'] == hashlib.sha256(line.encode()).hexdigest(), 'the value changed on its way'
    return peak


def main():
    with Scratch('bench-start') as scratch:
        first, again, idle = start_times(scratch)
        print('%-28s %.0f ms on an empty folder, %.0f ms on an existing one (aim < 50 ms); idle %.1f MB (aim < 15)' % ('start to ready', first, again, idle))
    with Scratch('bench-big') as scratch:
        print('%-28s arrived unchanged; %.0f MB peak (aim < 256)' % ('50 MiB value to HTTP', big_value(scratch)))


main()
