// SPDX-License-Identifier: Apache-2.0
#include "dump_int.h"

#include "base/hash.h"
#include "base/mem.h"

enum { MAX_BATCH = 256 * 1024 * 1024 };

static const char *time_name(const struct batch_header *h) { return h->attributes & BATCH_APPEND_TIME ? "LogAppendTime" : "CreateTime"; }
static int32_t sequence_at(const struct batch_header *h, int32_t delta) {
    return h->base_sequence < 0 ? -1 : (int32_t)(((uint32_t)h->base_sequence + (uint32_t)delta) & INT32_MAX);
}

static int print_batch(struct dump *d, const struct batch_header *h, uint64_t position, bool valid, struct err *err) {
    line_begin(d, "batch", "");
    field_int(d, "baseOffset", h->base_offset);
    field_int(d, "lastOffset", batch_last_offset(h));
    field_int(d, "count", h->count);
    field_int(d, "baseSequence", h->base_sequence);
    field_int(d, "lastSequence", sequence_at(h, h->last_offset_delta));
    field_int(d, "producerId", h->producer_id);
    field_int(d, "producerEpoch", h->producer_epoch);
    field_int(d, "partitionLeaderEpoch", h->leader_epoch);
    field_bool(d, "isTransactional", h->attributes & BATCH_TRANSACTIONAL);
    field_bool(d, "isControl", h->attributes & BATCH_CONTROL);
    field_optional(d, "deleteHorizonMs", h->attributes & BATCH_DELETE_HORIZON ? h->base_timestamp : -1);
    field_int(d, "position", (int64_t)position);
    field_int(d, time_name(h), h->max_timestamp);
    field_int(d, "size", (int64_t)batch_size(h));
    field_int(d, "magic", h->magic);
    field_text(d, "compresscodec", str_of(codec_name((enum codec)(h->attributes & BATCH_CODEC_MASK))));
    field_int(d, "crc", h->crc);
    field_bool(d, "isvalid", valid);
    return line_end(d, err);
}

// Kafka's ControlRecordType; all but the first two stand in the log of its metadata only.
static const char *const control_types[] = {"ABORT", "COMMIT", "LeaderChange", "SnapshotHeader", "SnapshotFooter", "KRaftVersion", "KRaftVoters"};

static void print_control(struct dump *d, const struct record *r) {
    struct cur key = cur_str(r->key), value = cur_str(r->value);
    cur_be16(&key);
    uint16_t type = cur_be16(&key);
    const char *name = !key.bad && type < countof(control_types) ? control_types[type] : "unknown";
    if (key.bad || type > 1) {
        field_text(d, "controlType", str_of(name));
        if (d->o->values) field_bytes(d, "payload", r->value);
        return;
    }
    cur_be16(&value);
    int32_t epoch = (int32_t)cur_be32(&value);
    field_text(d, "endTxnMarker", str_of(name));
    if (!value.bad) field_int(d, "coordinatorEpoch", epoch);
}

// The decoder writes fields of an object; in text form that object follows the pairs.
static bool print_decoded(struct dump *d, const struct record *r) {
    if (!d->o->decode) return false;
    struct buf fields = {0};
    struct json_writer w = json_to(&fields);
    json_object(&w);
    bool known = d->o->decode(d->o->decode_arg, d->path, r->key, r->value, &w);
    json_object_end(&w);
    if (known && d->o->json) {
        json_key(&d->json, STR("decoded"));
        json_raw(&d->json, buf_str(&fields));
    } else if (known) buf_puts(&d->line, buf_str(&fields));
    buf_done(&fields);
    return known;
}

static int print_record(struct dump *d, const struct batch_header *h, struct record *r, struct err *err) {
    d->result->records++;
    line_begin(d, "record", "| ");
    field_int(d, "offset", r->offset);
    field_int(d, time_name(h), r->timestamp);
    field_int(d, "keySize", r->key.p ? (int64_t)r->key.n : -1);
    field_int(d, "valueSize", r->value.p ? (int64_t)r->value.n : -1);
    field_int(d, "sequence", sequence_at(h, (int32_t)(r->offset - h->base_offset)));
    field_headers(d, r);
    if (h->attributes & BATCH_CONTROL) print_control(d, r);
    else if (!d->o->values || !print_decoded(d, r)) {
        field_bytes(d, "key", r->key);
        if (d->o->values) field_bytes(d, "payload", r->value);
    }
    return line_end(d, err);
}

static int print_records(struct dump *d, const uint8_t *p, const struct batch_header *h, uint64_t position, struct err *err) {
    struct buf scratch = {0};
    struct record_iter it;
    struct record r;
    struct err why = {0};
    int failed = 0, got = record_iter_init(&it, p, batch_size(h), &scratch, MAX_BATCH, &why) ? -1 : 1;
    while (got > 0 && !failed && (got = record_iter_next(&it, &r, &why)) > 0) failed = print_record(d, h, &r, err);
    if (got < 0 && !failed) failed = line_fault(d, why.msg, (int64_t)position, err);
    buf_done(&scratch);
    return failed;
}

int dump_header_at(struct dump *d, struct fs_file *f, uint64_t position, uint64_t size, struct batch_header *h, struct err *err) {
    uint8_t head[BATCH_HEADER];
    if (size - position < BATCH_HEADER) return 0;
    if (fs_pread_full(d->o->fs, f, head, sizeof(head), position, err) < 0) return -1;
    return batch_read_header(head, sizeof(head), h) >= 0 && batch_size(h) <= size - position && h->last_offset_delta >= 0;
}

static bool wanted(const struct dump_options *o, const struct batch_header *h) {
    return batch_last_offset(h) >= o->from && (!o->to || h->base_offset < o->to);
}

static int dump_batch(struct dump *d, struct fs_file *f, const struct batch_header *h, uint64_t position, struct buf *bytes, struct err *err) {
    struct batch_header checked;
    struct err why = {0};
    buf_clear(bytes);
    if (!buf_reserve(bytes, batch_size(h))) return line_fault(d, "no memory for a batch of its size", (int64_t)position, err);
    if (fs_pread_full(d->o->fs, f, bytes->p, batch_size(h), position, err) < 0) return -1;
    bool valid = batch_check(bytes->p, batch_size(h), false, &checked, &why) == 0;
    d->result->batches++;
    if (print_batch(d, h, position, valid, err) < 0) return -1;
    if (!valid) return line_fault(d, why.msg, (int64_t)position, err);
    return d->o->records || d->o->values ? print_records(d, bytes->p, h, position, err) : 0;
}

// 1 when nothing but zeros follows: reserved, or never written.
static int zeros_from(struct dump *d, struct fs_file *f, uint64_t at, uint64_t size, struct err *err) {
    uint8_t block[16384];
    while (at < size) {
        size_t n = size - at < sizeof(block) ? (size_t)(size - at) : sizeof(block);
        if (fs_pread_full(d->o->fs, f, block, n, at, err) < 0) return -1;
        for (size_t i = 0; i < n; i++)
            if (block[i]) return 0;
        at += n;
    }
    return 1;
}

static int dump_tail(struct dump *d, struct fs_file *f, uint64_t at, uint64_t size, struct err *err) {
    int zeros = zeros_from(d, f, at, size, err);
    if (zeros < 0) return -1;
    if (!zeros) return line_fault(d, "no whole record batch here", (int64_t)at, err);
    line_begin(d, "unused", "unused ");
    field_int(d, "position", (int64_t)at);
    field_int(d, "size", (int64_t)(size - at));
    return line_end(d, err);
}

static int dump_batches(struct dump *d, struct fs_file *f, uint64_t size, struct err *err) {
    struct buf bytes = {0};
    struct batch_header h;
    int64_t next = -1;
    int failed = 0, got;
    for (uint64_t at = 0; at < size && !failed && !(d->o->max_batches && d->result->batches >= d->o->max_batches); at += batch_size(&h)) {
        if ((got = dump_header_at(d, f, at, size, &h, err)) <= 0) {
            failed = got < 0 ? -1 : dump_tail(d, f, at, size, err);
            break;
        }
        if (h.base_offset < next) failed = line_fault(d, "offsets do not rise", (int64_t)at, err);
        next = batch_last_offset(&h) + 1;
        if (!failed && wanted(d->o, &h)) failed = dump_batch(d, f, &h, at, &bytes, err);
    }
    buf_done(&bytes);
    return failed;
}

int dump_open(struct dump *d, const char *path, struct fs_file **ret, uint64_t *ret_size, struct err *err) {
    struct fs_stat st;
    if (d->o->fs->ops->open(d->o->fs, path, FS_READ, ret, err) < 0) return -1;
    if (d->o->fs->ops->fstat(*ret, &st, err) == 0) {
        *ret_size = st.size;
        return 0;
    }
    d->o->fs->ops->close(*ret, NULL);
    return -1;
}

int dump_log(struct dump *d, struct err *err) {
    struct fs_file *f;
    uint64_t size;
    if (dump_open(d, d->path, &f, &size, err) < 0) return -1;
    int failed = dump_batches(d, f, size, err);
    d->o->fs->ops->close(f, NULL);
    return failed;
}
