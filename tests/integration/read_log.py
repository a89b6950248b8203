#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""read_log.py DATA.DIR   every durable record of a log at rest, as JSON lines: written from docs/on-disk.md alone, with no code of ours."""
import functools, io, json, os, struct, sys  # noqa: E401
FIELDS = {1: 'IIQ', 2: 'IQQTT', 3: 'IIIqqiT', 4: 'IqIQIqqB', 5: 'Iiq', 6: 'IT', 7: 'IQQTI', 8: 'II', 9: 'IqT', 10: 'Iqq', 11: 'IIqQq', 32: 'IQQTTII',
          33: 'I', 34: 'IIII', 35: 'IT', 36: 'IqQIq', 37: 'IqIQQqqIIqB', 38: 'Iq', 39: 'Iq', 40: 'IqIqIQIq', 41: 'Q', 42: 'IIqQq'}  # by kind; a uuid is QQ
TABLE = [functools.reduce(lambda c, _: c >> 1 ^ 0x82F63B78 * (c & 1), range(8), i) for i in range(256)]

def crc32c(data, crc=0):
    return functools.reduce(lambda c, b: TABLE[(c ^ b) & 255] ^ c >> 8, data, crc ^ 0xFFFFFFFF) ^ 0xFFFFFFFF

def varint(f):
    b = f.read(1)[0]
    return b if b < 128 else b & 127 | varint(f) << 7

def take(f, letters):  # struct's letters, and: T a text, v a zigzag varint, b bytes behind one
    for c in letters:
        n = varint(f) if c in 'vb' else int.from_bytes(f.read({'q': 8, 'Q': 8, 'B': 1}.get(c, 4)), 'big', signed=c in 'qi')
        n = n >> 1 ^ -(n & 1) if c in 'vb' else n
        yield n if c not in 'Tb' else None if n < 0 else f.read(n).decode('utf-8', 'replace')

def edits(records, data=b''):  # lists of kind, fields, and an inline range's bytes; none when these are not whole
    f, data, rows = io.BytesIO(records), io.BytesIO(data), []
    while kind := f.read(1):
        row = [kind[0], *take(f, FIELDS[kind[0]])]
        rows.append(row + [data.read(row[5])] if row[0] == 37 and row[11] else row)
    return rows if all(crc32c(r[12], r[8]) == r[9] for r in rows if len(r) > 12) else []

def frames(ring, journal):  # every whole one, at whatever page it begins: its sequence and edits
    for at in range(4096, len(ring), 4096):
        magic, check, lap, sequence, n, size, crc = struct.unpack_from('>4sI4xIQ8xIII', ring, at)
        salt, end = crc32c(struct.pack('>16sI', journal, lap)), at + 48 + n
        if magic == b'CNJF' and crc32c(ring[at + 8:at + 48], salt) == check and crc32c(ring[at + 48:end], salt) == crc:
            yield sequence, edits(ring[at + 48:end], ring[end:end + size])

def checkpoint(slot):  # generation, journal, first frame after it, edits: of the image, then of changes, while each follows what stands before it
    found, at, link = [], 0, 1
    while True:
        magic, check, before, generation, journal, first, length = struct.unpack_from('>8sIIQ16s8xQQ', slot.ljust(at + 64, b'\0'), at)
        follows = before == link and generation == found[0] + 1 if at else before == 1
        if magic[:6] != (b'CNCHNG' if at else b'CNCKPT') or not follows or check != crc32c(slot[at + 12:at + 64 + length]):
            return found
        found = [generation, journal, first, (found[3] if at else []) + edits(slot[at + 64:at + 64 + length])]
        link, at = check, at + 64 + length

def catalogue(root):  # {id: [topic, index, log start, durable end, {segment: generation}, [(segment, position, bytes in the journal)]]}
    slots = [checkpoint(open(os.path.join(root, name), 'rb').read()) for name in ('checkpoint-0', 'checkpoint-1')]
    _, journal, first, told = max(filter(None, slots), key=lambda slot: slot[0])
    later = sorted(f for f in frames(open(os.path.join(root, 'journal'), 'rb').read(), journal) if f[0] >= first)
    topics, parts = {}, {}
    for kind, *r in told + [row for _, rows in later for row in rows]:
        _, _, _, _, segments, inline = p = parts.get(r[0], [0, 0, 0, 0, {}, []])  # of what is deleted: nobody looks
        if kind in (2, 32):
            topics[r[0]] = r[3]
        if kind == 3:
            parts[r[2]] = [topics[r[0]], r[1], r[3], r[4], {}, []]
        if kind in (32, 34):
            index, count, part = (0, *r[5:]) if kind == 32 else r[1:]
            parts.update({part + i: [topics[r[0]], index + i, 0, 0, {}, []] for i in range(count)})
        if kind == 33:
            parts = {part: p for part, p in parts.items() if p[0] != topics[r[0]]}
        if kind in (4, 37):
            segments[r[1]] = r[2]
        if kind == 37:
            p[3], p[5] = r[6], inline + [(r[1], r[3], piece) for piece in r[11:]]
        if kind == 38:
            p[2] = r[1]
        if kind == 39:
            p[4] = {base: generation for base, generation in segments.items() if base >= r[1]}
        if kind == 40:
            gone = sorted(base for base in segments if base >= r[1])[:r[2]]
            p[4] = {base: generation for base, generation in segments.items() if base not in gone} | ({r[3]: r[4]} if r[3] >= 0 else {})
    return parts

def records(log, start, end):  # of a segment's bytes: offset, timestamp, key, value
    at = 0
    while at < len(log) and int.from_bytes(log[at:at + 8], 'big') < end:
        base, length, crc, attributes, time, last, count = struct.unpack_from('>qi5xIh4xqq14xi', log, at)
        assert crc32c(log[at + 21:at + 12 + length]) == crc and not attributes & 7, 'batch at %d: damaged, or compressed' % at
        body, at = io.BytesIO(log[at + 61:at + 12 + length]), at + 12 + length
        for _ in range(0 if attributes & 32 else count):
            _, later, delta, key, value = take(io.BytesIO(body.read(*take(body, 'v'))), 'Bvvbb')
            if base + delta >= start:
                yield base + delta, last if attributes & 8 else time + later, key, value

if __name__ == '__main__':
    for topic, index, start, end, segments, inline in sorted(catalogue(sys.argv[1]).values()):
        for base, generation in sorted(segments.items()):
            stem = os.path.join(sys.argv[1], '%s-%d' % (topic, index), '%020d' % base)
            cleaned = '%s.%d.cleaned.log' % (stem, generation)
            log = bytearray(open(cleaned if os.path.exists(cleaned) else stem + '.log', 'rb').read())
            for at, piece in [(at, piece) for where, at, piece in inline if where == base]:
                log[at:at + len(piece)] = piece
            for record in records(log, start, end):
                print(json.dumps(dict(zip(('topic', 'partition', 'offset', 'timestamp', 'key', 'value'), (topic, index, *record)))))
