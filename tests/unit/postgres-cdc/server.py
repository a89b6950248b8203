#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""server.py [CASE …]   postgres-cdc in the daemon against a real PostgreSQL: what a scripted server cannot show.

Each case is a function; its name says what holds. With names it runs only those that contain one of them.
"""
import json
import os
import random
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../lib'))
from daemon import Daemon, Postgres, Scratch, wait_until  # noqa: E402


def pipeline(pg, *options, user='postgres', password='unused'):
    return '''pipeline: t
sources:
  db:
    connector: postgres-cdc
    database: {hostname: 127.0.0.1, port: %s, dbname: %s, user: %s, password: %s}
    topic.prefix: t
%s''' % (pg.port, pg.db, user, password, ''.join('    %s\n' % o for o in options))


def task(daemon):
    """The only task of the only connector: its state, trace and hint in one dict. A daemon just started may know of none yet."""
    connectors = daemon.status()['connectors'] or [{'state': 'UNASSIGNED', 'tasks': []}]
    return (connectors[0]['tasks'] or connectors)[0]


def streams(pg):
    return pg.sql("select 1 from pg_stat_replication where state = 'streaming'")


def wait_streaming(pg, daemon):
    def there():
        assert task(daemon)['state'] != 'FAILED', task(daemon)
        return streams(pg)
    wait_until('the connector streams', there, 120)


def wait_failed(daemon, *parts):
    wait_until('the task failed', lambda: task(daemon)['state'] == 'FAILED', 60)
    text = json.dumps(task(daemon))
    for part in parts:
        assert part in text, 'no "%s" in %s' % (part, text)


def wait_marker(pg, daemon):
    """Everything committed before this call is in the log afterwards."""
    pg.sql('insert into marker values (default)')
    n = int(pg.sql('select max(id) from marker')[0][0])

    def seen():
        done = daemon.run('topics', 't.public.marker', '--json', check=False)
        return done.returncode == 0 and sum(p['high_watermark'] for p in json.loads(done.stdout)['partitions']) >= n
    wait_until('the marker is in the log', seen, 120)


def fresh(pg, name):
    """A database of its own for a case; slots of the one before are gone."""
    for slot in pg.sql('select slot_name from pg_replication_slots', db='postgres'):
        pg.sql("select pg_drop_replication_slot('%s')" % slot[0], db='postgres')
    pg.db = name[:60]
    pg.sql('create database "%s"' % pg.db, db='postgres')
    pg.sql('create table marker (id serial primary key)')


def fold(records, key='id'):
    """Rows by key after applying the records in order. Every update must raise v by one: none is missing, none comes twice."""
    rows, seen = {}, 0
    for r in records:
        value = r['value']
        if value is None:
            continue
        seen += 1
        after, op = value['after'], value['op']
        k = r['key'][key]
        if op == 'd':
            assert k in rows, 'delete of %s, which is not there' % k
            del rows[k]
        elif op == 'u':
            assert rows[k]['v'] + 1 == after['v'], 'row %s went from %s to %s' % (k, rows[k], after)
            rows[k] = after
        else:
            assert k not in rows, '%s of %s, which is there already: %s' % (op, k, rows[k])
            rows[k] = after
    return rows, seen


def check_table(pg, daemon, table):
    rows, seen = fold(daemon.consume(r't\.public\.' + table))
    want = {int(i): int(v) for i, v in pg.sql('select id, v from %s' % table)}
    assert {k: r['v'] for k, r in rows.items()} == want, 'table %s is not what its records give' % table
    return seen


class Load(threading.Thread):
    """Small transactions on tables a, b and c, some rolled back as a whole or in part, until told to stop."""

    def __init__(self, pg, seed):
        super().__init__(daemon=True)
        self.pg, self.random, self.ending, self.transactions = pg, random.Random(seed), False, 0

    def statement(self):
        r, t = self.random, self.random.choice('abc')
        kind = r.randrange(10)
        if kind < 7:
            return 'update %s set v = v + 1 where id = %d;' % (t, r.randrange(20000))
        if kind == 7:
            return 'delete from %s where id = %d;' % (t, r.randrange(20000))
        if kind == 8:
            return 'insert into %s values (%d, 0) on conflict do nothing;' % (t, r.randrange(20000))
        return 'savepoint s; update %s set v = v + 1 where id %% 1000 = %d; %s s;' % (t, r.randrange(1000), r.choice(['rollback to', 'release']))

    def run(self):
        psql = subprocess.Popen(self.pg.command('psql', '-X', '-q', '-d', self.pg.db), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        while not self.ending:
            body = ' '.join(self.statement() for _ in range(self.random.randrange(1, 6)))
            psql.stdin.write('begin; %s %s;\n' % (body, self.random.choice(['commit'] * 9 + ['rollback'])))
            psql.stdin.flush()
            self.transactions += 1
            time.sleep(0.001)
        psql.stdin.close()
        psql.wait()

    def stop(self):
        self.ending = True
        self.join()


def snapshot_and_stream_meet_exactly_under_load_and_kills(pg, scratch):
    for t in 'abc':
        pg.sql("create table %s (id int primary key, v int, filler text)" % t)
        pg.sql("insert into %s select i, 0, repeat('x', 200) from generate_series(0, 19999) i" % t)
    load = Load(pg, 7)
    load.start()
    daemon = Daemon(scratch, {'t': pipeline(pg)})
    daemon.start()
    for kill in range(6):
        time.sleep(0.05 + 0.1 * kill)
        daemon.kill()
        daemon.start()
    wait_streaming(pg, daemon)
    time.sleep(1)
    for _ in range(3):
        daemon.kill()
        time.sleep(0.2)
        daemon.start()
        wait_streaming(pg, daemon)
    load.stop()
    wait_marker(pg, daemon)
    seen = sum(check_table(pg, daemon, t) for t in 'abc')
    daemon.stop()
    return '%d transactions, %d records' % (load.transactions, seen)


def large_transactions_with_savepoints_are_streamed_and_folded(pg, scratch):
    pg.sql("create table a (id int primary key, v int, filler text)")
    pg.sql("alter system set logical_decoding_work_mem = '64kB'", db='postgres')
    pg.sql('select pg_reload_conf()')
    with Daemon(scratch, {'t': pipeline(pg, 'spool.memory.bytes: 65536')}) as daemon:
        wait_streaming(pg, daemon)
        sessions = []
        for n in range(3):  # interleaved, each far larger than what is kept in memory; parts are undone
            p = subprocess.Popen(pg.command('psql', '-X', '-q', '-d', pg.db), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
            base = n * 100000
            p.stdin.write("begin; insert into a select %d + i, 0, repeat('y', 100) from generate_series(0, 9999) i;\n" % base)
            p.stdin.write('savepoint one; update a set v = v + 1 where id between %d and %d;\n' % (base, base + 9999))
            p.stdin.write("savepoint two; insert into a select %d + i, 5, 'undone' from generate_series(20000, 24999) i; rollback to two;\n" % base)
            p.stdin.write('update a set v = v + 1 where id between %d and %d;\n' % (base, base + 4999))
            p.stdin.write("savepoint three; delete from a where id between %d and %d; %s three;\n" % (base + 9000, base + 9999, 'rollback to' if n == 1 else 'release'))
            p.stdin.flush()
            sessions.append(p)
        time.sleep(1)
        pg.sql("insert into a values (-1, 0, 'between')")
        for n, p in enumerate(sessions):
            p.stdin.write('rollback;\n' if n == 2 else 'commit;\n')
            p.stdin.close()
            assert p.wait() == 0
        wait_marker(pg, daemon)
        streamed = 0
        if pg.version() >= 140000:  # older servers do not stream, and send each transaction whole at its end
            streamed = int(pg.sql('select coalesce(sum(stream_txns), 0) from pg_stat_replication_slots')[0][0])
            assert streamed >= 3, 'the server streamed %d transactions: this test shows nothing' % streamed
        seen = check_table(pg, daemon, 'a')
    pg.sql('alter system reset logical_decoding_work_mem', db='postgres')
    pg.sql('select pg_reload_conf()')
    return '%d streamed transactions, %d records' % (streamed, seen)


def statements_of_applications_do_not_fail(pg, scratch):
    pg.sql('create table nokey (a int, v int)')
    pg.sql('create table keyed (id int primary key, v int)')
    pg.sql('insert into nokey values (1, 1)')
    with Daemon(scratch, {'t': pipeline(pg)}) as daemon:
        wait_streaming(pg, daemon)
        pg.sql('update nokey set v = 2')
        pg.sql('delete from nokey')
        pg.sql('insert into nokey values (2, 2)')
        pg.sql('insert into keyed values (1, 0)')
        pg.sql('alter table keyed add column w int default 3')
        pg.sql('insert into keyed values (2, 0)')
        pg.sql('drop table keyed')
        wait_marker(pg, daemon)
        ops = [r['value']['op'] for r in daemon.consume(r't\.public\.nokey')]
        assert ops == ['r', 'c'], ops
        rows = [r['value']['after'] for r in daemon.consume(r't\.public\.keyed')]
        assert rows == [{'id': 1, 'v': 0}, {'id': 2, 'v': 0, 'w': 3}], rows
    return 'update, delete, alter, drop'


def the_least_rights_suffice_and_each_missing_one_is_named(pg, scratch):
    pg.sql('create table shop (id int primary key, v int)')
    pg.sql('insert into shop values (1, 0)')
    pg.sql("create role guest login", db='postgres')
    options = ['publication.autocreate.mode: disabled', 'publication.name: pub', 'table.include.list: [public.shop]']
    with Daemon(scratch, {'t': pipeline(pg, *options, user='guest')}) as daemon:
        wait_failed(daemon, 'ALTER ROLE', 'REPLICATION')
        pg.sql('alter role guest replication', db='postgres')
        daemon.run('restart', 't-db')
        wait_failed(daemon, 'publication pub does not exist', 'CREATE PUBLICATION')
        pg.sql('create publication pub for table marker')
        daemon.run('restart', 't-db')
        wait_failed(daemon, 'publication pub lacks tables', 'public.shop', 'ADD TABLE')
        pg.sql('alter publication pub add table shop')
        daemon.run('restart', 't-db')
        wait_failed(daemon, 'permission denied for table shop', 'GRANT SELECT')
        pg.sql('grant select on shop to guest')
        daemon.run('restart', 't-db')
        wait_streaming(pg, daemon)
        pg.sql('insert into shop values (2, 0)')
        wait_until('both rows', lambda: len(list(daemon.consume(r't\.public\.shop'))) == 2)
    with Scratch('cdc-own') as other, Daemon(other, {'t': pipeline(pg, 'table.include.list: [public.shop]', 'slot.name: own', user='guest')}) as daemon:
        wait_failed(daemon, 'role guest may not make publication', 'let the owner of the tables run: CREATE PUBLICATION')
    return 'REPLICATION, publication, SELECT'


def a_slot_that_is_gone_or_made_anew_is_never_passed_over(pg, scratch):
    pg.sql('create table a (id int primary key, v int)')
    pg.sql('insert into a values (1, 0)')
    daemon = Daemon(scratch, {'t': pipeline(pg)})
    with daemon:
        wait_streaming(pg, daemon)
        wait_marker(pg, daemon)
    pg.sql("select pg_drop_replication_slot('connectd_t_db')")
    pg.sql('insert into a values (2, 0)')
    with daemon:
        wait_failed(daemon, 'replication slot connectd_t_db is gone', 'connectd offsets reset t-db')
    pg.sql("select pg_create_logical_replication_slot('connectd_t_db', 'pgoutput')")
    with daemon:
        wait_failed(daemon, 'made anew or read by somebody else')
    pg.sql("select pg_drop_replication_slot('connectd_t_db')")
    daemon.files = [scratch.file('t.yaml', pipeline(pg, 'snapshot.mode: when_needed'))]
    with daemon:
        wait_streaming(pg, daemon)
        wait_until('the rows again', lambda: [r['key']['id'] for r in daemon.consume(r't\.public\.a')] == [1, 1, 2])
    return 'dropped, recreated, when_needed'


def a_slot_invalidated_by_the_server_is_said_to_be(pg, scratch):
    pg.sql('create table a (id int primary key, v int)')
    daemon = Daemon(scratch, {'t': pipeline(pg)})
    with daemon:
        wait_streaming(pg, daemon)
        wait_marker(pg, daemon)
    pg.sql("alter system set max_slot_wal_keep_size = '1MB'", db='postgres')
    pg.sql('select pg_reload_conf()')
    for _ in range(4):
        pg.sql('select pg_switch_wal()')
        pg.sql("insert into a select coalesce(max(id), 0) + 1, 0 from a")
    pg.sql('checkpoint')
    wait_until('the slot is lost', lambda: pg.sql("select 1 from pg_replication_slots where wal_status = 'lost'"))
    with daemon:
        wait_failed(daemon, 'invalidated by the server', 'connectd offsets reset')
    pg.sql('alter system reset max_slot_wal_keep_size', db='postgres')
    pg.sql('select pg_reload_conf()')
    return 'max_slot_wal_keep_size'


def the_server_can_stop_at_any_time_and_nothing_is_lost(pg, scratch):
    pg.sql('create table a (id int primary key, v int)')
    slowest = 0
    with Daemon(scratch, {'t': pipeline(pg)}) as daemon:
        wait_streaming(pg, daemon)
        for i, mode in enumerate(['fast', 'immediate', 'fast', 'smart']):
            pg.sql('insert into a select %d + i, 0 from generate_series(0, 999) i' % (i * 1000))
            start = time.time()
            pg._sh('pg_restart "$1" %s' % mode)
            slowest = max(slowest, time.time() - start)
            wait_streaming(pg, daemon)
            pg.sql('update a set v = v + 1')
        wait_marker(pg, daemon)
        check_table(pg, daemon, 'a')
    assert slowest < 30, 'the server took %.1f s to restart' % slowest
    return 'slowest restart %.1f s' % slowest


def wal_of_other_databases_does_not_pile_up(pg, scratch):
    pg.sql('create table a (id int primary key, v int)')
    pg.sql('create table elsewhere (i int)', db='postgres')
    with Daemon(scratch, {'t': pipeline(pg, 'table.include.list: [public.a, public.marker]')}) as daemon:
        wait_streaming(pg, daemon)
        pg.sql('insert into elsewhere select generate_series(1, 200000)', db='postgres')
        end = pg.sql('select pg_current_wal_lsn()')[0][0]
        wait_until('the slot has moved past it', lambda: pg.sql("select 1 from pg_replication_slots where confirmed_flush_lsn >= '%s'" % end), 60)
        offset = int(daemon.json('offsets', 'get', 't-db')['offsets'][0]['offset']['lsn'])
        confirmed = int(pg.sql("select confirmed_flush_lsn - '0/0' from pg_replication_slots")[0][0])
        assert confirmed <= offset, 'confirmed %d, stored %d' % (confirmed, offset)
    pg.sql('drop table elsewhere', db='postgres')
    return 'no heartbeat needed'


CASES = [snapshot_and_stream_meet_exactly_under_load_and_kills, large_transactions_with_savepoints_are_streamed_and_folded,
         statements_of_applications_do_not_fail, the_least_rights_suffice_and_each_missing_one_is_named,
         a_slot_that_is_gone_or_made_anew_is_never_passed_over, a_slot_invalidated_by_the_server_is_said_to_be,
         the_server_can_stop_at_any_time_and_nothing_is_lost, wal_of_other_databases_does_not_pile_up]


def main(wanted):
    failed = 0
    with Scratch('cdc-pg') as home, Postgres(home, 'first') as pg:
        for case in CASES:
            if wanted and not any(w in case.__name__ for w in wanted):
                continue
            start = time.time()
            try:
                with Scratch('cdc') as scratch:
                    fresh(pg, case.__name__)
                    said = case(pg, scratch)
                print('ok %s: %s (%.1f s)' % (case.__name__, said, time.time() - start), flush=True)
            except (AssertionError, KeyError, IndexError) as e:
                failed += 1
                print('FAILED %s: %s: %s' % (case.__name__, type(e).__name__, e), flush=True)
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
