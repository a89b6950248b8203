// SPDX-License-Identifier: Apache-2.0
// Reading below the durable end.
//
//   under the lock: bounds, segment, its open file, a hint ─► without it: index, walk to the first batch, one pread, checks
//
// Every batch is checked before it is returned: checksum, offsets that continue. Nothing at or above the bound of the isolation is.
#include <inttypes.h>

#include "store_int.h"
#include "verify.h"

// A segment held for reading.
struct view {
    struct store *s;
    struct partition *p;
    struct segment *seg;
    struct open_file *file;
    uint64_t size;       // its durable bytes
    int64_t end;         // offsets from here on are not to be seen
    bool active;
};

static void view_done(struct view *v) {
    if (v->file) files_put(&v->s->files, v->file);
    segment_unref(&v->s->files, v->seg);
    v->file = NULL;
    v->seg = NULL;
}

// With the lock.
static int view_open(struct view *v, size_t at, struct err *err) {
    struct segment *seg = v->p->segs[at];
    v->seg = segment_ref(seg);
    if (segment_open(v->s, v->p, seg, &v->file, err)) return -1;
    v->size = seg->size;
    v->active = at + 1 == v->p->seg_count;
    if (v->active && MUTANT("read-undurable-tail") && v->p->tail.touched) v->size = v->p->tail.size, v->end = v->p->tail.next;
    return 0;
}

// The segment after the one held; false when there is none.
static bool view_next(struct view *v, struct err *err, int *ret_failed) {
    int64_t base = v->seg->base;
    view_done(v);
    LOCK_SCOPE(&v->p->lock);
    *ret_failed = partition_serves(v->p, err);
    size_t at = partition_find_segment(v->p, base);
    if (v->p->segs[at]->base <= base) at++;
    if (*ret_failed || at >= v->p->seg_count || v->p->segs[at]->base >= v->end) return false;
    *ret_failed = view_open(v, at, err);
    return !*ret_failed;
}

// ── finding ──────────────────────────────────────────────────────────────────────────────────────────────────────────

static int damaged(const struct view *v, uint64_t position, const char *what, struct err *err) {
    return err_set(err, ERR_CORRUPT, "%s-%" PRId32 "/%020" PRId64 ".log at byte %" PRIu64 ": %s", v->p->topic->name, v->p->index, v->seg->base, position,
                   what);
}

// A whole header at `position`, of a batch that lies within the durable bytes.
static int header_at(const struct view *v, uint64_t position, struct batch_header *ret, struct err *err) {
    uint8_t p[BATCH_HEADER];
    if (v->size - position < sizeof(p)) return damaged(v, position, "the last batch is cut", err);
    if (fs_pread_full(v->s->fs, v->file->f, p, sizeof(p), position, err)) return -1;
    if (batch_read_header(p, sizeof(p), ret) < 0 || batch_size(ret) > v->size - position) return damaged(v, position, "no record batch", err);
    return 0;
}

// Walks from `position` to the batch that contains `offset`, or the next later one.
static int walk(const struct view *v, int64_t offset, uint64_t *position, struct err *err) {
    while (*position < v->size) {
        struct batch_header h;
        if (header_at(v, *position, &h, err)) return -1;
        if (batch_last_offset(&h) >= offset) return 0;
        *position += batch_size(&h);
    }
    return 0;
}

// Where the index says to begin; 0 when it can not be used. Its files may be replaced by a rewrite while they are read: then the
// segment is not in the list any more, and what was read counts for nothing.
static uint64_t ask_index(const struct view *v, int64_t offset) {
    char stem[SEGMENT_PATH];
    uint64_t position = 0;
    struct index *x = segment_index(v->p, v->seg);
    if (!x) {
        segment_path(v->p, v->seg->base, "", stem);
        struct index_options o = {.fs = v->s->fs, .stem = stem, .base_offset = v->seg->base};
        if (index_open(&o, &x, NULL)) return 0;
    }
    int failed = index_position(x, offset, &position, NULL);
    index_free(x);
    if (failed || position >= v->size || atomic_load(&v->seg->dropped)) return 0;
    struct batch_header h;
    bool fits = !header_at(v, position, &h, NULL) && h.base_offset >= v->seg->base && h.base_offset <= offset;
    return fits ? position : 0;
}

static bool find_hint(const struct partition *p, const struct segment *seg, int64_t offset, uint64_t *ret) {
    for (int i = 0; p->hints && i < READ_HINTS; i++) {
        const struct read_hint *h = &p->hints->at[i];
        if (h->seg != seg || h->offset != offset) continue;
        *ret = h->position;
        return true;
    }
    return false;
}

static void leave_hint(const struct view *v, int64_t offset, uint64_t position) {
    struct partition *p = v->p;
    LOCK_SCOPE(&p->lock);
    if (atomic_load(&v->seg->dropped)) return;
    if (!p->hints) p->hints = xcalloc(1, sizeof(*p->hints));
    p->hints->at[p->hints->next++ % READ_HINTS] = (struct read_hint){v->seg, offset, position};
}

// ── fetching ─────────────────────────────────────────────────────────────────────────────────────────────────────────

// Reads up to max bytes from position, but at least the first batch.
static int fetch_bytes(const struct view *v, uint64_t position, size_t max, struct buf *out, size_t *ret, struct err *err) {
    struct batch_header h;
    uint64_t left = v->size - position, want = max < left ? max : left;
    if (want < BATCH_HEADER) want = left < BATCH_HEADER ? left : BATCH_HEADER;
    if (!buf_reserve(out, (size_t)want)) return err_set(err, buf_fault(out), "no memory for %" PRIu64 " bytes", want);
    uint8_t *p = out->p + out->n;
    if (fs_pread_full(v->s->fs, v->file->f, p, (size_t)want, position, err)) return -1;
    int more = batch_read_header(p, (size_t)want, &h);
    if (more > 0 && want >= BATCH_HEADER && batch_size(&h) <= left) {
        size_t whole = batch_size(&h), had = (size_t)want;
        if (!buf_reserve(out, whole)) return err_set(err, buf_fault(out), "no memory for a batch of %zu bytes", whole);
        if (fs_pread_full(v->s->fs, v->file->f, out->p + out->n + had, whole - had, position + had, err)) return -1;
        want = whole;
    }
    *ret = (size_t)want;
    return 0;
}

// What is wrong with the batch that should continue at `next` (-1: contain `from`), or NULL. A rewritten segment may have gaps.
static const char *discontinuity(const struct view *v, const struct batch_header *h, int64_t next, int64_t from) {
    int64_t most = next >= 0 ? next : from > v->seg->base ? from : v->seg->base;
    if (h->base_offset < v->seg->base || (next >= 0 && h->base_offset < next)) return "offsets go back";
    if (h->base_offset > most && !v->seg->generation) return "offsets are missing";
    if (h->leader_epoch > v->p->epoch) return "it has an epoch of the future";
    return NULL;
}

// Takes the whole, good batches of p[0..n) below the end.
static int take_batches(const struct view *v, const uint8_t *p, size_t n, uint64_t position, int64_t *next, size_t *ret, struct err *err) {
    size_t at = 0;
    int64_t expected = -1;
    struct batch_header h;
    while (at < n) {
        struct err why = {0};
        int got = batch_read_header(p + at, n - at, &h);
        bool known = got == 0;
        if (got > 0 && at) break; // cut by the size of the read; the first one is there whole if it ends within the log
        const char *fault = known ? discontinuity(v, &h, expected, *next) : got > 0 ? "no whole record batch" : "no record batch";
        if (!fault && h.base_offset >= v->end) break;
        if (!fault && batch_check(p + at, batch_size(&h), false, &h, &why)) fault = why.msg;
        if (fault && at) break; // what is before it is good; the next read says so
        if (fault) return damaged(v, position + at, fault, err);
        at += batch_size(&h);
        expected = batch_last_offset(&h) + 1;
    }
    if (expected >= 0) *next = expected;
    *ret = at;
    return 0;
}

static int read_view(const struct view *v, uint64_t position, size_t max, struct buf *out, struct read_result *r, struct err *err) {
    size_t n = 0;
    if (position >= v->size) return 0;
    if (fetch_bytes(v, position, max, out, &n, err)) return -1;
    if (take_batches(v, out->p + out->n, n, position, &r->next, &r->n, err)) return -1;
    out->n += r->n;
    if (r->n) leave_hint(v, r->next, position + r->n);
    return 0;
}

// Fills the result's bounds and opens the first segment, if there is anything to read. 1 there is.
static int begin(struct view *v, const struct read_request *q, struct read_result *r, uint64_t *ret_position, bool *ret_hinted, struct err *err) {
    struct partition *p = v->p;
    LOCK_SCOPE(&p->lock);
    if (partition_serves(p, err)) return -1;
    *r = (struct read_result){.high_watermark = p->hw, .last_stable = p->lso, .log_start = p->log_start, .next = q->from};
    if (q->from < p->log_start || q->from > p->hw) {
        return err_set(err, ERR_OUT_OF_RANGE, "%s-%" PRId32 ": offset %" PRId64 " is not within %" PRId64 " and %" PRId64, p->topic->name, p->index, q->from,
                       p->log_start, p->hw);
    }
    v->end = q->isolation == READ_COMMITTED ? p->lso : p->hw;
    if (q->from >= v->end && !MUTANT("read-undurable-tail")) return 0;
    size_t at = partition_find_segment(p, q->from);
    if (view_open(v, at, err)) return -1;
    *ret_hinted = find_hint(p, v->seg, q->from, ret_position);
    return 1;
}

static int read_on(struct view *v, const struct read_request *q, uint64_t position, bool hinted, struct buf *out, struct read_result *r, struct err *err) {
    int failed = 0;
    do {
        if (!hinted) {
            position = ask_index(v, q->from);
            if (walk(v, q->from, &position, err)) return -1;
        }
        if (read_view(v, position, q->max_bytes, out, r, err)) return -1;
        hinted = false;
    } while (!r->n && view_next(v, err, &failed));
    return failed;
}

// 0 read; 1 damage was met that is not on the disk, as far as one can tell: once more; -1.
static int try_read(struct partition *p, const struct read_request *q, bool again, struct buf *out, struct read_result *ret,
                    struct err *err) {
    struct view v = {.s = p->topic->store, .p = p};
    struct read_result r;
    uint64_t position = 0;
    bool hinted = false;
    int more = begin(&v, q, &r, &position, &hinted, err);
    if (more > 0) more = read_on(&v, q, position, hinted, out, &r, err);
    if (more >= 0) *ret = r;
    bool met = more < 0 && v.seg && (err->code == ERR_CORRUPT || err->code == ERR_NOT_FOUND);
    bool told = met && verify_met(v.s, p, v.seg, again, err);
    view_done(&v);
    return more >= 0 ? 0 : met && !told ? 1 : -1;
}

int partition_read(struct partition *p, const struct read_request *q, struct buf *out, struct read_result *ret, struct err *err) {
    int got = try_read(p, q, false, out, ret, err);
    return got > 0 && try_read(p, q, true, out, ret, err) ? -1 : got < 0 ? -1 : 0;
}

// ── aborted transactions ─────────────────────────────────────────────────────────────────────────────────────────────

// Of one segment, with the lock; *ret_complete: no later one matters.
static int collect(struct store *s, struct partition *p, struct segment *seg, int64_t from, int64_t to, struct buf *ends, bool *ret_complete, struct err *err) {
    char stem[SEGMENT_PATH], path[SEGMENT_PATH];
    struct fs_stat st;
    segment_path(p, seg->base, "", stem);
    if (seg->has_aborts < 0) {
        segment_path(p, seg->base, ".txnindex", path);
        struct err why;
        int absent = s->fs->ops->stat(s->fs, path, &st, &why);
        if (absent && why.code != ERR_NOT_FOUND) return *err = why, -1;
        seg->has_aborts = !absent;
    }
    *ret_complete = false;
    return seg->has_aborts ? txnindex_collect(s->fs, stem, from, to, ends, ret_complete, err) : 0;
}

// What failed to be written may be in the file all the same.
static bool is_listed(const struct buf *ends, const struct producer_end *e) {
    const struct producer_end *all = (const struct producer_end *)(const void *)ends->p;
    for (size_t i = 0; i < ends->n / sizeof(*e); i++)
        if (all[i].last_offset == e->last_offset) return true;
    return false;
}

static int collect_all(struct partition *p, int64_t from, int64_t to, struct buf *ends, struct err *err) {
    bool complete = false;
    LOCK_SCOPE(&p->lock);
    if (partition_serves(p, err)) return -1;
    for (size_t i = partition_find_segment(p, from); i < p->seg_count && !complete; i++)
        if (collect(p->topic->store, p, p->segs[i], from, to, ends, &complete, err)) return -1;
    for (size_t i = 0; i < p->abort_count; i++) {
        const struct producer_end *e = &p->aborts[i].end;
        if (e->last_offset >= from && e->first_offset < to && !is_listed(ends, e)) buf_put(ends, e, sizeof(*e));
    }
    return ends->bad ? err_set(err, buf_fault(ends), "%s-%" PRId32 ": no memory for its aborted transactions", p->topic->name, p->index) : 0;
}

// A transaction index that is damaged stays so: without it nobody may be served.
static int collect_or_stop(struct partition *p, int64_t from, int64_t to, struct buf *ends, struct err *err) {
    for (int again = 0; collect_all(p, from, to, ends, err); again++) {
        if (err->code != ERR_CORRUPT || partition_health(p, NULL)) return -1;
        if (again) return partition_stop(p->topic->store, p, -1, err->msg), partition_health(p, err);
        buf_clear(ends);
    }
    return 0;
}

int partition_aborted(struct partition *p, int64_t from, int64_t to, struct aborted_txn **ret, size_t *ret_n, struct err *err) {
    struct buf ends = {0};
    if (collect_or_stop(p, from, to, &ends, err)) {
        buf_done(&ends);
        return -1;
    }
    size_t n = ends.n / sizeof(struct producer_end);
    const struct producer_end *e = (const struct producer_end *)(const void *)ends.p;
    struct aborted_txn *all = xcalloc(n + 1, sizeof(*all));
    for (size_t i = 0; i < n; i++) all[i] = (struct aborted_txn){e[i].producer_id, e[i].first_offset};
    buf_done(&ends);
    *ret = all;
    *ret_n = n;
    return 0;
}

// ── by time ──────────────────────────────────────────────────────────────────────────────────────────────────────────

struct time_search {
    int64_t ts;        // -1: the largest
    int64_t log_start; // a batch may begin before it
    int64_t offset, found_ts;
};

// Whether anything in the batch can matter.
static bool batch_matters(const struct time_search *t, const struct batch_header *h) {
    if (h->attributes & BATCH_CONTROL) return false;
    return t->ts < 0 ? h->max_timestamp > t->found_ts : h->max_timestamp >= t->ts;
}

// Looks at the records of one batch: 1 the search is over, 0 not yet.
static int search_batch(struct time_search *t, const uint8_t *p, const struct batch_header *h, struct buf *scratch, struct err *err) {
    struct record_iter it;
    struct record r;
    int more;
    if (!batch_matters(t, h)) return 0;
    if (record_iter_init(&it, p, batch_size(h), scratch, SIZE_MAX, err)) return -1;
    while ((more = record_iter_next(&it, &r, err)) > 0) {
        int64_t at = h->attributes & BATCH_APPEND_TIME ? h->max_timestamp : r.timestamp;
        if (r.offset < t->log_start || (t->ts < 0 ? at <= t->found_ts : at < t->ts)) continue;
        t->offset = r.offset;
        t->found_ts = at;
        if (t->ts >= 0) return 1;
    }
    return more;
}

static int search_batches(struct time_search *t, const struct buf *batches, struct buf *scratch, struct err *err) {
    struct batch_header h;
    for (size_t at = 0; at < batches->n && batch_read_header(batches->p + at, batches->n - at, &h) == 0; at += batch_size(&h)) {
        int found = search_batch(t, batches->p + at, &h, scratch, err);
        if (found) return found;
    }
    return 0;
}

// From an offset on, to the high watermark or until found.
static int search_from(struct partition *p, struct time_search *t, int64_t from, struct err *err) {
    enum { CHUNK = 256 * 1024 };
    struct buf batches = {0}, scratch = {0};
    struct read_request q = {.from = from, .max_bytes = CHUNK};
    struct read_result r;
    int found;
    do {
        buf_clear(&batches);
        found = partition_read(p, &q, &batches, &r, err) ? -1 : search_batches(t, &batches, &scratch, err);
        q.from = r.next;
    } while (!found && r.n);
    buf_done(&batches);
    buf_done(&scratch);
    return found < 0 ? -1 : 0;
}

// The first segment that has such a timestamp, or the one with the largest; NULL when there is none. With the lock.
static struct segment *segment_for_time(const struct partition *p, int64_t ts) {
    struct segment *best = NULL;
    for (size_t i = 0; i < p->seg_count; i++) {
        struct segment *g = p->segs[i];
        if (ts >= 0 && g->max_ts >= ts) return g;
        if (ts < 0 && g->max_ts >= 0 && (!best || g->max_ts > best->max_ts)) best = g;
    }
    return best;
}

// The index is a cache that nothing vouches for (after a power cut its file may hold other blocks): an entry counts when the log says the same
// of the batch it names.
static bool time_entry_holds(struct partition *p, int64_t offset, int64_t ts) {
    struct read_request q = {.from = offset, .max_bytes = 1};
    struct read_result r;
    struct buf batch = {0};
    struct batch_header h;
    struct err err;
    bool holds = MUTANT("time-index-believed") || (!partition_read(p, &q, &batch, &r, &err) && batch_read_header(batch.p, batch.n, &h) == 0 &&
                                                   batch_last_offset(&h) == offset && h.max_timestamp == ts);
    buf_done(&batch);
    return holds;
}

// An offset before which the segment has no such timestamp.
static int64_t ask_time_index(const struct view *v, int64_t ts) {
    char stem[SEGMENT_PATH];
    struct index *x = segment_index(v->p, v->seg);
    int64_t offset = v->seg->base, entry = -1;
    segment_path(v->p, v->seg->base, "", stem);
    struct index_options o = {.fs = v->s->fs, .stem = stem, .base_offset = v->seg->base};
    if (!x && index_open(&o, &x, NULL)) return offset;
    int failed = index_for_time(x, ts, &offset, &entry, NULL);
    index_free(x);
    bool usable = !failed && !atomic_load(&v->seg->dropped) && offset > v->seg->base && time_entry_holds(v->p, offset, entry);
    return usable ? offset : v->seg->base;
}

int partition_offset_for_time(struct partition *p, int64_t ts, int64_t *ret_offset, int64_t *ret_ts, struct err *err) {
    struct time_search t = {.ts = ts, .offset = -1, .found_ts = -1};
    struct view v = {.s = p->topic->store, .p = p};
    pthread_mutex_lock(&p->lock);
    int failed = partition_serves(p, err);
    struct segment *g = failed ? NULL : segment_for_time(p, ts);
    int64_t log_start = t.log_start = p->log_start;
    if (g) v.seg = segment_ref(g);
    pthread_mutex_unlock(&p->lock);
    if (g) {
        int64_t from = ts < 0 ? g->base : ask_time_index(&v, ts);
        failed = search_from(p, &t, from < log_start ? log_start : from, err);
        view_done(&v);
    }
    if (failed) return -1;
    *ret_offset = t.offset;
    *ret_ts = t.found_ts;
    return 0;
}
