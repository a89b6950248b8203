#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""read_log.py DATA.DIR   every durable record of a log at rest, as JSON lines: written from docs/on-disk.md alone, with no code of ours."""
import gzip, io, json, os, struct, sys  # noqa: E401

FIELDS = {1: 'IIQ', 2: 'IUTT', 3: 'IIIqqiT', 4: 'IqIQIqqB', 5: 'Iiq', 6: 'IT', 7: 'IUTI', 8: 'II', 9: 'IqT', 32: 'IUTTII', 33: 'I', 34: 'IIII', 35: 'IT',
          36: 'IqQIq', 37: 'IqIQQqqIIqB', 38: 'Iq', 39: 'Iq', 40: 'IqIqIQIq', 41: 'Q'}  # of our records, by kind; T a text, U a uuid
TABLE = []
for i in range(256):
    for _ in range(8):
        i = i >> 1 ^ 0x82F63B78 * (i & 1)
    TABLE.append(i)


def crc32c(data, crc=0):
    crc ^= 0xFFFFFFFF
    for b in data:
        crc = TABLE[(crc ^ b) & 255] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def take(f, letters):  # struct's letters; v a varint, p bytes behind their varint length
    for c in letters:
        if c == 'v':
            n, shift, b = 0, 0, 128
            while b > 127:
                b = f.read(1)[0]
                n, shift = n | (b & 127) << shift, shift + 7
            yield n >> 1 ^ -(n & 1)
        elif c in 'Tp':
            n, = take(f, 'I' if c == 'T' else 'v')
            yield None if n < 0 else f.read(n).decode('utf-8', 'replace')
        else:
            yield f.read(16) if c == 'U' else struct.unpack('>' + c, f.read(struct.calcsize('>' + c)))[0]


def frames(f, journal, position, sequence):  # (records, data) of each that follows the checkpoint
    f.seek(32)
    area, = take(f, 'Q')
    while True:
        f.seek(4096 + position % area)
        h, salt = f.read(48), crc32c(journal + struct.pack('>I', position // area))
        magic, check, seq, nrecords, ndata, crc = struct.unpack('>4sI8xQ8xIII4x', h)
        records = f.read(nrecords) if (magic, check, seq) == (b'CNJF', crc32c(h[8:], salt), sequence) else b''
        if records and crc32c(records, salt) == crc:
            yield records, f.read(ndata)
            position, sequence = position + (48 + nrecords + ndata + 4095) // 4096 * 4096, sequence + 1
        elif position % area == 0:
            return
        else:
            position += area - position % area  # perhaps it did not fit and begins the next lap


def catalogue(root):  # partitions: id → topic, index, start, end, segments: base → [generation, inline pieces]
    slots = [open(os.path.join(root, 'checkpoint-%d' % i), 'rb').read() for i in (0, 1)]
    slot = max((s for s in slots if struct.unpack('>8sI', s[:12]) == (b'CNCKPT\0\0', crc32c(s[12:64 + int.from_bytes(s[56:64], 'big')]))), key=lambda s: s[16:24])
    position, sequence, length = struct.unpack('>QQQ', slot[40:64])
    topics, parts = {}, {}
    for records, data in [(slot[64:64 + length], b''), *frames(open(os.path.join(root, 'journal'), 'rb'), slot[24:40], position, sequence)]:
        f, data = io.BytesIO(records), io.BytesIO(data)
        while f.tell() < len(records):
            kind = f.read(1)[0]
            r = list(take(f, FIELDS[kind]))
            p = parts.get(r[0]) or {'segments': {}}  # of a deleted topic: nobody looks
            if kind in (2, 32):
                topics[r[0]] = r[2]
            if kind == 3:
                parts[r[2]] = {'topic': topics[r[0]], 'index': r[1], 'start': r[3], 'end': r[4], 'segments': {}}
            if kind in (32, 34):
                index, count, part = (0, r[4], r[5]) if kind == 32 else r[1:]
                parts.update({part + i: {'topic': topics[r[0]], 'index': index + i, 'start': 0, 'end': 0, 'segments': {0: [0, []]}} for i in range(count)})
            if kind == 33:
                parts = {k: v for k, v in parts.items() if v['topic'] != topics[r[0]]}
            if kind in (4, 36):
                p['segments'][r[1]] = [r[2] if kind == 4 else 0, []]
            if kind == 37:
                p['end'] = r[6]
                if r[10] and r[1] in p['segments']:
                    p['segments'][r[1]][1].append((r[3], data.read(r[4])))
                elif r[10]:
                    data.read(r[4])
            if kind == 38:
                p['start'] = r[1]
            if kind == 39:
                p['segments'] = {b: s for b, s in p['segments'].items() if b >= r[1]}
            if kind == 40:
                gone = sorted(b for b in p['segments'] if b >= r[1])[:r[2]]
                p['segments'] = {b: s for b, s in p['segments'].items() if b not in gone}
                if r[3] >= 0:
                    p['segments'][r[3]] = [r[4], []]
    return sorted(parts.values(), key=lambda p: (p['topic'], p['index']))


def segment(folder, base, generation, inline):  # the file as recovery would leave it
    names = [os.path.join(folder, n % base) for n in ('%%020d.%d.cleaned.log' % generation, '%020d.log')]
    log = bytearray(open(next(n for n in names if os.path.exists(n)), 'rb').read())
    for at, b in inline:
        log[at:at + len(b)] = b
    return bytes(log)


def records(log, p):
    at = 0
    while at < len(log) and int.from_bytes(log[at:at + 8], 'big') < p['end']:
        base, length, crc, attributes, first, last, count = struct.unpack('>qi5xIh4xqq14xi', log[at:at + 61])
        assert crc32c(log[at + 21:at + 12 + length]) == crc and attributes & 7 < 2, 'batch at %d: damaged, or of another codec than gzip' % at
        body = io.BytesIO(gzip.decompress(log[at + 61:at + 12 + length]) if attributes & 7 else log[at + 61:at + 12 + length])
        for _ in range(0 if attributes & 32 else count):
            size, = take(body, 'v')
            end = body.tell() + size
            _, time, delta, key, value = take(body, 'bvvpp')
            if base + delta >= p['start']:
                yield {'topic': p['topic'], 'partition': p['index'], 'offset': base + delta, 'timestamp': last if attributes & 8 else first + time,
                       'key': key, 'value': value}
            body.seek(end)
        at += 12 + length


if __name__ == '__main__':
    for p in catalogue(sys.argv[1]):
        for base, (generation, inline) in sorted(p['segments'].items()):
            for record in records(segment(os.path.join(sys.argv[1], '%(topic)s-%(index)d' % p), base, generation, inline), p):
                print(json.dumps(record))
