// SPDX-License-Identifier: Apache-2.0
// A group becomes durable and visible, or is taken back.
#include <inttypes.h>

#include "catalogue.h"
#include "cleaner.h"
#include "group.h"
#include "many.h"

// ── writing ──────────────────────────────────────────────────────────────────────────────────────────────────────────

static void push_iov(struct group *g, const void *p, size_t n) {
    VEC_PUSH(g->iov, g->iov_count, g->iov_cap, ((struct iovec){(void *)(uintptr_t)p, n}));
}

// The checksum of the file runs on over the range.
static int write_range(struct group *g, struct range *r, struct err *err) {
    g->iov_count = 0;
    r->crc_before = r->crc = r->seg->crc;
    for (const struct append *a = r->first_append; a; a = a->next_in_range) {
        r->crc = crc32c(r->crc, a->bytes.p, a->bytes.n);
        push_iov(g, a->bytes.p, a->bytes.n);
    }
    if (dirty_add(g->s, r->p, r->seg, err)) return -1;
    r->written = true;
    return g->s->fs->ops->pwritev(r->seg->file.open->f, g->iov, (int)g->iov_count, r->position, err);
}

// In step order: a roll names the checksum of the segment it ends, which this group may have written to.
static int write_steps(struct group *g, struct err *err) {
    for (size_t i = 0; i < g->step_count; i++) {
        struct step *step = &g->steps[i];
        if (step->range && write_range(g, step->range, err)) return -1;
        if (step->rolled) step->edit.crc = step->ended ? step->ended->crc : partition_active(step->rolled)->crc;
    }
    return 0;
}

static bool is_inline(const struct group *g, const struct range *r) { return !g->pointed && r->size <= g->s->o.inline_max_bytes; }

static int sync_pointed(struct group *g, struct err *err) {
    for (size_t i = 0; i < g->step_count; i++) {
        const struct range *r = g->steps[i].range;
        if (!r || is_inline(g, r) || MUTANT("frame-before-segment-sync")) continue;
        if (dirty_add(g->s, r->p, r->seg, err)) return -1;
        struct fs_file *f = MUTANT("wrong-file-synced") ? g->s->journal->file : r->seg->file.open->f;
        if (g->s->fs->ops->fdatasync(f, err)) return -1;
    }
    return 0;
}

static void put_range(struct group *g, const struct range *r) {
    edit_put(&g->frame, &(struct edit){
                            .kind = EDIT_RANGE,
                            .partition = r->p->id,
                            .base = r->seg->base,
                            .generation = r->seg->generation,
                            .position = r->position,
                            .size = r->size,
                            .first = r->first,
                            .end = r->end,
                            .crc_before = r->crc_before,
                            .crc = r->crc,
                            .max_ts = r->max_ts,
                            .flag = is_inline(g, r),
                        });
}

static void put_frame(struct group *g) {
    frame_begin(&g->frame);
    g->iov_count = 0;
    for (size_t i = 0; i < g->step_count; i++) {
        const struct step *step = &g->steps[i];
        if (step->rolled) edit_put(&g->frame, &step->edit);
        else put_range(g, step->range);
    }
    for (size_t i = 0; i < g->step_count; i++) {
        const struct range *r = g->steps[i].range;
        if (!r || !is_inline(g, r)) continue;
        for (const struct append *a = r->first_append; a; a = a->next_in_range) push_iov(g, a->bytes.p, a->bytes.n);
    }
}

static int sync_folder(void *arg, size_t i, struct err *err) {
    struct partition *const *rolled = arg;
    struct fs *fs = rolled[i]->topic->store->fs;
    char folder[SEGMENT_PATH];
    partition_folder(rolled[i], folder);
    return MUTANT("roll-without-dir-sync") ? 0 : fs->ops->sync_dir(fs, folder, err);
}

// Final when it fails: other names went with those.
static int sync_rolled(struct group *g, struct err *err) {
    struct partition **rolled = arena_alloc(&g->arena, g->step_count * sizeof(*rolled));
    size_t n = 0;
    for (size_t i = 0; i < g->step_count; i++)
        if (g->steps[i].rolled) rolled[n++] = g->steps[i].rolled;
    if (!n) return 0;
    if (many(n, sync_folder, rolled, err)) return -1;
    TEST_POINT("roll-synced");
    return 0;
}

enum group_result group_write(struct group *g, struct err *err) {
    struct store *s = g->s;
    if (!g->step_count) return GROUP_DONE; // duplicates only
    if (sync_rolled(g, err)) return GROUP_STOP;
    if (store_check_running(s, err)) return GROUP_STOP; // by one of the commits that were to be in it, or by another thread
    if (write_steps(g, err)) return GROUP_FAILED;
    TEST_POINT("commit-written");
    if (sync_pointed(g, err)) return GROUP_STOP;
    TEST_POINT("commit-segments-synced");
    put_frame(g);
    if (g->frame.bad) return err_set(err, buf_fault(&g->frame), "no memory for a frame of %zu steps", g->step_count), GROUP_FAILED;
    if (MUTANT("watch-on-append")) group_publish(g);
    int64_t began = s->clock->mono_ns(s->clock);
    if (journal_append(s->journal, &g->frame, g->iov, (int)g->iov_count, g->now_ms, err)) return GROUP_STOP;
    histogram_add(s->sync_us, (s->clock->mono_ns(s->clock) - began) / 1000);
    TEST_POINT("commit-framed");
    g->wrote = true;
    return GROUP_DONE;
}

// ── taking back ──────────────────────────────────────────────────────────────────────────────────────────────────────

static int undo_step(struct group *g, const struct step *step, struct err *err) {
    struct store *s = g->s;
    struct range *r = step->range;
    if (step->rolled) return segment_unlink_files(s, step->rolled, step->next->base, err);
    if (!r->written || r->seg != partition_active(r->p)) return 0; // the file goes with its segment
    if (dirty_add(s, r->p, r->seg, err)) return -1;
    r->seg->file.open->reserved = r->position;
    return s->fs->ops->truncate(r->seg->file.open->f, r->position, err);
}

static void untouch_all(struct group *g) {
    for (struct partition *p = g->touched, *next; p; p = next) {
        next = p->tail.next_touched;
        p->tail.touched = false;
    }
    g->touched = NULL;
}

int group_undo(struct group *g, struct err *err) {
    for (struct partition *p = g->touched; p; p = p->tail.next_touched)
        if (p->producers && !MUTANT("undo-keeps-producers")) producers_undo(p->producers, p->tail.mark);
    int failed = 0;
    for (size_t i = g->step_count; i-- > 0;)
        if (!failed) failed = undo_step(g, &g->steps[i], err);
    untouch_all(g);
    group_abandon(g);
    return failed ? -1 : 0;
}

void group_abandon(struct group *g) {
    for (size_t i = 0; i < g->step_count; i++) {
        if (!g->steps[i].rolled) continue;
        atomic_store(&g->steps[i].next->dropped, true);
        segment_unref(&g->s->files, g->steps[i].next);
    }
    g->step_count = 0;
}

// ── publishing ───────────────────────────────────────────────────────────────────────────────────────────────────────

// The transaction index knows before a reader can pass the marker. What can not be written waits in memory, where readers look too.
static void note_aborted(struct store *s, struct partition *p, struct segment *seg, const struct producer_end *end) {
    char stem[SEGMENT_PATH];
    segment_path(p, seg->base, "", stem);
    seg->txn_dirty = true;
    LOCK_SCOPE(&p->lock);
    seg->has_aborts = 1;
    uint32_t at = seg->aborts++;
    if (!p->abort_count && !txnindex_put(s->fs, stem, at, end, NULL)) return;
    VEC_PUSH(p->aborts, p->abort_count, p->abort_cap, ((struct pending_abort){seg->base, *end}));
}

static void note_appends(struct store *s, const struct range *r) {
    uint64_t position = r->position;
    for (const struct append *a = r->first_append; a; a = a->next_in_range) {
        index_note(r->seg->index, &a->h, position);
        position += a->bytes.n;
        if (a->ended && a->ended->aborted) note_aborted(s, r->p, r->seg, a->ended);
    }
    index_framed(r->seg->index);
}

static void publish_range(struct store *s, const struct range *r, int64_t now_ms) {
    struct partition *p = r->p;
    struct segment *seg = r->seg;
    note_appends(s, r);
    LOCK_SCOPE(&p->lock);
    if (!seg->size) seg->time = now_ms;
    seg->size = r->position + r->size;
    seg->crc = r->crc;
    seg->max_ts = r->max_ts;
    seg->rested = false;
    p->bytes += r->size;
    p->hw = r->end;
    if (MUTANT("stable-before-the-group")) p->lso = partition_stable(p, p->hw);
}

// The last stable offset moves when all of the group is in the list: the marker of a transaction may lie in a later segment than the data.
static void publish_stable(struct store *s, struct partition *p) {
    pthread_mutex_lock(&p->lock);
    p->lso = partition_stable(p, p->hw);
    bool watched = p->watches != NULL;
    pthread_mutex_unlock(&p->lock);
    if (watched) partition_fire(s, p, false);
}

void group_publish(struct group *g) {
    struct store *s = g->s;
    for (size_t i = 0; i < g->step_count; i++) {
        const struct step *step = &g->steps[i];
        if (step->rolled) {
            catalogue_roll(step->rolled, step->next, &step->edit);
            cleaner_rolled(s, step->rolled);
        } else {
            publish_range(s, step->range, g->now_ms);
        }
        if (step->range) {
            activity_framed(step->range->p, step->range->appends, step->range->size);
            atomic_fetch_add_explicit(&s->batches, step->range->appends, memory_order_relaxed);
            atomic_fetch_add_explicit(&s->bytes_appended, step->range->size, memory_order_relaxed);
            budget_add(s, step->range->size);
        }
    }
    for (struct partition *p = g->touched; p; p = p->tail.next_touched) {
        publish_stable(s, p);
        if (p->producers) producers_framed(p->producers);
    }
    untouch_all(g);
    if (g->step_count) atomic_fetch_add_explicit(&s->groups, 1, memory_order_relaxed);
    g->step_count = 0;
}
