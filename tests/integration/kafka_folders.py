#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""log-dump reads the folders of Apache Kafka: every batch, record, index entry, aborted transaction, producer and epoch that Kafka's own
DumpLogSegments prints of a broker that was restarted once and then killed, and nothing else."""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '../lib'))
from daemon import Scratch, wait_until  # noqa: E402
from kafka import Kafka, tool  # noqa: E402
from kafka_dump import compare  # noqa: E402

WANTED = ['records', 'records in words', 'epochs', 'COMMIT', 'ABORT', 'LeaderChange', 'SnapshotHeader', 'KRaftVersion', 'delete horizons',
          'codec gzip', 'codec snappy', 'codec lz4', 'codec zstd', 'rows of .index', 'rows of .timeindex', 'rows of .txnindex', 'rows of .snapshot']


def main():
    with Scratch('kafka-folders') as scratch:
        kafka = Kafka(scratch, {'offsets.topic.num.partitions': 3, 'transaction.state.log.num.partitions': 3, 'log.cleaner.backoff.ms': 100,
                                'metadata.log.max.snapshot.interval.ms': 1000})
        fill = os.path.join(HERE, 'KafkaFill.java')
        first = os.path.join(kafka.data, 'compacted-0/00000000000000000000.log')
        with kafka:
            tool(fill, kafka.bootstrap, 'first')
        with kafka:
            tool(fill, kafka.bootstrap, 'second')
            wait_until('the cleaner was there', lambda: os.path.getsize(first) < 20000)
            kafka.kill()  # indexes of active segments keep the zeros that Kafka reserved
        seen, _ = compare(kafka.data)
    missing = [what for what in WANTED if not seen[what]]
    assert not missing, 'there was nothing of these to compare: %s' % missing
    print('the same as Kafka sees: ' + ', '.join('%d %s' % (n, what) for what, n in sorted(seen.items())))


main()
