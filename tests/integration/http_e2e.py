#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""http-sink against a server that misbehaves: order kept in each partition, nothing lost, nothing twice that was answered, and nothing in the
dead-letter topic that a retry would have delivered. SEED=… repeats a run."""
import email.utils
import http.server
import json
import os
import random
import socket
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../lib'))
from daemon import Daemon, Scratch, wait_until  # noqa: E402

SEED = int(os.environ.get('SEED', str(int(time.time()))))
PARTITIONS, RECORDS = 4, 250  # records a partition
SINK = '''pipeline: p
sinks:
  http:
    connector: http-sink
    topics: [in]
    key.converter: string
    url: "http://127.0.0.1:%d/"
    batch.mode: array
    batch.max.records: 20
    request.timeout.ms: 1s
    errors: %s
'''
TOLERANT = '{tolerance: all, retry.delay.max.ms: 300, deadletterqueue: {context.headers.enable: true}}'
STRICT = '{retry.delay.max.ms: 300}'


def same(what, got, want):
    if got != want:
        raise AssertionError('%s: got %s, want %s' % (what, repr(got)[:700], repr(want)[:700]))


class Server:
    """Answers each request as answer(records, partition's earlier requests) says: a status, (status, Retry-After), 'hang', 'close', or
    'lose': the request is taken, its answer lost. Keeps what it took, by partition, in order."""

    def __init__(self, answer):
        self.answer, self.lock = answer, threading.Lock()
        self.taken = {p: [] for p in range(PARTITIONS)}     # numbers, as their requests were answered 200
        self.unanswered = {p: [] for p in range(PARTITIONS)} # those of them whose answer was lost
        self.requests = {p: 0 for p in range(PARTITIONS)}
        self.not_before, self.early, self.mixed, self.overlap, self.busy = {}, [], 0, 0, set()
        self.answers = {}
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = 'HTTP/1.1'

            def do_POST(self):
                outer.serve(self)

            def handle(self):
                try:
                    super().handle()
                except ConnectionError:  # killed
                    pass

            def log_message(self, *args):
                pass

        self.http = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        self.http.daemon_threads = True
        self.port = self.http.server_address[1]
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.http.shutdown()
        self.http.server_close()

    def arrived(self, p):
        with self.lock:
            self.requests[p] += 1
            if p in self.busy:
                self.overlap += 1
            self.busy.add(p)
            late = self.not_before.pop(p, 0) - time.monotonic()
            if late > 0:
                self.early.append(late)
            return self.requests[p]

    def serve(self, handler):
        records = json.loads(handler.rfile.read(int(handler.headers['Content-Length'])))
        p = records[0]['p']
        self.mixed += any(r['p'] != p for r in records)
        answer = self.answer([r['n'] for r in records], self.arrived(p))
        with self.lock:
            self.answers[str(answer)] = self.answers.get(str(answer), 0) + 1
            self.busy.discard(p)
            if answer in (200, 'lose'):
                self.taken[p] += [r['n'] for r in records]
            if answer == 'lose':
                self.unanswered[p] += [r['n'] for r in records]
            if isinstance(answer, tuple):
                self.not_before[p] = time.monotonic() + answer[1] - 0.05
        if answer == 'hang':
            time.sleep(1.5)
        if answer in ('hang', 'close', 'lose'):
            handler.close_connection = True
            handler.connection.shutdown(socket.SHUT_RDWR)
            return
        status, after = answer if isinstance(answer, tuple) else (answer, None)
        handler.send_response(status)
        if after:  # both of its forms; a date has whole seconds
            handler.send_header('Retry-After', str(after) if records[0]['n'] % 2 else email.utils.formatdate(time.time() + after + 1, usegmt=True))
        handler.send_header('Content-Length', '0')
        handler.end_headers()

    def check(self, want):
        """want: the numbers each partition has to deliver, in order."""
        same('requests that mixed partitions', self.mixed, 0)
        same('requests of a partition while another was under way', self.overlap, 0)
        same('requests that came before Retry-After', self.early, [])
        for p, taken in self.taken.items():
            again = list(self.unanswered[p])
            once = []
            for n in taken:
                if n in once:  # only what had no answer may come again
                    assert n in again, 'partition %d: %d was answered 200 and came again' % (p, n)
                    again.remove(n)
                else:
                    once.append(n)
            same('partition %d' % p, once, want)


def fill(daemon, numbers, first=0):
    """Records n of numbers into each partition of topic `in`."""
    if first == 0:
        daemon.run('topics', 'create', 'in', '--partitions', str(PARTITIONS))
    daemon.run('produce', 'in', '--json-lines', input=''.join(
        json.dumps({'partition': p, 'key': 'k%d' % n, 'headers': [['h', str(n)]], 'value': {'p': p, 'n': n}}) + '\n' for n in numbers for p in range(PARTITIONS)))


def lag(daemon, count):
    """Records not committed by the sink's group yet."""
    done = daemon.run('offsets', 'get', 'p-http', '--json', check=False)
    offsets = json.loads(done.stdout)['offsets'] if done.returncode == 0 else []
    return count - sum(o['offset']['kafka_offset'] for o in offsets)


def prepare(scratch, name, errors, numbers, server):
    """A daemon with the records in its log and the sink's pipeline file, not started."""
    daemon = Daemon(scratch, {}, args=['--set', 'offset.flush.interval.ms=100'])
    daemon.data = scratch.file(name)
    with daemon:
        fill(daemon, numbers)
    daemon.files = [scratch.file(name + '.yaml', SINK % (server.port, errors))]
    return daemon


def misbehaving(scratch):
    """Everything a retry gets over. The first requests of a partition are taken: before any success a 401 is configuration."""
    chance = random.Random(SEED)
    faults = [(429, 1), (503, 1), 500, 502, 'hang', 'close', 'lose', (401, 1)]
    lock = threading.Lock()

    def answer(numbers, request):
        with lock:
            fault = chance.choice(faults) if request > 3 and chance.random() < 0.3 else 200
        return 413 if len(numbers) > 13 and fault == 200 else fault

    with Server(answer) as server:
        daemon = prepare(scratch, 'misbehaving', TOLERANT, range(RECORDS), server)
        with daemon:
            wait_until('all is delivered', lambda: lag(daemon, PARTITIONS * RECORDS) == 0, 200)
            assert 'next attempt' not in daemon.tail(), 'the task restarted'
            same('dead letters', list(daemon.consume(r'.*dlq')), [])
            same('state', daemon.states()['p-http'], ['RUNNING'])
        server.check(list(range(RECORDS)))
        print('  answers: %s' % ', '.join('%s %d×' % (a, n) for a, n in sorted(server.answers.items())))
        for fault in ('(429, 1)', '500', '413', '(401, 1)', 'hang', 'close', 'lose'):
            assert fault in server.answers, '%s never happened' % fault


def killed(scratch):
    """kill -9 in the middle: what had no durable offset comes again, in order; nothing is missing."""
    with Server(lambda numbers, request: time.sleep(0.01) or 200) as server:
        daemon = prepare(scratch, 'killed', TOLERANT, range(1000), server)
        for wait in (0.05, 0.1, 0.15):
            daemon.start()
            before = sum(map(len, server.taken.values()))
            wait_until('some are delivered', lambda: sum(map(len, server.taken.values())) > before)
            time.sleep(wait)
            daemon.kill()
            time.sleep(0.2)  # what the server holds is answered
        with daemon:
            wait_until('all is delivered', lambda: lag(daemon, PARTITIONS * 1000) == 0, 120)
        for p, taken in server.taken.items():
            same('partition %d has all' % p, sorted(set(taken)), list(range(1000)))
            back = [b for a, b in zip(taken, taken[1:]) if b != a + 1]
            assert len(back) <= 3, 'partition %d: went back at %r with three kills' % (p, back)


POISON = {3, 50, 51, 52, 199, RECORDS - 1}


def poison(numbers, request):
    return 400 if POISON & set(numbers) else 200


def tolerated(scratch):
    """errors.tolerance: all: exactly the refused records are in the dead-letter topic, as they were, with the cause."""
    with Server(poison) as server:
        daemon = prepare(scratch, 'tolerated', TOLERANT, range(RECORDS), server)
        with daemon:
            wait_until('all is passed', lambda: lag(daemon, PARTITIONS * RECORDS) == 0)
            letters = list(daemon.consume(r'p-http\.dlq'))
        server.check([n for n in range(RECORDS) if n not in POISON])
        same('dead letters', sorted((r['value']['p'], r['value']['n']) for r in letters), sorted((p, n) for p in range(PARTITIONS) for n in POISON))
        for r in letters:
            n, headers = r['value']['n'], dict(r['headers'])
            same('key', r['key'], 'k%d' % n)
            same('headers', {h: headers.get(h) for h in ('h', '__connect.errors.topic', '__connect.errors.partition', '__connect.errors.offset',
                                                         '__connect.errors.connector.name', '__connect.errors.task.id', '__connect.errors.stage')},
                 {'h': str(n), '__connect.errors.topic': 'in', '__connect.errors.partition': str(r['value']['p']), '__connect.errors.offset': str(n),
                  '__connect.errors.connector.name': 'p-http', '__connect.errors.task.id': '0', '__connect.errors.stage': 'TASK_PUT'})
            assert 'answered 400' in headers['__connect.errors.exception.message'], headers


def strict(scratch):
    """errors.tolerance: none: the task stops at the record and names it; when the server takes it, a restart goes on there."""
    refuse = [True]
    with Server(lambda numbers, request: 400 if refuse[0] and 17 in numbers else 200) as server:
        daemon = prepare(scratch, 'strict', STRICT, range(40), server)
        with daemon:
            wait_until('it stops', lambda: daemon.states().get('p-http') == ['FAILED'])
            trace = daemon.json('status', 'p-http')['tasks'][0]['trace']
            assert any('in-%d@17' % p in trace for p in range(PARTITIONS)) and 'answered 400' in trace, trace
            same('topics', daemon.run('topics', '--names').stdout.split(), ['in'])
            refuse[0] = False
            daemon.run('restart', 'p-http/0')
            wait_until('all is delivered', lambda: lag(daemon, PARTITIONS * 40) == 0)
        for p, taken in server.taken.items():
            same('partition %d has all' % p, sorted(set(taken)), list(range(40)))


def auth(scratch):
    """401 before any success is configuration; afterwards the task is RUNNING, blocked, and loses nothing."""
    allowed = [False]
    with Server(lambda numbers, request: 200 if allowed[0] else (401, 1)) as server:
        daemon = prepare(scratch, 'auth', STRICT, range(10), server)
        with daemon:
            wait_until('it stops', lambda: daemon.states().get('p-http') == ['FAILED'])
            shown = daemon.run('status', check=False)
            assert 'answered 401' in shown.stdout and 'auth.type' in shown.stdout, shown.stdout
            same('exit code of status', shown.returncode, 1)
            allowed[0] = True
            server.not_before.clear()  # a restart by hand waits for nobody
            daemon.run('restart', 'p-http')
            wait_until('all is delivered', lambda: lag(daemon, PARTITIONS * 10) == 0)
            allowed[0] = False
            fill(daemon, range(10, 20), 10)
            wait_until('it is blocked', lambda: 'answered 401' in str(daemon.json('status', 'p-http')))
            same('state', daemon.states()['p-http'], ['RUNNING'])
            allowed[0] = True
            wait_until('the rest is delivered', lambda: lag(daemon, PARTITIONS * 20) == 0)
            wait_until('status says nothing of it', lambda: 'answered 401' not in str(daemon.json('status', 'p-http')))
        server.check(list(range(20)))


def too_large(scratch):
    """413 for one record alone is that record's fault; 30x names what to do."""
    with Server(lambda numbers, request: 413 if 7 in numbers else 302 if 25 in numbers else 200) as server:
        daemon = prepare(scratch, 'large', TOLERANT, range(20), server)
        with daemon:
            wait_until('all is passed', lambda: lag(daemon, PARTITIONS * 20) == 0)
            same('dead letters', sorted((r['value']['p'], r['value']['n']) for r in daemon.consume(r'p-http\.dlq')), [(p, 7) for p in range(PARTITIONS)])
            fill(daemon, range(20, 30), 20)
            wait_until('it stops', lambda: daemon.states().get('p-http') == ['FAILED'])
            shown = daemon.run('status', check=False).stdout
            assert 'answered 302' in shown and 'set url' in shown, shown


def nobody(scratch):
    """No server at all, then there is one: nothing but patience is needed."""
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        with Server(lambda numbers, request: 200) as server:
            daemon = prepare(scratch, 'nobody', STRICT, range(10), server)
            text = open(daemon.files[0]).read()
            scratch.file('nobody.yaml', text.replace(str(server.port), str(s.getsockname()[1])))
            with daemon:
                wait_until('it says why', lambda: 'onnect' in str(daemon.json('status', 'p-http')['tasks'][0].get('blocked', '')))
                same('state', daemon.states()['p-http'], ['RUNNING'])
                scratch.file('nobody.yaml', text)
                daemon.run('reload')
                wait_until('all is delivered', lambda: lag(daemon, PARTITIONS * 10) == 0)
            server.check(list(range(10)))


CASES = [misbehaving, killed, tolerated, strict, auth, too_large, nobody]


def main():
    print('seed %d' % SEED)
    for case in CASES:
        if len(sys.argv) > 1 and case.__name__ not in sys.argv[1:]:
            continue
        with Scratch('http') as scratch:
            case(scratch)
        print('ok %s' % case.__name__, flush=True)


if __name__ == '__main__':
    main()
