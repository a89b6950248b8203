// SPDX-License-Identifier: Apache-2.0
// The rewrite: batches are read through a window, each is copied as it is, rebuilt, emptied or dropped.
//
//   input ─► reader (whole batches) ─► verdict ─► writer (1 MiB at a time, running CRC, index notes)
#include "rewrite.h"

#include <inttypes.h>

#include "base/hash.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/testpoint.h"
#include "compress.h"
#include "index.h"
#include "keytable.h"
#include "txnindex.h"

enum { READ_BYTES = 1024 * 1024, WRITE_BYTES = 1024 * 1024, KEYS_BYTES = 32 * 1024 * 1024, MAX_BATCH = 256 * 1024 * 1024 };

struct rewrite {
    struct rewrite_options o;
    struct producer_end *aborted; // by producer id, then first offset
    struct keytable *keys;
    uint64_t scanned;             // records
    int64_t limit;                // from here on batches are copied as they are
    struct map left;              // producer id → this: has records left of the transaction that is open at this point of the writing
    struct buf window, scratch, batch;
};

// ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────────────

struct reader {
    struct rewrite *r;
    const struct rewrite_input *in;
    uint64_t at;                  // file position behind the window
    size_t next;                  // in the window
};

static int corrupt(const struct reader *rd, struct err *err) {
    return err_wrap(err, "%s at byte %" PRIu64, rd->in->name, rd->at - (rd->r->window.n - rd->next));
}

// Moves the window on, so that `need` bytes from `next` are in it if the file has them.
static int slide(struct reader *rd, size_t need, struct err *err) {
    const struct rewrite_options *o = &rd->r->o;
    struct buf *w = &rd->r->window;
    if (o->over && o->over(o->over_arg)) return err_set(err, ERR_CANCELLED, "the cleaner ends");
    if (rd->next) memmove(w->p, w->p + rd->next, w->n - rd->next);
    w->n -= rd->next;
    rd->next = 0;
    size_t want = need > READ_BYTES ? need : READ_BYTES, n = want - w->n;
    if (n > rd->in->size - rd->at) n = (size_t)(rd->in->size - rd->at);
    if (!buf_reserve(w, n)) return err_set(err, buf_fault(w), "batch of %zu bytes: no memory for it", need);
    if (fs_pread_full(rd->r->o.fs, rd->in->log, w->p + w->n, n, rd->at, err) < 0) return -1;
    w->n += n;
    rd->at += n;
    return 0;
}

// The next whole, checked batch: 1, 0 at the end, -1.
static int next_batch(struct reader *rd, const uint8_t **ret, struct batch_header *h, struct err *err) {
    struct buf *w = &rd->r->window;
    for (;;) {
        size_t left = w->n - rd->next, need = BATCH_HEADER;
        int got = left ? batch_read_header(w->p + rd->next, left, h) : 1;
        if (got == 0) break;
        if (got < 0 || (left && rd->at == rd->in->size)) {
            err_set(err, ERR_CORRUPT, "no whole record batch");
            return corrupt(rd, err);
        }
        if (!left && rd->at == rd->in->size) return 0;
        if (left >= BATCH_HEADER) need = batch_size(h);
        if (slide(rd, need, err) < 0) return corrupt(rd, err);
    }
    *ret = w->p + rd->next;
    if (batch_check(*ret, batch_size(h), false, h, err) < 0) return corrupt(rd, err);
    rd->next += batch_size(h);
    return 1;
}

static struct reader reader_of(struct rewrite *r, const struct rewrite_input *in) {
    buf_clear(&r->window);
    if (!r->window.p) (void)buf_reserve(&r->window, READ_BYTES);
    return (struct reader){.r = r, .in = in};
}

// ── which batches are aborted ────────────────────────────────────────────────────────────────────────────────────────

static const struct producer_end *aborted_at(const struct rewrite *r, const struct batch_header *h) {
    return txnends_at(r->aborted, r->o.aborted_n, h);
}
static bool is_aborted(const struct rewrite *r, const struct batch_header *h) { return txnends_have(r->aborted, r->o.aborted_n, h); }

// ── first pass ───────────────────────────────────────────────────────────────────────────────────────────────────────

struct rewrite *rewrite_begin(const struct rewrite_options *o, struct err *err) {
    struct keytable *keys = keytable_new(o->keys_bytes ? o->keys_bytes : KEYS_BYTES, err);
    if (!keys) return NULL;
    struct rewrite *r = xcalloc(1, sizeof(*r));
    r->o = *o;
    if (!r->o.max_batch) r->o.max_batch = MAX_BATCH;
    r->limit = o->end;
    r->keys = keys;
    if (o->aborted_n) {
        r->aborted = xmemdup(o->aborted, o->aborted_n * sizeof(*o->aborted));
        txnends_sort(r->aborted, o->aborted_n);
    }
    return r;
}

void rewrite_end(struct rewrite *r) {
    if (!r) return;
    keytable_free(r->keys);
    map_done(&r->left, NULL);
    buf_done(&r->window);
    buf_done(&r->scratch);
    buf_done(&r->batch);
    free(r->aborted);
    free(r);
}

static int scan_batch(struct rewrite *r, const uint8_t *p, const struct batch_header *h, struct err *err) {
    struct record_iter it;
    struct record rec;
    int got;
    if (h->attributes & BATCH_CONTROL || is_aborted(r, h)) return 0;
    if (record_iter_init(&it, p, batch_size(h), &r->scratch, r->o.max_batch, err) < 0) return -1;
    while ((got = record_iter_next(&it, &rec, err)) > 0) {
        r->scanned++;
        if (!rec.key.p || keytable_put(r->keys, rec.key, rec.offset)) continue;
        r->limit = h->base_offset; // this batch is not known whole
        return 1;
    }
    return got;
}

int rewrite_scan(struct rewrite *r, const struct rewrite_input *in, struct err *err) {
    struct reader rd = reader_of(r, in);
    struct batch_header h;
    const uint8_t *p;
    int got;
    while ((got = next_batch(&rd, &p, &h, err)) > 0) {
        if (batch_last_offset(&h) >= r->limit) return 0;
        int full = batch_last_offset(&h) < r->o.start ? 0 : scan_batch(r, p, &h, err);
        if (full) return full < 0 ? err_wrap(err, "%s", in->name) : 1;
    }
    return got;
}

int64_t rewrite_limit(const struct rewrite *r) { return r->limit; }
double rewrite_share(const struct rewrite *r) { return r->scanned ? (double)keytable_count(r->keys) / (double)r->scanned : 1; }

// ── second pass: what becomes of a batch ─────────────────────────────────────────────────────────────────────────────

struct writer {
    struct rewrite *r;
    struct fs_file *log;
    struct index *index;
    struct buf out;
    struct buf markers;          // struct producer_end of the ABORT markers that stay
    struct rewrite_result result;
    uint64_t flushed;
};

static struct str producer_key(const int64_t *id) { return str_make(id, sizeof(*id)); }

// The batch holds what is last known of a live producer: its sequence, or only its epoch.
static bool is_last_of_producer(const struct rewrite *r, const struct batch_header *h) {
    const struct producer_state *s = r->o.live && h->producer_id >= 0 ? producers_get(r->o.live, h->producer_id) : NULL;
    if (!s) return false;
    if (s->batch_count) return batch_last_offset(h) == s->batches[s->batch_count - 1].last_offset;
    return h->attributes & BATCH_CONTROL && h->producer_epoch == s->epoch;
}

static bool horizon_passed(const struct rewrite *r, const struct batch_header *h) {
    return h->attributes & BATCH_DELETE_HORIZON && r->o.now_ms >= h->base_timestamp;
}

static void note_horizon(struct writer *w, int64_t horizon) {
    if (w->result.next_horizon < 0 || horizon < w->result.next_horizon) w->result.next_horizon = horizon;
}

// Does a record stay? *tombstone is set when it stays and deletes.
static bool stays(const struct rewrite *r, const struct batch_header *h, const struct record *rec, bool *tombstone) {
    if (!rec->key.p || keytable_get(r->keys, rec->key) > rec->offset) return false;
    if (rec->value.p) return true;
    if (horizon_passed(r, h)) return false;
    return *tombstone = true;
}

// ── rebuilding ───────────────────────────────────────────────────────────────────────────────────────────────────────

static void put_nullable(struct buf *out, struct str s) {
    buf_varint(out, s.p ? (int64_t)s.n : -1);
    if (s.p) buf_puts(out, s);
}

static void put_record(struct buf *out, struct buf *body, const struct record *rec, int64_t delta, int64_t ts_delta) {
    buf_clear(body);
    buf_u8(body, 0);
    buf_varint(body, ts_delta);
    buf_varint(body, delta);
    put_nullable(body, rec->key);
    put_nullable(body, rec->value);
    buf_varint(body, rec->header_count);
    buf_put(body, rec->headers.p, cur_left(&rec->headers));
    buf_varint(out, (int64_t)body->n);
    buf_puts(out, buf_str(body));
}

// The old header with what changed, over the bytes after it.
static void put_header(struct buf *out, const uint8_t *old, const struct batch_header *h) {
    memcpy(out->p, old, BATCH_HEADER);
    put_be32(out->p + 8, (uint32_t)(out->n - 12));
    put_be16(out->p + 21, (uint16_t)h->attributes);
    put_be64(out->p + 27, (uint64_t)h->base_timestamp);
    put_be64(out->p + 35, (uint64_t)h->max_timestamp);
    put_be32(out->p + 57, (uint32_t)h->count);
    put_be32(out->p + 17, crc32c(0, out->p + 21, out->n - 21));
}

// The records of `plain` become the body, compressed as the batch was, if that is smaller.
static int put_body(const struct rewrite *r, struct buf *out, struct batch_header *h, const struct buf *plain, struct err *err) {
    enum codec codec = (enum codec)(h->attributes & BATCH_CODEC_MASK);
    if (codec != CODEC_NONE) {
        if (compress_block(codec, r->o.levels ? (int)r->o.levels[codec] : 0, plain->p, plain->n, out, err) < 0) return -1;
        size_t n = out->n - BATCH_HEADER;
        if (n < plain->n && plain->n <= compress_bound_of(n)) return 0;
        out->n = BATCH_HEADER;
        h->attributes &= ~BATCH_CODEC_MASK;
    }
    buf_puts(out, buf_str(plain));
    return 0;
}

// Writes the records that stay into r->batch. `horizon`: to stamp, -1 none.
static int rebuild(struct rewrite *r, const uint8_t *old, struct batch_header h, int64_t horizon, struct err *err) {
    struct buf plain = {0}, body = {0};
    struct record_iter it;
    struct record rec;
    bool ignored;
    int got, failed = record_iter_init(&it, old, batch_size(&h), &r->scratch, r->o.max_batch, err);
    if (horizon >= 0) {
        h.attributes |= BATCH_DELETE_HORIZON;
        h.base_timestamp = horizon;
    }
    int64_t max = -1;
    h.count = 0;
    while (!failed && (got = record_iter_next(&it, &rec, err)) != 0) {
        if ((failed = got < 0) || !(h.attributes & BATCH_CONTROL || stays(r, &it.header, &rec, &ignored))) continue;
        put_record(&plain, &body, &rec, rec.offset - h.base_offset, (int64_t)((uint64_t)rec.timestamp - (uint64_t)h.base_timestamp));
        if (rec.timestamp > max) max = rec.timestamp;
        h.count++;
    }
    if (!(h.attributes & BATCH_APPEND_TIME) && h.count) h.max_timestamp = max;
    buf_clear(&r->batch);
    buf_fill(&r->batch, 0, BATCH_HEADER);
    if (!failed) failed = put_body(r, &r->batch, &h, &plain, err);
    if (!failed && (plain.bad || body.bad || r->batch.bad)) failed = err_set(err, ERR_NOMEM, "batch of %zu bytes: no memory for it", plain.n);
    if (!failed) put_header(&r->batch, old, &h);
    buf_done(&plain);
    buf_done(&body);
    return failed ? -1 : 0;
}

// A header without records keeps the producer's epoch and sequence.
static void empty_batch(struct rewrite *r, const uint8_t *old, struct batch_header h) {
    h.attributes &= ~(BATCH_CODEC_MASK | BATCH_DELETE_HORIZON);
    h.base_timestamp = -1;
    h.count = 0;
    buf_clear(&r->batch);
    buf_fill(&r->batch, 0, BATCH_HEADER);
    put_header(&r->batch, old, &h);
}

// ── writing ──────────────────────────────────────────────────────────────────────────────────────────────────────────

static int check_space(const struct writer *w, struct err *err) {
    struct fs *fs = w->r->o.fs;
    struct fs_space space;
    if (!w->r->o.spare_bytes) return 0;
    if (fs->ops->space(fs, &space, err)) return -1;
    if (space.available >= w->r->o.spare_bytes + w->out.n) return 0;
    return err_set(err, ERR_NOSPACE, "%" PRIu64 " bytes free, %" PRIu64 " are kept in reserve", space.available, w->r->o.spare_bytes);
}

static int flush(struct writer *w, struct err *err) {
    if (check_space(w, err)) return -1;
    if (fs_pwrite(w->r->o.fs, w->log, w->out.p, w->out.n, w->flushed, err) < 0) return -1;
    w->result.crc = crc32c(w->result.crc, w->out.p, w->out.n);
    w->flushed += w->out.n;
    buf_clear(&w->out);
    return 0;
}

static int put_batch(struct writer *w, const void *p, size_t n, struct err *err) {
    struct batch_header h;
    if (batch_read_header(p, n, &h) != 0) return err_set(err, ERR_INTERNAL, "rewritten batch is not whole");
    index_note(w->index, &h, w->result.size);
    buf_put(&w->out, p, n);
    w->result.size += n;
    w->result.kept += (uint64_t)h.count;
    if (h.count && h.max_timestamp > w->result.max_ts) w->result.max_ts = h.max_timestamp;
    if (h.attributes & BATCH_TRANSACTIONAL && !(h.attributes & BATCH_CONTROL)) map_put(&w->r->left, producer_key(&h.producer_id), w);
    if (w->out.bad || w->markers.bad) return err_set(err, ERR_NOMEM, "no memory for a batch of %zu bytes", n);
    return w->out.n >= WRITE_BYTES ? flush(w, err) : 0;
}

static int put_marker(struct writer *w, const struct batch_header *h, const void *p, size_t n, struct err *err) {
    const struct producer_end *e = aborted_at(w->r, h);
    if (e && e->last_offset == h->base_offset) buf_put(&w->markers, e, sizeof(*e));
    return put_batch(w, p, n, err);
}

static int write_marker(struct writer *w, const uint8_t *p, const struct batch_header *h, struct err *err) {
    struct rewrite *r = w->r;
    bool data_left = map_remove(&r->left, producer_key(&h->producer_id)) != NULL, stamped = h->attributes & BATCH_DELETE_HORIZON;
    int64_t horizon = stamped ? h->base_timestamp : r->o.now_ms + r->o.delete_retention_ms;
    if (batch_last_offset(h) >= r->limit || data_left || is_last_of_producer(r, h)) return put_marker(w, h, p, batch_size(h), err);
    if (horizon_passed(r, h)) {
        w->result.changed = true;
        return 0;
    }
    note_horizon(w, horizon);
    if (stamped) return put_marker(w, h, p, batch_size(h), err);
    w->result.changed = true;
    if (rebuild(r, p, *h, horizon, err) < 0) return -1;
    return put_marker(w, h, r->batch.p, r->batch.n, err);
}

// Counts what stays of a data batch.
static int count_staying(struct rewrite *r, const uint8_t *p, const struct batch_header *h, int32_t *ret_kept, bool *ret_tombstones, struct err *err) {
    struct record_iter it;
    struct record rec;
    int got;
    *ret_kept = 0;
    *ret_tombstones = false;
    if (is_aborted(r, h)) return 0;
    if (record_iter_init(&it, p, batch_size(h), &r->scratch, r->o.max_batch, err) < 0) return -1;
    while ((got = record_iter_next(&it, &rec, err)) > 0) *ret_kept += stays(r, h, &rec, ret_tombstones);
    return got;
}

static int write_data(struct writer *w, const uint8_t *p, const struct batch_header *h, struct err *err) {
    struct rewrite *r = w->r;
    int32_t kept;
    bool tombstones, last = is_last_of_producer(r, h);
    if (batch_last_offset(h) >= r->limit) return put_batch(w, p, batch_size(h), err);
    if (count_staying(r, p, h, &kept, &tombstones, err) < 0) return -1;
    int64_t horizon = r->o.now_ms + r->o.delete_retention_ms;
    bool stamped = h->attributes & BATCH_DELETE_HORIZON, stamp = tombstones && !stamped;
    if (tombstones) note_horizon(w, stamped ? h->base_timestamp : horizon);
    if ((kept || last) && kept == h->count && !stamp) return put_batch(w, p, batch_size(h), err);
    w->result.changed = true;
    if (!kept && !last) return 0;
    if (!kept) empty_batch(r, p, *h);
    else if (rebuild(r, p, *h, stamp ? horizon : -1, err) < 0) return -1;
    return put_batch(w, r->batch.p, r->batch.n, err);
}

static int write_input(struct writer *w, const struct rewrite_input *in, struct err *err) {
    struct reader rd = reader_of(w->r, in);
    struct batch_header h;
    const uint8_t *p;
    int got;
    while ((got = next_batch(&rd, &p, &h, err)) > 0) {
        w->result.records += (uint64_t)h.count;
        int failed = h.attributes & BATCH_CONTROL ? write_marker(w, p, &h, err) : write_data(w, p, &h, err);
        if (failed) return err_wrap(err, "%s, batch at offset %" PRId64, in->name, h.base_offset);
    }
    return got;
}

static int write_group(struct writer *w, const struct rewrite_input *in, size_t n, struct err *err) {
    for (size_t i = 0; i < n; i++)
        if (write_input(w, &in[i], err) < 0) return -1;
    if (flush(w, err) < 0) return -1;
    return MUTANT("swap-without-sync") ? 0 : w->r->o.fs->ops->fdatasync(w->log, err);
}

int rewrite_write(struct rewrite *r, const struct rewrite_input *in, size_t n, const char *stem, int64_t base, struct rewrite_result *ret, struct err *err) {
    struct fs *fs = r->o.fs;
    struct writer w = {.r = r, .result = {.max_ts = -1, .next_horizon = -1}};
    const struct index_options index = {fs, stem, base, r->o.index_interval};
    _cleanup_free_ char *path = xasprintf("%s.log", stem);
    if (rewrite_unlink(fs, stem, err) < 0 || fs->ops->open(fs, path, FS_WRITE | FS_CREATE | FS_EXCL, &w.log, err) < 0) return -1;
    int failed = index_create(&index, &w.index, err);
    if (!failed) failed = write_group(&w, in, n, err);
    if (fs->ops->close(w.log, failed ? NULL : err) < 0) failed = -1;
    if (!failed) failed = index_seal(w.index, err);
    size_t ends = w.markers.n / sizeof(struct producer_end);
    txnends_sort_by_end((struct producer_end *)(void *)w.markers.p, ends);
    if (!failed) failed = txnindex_replace(fs, stem, (const struct producer_end *)(const void *)w.markers.p, ends, err);
    index_free(w.index);
    buf_done(&w.out);
    buf_done(&w.markers);
    if (failed) rewrite_unlink(fs, stem, NULL);
    else *ret = w.result;
    return failed ? -1 : 0;
}

int rewrite_unlink(struct fs *fs, const char *stem, struct err *err) {
    static const char *const suffixes[] = {".txnindex", ".timeindex", ".index", ".log"};
    for (size_t i = 0; i < countof(suffixes); i++) {
        struct err e = {0};
        _cleanup_free_ char *path = xasprintf("%s%s", stem, suffixes[i]);
        if (fs->ops->unlink(fs, path, &e) == 0 || e.code == ERR_NOT_FOUND) continue;
        if (err) *err = e;
        return -1;
    }
    return 0;
}
