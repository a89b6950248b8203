// SPDX-License-Identifier: Apache-2.0
// The cleaner's thread and rounds.
#include "cleaner.h"

#include <stdio.h>

#include "risk.h"
#include "verify.h"

enum { ROUND_MS = 15000, TOLD_AGAIN_MS = 3600 * 1000 };

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

struct round {
    struct store *s;
    struct err *err;
    int failed;
};

static bool is_over(struct store *s) {
    LOCK_SCOPE(&s->cleaner.lock);
    return s->cleaner.closing;
}

// A partition that fails does not keep the others from being cleaned; the first failure is told.
static int clean_topic(void *arg, struct topic *t) {
    struct round *r = arg;
    for (int32_t i = 0; i < topic_partitions(t); i++) {
        struct err err;
        struct partition *p = topic_partition(t, i);
        if (is_over(r->s) || atomic_load(&r->s->is_stopped)) return 1;
        if (partition_health(p, NULL) || (!retain_partition(r->s, p, &err) && !compact_partition(r->s, p, &err))) continue;
        if (err.code == ERR_CORRUPT || err.code == ERR_NOT_FOUND) verify_partition(r->s, p); // it stops, and is left alone
        if (!r->failed) *r->err = err;
        r->failed = -1;
    }
    return 0;
}

int store_clean(struct store *s, struct err *err) {
    struct err why;
    struct round r = {.s = s, .err = &why};
    LOCK_SCOPE(&s->cleaner.round);
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
    for (int32_t i = 0; i < topic_partitions(t) && !is_over(s); i++) verify_present(s, topic_partition(t, i));
    return is_over(s);
}

// A clean start opens no folder: there may be ten thousand. Whoever comes to one before finds out himself.
static void look_once(struct store *s) {
    if (s->report.was_clean) store_topics(s, look_topic, s);
}

static void *run(void *arg) {
    struct store *s = arg;
    struct cleaner *c = &s->cleaner;
    look_once(s);
    int64_t last = clock_mono_ms(s->clock);
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

int cleaner_start(struct store *s, struct err *err) {
    if (s->o.cleaner_off) return look_once(s), 0;
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
