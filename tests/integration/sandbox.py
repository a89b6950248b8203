#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The demo's two pipelines inside the unit file's sandbox, rebuilt without systemd: a mount namespace with a read-only system, private
/tmp and /dev, no homes, a noexec state folder; no capabilities; the unit's system call filter; an ordinary user."""
import http.server
import os
import shutil
import socket
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../lib'))
from daemon import BUILD, SRC, Daemon, Postgres, Scratch, free_port, wait_until  # noqa: E402

UNIT = os.path.join(SRC, 'packaging/systemd/connectd.service')
NOBODY = 65534
FORBIDDEN = '''
pipeline: forbidden
sinks:
  outside: {connector: file, topics: [logs], path: /etc/connectd-forbidden.jsonl}
'''
ENTER = '''set -eu
root=$1; shift
mount --make-rprivate /
mount -t tmpfs -o mode=755 none /dev/shm 2>/dev/null || true
mount --bind "$root" "$root"
mount -o remount,bind,nosuid,nodev,noexec "$root"
mount --bind "$root/usr" "$root/usr"
mount -o remount,bind,ro,nosuid,nodev,exec "$root/usr"
mount -o remount,bind,ro / 2>/dev/null || mount -o bind,ro / / || true
for home in /home /root; do mount -t tmpfs -o mode=000 none $home 2>/dev/null || true; done
mount -t tmpfs -o mode=1777,nosuid,nodev none /tmp
mount -t proc -o hidepid=invisible,subset=pid,nosuid,nodev,noexec proc /proc
exec "$@"
'''


class Target(http.server.BaseHTTPRequestHandler):
    got = []

    def do_POST(self):
        self.got.append(self.rfile.read(int(self.headers['Content-Length'])).decode())
        self.send_response(200)
        self.send_header('Content-Length', '0')
        self.end_headers()

    def log_message(self, *args):
        pass


def confined(pid):
    """That the sandbox is one: the filter is on, no capability is left, no new privileges come."""
    status = dict(line.split(':', 1) for line in open('/proc/%d/status' % pid))
    want = {'Seccomp': '2', 'NoNewPrivs': '1', 'CapEff': '0' * 16, 'CapBnd': '0' * 16, 'Uid': '\t'.join([str(NOBODY)] * 4)}
    for key, value in want.items():
        assert status[key].strip() == value, '%s is %s' % (key, status[key].strip())


def skip(why):
    print('skipped: %s' % why)
    sys.exit(77)


class Sandboxed(Daemon):
    """The daemon from a copy of its files, entered through the namespace and the filter."""

    def start(self, ready=60):
        root = self.scratch.path
        os.makedirs(os.path.join(root, 'usr/plugins'))
        shutil.copy(os.path.join(BUILD, 'bin/connectd'), os.path.join(root, 'usr/connectd'))
        for so in ('postgres-cdc', 'syslog', 'file', 'http-sink'):
            shutil.copy(os.path.join(BUILD, 'plugins/%s.so' % so), os.path.join(root, 'usr/plugins'))
        shutil.copy(os.path.join(SRC, 'tests/integration/sandbox_exec.py'), os.path.join(root, 'usr'))
        shutil.copy(UNIT, os.path.join(root, 'usr/unit'))
        os.mkdir(self.data)
        os.chown(self.data, NOBODY, NOBODY)
        command = ['unshare', '--mount', 'bash', '-c', ENTER, 'enter', root, sys.executable, root + '/usr/sandbox_exec.py', root + '/usr/unit', str(NOBODY), str(NOBODY),
                   root + '/usr/connectd', 'run', *self.files, '--plugin-path', root + '/usr/plugins', '--data', self.data]
        with open(self.log, 'a') as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=self.env)
        wait_until('the daemon answers', lambda: self.answers() or self._died(), ready)
        return self


def main():
    if os.geteuid() != 0:
        skip('needs root, for a mount namespace')
    for tool in ('systemd-analyze', 'unshare'):
        if not shutil.which(tool):
            skip('needs %s' % tool)
    try:
        import seccomp  # noqa: F401
    except ImportError:
        skip('needs python3-seccomp')
    port, syslog = free_port(), free_port()
    server = http.server.ThreadingHTTPServer(('127.0.0.1', port), Target)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with Scratch('sandbox') as pg_scratch, Postgres(pg_scratch, 'shop') as pg:
        pg.sql("create table customers (id int primary key); create table orders (id int primary key, note text); insert into orders values (1, 'snapshot')")
        scratch = Scratch('sandbox')
        shutil.rmtree(scratch.path)
        scratch.path = scratch.path.replace('/tmp/', '/var/tmp/')  # /tmp is private inside
        os.mkdir(scratch.path, 0o755)
        out = scratch.file('data')
        env = {'DEMO_PG_HOST': '127.0.0.1', 'DEMO_PG_PORT': pg.port, 'DEMO_HTTP_PORT': str(port), 'DEMO_SYSLOG_PORT': str(syslog), 'DEMO_OUT': out}
        pipelines = {n: open(os.path.join(SRC, 'configs/demo/%s.yaml' % n)).read() for n in ('shop', 'logs')}
        pipelines['forbidden'] = FORBIDDEN
        with scratch, Sandboxed(scratch, pipelines, env=env) as daemon:
            wait_until('the snapshot arrives', lambda: any('snapshot' in b for b in Target.got))
            pg.sql("insert into orders values (2, 'streamed')")
            with socket.create_connection(('127.0.0.1', syslog)) as s:
                s.sendall(b'<14>1 - host app - - - from inside\n')
            wait_until('the change arrives', lambda: any('streamed' in b for b in Target.got))
            wait_until('the line arrives', lambda: os.path.exists(out + '/logs.jsonl') and 'from inside' in open(out + '/logs.jsonl').read())
            assert daemon.states()['shop-db'] == ['RUNNING']
            # What the unit forbids fails by the name of the drop-in that opens it.
            wait_until('the forbidden sink fails', lambda: daemon.states()['forbidden-outside'] == ['FAILED'])
            said = daemon.run('status', 'forbidden-outside', check=False).stdout
            assert 'connectd-forbidden.jsonl' in said and 'file-sink.conf' in said, said
            assert not os.path.exists('/etc/connectd-forbidden.jsonl')
            confined(daemon.process.pid)
    server.shutdown()
    print('both demo pipelines run inside the sandbox')


main()
