#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""CDC: the snapshot against COPY, the stream against pg_recvlogical of the same changes, commit-to-sink latency at 1,000 rows/s."""
import http.server
import json
import os
import subprocess
import sys
import threading
import time

from race import ROUNDS, race, rss_mb, timed
from daemon import Daemon, Postgres, Scratch, free_port, wait_until

ROWS = int(os.environ.get('ROWS', '500000'))
FILLERS = {'x': "repeat('x', 84)", 'random': "substr(md5(i::text) || md5((i * 7)::text) || md5((i * 13)::text), 1, 84)"}
FILLER = FILLERS[os.environ.get('FILLER', 'x')]  # how well rows compress
PIPELINE = '''pipeline: bench
sources:
  db:
    connector: postgres-cdc
    database: %s
    topic.prefix: bench
    table.include.list: [public.acct]
'''
LATENCY = '''pipeline: latency
sources:
  db:
    connector: postgres-cdc
    database: %s
    topic.prefix: latency
    slot.name: latency
    publication.name: latency
    table.include.list: [public.lat]
sinks:
  http:
    connector: http-sink
    url: "http://127.0.0.1:%d/"
    batch.mode: ndjson
'''


def make_table(pg):
    pg.sql("create table acct (aid int primary key, bid int, abalance int, filler text)")
    pg.sql("insert into acct select i, i %% 10, 0, %s from generate_series(1, %d) i" % (FILLER, ROWS))
    pg.sql('vacuum analyze acct')
    pg.sql('checkpoint')


def high_watermark(daemon, topic):
    done = daemon.run('topics', topic, '--json', check=False)
    return sum(p['high_watermark'] for p in json.loads(done.stdout)['partitions']) if done.returncode == 0 else 0


def snapshot(pg, scratch, memory):
    def ours():
        pg.sql("select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = 'connectd_bench_db'")
        subprocess.run(['rm', '-rf', scratch.file('data')], check=True)
        daemon = Daemon(scratch, {'bench': PIPELINE % pg.yaml()})
        start = time.time()
        with daemon:
            wait_until('the snapshot is in the log', lambda: high_watermark(daemon, 'bench.public.acct') >= ROWS, 300, 0.02)
            took = time.time() - start
            memory.append(rss_mb(daemon.process.pid)[1])
        return took

    def peer():
        return timed(lambda: subprocess.run(pg.command('psql', '-X', '-q', '-d', pg.db, '-c', '\\copy acct to /dev/null'), check=True))
    race('snapshot (start included)', 'rows', ROWS, ours, peer, 'psql \\copy … to /dev/null', '0.9')


def stream(pg, scratch, memory):
    """A backlog of updates in 100 transactions, written while nobody reads; the peer drains a copy of the same slot."""
    daemon = Daemon(scratch, {'bench': PIPELINE % pg.yaml()})
    state = {'expect': 0}

    def backlog():
        subprocess.run(pg.command('psql', '-X', '-q', '-d', pg.db), check=True, text=True, input='\n'.join(
            'update acct set abalance = abalance + 1 where aid > %d and aid <= %d;' % (i * ROWS // 100, (i + 1) * ROWS // 100) for i in range(100)))

    def peer():
        with daemon:
            wait_until('it is running', lambda: high_watermark(daemon, 'bench.public.acct') >= ROWS, 300)
            time.sleep(1)
            state['expect'] = high_watermark(daemon, 'bench.public.acct') + ROWS
        pg.sql("select pg_copy_logical_replication_slot('connectd_bench_db', 'drain')")
        backlog()
        end = pg.sql('select pg_current_wal_lsn()')[0][0]
        publication = pg.sql('select pubname from pg_publication')[0][0]
        took = timed(lambda: subprocess.run(pg.command('pg_recvlogical', '-d', pg.db, '--slot', 'drain', '--start', '-f', '/dev/null', '--endpos', end,
                     '-o', 'proto_version=1', '-o', 'publication_names=' + publication), check=True))
        pg.sql("select pg_drop_replication_slot('drain')")
        return took

    def ours():
        start = time.time()
        with daemon:
            wait_until('the backlog is in the log', lambda: high_watermark(daemon, 'bench.public.acct') >= state['expect'], 300, 0.02)
            took = time.time() - start
            memory.append(rss_mb(daemon.process.pid)[1])
        return took
    race('stream (start included)', 'rows', ROWS, ours, peer, 'pg_recvlogical -f /dev/null', '0.9')


def latency(pg, scratch, rate=1000, seconds=10):
    arrivals = []

    class Server(http.server.BaseHTTPRequestHandler):
        protocol_version = 'HTTP/1.1'

        def do_POST(self):
            body = self.rfile.read(int(self.headers['Content-Length']))
            now = time.time()
            for line in body.splitlines():
                arrivals.append((now, json.loads(line)['after']['t']))
            self.send_response(200)
            self.send_header('Content-Length', '0')
            self.end_headers()

        def log_message(self, *args):
            pass

    port = free_port()
    server = http.server.ThreadingHTTPServer(('127.0.0.1', port), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    pg.sql('create table lat (id bigserial primary key, t double precision)')
    script = scratch.file('lat.sql', 'insert into lat (t) values (extract(epoch from clock_timestamp()));\n')
    with Daemon(scratch, {'latency': LATENCY % (pg.yaml(), port)}) as daemon:
        wait_until('it streams', lambda: pg.sql("select 1 from pg_replication_slots where slot_name = 'latency' and active"), 60)
        time.sleep(1)
        subprocess.run(pg.command('pgbench', '-n', '-f', script, '-c', '4', '-j', '1', '-R', str(rate), '-T', str(seconds), pg.db), check=True, capture_output=True)
        sent = int(pg.sql('select count(*) from lat')[0][0])
        wait_until('all arrived', lambda: len(arrivals) >= sent, 30)
        memory = rss_mb(daemon.process.pid)
    server.shutdown()
    ms = sorted((now - t) * 1000 for now, t in arrivals)
    print('%-28s p50 %.1f ms, p99 %.1f ms, p99.9 %.1f ms, max %.1f ms at %d rows/s (from just before the commit to the HTTP server; aim p99 < 10 ms); %.0f MB resident'
          % ('commit to sink', ms[len(ms) // 2], ms[int(len(ms) * .99)], ms[int(len(ms) * .999)], ms[-1], rate, memory[0]), flush=True)


def main():
    which = sys.argv[1:] or ['snapshot', 'stream', 'latency']
    memory = []
    with Scratch('bench-cdc') as scratch, Postgres(scratch) as pg:
        if 'snapshot' in which or 'stream' in which:
            make_table(pg)
        if 'snapshot' in which or 'stream' in which:
            snapshot(pg, scratch, memory)
        if 'stream' in which:
            stream(pg, scratch, memory)
        if memory:
            print('%-28s %.0f MB peak (aim < 64)' % ('memory while loaded', max(memory)))
    if 'latency' in which:
        with Scratch('bench-lat') as scratch, Postgres(scratch) as pg:
            latency(pg, scratch)


main()
