#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""cdc_kill.py [KILLS] [SEED]: pgbench load, `kill -9` of connectd at random while it streams.

Oracles: the tables themselves, and a test_decoding slot of our own made before anything streams.
 - folding each topic by key gives exactly the table;
 - every streamed change is in the log exactly once;
 - no sample of the slot's confirmed position was ahead of what the log had durable, nor of what it recovered after a kill.
"""
import collections
import json
import os
import random
import re
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../lib'))
from daemon import Daemon, Postgres, Scratch, wait_until  # noqa: E402

KILLS = int(sys.argv[1]) if len(sys.argv) > 1 else int(os.environ.get('KILLS', '8'))
SEED = int(sys.argv[2]) if len(sys.argv) > 2 else int(os.environ.get('SEED', str(int(time.time()))))
TABLES = {'pgbench_accounts': ['aid'], 'pgbench_branches': ['bid'], 'pgbench_tellers': ['tid'], 'pgbench_history': None}
PIPELINE = '''pipeline: bank
sources:
  db:
    connector: postgres-cdc
    database: %s
    topic.prefix: bank
    table.include.list: [%s]
'''


def lsn(text):
    high, low = text.split('/')
    return (int(high, 16) << 32) + int(low, 16)


class Sampler(threading.Thread):
    """Reads the slot's confirmed position, and after it what the log has: (confirmed, stored). The server is asked over one connection."""

    def __init__(self, pg, daemon):
        super().__init__(daemon=True)
        self.daemon_, self.samples, self.ending = daemon, [], False
        self.psql = subprocess.Popen(pg.command('psql', '-X', '-q', '-At', '-d', pg.db), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def confirmed(self):
        self.psql.stdin.write("select confirmed_flush_lsn from pg_replication_slots where slot_name = 'connectd_bank_db';\n")
        self.psql.stdin.flush()
        return lsn(self.psql.stdout.readline().strip())

    def run(self):
        while not self.ending:
            confirmed = self.confirmed()
            stored = self.daemon_.run('offsets', 'get', 'bank-db', '--json', check=False)
            if stored.returncode == 0:  # else the daemon is down just now
                self.samples.append((confirmed, int(json.loads(stored.stdout)['offsets'][0]['offset']['lsn'])))
        self.psql.stdin.close()
        self.psql.wait()


def check_samples(samples, commits):
    """No commit of ours lies between what was stored and what was confirmed."""
    assert len(samples) > KILLS, 'only %d samples' % len(samples)
    assert len({confirmed for confirmed, _ in samples}) > KILLS // 2, 'the slot hardly ever moved'
    for confirmed, stored in samples:
        ahead = [c for c in commits if stored < c <= confirmed]
        assert not ahead, 'the slot was confirmed up to %x while the log had %x: %d commits could have been lost' % (confirmed, stored, len(ahead))


def recovered(pg, daemon, samples):
    """With the daemon dead: (confirmed, what a start without pipelines finds in the log)."""
    confirmed = lsn(pg.sql("select confirmed_flush_lsn from pg_replication_slots where slot_name = 'connectd_bank_db'")[0][0])
    files, daemon.files = daemon.files, []
    daemon.start()
    samples.append((confirmed, int(daemon.json('offsets', 'get', 'bank-db')['offsets'][0]['offset']['lsn'])))
    daemon.kill()
    daemon.files = files


def read_oracle(pg):
    """Changes by (table, op, xid) and the commits' positions, from the slot `oracle`."""
    changes, commits, dirty = collections.Counter(), [], False
    for position, xid, data in pg.sql("select lsn, xid, data from pg_logical_slot_get_changes('oracle', null, null, 'skip-empty-xacts', '1')"):
        m = re.match(r'table public\.(\w+): (INSERT|UPDATE|DELETE)', data)
        if m and m.group(1) in TABLES:
            changes[(m.group(1), m.group(2)[0].lower().replace('i', 'c'), int(xid))] += 1
            dirty = True
        elif data.startswith('COMMIT') and dirty:
            commits.append(lsn(position))
            dirty = False
    return changes, commits


def fold(daemon):
    """The tables as the topics tell them, and the streamed changes."""
    tables = {t: {} if key else collections.Counter() for t, key in TABLES.items()}
    changes = collections.Counter()
    for r in daemon.consume(r'bank\.public\..*'):
        table, value = r['topic'].split('.')[-1], r['value']
        if value is None:
            continue
        if value['op'] != 'r':
            changes[(table, value['op'], value['source']['txId'])] += 1
        if TABLES[table] is None:
            tables[table][json.dumps(value['after'], sort_keys=True)] += 1
        elif value['op'] == 'd':
            tables[table].pop(json.dumps(r['key']), None)
        else:
            tables[table][json.dumps(r['key'])] = value['after']
    return tables, changes


def check_tables(pg, tables):
    for table, key in TABLES.items():
        columns = {'pgbench_history': 'tid, bid, aid, delta'}.get(table, ', '.join({'pgbench_accounts': ['aid', 'bid', 'abalance'],
                   'pgbench_branches': ['bid', 'bbalance'], 'pgbench_tellers': ['tid', 'bid', 'tbalance']}.get(table, [])))
        names = columns.split(', ')
        want = collections.Counter(tuple(row) for row in pg.sql('select %s from %s' % (columns, table)))
        if key:
            got = collections.Counter(tuple(str(row[n]) for n in names) for row in tables[table].values())
        else:
            got = collections.Counter()
            for row, n in tables[table].items():
                row = json.loads(row)
                got[tuple(str(row[c]) for c in names)] += n
        missing, extra = want - got, got - want
        assert not missing and not extra, '%s: %d rows missing, %d too many, e.g. %s / %s' % (
            table, sum(missing.values()), sum(extra.values()), list(missing)[:2], list(extra)[:2])


def main():
    random.seed(SEED)
    print('seed %d, %d kills' % (SEED, KILLS), flush=True)
    with Scratch('cdc') as scratch, Postgres(scratch) as pg:
        subprocess.run(pg.command('pgbench', '-i', '-q', '-s', '1', pg.db), check=True, capture_output=True)
        pg.sql("select pg_create_logical_replication_slot('oracle', 'test_decoding')")
        start = pg.sql('select pg_current_wal_lsn()')[0][0]
        with Daemon(scratch, {'bank': PIPELINE % (pg.yaml(), ', '.join('public.' + t for t in TABLES))}) as daemon:
            wait_until('the snapshot is done', lambda: daemon.run('offsets', 'get', 'bank-db', '--json', check=False).stdout.count('"lsn"') > 0, 120)
            pg.sql('select 1')
            load = subprocess.Popen(pg.command('pgbench', '-n', '-c', '4', '-j', '2', '-T', '100000', '-R', '400', pg.db), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            sampler = Sampler(pg, daemon)
            sampler.start()
            moved, before = 0, 0
            try:
                for k in range(KILLS):
                    time.sleep(random.uniform(0.05, 0.9))
                    daemon.kill()
                    moved += sampler.samples[-1:] != before
                    before = sampler.samples[-1:]
                    time.sleep(random.choice([0, 0, 0.2]))
                    if k % 2:
                        recovered(pg, daemon, sampler.samples)
                    if random.random() < 0.2:  # while it recovers, or connects
                        daemon.spawn()
                        time.sleep(random.uniform(0, 0.2))
                        daemon.kill()
                    daemon.start()
            finally:
                load.terminate()
                load.wait()
            pg.sql('update pgbench_branches set bbalance = bbalance')
            end = lsn(pg.sql('select pg_current_wal_lsn()')[0][0])
            wait_until('everything is streamed', lambda: lsn(pg.sql("select coalesce(confirmed_flush_lsn, '0/0') from pg_replication_slots where slot_name = 'connectd_bank_db'")[0][0]) >= end, 120)
            sampler.ending = True
            sampler.join()
            want, commits = read_oracle(pg)
            tables, got = fold(daemon)
        check_tables(pg, tables)
        missing, extra = want - got, got - want
        assert not missing and not extra, 'streamed changes: %d missing, %d too many, e.g. %s / %s' % (
            sum(missing.values()), sum(extra.values()), list(missing.items())[:3], list(extra.items())[:3])
        check_samples(sampler.samples, commits)
        print('%d kills, %d of them after new commits, %d streamed changes in %d transactions since %s, each in the log exactly once; tables equal; %d samples of the slot, none ahead of the log'
              % (KILLS, moved, sum(want.values()), len(commits), start, len(sampler.samples)))
        assert moved > KILLS // 2, 'most kills came before anything was streamed'


if __name__ == '__main__':
    main()
