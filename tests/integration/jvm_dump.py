#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Apache Kafka's DumpLogSegments reads a log of ours: every batch and record, index entries, aborted transactions, producer snapshots, and
the internal topics' records by their decoders. It finds all records, nothing to complain about, and the same as log-dump row by row."""
import glob
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '../lib'))
from daemon import BUILD, Scratch  # noqa: E402
from kafka import jars, tool  # noqa: E402
from kafka_dump import compare  # noqa: E402

WANTED = ['records', 'records in words', 'epochs', 'COMMIT', 'ABORT', 'delete horizons', 'codec gzip', 'codec snappy', 'codec lz4', 'codec zstd',
          'rows of .index', 'rows of .timeindex', 'rows of .txnindex', 'rows of .snapshot']


def indexes_are_sound(log):
    """Kafka's own checks of an index: against the log beside it, and those of a broker's start. They print the names of the files and no more."""
    files = [p for p in glob.glob(log + '/*/*.index') + glob.glob(log + '/*/*.timeindex') if os.path.getsize(p[:p.rindex('.')] + '.log')]
    for option in ('--verify-index-only', '--index-sanity-check'):
        for line in tool('org.apache.kafka.tools.DumpLogSegments', option, '--files', ','.join(files)).splitlines():
            assert line.startswith('Dumping ') or line.endswith(('passed sanity check.', 'is empty.')), '%s: %s' % (option, line)


def main():
    jars()
    with Scratch('jvm-dump') as scratch:
        log = scratch.file('log')
        os.mkdir(log)
        made = subprocess.run([BUILD + '/tests/integration/jvm_dump_store', log], stdout=subprocess.PIPE, text=True, check=True)
        indexes_are_sound(log)
        seen, rows = compare(log)
        for line in made.stdout.splitlines():
            partition, count, _ = line.split()
            saw = sum('keySize' in row for path, found in rows.items() if '/%s/' % partition in path for row in found)
            assert saw == int(count), '%s: Kafka saw %d records of %s' % (partition, saw, count)
    missing = [what for what in WANTED if not seen[what]]
    assert not missing, 'there was nothing of these to compare: %s' % missing
    print('Kafka sees the same in our log: ' + ', '.join('%d %s' % (n, what) for what, n in sorted(seen.items())))


main()
