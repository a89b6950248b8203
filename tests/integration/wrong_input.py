#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a user can get wrong, or what can go wrong around the daemon, each with the message and exit code it gets."""
import os
import re
import shutil
import socket
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../lib'))
from daemon import BUILD, CONNECTD, SRC, Daemon, Postgres, Scratch, free_port, wait_until  # noqa: E402

GOOD = '''
pipeline: %s
source: {connector: file, topic: %s, path: ["%s"]}
'''
skipped = []


def has(what, text, *parts):
    for part in parts:
        if part not in text:
            raise AssertionError('%s: %r is not in:\n%s' % (what, part, text))


def check(scratch, yaml, *parts, args=()):
    """`connectd check` refuses the text and says all of the parts."""
    path = scratch.file('check.yaml', yaml)
    done = subprocess.run([CONNECTD, 'check', path, '--plugin-path', os.path.join(BUILD, 'plugins'), *args], capture_output=True, text=True)
    if done.returncode != 78:
        raise AssertionError('check ended with %d: %s' % (done.returncode, done.stdout + done.stderr))
    has('check', done.stdout, *parts)


def start_fails(scratch, code, *parts, args=(), files=()):
    done = subprocess.run([CONNECTD, 'run', *files, '--plugin-path', os.path.join(BUILD, 'plugins'), *args], capture_output=True, text=True, timeout=60)
    if done.returncode != code:
        raise AssertionError('run ended with %d: %s' % (done.returncode, done.stderr))
    has('run', done.stderr, *parts)


def task(daemon, name):
    return daemon.json('status', name)['tasks'][0]


def config(scratch):
    """Bad YAML, unknown key, the same key twice, a missing plugin, a secret that can not be read; a wrong connectd.yaml."""
    check(scratch, 'pipeline: p\nsource: {connector: file, topic: t, path: [/x]\n', 'check.yaml:3:1: error:')
    check(scratch, 'pipeline: p\nsource:\n  connector: file\n  topik: t\n  path: [/x]\n', 'check.yaml:4:3: error: option topik is unknown', 'did you mean topic?')
    check(scratch, 'pipeline: p\nsource:\n  connector: file\n  topic: t\n  path: [/x]\n  errors: {tolerance: all}\n  errors.tolerance: none\n', 'check.yaml:', ':7:', 'errors.tolerance', '6')
    check(scratch, 'pipeline: p\nsource: {connector: fil, topic: t}\n', 'fil', 'did you mean file?')
    check(scratch, 'pipeline: p\nsource: {connector: file, topic: t, path: ["${file:nosuch}"]}\n', '${file:nosuch}', args=['--secrets', scratch.path])
    check(scratch, 'pipeline: p\nsource: {connector: file, topic: t, path: ["${vault:x}"]}\n', 'vault')
    check(scratch, 'pipeline: p\nsource: {connector: file, topic: t, path: [/x], transforms: [{name: r, type: RegexRouter, regex: "(", replacement: x}]}\n', 'regex')
    start_fails(scratch, 78, 'connectd.yaml:1:1', 'data.dri', 'did you mean data.dir?', args=['--config', scratch.file('connectd.yaml', 'data.dri: /x\n')])
    start_fails(scratch, 78, 'log.level', args=['--set', 'log.level=loud', '--data', scratch.file('never')])
    if os.path.exists(scratch.file('never')):
        raise AssertionError('a wrong configuration made the data folder')


def plugins(scratch):
    """A plugin of another ABI, one that crashes when it is loaded, and one that others may write to: faulty, and the daemon runs."""
    folder = scratch.file('plugins')
    os.mkdir(folder, 0o755)
    sources = {
        'newer': '#include <connectd/sdk.h>\nstatic const struct cn_plugin p = {sizeof p, CN_ABI_MAJOR + 1, 0, "newer", "9", "a", "MIT", 0, 0, 0, 0, 0};\n'
                 'CN_EXPORT const struct cn_plugin *connectd_plugin_v1(void) { return &p; }\n',
        'crashes': '#include <connectd/sdk.h>\nCN_EXPORT const struct cn_plugin *connectd_plugin_v1(void) { *(volatile int *)8 = 1; return 0; }\n',
        'writable': '#include <connectd/sdk.h>\nCN_EXPORT const struct cn_plugin *connectd_plugin_v1(void) { return 0; }\n',
    }
    for name, text in sources.items():
        so = os.path.join(folder, name + '.so')
        subprocess.run(['cc', '-shared', '-fPIC', '-I', os.path.join(SRC, 'plugin-api/include'), scratch.file(name + '.c', text), '-o', so], check=True)
        os.chmod(so, 0o777 if name == 'writable' else 0o755)
    done = subprocess.run([CONNECTD, 'plugins', '--plugin-path', folder], capture_output=True, text=True)
    if done.returncode != 1:
        raise AssertionError('plugins ended with %d' % done.returncode)
    has('plugins', done.stdout, 'newer', 'ABI 1.0', 'crashes on load with SEGV', 'writable by everybody', 'chmod')
    with Daemon(scratch, {'p': 'pipeline: p\nsource: {connector: crashes, topic: t}\n'}, args=['--plugin-path', folder]) as daemon:
        status = daemon.run('status', check=False)
        has('status', status.stdout, 'p.yaml', 'crashes on load with SEGV')
        if status.returncode != 1:
            raise AssertionError('status ended with %d' % status.returncode)
    shutil.rmtree(daemon.data)


def one_among_ten(scratch):
    """One bad pipeline among ten, at boot and at reload: the others run."""
    files = {'p%d' % i: GOOD % ('p%d' % i, 'topic%d' % i, scratch.file('in%d' % i, 'line\n')) for i in range(10)}
    files['p3'] = 'pipeline: p3\nsource: {connector: file}\n'
    with Daemon(scratch, files) as daemon:
        wait_until('nine run', lambda: sorted(daemon.states().values()) == [['RUNNING']] * 9)
        has('status', daemon.run('status', check=False).stdout, 'p3.yaml', 'topic is required')
        scratch.file('p5.yaml', 'pipeline: [')
        done = daemon.run('reload', check=False)
        has('reload', done.stdout, 'p5.yaml', 'p3.yaml')
        if done.returncode != 1 or daemon.states()['p5-source'] != ['RUNNING']:
            raise AssertionError('reload ended with %d, states %r' % (done.returncode, daemon.states()))
        in_use(scratch, daemon)
    shutil.rmtree(daemon.data)


def in_use(scratch, daemon):
    """A data folder in use names its holder; so does a control socket."""
    start_fails(scratch, 1, 'held by process %d' % daemon.process.pid, 'another connectd uses it', args=['--data', daemon.data])
    start_fails(scratch, 1, 'another daemon serves it', args=['--data', scratch.file('other'), '--control', os.path.join(daemon.data, 'control.sock')])


def unreadable_secret(scratch):
    """A secret that is not there fails the connector and names the reference, never a value."""
    pipeline = 'pipeline: p\nsource: {connector: file, topic: "${env:NOT_SET_ANYWHERE}", path: [/x]}\n'
    with Daemon(scratch, {'p': pipeline}) as daemon:
        has('status', daemon.run('status', check=False).stdout, 'NOT_SET_ANYWHERE')
    shutil.rmtree(daemon.data)


def port_in_use(scratch):
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        s.listen()
        port = s.getsockname()[1]
        with Daemon(scratch, {'p': 'pipeline: p\nsource: {connector: syslog, topic: t, tcp: "127.0.0.1:%d"}\n' % port}) as daemon:
            wait_until('the task says so', lambda: 'trace' in task(daemon, 'p-source'))
            has('trace', str(task(daemon, 'p-source')), '127.0.0.1:%d' % port, 'in use')
    shutil.rmtree(daemon.data)


CDC = 'pipeline: p\nsource: {connector: postgres-cdc, topic.prefix: p, database: {hostname: 127.0.0.1, port: %s, dbname: %s, user: postgres, password: unused}}\n'


def postgres(scratch):
    """PostgreSQL down is tried again; a wrong wal_level is not."""
    port = free_port()
    with Daemon(scratch, {'p': CDC % (port, 'test')}) as daemon:
        wait_until('it waits to try again', lambda: task(daemon, 'p-source')['state'] == 'RESTARTING')
        has('trace', task(daemon, 'p-source')['trace'], 'refused', str(port))
        has('check --connect', subprocess.run([CONNECTD, 'check', '--connect', *daemon.files, '--plugin-path', os.path.join(BUILD, 'plugins')],
                                              capture_output=True, text=True).stdout, 'refused')
    shutil.rmtree(daemon.data)
    with Postgres(scratch) as pg:
        pg.sql("alter system set wal_level = 'replica'")
        pg._sh('pg_restart "$1"')
        with Daemon(scratch, {'p': CDC % (pg.port, 'test')}) as daemon:
            wait_until('it fails', lambda: task(daemon, 'p-source')['state'] == 'FAILED')
            has('trace', str(task(daemon, 'p-source')), 'wal_level', 'logical')
    shutil.rmtree(daemon.data)


def disk_full(scratch):
    """A full disk refuses writes, keeps serving reads, and recovers by itself."""
    mount = scratch.file('small')
    os.mkdir(mount)
    if os.geteuid() != 0 or subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=96m,mode=755', 'none', mount], capture_output=True).returncode:
        skipped.append('disk full (needs root, to mount a small file system)')
        return
    try:
        daemon = Daemon(scratch, {}, args=['--set', 'log.journal.bytes=33554432', '--set', 'log.commit.max.bytes=16777216', '--set', 'log.reserve.bytes=4194304'])
        daemon.data = os.path.join(mount, 'data')
        with daemon:
            daemon.run('produce', 'before', input='kept\n')
            subprocess.run(['fallocate', '-l', str(shutil.disk_usage(mount).free - (1 << 20)), os.path.join(mount, 'ballast')], check=True)
            big = 'x' * 65536 + '\n'
            full = daemon.run('produce', 'more', input=big * 200, check=False)
            if full.returncode != 1:
                raise AssertionError('produce onto a full disk ended with %d' % full.returncode)
            has('produce', full.stderr, 'bytes free', 'reserve')
            if [r['value'] for r in daemon.consume('before')] != ['kept']:
                raise AssertionError('reads stopped')
            os.unlink(os.path.join(mount, 'ballast'))
            wait_until('it writes again', lambda: daemon.run('produce', 'after', input='works\n', check=False).returncode == 0)
    finally:
        subprocess.run(['umount', '-l', mount])


def segments_of(data, topic):
    return [os.path.join(at, f) for at, _, names in os.walk(data) for f in names if f.endswith('.log') and re.search(r'(^|/)%s[-.]' % topic, at[len(data):])]


def damaged_segment(scratch):
    """Damage below the durable end stops that partition, says so, keeps the bytes; the others go on."""
    daemon = Daemon(scratch, {}, args=['--set', 'log.checkpoint.interval.ms=10'])
    with daemon:
        daemon.run('produce', 'bad', input='one\ntwo\nthree\n')
        daemon.run('produce', 'good', input='fine\n')
    path = segments_of(daemon.data, 'bad')[0]
    with open(path, 'r+b') as f:
        f.seek(70)
        byte = f.read(1)[0]
        f.seek(70)
        f.write(bytes([byte ^ 1]))
    os.unlink(os.path.join(daemon.data, 'clean')) if os.path.exists(os.path.join(daemon.data, 'clean')) else None
    before = open(path, 'rb').read()
    dump = subprocess.run([CONNECTD, 'log-dump', path], capture_output=True, text=True)
    if dump.returncode != 65:
        raise AssertionError('log-dump ended with %d' % dump.returncode)
    has('log-dump', dump.stdout, 'isvalid: false')
    with daemon:
        if [r['value'] for r in daemon.consume('good')] != ['fine']:
            raise AssertionError('the other partition stopped')
        done = daemon.run('consume', 'bad', '--from-beginning', '--until-end', check=False)
        if done.returncode != 1:
            raise AssertionError('consuming damage ended with %d: %r' % (done.returncode, done.stdout))
        has('consume', done.stderr, 'bad')
        daemon.run('produce', 'good', input='still\n')
    if not open(path, 'rb').read().startswith(before[:200]):
        raise AssertionError('the damaged bytes were not kept')
    shutil.rmtree(daemon.data)


def damaged_journal(scratch):
    """A missing journal beside data refuses to start rather than start empty."""
    daemon = Daemon(scratch, {})
    with daemon:
        daemon.run('produce', 't', input='x\n')
    for at, _, names in os.walk(daemon.data):
        for n in names:
            if 'journal' in n:
                os.unlink(os.path.join(at, n))
    start_fails(scratch, 65, 'journal', args=['--data', daemon.data])
    shutil.rmtree(daemon.data)


CASES = [config, plugins, one_among_ten, unreadable_secret, port_in_use, postgres, disk_full, damaged_segment, damaged_journal]


def main():
    for case in CASES:
        if len(sys.argv) > 1 and case.__name__ not in sys.argv[1:]:
            continue
        with Scratch('wrong') as scratch:
            case(scratch)
        print('ok %s' % case.__name__)
    for s in skipped:
        print('skipped: %s' % s)


main()
