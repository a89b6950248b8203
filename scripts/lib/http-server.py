#!/usr/bin/env python3
"""http-server.py PORT: answers 200 to every POST and prints its body, one line a record (the demo's target)."""
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get('Content-Length', 0)))
        for line in body.decode('utf-8', 'replace').splitlines():
            print(summary(line), flush=True)
        self.send_response(200)
        self.send_header('Content-Length', '0')
        self.end_headers()

    def log_message(self, *args):
        pass


def summary(line):
    """A change event in one short line: what happened, and the row."""
    try:
        value = json.loads(line)
        row = value.get('after') or value.get('before')
        return '%s %s %s' % (value['op'], value['source']['table'], json.dumps(row, ensure_ascii=False))
    except (ValueError, KeyError, TypeError, AttributeError):
        return line


ThreadingHTTPServer(('127.0.0.1', int(sys.argv[1])), Handler).serve_forever()
