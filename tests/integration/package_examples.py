#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`connectd check`, with the real plugins, of every pipeline a user may start from: configs/, each connector's example.yaml, and the YAML
in the README files."""
import glob
import os
import re
import subprocess
import sys
import tempfile

BUILD, SRC = os.environ['BUILD'], os.environ['SRC']
failed = []


def check(name, path):
    done = subprocess.run([os.path.join(BUILD, 'bin/connectd'), 'check', '--config', os.path.join(SRC, 'configs/connectd.yaml'),
                           '--plugin-path', os.path.join(BUILD, 'plugins'), path], capture_output=True, text=True)
    if done.returncode or 'nothing wrong' not in done.stdout or done.stdout.startswith('0 '):
        failed.append(name)
        print('%s: exit %d\n%s' % (name, done.returncode, done.stdout + done.stderr))


def examples():
    for pattern in ('configs/**/*.yaml', 'connectors/*/example.yaml'):
        for path in sorted(glob.glob(os.path.join(SRC, pattern), recursive=True)):
            if os.path.relpath(path, SRC) != 'configs/connectd.yaml':
                yield os.path.relpath(path, SRC), path


def blocks():
    """Pipelines in the manuals; a connector's page may show its own part only."""
    for path in [os.path.join(SRC, 'README.md')] + sorted(glob.glob(os.path.join(SRC, 'connectors/*/README.md'))):
        text = open(path).read()
        for m in re.finditer(r'^```yaml\n(.*?)^```', text, re.S | re.M):
            head = re.match(r'(?:#.*\n|\s*\n)*(pipeline|sources?|sinks?|topics):', m.group(1))
            if head:
                name = '%s:%d' % (os.path.relpath(path, SRC), text.count('\n', 0, m.start()) + 2)
                yield name, m.group(1) if head.group(1) == 'pipeline' else 'pipeline: example\n' + m.group(1)


def main():
    n = 0
    for name, path in examples():
        check(name, path)
        n += 1
    with tempfile.TemporaryDirectory(prefix='connectd-examples.') as scratch:
        for name, text in blocks():
            path = os.path.join(scratch, '%d.yaml' % n)
            with open(path, 'w') as f:
                f.write(text)
            check(name, path)
            n += 1
    if n < 15:
        failed.append('only %d were found' % n)
    print('%d pipelines, %d wrong' % (n, len(failed)))
    sys.exit(1 if failed else 0)


main()
