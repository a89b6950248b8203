// SPDX-License-Identifier: Apache-2.0
// Files by their suffix, each printed entry by entry. A line is built once, in one of two forms: `name: value ` pairs or a JSON object.
#include "store/dump.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/text.h"
#include "index.h"
#include "producers.h"
#include "store/batch.h"
#include "txnindex.h"

enum { READ_BYTES = 1024 * 1024, MAX_BATCH = 256 * 1024 * 1024, MAX_FILE = 1024 * 1024 * 1024 };

struct dump {
    const struct dump_options *o;
    struct dump_result *result;
    const char *path;
    struct buf line;
    struct json_writer json;
    bool stopped;              // write said so
};

// ── lines ────────────────────────────────────────────────────────────────────────────────────────────────────────────

static void line_begin(struct dump *d, const char *kind, const char *text_prefix) {
    buf_clear(&d->line);
    d->json = json_to(&d->line);
    if (!d->o->json) {
        buf_putz(&d->line, text_prefix);
        return;
    }
    json_object(&d->json);
    json_kz(&d->json, "type", kind);
}
static int line_end(struct dump *d, struct err *err) {
    if (d->o->json) json_object_end(&d->json);
    struct str line = buf_str(&d->line);
    if (line.n && line.p[line.n - 1] == ' ') line.n--;
    if (d->o->write(d->o->arg, line) == 0) return 0;
    d->stopped = true;
    return err_set(err, ERR_CANCELLED, "output stopped");
}
static void field_int(struct dump *d, const char *name, int64_t v) {
    if (d->o->json) json_ki(&d->json, name, v);
    else buf_printf(&d->line, "%s: %" PRId64 " ", name, v);
}
static void field_bool(struct dump *d, const char *name, bool v) {
    if (d->o->json) json_kb(&d->json, name, v);
    else buf_printf(&d->line, "%s: %s ", name, v ? "true" : "false");
}
// -1 is nothing.
static void field_optional(struct dump *d, const char *name, int64_t v) {
    if (v >= 0) field_int(d, name, v);
    else if (d->o->json) json_kz(&d->json, name, NULL);
    else buf_printf(&d->line, "%s: none ", name);
}
static void field_text(struct dump *d, const char *name, struct str s) {
    if (d->o->json) {
        json_ks(&d->json, name, s);
        return;
    }
    buf_printf(&d->line, "%s: ", name);
    json_escape(&d->line, s);
    buf_u8(&d->line, ' ');
}
// A key or value: as text where it is text, else as base64 under another name.
static void field_payload(struct dump *d, const char *name, struct str s) {
    size_t max = d->o->max_bytes;
    char other[64];
    if (!s.p) {
        if (d->o->json) json_kz(&d->json, name, NULL);
        else buf_printf(&d->line, "%s: null ", name);
        return;
    }
    if (max && s.n > max) s.n = max;
    if (utf8_valid(s)) {
        field_text(d, name, s);
        return;
    }
    struct buf b = {0};
    base64_encode(&b, s.p, s.n);
    snprintf(other, sizeof(other), "%s_base64", name);
    field_text(d, other, buf_str(&b));
    buf_done(&b);
}
static int fault(struct dump *d, const char *what, int64_t at, struct err *err) {
    d->result->faults++;
    line_begin(d, "fault", "FAULT ");
    field_text(d, "file", str_of(d->path));
    field_int(d, "at", at);
    field_text(d, "fault", str_of(what));
    return line_end(d, err);
}

// ── .log ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

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

static void print_marker(struct dump *d, const struct record *r) {
    struct cur key = cur_str(r->key), value = cur_str(r->value);
    cur_be16(&key);
    uint16_t type = cur_be16(&key);
    cur_be16(&value);
    int32_t epoch = (int32_t)cur_be32(&value);
    field_text(d, "endTxnMarker", str_of(key.bad ? "?" : type == 1 ? "COMMIT" : type == 0 ? "ABORT" : "other"));
    if (!value.bad) field_int(d, "coordinatorEpoch", epoch);
}

static void print_headers(struct dump *d, struct record *r) {
    struct record_header h;
    if (!r->header_count) return;
    if (d->o->json) {
        json_key(&d->json, STR("headers"));
        json_object(&d->json);
    } else buf_putz(&d->line, "headers: [");
    while (record_header_next(r, &h)) {
        if (d->o->json) json_key(&d->json, h.name);
        else buf_printf(&d->line, "%.*s=", STR_FMT(h.name));
        if (d->o->json && h.null_value) json_null(&d->json);
        else if (d->o->json) json_string(&d->json, h.value);
        else json_escape(&d->line, h.value);
        if (!d->o->json && cur_left(&r->headers)) buf_u8(&d->line, ',');
    }
    if (d->o->json) json_object_end(&d->json);
    else buf_putz(&d->line, "] ");
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
    print_headers(d, r);
    if (h->attributes & BATCH_CONTROL) print_marker(d, r);
    else if (!print_decoded(d, r)) {
        field_payload(d, "key", r->key);
        field_payload(d, "payload", r->value);
    }
    return line_end(d, err);
}

static int print_records(struct dump *d, const uint8_t *p, const struct batch_header *h, uint64_t position, struct err *err) {
    struct buf scratch = {0};
    struct record_iter it;
    struct record r;
    struct err why = {0};
    int got = record_iter_init(&it, p, batch_size(h), &scratch, MAX_BATCH, &why), failed = 0;
    while (!got && !failed && (got = record_iter_next(&it, &r, &why)) > 0) {
        failed = print_record(d, h, &r, err);
        got = 0;
        if (!it.left && cur_done(&it.at)) break;
    }
    if (got < 0 && !failed) failed = fault(d, why.msg, (int64_t)position, err);
    buf_done(&scratch);
    return failed;
}

// What lies at `position`: a batch's header. 1; 0 when no batch can be there.
static int header_at(struct dump *d, struct fs_file *f, uint64_t position, uint64_t size, struct batch_header *h, struct err *err) {
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
    if (!buf_reserve(bytes, batch_size(h))) return fault(d, "no memory for a batch of its size", (int64_t)position, err);
    if (fs_pread_full(d->o->fs, f, bytes->p, batch_size(h), position, err) < 0) return -1;
    bool valid = batch_check(bytes->p, batch_size(h), false, &checked, &why) == 0;
    d->result->batches++;
    if (print_batch(d, h, position, valid, err) < 0) return -1;
    if (!valid) return fault(d, why.msg, (int64_t)position, err);
    return d->o->records ? print_records(d, bytes->p, h, position, err) : 0;
}

static int dump_batches(struct dump *d, struct fs_file *f, uint64_t size, struct err *err) {
    struct buf bytes = {0};
    struct batch_header h;
    int64_t next = -1;
    int failed = 0, got;
    for (uint64_t at = 0; at < size && !failed; at += batch_size(&h)) {
        if ((got = header_at(d, f, at, size, &h, err)) <= 0) {
            failed = got < 0 ? -1 : fault(d, "no whole record batch here", (int64_t)at, err);
            break;
        }
        if (h.base_offset < next) failed = fault(d, "offsets do not rise", (int64_t)at, err);
        next = batch_last_offset(&h) + 1;
        if (!failed && wanted(d->o, &h)) failed = dump_batch(d, f, &h, at, &bytes, err);
    }
    buf_done(&bytes);
    return failed;
}

static int open_sized(struct dump *d, const char *path, struct fs_file **ret, uint64_t *ret_size, struct err *err) {
    struct fs_stat st;
    if (d->o->fs->ops->open(d->o->fs, path, FS_READ, ret, err) < 0) return -1;
    if (d->o->fs->ops->fstat(*ret, &st, err) == 0) {
        *ret_size = st.size;
        return 0;
    }
    d->o->fs->ops->close(*ret, NULL);
    return -1;
}

static int dump_log(struct dump *d, struct err *err) {
    struct fs_file *f;
    uint64_t size;
    if (open_sized(d, d->path, &f, &size, err) < 0) return -1;
    int failed = dump_batches(d, f, size, err);
    d->o->fs->ops->close(f, NULL);
    return failed;
}

// ── .index and .timeindex ────────────────────────────────────────────────────────────────────────────────────────────

struct place { int64_t base, last, max_ts; uint64_t position; };
struct places { struct place *list; size_t n, cap; };

// Where the batches of the log beside an index lie.
static int load_places(struct dump *d, struct places *ps, struct err *err) {
    struct fs_file *f;
    uint64_t size;
    struct batch_header h;
    int got = 0;
    _cleanup_free_ char *path = xasprintf("%.*s.log", (int)(strrchr(d->path, '.') - d->path), d->path);
    if (open_sized(d, path, &f, &size, err) < 0) return -1;
    for (uint64_t at = 0; at < size && (got = header_at(d, f, at, size, &h, err)) > 0; at += batch_size(&h)) {
        struct place one = {h.base_offset, batch_last_offset(&h), h.max_timestamp, at};
        VEC_PUSH(ps->list, ps->n, ps->cap, one);
    }
    d->o->fs->ops->close(f, NULL);
    return got < 0 ? -1 : 0;
}

static const struct place *place_of(const struct places *ps, int64_t offset) {
    size_t lo = 0, hi = ps->n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (ps->list[mid].last < offset) lo = mid + 1;
        else hi = mid;
    }
    return lo < ps->n && ps->list[lo].base <= offset ? &ps->list[lo] : NULL;
}

struct entry { int64_t a, b; }; // offset and position, or timestamp and offset

static int print_entry(struct dump *d, bool time, const struct entry *e, struct err *err) {
    d->result->entries++;
    line_begin(d, time ? "timeindex" : "index", "");
    field_int(d, time ? "timestamp" : "offset", e->a);
    field_int(d, time ? "offset" : "position", e->b);
    return line_end(d, err);
}

static int verify_entry(struct dump *d, bool time, const struct entry *e, const struct places *ps, size_t i, struct err *err) {
    const struct place *p = place_of(ps, time ? e->b : e->a);
    if (!p) return fault(d, "entry names an offset that the log does not have", (int64_t)i, err);
    if (time && p->max_ts != e->a) return fault(d, "timestamp is not the largest of its batch", (int64_t)i, err);
    if (!time && (p->position != (uint64_t)e->b || p->last != e->a)) return fault(d, "no batch ends at the offset and begins at the position", (int64_t)i, err);
    return 0;
}

static int64_t base_of(const char *path) {
    const char *name = strrchr(path, '/');
    return strtoll(name ? name + 1 : path, NULL, 10);
}

static int dump_entries(struct dump *d, bool time, const struct buf *all, const struct places *ps, struct err *err) {
    struct cur c = cur_of(all->p, all->n);
    struct entry before = {-1, -1};
    int64_t base = base_of(d->path);
    size_t size = time ? TIMEINDEX_ENTRY : INDEX_ENTRY;
    for (size_t i = 0; cur_left(&c) >= size; i++) {
        struct entry e;
        e.a = time ? (int64_t)cur_be64(&c) : base + (int32_t)cur_be32(&c);
        e.b = time ? base + (int32_t)cur_be32(&c) : (int64_t)cur_be32(&c);
        if (time ? !e.a : e.a == base && !e.b) return 0; // what Kafka reserved and did not use
        if (print_entry(d, time, &e, err) < 0) return -1;
        if ((e.a <= before.a || e.b <= before.b) && fault(d, "entries do not rise", (int64_t)i, err) < 0) return -1;
        if (d->o->verify && verify_entry(d, time, &e, ps, i, err) < 0) return -1;
        before = e;
    }
    return cur_left(&c) ? fault(d, "a torn entry at the end", (int64_t)(all->n - cur_left(&c)), err) : 0;
}

static int dump_index_of(struct dump *d, bool time, struct err *err) {
    struct buf all = {0};
    struct places ps = {0};
    int failed = fs_read_all(d->o->fs, d->path, MAX_FILE, &all, err);
    if (!failed && d->o->verify) failed = load_places(d, &ps, err);
    if (!failed) failed = dump_entries(d, time, &all, &ps, err);
    free(ps.list);
    buf_done(&all);
    return failed;
}
static int dump_index(struct dump *d, struct err *err) { return dump_index_of(d, false, err); }
static int dump_timeindex(struct dump *d, struct err *err) { return dump_index_of(d, true, err); }

// ── .txnindex and .snapshot ──────────────────────────────────────────────────────────────────────────────────────────

static int dump_txnindex(struct dump *d, struct err *err) {
    struct buf ends = {0};
    struct err why = {0};
    _cleanup_free_ char *stem = xasprintf("%.*s", (int)(strrchr(d->path, '.') - d->path), d->path);
    int failed = 0, bad = txnindex_read(d->o->fs, stem, &ends, &why);
    const struct producer_end *e = (const struct producer_end *)(const void *)ends.p;
    for (size_t i = 0; i < ends.n / sizeof(*e) && !failed; i++) {
        d->result->entries++;
        line_begin(d, "txnindex", "");
        field_int(d, "version", 0);
        field_int(d, "producerId", e[i].producer_id);
        field_int(d, "firstOffset", e[i].first_offset);
        field_int(d, "lastOffset", e[i].last_offset);
        field_int(d, "lastStableOffset", e[i].last_stable);
        failed = line_end(d, err);
    }
    if (!failed && bad) failed = why.code == ERR_CORRUPT ? fault(d, why.msg, (int64_t)(ends.n / sizeof(*e)), err) : (*err = why, -1);
    buf_done(&ends);
    return failed;
}

struct snapshot_row { struct dump *d; struct err *err; };

static int print_producer(void *arg, const struct producer_state *s) {
    struct snapshot_row *row = arg;
    struct dump *d = row->d;
    const struct producer_batch none = {.last_offset = -1, .timestamp = s->last_timestamp, .last_sequence = -1};
    const struct producer_batch *b = s->batch_count ? &s->batches[s->batch_count - 1] : &none;
    d->result->entries++;
    line_begin(d, "producer", "");
    field_int(d, "producerId", s->id);
    field_int(d, "producerEpoch", s->epoch);
    field_int(d, "coordinatorEpoch", s->coordinator_epoch);
    field_optional(d, "currentTxnFirstOffset", s->txn_first);
    field_int(d, "lastTimestamp", s->last_timestamp);
    field_int(d, "batches", s->batch_count);
    field_int(d, "lastSequence", b->last_sequence);
    field_int(d, "lastOffset", b->last_offset);
    field_int(d, "offsetDelta", b->delta);
    return line_end(d, row->err);
}

static int dump_snapshot(struct dump *d, struct err *err) {
    struct buf all = {0};
    struct err why = {0};
    struct producers *p = producers_new();
    struct snapshot_row row = {d, err};
    int failed = fs_read_all(d->o->fs, d->path, MAX_FILE, &all, err);
    if (!failed && producers_load(p, all.p, all.n, 0, &why) < 0) failed = fault(d, why.msg, 0, err);
    if (!failed) failed = producers_each(p, print_producer, &row);
    producers_free(p);
    buf_done(&all);
    return failed;
}

// ── files and folders ────────────────────────────────────────────────────────────────────────────────────────────────

static const struct kind {
    const char *suffix;
    int (*dump)(struct dump *d, struct err *err);
} kinds[] = {{".log", dump_log}, {".index", dump_index}, {".timeindex", dump_timeindex}, {".txnindex", dump_txnindex}, {".snapshot", dump_snapshot}};

static const struct kind *kind_of(const char *path) {
    for (size_t i = 0; i < countof(kinds); i++)
        if (str_ends(str_of(path), str_of(kinds[i].suffix))) return &kinds[i];
    return NULL;
}

int dump_file(const struct dump_options *o, const char *path, struct dump_result *result, struct err *err) {
    const struct kind *k = kind_of(path);
    struct dump d = {.o = o, .result = result, .path = path};
    if (!k) {
        err_set(err, ERR_UNSUPPORTED, "%s: not a file of a log", path);
        return err_hint(err, "names end with .log, .index, .timeindex, .txnindex or .snapshot");
    }
    result->files++;
    line_begin(&d, "file", "Dumping ");
    if (o->json) field_text(&d, "file", str_of(path));
    else buf_putz(&d.line, path);
    int failed = line_end(&d, err);
    if (!failed) failed = k->dump(&d, err);
    buf_done(&d.line);
    return failed ? -1 : 0;
}

struct names { char **list; size_t n, cap; };

static int note_name(void *arg, const char *name) {
    struct names *ns = arg;
    VEC_PUSH(ns->list, ns->n, ns->cap, xstrdup(name));
    return 0;
}
static void names_done(struct names *ns) {
    for (size_t i = 0; i < ns->n; i++) free(ns->list[i]);
    free(ns->list);
}

// One level: files of the folder; `folders`: and those of the folders in it.
static int dump_folder(const struct dump_options *o, const char *path, bool folders, struct dump_result *result, struct err *err) {
    struct names ns = {0};
    struct fs_stat st;
    int failed = o->fs->ops->list(o->fs, path, note_name, &ns, err);
    for (size_t i = 0; i < ns.n && !failed; i++) {
        _cleanup_free_ char *inner = strcmp(path, ".") ? xasprintf("%s/%s", path, ns.list[i]) : xstrdup(ns.list[i]);
        if (o->fs->ops->stat(o->fs, inner, &st, NULL) < 0) continue; // it is gone: the log is at work
        if (st.is_dir && folders) failed = dump_folder(o, inner, false, result, err);
        else if (!st.is_dir && kind_of(inner)) failed = dump_file(o, inner, result, err);
    }
    names_done(&ns);
    return failed;
}

int dump_directory(const struct dump_options *o, const char *path, struct dump_result *result, struct err *err) {
    return dump_folder(o, path, true, result, err) ? -1 : 0;
}
