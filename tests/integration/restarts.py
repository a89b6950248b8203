#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Stops, kills and restarts of every part, with the records counted afterwards: SIGTERM drains, kill -9 in a snapshot, PostgreSQL restarted
under the stream, a slot that is gone, and what an operator does to a connector."""
import collections
import http.server
import json
import os
import random
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../lib'))
from daemon import Daemon, Postgres, Scratch, wait_until  # noqa: E402

SEED = int(os.environ.get('SEED', str(int(time.time()))))
CDC = '''pipeline: shop
sources:
  db:
    connector: postgres-cdc
    database: %s
    topic.prefix: shop
    table.include.list: [public.t]
'''
PLAIN = ['--set', 'producer.compression.type=none']  # so that many rows are many bytes, and a kill finds them half written
SLOT = "select active, confirmed_flush_lsn from pg_replication_slots where slot_name = 'connectd_shop_db'"


def same(what, got, want):
    assert got == want, '%s: got %s, want %s' % (what, repr(got)[:600], repr(want)[:600])


def task(daemon, name='shop-db'):
    """The connector's first task as status shows it; {} before there is one."""
    return next((t for c in daemon.status()['connectors'] if c['name'] == name for t in c['tasks']), {})


def changes(daemon):
    """(op, id) of every record of the table's topic, in order."""
    return [(r['value']['op'], (r['value']['after'] or r['value']['before'])['id']) for r in daemon.consume(r'shop\.public\.t') if r['value']]


def lsn(text):
    high, low = text.split('/')
    return (int(high, 16) << 32) + int(low, 16)


def has_streamed(daemon, n):
    return sum(1 for op, _ in changes(daemon) if op == 'c') >= n


def bytes_of(daemon, topic):
    """Of the topic's segments, durable or not."""
    return sum(os.path.getsize(os.path.join(at, f)) for at, _, names in os.walk(daemon.data) for f in names if f.endswith('.log') and topic in at)


def kill_while_it_writes(daemon, most, done):
    """Six kills, each after up to `most` more bytes of the table's topic, until done() holds. Leaves the daemon dead."""
    chance, kills = random.Random(SEED), 0
    for _ in range(6):
        if not daemon.process or daemon.process.poll() is not None:
            daemon.start()
        goal = bytes_of(daemon, 'shop.public.t') + chance.randrange(most)
        wait_until('some records are written', lambda: bytes_of(daemon, 'shop.public.t') > goal or done(), every=0)
        finished = done()
        daemon.kill()
        if finished:
            break
        kills += 1
    print('  %d kills in the middle' % kills)
    assert kills, 'it was always done before the kill: more rows'


def drains(scratch):
    """SIGTERM: what the sink has put is answered and committed, so that the next start repeats nothing."""
    taken, lock = [], threading.Lock()

    class Server(http.server.BaseHTTPRequestHandler):
        protocol_version = 'HTTP/1.1'

        def do_POST(self):
            records = json.loads(self.rfile.read(int(self.headers['Content-Length'])))
            time.sleep(0.3)
            with lock:
                taken.extend(records)
            self.send_response(200)
            self.send_header('Content-Length', '0')
            self.end_headers()

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    lines, path = [], scratch.file('in', '')
    pipeline = '''pipeline: p
source: {connector: file, topic: t, path: ["%s"]}
sink: {connector: http-sink, url: "http://127.0.0.1:%d/", batch.max.records: 500}
''' % (path, server.server_address[1])
    daemon = Daemon(scratch, {'p': pipeline})
    for round_ in range(3):
        before = len(taken)
        daemon.start()
        more = ['line %d' % i for i in range(len(lines), len(lines) + 3000)]
        lines += more
        with open(path, 'a') as f:
            f.write(''.join(line + '\n' for line in more))
        wait_until('the sink is at work', lambda: len(taken) > before)
        daemon.stop()
        same('nothing came twice by round %d' % round_, taken, lines[:len(taken)])
    with daemon:
        wait_until('all is delivered', lambda: len(taken) >= len(lines))
    server.shutdown()
    same('delivered', taken, lines)


def snapshot_killed(scratch, pg):
    """kill -9 while rows are copied: a reader sees each row once, from the snapshot that was finished."""
    rows = 120000
    pg.sql("create table t (id int primary key, x text); insert into t select i, repeat('x', 200) from generate_series(1, %d) i" % rows)
    daemon = Daemon(scratch, {'shop': CDC % pg.yaml()}, args=PLAIN)
    daemon.start()
    kill_while_it_writes(daemon, 12 << 20, lambda: 'snapshot complete' in open(daemon.log).read())
    with daemon:
        wait_until('the snapshot is done', lambda: 'snapshot complete' in open(daemon.log).read(), 120)
        pg.sql('insert into t values (0, null)')
        wait_until('it streams', lambda: has_streamed(daemon, 1))
        seen = collections.Counter(changes(daemon))
        twice = [c for c, n in seen.items() if n > 1]
        same('changes seen twice', twice[:5], [])
        same('changes', len(seen), rows + 1)
        same('slots', pg.sql('select slot_name from pg_replication_slots'), [['connectd_shop_db']])


def large_transaction_killed(scratch, pg):
    """kill -9 while a transaction of the database is read that is larger than a commit of the log: it is there once, as a whole."""
    rows = 120000
    pg.sql('create table t (id int primary key, x text); insert into t values (0, null)')
    with Daemon(scratch, {'shop': CDC % pg.yaml()}, args=PLAIN) as daemon:
        wait_until('it streams', lambda: pg.sql(SLOT)[:1] and pg.sql(SLOT)[0][0] == 't')
        pg.sql("begin; insert into t select i, repeat('x', 200) from generate_series(1, %d) i; commit" % rows)
        end = lsn(pg.sql('select pg_current_wal_lsn()')[0][0])
        kill_while_it_writes(daemon, 12 << 20, lambda: lsn(pg.sql(SLOT)[0][1]) >= end)
        daemon.start()
        pg.sql('insert into t values (%d)' % (rows + 1))
        end = lsn(pg.sql('select pg_current_wal_lsn()')[0][0])
        wait_until('the last one is confirmed', lambda: lsn(pg.sql(SLOT)[0][1]) >= end, 120)
        same('changes', changes(daemon), [('r', 0)] + [('c', i) for i in range(1, rows + 2)])


def server_restarted(scratch, pg):
    """PostgreSQL stopped at once under the stream, three times: the task waits, says why, and goes on where it was."""
    pg.sql('create table t (id int primary key)')
    with Daemon(scratch, {'shop': CDC % pg.yaml()}) as daemon:
        wait_until('it streams', lambda: pg.sql(SLOT)[:1] and pg.sql(SLOT)[0][0] == 't')
        n = 0
        for round_ in range(3):
            pg.sql('insert into t select generate_series(%d, %d)' % (n, n + 999))
            n += 1000
            if round_ == 1:
                wait_until('it has them', lambda: has_streamed(daemon, n))
            pg._sh('pg_restart "$1" immediate')
            same('state', task(daemon)['state'] in ('RUNNING', 'RESTARTING'), True)
        pg.sql('insert into t values (%d)' % n)
        wait_until('it goes on', lambda: has_streamed(daemon, n + 1), 90)
        same('changes', [i for op, i in changes(daemon) if op == 'c'], list(range(n + 1)))
        wait_until('status is clean again', lambda: daemon.run('status', check=False).returncode == 0)


def slot_dropped(scratch, pg):
    """Without its slot the source stops and says that changes are lost and what to do; it does not begin anew by itself."""
    pg.sql('create table t (id int primary key); insert into t values (1)')
    daemon = Daemon(scratch, {'shop': CDC % pg.yaml()})
    with daemon:
        wait_until('the snapshot is there', lambda: len(changes(daemon)) == 1)
        wait_until('it streams', lambda: pg.sql(SLOT)[:1] and pg.sql(SLOT)[0][0] == 't')
    wait_until('the slot is free', lambda: pg.sql(SLOT)[0][0] == 'f')
    pg.sql("select pg_drop_replication_slot('connectd_shop_db')")
    pg.sql('insert into t values (2)')
    with daemon:
        wait_until('it stops', lambda: task(daemon).get('state') == 'FAILED')
        shown = daemon.run('status', check=False)
        same('exit code of status', shown.returncode, 1)
        for part in ('connectd_shop_db is gone', 'changes may be missing', 'connectd offsets reset shop-db'):
            assert part in shown.stdout, '%r is not in:\n%s' % (part, shown.stdout)
        same('slots', pg.sql('select slot_name from pg_replication_slots'), [])
        # What the hint says.
        daemon.run('stop', 'shop-db')
        daemon.run('offsets', 'reset', 'shop-db')
        daemon.run('resume', 'shop-db')
        wait_until('a new snapshot', lambda: changes(daemon) == [('r', 1), ('r', 1), ('r', 2)])


def operated(scratch, pg):
    """pause, resume, stop, restart and offsets of a source, and what survives a restart of the daemon."""
    pg.sql('create table t (id int primary key)')
    daemon = Daemon(scratch, {'shop': CDC % pg.yaml()})
    with daemon:
        wait_until('it streams', lambda: pg.sql(SLOT)[:1] and pg.sql(SLOT)[0][0] == 't')
        pg.sql('insert into t values (1)')
        wait_until('the first', lambda: has_streamed(daemon, 1))
        daemon.run('pause', 'shop-db')
        same('paused', daemon.states()['shop-db'], ['PAUSED'])
        pg.sql('insert into t values (2)')
        time.sleep(0.5)
        same('nothing is read', changes(daemon), [('c', 1)])
        same('the connection stays', pg.sql(SLOT)[0][0], 't')
        daemon.run('resume', 'shop-db')
        wait_until('the second', lambda: has_streamed(daemon, 2))
        daemon.run('stop', 'shop-db')
        wait_until('the slot is free', lambda: pg.sql(SLOT)[0][0] == 'f')
        pg.sql('insert into t values (3)')
        offsets = daemon.json('offsets', 'get', 'shop-db')
        same('a position', 'lsn' in offsets['offsets'][0]['offset'], True)
        for args in (['offsets', 'reset', 'shop-db', '--dry-run'], ['offsets', 'set', 'shop-db', '--dry-run']):
            done = daemon.run(*args, input=json.dumps(offsets))
            assert 'nothing was changed' in done.stdout, done.stdout
        same('offsets after dry runs', daemon.json('offsets', 'get', 'shop-db'), offsets)
    with daemon:
        same('stopped, also after a restart', daemon.json('status', 'shop-db')['connector']['state'], 'STOPPED')
        daemon.run('resume', 'shop-db')
        wait_until('the third', lambda: has_streamed(daemon, 3))
        done = daemon.run('offsets', 'reset', 'shop-db', check=False)
        same('offsets of what runs are not changed', done.returncode, 1)
        assert 'connectd stop shop-db' in done.stderr, done.stderr
        for _ in range(5):
            daemon.run('restart', 'shop-db')
        pg.sql('insert into t values (4)')
        wait_until('the fourth', lambda: has_streamed(daemon, 4))
        same('changes', changes(daemon), [('c', i) for i in (1, 2, 3, 4)])


def topic_made_again(scratch):
    """What sink and group remember of a deleted topic says nothing about the next one of its name."""
    out = scratch.file('out.jsonl')
    sink = 'pipeline: p\nsinks:\n  f: {connector: file, topics: [t], path: %s, value.converter: string}\n' % out

    def fill(daemon, letter, n, lines):
        daemon.run('topics', 'create', 't')
        daemon.run('produce', 't', input=''.join('%s%d\n' % (letter, i) for i in range(n)))
        wait_until('%d lines' % lines, lambda: os.path.exists(out) and len(open(out).readlines()) >= lines)
    with Daemon(scratch, {'p': sink}, args=['--set', 'offset.flush.interval.ms=50']) as daemon:
        fill(daemon, 'a', 5, 5)
        wait_until('the commit', lambda: daemon.run('offsets', 'get', 'p-f').stdout.split() == ['t/0', '5'])
        daemon.run('topics', 'delete', 't')
        fill(daemon, 'b', 8, 13)
    same('lines', [json.loads(line) for line in open(out)], ['a%d' % i for i in range(5)] + ['b%d' % i for i in range(8)])


CASES = [drains, topic_made_again, snapshot_killed, large_transaction_killed, server_restarted, slot_dropped, operated]


def main():
    print('seed %d' % SEED)
    for case in CASES:
        if len(sys.argv) > 1 and case.__name__ not in sys.argv[1:]:
            continue
        with Scratch('restarts') as scratch:
            if case in (drains, topic_made_again):
                case(scratch)
            else:
                with Postgres(scratch) as pg:
                    case(scratch, pg)
        print('ok %s' % case.__name__, flush=True)


if __name__ == '__main__':
    main()
