# SPDX-License-Identifier: Apache-2.0
"""For Python tests: Apache Kafka from its jars, one node (broker and controller), on free ports and a scratch folder."""
import os
import socket
import subprocess
import sys

from daemon import SRC, free_port, wait_until

SETTINGS = {
    'process.roles': 'broker,controller', 'node.id': '1', 'controller.listener.names': 'CONTROLLER',
    'listener.security.protocol.map': 'CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT', 'offsets.topic.replication.factor': '1',
    'transaction.state.log.replication.factor': '1', 'transaction.state.log.min.isr': '1', 'group.initial.rebalance.delay.ms': '0',
}


def jars():
    """The class path; ends the test as skipped where there is no Java, or nothing to fetch the jars with."""
    done = subprocess.run([os.path.join(SRC, 'scripts/lib/kafka-jars.sh')], stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(done.returncode)
    return done.stdout.strip() + '/*'


def tool(name, *args, heap='512m'):
    """Runs a class of Kafka's, or a source file against its classes; returns what it printed, fails when it failed."""
    done = subprocess.run(['java', '-Xmx' + heap, '-XX:+UseSerialGC', '-cp', jars(), name, *args], capture_output=True, text=True, errors='replace')
    if done.returncode:
        raise AssertionError('%s: exit %d: %s' % (name, done.returncode, (done.stderr + done.stdout)[-3000:]))
    return done.stdout


class Kafka:
    def __init__(self, scratch, settings=None, heap='512m'):
        self.data, self.log, self.heap = scratch.file('kafka-data'), scratch.file('kafka.log'), heap
        self.port, controller = free_port(), free_port()
        self.bootstrap = '127.0.0.1:%d' % self.port
        listeners = 'PLAINTEXT://%s,CONTROLLER://127.0.0.1:%d' % (self.bootstrap, controller)
        place = {'listeners': listeners, 'controller.quorum.bootstrap.servers': '127.0.0.1:%d' % controller, 'log.dirs': self.data}
        rows = ''.join('%s=%s\n' % row for row in {**SETTINGS, **place, **(settings or {})}.items())
        self.properties = scratch.file('server.properties', rows)
        self.process = None
        tool('kafka.tools.StorageTool', 'format', '--standalone', '-t', 'MkU3OEVBNTcwNTJENDM2Qk', '-c', self.properties)

    def __enter__(self):
        with open(self.log, 'a') as log:
            self.process = subprocess.Popen(['java', '-Xmx' + self.heap, '-cp', jars(), 'kafka.Kafka', self.properties], stdout=log, stderr=log)
        wait_until('Kafka listens', lambda: self._listens() or self.process.poll() is not None, 120)
        return self

    def __exit__(self, kind, *rest):
        self.process.terminate()
        self.process.wait()
        if kind:
            print(open(self.log, errors='replace').read()[-3000:], file=sys.stderr)

    def _listens(self):
        with socket.socket() as s:
            return s.connect_ex(('127.0.0.1', self.port)) == 0

    def kill(self):
        self.process.kill()
        self.process.wait()
