// SPDX-License-Identifier: Apache-2.0
// Record batches, Kafka's v2 format: header arithmetic, the builder's hot path, the iterator.
//
//   0 base offset 8 | 8 length 4 | 12 leader epoch 4 | 16 magic 1 | 17 CRC-32C 4, over all that follows
//   21 attributes 2 | 23 last offset delta 4 | 27 base timestamp 8 | 35 max timestamp 8
//   43 producer id 8 | 51 producer epoch 2 | 53 base sequence 4 | 57 count 4 | 61 records
//
// A record: varint length, attributes 1, varint timestamp delta, varint offset delta, varint key length (-1 null) key,
// varint value length (-1 null) value, varint header count, {varint length, name, varint length (-1 null), value}.
// All varints are zigzag.
#include "store/batch.h"

#include <assert.h>

#include "base/hash.h"
#include "compress.h"

enum {
    AT_LENGTH = 8, AT_EPOCH = 12, AT_MAGIC = 16, AT_CRC = 17, AT_ATTRIBUTES = 21, AT_LAST_DELTA = 23, AT_BASE_TS = 27, AT_MAX_TS = 35,
    AT_PRODUCER = 43, AT_PRODUCER_EPOCH = 51, AT_SEQUENCE = 53, AT_COUNT = 57,
    MAGIC = 2,
    SIZE_KNOWN = 17,     // bytes after which the batch's size and magic are known
    RECORD_MIN = 7,      // bytes of the smallest record
    ATTRIBUTES_KNOWN = BATCH_CODEC_MASK | BATCH_APPEND_TIME | BATCH_TRANSACTIONAL | BATCH_CONTROL | BATCH_DELETE_HORIZON,
};
static_assert(AT_COUNT + 4 == BATCH_HEADER, "header layout");

// ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────────────

static void read_fields(const uint8_t *p, struct batch_header *h) {
    h->crc = get_be32(p + AT_CRC);
    h->attributes = (int16_t)get_be16(p + AT_ATTRIBUTES);
    h->last_offset_delta = (int32_t)get_be32(p + AT_LAST_DELTA);
    h->base_timestamp = (int64_t)get_be64(p + AT_BASE_TS);
    h->max_timestamp = (int64_t)get_be64(p + AT_MAX_TS);
    h->producer_id = (int64_t)get_be64(p + AT_PRODUCER);
    h->producer_epoch = (int16_t)get_be16(p + AT_PRODUCER_EPOCH);
    h->base_sequence = (int32_t)get_be32(p + AT_SEQUENCE);
    h->count = (int32_t)get_be32(p + AT_COUNT);
}

int batch_read_header(const void *bytes, size_t n, struct batch_header *ret) {
    const uint8_t *p = bytes;
    if (n < SIZE_KNOWN) return 1;
    struct batch_header h = {
        .base_offset = (int64_t)get_be64(p),
        .length = (int32_t)get_be32(p + AT_LENGTH),
        .leader_epoch = (int32_t)get_be32(p + AT_EPOCH),
        .magic = (int8_t)p[AT_MAGIC],
    };
    if (h.magic != MAGIC || h.length < BATCH_HEADER - AT_EPOCH || h.base_offset < 0) return -1;
    if (n >= BATCH_HEADER) read_fields(p, &h);
    *ret = h;
    return n < batch_size(&h);
}

// What is wrong with the header's numbers, or NULL.
static const char *header_fault(const struct batch_header *h) {
    if (h->attributes & ~ATTRIBUTES_KNOWN) return "unknown attribute bits";
    if ((h->attributes & BATCH_CODEC_MASK) > CODEC_ZSTD) return "unknown codec";
    if (h->last_offset_delta < 0 || h->base_offset > INT64_MAX - 1 - h->last_offset_delta) return "offsets out of range";
    if (h->count < 0 || h->count - 1 > h->last_offset_delta) return "more records than offsets";
    if (!(h->attributes & BATCH_CODEC_MASK) && (size_t)h->count > (batch_size(h) - BATCH_HEADER) / RECORD_MIN) return "more records than bytes";
    if (h->producer_id < -1 || (h->producer_id >= 0 && h->producer_epoch < 0)) return "bad producer id or epoch";
    if (h->producer_id < 0 && h->attributes & BATCH_TRANSACTIONAL) return "transactional without a producer id";
    return NULL;
}

int batch_check(const void *p, size_t n, bool skip_crc, struct batch_header *ret, struct err *err) {
    struct batch_header h;
    int got = batch_read_header(p, n, &h);
    if (got < 0) return err_set(err, ERR_CORRUPT, "not a record batch of format 2");
    if (got > 0) return err_set(err, ERR_CORRUPT, "record batch cut after %zu bytes", n);
    if (batch_size(&h) != n) return err_set(err, ERR_CORRUPT, "record batch of %zu bytes in %zu", batch_size(&h), n);
    const char *fault = header_fault(&h);
    if (fault) return err_set(err, ERR_CORRUPT, "record batch at offset %lld: %s", (long long)h.base_offset, fault);
    if (!skip_crc) {
        uint32_t crc = crc32c(0, (const uint8_t *)p + AT_ATTRIBUTES, n - AT_ATTRIBUTES);
        if (crc != h.crc)
            return err_set(err, ERR_CORRUPT, "record batch at offset %lld: checksum is %08x, should be %08x", (long long)h.base_offset, crc, h.crc);
    }
    *ret = h;
    return 0;
}

void batch_patch(void *p, int64_t base_offset, int32_t leader_epoch) {
    put_be64(p, (uint64_t)base_offset);
    put_be32((uint8_t *)p + AT_EPOCH, (uint32_t)leader_epoch);
}

static void put_crc(uint8_t *p, size_t n) { put_be32(p + AT_CRC, crc32c(0, p + AT_ATTRIBUTES, n - AT_ATTRIBUTES)); }

void batch_set_append_time(void *bytes, size_t n, int64_t ms) {
    uint8_t *p = bytes;
    put_be16(p + AT_ATTRIBUTES, get_be16(p + AT_ATTRIBUTES) | BATCH_APPEND_TIME);
    put_be64(p + AT_MAX_TS, (uint64_t)ms);
    put_crc(p, n);
}

static struct str body_of(const void *p, size_t n) { return str_make((const uint8_t *)p + BATCH_HEADER, n - BATCH_HEADER); }

// The records of a batch, expanded into `plain` if need be.
static int expand(const struct batch_header *h, struct str body, struct buf *plain, size_t max_bytes, struct str *ret, struct err *err) {
    enum codec codec = (enum codec)(h->attributes & BATCH_CODEC_MASK);
    *ret = body;
    if (codec == CODEC_NONE || h->count == 0) return 0;
    buf_clear(plain);
    if (decompress_block(codec, body.p, body.n, plain, max_bytes, err) < 0)
        return err_wrap(err, "record batch at offset %lld", (long long)h->base_offset);
    *ret = buf_str(plain);
    return 0;
}

static int put_recoded(struct buf *out, const void *header, enum codec codec, struct str records, struct err *err) {
    if (!buf_reserve(out, BATCH_HEADER + records.n)) return err_set(err, buf_fault(out), "record batch of %zu bytes: no room", records.n);
    buf_put(out, header, BATCH_HEADER);
    buf_puts(out, records);
    put_be32(out->p + AT_LENGTH, (uint32_t)(out->n - AT_EPOCH));
    put_be16(out->p + AT_ATTRIBUTES, (uint16_t)((get_be16(out->p + AT_ATTRIBUTES) & ~BATCH_CODEC_MASK) | (unsigned)codec));
    put_crc(out->p, out->n);
    return 0;
}

// The records' compressed form, if that is smaller and a reader may expand it again; else none, and *codec says so.
static int compress_records(enum codec *codec, int level, struct str records, struct buf *out, struct err *err) {
    if (compress_block(*codec, level, records.p, records.n, out, err) != 0) return -1;
    if (out->n < records.n && records.n <= compress_bound_of(out->n)) return 0;
    buf_clear(out);
    *codec = CODEC_NONE;
    return 0;
}

static int read_whole(const void *p, size_t n, struct batch_header *ret, struct err *err) {
    if (batch_read_header(p, n, ret) == 0 && batch_size(ret) == n) return 0;
    return err_set(err, ERR_CORRUPT, "not one whole record batch");
}

int batch_recode(struct buf *bytes, enum codec codec, int level, size_t max_bytes, struct err *err) {
    struct buf plain = {0}, small = {0}, out = {0};
    struct batch_header h;
    struct str records;
    if (read_whole(bytes->p, bytes->n, &h, err) != 0) return -1;
    int rc = expand(&h, body_of(bytes->p, bytes->n), &plain, max_bytes, &records, err);
    if (rc == 0 && codec != CODEC_NONE) rc = compress_records(&codec, level, records, &small, err);
    if (rc == 0) rc = put_recoded(&out, bytes->p, codec, codec == CODEC_NONE ? records : buf_str(&small), err);
    if (rc == 0) {
        buf_done(bytes);
        *bytes = out;
    }
    buf_done(&plain);
    buf_done(&small);
    return rc;
}

// ── iterating ────────────────────────────────────────────────────────────────────────────────────────────────────────

int record_iter_init(struct record_iter *it, const void *p, size_t n, struct buf *scratch, size_t max_bytes, struct err *err) {
    struct batch_header h;
    struct str body;
    if (read_whole(p, n, &h, err) != 0 || expand(&h, body_of(p, n), scratch, max_bytes, &body, err) != 0) return -1;
    *it = (struct record_iter){.header = h, .at = cur_str(body), .left = h.count, .last_delta = -1};
    return 0;
}

// Most varints of a record are one byte.
static inline int64_t take_varint(struct cur *c) {
    if (c->bad || c->p == c->end || *c->p >= 0x80) return cur_varint(c);
    uint8_t v = *c->p++;
    return (v >> 1) ^ -(v & 1);
}

// Bytes with a varint length, -1 is null.
static inline struct str take_nullable(struct cur *c) {
    int64_t n = take_varint(c);
    if (n == -1) return (struct str){NULL, 0};
    return cur_bytes(c, cur_count(c, n, 1));
}

static bool take_header(struct cur *c, struct record_header *ret) {
    int64_t name_n = take_varint(c);
    struct str name = cur_bytes(c, cur_count(c, name_n, 1)), value = take_nullable(c);
    if (c->bad) return false;
    *ret = (struct record_header){name, value, value.p == NULL};
    return true;
}

bool record_header_next(struct record *r, struct record_header *ret) {
    return cur_left(&r->headers) > 0 && take_header(&r->headers, ret);
}

static int malformed(const struct record_iter *it, const char *what, struct err *err) {
    return err_set(err, ERR_CORRUPT, "record batch at offset %lld, record %d: %s", (long long)it->header.base_offset,
                   it->header.count - it->left, what);
}

int record_iter_next(struct record_iter *it, struct record *ret, struct err *err) {
    if (it->left == 0) return cur_done(&it->at) ? 0 : malformed(it, "bytes after the last record", err);
    int64_t length = take_varint(&it->at);
    struct cur c = cur_str(cur_bytes(&it->at, cur_count(&it->at, length, 1)));
    cur_u8(&c); // attributes: unused
    int64_t ts_delta = take_varint(&c), delta = take_varint(&c);
    struct record r = {.key = take_nullable(&c)};
    r.value = take_nullable(&c);
    int64_t headers = take_varint(&c);
    r.header_count = cur_count(&c, headers, 2);
    r.headers = c;
    struct record_header skipped;
    for (uint32_t i = 0; i < r.header_count; i++)
        if (!take_header(&c, &skipped)) break;
    if (it->at.bad || !cur_done(&c)) return malformed(it, "malformed", err);
    if (delta <= it->last_delta || delta > it->header.last_offset_delta) return malformed(it, "offset out of order", err);
    r.offset = it->header.base_offset + delta;
    r.timestamp = it->header.attributes & BATCH_APPEND_TIME ? it->header.max_timestamp
                                                            : (int64_t)((uint64_t)it->header.base_timestamp + (uint64_t)ts_delta);
    it->last_delta = delta;
    it->left--;
    *ret = r;
    return 1;
}

// ── building ─────────────────────────────────────────────────────────────────────────────────────────────────────────

static inline uint64_t zigzag(int64_t v) { return ((uint64_t)v << 1) ^ (uint64_t)(v >> 63); }
static inline size_t varint_size(int64_t v) { return (size_t)(63 - __builtin_clzll(zigzag(v) | 1)) / 7 + 1; }
static inline uint8_t *put_varint(uint8_t *p, int64_t value) {
    uint64_t v = zigzag(value);
    for (; v >= 0x80; v >>= 7) *p++ = (uint8_t)(v | 0x80);
    *p++ = (uint8_t)v;
    return p;
}
static inline uint8_t *put_bytes(uint8_t *p, struct str s, bool null) {
    if (null) return put_varint(p, -1);
    p = put_varint(p, (int64_t)s.n);
    if (s.n) memcpy(p, s.p, s.n);
    return p + s.n;
}
static inline size_t nullable_size(struct str s, bool null) { return null ? 1 : varint_size((int64_t)s.n) + s.n; }

static size_t headers_size(const struct record_header_in *headers, uint32_t n) {
    size_t size = varint_size(n);
    for (uint32_t i = 0; i < n; i++)
        size += nullable_size(headers[i].name, false) + nullable_size(headers[i].value, headers[i].null_value);
    return size;
}
static uint8_t *put_headers(uint8_t *p, const struct record_header_in *headers, uint32_t n) {
    p = put_varint(p, n);
    for (uint32_t i = 0; i < n; i++) {
        p = put_bytes(p, headers[i].name, false);
        p = put_bytes(p, headers[i].value, headers[i].null_value);
    }
    return p;
}

void batch_begin(struct batch_builder *b, struct buf *out, enum codec codec) {
    *b = (struct batch_builder){.out = out, .start = out->n, .codec = codec, .producer_id = -1, .producer_epoch = -1, .base_sequence = -1};
    buf_fill(out, 0, BATCH_HEADER);
}

static inline void note_timestamp(struct batch_builder *b, int64_t timestamp) {
    if (b->count == 0) b->base_timestamp = b->max_timestamp = timestamp;
    if (timestamp > b->max_timestamp) b->max_timestamp = timestamp;
}

// Takes room for a whole record and writes it up to and with the key. `rest` is what follows: value with its length, headers.
// NULL when there was no room (out is bad then, which batch_end reports).
static inline uint8_t *put_front(struct batch_builder *b, int64_t timestamp, struct str key, size_t rest) {
    note_timestamp(b, timestamp);
    int64_t ts_delta = (int64_t)((uint64_t)timestamp - (uint64_t)b->base_timestamp);
    size_t length = 1 + varint_size(ts_delta) + varint_size(b->count) + nullable_size(key, !key.p) + rest;
    size_t prefix = varint_size((int64_t)length);
    if ((b->out->cap - b->out->n < length + prefix || b->out->bad) && !buf_reserve(b->out, length + prefix)) return NULL;
    uint8_t *p = put_varint(b->out->p + b->out->n, (int64_t)length);
    *p++ = 0;
    p = put_varint(p, ts_delta);
    p = put_varint(p, b->count++);
    return put_bytes(p, key, !key.p);
}

void batch_add(struct batch_builder *b, int64_t timestamp, struct str key, struct str value, const struct record_header_in *headers, uint32_t n) {
    uint8_t *p = put_front(b, timestamp, key, nullable_size(value, !value.p) + (n ? headers_size(headers, n) : 1));
    if (!p) return;
    p = put_bytes(p, value, !value.p);
    p = put_headers(p, headers, n);
    b->out->n = (size_t)(p - b->out->p);
}

void batch_add_open(struct batch_builder *b, int64_t timestamp, struct str key, size_t value_n, const struct record_header_in *headers, uint32_t n) {
    size_t tail = headers_size(headers, n);
    uint8_t *p = put_front(b, timestamp, key, varint_size((int64_t)value_n) + value_n + tail);
    if (!p) return;
    p = put_varint(p, (int64_t)value_n);
    b->out->n = (size_t)(p - b->out->p);
    b->value_end = b->out->n + value_n;
}

void batch_add_close(struct batch_builder *b, const struct record_header_in *headers, uint32_t n) {
    if (b->out->bad) return;
    assert(b->out->n == b->value_end); // the caller's promise; a wrong length would spoil every later record
    uint8_t *p = put_headers(b->out->p + b->out->n, headers, n); // room was taken by batch_add_open
    b->out->n = (size_t)(p - b->out->p);
}

size_t batch_builder_bytes(const struct batch_builder *b) { return b->out->n - b->start; }

static struct str records_of(const struct batch_builder *b) {
    return str_make(b->out->p + b->start + BATCH_HEADER, b->out->n - b->start - BATCH_HEADER);
}

static int no_room(const struct buf *out, size_t n, struct err *err) {
    return err_set(err, out->bad ? buf_fault(out) : ERR_TOO_LARGE, "record batch of %zu bytes: no room for more", n);
}

int batch_pack(struct batch_builder *b, struct buf *scratch, struct buf *to, struct err *err) {
    if (b->out->bad) return no_room(b->out, batch_builder_bytes(b), err);
    struct str records = records_of(b);
    buf_clear(scratch);
    if (b->codec != CODEC_NONE && compress_records(&b->codec, b->level, records, scratch, err) != 0) return -1;
    if (b->codec != CODEC_NONE) records = buf_str(scratch);
    if (!buf_reserve(to, BATCH_HEADER + records.n)) return no_room(to, records.n, err);
    buf_put(to, b->out->p + b->start, BATCH_HEADER);
    buf_puts(to, records);
    b->out = to;
    b->start = 0;
    b->packed = true;
    return 0;
}

static int compress_in_place(struct batch_builder *b, struct err *err) {
    struct str records = records_of(b);
    struct buf small = {0};
    int failed = compress_records(&b->codec, b->level, records, &small, err);
    if (!failed && small.n) {
        memcpy(b->out->p + b->start + BATCH_HEADER, small.p, small.n);
        b->out->n -= records.n - small.n;
    }
    buf_done(&small);
    return failed;
}

static void put_header(struct batch_builder *b) {
    uint8_t *p = b->out->p + b->start;
    size_t n = b->out->n - b->start;
    batch_patch(p, 0, -1);
    put_be32(p + AT_LENGTH, (uint32_t)(n - AT_EPOCH));
    p[AT_MAGIC] = MAGIC;
    put_be16(p + AT_ATTRIBUTES, (uint16_t)((b->attributes & ~BATCH_CODEC_MASK) | (int16_t)b->codec));
    put_be32(p + AT_LAST_DELTA, (uint32_t)(b->count - 1));
    put_be64(p + AT_BASE_TS, (uint64_t)b->base_timestamp);
    put_be64(p + AT_MAX_TS, (uint64_t)b->max_timestamp);
    put_be64(p + AT_PRODUCER, (uint64_t)b->producer_id);
    put_be16(p + AT_PRODUCER_EPOCH, (uint16_t)b->producer_epoch);
    put_be32(p + AT_SEQUENCE, (uint32_t)b->base_sequence);
    put_be32(p + AT_COUNT, (uint32_t)b->count);
    put_crc(p, n);
}

int batch_end(struct batch_builder *b, struct err *err) {
    size_t n = b->out->n - b->start;
    if (b->out->bad || n > INT32_MAX) return no_room(b->out, n, err);
    if (b->count == 0) {
        b->out->n = b->start;
        return 0;
    }
    if (b->codec != CODEC_NONE && !b->packed && compress_in_place(b, err) != 0) return -1;
    put_header(b);
    return 0;
}

void batch_control(struct buf *out, int64_t producer_id, int16_t producer_epoch, bool commit_txn, int32_t coordinator_epoch, int64_t timestamp) {
    struct batch_builder b;
    uint8_t key[4], value[6];
    put_be16(key, 0); // version
    put_be16(key + 2, commit_txn);
    put_be16(value, 0); // version
    put_be32(value + 2, (uint32_t)coordinator_epoch);
    batch_begin(&b, out, CODEC_NONE);
    b.attributes = BATCH_TRANSACTIONAL | BATCH_CONTROL;
    b.producer_id = producer_id;
    b.producer_epoch = producer_epoch;
    batch_add(&b, timestamp, str_make(key, sizeof(key)), str_make(value, sizeof(value)), NULL, 0);
    if (!out->bad) put_header(&b);
}

int batch_marker_read(const void *p, size_t n, struct batch_marker *ret) {
    struct record_iter it;
    struct record r;
    struct buf unused = {.limit = 1};
    if (record_iter_init(&it, p, n, &unused, 0, NULL) < 0 || !(it.header.attributes & BATCH_CONTROL)) return -1;
    if (it.header.attributes & BATCH_CODEC_MASK || record_iter_next(&it, &r, NULL) != 1) return -1;
    struct cur key = cur_str(r.key), value = cur_str(r.value);
    cur_be16(&key); // versions: later ones only append
    uint16_t type = cur_be16(&key);
    cur_be16(&value);
    int32_t epoch = (int32_t)cur_be32(&value);
    if (key.bad || value.bad || type > 1) return -1;
    *ret = (struct batch_marker){type == 1, epoch};
    return 0;
}
