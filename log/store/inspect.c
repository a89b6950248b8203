// SPDX-License-Identifier: Apache-2.0
// Looking at a partition, and telling what was seen.
#include "inspect.h"

#include <inttypes.h>
#include <stdio.h>

#include "flusher.h"

// ── what there is ────────────────────────────────────────────────────────────────────────────────────────────────────

static void take_segment(struct inspection *x, size_t i) {
    struct partition *p = x->p;
    struct inspected *g = &x->segs[i];
    g->seg = segment_ref(p->segs[i]);
    g->aborts = g->seg->sealed ? ABORTS_UNKNOWN : g->seg->aborts;
    g->facts = (struct segment_facts){
        .fs = x->s->fs,
        .base = g->seg->base,
        .end = i + 1 < p->seg_count ? p->segs[i + 1]->base : p->hw,
        .size = g->seg->size,
        .crc = g->seg->crc,
        .max_ts = g->seg->max_ts,
        .sealed = g->seg->sealed,
        .sparse = g->seg->generation > 0,
        .epochs = x->epochs,
        .epoch_count = x->epoch_count,
    };
    segment_path(p, g->seg->base, ".log", g->facts.path);
}

// On the flusher's thread: nothing of the partition is half written.
static int take(struct store *s, void *arg, struct err *err) {
    struct inspection *x = arg;
    struct partition *p = x->p;
    LOCK_SCOPE(&p->lock);
    if (p->gone) return err_set(err, ERR_NOT_FOUND, "topic %s was deleted", p->topic->name);
    if (!partition_serves(p, &x->health)) x->health.code = ERR_NONE;
    x->log_start = p->log_start;
    x->end = p->hw;
    x->bytes = p->bytes;
    x->epoch_count = p->epoch_count;
    if (p->epoch_count) x->epochs = xmemdup(p->epochs, p->epoch_count * sizeof(*p->epochs));
    if (p->producers) x->producers = producers_copy(p->producers);
    if (p->abort_count) buf_put(&x->pending, p->aborts, p->abort_count * sizeof(*p->aborts));
    x->n = p->seg_count;
    x->segs = xcalloc(x->n, sizeof(*x->segs));
    for (size_t i = 0; i < x->n; i++) take_segment(x, i);
    return 0;
}

// ── transaction indexes ──────────────────────────────────────────────────────────────────────────────────────────────

static void stem_of(const struct inspection *x, const struct inspected *g, char out[SEGMENT_PATH]) {
    segment_path(x->p, g->seg->base, "", out);
}

// Those that a failed write kept in memory, appended to `out`.
static size_t put_pending(const struct inspection *x, const struct inspected *g, struct buf *out) {
    const struct pending_abort *a = (const void *)x->pending.p;
    for (size_t i = 0; i < x->pending.n / sizeof(*a); i++)
        if (a[i].base == g->seg->base) buf_put(out, &a[i].end, sizeof(a[i].end));
    return out->n / sizeof(struct producer_end);
}

// What lies behind the entries that count may be anything.
static int read_ends(struct inspection *x, struct inspected *g, struct err *err) {
    char stem[SEGMENT_PATH];
    struct err why = {0};
    struct buf pending = {0};
    stem_of(x, g, stem);
    bool known = g->aborts != ABORTS_UNKNOWN;
    if (txnindex_read(x->s->fs, stem, &g->ends, &why) && why.code != ERR_CORRUPT) return *err = why, -1;
    size_t n = g->ends.n / sizeof(struct producer_end), more = put_pending(x, g, &pending),
           want = known && g->aborts >= more ? g->aborts - more : n;
    if (n > want) g->ends.n = want * sizeof(struct producer_end);
    if (n < want) snprintf(g->txn_fault, sizeof(g->txn_fault), "%.100s.txnindex has %zu whole entries, %zu are durable", stem, n, want);
    else if (!known && why.code) snprintf(g->txn_fault, sizeof(g->txn_fault), "%.190s", why.msg);
    buf_puts(&g->ends, buf_str(&pending));
    buf_done(&pending);
    return 0;
}

struct derive { struct inspection *x; size_t at; struct producers *producers; };

static bool has_end(const struct buf *ends, const struct producer_end *e) {
    const struct producer_end *all = (const void *)ends->p;
    for (size_t i = 0; i < ends->n / sizeof(*all); i++)
        if (all[i].producer_id == e->producer_id && all[i].last_offset == e->last_offset) return true;
    return false;
}

// An end that the damaged index does not have any more follows from the batches.
static int derive_end(void *arg, const uint8_t *p, const struct batch_header *h, struct err *err) {
    struct derive *d = arg;
    struct batch_marker m;
    struct producer_end end;
    bool marker = h->attributes & BATCH_CONTROL && !batch_marker_read(p, batch_size(h), &m);
    (void)err;
    while (d->x->segs[d->at].facts.end <= h->base_offset) d->at++;
    struct inspected *g = &d->x->segs[d->at];
    bool ended = producers_apply(d->producers, h, marker ? &m : NULL, 0, &end);
    producers_framed(d->producers);
    if (ended && end.aborted && g->txn_fault[0] && !has_end(&g->ends, &end)) buf_put(&g->ends, &end, sizeof(end));
    return 0;
}

static int gather_ends(struct inspection *x, struct err *err) {
    struct derive d = {.x = x};
    bool faulty = false;
    for (size_t i = 0; i < x->n; i++) {
        if (read_ends(x, &x->segs[i], err)) return -1;
        faulty |= x->segs[i].txn_fault[0] != 0;
    }
    if (!faulty) return 0;
    d.producers = producers_new();
    int failed = inspect_each(x, derive_end, &d, err);
    producers_free(d.producers);
    for (size_t i = 0; i < x->n; i++) txnends_sort_by_end((void *)x->segs[i].ends.p, x->segs[i].ends.n / sizeof(struct producer_end));
    return failed;
}

// ── all of it ────────────────────────────────────────────────────────────────────────────────────────────────────────

static int changed(const struct inspection *x, struct err *err) {
    return err_set(err, ERR_AGAIN, "%s-%" PRId32 " changed while it was read", x->p->topic->name, x->p->index);
}

int inspect(struct partition *p, struct inspection *x, struct err *err) {
    *x = (struct inspection){.s = p->topic->store, .p = p};
    if (store_call(x->s, take, x, false, err)) return -1;
    for (size_t i = 0; i < x->n; i++)
        if (examine_segment(&x->segs[i].facts, &x->segs[i].found, err)) return -1;
    if (gather_ends(x, err)) return -1;
    for (size_t i = 0; i < x->n; i++)
        if (atomic_load(&x->segs[i].seg->dropped)) return changed(x, err);
    return 0;
}

void inspect_done(struct inspection *x) {
    for (size_t i = 0; i < x->n; i++) {
        examined_done(&x->segs[i].found);
        buf_done(&x->segs[i].ends);
        segment_unref(&x->s->files, x->segs[i].seg);
    }
    producers_free(x->producers);
    buf_done(&x->pending);
    free(x->epochs);
    free(x->segs);
    *x = (struct inspection){0};
}

int inspect_each(const struct inspection *x, examine_batch *each, void *arg, struct err *err) {
    int stop = 0;
    for (size_t i = 0; i < x->n && !stop; i++) stop = examine_each(&x->segs[i].facts, &x->segs[i].found, each, arg, err);
    return stop;
}

// ── telling ──────────────────────────────────────────────────────────────────────────────────────────────────────────

struct loss inspect_loss(const struct inspection *x) {
    struct loss l = {0};
    for (size_t i = 0; i < x->n; i++) {
        l.areas += x->segs[i].found.n;
        l.offsets += examined_offsets(&x->segs[i].found);
        l.bytes += examined_bytes(&x->segs[i].found);
        l.unreadable += x->segs[i].found.unreadable;
    }
    return l;
}

void inspect_put_loss(const struct loss *l, struct json_writer *w) {
    json_key(w, STR("lost"));
    json_object(w);
    json_ki(w, "areas", (int64_t)l->areas);
    json_ki(w, "offsets", l->offsets);
    json_ki(w, "bytes", (int64_t)l->bytes);
    json_object_end(w);
}

void inspect_begin_json(const struct inspection *x, struct json_writer *w) {
    json_object(w);
    json_kz(w, "topic", x->p->topic->name);
    json_ki(w, "partition", x->p->index);
}

static void put_area(const struct bad_area *a, struct json_writer *w) {
    json_object(w);
    json_ki(w, "position", (int64_t)a->position);
    json_ki(w, "size", (int64_t)a->size);
    json_ki(w, "first", a->first);
    json_ki(w, "end", a->end);
    json_kz(w, "why", a->why);
    json_object_end(w);
}

static void put_damaged(const struct inspected *g, struct json_writer *w) {
    const struct mended *m = &g->found.mended;
    if (!g->found.n && !m->mask) return;
    json_object(w);
    json_kz(w, "file", g->facts.path);
    json_ki(w, "base", g->facts.base);
    json_ki(w, "end", g->facts.end);
    json_ki(w, "size", (int64_t)g->facts.size);
    if (g->found.missing) json_kz(w, "file_size", NULL);
    else json_ki(w, "file_size", (int64_t)g->found.file_size);
    json_ki(w, "batches", (int64_t)g->found.batches);
    json_ki(w, "records", (int64_t)g->found.records);
    if (m->mask) json_ki(w, "mended_byte", (int64_t)m->position);
    json_key(w, STR("areas"));
    json_array(w);
    for (size_t i = 0; i < g->found.n; i++) put_area(&g->found.areas[i], w);
    json_array_end(w);
    json_object_end(w);
}

static void put_counts(const struct inspection *x, struct json_writer *w) {
    uint64_t batches = 0, records = 0;
    for (size_t i = 0; i < x->n; i++) batches += x->segs[i].found.batches, records += x->segs[i].found.records;
    json_ki(w, "log_start", x->log_start);
    json_ki(w, "next_offset", x->end);
    json_ki(w, "segments", (int64_t)x->n);
    json_ki(w, "bytes", (int64_t)x->bytes);
    json_ki(w, "batches", (int64_t)batches);
    json_ki(w, "records", (int64_t)records);
}

static void put_accepted(struct partition *p, struct json_writer *w) {
    LOCK_SCOPE(&p->lock);
    json_key(w, STR("accepted"));
    if (p->losses) losses_json(p->losses, w);
    else json_null(w);
}

static void put_inspection(const struct inspection *x, struct json_writer *w) {
    struct loss l = inspect_loss(x);
    inspect_begin_json(x, w);
    json_kb(w, "stopped", x->health.code != ERR_NONE);
    if (x->health.code) json_kz(w, "reason", x->health.msg);
    put_counts(x, w);
    json_ki(w, "unreadable", (int64_t)l.unreadable);
    inspect_put_loss(&l, w);
    json_key(w, STR("damaged"));
    json_array(w);
    for (size_t i = 0; i < x->n; i++) put_damaged(&x->segs[i], w);
    json_array_end(w);
    json_key(w, STR("transactions"));
    json_array(w);
    for (size_t i = 0; i < x->n; i++)
        if (x->segs[i].txn_fault[0]) json_string(w, str_of(x->segs[i].txn_fault));
    json_array_end(w);
    put_accepted(x->p, w);
    json_object_end(w);
}

static bool is_damaged(const struct inspection *x) {
    for (size_t i = 0; i < x->n; i++)
        if (x->segs[i].found.n || x->segs[i].found.mended.mask || x->segs[i].txn_fault[0]) return true;
    return false;
}

int partition_examine(struct partition *p, struct json_writer *w, bool *ret_damaged, struct err *err) {
    struct inspection x;
    int failed = inspect(p, &x, err);
    if (!failed) put_inspection(&x, w), *ret_damaged = is_damaged(&x);
    inspect_done(&x);
    return failed;
}
