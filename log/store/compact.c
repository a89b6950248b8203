// SPDX-License-Identifier: Apache-2.0
// Compaction of one partition: when, of what, and the swap.
//
//   sealed segments ─► scan the dirty ones, as far as their keys fit ─► write groups of neighbours as <base>.<generation>.cleaned.* (synced)
//     ─► frame {swap} ─► renamed over the old names ─► list edited ─► files of segments that were merged away removed
//     ─► the partition knows up to where it is compacted; what did not fit is the next round's
//
// A crash before the frame leaves files that recovery removes; after it, files that recovery renames (folders.c). What a round that was cut
// has swapped in stays, and the next one scans from where the last whole one ended.
// The rules are Kafka's (LogCleanerManager, Cleaner), but for times: where a record's is absurd, the time of its append counts (retention.c).
#include <inttypes.h>
#include <stdio.h>

#include "catalogue.h"
#include "checkpointer.h"
#include "cleaner.h"
#include "flusher.h"
#include "rewrite.h"

enum { GROUP_MOST = 64, ROOM_RETRY_MS = 60000 };

struct compaction {
    struct store *s;
    struct partition *p;
    const struct settings *st;
    int64_t now;
    struct segment **segs;       // sealed, from the first on, a reference each
    size_t n, cap;
    int64_t start, end;          // what is new: from the end of earlier rounds to that of the segments
    int64_t limit;               // how far this round gets
    uint64_t dirty, all;         // bytes
    struct buf aborted;          // struct producer_end
    struct producers *live;
    struct rewrite *rewrite;
    int64_t next_horizon;
};

void segment_cleaned_stem(const struct partition *p, int64_t base, uint32_t generation, char out[SEGMENT_PATH]) {
    char suffix[32];
    snprintf(suffix, sizeof(suffix), ".%" PRIu32 ".cleaned", generation);
    segment_path(p, base, suffix, out);
}

// ── when ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

static bool too_young(const struct compaction *x, const struct segment *g) {
    return x->st->min_compaction_lag_ms > 0 && x->now - segment_dated(g, x->now) < x->st->min_compaction_lag_ms;
}

// Takes references of what may be compacted: whole segments below the last stable offset, up to the first new one that is too young.
static void gather(struct compaction *x) {
    struct partition *p = x->p;
    LOCK_SCOPE(&p->lock);
    x->start = p->compacted;
    x->next_horizon = p->next_horizon;
    for (size_t i = 0; i + 1 < p->seg_count; i++) {
        struct segment *g = p->segs[i];
        int64_t end = p->segs[i + 1]->base;
        if (end > p->lso || (end > x->start && too_young(x, g))) break;
        VEC_PUSH(x->segs, x->n, x->cap, segment_ref(g));
        x->all += g->size;
        if (end > x->start) x->dirty += g->size;
        x->end = end;
    }
}

static int64_t end_of(const struct compaction *x, size_t i) { return i + 1 < x->n ? x->segs[i + 1]->base : x->end; }

static int open_input(struct compaction *x, size_t i, struct rewrite_input *ret, struct open_file **ret_file, struct err *err) {
    LOCK_SCOPE(&x->p->lock);
    if (atomic_load(&x->segs[i]->dropped)) return err_set(err, ERR_AGAIN, "%s-%" PRId32 " changed meanwhile", x->p->topic->name, x->p->index);
    if (segment_open(x->s, x->p, x->segs[i], ret_file, err)) return -1;
    *ret = (struct rewrite_input){.log = (*ret_file)->f, .size = x->segs[i]->size, .name = x->p->topic->name};
    return 0;
}

// The time of the first batch that is new, as far as it can be told.
static int64_t oldest_dirty(struct compaction *x) {
    struct rewrite_input in;
    struct open_file *f;
    struct batch_header h;
    uint8_t head[BATCH_HEADER];
    size_t i = 0;
    while (i + 1 < x->n && end_of(x, i) <= x->start) i++;
    int64_t appended = x->segs[i]->time;
    if (open_input(x, i, &in, &f, NULL)) return appended;
    bool known = !fs_pread_full(x->s->fs, in.log, head, sizeof(head), 0, NULL) && batch_read_header(head, sizeof(head), &h) >= 0;
    files_put(&x->s->files, f);
    return known ? time_or_append(h.max_timestamp, appended) : appended;
}

static bool worth_it(struct compaction *x) {
    if (!x->n) return false;
    if (x->next_horizon >= 0 && x->now >= x->next_horizon) return true;
    if (!x->dirty) return false;
    if ((double)x->dirty > x->st->min_cleanable_dirty_ratio * (double)x->all) return true;
    return x->st->max_compaction_lag_ms < INT64_MAX && x->now - oldest_dirty(x) > x->st->max_compaction_lag_ms;
}

// max.compaction.lag.ms is kept where nobody writes any more, too: the active segment is never compacted.
static int end_overdue(struct compaction *x, struct err *err) {
    struct partition *p = x->p;
    pthread_mutex_lock(&p->lock);
    const struct segment *g = partition_active(p);
    bool due = g->size && x->now - g->time > x->st->max_compaction_lag_ms;
    pthread_mutex_unlock(&p->lock);
    return due ? partition_roll_now(x->s, p, err) : 0;
}

static int copy_producers(struct store *s, void *arg, struct err *err) {
    struct compaction *x = arg;
    if (x->p->producers) x->live = producers_copy(x->p->producers);
    return 0;
}

// Every aborted transaction that ended below `end`. With the lock, so that none is half written.
static int gather_aborted(struct compaction *x, struct err *err) {
    struct partition *p = x->p;
    LOCK_SCOPE(&p->lock);
    for (size_t i = 0; i < p->seg_count; i++) {
        char stem[SEGMENT_PATH];
        segment_path(p, p->segs[i]->base, "", stem);
        if (txnindex_read(x->s->fs, stem, &x->aborted, err)) return -1;
    }
    for (size_t i = 0; i < p->abort_count; i++) buf_put(&x->aborted, &p->aborts[i].end, sizeof(struct producer_end));
    return x->aborted.bad ? err_set(err, buf_fault(&x->aborted), "no memory for its aborted transactions") : 0;
}

// ── the swap ─────────────────────────────────────────────────────────────────────────────────────────────────────────

struct swap {
    struct partition *p;
    struct edit edit;
    struct segment *next;
    const char *stem;    // of the new files
};

static const char *const suffixes[] = {".index", ".timeindex", ".txnindex", ".log"};

// Every new segment has all four files, so one that is not there any more has been renamed already.
int segment_rename_cleaned(struct store *s, const struct partition *p, int64_t base, const char *stem, struct err *err) {
    for (size_t i = 0; i < countof(suffixes); i++) {
        char from[SEGMENT_PATH + 16], to[SEGMENT_PATH];
        struct err why;
        snprintf(from, sizeof(from), "%s%s", stem, suffixes[i]);
        segment_path(p, base, suffixes[i], to);
        if (s->fs->ops->rename(s->fs, from, to, &why) && why.code != ERR_NOT_FOUND) return *err = why, -1;
        TEST_POINT("swap-renaming");
    }
    return 0;
}

int segment_take_back_names(struct store *s, const struct partition *p, int64_t base, const char *stem, struct err *err) {
    for (size_t i = 0; i < countof(suffixes); i++) {
        char from[SEGMENT_PATH + 16], to[SEGMENT_PATH];
        struct fs_stat st;
        struct err why;
        snprintf(from, sizeof(from), "%s%s", stem, suffixes[i]);
        segment_path(p, base, suffixes[i], to);
        if (!s->fs->ops->stat(s->fs, from, &st, &why)) continue;
        if (why.code != ERR_NOT_FOUND) return *err = why, -1;
        if (s->fs->ops->rename(s->fs, to, from, &why) && why.code != ERR_NOT_FOUND) return *err = why, -1;
    }
    return 0;
}

static bool still_there(const struct partition *p, const struct edit *e) {
    size_t at = partition_find_segment(p, e->base);
    return p->segs[at]->base == e->base && at + e->count < p->seg_count && p->segs[at]->generation + 1 == e->generation;
}

// From the renaming on no reader may take what it finds by name for the old segment's.
static int rename_locked(struct store *s, const struct swap *w, struct err *err) {
    struct partition *p = w->p;
    LOCK_SCOPE(&p->lock);
    size_t at = partition_find_segment(p, w->edit.base);
    for (size_t i = 0; i < w->edit.count; i++) atomic_store(&p->segs[at + i]->dropped, true);
    return segment_rename_cleaned(s, p, w->edit.base, w->stem, err);
}

// On the flusher's thread.
static int frame_swap(struct store *s, void *arg, struct err *err) {
    struct swap *w = arg;
    struct partition *p = w->p;
    char folder[SEGMENT_PATH];
    if (p->gone || p->failed || !still_there(p, &w->edit))
        return err_set(err, ERR_AGAIN, "%s-%" PRId32 " changed meanwhile", p->topic->name, p->index);
    if (MUTANT("generation-not-raised")) w->edit.generation--;
    if (flusher_frame(s, p, &w->edit, 1, err)) return -1;
    TEST_POINT("swap-framed");
    partition_folder(p, folder);
    if (rename_locked(s, w, err) || s->fs->ops->sync_dir(s->fs, folder, err)) {
        store_stop(s, err); // the catalogue says what the folder does not
        return store_check_running(s, err);
    }
    TEST_POINT("swap-renamed");
    catalogue_swap(s, p, &w->edit, w->next);
    w->next = NULL;
    return 0;
}

static int swap_in(struct compaction *x, size_t from, size_t n, const char *stem, const struct rewrite_result *r, struct err *err) {
    struct segment *first = x->segs[from];
    struct swap w = {.p = x->p, .stem = stem, .next = segment_new(first->base, first->generation + 1)};
    w.next->size = r->size;
    w.next->crc = r->crc;
    w.next->max_ts = r->max_ts;
    w.next->time = x->segs[from + n - 1]->time;
    w.next->sealed = true;
    w.edit = (struct edit){.kind = EDIT_SWAP, .partition = x->p->id, .base = first->base, .count = (uint32_t)n, .end = first->base,
                           .generation = first->generation + 1, .size = r->size, .crc = r->crc, .max_ts = r->max_ts};
    int failed = store_call(x->s, frame_swap, &w, true, err);
    segment_unref(&x->s->files, w.next);
    for (size_t i = from + 1; i < from + n && !failed && partition_enter(x->p); i++) {
        failed = segment_unlink_files(x->s, x->p, x->segs[i]->base, err);
        partition_leave(x->p);
    }
    return failed;
}

// ── the work ─────────────────────────────────────────────────────────────────────────────────────────────────────────

static int scan_all(struct compaction *x, struct err *err) {
    int full = 0;
    for (size_t i = 0; i < x->n && !full; i++) {
        struct rewrite_input in;
        struct open_file *f;
        if (end_of(x, i) <= x->start) continue;
        if (open_input(x, i, &in, &f, err)) return -1;
        full = rewrite_scan(x->rewrite, &in, err);
        files_put(&x->s->files, f);
    }
    if (full < 0) return -1;
    x->limit = rewrite_limit(x->rewrite);
    if (!full || x->limit > x->start) return 0;
    err_set(err, ERR_TOO_LARGE, "one batch has more keys than fit into %zu bytes", x->s->o.dedupe_bytes);
    return err_hint(err, "raise log.cleaner.dedupe.buffer.size");
}

// What lies above how far the keys fit is left alone.
static void leave_rest(struct compaction *x) {
    while (x->n > 1 && x->segs[x->n - 1]->base >= x->limit) {
        x->end = x->segs[--x->n]->base;
        segment_unref(&x->s->files, x->segs[x->n]);
    }
}

// Bytes of the disk that a rewrite, which gives back more than it takes, must not touch: what markers and the coordinator's commits may need.
static uint64_t spare_bytes(const struct compaction *x) { return x->s->o.reserve_bytes / 8 * (topic_internal(x->p->topic) ? 3 : 6); }

// The largest segment to make of several.
static uint64_t group_most(const struct compaction *x) {
    uint64_t most = (uint64_t)x->st->segment_bytes;
    return most < x->s->budget.segment_most ? most : x->s->budget.segment_most;
}

// What one may grow to whatever the guess: an index knows no more, and where there is little room it must surely fit.
static uint64_t group_limit(const struct compaction *x) {
    struct fs_space space;
    uint64_t spare = spare_bytes(x);
    if (x->s->fs->ops->space(x->s->fs, &space, NULL)) return INT32_MAX;
    uint64_t room = space.available > spare ? space.available - spare : 0;
    return room < INT32_MAX ? room : INT32_MAX;
}

// About what will be left of a segment; of many small commits to few keys nearly nothing. Where old segments are deleted too, young ones
// must not come to lie in one with them.
static uint64_t guess(const struct compaction *x, size_t i) {
    bool scanned = end_of(x, i) > x->start && end_of(x, i) <= x->limit && !x->st->policy_delete;
    return scanned ? (uint64_t)((double)x->segs[i]->size * rewrite_share(x->rewrite)) : x->segs[i]->size;
}

// Neighbours that together make about one segment: each swap has its price, however little is in it.
static size_t group_size(const struct compaction *x, size_t from) {
    uint64_t most = group_most(x), limit = group_limit(x), bytes = x->segs[from]->size, left = guess(x, from);
    size_t n = 1;
    for (; from + n < x->n && n < GROUP_MOST; n++) {
        bytes += x->segs[from + n]->size;
        left += guess(x, from + n);
        if (left > most || bytes > limit || end_of(x, from + n) - x->segs[from]->base > INT32_MAX) break;
    }
    return n;
}

static void note_horizon(struct compaction *x, int64_t horizon) {
    if (horizon >= 0 && (x->next_horizon < 0 || horizon < x->next_horizon)) x->next_horizon = horizon;
}

int segment_cleaned_txnindex(struct store *s, const char *stem, struct err *err) {
    char path[SEGMENT_PATH + 16];
    struct fs_file *f;
    snprintf(path, sizeof(path), "%s.txnindex", stem);
    if (s->fs->ops->open(s->fs, path, FS_WRITE | FS_CREATE, &f, err)) return -1;
    return s->fs->ops->close(f, err);
}

static int write_files(struct compaction *x, size_t from, size_t n, const char *stem, struct rewrite_result *r, struct err *err) {
    struct rewrite_input in[GROUP_MOST];
    struct open_file *files[GROUP_MOST];
    size_t opened = 0;
    int failed = 0;
    for (; opened < n && !failed; opened++) failed = open_input(x, from + opened, &in[opened], &files[opened], err);
    if (failed) opened--;
    else failed = rewrite_write(x->rewrite, in, n, stem, x->segs[from]->base, r, err);
    while (opened--) files_put(&x->s->files, files[opened]);
    return failed;
}

static int write_one(struct compaction *x, size_t from, size_t n, struct err *err) {
    char stem[SEGMENT_PATH], folder[SEGMENT_PATH];
    struct rewrite_result r;
    segment_cleaned_stem(x->p, x->segs[from]->base, x->segs[from]->generation + 1, stem);
    partition_folder(x->p, folder);
    if (write_files(x, from, n, stem, &r, err)) return -1;
    note_horizon(x, r.next_horizon);
    if (!r.changed && n == 1) return rewrite_unlink(x->s->fs, stem, err);
    TEST_POINT("swap-written");
    if (segment_cleaned_txnindex(x->s, stem, err)) return -1;
    if (!MUTANT("swap-without-dir-sync") && x->s->fs->ops->sync_dir(x->s->fs, folder, err)) return store_stop(x->s, err), -1; // final
    TEST_POINT("swap-synced");
    return swap_in(x, from, n, stem, &r, err);
}

static int write_all(struct compaction *x, struct err *err) {
    x->next_horizon = -1;
    for (size_t from = 0, n; from < x->n; from += n) {
        n = group_size(x, from);
        if (write_one(x, from, n, err)) return -1;
    }
    return 0;
}

// On the flusher's thread: checkpoints keep it.
static int note_done(struct store *s, void *arg, struct err *err) {
    const struct compaction *x = arg;
    struct partition *p = x->p;
    pthread_mutex_lock(&p->lock);
    if (x->limit > p->compacted) p->compacted = x->limit;
    p->next_horizon = x->next_horizon;
    pthread_mutex_unlock(&p->lock);
    catalogue_changed(s, p);
    checkpointer_changed(s);
    return 0;
}

static int compact(struct compaction *x, struct err *err) {
    // Past what is replaced there must be a checkpoint: its frames name the old files.
    if (checkpointer_past(x->s, x->p, err) || store_call(x->s, copy_producers, x, false, err) || gather_aborted(x, err)) return -1;
    struct rewrite_options o = {
        .fs = x->s->fs,
        .now_ms = x->now,
        .delete_retention_ms = x->st->delete_retention_ms,
        .start = x->start,
        .end = x->end,
        .aborted = (const struct producer_end *)(const void *)x->aborted.p,
        .aborted_n = x->aborted.n / sizeof(struct producer_end),
        .live = x->live,
        .keys_bytes = x->s->o.dedupe_bytes,
        .index_interval = (uint32_t)x->st->index_interval_bytes,
        .levels = x->st->level,
        .spare_bytes = spare_bytes(x),
        .over = cleaner_is_over,
        .over_arg = x->s,
    };
    x->rewrite = rewrite_begin(&o, err);
    if (!x->rewrite || scan_all(x, err)) return -1;
    int64_t all = x->end;
    leave_rest(x);
    if (write_all(x, err) || store_call(x->s, note_done, x, false, err)) return -1;
    if (x->limit < all) cleaner_hurry(x->s);
    return 0;
}

static void done(struct compaction *x) {
    rewrite_end(x->rewrite);
    producers_free(x->live);
    buf_done(&x->aborted);
    for (size_t i = 0; i < x->n; i++) segment_unref(&x->s->files, x->segs[i]);
    free(x->segs);
}

// ── where there is no room ───────────────────────────────────────────────────────────────────────────────────────────

// A rewrite without room has changed nothing. It is tried again after a while; who runs out is told once.
static int wait_for_room(struct store *s, bool internal, const struct err *why) {
    struct crowded *c = &s->cleaner.crowded[internal];
    if (!c->waits) store_event(s, STORE_EVENT_WARN, "no disk space, waiting for some: %s", why->msg);
    *c = (struct crowded){true, clock_mono_ms(s->clock) + ROOM_RETRY_MS};
    return 0;
}

static void found_room(struct store *s, bool internal) {
    struct crowded *c = &s->cleaner.crowded[internal];
    if (c->waits) store_event(s, STORE_EVENT_INFO, "compaction has disk space again");
    c->waits = false;
}

int compact_partition(struct store *s, struct partition *p, struct err *err) {
    struct compaction x = {.s = s, .p = p, .st = topic_settings(p->topic), .now = clock_wall_ms(s->clock)};
    bool internal = topic_internal(p->topic);
    const struct crowded *c = &s->cleaner.crowded[internal];
    if (!x.st->policy_compact || (c->waits && clock_mono_ms(s->clock) < c->until_ms)) return 0;
    int failed = end_overdue(&x, err);
    if (!failed) gather(&x);
    bool worth = !failed && worth_it(&x);
    if (worth) failed = compact(&x, err);
    done(&x);
    if (worth && !failed) found_room(s, internal);
    if (!failed || err->code == ERR_CANCELLED) return 0; // the next start goes on
    err_wrap(err, "compaction of %s-%" PRId32, p->topic->name, p->index);
    return err->code == ERR_NOSPACE ? wait_for_room(s, internal, err) : -1;
}
