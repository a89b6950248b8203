// SPDX-License-Identifier: Apache-2.0
// The flusher's loop.
#include "flusher.h"

#include "catalogue.h"
#include "checkpointer.h"
#include "cleaner.h"
#include "group.h"

void flusher_init(struct flusher *f) {
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->work, NULL);
    pthread_cond_init(&f->room, NULL);
    pthread_cond_init(&f->answered, NULL);
    f->last = &f->first;
    f->calls_last = &f->calls;
}

void flusher_done(struct flusher *f) {
    pthread_cond_destroy(&f->work);
    pthread_cond_destroy(&f->room);
    pthread_cond_destroy(&f->answered);
    pthread_mutex_destroy(&f->lock);
}

void flusher_wake(struct store *s) {
    LOCK_SCOPE(&s->flusher.lock);
    pthread_cond_signal(&s->flusher.work);
    pthread_cond_broadcast(&s->flusher.room);
}

// ── calls ────────────────────────────────────────────────────────────────────────────────────────────────────────────

int store_call(struct store *s, int (*fn)(struct store *s, void *arg, struct err *err), void *arg, bool frames, struct err *err) {
    struct flusher *f = &s->flusher;
    struct call call = {.run = fn, .arg = arg, .frames = frames, .err = err};
    pthread_mutex_lock(&f->lock);
    bool direct = !f->running; // opening or closing: nobody else is there
    if (!direct) {
        *f->calls_last = &call;
        f->calls_last = &call.next;
        pthread_cond_signal(&f->work);
        while (!call.done) pthread_cond_wait(&f->answered, &f->lock);
    }
    pthread_mutex_unlock(&f->lock);
    return direct ? fn(s, arg, err) : call.result;
}

static bool has_room(struct store *s) { return MUTANT("room-not-looked-for") || journal_fits(s->journal, journal_frame_max(s->journal)); }

// Is there room, or nothing left to wait for? Then those that need it are served, or told why not.
static bool can_serve(struct store *s) {
    struct err err;
    return has_room(s) || atomic_load(&s->is_stopped) || checkpointer_failed(s, &err);
}

static int check_room(struct store *s, struct err *err) {
    if (has_room(s)) return 0;
    return checkpointer_failed(s, err) ? -1 : err_set(err, ERR_AGAIN, "the journal is full");
}

// The first call that may run now, or NULL. With the lock.
static struct call *next_call(struct store *s) {
    struct flusher *f = &s->flusher;
    for (struct call **at = &f->calls; *at; at = &(*at)->next) {
        struct call *c = *at;
        if (c->frames && !can_serve(s)) continue;
        *at = c->next;
        if (!*at) f->calls_last = at;
        return c;
    }
    return NULL;
}

// Returns with the lock held, as it was called.
static void run_calls(struct store *s) {
    struct flusher *f = &s->flusher;
    for (struct call *c; (c = next_call(s));) {
        struct err ignored;
        pthread_mutex_unlock(&f->lock);
        int result = c->run(s, c->arg, c->err ? c->err : &ignored);
        pthread_mutex_lock(&f->lock);
        c->result = result;
        c->done = true;
        pthread_cond_broadcast(&f->answered);
    }
}

int flusher_frame(struct store *s, struct partition *p, const struct edit *edits, size_t n, struct err *err) {
    struct buf frame = {0};
    if (store_check_running(s, err) || check_room(s, err)) return -1;
    if (p) catalogue_changed(s, p);
    else atomic_store(&s->catalogue.reshaped, true);
    frame_begin(&frame);
    for (size_t i = 0; i < n; i++) edit_put(&frame, &edits[i]);
    int failed = 0;
    if (frame.bad) {
        failed = err_set(err, buf_fault(&frame), "no memory for %zu changes", n);
    } else if (frame.n > journal_frame_max(s->journal)) {
        failed = err_set(err, ERR_TOO_LARGE, "%zu bytes of changes do not fit the journal", frame.n);
    } else if (journal_append(s->journal, &frame, NULL, 0, clock_wall_ms(s->clock), err)) {
        store_stop(s, err);
        failed = store_check_running(s, err);
    } else {
        checkpointer_changed(s);
    }
    buf_done(&frame);
    return failed;
}

// ── groups ───────────────────────────────────────────────────────────────────────────────────────────────────────────

static void answer_all(struct store *s, struct commit *first) {
    int64_t now = s->clock->mono_ns(s->clock);
    for (struct commit *c = first, *next; c; c = next) {
        next = c->next;
        int64_t us = (now - c->queued_ns) / 1000;
        histogram_add(s->commit_us, us);
        for (size_t i = 0; i < c->n && !c->error; i++) activity_answered(c->appends[i].p, us);
        atomic_fetch_add_explicit(&s->commits, 1, memory_order_relaxed);
        commit_answer(c);
    }
}

static void refuse_all(struct commit *first, const struct err *why) {
    for (struct commit *c = first; c; c = c->next) commit_refuse(c, why);
}

static void stopped(struct store *s, struct commit *all, const struct err *why) {
    struct err err;
    store_stop(s, why);
    if (store_check_running(s, &err)) refuse_all(all, &err);
}

static void write_group(struct store *s, struct group *g, struct commit *all);

// Each by itself, so that only the one at fault is refused.
static void one_by_one(struct store *s, struct group *g, struct commit *all) {
    for (struct commit *c = all, *next; c; c = next) {
        next = c->next;
        c->next = NULL;
        struct err err;
        group_begin(g);
        if (!c->error && (check_room(s, &err) || group_add(g, c, &err) != GROUP_TAKEN)) commit_refuse(c, &err);
        write_group(s, g, c);
    }
}

// Takes the group back; then its commits are tried alone, or the one there is gets refused.
static void take_back(struct store *s, struct group *g, struct commit *all, struct err *why) {
    struct err err;
    if (group_undo(g, &err)) {
        stopped(s, all, &err);
        answer_all(s, all);
    } else if (all->next) {
        one_by_one(s, g, all);
    } else {
        group_retriable(why);
        commit_refuse(all, why);
        answer_all(s, all);
    }
}

// All of the group and those refused on the way; answers them.
static void write_group(struct store *s, struct group *g, struct commit *all) {
    struct err err = {0};
    switch (group_write(g, &err)) {
    case GROUP_DONE: break;
    case GROUP_FAILED: take_back(s, g, all, &err); return;
    case GROUP_STOP:
        group_abandon(g);
        stopped(s, all, &err);
        answer_all(s, all);
        return;
    }
    group_publish(g);
    TEST_POINT("commit-published");
    if (g->wrote) checkpointer_changed(s);
    answer_all(s, all);
}

// Answers as many as go into one frame. Returns the rest: the journal may not have room for another frame yet.
static struct commit *flush(struct store *s, struct group *g, struct commit *all) {
    struct commit **end = &all;
    group_begin(g);
    for (; *end; end = &(*end)->next) {
        struct err err;
        enum group_verdict verdict = group_add(g, *end, &err);
        if (verdict == GROUP_FULL) break;
        if (verdict == GROUP_REFUSED) commit_refuse(*end, &err);
        if (MUTANT("duplicate-answered-early") && verdict == GROUP_TAKEN && (*end)->results[0].duplicate) commit_answer_early(*end);
    }
    struct commit *rest = *end;
    *end = NULL;
    write_group(s, g, all);
    return rest;
}

// ── ending a segment ─────────────────────────────────────────────────────────────────────────────────────────────────

static int roll_now(struct store *s, void *arg, struct err *err) {
    struct group g = {.s = s};
    struct partition *p = arg;
    struct err why;
    int failed = 0;
    if (store_check_running(s, err) || check_room(s, err)) return -1;
    group_begin(&g);
    enum group_result result = p->gone || p->failed ? GROUP_DONE : partition_roll(&g, p, err) ? GROUP_FAILED : group_write(&g, err);
    if (result == GROUP_DONE) {
        group_publish(&g);
        if (g.wrote) checkpointer_changed(s);
    } else if (result == GROUP_STOP || group_undo(&g, &why)) {
        group_abandon(&g);
        store_stop(s, result == GROUP_STOP ? err : &why);
        failed = store_check_running(s, err);
    } else {
        failed = -1;
    }
    group_done(&g);
    return failed;
}

int partition_roll_now(struct store *s, struct partition *p, struct err *err) { return store_call(s, roll_now, p, true, err); }

// ── the thread ───────────────────────────────────────────────────────────────────────────────────────────────────────

// Takes commits up to the size of a group. With the lock.
static struct commit *take(struct store *s) {
    struct flusher *f = &s->flusher;
    struct commit *first = f->first, **at = &f->first;
    for (size_t n = 0; *at && (at == &f->first || n + (*at)->bytes <= s->o.group_max_bytes); at = &(*at)->next) {
        n += (*at)->bytes;
        f->bytes -= (*at)->bytes;
    }
    struct commit *rest = *at;
    *at = NULL;
    f->first = rest;
    if (!rest) f->last = &f->first;
    pthread_cond_broadcast(&f->room);
    return first;
}

// What did not go into the frame comes first next time. With the lock.
static void put_back(struct flusher *f, struct commit *rest) {
    struct commit **end = &rest;
    for (; *end; end = &(*end)->next) f->bytes += (*end)->bytes;
    *end = f->first;
    if (!f->first) f->last = end;
    f->first = rest;
}

static struct commit *refuse(struct store *s, struct commit *all, const struct err *why) {
    refuse_all(all, why);
    answer_all(s, all);
    return NULL;
}

static void fire_everything(struct store *s, bool all) {
    size_t at = 0;
    for (struct map_entry *e; (e = map_next(&s->catalogue.topics, &at));) {
        struct topic *t = e->value;
        for (int32_t i = 0; i < t->count; i++) partition_fire(s, topic_partition(t, i), all);
    }
}

// Writes of what is queued what goes into a frame, or says why not. Returns what is left. Without the lock.
static struct commit *serve(struct store *s, struct group *g, struct commit *all) {
    struct err err;
    return store_check_running(s, &err) || check_room(s, &err) ? refuse(s, all, &err) : flush(s, g, all);
}

static void *run(void *arg) {
    struct store *s = arg;
    struct flusher *f = &s->flusher;
    struct group g = {.s = s};
    bool told = false;
    pthread_mutex_lock(&f->lock);
    for (;;) {
        run_calls(s);
        if (atomic_exchange(&s->partition_failed, false)) {
            pthread_mutex_unlock(&f->lock);
            fire_everything(s, false);
            pthread_mutex_lock(&f->lock);
            continue;
        }
        if (atomic_load(&s->is_stopped) && !told) {
            told = true;
            pthread_mutex_unlock(&f->lock);
            fire_everything(s, true);
            pthread_mutex_lock(&f->lock);
            continue;
        }
        if (f->first && can_serve(s)) {
            struct commit *all = take(s);
            pthread_mutex_unlock(&f->lock);
            struct commit *rest = serve(s, &g, all);
            pthread_mutex_lock(&f->lock);
            if (rest) put_back(f, rest);
            continue;
        }
        if (f->closing && !f->first && !f->calls) break;
        if (f->first || f->calls) checkpointer_hurry(s);
        pthread_cond_wait(&f->work, &f->lock);
    }
    f->running = false;
    pthread_mutex_unlock(&f->lock);
    group_done(&g);
    return NULL;
}

int flusher_start(struct store *s, struct err *err) {
    s->flusher.running = true;
    if (!thread_start(&s->flusher.thread, "flusher", run, s, err)) return 0;
    s->flusher.running = false;
    return -1;
}

void flusher_stop(struct store *s) {
    struct flusher *f = &s->flusher;
    pthread_mutex_lock(&f->lock);
    bool running = f->running && !f->closing;
    f->closing = true;
    pthread_cond_signal(&f->work);
    pthread_mutex_unlock(&f->lock);
    if (running) pthread_join(f->thread, NULL);
}
