// SPDX-License-Identifier: Apache-2.0
// Two files of fixed entries, each a flushed part on disk and a tail in memory:
//
//   file:  e0 e1 e2 … e(flushed-1) │ tail: e(flushed) … e(framed-1) │ … not yet framed
//          found by pread          │ found in memory                │ never looked at
#include "index.h"

#include <assert.h>
#include <inttypes.h>
#include <stdatomic.h>

#include "base/mem.h"
#include "base/thread.h"

enum { NEAR = 512 }; // entries left in a binary search that are read at once

struct entries {
    size_t size;     // of one
    char *path;
    size_t flushed, framed;
    struct buf tail;      // from `flushed` on
    uint8_t last[12];     // the last flushed one
};

struct index {
    atomic_uint refs;
    pthread_mutex_t flushing; // held around a flush; before `lock`
    pthread_mutex_t lock;     // guards all below
    struct fs *fs;
    int64_t base;
    uint32_t interval;
    struct entries offsets, times;
    uint64_t since;
    int64_t max_timestamp, max_offset;               // of all that was noted
    int64_t framed_timestamp, framed_offset;         // of what is framed
};

static_assert(INDEX_ENTRY == 4 + 4 && TIMEINDEX_ENTRY == 8 + 4, "entry layouts");

static int64_t entry_offset(const uint8_t *e) { return (int32_t)get_be32(e); }
static uint32_t entry_position(const uint8_t *e) { return get_be32(e + 4); }
static int64_t entry_time(const uint8_t *e) { return (int64_t)get_be64(e); }
static int64_t time_offset(const uint8_t *e) { return (int32_t)get_be32(e + 8); }

typedef int64_t entry_key(const uint8_t *e);

static size_t entries_count(const struct entries *e) { return e->flushed + e->tail.n / e->size; }
// The newest entry, or NULL.
static const uint8_t *entries_last(const struct entries *e) {
    if (e->tail.n) return e->tail.p + e->tail.n - e->size;
    return e->flushed ? e->last : NULL;
}

// ── opening ──────────────────────────────────────────────────────────────────────────────────────────────────────────

static struct index *make(const struct index_options *o) {
    struct index *x = xcalloc(1, sizeof(*x));
    atomic_init(&x->refs, 1);
    pthread_mutex_init(&x->flushing, NULL);
    pthread_mutex_init(&x->lock, NULL);
    x->fs = o->fs;
    x->base = o->base_offset;
    x->interval = o->interval ? o->interval : INDEX_INTERVAL;
    x->offsets = (struct entries){.size = INDEX_ENTRY, .path = xasprintf("%s.index", o->stem)};
    x->times = (struct entries){.size = TIMEINDEX_ENTRY, .path = xasprintf("%s.timeindex", o->stem)};
    x->max_timestamp = x->max_offset = x->framed_timestamp = x->framed_offset = -1;
    return x;
}

struct index *index_ref(struct index *x) {
    if (x) atomic_fetch_add_explicit(&x->refs, 1, memory_order_relaxed);
    return x;
}

void index_free(struct index *x) {
    if (!x || atomic_fetch_sub_explicit(&x->refs, 1, memory_order_acq_rel) != 1) return;
    buf_done(&x->offsets.tail);
    buf_done(&x->times.tail);
    free(x->offsets.path);
    free(x->times.path);
    pthread_mutex_destroy(&x->flushing);
    pthread_mutex_destroy(&x->lock);
    free(x);
}

static int create_file(struct fs *fs, const char *path, struct err *err) {
    struct fs_file *f;
    if (fs->ops->open(fs, path, FS_WRITE | FS_CREATE | FS_TRUNC, &f, err) < 0) return -1;
    return fs->ops->close(f, err);
}

int index_create(const struct index_options *o, struct index **ret, struct err *err) {
    struct index *x = make(o);
    if (create_file(x->fs, x->offsets.path, err) < 0 || create_file(x->fs, x->times.path, err) < 0) {
        index_free(x);
        return -1;
    }
    *ret = x;
    return 0;
}

// Counts the file's entries and reads the last one.
static int open_entries(struct fs *fs, struct entries *e, struct err *err) {
    struct fs_stat st;
    if (fs->ops->stat(fs, e->path, &st, err) < 0) return -1;
    if (st.size % e->size) return err_set(err, ERR_CORRUPT, "%s: %" PRIu64 " bytes are no whole entries", e->path, st.size);
    e->flushed = e->framed = st.size / e->size;
    if (!st.size) return 0;
    struct fs_file *f;
    if (fs->ops->open(fs, e->path, FS_READ, &f, err) < 0) return -1;
    int failed = fs_pread_full(fs, f, e->last, e->size, st.size - e->size, err);
    return fs->ops->close(f, failed ? NULL : err) || failed ? -1 : 0;
}

// What the newest timestamp entry says is all that is known.
static void known_timestamp(struct index *x) {
    const uint8_t *t = entries_last(&x->times);
    x->max_timestamp = x->framed_timestamp = t ? entry_time(t) : -1;
    x->max_offset = x->framed_offset = t ? x->base + time_offset(t) : -1;
}

static int open_last(struct index *x, struct err *err) {
    if (open_entries(x->fs, &x->offsets, err) < 0 || open_entries(x->fs, &x->times, err) < 0) return -1;
    const uint8_t *o = entries_last(&x->offsets), *t = entries_last(&x->times);
    if (o && (entry_offset(o) < 0 || (x->offsets.flushed > 1 && !(entry_offset(o) && entry_position(o)))))
        return err_set(err, ERR_CORRUPT, "%s: last entry is damaged", x->offsets.path);
    if (t && (entry_time(t) < 0 || time_offset(t) < 0 || (x->times.flushed > 1 && !entry_time(t))))
        return err_set(err, ERR_CORRUPT, "%s: last entry is damaged", x->times.path);
    known_timestamp(x);
    return 0;
}

int index_open(const struct index_options *o, struct index **ret, struct err *err) {
    struct index *x = make(o);
    if (open_last(x, err) < 0) {
        index_free(x);
        return -1;
    }
    *ret = x;
    return 0;
}

// ── appending ────────────────────────────────────────────────────────────────────────────────────────────────────────

static void add_time(struct index *x) {
    const uint8_t *last = entries_last(&x->times);
    if (x->max_timestamp <= (last ? entry_time(last) : -1)) return;
    buf_be64(&x->times.tail, (uint64_t)x->max_timestamp);
    buf_be32(&x->times.tail, (uint32_t)(x->max_offset - x->base));
}

void index_note(struct index *x, const struct batch_header *h, uint64_t position) {
    LOCK_SCOPE(&x->lock);
    int64_t last = batch_last_offset(h);
    assert(last - x->base <= INT32_MAX && position <= INT32_MAX); // the segment rolls before
    if (h->count && h->max_timestamp > x->max_timestamp) { // one that a rewrite emptied has no record of that time
        x->max_timestamp = h->max_timestamp;
        x->max_offset = last;
    }
    if (x->since > x->interval) {
        buf_be32(&x->offsets.tail, (uint32_t)(last - x->base));
        buf_be32(&x->offsets.tail, (uint32_t)position);
        add_time(x);
        x->since = 0;
    }
    x->since += batch_size(h);
}

struct index_mark index_mark(struct index *x) {
    LOCK_SCOPE(&x->lock);
    return (struct index_mark){entries_count(&x->offsets), entries_count(&x->times), x->since, x->max_timestamp, x->max_offset};
}

void index_undo(struct index *x, const struct index_mark *m) {
    LOCK_SCOPE(&x->lock);
    x->offsets.tail.n = (m->entries - x->offsets.flushed) * x->offsets.size;
    x->times.tail.n = (m->times - x->times.flushed) * x->times.size;
    x->since = m->since;
    x->max_timestamp = m->max_timestamp;
    x->max_offset = m->max_offset;
}

static void framed(struct index *x) {
    x->offsets.framed = entries_count(&x->offsets);
    x->times.framed = entries_count(&x->times);
    x->framed_timestamp = x->max_timestamp;
    x->framed_offset = x->max_offset;
}

void index_framed(struct index *x) {
    LOCK_SCOPE(&x->lock);
    framed(x);
}

// ── flushing ─────────────────────────────────────────────────────────────────────────────────────────────────────────

// A sync that fails is not to be tried again, for want of room either: that is ERR_IO.
static int sync_entries(struct fs *fs, struct fs_file *f, struct err *err) {
    if (!fs->ops->fdatasync(f, err)) return 0;
    if (err && err->code == ERR_NOSPACE) err->code = ERR_IO;
    return -1;
}

static int write_entries(struct fs *fs, const struct entries *e, const struct buf *part, bool sync, struct err *err) {
    struct fs_file *f;
    if (!part->n && !sync) return 0;
    if (fs->ops->open(fs, e->path, FS_WRITE, &f, err) < 0) return -1;
    int failed = part->n ? fs_pwrite(fs, f, part->p, part->n, e->flushed * e->size, err) : 0;
    if (!failed && sync) failed = sync_entries(fs, f, err);
    return fs->ops->close(f, failed ? NULL : err) || failed ? -1 : 0;
}

// Writes without the lock (lookups go on in memory), then lets the written part of the tail go.
static int flush_entries(struct index *x, struct entries *e, bool sync, struct err *err) {
    struct buf part = {0};
    pthread_mutex_lock(&x->lock);
    buf_put(&part, e->tail.p, (e->framed - e->flushed) * e->size);
    pthread_mutex_unlock(&x->lock);
    int failed = part.bad ? err_set(err, buf_fault(&part), "%s: no memory for its entries", e->path) : write_entries(x->fs, e, &part, sync, err);
    if (!failed) {
        LOCK_SCOPE(&x->lock);
        if (part.n) memcpy(e->last, part.p + part.n - e->size, e->size);
        if (part.n) memmove(e->tail.p, e->tail.p + part.n, e->tail.n - part.n);
        e->tail.n -= part.n;
        e->flushed += part.n / e->size;
        if (!e->tail.n) buf_done(&e->tail);
    }
    buf_done(&part);
    return failed;
}

int index_flush(struct index *x, bool sync, struct err *err) {
    LOCK_SCOPE(&x->flushing);
    return flush_entries(x, &x->offsets, sync, err) < 0 || flush_entries(x, &x->times, sync, err) < 0 ? -1 : 0;
}

int index_seal(struct index *x, struct err *err) {
    pthread_mutex_lock(&x->lock);
    add_time(x);
    framed(x);
    pthread_mutex_unlock(&x->lock);
    return index_flush(x, true, err);
}

// ── looking up ───────────────────────────────────────────────────────────────────────────────────────────────────────

// How many of n entries at p have a key ≤ target.
static size_t count_to(const uint8_t *p, size_t n, size_t size, entry_key *key, int64_t target) {
    size_t lo = 0;
    while (lo < n) {
        size_t mid = lo + (n - lo) / 2;
        if (key(p + mid * size) <= target) lo = mid + 1;
        else n = mid;
    }
    return lo;
}

// The last of the file's first n entries with a key ≤ target into ret: 1 found, 0 none, -1 failed.
static int floor_in_file(struct fs *fs, struct fs_file *f, size_t n, size_t size, entry_key *key, int64_t target, uint8_t *ret, struct err *err) {
    uint8_t near[NEAR * TIMEINDEX_ENTRY];
    size_t lo = 0;
    while (n - lo > NEAR) {
        size_t mid = lo + (n - lo) / 2;
        if (fs_pread_full(fs, f, near, size, mid * size, err) < 0) return -1;
        if (key(near) <= target) lo = mid; // stays a candidate
        else n = mid;
    }
    if (fs_pread_full(fs, f, near, (n - lo) * size, lo * size, err) < 0) return -1;
    size_t count = count_to(near, n - lo, size, key, target);
    if (!count) return 0;
    memcpy(ret, near + (count - 1) * size, size);
    return 1;
}

static int floor_entry(struct index *x, const struct entries *e, entry_key *key, int64_t target, uint8_t *ret, struct err *err) {
    pthread_mutex_lock(&x->lock);
    size_t flushed = e->flushed, count = count_to(e->tail.p, e->framed - flushed, e->size, key, target);
    if (count) memcpy(ret, e->tail.p + (count - 1) * e->size, e->size);
    pthread_mutex_unlock(&x->lock);
    if (count || !flushed) return count > 0;
    struct fs_file *f;
    if (x->fs->ops->open(x->fs, e->path, FS_READ, &f, err) < 0) return -1;
    int found = floor_in_file(x->fs, f, flushed, e->size, key, target, ret, err);
    if (x->fs->ops->close(f, found < 0 ? NULL : err) < 0) return -1;
    return found < 0 ? err_wrap(err, "%s", e->path) : found;
}

int index_position(struct index *x, int64_t offset, uint64_t *ret, struct err *err) {
    uint8_t e[INDEX_ENTRY];
    int found = floor_entry(x, &x->offsets, entry_offset, offset - x->base, e, err);
    if (found < 0) return -1;
    *ret = found ? entry_position(e) : 0;
    return 0;
}

// Entries with a timestamp below ts only: the batch of an equal one may hold the record that is looked for.
int index_for_time(struct index *x, int64_t ts, int64_t *ret_offset, int64_t *ret_ts, struct err *err) {
    uint8_t e[TIMEINDEX_ENTRY];
    int found = ts > 0 ? floor_entry(x, &x->times, entry_time, ts - 1, e, err) : 0;
    if (found < 0) return -1;
    *ret_offset = x->base + (found ? time_offset(e) : 0);
    *ret_ts = found ? entry_time(e) : -1;
    return 0;
}

void index_max_timestamp(struct index *x, int64_t *ret_ts, int64_t *ret_offset) {
    LOCK_SCOPE(&x->lock);
    *ret_ts = x->framed_timestamp;
    *ret_offset = x->framed_offset;
}

// ── mending and checking ─────────────────────────────────────────────────────────────────────────────────────────────

static int read_entries(struct fs *fs, const struct entries *e, struct buf *ret, struct err *err) {
    if (fs_read_all(fs, e->path, (size_t)INT32_MAX, ret, err) < 0) return -1;
    if (ret->n % e->size == 0) return 0;
    return err_set(err, ERR_CORRUPT, "%s: %zu bytes are no whole entries", e->path, ret->n);
}

// Both numbers of every entry rise: a later entry is of a later batch.
static int check_rising(const struct entries *e, const struct buf *all, entry_key *first, entry_key *second, struct err *err) {
    for (size_t at = 0; at < all->n; at += e->size) {
        const uint8_t *now = all->p + at, *before = at ? now - e->size : NULL;
        bool rises = before ? first(now) > first(before) && second(now) > second(before) : first(now) >= 0 && second(now) >= 0;
        if (!rises) return err_set(err, ERR_CORRUPT, "%s: entry %zu does not rise", e->path, at / e->size);
    }
    return 0;
}

static int64_t position_key(const uint8_t *e) { return (int64_t)entry_position(e); }

static int truncate_entries(struct fs *fs, struct entries *e, const struct buf *all, size_t keep, struct err *err) {
    struct fs_file *f;
    e->flushed = e->framed = keep;
    if (keep) memcpy(e->last, all->p + (keep - 1) * e->size, e->size);
    if (keep * e->size == all->n) return 0;
    if (fs->ops->open(fs, e->path, FS_WRITE, &f, err) < 0) return -1;
    int failed = fs->ops->truncate(f, keep * e->size, err);
    return fs->ops->close(f, failed ? NULL : err) || failed ? -1 : 0;
}

static int cut_read(struct index *x, const struct buf *offsets, const struct buf *times, int64_t end, uint64_t end_position, struct err *err) {
    if (check_rising(&x->offsets, offsets, entry_offset, position_key, err) < 0) return -1;
    if (check_rising(&x->times, times, entry_time, time_offset, err) < 0) return -1;
    size_t n = offsets->n / INDEX_ENTRY, keep = count_to(offsets->p, n, INDEX_ENTRY, entry_offset, end - x->base - 1);
    if (end_position <= INT32_MAX) keep = count_to(offsets->p, keep, INDEX_ENTRY, position_key, (int64_t)end_position - 1);
    // Timestamps that came after the last kept entry come again when the segment is read from there.
    int64_t last = keep ? entry_offset(offsets->p + (keep - 1) * INDEX_ENTRY) : -1;
    size_t keep_times = count_to(times->p, times->n / TIMEINDEX_ENTRY, TIMEINDEX_ENTRY, time_offset, last);
    if (truncate_entries(x->fs, &x->offsets, offsets, keep, err) < 0) return -1;
    return truncate_entries(x->fs, &x->times, times, keep_times, err);
}

int index_cut(struct index *x, int64_t end_offset, uint64_t end_position, struct err *err) {
    struct buf offsets = {0}, times = {0};
    assert(!x->offsets.tail.n && !x->times.tail.n);
    int failed = read_entries(x->fs, &x->offsets, &offsets, err) < 0 || read_entries(x->fs, &x->times, &times, err) < 0 ||
                 cut_read(x, &offsets, &times, end_offset, end_position, err) < 0;
    if (!failed) known_timestamp(x);
    buf_done(&offsets);
    buf_done(&times);
    return failed ? -1 : 0;
}

// Reads the headers of a segment's batches through a window, so that small batches cost no system call each.
struct walk {
    struct fs *fs;
    struct fs_file *log;
    int64_t base;
    uint64_t at, size;                // of the next batch; of the file
    uint64_t window_at;
    size_t window_n;
    uint8_t window[64 * 1024];
};

static int walk_bad(const struct walk *w, struct err *err) {
    return err_set(err, ERR_CORRUPT, "no batch of this segment at byte %" PRIu64 " of %" PRIu64, w->at, w->size);
}

// The next header and its position: 1, 0 at the end, -1 failed.
static int walk_next(struct walk *w, struct batch_header *h, uint64_t *ret_position, struct err *err) {
    if (w->at == w->size) return 0;
    if (w->at > w->size || w->size - w->at < BATCH_HEADER) return walk_bad(w, err);
    if (w->at < w->window_at || w->at + BATCH_HEADER > w->window_at + w->window_n) {
        uint64_t n = w->size - w->at;
        w->window_n = n < sizeof(w->window) ? (size_t)n : sizeof(w->window);
        w->window_at = w->at;
        if (fs_pread_full(w->fs, w->log, w->window, w->window_n, w->at, err) < 0) return -1;
    }
    const uint8_t *p = w->window + (w->at - w->window_at);
    if (batch_read_header(p, w->window_n - (size_t)(p - w->window), h) < 0 || w->at > INT32_MAX || h->base_offset < w->base ||
        h->last_offset_delta < 0 || batch_last_offset(h) - w->base > INT32_MAX)
        return walk_bad(w, err);
    *ret_position = w->at;
    w->at += batch_size(h);
    return 1;
}

static struct walk *walk_new(struct fs *fs, struct fs_file *log, int64_t base, uint64_t at, uint64_t size) {
    struct walk *w = xmalloc(sizeof(*w));
    w->fs = fs, w->log = log, w->base = base, w->at = at, w->size = size, w->window_at = 0, w->window_n = 0;
    return w;
}

int index_extend(struct index *x, struct fs_file *log, uint64_t size, struct err *err) {
    const uint8_t *last = entries_last(&x->offsets);
    struct walk *w = walk_new(x->fs, log, x->base, last ? entry_position(last) : 0, size);
    struct batch_header h;
    uint64_t position = 0;
    int got;
    x->since = 0;
    while ((got = walk_next(w, &h, &position, err)) > 0) index_note(x, &h, position);
    if (!got) index_framed(x);
    free(w);
    return got;
}

// Passes over entries that name this batch; the offset of the next one not named yet must not lie before it.
static bool verify_batch(const struct index *x, const struct batch_header *h, uint64_t position, struct cur *offsets, struct cur *times) {
    int64_t last = batch_last_offset(h) - x->base;
    if (cur_left(offsets) && entry_offset(offsets->p) == last) {
        if (entry_position(offsets->p) != position) return false;
        offsets->p += INDEX_ENTRY;
    }
    if (cur_left(times) && time_offset(times->p) == last) {
        if (entry_time(times->p) != h->max_timestamp) return false;
        times->p += TIMEINDEX_ENTRY;
    }
    return true;
}

static int verify_read(struct index *x, const struct buf *offsets, const struct buf *times, struct fs_file *log, uint64_t size, struct err *err) {
    if (check_rising(&x->offsets, offsets, entry_offset, position_key, err) < 0) return -1;
    if (check_rising(&x->times, times, entry_time, time_offset, err) < 0) return -1;
    struct walk *w = walk_new(x->fs, log, x->base, 0, size);
    struct cur o = cur_of(offsets->p, offsets->n), t = cur_of(times->p, times->n);
    struct batch_header h;
    uint64_t position = 0;
    int got;
    while ((got = walk_next(w, &h, &position, err)) > 0)
        if (!verify_batch(x, &h, position, &o, &t)) break;
    free(w);
    if (got < 0) return -1;
    if (!got && cur_done(&o) && cur_done(&t)) return 0;
    return err_set(err, ERR_CORRUPT, "%s and .timeindex: entry %zu or %zu names no batch of the segment", x->offsets.path,
                   offsets->n / INDEX_ENTRY - cur_left(&o) / INDEX_ENTRY, times->n / TIMEINDEX_ENTRY - cur_left(&t) / TIMEINDEX_ENTRY);
}

int index_verify(const struct index_options *o, struct fs_file *log, uint64_t size, struct err *err) {
    struct index *x = make(o);
    struct buf offsets = {0}, times = {0};
    int failed = read_entries(x->fs, &x->offsets, &offsets, err) < 0 || read_entries(x->fs, &x->times, &times, err) < 0 ||
                 verify_read(x, &offsets, &times, log, size, err) < 0;
    buf_done(&offsets);
    buf_done(&times);
    index_free(x);
    return failed ? -1 : 0;
}
