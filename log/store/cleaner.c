// SPDX-License-Identifier: Apache-2.0
// The cleaner's thread and rounds.
#include "cleaner.h"

#include <stdio.h>

#include "risk.h"
#include "settle.h"
#include "verify.h"

enum { ROUND_MS = 15000, LOOK_AFTER_MS = 1000, TOLD_AGAIN_MS = 3600 * 1000 };

void cleaner_init(struct cleaner *c) {
    pthread_mutex_init(&c->lock, NULL);
    pthread_mutex_init(&c->round, NULL);
    cond_init_mono(&c->wake);
}

void cleaner_done(struct cleaner *c) {
    pthread_cond_destroy(&c->wake);
    pthread_mutex_destroy(&c->round);
    pthread_mutex_destroy(&c->lock);
}

enum { RESTING = 256 };

struct round {
    struct store *s;
    struct err *err;
    int failed;
    struct partition *resting[RESTING]; // of the topic at work
    size_t resting_count;
};

bool cleaner_is_over(void *store) {
    struct store *s = store;
    LOCK_SCOPE(&s->cleaner.lock);
    return s->cleaner.closing;
}

// On the flusher's thread: who has not been appended to for a round needs no index in memory.
static int forget_indexes(struct store *s, void *arg, struct err *err) {
    const struct round *r = arg;
    for (size_t i = 0; i < r->resting_count; i++) {
        struct partition *p = r->resting[i];
        struct segment *g = partition_active(p);
        if (!p->gone && g->rested && !g->dirty) segment_forget_index(p, g);
    }
    return 0;
}

static void let_rest(struct round *r) {
    if (r->resting_count && store_call(r->s, forget_indexes, r, false, NULL)) r->failed = -1; // it can not
    r->resting_count = 0;
}

static bool rests(struct partition *p) {
    LOCK_SCOPE(&p->lock);
    struct segment *g = partition_active(p);
    bool again = g->rested;
    g->rested = true;
    return g->index && again;
}

static void look_for_rest(struct round *r, struct partition *p) {
    if (!rests(p)) return;
    r->resting[r->resting_count++] = p;
    if (r->resting_count == RESTING) let_rest(r);
}

// A partition that fails does not keep the others from being cleaned; the first failure is told.
static int clean_topic(void *arg, struct topic *t) {
    struct round *r = arg;
    for (int32_t i = 0; i < topic_partitions(t); i++) {
        struct err err;
        struct partition *p = topic_partition(t, i);
        if (cleaner_is_over(r->s) || atomic_load(&r->s->is_stopped)) return 1;
        look_for_rest(r, p);
        if (atomic_load(&p->unsettled) || partition_health(p, NULL) || (!retain_partition(r->s, p, &err) && !compact_partition(r->s, p, &err))) continue;
        if (err.code == ERR_CORRUPT || err.code == ERR_NOT_FOUND) verify_partition(r->s, p); // it stops, and is left alone
        if (!r->failed) *r->err = err;
        r->failed = -1;
    }
    let_rest(r);
    return 0;
}

int store_clean(struct store *s, struct err *err) {
    struct err why;
    struct round r = {.s = s, .err = &why};
    LOCK_SCOPE(&s->cleaner.round);
    r.failed = settle_all(s, &why);
    store_topics(s, clean_topic, &r);
    if (!r.failed) r.failed = budget_keep(s, &why);
    risk_look(s);
    if (r.failed && err) *err = why;
    return r.failed;
}

// What fails keeps failing, round after round: the same is told once an hour.
static void tell_failure(struct store *s, const struct err *err) {
    struct cleaner *c = &s->cleaner;
    int64_t now = clock_mono_ms(s->clock);
    if (!strcmp(c->told, err->msg) && now - c->told_ms < TOLD_AGAIN_MS) return;
    snprintf(c->told, sizeof(c->told), "%s", err->msg);
    c->told_ms = now;
    store_event(s, STORE_EVENT_WARN, "cleaning failed: %s%s%s", err->msg, err->hint[0] ? "; " : "", err->hint);
}

static int look_topic(void *arg, struct topic *t) {
    struct store *s = arg;
    for (int32_t i = 0; i < topic_partitions(t) && !cleaner_is_over(s); i++) verify_present(s, topic_partition(t, i));
    return cleaner_is_over(s);
}

static void look_for_files(struct store *s) {
    if (s->report.was_clean) store_topics(s, look_topic, s);
}

// What the start left for later, when it has had its first second: after a kill, partitions that no frame named; after a clean stop, whether
// every file is there, for which a start does not look into thousands of folders. Whoever comes to one before finds out himself.
static void look_first(struct store *s) {
    struct cleaner *c = &s->cleaner;
    struct err err;
    pthread_mutex_lock(&c->lock);
    if ((settle_left(s) || s->report.was_clean) && !c->closing && !c->hurry) cond_wait_ms(&c->wake, &c->lock, LOOK_AFTER_MS);
    bool closing = c->closing;
    pthread_mutex_unlock(&c->lock);
    if (closing) return;
    LOCK_SCOPE(&c->round);
    if (settle_all(s, &err)) store_event(s, STORE_EVENT_WARN, "looking through the partitions failed: %s", err.msg);
    look_for_files(s);
}

static void *run(void *arg) {
    struct store *s = arg;
    struct cleaner *c = &s->cleaner;
    int64_t last = clock_mono_ms(s->clock);
    look_first(s);
    pthread_mutex_lock(&c->lock);
    while (!c->closing) {
        if (!c->hurry) cond_wait_ms(&c->wake, &c->lock, ROUND_MS);
        if (c->closing) break;
        c->hurry = false;
        pthread_mutex_unlock(&c->lock);
        struct err err;
        if (!atomic_load(&s->is_stopped) && store_clean(s, &err)) tell_failure(s, &err);
        int64_t now = clock_mono_ms(s->clock); // rounds may be hurried
        verify_for(s, &c->verified, now - last);
        last = now;
        pthread_mutex_lock(&c->lock);
    }
    pthread_mutex_unlock(&c->lock);
    return NULL;
}

void cleaner_hurry(struct store *s) {
    LOCK_SCOPE(&s->cleaner.lock);
    s->cleaner.hurry = true;
    pthread_cond_signal(&s->cleaner.wake);
}

// State topics are written to without end and keep little: a round is due each time that so many segments' worth has come, however fast.
enum { DIRTY_SEGMENTS = 8 };

void cleaner_rolled(struct store *s, const struct partition *p) {
    const struct settings *st = topic_settings(p->topic);
    uint64_t dirty = 0, all = 0, step = DIRTY_SEGMENTS * (uint64_t)st->segment_bytes;
    if (!st->policy_compact) return;
    for (size_t i = 0; i + 1 < p->seg_count; i++) {
        all += p->segs[i]->size;
        if (p->segs[i]->base >= p->compacted) dirty += p->segs[i]->size;
    }
    uint64_t last = p->segs[p->seg_count - 2]->size, before = dirty < last ? 0 : dirty - last;
    if (dirty / step != before / step && (double)dirty > st->min_cleanable_dirty_ratio * (double)all) cleaner_hurry(s);
}

int cleaner_start(struct store *s, struct err *err) {
    if (s->o.cleaner_off) return look_for_files(s), 0;
    if (thread_start(&s->cleaner.thread, "cleaner", run, s, err)) return -1;
    s->cleaner.running = true;
    return 0;
}

void cleaner_stop(struct store *s) {
    struct cleaner *c = &s->cleaner;
    pthread_mutex_lock(&c->lock);
    c->closing = true;
    pthread_cond_signal(&c->wake);
    pthread_mutex_unlock(&c->lock);
    if (c->running) pthread_join(c->thread, NULL);
    c->running = false;
}
