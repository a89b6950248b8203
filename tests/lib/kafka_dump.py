# SPDX-License-Identifier: Apache-2.0
"""For Python tests: Kafka's DumpLogSegments and our log-dump held against each other, row by row, over the folders of a log."""
import base64
import collections
import glob
import json
import os
import re
import subprocess

from daemon import CONNECTD
from kafka import tool

RECORD = re.compile(r'\| offset: (\d+) \w+: (-?\d+) keySize: (-?\d+) valueSize: (-?\d+) sequence: (-?\d+) headerKeys: \[(.*?)\](.*)')
MARKER, CONTROL = re.compile(r' endTxnMarker: (\w+) coordinatorEpoch: (\d+)'), re.compile(r' (LeaderChange|Snapshot\w+|KRaft\w+):? \{.*\}')
PAYLOAD = re.compile(r'(?: key: (.*?))?(?: payload: (.*))?')
DECODERS = {'--offsets-decoder': '/__consumer_offsets-', '--transaction-log-decoder': '/__transaction_state-'}
STATUSES = ['Empty', 'Ongoing', 'PrepareCommit', 'PrepareAbort', 'CompleteCommit', 'CompleteAbort', 'Dead', 'PrepareEpochFence']


# ── Kafka's text ──

def word(text):
    optional = re.fullmatch(r'OptionalLong(?:\.empty|\[(.*)\])', text)
    if optional:
        text = optional.group(1)
    return {'true': True, 'false': False}.get(text, int(text) if text and re.fullmatch(r'-?\d+', text) else text)


def their_record(line, internal):
    found = RECORD.fullmatch(line)
    assert found, 'a line of another form: %s' % line
    row = {k: int(v) for k, v in zip(('offset', 'time', 'keySize', 'valueSize', 'sequence'), found.groups())}
    row['headers'] = found.group(6).split(',') if found.group(6) else []
    marker, control, payload = (form.fullmatch(found.group(7)) for form in (MARKER, CONTROL, PAYLOAD))
    if marker:
        row.update(endTxnMarker=marker.group(1), coordinatorEpoch=int(marker.group(2)))
    elif control:
        row['controlType'] = control.group(1)
    elif internal:
        row['decoded'] = payload.groups()
    else:
        row['key'], row['payload'] = payload.groups()
    return row


def theirs(files, *options):
    """What Kafka's tool prints of the files: rows by file."""
    rows, internal = {}, options and options[0] in DECODERS
    text = files and tool('org.apache.kafka.tools.DumpLogSegments', *options, '--deep-iteration', '--print-data-log', '--files', ','.join(files))
    for line in text.splitlines() if text else ():
        pairs = re.findall(r'(\w+): (\S+)', line)
        if line.startswith('Dumping '):
            rows[line[8:]] = here = []
        elif line.startswith('| '):
            here.append(their_record(line, internal))
        elif not re.match('Log starting offset|Snapshot end offset', line):
            assert line.startswith(pairs[0][0] + ': ') and len(pairs) > 1, 'Kafka complains: %s' % line
            here.append({k: word(v) for k, v in pairs})
    return rows


# ── ours ──

def text_of(value):
    return base64.b64decode(value['$base64']).decode('utf-8', 'replace') if isinstance(value, dict) else value


def our_record(row):
    row['time'] = row.pop('CreateTime', None) or row.pop('LogAppendTime')
    row['headers'] = [name for name, _ in row.get('headers', [])]
    if 'payload' in row:
        row['payload'] = text_of(row['payload'])
    if 'key' in row:
        row['key'] = text_of(row['key'])
    if 'controlType' in row:
        del row['payload']
    return row


def ours(folder):
    rows = {}
    done = subprocess.run([CONNECTD, 'log-dump', '--json', '--values', '--verify', folder], stdout=subprocess.PIPE, text=True)
    for line in done.stdout.splitlines():
        row = json.loads(line)
        kind = row.pop('type')
        assert kind != 'fault', row
        if kind == 'file':
            rows[row['file']] = here = []
        elif kind != 'unused':
            here.append(our_record(row) if kind == 'record' else row)
    assert done.returncode == 0, 'log-dump: exit %d' % done.returncode
    return rows


# ── held against each other ──

def same_words(where, mine, key, value):
    """Kafka's decoder writes all fields of a message, ours those that we keep, a status by its name."""
    for is_, want in ((mine['key'], key), (mine['value'] or {}, value or {})):
        for name, field in is_.items():
            he = want.get(name.replace('Bytes', ''))
            he = STATUSES[he] if name == 'transactionStatus' else he or [] if name == 'transactionPartitions' else he
            if name == 'members':
                field, he = [m['memberId'] for m in field], [m['memberId'] for m in he]
            assert name.endswith('Bytes') or field == he, (where, name, mine, key, value)
    assert (mine['value'] is None) == (value is None), (where, mine, value)


def same_internal(where, mine, his, seen):
    key, value = (json.loads(text) if text and text.startswith('{') else None for text in his.pop('decoded'))
    decoded, known = mine.pop('decoded', None), key['type'] in ('0', '1', '2')
    assert bool(decoded) == known, (where, mine, key)
    if known:  # the others are of Kafka's newer groups, share groups and streams
        same_words(where, decoded, key['data'], value and value['data'])
        seen['records in words'] += 1
    else:
        del mine['key'], mine['payload']
    assert mine == his, (where, mine, his)


def note(path, row, seen):
    seen['rows of ' + path[path.rindex('.'):]] += 1
    for name, what in (('endTxnMarker', '%s'), ('controlType', '%s'), ('compresscodec', 'codec %s')):
        if name in row:
            seen[what % row[name]] += 1
    seen['records'] += 'keySize' in row
    seen['delete horizons'] += row.get('deleteHorizonMs') is not None


def same_file(path, ours, theirs, seen):
    if path.endswith('.snapshot'):
        # Ours may have several batches of a producer; the last is its state.
        ours, theirs = (sorted({r['producerId']: r for r in rows}.values(), key=lambda r: r['producerId']) for rows in (ours, theirs))
    assert len(ours) == len(theirs), '%s: %d rows by us, %d by Kafka' % (path, len(ours), len(theirs))
    for i, (mine, his) in enumerate(zip(ours, theirs)):
        where = '%s, row %d' % (path, i)
        if '__cluster_metadata' in path and 'payload' in his:  # its checksum is compared; Kafka prints these in words
            del mine['key'], mine['payload'], his['key'], his['payload']
        if 'decoded' in his:
            same_internal(where, mine, his, seen)
        elif 'keySize' in mine:
            assert mine == his, (where, mine, his)
        else:
            both = mine.keys() & his.keys()
            assert len(both) >= 2 and all(mine[k] == his[k] for k in both), (where, mine, his)
        note(path, mine, seen)


def used(path):
    """Kafka's tool fails on indexes of empty segments, and shows what is only reserved in an index as its first entry."""
    log = re.sub(r'\.(time)?index$', '.log', path)
    return os.path.getsize(log) > 0 and any(open(path, 'rb').read(12))


def compare(data):
    """Fails at the first difference; returns how much of what there was, and Kafka's rows by file."""
    files = [p for p in glob.glob(data + '/*/*') if re.search(r'\.(log|index|timeindex|txnindex|snapshot|checkpoint)$', p)]
    mine, seen = ours(data), collections.Counter()
    his = {p: [] for p in files if p.endswith('index') and not used(p)}
    for option, folder in {**DECODERS, '--cluster-metadata-decoder': '/__cluster_'}.items():
        his.update(theirs([p for p in files if folder in p and p.endswith(('.log', '.checkpoint'))], option))
    his.update(theirs([p for p in files if p not in his]))
    for path, rows in his.items():
        same_file(path, mine[path], rows, seen)
    for path in glob.glob(data + '/*/leader-epoch-checkpoint'):
        rows = [tuple(map(int, line.split())) for line in open(path).read().splitlines()[2:]]
        assert [(r['epoch'], r['startOffset']) for r in mine[path]] == rows, path
        seen['epochs'] += len(rows)
    return seen, his
