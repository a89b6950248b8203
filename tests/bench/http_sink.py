#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""http-sink, one record a request, against wrk on the same nginx with as many connections; and NDJSON batches."""
import json
import os
import re
import shutil
import subprocess
import time

from race import ROUNDS, rss_mb
from daemon import Daemon, Scratch, free_port, wait_until

COUNT = int(os.environ.get('COUNT', '100000'))
PARTITIONS = 16
NGINX = '''daemon off; worker_processes 1; pid %(dir)s/pid; error_log %(dir)s/error.log;
events { worker_connections 1024; }
http { access_log off; client_max_body_size 200m; client_body_temp_path %(dir)s/body; keepalive_requests 100000000;
  proxy_temp_path %(dir)s/p; fastcgi_temp_path %(dir)s/f; uwsgi_temp_path %(dir)s/u; scgi_temp_path %(dir)s/s;
  server { listen 127.0.0.1:%(port)d; location / { return 204; } } }
'''
SINK = '''pipeline: bench
sinks:
  http:
    connector: http-sink
    topics: [load]
    url: "http://127.0.0.1:%d/"
    value.converter: string
    batch.mode: %s
    max.in.flight: %d
'''


def lag(daemon):
    offsets = json.loads(daemon.run('offsets', 'get', 'bench-http', '--json', check=False).stdout or '{"offsets":[]}')['offsets']
    return COUNT - sum(int(o['offset']['kafka_offset']) for o in offsets)


def deliver(scratch, port, mode):
    subprocess.run(['rm', '-rf', scratch.file('data')], check=True)
    body = json.dumps({'text': 'x' * 1000})
    with Daemon(scratch, {}) as daemon:
        daemon.run('topics', 'create', 'load', '--partitions', str(PARTITIONS))
        daemon.run('produce', 'load', '--json-lines', input=''.join('{"partition":%d,"value":%s}\n' % (i % PARTITIONS, json.dumps(body)) for i in range(COUNT)))
    daemon = Daemon(scratch, {'bench': SINK % (port, mode, PARTITIONS)}, args=['--set', 'offset.flush.interval.ms=100'])
    start = time.time()
    with daemon:
        wait_until('all delivered', lambda: lag(daemon) <= 0, 300, 0.05)
        return COUNT / (time.time() - start), rss_mb(daemon.process.pid)[1]


def main():
    if not shutil.which('nginx') or not shutil.which('wrk'):
        raise SystemExit('nginx and wrk are needed')
    with Scratch('bench-http') as scratch:
        port = free_port()
        os.mkdir(scratch.file('nginx'))
        conf = scratch.file('nginx.conf', NGINX % {'dir': scratch.file('nginx'), 'port': port})
        nginx = subprocess.Popen(['nginx', '-c', conf, '-p', scratch.path], stderr=subprocess.DEVNULL)
        lua = scratch.file('post.lua', 'wrk.method = "POST"\nwrk.body = string.rep("x", 1011)\n')
        try:
            time.sleep(0.5)
            ratios = []
            for _ in range(ROUNDS):
                out = subprocess.run(['wrk', '-t1', '-c%d' % PARTITIONS, '-d3s', '-s', lua, 'http://127.0.0.1:%d/' % port], capture_output=True, text=True).stdout
                peer = float(re.search(r'Requests/sec:\s*([\d.]+)', out).group(1))
                ours, peak = deliver(scratch, port, 'single')
                ratios.append((ours / peer, ours, peer, peak))
            ratio, ours, peer, peak = sorted(ratios)[len(ratios) // 2]
            print('%-28s %s requests/s   wrk, same connections: %s   ratio %.2f  (aim 0.8); %.0f MB peak' % ('http-sink, 1 KB, one each', '{:,.0f}'.format(ours), '{:,.0f}'.format(peer), ratio, peak))
            ours, peak = deliver(scratch, port, 'ndjson')
            print('%-28s %s records/s; %.0f MB peak' % ('http-sink, NDJSON', '{:,.0f}'.format(ours), peak))
        finally:
            nginx.terminate()
            nginx.wait()


main()
