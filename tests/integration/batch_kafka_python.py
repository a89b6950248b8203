#!/usr/bin/python3
"""kafka-python reads batches of ours, and we read batches of its, of every codec: an outside opinion on the record format.

Where Python has no lz4 or zstd module, the codecs' own command-line tools stand in.
"""
import json
import os
import shutil
import subprocess
import sys

try:
    import kafka.codec as codec
    import kafka.record.default_records as records
except ImportError:
    print("SKIPPED: no kafka-python (python3-kafka)")
    sys.exit(77)

TOOL = os.environ["BUILD"] + "/tests/integration/batch_tool"
CODECS = {"none": 0, "gzip": 1, "lz4": 3, "zstd": 4}


def pipe(*command):
    return lambda data: subprocess.run(command, input=bytes(data), stdout=subprocess.PIPE, check=True).stdout


def stand_in(name, encode, decode):
    if getattr(codec, "has_" + name)():
        return True
    if not shutil.which(encode[0]):
        return False
    setattr(codec, "has_" + name, lambda: True)
    setattr(records, name + "_encode", pipe(*encode))
    setattr(records, name + "_decode", pipe(*decode))
    return True


def expected():
    for i in range(500):
        yield {
            "offset": 1000 + i,
            "timestamp": 1700000000000 + i * 3 - (i % 4) * 7,
            "key": "key-%d" % i if i % 5 else None,
            "value": "value %d value %d value %d" % (i, i, i) if i % 11 else None,
            "headers": [] if i % 3 else [["h", "v"], ["null", None]],
        }


def text(b):
    return None if b is None else b.decode()


def they_read_ours(name):
    data = subprocess.run([TOOL, "write", name], stdout=subprocess.PIPE, check=True).stdout
    batch = records.DefaultRecordBatch(data)
    assert batch.validate_crc(), "checksum"
    assert batch.compression_type == CODECS[name], "codec %d" % batch.compression_type
    got = [{"offset": r.offset, "timestamp": r.timestamp, "key": text(r.key), "value": text(r.value),
            "headers": [[k, text(v)] for k, v in r.headers]} for r in batch]
    assert got == list(expected()), "records differ"


def we_read_theirs(name):
    builder = records.DefaultRecordBatchBuilder(magic=2, compression_type=CODECS[name], is_transactional=0, producer_id=-1,
                                                producer_epoch=-1, base_sequence=-1, batch_size=10000000)
    for r in expected():
        encode = lambda s: None if s is None else s.encode()
        builder.append(r["offset"] - 1000, r["timestamp"], encode(r["key"]), encode(r["value"]), [(k, encode(v)) for k, v in r["headers"]])
    out = subprocess.run([TOOL, "read"], input=bytes(builder.build()), stdout=subprocess.PIPE, check=True).stdout
    got = [json.loads(line) for line in out.splitlines()]
    assert got == [dict(r, offset=r["offset"] - 1000) for r in expected()], "records differ"


available = {
    "none": True,
    "gzip": True,
    "lz4": stand_in("lz4", ["lz4", "-c", "-B4"], ["lz4", "-dc"]),
    "zstd": stand_in("zstd", ["zstd", "-c", "-q"], ["zstd", "-dc", "-q"]),
}
for name in CODECS:
    if not available[name]:
        print("LEFT OUT: %s: neither a module nor a tool" % name)
        continue
    they_read_ours(name)
    we_read_theirs(name)
    print("ok", name)
