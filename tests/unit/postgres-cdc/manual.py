#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every option's row stands in the manual with its default, and the manual knows no other."""
import os
import re
import sys

HERE = os.path.join(os.environ.get('SRC') or os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../..'), 'connectors/postgres-cdc')
manual = open(os.path.join(HERE, 'README.md')).read()
rows = open(os.path.join(HERE, 'options.c')).read().split('void options_slot_name')[0]
listed = {m[0].rstrip('…'): m[1] for m in re.findall(r'^\| `([^`]+)` \| ([^|]*) \|', manual.split('## Options')[1], re.M)}
wrong = []
for kind, name, rest in re.findall(r'^    CN_(\w+)\("([^"]+)",(.*)', rows, re.M):
    if name not in listed:
        wrong.append('%s is not in README.md' % name)
        continue
    default = None if kind in ('REFUSED', 'IGNORED', 'PAIRS') else re.search(r'O, [\w.]+, (NULL|"[^"]*")', rest)
    if default and default[1] != 'NULL' and listed[name].strip() != '`%s`' % default[1].strip('"'):
        wrong.append('%s: its default is %s, README.md says %s' % (name, default[1], listed[name]))
    listed.pop(name)
wrong += ['README.md has %s, which is no option' % name for name in listed]
print('\n'.join(wrong) or 'ok')
sys.exit(1 if wrong else 0)
