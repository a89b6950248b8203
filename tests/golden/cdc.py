#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""cdc.py [CASE [VARIANT]]   what Debezium wrote for the same SQL, record by record, against what connectd has in its log.

cdc/CASE/setup.sql runs before the daemon starts, so that the snapshot sees its rows, workload.sql once it streams; then one row goes
into zz_end. What an older server sends otherwise than the one of the goldens is left out of both sides. cdc/CASE/variants: a golden file's name and the options that differ a line; cdc/CASE/golden/NAME.jsonl: the records.
Prints a line a variant; fails when any record differs. KEEP=1 keeps the scratch folder of a failure.
"""
import json
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '../lib'))
from daemon import Daemon, Postgres, Scratch, wait_until  # noqa: E402
from diff import compare, load  # noqa: E402

CASES = ['changes', 'types']


def pipeline(pg, prefix, options):
    settings = {'topic.prefix': prefix, 'key.converter': 'json', 'value.converter': 'json',
                'key.converter.replace.null.with.default': 'true', 'value.converter.replace.null.with.default': 'true'}
    settings.update(options)
    lines = ['    %s: %s' % (json.dumps(k), json.dumps(v)) for k, v in settings.items()]
    return 'pipeline: golden\nsources:\n  db:\n    connector: postgres-cdc\n    database: %s\n%s\n' % (pg.yaml(), '\n'.join(lines))


def run_file(pg, path):
    subprocess.run(pg.command('psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', pg.db, '-f', path), check=True, stdout=subprocess.DEVNULL)


def streaming(pg, daemon):
    assert daemon.states().get('golden-db') != ['FAILED'], daemon.status()
    return pg.sql("select 1 from pg_stat_replication where state = 'streaming'")


def has_end(daemon, topic):
    done = daemon.run('topics', topic, '--json', check=False)
    return done.returncode == 0 and sum(p['high_watermark'] for p in json.loads(done.stdout)['partitions']) > 0


def beyond(pg):
    """Topics that a server of this age fills otherwise than the one (15) of the goldens."""
    topics = set()
    if pg.version() < 150000:
        topics.add('PREFIX.transaction')  # older ones send empty transactions, too
    if pg.version() < 140000:
        topics.add('PREFIX.message')  # and no logical messages through pgoutput
    return topics


def run(pg, case, name, options):
    """The differences between golden and ours: (identical, total, kinds)."""
    prefix = 'g_%s_%s' % (case, name)
    pg.sql('drop database if exists oracle', db='postgres')
    pg.sql('create database oracle', db='postgres')
    pg.db = 'oracle'
    run_file(pg, os.path.join(HERE, 'cdc', case, 'setup.sql'))
    pg.sql('create table zz_end (id int primary key)')
    with Scratch('golden') as scratch:
        with Daemon(scratch, {'golden': pipeline(pg, prefix, options)}) as daemon:
            wait_until('the connector streams', lambda: streaming(pg, daemon))
            run_file(pg, os.path.join(HERE, 'cdc', case, 'workload.sql'))
            pg.sql('insert into zz_end values (1)')
            wait_until('the last row is in the log', lambda: has_end(daemon, prefix + '.public.zz_end'))
            ours = scratch.file('ours.jsonl')
            with open(ours, 'w') as f:
                for record in daemon.consume(prefix + r'\..*'):
                    f.write(json.dumps(record, ensure_ascii=False) + '\n')
        pg.sql('select pg_drop_replication_slot(slot_name) from pg_replication_slots')
        want, got = load(os.path.join(HERE, 'cdc', case, 'golden', name + '.jsonl')), load(ours, prefix)
        for topic in beyond(pg):
            want.pop(topic, None)
            got.pop(topic, None)
        result = compare(want, got)
    print('%s/%s: %d of %d records identical' % (case, name, result[0], result[1]), flush=True)
    return result


def main(only_case=None, only_name=None):
    failed = 0
    with Scratch('golden-pg') as scratch, Postgres(scratch, 'first') as pg:
        for case in CASES:
            for line in open(os.path.join(HERE, 'cdc', case, 'variants')):
                name, *options = line.split()
                if only_case in (None, case) and only_name in (None, name):
                    failed += run(pg, case, name, dict(o.split('=', 1) for o in options))[2] != 0
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
