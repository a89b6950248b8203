# SPDX-License-Identifier: Apache-2.0
"""For Python tests: a throw-away PostgreSQL, a connectd in a scratch folder, and how to talk to both."""
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

SRC = os.environ.get('SRC') or os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get('BUILD') or os.path.join(SRC, 'build/release')
CONNECTD = os.path.join(BUILD, 'bin/connectd')


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def wait_until(what, true, seconds=60, every=0.05):
    """Waits for true() to hold; fails with `what` when it does not."""
    end = time.time() + seconds
    while not true():
        if time.time() > end:
            raise AssertionError('did not come true within %d s: %s' % (seconds, what))
        time.sleep(every)


class Scratch:
    """A folder that user postgres may enter, removed at the end."""

    def __init__(self, name):
        self.path = tempfile.mkdtemp(prefix='connectd-%s.' % name)
        os.chmod(self.path, 0o755)

    def __enter__(self):
        return self

    def __exit__(self, kind, *rest):
        if kind and os.environ.get('KEEP'):
            print('kept: %s' % self.path, file=sys.stderr)
        else:
            shutil.rmtree(self.path, ignore_errors=True)

    def file(self, name, text=None):
        path = os.path.join(self.path, name)
        if text is not None:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, 'w') as f:
                f.write(text)
        return path


class Postgres:
    """tests/lib/pg.sh from Python."""

    def __init__(self, scratch, db='test'):
        self.dir = scratch.file('pg')
        self.db = db
        self.port = self._sh('pg_start "$1"').strip()
        self.sql('create database %s' % db, db='postgres')

    def _sh(self, call):
        done = subprocess.run(['bash', '-c', '. "$0"; ' + call, os.path.join(SRC, 'tests/lib/pg.sh'), self.dir], capture_output=True, text=True)
        if done.returncode:
            raise SystemExit('%s: %s' % (call, done.stdout + done.stderr))
        return done.stdout

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self._sh('pg_stop "$1"')

    def command(self, tool, *args):
        return [tool, '-h', '127.0.0.1', '-p', self.port, '-U', 'postgres', *args]

    def sql(self, text, db=None):
        """Runs text; returns its rows as lists of strings."""
        done = subprocess.run(self.command('psql', '-X', '-q', '-At', '-F', '\x1f', '-v', 'ON_ERROR_STOP=1', '-d', db or self.db, '-c', text),
                              capture_output=True, text=True)
        if done.returncode:
            raise AssertionError('psql: %s\n%s' % (done.stderr.strip(), text))
        return [line.split('\x1f') for line in done.stdout.splitlines()]

    def version(self):
        """The server's, as a number: 150014 for 15.14."""
        return int(self.sql('show server_version_num', db='postgres')[0][0])

    def yaml(self):
        return '{hostname: 127.0.0.1, port: %s, dbname: %s, user: postgres, password: unused}' % (self.port, self.db)


class Daemon:
    """connectd run over pipeline files, restartable on the same data."""

    def __init__(self, scratch, pipelines, env=None, args=()):
        self.scratch, self.args = scratch, list(args)
        self.data = scratch.file('data')
        self.log = scratch.file('connectd.log')
        self.files = [scratch.file('%s.yaml' % name, text) for name, text in pipelines.items()]
        self.env = dict(os.environ, **(env or {}))
        self.process = None

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, *rest):
        self.stop(check=kind is None)
        if kind:
            print(self.tail(), file=sys.stderr)

    def tail(self, lines=40):
        with open(self.log, errors='replace') as f:
            return ''.join(f.readlines()[-lines:])

    def spawn(self):
        with open(self.log, 'a') as log:
            self.process = subprocess.Popen([CONNECTD, 'run', *self.files, '--plugin-path', os.path.join(BUILD, 'plugins'), '--data', self.data, *self.args],
                                            stdout=log, stderr=log, env=self.env)

    def start(self, ready=60):
        self.spawn()
        wait_until('the daemon answers', lambda: self.answers() or self._died(), ready)
        return self

    def _died(self):
        if self.process.poll() is not None:
            raise AssertionError('connectd ended with %s:\n%s' % (self.process.returncode, self.tail()))
        return False

    def answers(self):
        return self.run('status', check=False).returncode in (0, 1)

    def run(self, *args, check=True, **more):
        done = subprocess.run([CONNECTD, '--data', self.data, *args], capture_output=True, text=True, env=self.env, **more)
        if check and done.returncode:
            raise AssertionError('connectd %s: exit %d: %s' % (' '.join(args), done.returncode, done.stderr + done.stdout))
        return done

    def json(self, *args):
        return json.loads(self.run(*args, '--json').stdout)

    def status(self):
        return json.loads(self.run('status', '--json', check=False).stdout)

    def states(self):
        """Task states by connector name."""
        return {c['name']: [t['state'] for t in c['tasks']] or [c['connector']['state']] for c in self.status()['connectors']}

    def consume(self, regex, *more):
        """Every record there is, one dict each."""
        process = subprocess.Popen([CONNECTD, '--data', self.data, 'consume', regex, '--from-beginning', '--until-end', '--json', *more],
                                   stdout=subprocess.PIPE, text=True, env=self.env)
        for line in process.stdout:
            yield json.loads(line)
        if process.wait():
            raise AssertionError('consume %s: exit %d' % (regex, process.returncode))

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self, check=True, seconds=60):
        if not self.process or self.process.poll() is not None:
            if check and self.process and self.process.returncode not in (0, -signal.SIGKILL):
                raise AssertionError('connectd ended by itself with %d:\n%s' % (self.process.returncode, self.tail()))
            return
        self.process.terminate()
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError('SIGTERM did not end the daemon within %d s:\n%s' % (seconds, self.tail()))
        if check and code:
            raise AssertionError('SIGTERM: exit %d:\n%s' % (code, self.tail()))
