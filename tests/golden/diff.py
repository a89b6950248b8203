#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""diff.py WANT.jsonl GOT.jsonl [PREFIX]   compares records topic by topic; exit 1 on any difference.

A line is one record: {"topic", "key", "value", "headers": [[name, value], ...]}; other members are not compared. Within a topic
the order counts. What differs between two runs of the same program (times, LSNs, transaction ids, the version) is replaced by
its JSON type first. PREFIX is replaced by the word PREFIX in GOT.
"""
import json, re, sys

VOLATILE = {'ts_ms', 'ts_us', 'ts_ns', 'lsn', 'txId', 'xmin', 'sequence'}


def normal(x, key=None, parent=None):
    """x with run-dependent values replaced by their type's name."""
    if isinstance(x, str) and re.fullmatch('<(int|str|uuid)>', x):
        return x
    if x is not None and (key in VOLATILE or (key == 'version' and parent == 'source') or
                          (key == 'id' and isinstance(x, str) and re.fullmatch(r'\d+:\d+', x))):
        return '<%s>' % type(x).__name__
    if key == 'data_collection':  # a Java object's hash
        return re.sub(r'@[0-9a-f]+$', '@', x)
    if isinstance(x, dict):
        return {k: normal(v, k, key) for k, v in x.items()}
    if isinstance(x, list):
        run_id = len(x) == 2 and x[0] == '__debezium.context.runId'
        return ['<uuid>' if run_id and isinstance(v, str) and re.match('[0-9a-f]{8}-[0-9a-f]{4}-7', v) else normal(v) for v in x]
    return x


def load(path, prefix=None):
    topics = {}
    for line in open(path, encoding='utf-8'):
        r = json.loads(line.replace(prefix, 'PREFIX') if prefix else line)
        topics.setdefault(r['topic'], []).append({k: normal(r.get(k)) for k in ('key', 'value', 'headers')})
    return topics


def differences(a, b, at=''):
    """Yields (path, want, got); the order of members counts."""
    if type(a) is not type(b):
        yield at, a, b
    elif isinstance(a, dict):
        if list(a) != list(b) and set(a) == set(b):
            yield at + '(order)', list(a), list(b)
        for k in list(a) + [k for k in b if k not in a]:
            if k not in a or k not in b:
                yield at + '.' + k, a.get(k, '<absent>'), b.get(k, '<absent>')
            else:
                yield from differences(a[k], b[k], at + '.' + k)
    elif isinstance(a, list):
        if len(a) != len(b):
            yield at + '(length)', len(a), len(b)
        for i, (x, y) in enumerate(zip(a, b)):
            yield from differences(x, y, '%s[%d]' % (at, i))
    elif a != b:
        yield at, a, b


def compare(want, got):
    """Prints what differs; returns (identical, total, kinds of difference)."""
    total = same = counts = 0
    kinds = {}
    for topic in sorted(set(want) | set(got)):
        a, b = want.get(topic, []), got.get(topic, [])
        total += max(len(a), len(b))
        if len(a) != len(b):
            counts += 1
            print('%s: want %d records, got %d' % (topic, len(a), len(b)))
        for i, (x, y) in enumerate(zip(a, b)):
            d = list(differences(x, y))
            same += not d
            for path, u, v in d:
                kinds.setdefault((topic, re.sub(r'\[\d+\]', '[]', path)), []).append((i, u, v))
    for (topic, path), l in sorted(kinds.items()):
        i, u, v = l[0]
        print('%s %s: %d times, first at record %d: want %s got %s' % (
            topic, path, len(l), i, json.dumps(u, ensure_ascii=False)[:200], json.dumps(v, ensure_ascii=False)[:200]))
    return same, total, len(kinds) + counts


if __name__ == '__main__':
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    same, total, kinds = compare(load(sys.argv[1]), load(sys.argv[2], *sys.argv[3:]))
    print('%d of %d records identical, %d kinds of difference' % (same, total, kinds))
    sys.exit(1 if kinds else 0)
