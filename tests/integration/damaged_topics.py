#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Each of the internal topics damaged in turn, in a closed segment after a clean stop or in the active one, below the last checkpoint, after a kill:
the daemon starts, what depends on the damage is FAILED and says how to go on, the rest runs; with the file put back nothing is lost or twice.
With `all` as argument each of them in both; with `running`, damage that is found while it runs."""
import glob
import json
import os
import shutil
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../lib'))
from daemon import Daemon, Scratch, wait_until  # noqa: E402

PIPELINE = '''pipeline: %s
source: {connector: file, topic: %s, path: ["%s"]}
sink: {connector: file, path: "%s"}
'''
NAMES = ('east', 'west', 'rest')  # the last one is paused by the user
PARTITIONS = 8
ALL = {'%s-%s' % (n, kind) for n in NAMES for kind in ('source', 'sink')}
PAUSED = {'rest-source', 'rest-sink'}


def partition_of(text):
    """Kafka's: abs(String.hashCode) % partitions."""
    h = 0
    for c in text.encode():
        h = (31 * h + c) & 0xffffffff
    return (h - (1 << 32) if h >> 31 else h).__abs__() % PARTITIONS


def in_partition(prefix, partition):
    return {c for c in ALL if partition_of(prefix % c) == partition}


OFFSETS = partition_of('connect-west-sink')
STATES = partition_of('connect-cluster/west-source/0')
# The damaged partition, and who depends on it.
CASES = {
    '__consumer_offsets-%d' % OFFSETS: {c for c in in_partition('connect-%s', OFFSETS) if c.endswith('-sink')},
    '__transaction_state-%d' % STATES: in_partition('connect-cluster/%s/0', STATES),
    'connect-offsets-0': {'%s-source' % n for n in NAMES},
    'connect-configs-0': ALL,
    'connect-status-0': set(),
}


def same(what, got, want):
    assert got == want, '%s: got %r, want %r' % (what, got, want)


def has(what, text, *parts):
    for part in parts:
        assert part in text, '%s: %r is not in:\n%s' % (what, part, text)


class Flow:
    """Lines into the sources' files and out of the sinks', with their state kept and put back together."""

    def __init__(self, scratch):
        self.scratch, self.written = scratch, dict.fromkeys(NAMES, 0)
        self.daemon = Daemon(scratch, {n: PIPELINE % (n, n, scratch.file('io/in-' + n, ''), scratch.file('io/out-' + n)) for n in NAMES},
                             args=['--set', 'log.checkpoint.interval.ms=10', '--set', 'offset.flush.interval.ms=50', '--set', 'log.verify.bytes.per.second=1073741824'])

    def write(self, name):
        with open(self.scratch.file('io/in-' + name), 'a') as f:
            f.write('%s %d\n' % (name, self.written[name]))
        self.written[name] += 1

    def out(self, name):
        path = self.scratch.file('io/out-' + name)
        return [json.loads(line) for line in open(path).read().split('\n')[:-1]] if os.path.exists(path) else []

    def expected(self, name):
        return ['%s %d' % (name, i) for i in range(self.written[name])]

    def arrives(self, name):
        """A line more goes all the way."""
        self.write(name)
        wait_until('%s arrives' % name, lambda: len(self.out(name)) >= self.written[name], 30)
        same(name, self.out(name), self.expected(name))

    def keep(self, to):
        for part in ('data', 'io'):
            shutil.copytree(self.scratch.file(part), self.scratch.file('%s/%s' % (to, part)), ignore=shutil.ignore_patterns('*.sock'))
        return dict(self.written)

    def put_back(self, kept, written):
        shutil.rmtree(self.daemon.data)
        shutil.copytree(self.scratch.file(kept + '/data'), self.daemon.data)
        for name in os.listdir(self.scratch.file('io')):  # into the same files: the source knows them by their inodes
            with open(self.scratch.file('%s/io/%s' % (kept, name)), 'rb') as good, open(self.scratch.file('io/' + name), 'wb') as f:
                f.write(good.read())
        self.written = dict(written)


def segments(flow, partition):
    return [f for f in sorted(glob.glob(os.path.join(flow.daemon.data, partition, '*.log'))) if os.path.getsize(f)]


def damage(path):
    with open(path, 'r+b') as f:
        f.seek(65)
        byte = f.read(1)[0]
        f.seek(65)
        f.write(bytes([byte ^ 1]))


def fill(flow):
    """Lines through all pipelines, with closed segments in every internal topic."""
    flow.daemon.start()
    for name in NAMES:
        flow.arrives(name)
    for topic in {p.rsplit('-', 1)[0] for p in CASES}:
        flow.daemon.run('topics', 'alter', topic, '--set', 'segment.bytes=100', '--set', 'min.cleanable.dirty.ratio=1')
    flow.daemon.run('pause', *sorted(PAUSED))
    flow.write('rest')
    for name in ('east', 'west'):
        flow.daemon.run('restart', name + '-source', name + '-sink')
        flow.arrives(name)
    for partition in CASES:
        wait_until('%s has a closed segment' % partition, lambda p=partition: len(segments(flow, p)) > 1, 30)


def settled(flow, failed, paused):
    """Every connector's state is what it should be."""
    want = {c: ['PAUSED' if c in paused else 'FAILED' if c in failed else 'RUNNING'] for c in ALL}
    wait_until('states are %r' % want, lambda: flow.daemon.states() == want, 30)


def check_damaged(flow, partition, depends):
    daemon, hint = flow.daemon, '`connectd log-repair show %s`' % partition
    daemon.start()
    paused = set() if depends == ALL else PAUSED
    settled(flow, depends, paused)
    text = daemon.run('status', check=False).stdout
    has('status', text, 'damaged %s' % partition, hint)
    for c in daemon.status()['connectors']:
        if c['name'] in depends - paused:
            has(c['name'], c['tasks'][0]['trace'], partition, hint)
            same(c['name'], c['tasks'][0]['class'], 'lost data')
    if not {'east-source', 'east-sink'} & depends:
        flow.arrives('east')
    check_commands(flow, partition)
    same('what was paused', flow.out('rest'), ['rest 0'])
    flow.write('west')
    daemon.stop()


def check_commands(flow, partition):
    daemon = flow.daemon
    topic = partition.rsplit('-', 1)[0]
    if topic == '__consumer_offsets':
        has('offsets', daemon.run('offsets', 'get', 'west-sink', check=False).stderr, partition)
        daemon.run('offsets', 'get', 'east-sink')
    elif topic == 'connect-offsets':
        has('offsets', daemon.run('offsets', 'get', 'west-source', check=False).stderr, partition)
        daemon.run('produce', 'east', input='"by hand"\n')
        wait_until('the sink runs', lambda: flow.out('east')[-1:] == ['by hand'], 30)
    elif topic == 'connect-configs':
        has('resume', daemon.run('resume', 'rest-source', check=False).stderr, partition)
        daemon.run('restart', 'east-source', 'east-sink')
        settled(flow, ALL - {'east-source', 'east-sink'}, set())
        flow.arrives('east')
        has('pause', daemon.run('pause', 'east-source', check=False).stderr, partition)
        settled(flow, ALL - {'east-source', 'east-sink'}, set())


def check_mended(flow):
    """The file is put back: all goes on where it was."""
    flow.daemon.start()
    settled(flow, set(), PAUSED)
    for name in ('east', 'west'):
        flow.write(name)
        wait_until('%s is complete' % name, lambda n=name: len([x for x in flow.out(n) if x != 'by hand']) >= flow.written[n], 30)
        same(name, [x for x in flow.out(name) if x != 'by hand'], flow.expected(name))
    flow.daemon.stop()


def one(flow, partition, closed, kept, written):
    flow.put_back(kept, written)
    path = segments(flow, partition)[0 if closed else -1]
    good = path.replace(flow.daemon.data, flow.scratch.file(kept + '/data'))
    damage(path)
    check_damaged(flow, partition, CASES[partition])
    shutil.copy(good, path)
    check_mended(flow)


def checkpointed(flow):
    """What was written before is not in the journal any more."""
    for _ in range(2):
        before = flow.daemon.status()['backend']['log']['checkpoints']
        flow.daemon.run('produce', 'other', input='x\n')
        wait_until('a checkpoint', lambda b=before: flow.daemon.status()['backend']['log']['checkpoints'] > b)


def committed(flow, name):
    offsets = flow.daemon.json('offsets', 'get', name + '-sink')['offsets']
    return [o['offset']['kafka_offset'] for o in offsets] == [flow.written[name]]


def at_start(scratch):
    flow = Flow(scratch)
    fill(flow)
    for name in ('east', 'west'):
        wait_until('the offset of %s is committed' % name, lambda n=name: committed(flow, n))
    checkpointed(flow)
    flow.daemon.kill()
    killed = flow.keep('killed')
    flow.daemon.start()
    settled(flow, set(), PAUSED)
    flow.daemon.stop()
    stopped = flow.keep('stopped')
    for i, partition in enumerate(CASES):
        if 'all' in sys.argv[1:] or i % 2 == 0:
            one(flow, partition, True, 'stopped', stopped)
        if 'all' in sys.argv[1:] or i % 2:
            one(flow, partition, False, 'killed', killed)
        print('ok %s' % partition)


def while_running(scratch):
    """Found in the background: what would be written is refused, what is known stays known."""
    flow = Flow(scratch)
    fill(flow)
    partition = '__consumer_offsets-%d' % OFFSETS
    damage(segments(flow, partition)[0])
    wait_until('it is found', lambda: partition in flow.daemon.run('status', check=False).stdout, 60)
    flow.write('west')
    settled(flow, {'west-sink'}, PAUSED)
    flow.arrives('east')
    flow.daemon.stop()
    print('ok %s, found while it runs' % partition)


def main():
    with Scratch('damaged') as scratch:
        while_running(scratch) if 'running' in sys.argv[1:] else at_start(scratch)


main()
