#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A plugin that crashes the daemon, wherever it does: it is named, and after two crashes the daemon starts with that plugin's connectors
FAILED and the rest running; `connectd plugins forgive` lets them start again."""
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../lib'))
from daemon import CONNECTD, SRC, Daemon, Scratch, wait_until  # noqa: E402

# Crashes in the operation that CRASH_IN names, once the file CRASH_IF is there.
COMMON = '''#include <connectd/sdk.h>
#include <unistd.h>
static int crash_in(const char *op) {
    const char *in = getenv("CRASH_IN"), *when = getenv("CRASH_IF");
    if (in && when && strcmp(in, op) == 0 && access(when, F_OK) == 0) *(volatile int *)16 = 1;
    return 0;
}
struct bad { const char *unused; };
static const struct cn_option options[] = {CN_STR("unused", struct bad, unused, NULL, 0, "Bad", "Nothing.")};
static int validate(struct cn_host *h) { (void)h; return crash_in("validate"); }
'''
SOURCE = COMMON + '''
static uint32_t plan(struct cn_host *h, uint32_t max) { (void)h; (void)max; crash_in("plan"); return 1; }
static int open_it(struct cn_host *h, const struct cn_stored_position *p, uint32_t n, void **ret) { (void)h; (void)p; (void)n; *ret = malloc(1); return crash_in("open"); }
static int poll_it(void *t, struct cn_batch *b, uint32_t ms) { (void)t; (void)b; crash_in("poll"); usleep(ms < 20 ? ms * 1000 : 20000); return CN_POLL_IDLE; }
static const struct cn_source_ops ops = {sizeof ops, 0, plan, validate, NULL, open_it, poll_it, NULL, NULL, free};
CN_COMPONENT(bad, CN_SOURCE, "bad-source", NULL, "Crashes", options, ops);
CN_PLUGIN("bad", "1.0.0", "tests", "Apache-2.0", NULL, &bad)
'''
TRANSFORM = COMMON + '''
static int open_it(struct cn_host *h, void **ret) { (void)h; *ret = malloc(1); return 0; }
static int apply(void *self, struct cn_batch *b, uint32_t r) { (void)self; (void)b; (void)r; return crash_in("apply"); }
static const struct cn_transform_ops ops = {sizeof ops, 0, validate, open_it, apply, free};
CN_COMPONENT(bad, CN_TRANSFORM, "BadTransform", NULL, "Crashes", options, ops);
CN_PLUGIN("bad", "1.0.0", "tests", "Apache-2.0", NULL, &bad)
'''
BY_SOURCE = 'pipeline: bad\nsource: {connector: bad-source}\n'
BY_TRANSFORM = 'pipeline: bad\nsource: {connector: file, topic: bad, path: ["%s"], transforms: [{name: t, type: BadTransform}]}\n'
GOOD = 'pipeline: good\nsource: {connector: file, topic: good, path: ["%s"]}\n'


def same(what, got, want):
    assert got == want, '%s: got %r, want %r' % (what, got, want)


def build(scratch, text):
    folder = scratch.file('plugins')
    os.makedirs(folder, exist_ok=True)
    subprocess.run(['cc', '-shared', '-fPIC', '-D_GNU_SOURCE', '-I', os.path.join(SRC, 'plugin-api/include'), scratch.file('bad.c', text), '-o', os.path.join(folder, 'bad.so')], check=True)
    return folder


def ends_by_crash(daemon):
    wait_until('it crashed', lambda: daemon.process.poll() is not None)
    assert daemon.process.returncode, 'it ended well'  # by the signal, or as a sanitizer does


def case(scratch, op, text, pipeline):
    folder, lines, trigger = build(scratch, text), scratch.file('lines', 'one\n'), scratch.file('trigger')
    daemon = Daemon(scratch, {'good': GOOD % lines, 'bad': pipeline.replace('%s', lines)}, args=['--plugin-path', folder], env={'CRASH_IN': op, 'CRASH_IF': trigger})
    open(trigger, 'w').close()
    daemon.spawn()
    ends_by_crash(daemon)
    # Once is no habit: it is tried again, and with its cause gone nothing is left of it.
    daemon.spawn()
    ends_by_crash(daemon)
    log = open(daemon.log).read()
    assert 'SIGSEGV' in log and 'plugin bad' in log and op in log, log[-2000:]
    daemon.start()
    wait_until('the others run', lambda: daemon.states().get('good-source') == ['RUNNING'])
    wait_until('and read', lambda: [r['value'] for r in daemon.consume('good')] == ['one'])
    same('the crashing one', daemon.states()['bad-source'], ['FAILED'])
    shown = daemon.run('status', check=False)
    same('exit code of status', shown.returncode, 1)
    assert 'plugin bad crashed the daemon 2 times' in shown.stdout and 'plugins forgive bad' in shown.stdout, shown.stdout
    # A reload and a restart by hand do not bring it back.
    daemon.run('reload', check=False)
    daemon.run('restart', 'bad-source', check=False)
    wait_until('it stays FAILED', lambda: daemon.states()['bad-source'] == ['FAILED'])
    os.unlink(trigger)
    daemon.run('plugins', 'forgive', 'bad')
    daemon.run('restart', 'bad-source')
    wait_until('it runs', lambda: daemon.states()['bad-source'] == ['RUNNING'])
    daemon.stop()


def main():
    for op, text, pipeline in [(op, SOURCE, BY_SOURCE) for op in ('poll', 'open', 'plan', 'validate')] + [(op, TRANSFORM, BY_TRANSFORM) for op in ('apply', 'validate')]:
        with Scratch('crash') as scratch:
            try:
                case(scratch, op, text, pipeline)
            except AssertionError:
                print('in %s of %s' % (op, 'a source' if text is SOURCE else 'a transform'))
                raise
        print('ok %s of %s' % (op, 'a source' if text is SOURCE else 'a transform'), flush=True)


if __name__ == '__main__':
    main()
