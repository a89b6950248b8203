// SPDX-License-Identifier: Apache-2.0
// Record batches in Kafka's v2 format: building, checking, iterating. Pure: bytes in, bytes out.
//
// Layout: reference org.apache.kafka.common.record.DefaultRecordBatch: 61 bytes of header, then records, compressed as one block when
// the attributes say so. Bytes 0-20 (base offset, length, leader epoch, magic, CRC) lie outside the CRC.
#ifndef STORE_BATCH_H
#define STORE_BATCH_H

#include "base/buf.h"
#include "base/cur.h"
#include "base/err.h"

enum codec { CODEC_NONE = 0, CODEC_GZIP = 1, CODEC_SNAPPY = 2, CODEC_LZ4 = 3, CODEC_ZSTD = 4 };
int codec_by_name(struct str name, enum codec *ret); // "none", "gzip", … ; -1 unknown
const char *codec_name(enum codec c);
// What a topic's compression.type says: an enum codec, or -1 to leave it to producers.
int codec_by_type(struct str type);
// Whether plain records of n bytes are worth compressing: a single small one gains nothing, and of a very large one the second copy costs too much.
static inline bool codec_worth(size_t n) { return n >= 1 << 10 && n <= 8 << 20; }

enum { BATCH_HEADER = 61, BATCH_MAX_OVERHEAD = 61 + 5 + 1 + 10 + 5 + 5 + 5 + 5 };
enum batch_attributes { BATCH_CODEC_MASK = 7, BATCH_APPEND_TIME = 8, BATCH_TRANSACTIONAL = 16, BATCH_CONTROL = 32, BATCH_DELETE_HORIZON = 64 };

struct batch_header {
    int64_t base_offset;
    int32_t length;              // bytes after the length field
    int32_t leader_epoch;
    int8_t magic;
    uint32_t crc;
    int16_t attributes;
    int32_t last_offset_delta;
    int64_t base_timestamp, max_timestamp;
    int64_t producer_id;         // -1 none
    int16_t producer_epoch;
    int32_t base_sequence;
    int32_t count;
};
static inline size_t batch_size(const struct batch_header *h) { return 12 + (size_t)(uint32_t)h->length; }
static inline int64_t batch_last_offset(const struct batch_header *h) { return h->base_offset + h->last_offset_delta; }

// Reads a header from p[0..n): 0; 1 when n is less than the whole batch (size is known once n ≥ 17); -1 when it can not be a v2 batch.
int batch_read_header(const void *p, size_t n, struct batch_header *ret);
// Checks one whole batch p[0..n): n == its size, magic, count and deltas, attribute bits, CRC (unless skip_crc).
int batch_check(const void *p, size_t n, bool skip_crc, struct batch_header *ret, struct err *err) MUST_USE;
// Overwrites what lies outside the CRC.
void batch_patch(void *p, int64_t base_offset, int32_t leader_epoch);
// Writes a checked batch of records anew with another codec, at a level of it (0: its default); all else stays. What compression does not make smaller is left plain. The
// uncompressed records may have max_bytes: ERR_TOO_LARGE past them, ERR_CORRUPT when they can not be expanded; *bytes is unchanged then.
int batch_recode(struct buf *bytes, enum codec codec, int level, size_t max_bytes, struct err *err) MUST_USE;
// Sets the append-time bit and max timestamp and recomputes the CRC.
void batch_set_append_time(void *p, size_t n, int64_t ms);

struct record_header { struct str name; struct str value; bool null_value; };
struct record {
    int64_t offset, timestamp;
    struct str key, value;       // p NULL = null
    uint32_t header_count;
    struct cur headers;          // read with record_header_next
};
bool record_header_next(struct record *r, struct record_header *ret); // false at the end or when malformed

// Iterates the records of one checked batch; decompresses into `scratch` (bounded by max_bytes and by ratio).
struct record_iter { struct batch_header header; struct cur at; int32_t left; int64_t last_delta; };
int record_iter_init(struct record_iter *it, const void *p, size_t n, struct buf *scratch, size_t max_bytes, struct err *err) MUST_USE;
int record_iter_next(struct record_iter *it, struct record *ret, struct err *err) MUST_USE; // 1 a record, 0 the end, -1 malformed

// Builds one batch into `out`; offsets are base 0..n-1, patched at append. One thread.
struct batch_builder {
    struct buf *out;             // the batch starts at out->n at init
    size_t start;
    enum codec codec;
    int level;                   // of the codec, as compression.*.level; 0 = its default
    int16_t attributes;
    int64_t producer_id; int16_t producer_epoch; int32_t base_sequence;
    int64_t base_timestamp, max_timestamp;
    int32_t count;
    bool packed;
    size_t value_end;            // between batch_add_open and _close: where out must end
};
void batch_begin(struct batch_builder *b, struct buf *out, enum codec codec);
struct record_header_in { struct str name, value; bool null_value; };
// key.p or value.p NULL = null.
void batch_add(struct batch_builder *b, int64_t timestamp, struct str key, struct str value, const struct record_header_in *headers, uint32_t n);
// The record's frame without the value's bytes, for a value written in place: batch_add_open writes everything before the value once its
// length is known, the caller puts exactly value_n bytes into out, batch_add_close writes the headers.
void batch_add_open(struct batch_builder *b, int64_t timestamp, struct str key, size_t value_n, const struct record_header_in *headers, uint32_t n);
void batch_add_close(struct batch_builder *b, const struct record_header_in *headers, uint32_t n);
size_t batch_builder_bytes(const struct batch_builder *b); // so far, uncompressed
// Ends adding before batch_end does, and lets go of the memory that the batch was built in: what was added stands, compressed where that makes
// it smaller, in `to` (empty at first, takes what it needs and no more), into which batch_end then writes the header. `scratch` is the caller's for
// the next time. ERR_NOMEM or ERR_TOO_LARGE when there was no room; it may be packed again then.
int batch_pack(struct batch_builder *b, struct buf *scratch, struct buf *to, struct err *err) MUST_USE;
// Compresses, fills the header and CRC. Nothing is left in `out` when count is 0.
int batch_end(struct batch_builder *b, struct err *err) MUST_USE;
// A control batch: end marker of a transaction.
void batch_control(struct buf *out, int64_t producer_id, int16_t producer_epoch, bool commit_txn, int32_t coordinator_epoch, int64_t timestamp);
// What a control batch says: 0, or -1 when it is not an end marker (other control records exist; they change no producer).
struct batch_marker { bool commit_txn; int32_t coordinator_epoch; };
int batch_marker_read(const void *p, size_t n, struct batch_marker *ret);

#endif
