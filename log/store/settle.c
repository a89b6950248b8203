// SPDX-License-Identifier: Apache-2.0
// Partitions that a start left for later.
#include "settle.h"

#include <inttypes.h>

#include "recovery.h"

// ── one, on the flusher's thread ─────────────────────────────────────────────────────────────────────────────────────

static void add_to_report(struct store *s, const struct recovery_report *x) {
    struct recovery_report *r = &s->report;
    LOCK_SCOPE(&s->state);
    r->cut_bytes += x->cut_bytes;
    r->files_removed += x->files_removed;
    r->indexes_rebuilt += x->indexes_rebuilt;
}

void settle_done(struct store *s, struct partition *p) {
    if (atomic_exchange(&p->unsettled, false)) atomic_fetch_sub(&s->unsettled, 1);
}

int settle_partition(struct store *s, struct partition *p, struct err *err) {
    struct recovery_report report = {0};
    struct recovery r = {.s = s, .report = &report};
    int32_t epoch = p->epoch;
    if (!atomic_load(&p->unsettled)) return 0;
    int failed = p->gone ? 0 : recover_partition(&r, p, err) || recover_folder(&r, p, err);
    add_to_report(s, &report);
    if (p->epoch != epoch) catalogue_changed(s, p);
    if (p->failed) atomic_store(&s->partition_failed, true); // who waits for records hears of it between groups
    if (failed && err->code == ERR_IO) { // what was done may not be durable, and doing it again would not tell
        store_stop(s, err);
        return store_check_running(s, err);
    }
    if (failed) return -1;
    settle_done(s, p);
    return 0;
}

static int settle_now(struct store *s, void *arg, struct err *err) { return settle_partition(s, arg, err); }

// ── all, in the background ───────────────────────────────────────────────────────────────────────────────────────────
//
// Nearly always there is nothing to do, and the flusher need not be asked to find that out.

enum { FINE = 256 };

struct looking {
    struct store *s;
    struct err *err;
    int failed;
    struct partition *fine[FINE]; // of the topic at work
    size_t fine_count;
};

struct strays { struct partition *p; bool any; };

static int look_at_name(void *arg, const char *name) {
    struct strays *x = arg;
    LOCK_SCOPE(&x->p->lock);
    x->any = folder_has_stray(x->p, name);
    return x->any;
}

// False also when the flusher is about to change it.
static bool segment_fits(struct store *s, struct partition *p, size_t i) {
    char path[SEGMENT_PATH];
    struct fs_stat st;
    pthread_mutex_lock(&p->lock);
    bool there = i < p->seg_count;
    uint64_t size = there ? p->segs[i]->size : 0;
    if (there) segment_path(p, p->segs[i]->base, ".log", path);
    pthread_mutex_unlock(&p->lock);
    return !there || (!s->fs->ops->stat(s->fs, path, &st, NULL) && st.size == size);
}

static bool is_fine(struct store *s, struct partition *p) {
    char folder[SEGMENT_PATH];
    struct strays x = {.p = p};
    struct partition_offsets o;
    partition_folder(p, folder);
    partition_offsets(p, &o);
    if (s->fs->ops->list(s->fs, folder, look_at_name, &x, NULL) || x.any) return false;
    for (size_t i = 0; i < o.segments; i++)
        if (!segment_fits(s, p, i)) return false;
    return true;
}

// On the flusher's thread: whoever was written to meanwhile was seen to before.
static int all_settled(struct store *s, void *arg, struct err *err) {
    const struct looking *l = arg;
    for (size_t i = 0; i < l->fine_count; i++) settle_done(s, l->fine[i]);
    return 0;
}

static void tell_fine(struct looking *l) {
    if (l->fine_count && store_call(l->s, all_settled, l, false, NULL)) l->failed = -1; // it can not
    l->fine_count = 0;
}

static void look_through(struct looking *l, struct partition *p) {
    struct err err;
    if (!atomic_load(&p->unsettled)) return;
    if (is_fine(l->s, p)) {
        l->fine[l->fine_count++] = p;
        if (l->fine_count == FINE) tell_fine(l);
    } else if (store_call(l->s, settle_now, p, false, &err)) {
        if (!l->failed) *l->err = err;
        l->failed = -1;
    }
}

static int look_through_topic(void *arg, struct topic *t) {
    struct looking *l = arg;
    for (int32_t i = 0; i < topic_partitions(t) && !atomic_load(&l->s->is_stopped); i++) look_through(l, topic_partition(t, i));
    tell_fine(l);
    return 0;
}

int settle_all(struct store *s, struct err *err) {
    struct err why;
    struct looking l = {.s = s, .err = &why};
    if (!settle_left(s)) return 0;
    int64_t began = clock_mono_ms(s->clock);
    struct recovery_report before, now;
    store_report(s, &before);
    store_topics(s, look_through_topic, &l);
    if (l.failed) return *err = why, -1;
    store_report(s, &now);
    if (!now.partitions_left)
        store_event(s, STORE_EVENT_INFO, "the partitions that nobody wrote to before the stop (%u) are looked through in %" PRId64 " ms: %" PRIu64
                    " bytes above the durable end cut, %u files of no segment removed", before.partitions_left, clock_mono_ms(s->clock) - began,
                    now.cut_bytes - before.cut_bytes, now.files_removed - before.files_removed);
    return 0;
}

uint32_t settle_left(struct store *s) { return atomic_load(&s->unsettled); }
