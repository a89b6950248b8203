// SPDX-License-Identifier: Apache-2.0
// Files by their suffix, each printed entry by entry.
#include "store/dump.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "dump_int.h"
#include "index.h"
#include "producers.h"
#include "txnindex.h"

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
    if (dump_open(d, path, &f, &size, err) < 0) return -1;
    for (uint64_t at = 0; at < size && (got = dump_header_at(d, f, at, size, &h, err)) > 0; at += batch_size(&h)) {
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
    if (!p) return line_fault(d, "entry names an offset that the log does not have", (int64_t)i, err);
    if (time && p->max_ts != e->a) return line_fault(d, "timestamp is not the largest of its batch", (int64_t)i, err);
    if (!time && (p->position != (uint64_t)e->b || p->last != e->a)) return line_fault(d, "no batch ends at the offset and begins at the position", (int64_t)i, err);
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
        if (time ? !e.a && e.b == base : e.a == base && !e.b) return 0; // what Kafka reserved and did not use
        if (print_entry(d, time, &e, err) < 0) return -1;
        if ((e.a <= before.a || e.b <= before.b) && line_fault(d, "entries do not rise", (int64_t)i, err) < 0) return -1;
        if (d->o->verify && verify_entry(d, time, &e, ps, i, err) < 0) return -1;
        before = e;
    }
    return cur_left(&c) ? line_fault(d, "a torn entry at the end", (int64_t)(all->n - cur_left(&c)), err) : 0;
}

static int dump_index_of(struct dump *d, bool time, struct err *err) {
    struct buf all = {0};
    struct places ps = {0};
    int failed = fs_read_all(d->o->fs, d->path, DUMP_READ_LIMIT, &all, err);
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
    if (!failed && bad) failed = why.code == ERR_CORRUPT ? line_fault(d, why.msg, (int64_t)(ends.n / sizeof(*e)), err) : (*err = why, -1);
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
    int failed = fs_read_all(d->o->fs, d->path, DUMP_READ_LIMIT, &all, err);
    if (!failed && producers_load(p, all.p, all.n, 0, &why) < 0) failed = line_fault(d, why.msg, 0, err);
    if (!failed) failed = producers_each(p, print_producer, &row);
    producers_free(p);
    buf_done(&all);
    return failed;
}

// ── leader-epoch-checkpoint ──────────────────────────────────────────────────────────────────────────────────────────

// Takes the next line as numbers with a blank between: false when it is something else.
static bool take_numbers(struct str *text, int64_t *ret, size_t n) {
    struct str line, word;
    if (!str_split(text, '\n', &line)) return false;
    for (size_t i = 0; i < n; i++)
        if (!str_split(&line, ' ', &word) || !str_to_i64(word, &ret[i])) return false;
    return !line.p;
}

static int dump_epochs(struct dump *d, struct err *err) {
    struct buf all = {0};
    int64_t version, count = 0, row[2];
    int failed = fs_read_all(d->o->fs, d->path, DUMP_READ_LIMIT, &all, err);
    struct str text = buf_str(&all);
    if (!failed && (!take_numbers(&text, &version, 1) || version != 0 || !take_numbers(&text, &count, 1)))
        failed = line_fault(d, "neither version 0 nor a count at its beginning", 0, err), count = 0;
    for (int64_t i = 0; i < count && !failed; i++) {
        if (!take_numbers(&text, row, 2)) {
            failed = line_fault(d, "a row is missing or wrong", i, err);
            break;
        }
        d->result->entries++;
        line_begin(d, "epoch", "");
        field_int(d, "epoch", row[0]);
        field_int(d, "startOffset", row[1]);
        failed = line_end(d, err);
    }
    buf_done(&all);
    return failed;
}

// ── files and folders ────────────────────────────────────────────────────────────────────────────────────────────────

static const struct kind {
    const char *suffix;
    int (*dump)(struct dump *d, struct err *err);
} kinds[] = {{".log", dump_log}, {".index", dump_index}, {".timeindex", dump_timeindex}, {".txnindex", dump_txnindex}, {".snapshot", dump_snapshot},
             {".checkpoint", dump_log}, {"leader-epoch-checkpoint", dump_epochs}};

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
        return err_hint(err, "names end with .log, .index, .timeindex, .txnindex, .snapshot, .checkpoint or leader-epoch-checkpoint");
    }
    result->files++;
    line_begin(&d, "file", "Dumping ");
    if (o->json) field_path(&d);
    else buf_printf(&d.line, "%s%s", o->prefix ? o->prefix : "", path);
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
