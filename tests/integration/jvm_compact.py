#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Apache Kafka's broker compacts the same segments as we do, round after round, and the same records survive.

Batches of every codec, with tombstones, headers, idempotent producers, committed and aborted transactions, are appended to a store of ours; the files of
its segments are put into a partition's folder of a stopped broker, which recovers them and lets its log cleaner loose. Then both sides hold the same
offsets, timestamps, keys, values and headers. A second store with memory for forty keys gets there in many rounds. Both refuse records without keys.
Exit status 77 (skipped) without Java and Kafka's jars."""
import glob
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '../lib'))
from daemon import BUILD, free_port, wait_until  # noqa: E402

TOOL = os.path.join(BUILD, 'tests/integration/jvm_compact_store')
ROUNDS, SEED = 3, os.environ.get('SEED', '1')
PROPERTIES = '''process.roles=broker,controller
node.id=1
controller.quorum.voters=1@localhost:{controller}
listeners=PLAINTEXT://localhost:{port},CONTROLLER://localhost:{controller}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs={data}
offsets.topic.replication.factor=1
log.cleaner.backoff.ms=100
'''
TOPIC = ['--partitions', '1', '--config', 'cleanup.policy=compact', '--config', 'min.cleanable.dirty.ratio=0', '--config', 'delete.retention.ms=0']


class Broker:
    def __init__(self, jars, top):
        self.jars, self.data, self.port = jars, os.path.join(top, 'kafka'), free_port()
        self.folder, self.log = os.path.join(self.data, 't-0'), os.path.join(top, 'kafka.out')
        self.properties = os.path.join(top, 'server.properties')
        with open(self.properties, 'w') as f:
            f.write(PROPERTIES.format(port=self.port, controller=free_port(), data=self.data))
        self.tool('kafka.tools.StorageTool', 'format', '-t', 'MkU3OEVBNTcwNTJENDM2Qk', '-c', self.properties)

    def java(self, main, *args):
        return ['java', '-Xmx512m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-cp', self.jars + '/*', main, *args]

    def tool(self, main, *args, check=True, **more):
        done = subprocess.run(self.java(main, *args), capture_output=True, text=True, timeout=120, **more)
        if done.returncode and check:
            raise AssertionError('%s: %s%s' % (main, done.stdout, done.stderr))
        return done.stdout + done.stderr

    def start(self):
        with open(self.log, 'a') as log:
            self.process = subprocess.Popen(self.java('kafka.Kafka', self.properties), stdout=log, stderr=log)

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def topics(self, *args):
        return self.tool('org.apache.kafka.tools.TopicCommand', '--bootstrap-server', 'localhost:%d' % self.port, *args)

    def cleaned_to(self):
        """How far its cleaner says to have got."""
        try:
            with open(os.path.join(self.data, 'cleaner-offset-checkpoint')) as f:
                return max([int(line.split()[2]) for line in f if line.startswith('t 0 ')], default=-1)
        except FileNotFoundError:
            return -1

    def take(self, ours, base):
        """The segments of ours from `base` on become its own; what it knows of its own is left to its recovery."""
        stale = [p for p in os.listdir(self.folder) if p[0].isdigit() and (int(p[:20]) >= base or p.endswith('.snapshot'))]
        for name in stale:
            os.unlink(os.path.join(self.folder, name))
        for path in sorted(glob.glob(ours + '/*.log')):
            if int(os.path.basename(path)[:20]) >= base:
                with open(path, 'rb') as f, open(os.path.join(self.folder, os.path.basename(path)), 'wb') as to:
                    to.write(f.read())
        for name in ('.kafka_cleanshutdown', 'recovery-point-offset-checkpoint'):
            if os.path.exists(os.path.join(self.data, name)):
                os.unlink(os.path.join(self.data, name))


class Keeper:
    """Our two stores."""

    def __init__(self, top):
        self.top = top
        self.process = subprocess.Popen([TOOL, 'keep', top, SEED], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, what):
        self.process.stdin.write(what + '\n')
        self.process.stdin.flush()
        answer = self.process.stdout.readline().split()
        if not answer:
            raise AssertionError('%s: it ended with %s' % (what, self.process.wait()))
        return [int(n) for n in answer]

    def folder(self, name):
        return os.path.join(self.top, name, 't-0')

    def end(self):
        self.process.stdin.close()
        if self.process.wait(60):
            raise AssertionError('the stores ended with %d' % self.process.returncode)


def survivors(folder):
    return subprocess.run([TOOL, 'survivors', folder], capture_output=True, text=True, check=True).stdout.splitlines()


def values(lines):
    return [line for line in lines if line.split()[3] != '-']


def same(what, ours, theirs):
    if ours != theirs:
        only = sorted(set(ours) ^ set(theirs), key=lambda line: int(line.split()[0]))
        raise AssertionError('%s: %d records, Kafka has %d; first of those that one side alone has: %s' % (what, len(ours), len(theirs), only[:3]))


def produce(broker):
    """A record with a key, which the broker takes, and then one without."""
    broker.tool('org.apache.kafka.tools.ConsoleProducer', '--bootstrap-server', 'localhost:%d' % broker.port, '--topic', 't', '--sync',
                '--reader-property', 'parse.key=true', '--reader-property', 'ignore.error=true', input='key\tgood\nno key\n', check=False)


def only_the_first(lines, count):
    assert len(lines) == count + 1 and lines[-1].split()[2:] == ['=' + b'key'.hex(), '=' + b'good'.hex()], 'Kafka took: %s' % lines[count:]
    return lines[:count]


def main(jars, top):
    broker, keeper, sums = Broker(jars, top), Keeper(top), [0, 0, 0, 0]
    broker.start()
    try:
        wait_until('the broker makes a topic', lambda: os.path.isdir(broker.folder) or broker.topics('--create', '--topic', 't', *TOPIC) and False, 120, 1)
        broker.stop()
        base = 0
        for n in range(ROUNDS):
            active, end = keeper.ask('round')
            broker.take(keeper.folder('whole'), base)
            before = survivors(broker.folder)
            broker.start()
            wait_until('the broker compacts to %d' % end, lambda: broker.cleaned_to() >= end, 120, 0.2)
            if n == ROUNDS - 1:
                produce(broker)
            broker.stop()
            parts = keeper.ask('compact')[0]
            theirs, ours = survivors(broker.folder), survivors(keeper.folder('whole'))
            if n == ROUNDS - 1:
                theirs = only_the_first(theirs, len(ours))
            same('round %d' % (n + 1), ours, theirs)
            same('round %d, in parts' % (n + 1), values(survivors(keeper.folder('parts'))), values(theirs))
            if not len(theirs) < len(before) or parts < 3:
                raise AssertionError('nothing was compacted: %d records of %d, %d parts' % (len(theirs), len(before), parts))
            sums = [sums[0] + len(before), sums[1] + len(theirs), sums[2] + len(theirs) - len(values(theirs)), sums[3] + parts]
            base = active
        keeper.end()
    finally:
        broker.stop()
        keeper.process.kill()
    print('%d rounds: of %d records the same %d survive with Kafka and with us, %d of them tombstones; with memory for 40 keys in %d parts' % (ROUNDS, *sums))


if __name__ == '__main__':
    got = subprocess.run([os.path.join(HERE, '../../scripts/lib/kafka-jars.sh')], capture_output=True, text=True)
    if got.returncode:
        print('SKIPPED: ' + got.stderr.strip())
        sys.exit(77)
    with tempfile.TemporaryDirectory() as scratch:
        main(got.stdout.strip(), scratch)
