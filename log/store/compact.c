// SPDX-License-Identifier: Apache-2.0
// Compaction of one partition: when, of what, and the swap.
//
//   sealed segments ─► scan the dirty ones ─► write groups of neighbours as <base>.<generation>.cleaned.* (synced)
//     ─► frame {swap} ─► renamed over the old names ─► list edited ─► files of segments that were merged away removed
//
// A crash before the frame leaves files that recovery removes; after it, files that recovery renames (folders.c).
#include <inttypes.h>
#include <stdio.h>

#include "catalogue.h"
#include "checkpointer.h"
#include "cleaner.h"
#include "flusher.h"
#include "rewrite.h"

enum { GROUP_MOST = 64 };

struct compaction {
    struct store *s;
    struct partition *p;
    struct segment **segs;       // sealed, from the first on, a reference each
    size_t n, cap;
    int64_t end;
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

static bool too_young(const struct segment *g, const struct settings *st, int64_t now) {
    return st->min_compaction_lag_ms > 0 && now - g->max_ts < st->min_compaction_lag_ms;
}

// Takes references of what may be compacted, when it is worth it. With the lock.
static bool gather(struct compaction *x, const struct settings *st, int64_t now) {
    struct partition *p = x->p;
    uint64_t dirty = 0, all = 0;
    bool overdue = p->next_horizon >= 0 && now >= p->next_horizon;
    x->end = p->lso;
    for (size_t i = 0; i + 1 < p->seg_count; i++) {
        struct segment *g = p->segs[i];
        if (too_young(g, st, now) || p->segs[i + 1]->base > p->lso) break;
        VEC_PUSH(x->segs, x->n, x->cap, segment_ref(g));
        all += g->size;
        if (!g->cleaned) dirty += g->size;
        if (!g->cleaned && st->max_compaction_lag_ms < INT64_MAX && now - g->time > st->max_compaction_lag_ms) overdue = true;
    }
    return x->n && (overdue || (dirty && (double)dirty >= st->min_cleanable_dirty_ratio * (double)all));
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
    return 0;
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
    if (p->gone || !still_there(p, &w->edit)) return err_set(err, ERR_AGAIN, "%s-%" PRId32 " changed meanwhile", p->topic->name, p->index);
    if (MUTANT("generation-not-raised")) w->edit.generation--;
    if (flusher_frame(s, &w->edit, 1, err)) return -1;
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
    w.next->sealed = w.next->cleaned = true;
    w.edit = (struct edit){.kind = EDIT_SWAP, .partition = x->p->id, .base = first->base, .count = (uint32_t)n, .end = first->base,
                           .generation = first->generation + 1, .size = r->size, .crc = r->crc, .max_ts = r->max_ts};
    int failed = store_call(x->s, frame_swap, &w, true, err);
    segment_unref(&x->s->files, w.next);
    for (size_t i = from + 1; i < from + n && !failed; i++) failed = segment_unlink_files(x->s, x->p, x->segs[i]->base, err);
    return failed;
}

// ── the work ─────────────────────────────────────────────────────────────────────────────────────────────────────────

static int open_input(struct compaction *x, size_t i, struct rewrite_input *ret, struct open_file **ret_file, struct err *err) {
    LOCK_SCOPE(&x->p->lock);
    if (atomic_load(&x->segs[i]->dropped)) return err_set(err, ERR_AGAIN, "%s-%" PRId32 " changed meanwhile", x->p->topic->name, x->p->index);
    if (segment_open(x->s, x->p, x->segs[i], ret_file, err)) return -1;
    *ret = (struct rewrite_input){.log = (*ret_file)->f, .size = x->segs[i]->size, .name = x->p->topic->name};
    return 0;
}

static int scan_all(struct compaction *x, struct err *err) {
    int full = 0;
    for (size_t i = 0; i < x->n && !full; i++) {
        struct rewrite_input in;
        struct open_file *f;
        if (x->segs[i]->cleaned) continue;
        if (open_input(x, i, &in, &f, err)) return -1;
        full = rewrite_scan(x->rewrite, &in, err);
        files_put(&x->s->files, f);
    }
    return full < 0 ? -1 : 0;
}

// Neighbours that together make no more than one segment.
static size_t group_size(const struct compaction *x, size_t from, const struct settings *st) {
    uint64_t bytes = x->segs[from]->size;
    size_t n = 1;
    for (; from + n < x->n && n < GROUP_MOST; n++) {
        const struct segment *g = x->segs[from + n];
        int64_t end = from + n + 1 < x->n ? x->segs[from + n + 1]->base : x->end;
        if (bytes + g->size > (uint64_t)st->segment_bytes || end - x->segs[from]->base > INT32_MAX) break;
        bytes += g->size;
    }
    return n;
}

static void note_horizon(struct compaction *x, int64_t horizon) {
    if (horizon >= 0 && (x->next_horizon < 0 || horizon < x->next_horizon)) x->next_horizon = horizon;
}

// An empty one replaces an old one that names transactions which are gone.
static int make_txnindex(struct store *s, const char *stem, struct err *err) {
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
    if (!r.changed && n == 1) {
        LOCK_SCOPE(&x->p->lock);
        x->segs[from]->cleaned = true;
        return rewrite_unlink(x->s->fs, stem, err);
    }
    TEST_POINT("swap-written");
    if (make_txnindex(x->s, stem, err)) return -1;
    if (!MUTANT("swap-without-dir-sync") && x->s->fs->ops->sync_dir(x->s->fs, folder, err)) return store_stop(x->s, err), -1; // final
    TEST_POINT("swap-synced");
    return swap_in(x, from, n, stem, &r, err);
}

static int write_all(struct compaction *x, const struct settings *st, struct err *err) {
    for (size_t from = 0, n; from < x->n; from += n) {
        n = group_size(x, from, st);
        if (write_one(x, from, n, err)) return -1;
    }
    LOCK_SCOPE(&x->p->lock);
    x->p->next_horizon = x->next_horizon;
    return 0;
}

static int compact(struct compaction *x, const struct settings *st, int64_t now, struct err *err) {
    // Past what is replaced there must be a checkpoint: its frames name the old files.
    if (checkpointer_run(x->s, err) || store_call(x->s, copy_producers, x, false, err) || gather_aborted(x, err)) return -1;
    struct rewrite_options o = {
        .fs = x->s->fs,
        .now_ms = now,
        .delete_retention_ms = st->delete_retention_ms,
        .end = x->end,
        .aborted = (const struct producer_end *)(const void *)x->aborted.p,
        .aborted_n = x->aborted.n / sizeof(struct producer_end),
        .live = x->live,
        .index_interval = (uint32_t)st->index_interval_bytes,
    };
    x->rewrite = rewrite_begin(&o);
    return scan_all(x, err) || write_all(x, st, err) ? -1 : 0;
}

int compact_partition(struct store *s, struct partition *p, struct err *err) {
    const struct settings *st = topic_settings(p->topic);
    struct compaction x = {.s = s, .p = p, .next_horizon = -1};
    int64_t now = clock_wall_ms(s->clock);
    if (!st->policy_compact) return 0;
    pthread_mutex_lock(&p->lock);
    bool worth_it = gather(&x, st, now);
    pthread_mutex_unlock(&p->lock);
    int failed = worth_it ? compact(&x, st, now, err) : 0;
    rewrite_end(x.rewrite);
    producers_free(x.live);
    buf_done(&x.aborted);
    for (size_t i = 0; i < x.n; i++) segment_unref(&s->files, x.segs[i]);
    free(x.segs);
    return failed ? err_wrap(err, "compaction of %s-%" PRId32, p->topic->name, p->index) : 0;
}
