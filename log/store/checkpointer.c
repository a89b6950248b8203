// SPDX-License-Identifier: Apache-2.0
// Taking checkpoints, and the thread that decides when.
#include "checkpointer.h"

#include <inttypes.h>

#include "catalogue.h"
#include "flusher.h"
#include "many.h"

void checkpointer_init(struct checkpointer *c) {
    pthread_mutex_init(&c->round, NULL);
    pthread_mutex_init(&c->lock, NULL);
    cond_init_mono(&c->wake);
}

void checkpointer_done(struct checkpointer *c) {
    pthread_cond_destroy(&c->wake);
    pthread_mutex_destroy(&c->lock);
    pthread_mutex_destroy(&c->round);
}

// ── one checkpoint ───────────────────────────────────────────────────────────────────────────────────────────────────

struct capture {
    struct checkpoint at;
    struct buf image;         // or changes
    bool whole;
    struct dirty *dirty;
    size_t dirty_count;
};

static void expire_producers(struct store *s) {
    int64_t now = clock_wall_ms(s->clock);
    for (size_t i = 0; i < s->dirty_count; i++)
        if (s->dirty[i].p->producers) producers_expire(s->dirty[i].p->producers, now, PRODUCER_EXPIRE_MS, 0);
}

// Changes, until those behind the image make half of it: so a partition that is written to once a second costs its own entry, and what
// is read at a start is never much more than the catalogue.
static int take_image(struct store *s, struct capture *c, struct err *err) {
    const struct checkpoint_chain *x = &s->checkpointer.chain;
    checkpoint_begin(&c->image);
    c->whole = atomic_exchange(&s->catalogue.reshaped, false); // before the image: others than this thread set it, too
    if (!c->whole) catalogue_changes(s, &c->image);
    if (x->end + c->image.n > x->image + x->image / 2) c->whole = true;
    if (c->whole) {
        buf_clear(&c->image);
        checkpoint_begin(&c->image);
        catalogue_image(s, &c->image);
    }
    if (c->image.bad) {
        atomic_store(&s->catalogue.reshaped, true);
        return err_set(err, buf_fault(&c->image), "checkpoint: no memory for its image");
    }
    catalogue_told(s);
    return 0;
}

static int capture(struct store *s, void *arg, struct err *err) {
    struct capture *c = arg;
    // A frame whose fate is not known has left its marks on the producers: none of that may become durable.
    if (!MUTANT("checkpoint-of-a-failed-frame") && store_check_running(s, err)) return -1;
    expire_producers(s);
    c->at = (struct checkpoint){.generation = s->checkpoint_generation + 1, .journal = s->journal->id, .position = s->journal->head, .seq = s->journal->seq};
    if (take_image(s, c, err)) return -1;
    c->dirty = s->dirty;
    c->dirty_count = s->dirty_count;
    for (size_t i = 0; i < c->dirty_count; i++) {
        struct dirty *d = &c->dirty[i];
        d->sealed = d->seg->sealed;
        d->txn = d->seg->txn_dirty;
        d->seg->dirty = d->seg->txn_dirty = false;
    }
    s->dirty = NULL;
    s->dirty_count = s->dirty_cap = 0;
    s->captured_at = s->journal->head;
    atomic_store(&s->checkpointer.changed_ms, 0);
    return 0;
}

static void release_dirty(struct store *s, struct dirty *d) {
    files_put(&s->files, d->file);
    segment_unref(&s->files, d->seg);
    topic_unref(d->p->topic);
}

// A full disk lets writes be tried again; a failed sync is final whatever its reason, as the pages may count as clean now.
static int failed_sync(struct err *err) {
    if (err->code == ERR_NOSPACE) err->code = ERR_IO;
    return -1;
}

// What the transaction index could not take before goes there now, and its name becomes durable.
static int sync_aborted(struct store *s, struct partition *p, struct segment *seg, struct err *err) {
    char stem[SEGMENT_PATH], folder[SEGMENT_PATH];
    segment_path(p, seg->base, "", stem);
    partition_folder(p, folder);
    pthread_mutex_lock(&p->lock);
    int failed = 0;
    size_t kept = 0;
    uint32_t at = seg->aborts;
    for (size_t i = 0; i < p->abort_count; i++) at -= p->aborts[i].base == seg->base;
    for (size_t i = 0; i < p->abort_count; i++) {
        bool here = p->aborts[i].base == seg->base;
        if (here && !failed) failed = txnindex_put(s->fs, stem, at++, &p->aborts[i].end, err);
        if (!here || failed) p->aborts[kept++] = p->aborts[i];
    }
    p->abort_count = kept;
    pthread_mutex_unlock(&p->lock);
    if (failed) return -1;
    return txnindex_sync(s->fs, stem, err) || s->fs->ops->sync_dir(s->fs, folder, err) ? failed_sync(err) : 0;
}

// Indexes are caches: a full disk may keep them behind, and one that could not be synced, which nobody tries again, is made anew. That of a
// segment which takes no more batches is not needed in memory.
static int sync_index(struct store *s, const struct dirty *d, struct err *err) {
    struct err why = {0};
    struct index *x = segment_index(d->p, d->seg);
    if (!x) return 0;
    int failed = d->sealed ? index_seal(x, &why) : index_flush(x, false, &why);
    index_free(x);
    if (!failed && d->sealed) segment_forget_index(d->p, d->seg);
    if (!failed || why.code == ERR_NOSPACE) return 0;
    if (!d->sealed) return *err = why, -1;
    segment_renew_index(s, d->p, d->seg, &why);
    segment_forget_index(d->p, d->seg);
    return 0;
}

static int sync_folder(struct store *s, const struct partition *p, struct err *err) {
    char folder[SEGMENT_PATH];
    partition_folder(p, folder);
    return s->fs->ops->sync_dir(s->fs, folder, err) ? failed_sync(err) : 0;
}

static int sync_segment(struct store *s, const struct dirty *d, struct err *err) {
    if (atomic_load(&d->seg->dropped)) return 0;
    if (d->sealed) s->fs->ops->truncate(d->file->f, d->seg->size, NULL); // gives back what was reserved ahead; it may fail
    if (!MUTANT("checkpoint-without-segment-sync") && s->fs->ops->fdatasync(d->file->f, err)) return failed_sync(err);
    TEST_POINT("checkpoint-segment-synced");
    if (!partition_enter(d->p)) return 0;
    int failed = (d->txn && sync_aborted(s, d->p, d->seg, err)) || (d->folder && sync_folder(s, d->p, err)) || sync_index(s, d, err);
    partition_leave(d->p);
    return failed ? -1 : 0;
}

int checkpointer_spill(struct store *s, struct err *err) {
    while (s->dirty_count > 1 && files_crowded(&s->files)) {
        struct dirty d = s->dirty[0];
        d.sealed = d.seg->sealed;
        d.txn = d.seg->txn_dirty;
        if (sync_segment(s, &d, err)) {
            store_stop(s, err);
            return store_check_running(s, err);
        }
        d.seg->dirty = d.seg->txn_dirty = false;
        memmove(s->dirty, s->dirty + 1, --s->dirty_count * sizeof(d));
        release_dirty(s, &d);
    }
    return 0;
}

// A topic deleted meanwhile takes its files along: what fails then fails for that.
struct sync_work { struct store *s; const struct capture *c; };

static int sync_one(void *arg, size_t i, struct err *err) {
    const struct sync_work *w = arg;
    const struct dirty *d = &w->c->dirty[i];
    return sync_segment(w->s, d, err) && !atomic_load(&d->seg->dropped) ? -1 : 0;
}

static int sync_all(struct store *s, const struct capture *c, struct err *err) {
    return many(c->dirty_count, sync_one, &(struct sync_work){s, c}, err);
}

static int complete(struct store *s, void *arg, struct err *err) {
    const struct capture *c = arg;
    s->checkpoint_generation = c->at.generation;
    s->checkpoint_seq = c->at.seq;
    atomic_store(&s->journal->tail, c->at.position);
    return 0;
}

// The segments stay on the list until a slot that covers them is durable.
static int give_back(struct store *s, void *arg, struct err *err) {
    struct capture *c = arg;
    atomic_store(&s->catalogue.reshaped, true);
    for (size_t i = 0; i < c->dirty_count; i++) {
        struct dirty *d = &c->dirty[i];
        d->seg->txn_dirty |= d->txn;
        if (d->seg->dirty) {
            release_dirty(s, d);
            continue;
        }
        d->seg->dirty = true;
        VEC_PUSH(s->dirty, s->dirty_count, s->dirty_cap, *d);
    }
    c->dirty_count = 0;
    return 0;
}

// A slot that has less than the other, or may have, is written whole the next time.
static int write_slots(struct store *s, struct capture *c, struct err *err) {
    struct checkpoint_chain x = s->checkpointer.chain;
    s->checkpointer.chain = (struct checkpoint_chain){0};
    for (unsigned i = 0; i < CHECKPOINT_SLOTS; i++) {
        unsigned slot = s->slot_good ^ !MUTANT("good-slot-first"); // the one known to be whole is touched last
        if (c->whole ? checkpoint_write(s->fs, slot, &c->at, &c->image, err) : checkpoint_add(s->fs, slot, &c->at, &x, &c->image, err)) return -1;
        s->slot_good = slot;
        TEST_POINT("checkpoint-written");
    }
    if (c->whole) checkpoint_wrote(&x, &c->image);
    else checkpoint_added(&x, &c->image);
    s->checkpointer.chain = x;
    return 0;
}

static int finish(struct store *s, struct capture *c, struct err *err) {
    if (sync_all(s, c, err)) {
        if (err->code != ERR_NOSPACE) store_stop(s, err); // a failed sync is final
        return -1;
    }
    TEST_POINT("checkpoint-synced");
    if (MUTANT("journal-reused-before-checkpoint") && c->at.generation % 16) return store_call(s, complete, c, false, err);
    if (write_slots(s, c, err)) {
        if (err->code != ERR_NOSPACE) store_stop(s, err);
        return -1;
    }
    return store_call(s, complete, c, false, err);
}

static int run_once(struct store *s, struct err *err) {
    struct capture c = {0};
    if (store_check_running(s, err) || store_call(s, capture, &c, false, err)) {
        buf_done(&c.image);
        return -1;
    }
    TEST_POINT("checkpoint-captured");
    int failed = finish(s, &c, err);
    if (failed && store_call(s, give_back, &c, false, NULL)) failed = -1; // it can not
    for (size_t i = 0; i < c.dirty_count; i++) release_dirty(s, &c.dirty[i]);
    free(c.dirty);
    buf_done(&c.image);
    if (!failed) atomic_fetch_add(&s->checkpoints, 1);
    return failed;
}

int checkpointer_run(struct store *s, struct err *err) {
    struct checkpointer *c = &s->checkpointer;
    struct err why = {0};
    pthread_mutex_lock(&c->round);
    int failed = run_once(s, &why);
    pthread_mutex_lock(&c->lock);
    c->failure = why;
    if (!failed) c->failure.code = ERR_NONE;
    pthread_mutex_unlock(&c->lock);
    pthread_mutex_unlock(&c->round);
    if (failed) atomic_store(&c->changed_ms, clock_mono_ms(s->clock)); // again, a while later
    flusher_wake(s);
    if (failed && err) *err = why;
    return failed;
}

struct past { const struct partition *p; bool is; };

static int look_past(struct store *s, void *arg, struct err *err) {
    struct past *x = arg;
    x->is = !x->p->changed;
    return 0;
}

// While no round is at work, what did not change since the last capture is in the last checkpoint, if that went well.
int checkpointer_past(struct store *s, const struct partition *p, struct err *err) {
    struct past x = {p, false};
    struct err ignored;
    pthread_mutex_lock(&s->checkpointer.round);
    int failed = store_check_running(s, err) || store_call(s, look_past, &x, false, err);
    pthread_mutex_unlock(&s->checkpointer.round);
    if (failed) return -1;
    return x.is && !checkpointer_failed(s, &ignored) ? 0 : checkpointer_run(s, err);
}

bool checkpointer_failed(struct store *s, struct err *ret) {
    LOCK_SCOPE(&s->checkpointer.lock);
    if (s->checkpointer.failure.code == ERR_NONE) return false;
    *ret = s->checkpointer.failure;
    return true;
}

// ── when ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

void checkpointer_hurry(struct store *s) {
    LOCK_SCOPE(&s->checkpointer.lock);
    s->checkpointer.wanted = true;
    pthread_cond_signal(&s->checkpointer.wake);
}

void checkpointer_changed(struct store *s) {
    struct checkpointer *c = &s->checkpointer;
    int64_t now = clock_mono_ms(s->clock);
    bool first = !atomic_exchange(&c->changed_ms, now ? now : 1);
    bool filled = s->journal->head - s->captured_at >= s->journal->area / 4 || s->dirty_count >= s->files.limit / 2;
    if (filled) checkpointer_hurry(s);
    if (!first) return;
    LOCK_SCOPE(&c->lock);
    pthread_cond_signal(&c->wake);
}

// How long until the next one is due: 0 now, -1 nothing to do. With the lock.
static int64_t due_in(struct store *s) {
    struct checkpointer *c = &s->checkpointer;
    int64_t changed = atomic_load(&c->changed_ms);
    if (c->wanted) return 0;
    if (!changed) return -1;
    int64_t left = changed + s->o.checkpoint_ms - clock_mono_ms(s->clock);
    return left < 0 ? 0 : left;
}

static void *run(void *arg) {
    struct store *s = arg;
    struct checkpointer *c = &s->checkpointer;
    pthread_mutex_lock(&c->lock);
    while (!c->closing) {
        int64_t wait = atomic_load(&s->is_stopped) ? -1 : due_in(s);
        if (wait) {
            cond_wait_ms(&c->wake, &c->lock, wait);
            continue;
        }
        c->wanted = false;
        pthread_mutex_unlock(&c->lock);
        struct err err;
        if (checkpointer_run(s, &err)) store_event(s, STORE_EVENT_WARN, "checkpoint failed: %s", err.msg);
        pthread_mutex_lock(&c->lock);
    }
    pthread_mutex_unlock(&c->lock);
    return NULL;
}

int checkpointer_start(struct store *s, struct err *err) {
    if (thread_start(&s->checkpointer.thread, "checkpointer", run, s, err)) return -1;
    s->checkpointer.running = true;
    return 0;
}

void checkpointer_stop(struct store *s) {
    struct checkpointer *c = &s->checkpointer;
    pthread_mutex_lock(&c->lock);
    c->closing = true;
    pthread_cond_signal(&c->wake);
    pthread_mutex_unlock(&c->lock);
    if (c->running) pthread_join(c->thread, NULL);
    c->running = false;
}
