#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A value of 50 MiB goes file, log, HTTP unchanged while the daemon stays below 256 MiB; one larger than its topic takes follows
errors.tolerance: none stops the task and names the record, all puts it aside with the reason and goes on."""
import hashlib
import http.server
import json
import os
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../lib'))
from daemon import BUILD, Daemon, Scratch, wait_until  # noqa: E402

PIPELINE = '''pipeline: big
sources:
  file:
    connector: file
    path: ["%s"]
    topic: big
    max.line.bytes: 64MiB
    value.converter: string
    errors: %s
%ssinks:
  http:
    connector: http-sink
    url: "http://127.0.0.1:%d/"
    value.converter: string
    batch.mode: single
    request.body.format: raw
'''
MOST = 256 << 20


class Server:
    """Keeps the length and hash of every body."""

    def __init__(self):
        bodies = self.bodies = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers['Content-Length']))
                bodies.append((len(body), hashlib.sha256(body).hexdigest()))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *args):
                pass
        self.http = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        self.port = self.http.server_address[1]
        threading.Thread(target=self.http.serve_forever, daemon=True).start()


def shape(lines):
    return [(len(line), hashlib.sha256(line.encode()).hexdigest()) for line in lines]


def peak(daemon):
    with open('/proc/%d/status' % daemon.process.pid) as f:
        return next(int(line.split()[1]) << 10 for line in f if line.startswith('VmHWM'))


def sanitized():
    with open(os.path.join(BUILD, 'CMakeCache.txt')) as f:
        return any(line.startswith('CN_SANITIZE') and line.strip()[-1] != '=' for line in f)


def unchanged(scratch):
    """Bytes of memory at the peak."""
    server, lines = Server(), ['first', os.urandom(25 << 20).hex(), 'last']
    path = scratch.file('big.txt', '\n'.join(lines) + '\n')
    with Daemon(scratch, {'big': PIPELINE % (path, '{tolerance: none}', '', server.port)}) as daemon:
        wait_until('all arrived', lambda: len(server.bodies) >= len(lines), 120)
        assert server.bodies == shape(lines), 'a value changed on its way'
        most = peak(daemon)
    server.http.shutdown()
    assert sanitized() or most < MOST, '%d bytes at the peak' % most
    return most


def too_large(scratch, tolerance):
    server, lines = Server(), ['first', 'y' * (2 << 20), 'last']
    path = scratch.file('large.txt', '\n'.join(lines) + '\n')
    limit = '    topic.creation.default.max.message.bytes: 1MiB\n'
    errors = '{tolerance: %s, deadletterqueue: {context.headers.enable: true}}' % tolerance
    with Daemon(scratch, {'big': PIPELINE % (path, errors, limit, server.port)}) as daemon:
        if tolerance == 'none':
            wait_until('the task failed', lambda: daemon.states().get('big-file') == ['FAILED'])
            text = json.dumps(daemon.status())
            assert 'topic big takes at most 1048576 (max.message.bytes)' in text, text
            assert server.bodies in ([], shape(lines[:1])), server.bodies
        else:
            wait_until('the others arrived', lambda: len(server.bodies) >= 2)
            assert server.bodies == shape([lines[0], lines[2]]), server.bodies
            letters = list(daemon.consume(r'.*\.dlq'))
            assert len(letters) == 1 and letters[0]['value'] == lines[1], 'the dead letter holds something else'
            headers = dict(letters[0]['headers'])
            assert 'max.message.bytes' in headers['__connect.errors.exception.message'], headers
    server.http.shutdown()
    print('too large, tolerance %s: as it should' % tolerance)


def main():
    with Scratch('large') as scratch:
        print('unchanged; %d MiB at the peak' % (unchanged(scratch) >> 20))
    for tolerance in ('none', 'all'):
        with Scratch('large') as scratch:
            too_large(scratch, tolerance)


if __name__ == '__main__':
    main()
