#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""kafka.py [SECONDS]   Apache Kafka beside the store: writers that send a record and wait for its acknowledgement, to one partition.

Kafka with flush.messages=1 (durable, as ours always is), Kafka as it comes (acknowledged from memory), and the store take turns, three
times each; medians are shown. Kafka's writers speak to it over loopback; the store is in its writers' process.
"""
import os
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '../../lib'))
from daemon import BUILD, Scratch  # noqa: E402
from kafka import Kafka, jars, tool  # noqa: E402

ROUNDS = 3


def kafka_run(race, topic, size, writers, seconds):
    race.stdin.write('%s %d %d %s\n' % (topic, size, writers, seconds))
    race.stdin.flush()
    return [float(n) for n in race.stdout.readline().split()]


def store_run(scratch, size, writers, seconds):
    folder = scratch.file('store')
    done = subprocess.run([BUILD + '/tests/bench/store/store_append', folder, str(seconds), '1', str(size), '1', str(writers)],
                          stdout=subprocess.PIPE, text=True, check=True)
    found = done.stdout.splitlines()[-1].split('|')[1].split()
    return [float(found[i]) for i in (3, 0, 1, 2)]


def main():
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 1
    with Scratch('store-kafka') as scratch, Kafka(scratch, heap='1g') as kafka:
        for topic, settings in (('flushed', ['--config', 'flush.messages=1']), ('cached', [])):
            tool('org.apache.kafka.tools.TopicCommand', '--bootstrap-server', kafka.bootstrap, '--create', '--topic', topic, '--partitions', '1', *settings)
        race = subprocess.Popen(['java', '-Xmx512m', '-cp', jars(), os.path.join(HERE, 'KafkaRace.java'), kafka.bootstrap], text=True,
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        for topic in ('flushed', 'cached'):
            kafka_run(race, topic, 100, 8, 3)  # until it is compiled
        sides = {'Kafka, flush.messages=1': lambda *cell: kafka_run(race, 'flushed', *cell), 'Kafka, not synced': lambda *cell: kafka_run(race, 'cached', *cell),
                 'store, synced': lambda *cell: store_run(scratch, *cell)}
        print('%5s %3s  %-24s %10s | %8s %8s %8s us' % ('bytes', 'wr', '', 'records/s', 'p50', 'p99', 'p99.9'))
        for size in (100, 1024):
            for writers in (1, 8, 64):
                runs = {name: [] for name in sides}
                for _ in range(ROUNDS):
                    for name, run in sides.items():
                        runs[name].append(run(size, writers, seconds))
                for name, found in runs.items():
                    print('%5d %3d  %-24s %10.0f | %8.0f %8.0f %8.0f' % (size, writers, name, *(statistics.median(column) for column in zip(*found))), flush=True)
        race.stdin.close()
        race.wait()


main()
