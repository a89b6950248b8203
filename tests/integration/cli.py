#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The commands against a running daemon: two file pipelines, everything a user does with them, and every exit code."""
import json
import os
import resource
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../lib'))
from daemon import BUILD, CONNECTD, Daemon, Scratch, wait_until  # noqa: E402

PIPELINE = '''
pipeline: %s
source: {connector: file, topic: %s, path: ["%s"]}
sink: {connector: file, path: "%s"}
'''


def same(what, got, want):
    if got != want:
        raise AssertionError('%s: got %r, want %r' % (what, got, want))


def append(path, *lines):
    with open(path, 'a') as f:
        f.write(''.join(line + '\n' for line in lines))


def lines_of(path):
    return open(path).read().splitlines() if os.path.exists(path) else []


def fails(daemon, code, text, *args):
    done = daemon.run(*args, check=False)
    same('exit code of %s' % ' '.join(args), done.returncode, code)
    if text not in done.stderr + done.stdout:
        raise AssertionError('%s said %r, not %r' % (' '.join(args), done.stderr + done.stdout, text))


def no_daemon(scratch):
    nowhere = Daemon(scratch, {})
    for args in (['status'], ['reload'], ['topics'], ['pause', 'x'], ['consume', '.*'], ['offsets', 'get', 'x']):
        fails(nowhere, 3, 'no daemon listens on', *args)
    same('status --quiet prints nothing', nowhere.run('status', '--quiet', check=False).stderr, '')
    fails(nowhere, 2, "did you mean status?", 'statsu')
    fails(nowhere, 2, "did you mean --quiet?", 'status', '--quite')
    fails(nowhere, 2, 'needs CONNECTOR', 'pause')
    fails(nowhere, 2, 'nosuch.yaml', 'run', scratch.file('nosuch.yaml'))


def looking(daemon, files):
    out = daemon.run('status').stdout
    for text in ('a-source', 'a-sink', 'RUNNING', 'file'):
        assert text in out, out
    assert 'segment files open' in out, out
    most, hard = daemon.status()['open_files_limit'], resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    same('limit of open files', most, 1 << 20 if hard == resource.RLIM_INFINITY else min(hard, 1 << 20))
    out = daemon.run('status', '--verbose').stdout
    for text in ('the log started in', 'lines.a/0', 'P99.9 ms'):
        assert text in out, out
    assert 'appended since the start' in daemon.run('topics', 'lines.a', '--verbose').stdout
    first = daemon.json('topics', 'lines.a')['partitions'][0]
    assert first['batches_appended'] >= 1 and first['commit']['p50_us'] <= first['commit']['max_us'], first
    same('names', daemon.run('status', '--names').stdout.split(), ['a-sink', 'a-source', 'b-sink', 'b-source'])
    same('one connector', daemon.json('status', 'a-sink')['name'], 'a-sink')
    fails(daemon, 1, 'did you mean a-sink?', 'status', 'a-snk')
    same('topics', daemon.run('topics', '--names').stdout.split(), ['lines.a', 'lines.b'])
    same('high watermark', daemon.json('topics', 'lines.a')['partitions'][0]['high_watermark'], 2)
    same('versions agree', daemon.json('version')['version'], daemon.status()['version'])
    kinds = {p['name']: p['status'] for p in daemon.json('plugins')}
    for text in ('batch.max.records', 'Authentication', 'sink http-sink'):
        assert text in daemon.run('plugins', 'show', 'http-sink', '--plugin-path', os.path.join(BUILD, 'plugins')).stdout, text
    fails(daemon, 1, 'did you mean', 'plugins', 'show', 'sylog', '--plugin-path', os.path.join(BUILD, 'plugins'))
    same('plugins', (kinds['file'], kinds['converters']), ('loaded', 'built in'))


def records(daemon):
    got = [(r['topic'], r['partition'], r['offset'], r['key'], r['value']) for r in daemon.consume(r'lines\..*')]
    same('consume', got, [('lines.a', 0, 0, None, 'one'), ('lines.a', 0, 1, None, 'two'), ('lines.b', 0, 0, None, 'uno')])
    same('--max', len(list(daemon.consume('lines.a', '--max', '1'))), 1)
    assert 'lines.a/0@1' in daemon.run('consume', 'lines.a', '-b', '-e').stdout
    same('tap of a connector', [json.loads(r)['value'] for r in daemon.run('tap', 'a-source', '-b', '-e', '--json').stdout.splitlines()], ['one', 'two'])
    daemon.run('topics', 'create', 'made', '--partitions', '3', '--set', 'retention.ms=3600000')
    fails(daemon, 1, 'there already', 'topics', 'create', 'made')
    fails(daemon, 1, 'retention.sm', 'topics', 'create', 'wrong', '--set', 'retention.sm=1')
    daemon.run('produce', 'made', '--json-lines', input='{"key":"k","value":{"n":1},"headers":[["h","x"]],"partition":2}\n{"value":{"$base64":"/w=="},"partition":0}\n')
    same('produced', [(r['partition'], r['key'], r['value'], r['headers']) for r in daemon.consume('made')],
         [(0, None, {'$base64': '/w=='}, []), (2, 'k', {'n': 1}, [['h', 'x']])])
    daemon.run('topics', 'alter', 'made', '--partitions', '4', '--set', 'retention.bytes=1000000', '--unset', 'retention.ms')
    same('settings', daemon.json('topics', 'made')['config'], {'retention.bytes': '1000000'})
    same('partitions', len(daemon.json('topics', 'made')['partitions']), 4)
    fails(daemon, 1, 'can not get 2', 'topics', 'alter', 'made', '--partitions', '2')
    fails(daemon, 1, 'retention.sm', 'topics', 'alter', 'made', '--set', 'retention.sm=1')
    fails(daemon, 2, '--before OFFSET or --all', 'topics', 'delete-records', 'made')
    daemon.run('produce', 'made', '--partition', '3', input='a\nb\nc\n')
    same('log start', daemon.json('topics', 'delete-records', 'made', '--partition', '3', '--before', '2')['log_start'], 2)
    same('what is left', [r['value'] for r in daemon.consume('made', '--partition', '3')], ['c'])
    fails(daemon, 1, '', 'topics', 'delete-records', 'made', '--partition', '3', '--before', '4')
    same('all deleted', daemon.json('topics', 'delete-records', 'made', '--partition', '3', '--all')['log_start'], 3)
    daemon.run('topics', 'delete', 'made')
    fails(daemon, 1, 'no topic made', 'topics', 'made')


def follows(daemon, files):
    live = subprocess.Popen([CONNECTD, '--data', daemon.data, 'consume', 'lines.a', '--json', '--max', '1'], stdout=subprocess.PIPE, text=True)
    marks = 0
    while live.poll() is None and marks < 100:  # it starts at the end, so lines are written until it has seen one
        append(files['a.in'], 'mark')
        marks += 1
        time.sleep(0.1)
    same('a live consumer sees what comes', json.loads(live.stdout.read())['value'], 'mark')
    wait_until('the marks arrive', lambda: lines_of(files['a.out']) == ['"one"', '"two"'] + ['"mark"'] * marks)
    return 2 + marks


def targets(daemon, files, count):
    daemon.run('pause', 'a-sink')
    append(files['a.in'], 'held back')
    wait_until('the record is in the log', lambda: daemon.json('topics', 'lines.a')['partitions'][0]['high_watermark'] == count + 1)
    same('paused', daemon.states()['a-sink'], ['PAUSED'])
    fails(daemon, 1, 'connectd stop a-sink', 'offsets', 'set', 'a-sink', 'lines.a/0=0')
    daemon.run('stop', 'a-sink')
    same('stopped', daemon.json('status', 'a-sink')['connector']['state'], 'STOPPED')
    assert 'nothing was changed' in daemon.run('offsets', 'set', 'a-sink', 'lines.a/0=0', '--dry-run').stdout
    offset = daemon.json('offsets', 'get', 'a-sink')
    same('offsets of a sink', offset, {'offsets': [{'partition': {'kafka_topic': 'lines.a', 'kafka_partition': 0}, 'offset': {'kafka_offset': count}}]})
    daemon.run('offsets', 'set', 'a-sink', input=json.dumps(offset))
    fails(daemon, 2, 'TOPIC/PARTITION=OFFSET', 'offsets', 'set', 'a-sink', 'lines.a=0')
    # Target states outlive the daemon.
    daemon.stop()
    daemon.start()
    same('still stopped', daemon.json('status', 'a-sink')['connector']['state'], 'STOPPED')
    same('and nothing was delivered meanwhile', len(lines_of(files['a.out'])), count)
    daemon.run('resume', 'a-sink')
    wait_until('what was held back arrives', lambda: lines_of(files['a.out'])[count:] == ['"held back"'])
    daemon.run('restart', 'a-source/0')
    wait_until('it runs again', lambda: daemon.states()['a-source'] == ['RUNNING'])


def reloads(daemon, files, scratch):
    good = open(daemon.files[1]).read()
    scratch.file('b.yaml', good.replace('topic:', 'topik:'))
    done = daemon.run('reload', check=False)
    same('a wrong file is refused', done.returncode, 1)
    for text in ('b.yaml', 'topik', 'did you mean topic?'):
        assert text in done.stdout, done.stdout
    same('its running version goes on', daemon.states()['b-source'], ['RUNNING'])
    same('status says so', daemon.run('status', check=False).returncode, 1)
    scratch.file('b.yaml', good.replace('lines.b', 'lines.c'))
    changes = {c['connector']: c['change'] for c in daemon.json('reload')['changes'] if c.get('connector')}
    same('changes', (changes['b-source'], changes['a-source']), ('restarted', 'unchanged'))
    os.unlink(daemon.files[1])
    daemon.process.send_signal(signal.SIGHUP)
    wait_until('SIGHUP removes its connectors', lambda: 'b-source' not in daemon.states())
    assert 'orphaned' in daemon.run('status', check=False).stdout
    daemon.run('offsets', 'reset', 'b-source')
    daemon.run('offsets', 'reset', 'b-sink')
    assert 'orphaned' not in daemon.run('status').stdout


def ends(daemon, scratch):
    slow = subprocess.Popen([CONNECTD, '--data', daemon.data, 'consume', '.*', '--json'], stdout=subprocess.PIPE)
    daemon.stop()
    same('a consumer ends with the daemon', slow.wait(10) in (0, 3), True)
    same('the socket is gone', os.path.exists(os.path.join(daemon.data, 'control.sock')), False)
    logs = [os.path.join(at, f) for at, _, names in os.walk(daemon.data) for f in names if f.endswith('.log') and 'lines.a' in at]
    assert logs, 'no segment of lines.a'
    dump = subprocess.run([CONNECTD, 'log-dump', '--values', '--json', logs[0]], capture_output=True, text=True)
    same('log-dump', dump.returncode, 0)
    assert '"payload":"\\"held back\\""' in dump.stdout, dump.stdout[-2000:]
    same('log-dump of a folder', subprocess.run([CONNECTD, 'log-dump', '--verify', daemon.data], stdout=subprocess.DEVNULL).returncode, 0)


def main():
    with Scratch('cli') as scratch:
        files = {n: scratch.file(n) for n in ('a.in', 'a.out', 'b.in', 'b.out')}
        append(files['a.in'], 'one', 'two')
        append(files['b.in'], 'uno')
        no_daemon(scratch)
        pipelines = {n: PIPELINE % (n, 'lines.' + n, files[n + '.in'], files[n + '.out']) for n in 'ab'}
        with Daemon(scratch, pipelines) as daemon:
            wait_until('the first lines arrive', lambda: (lines_of(files['a.out']), lines_of(files['b.out'])) == (['"one"', '"two"'], ['"uno"']))
            looking(daemon, files)
            records(daemon)
            count = follows(daemon, files)
            targets(daemon, files, count)
            reloads(daemon, files, scratch)
            ends(daemon, scratch)
    print('every command does what it says')


main()
