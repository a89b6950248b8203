// SPDX-License-Identifier: Apache-2.0
// Retention: which whole sealed segments go, and how.
//
//   plan (under the lock) ─► frame {log start, drop} ─► list edited ─► lost() for holders ─► files unlinked, oldest first
//
// Time stops at what somebody of ours still has to read (partition_hold); retention.bytes does not, and says so. Records that were deleted by
// hand are nobody's to read any more.
#include <inttypes.h>

#include "base/text.h"
#include "catalogue.h"
#include "checkpointer.h"
#include "cleaner.h"
#include "flusher.h"
#include "group.h"

// Timestamps outside of these are somebody's mistake: then the time of the append counts.
#define SANE_SINCE 946684800000LL // 2000-01-01
#define SANE_AHEAD (24 * 3600 * 1000LL)

struct plan {
    struct partition *p;
    size_t count;         // segments that go
    int64_t base;         // of the first that stays
    int64_t log_start;    // then
    int64_t was_start;
    int64_t *bases;       // of those that go
    bool roll;            // the active segment is expired too
    int64_t dated;        // a time that can not be meant, -1 none
};

int64_t time_or_append(int64_t timestamp, int64_t appended) {
    return timestamp < SANE_SINCE || timestamp > appended + SANE_AHEAD ? appended : timestamp;
}

int64_t segment_dated(const struct segment *g, int64_t now) { return time_or_append(g->max_ts, g->time < 0 ? now : g->time); }

static int64_t age_of(const struct segment *g, int64_t now) { return now - segment_dated(g, now); }

static int64_t lowest_hold(const struct partition *p) {
    int64_t lowest = INT64_MAX;
    for (const struct hold *h = p->holds; h; h = h->next)
        if (h->lowest < lowest) lowest = h->lowest;
    return lowest < p->log_start ? p->log_start : lowest;
}

// The oldest segment and the newest two are looked at: each is among them once.
static int64_t absurd_time(const struct partition *p, int64_t now) {
    for (size_t i = 0; i < 3; i++) {
        size_t at = i < 2 ? p->seg_count - 1 - i : 0;
        const struct segment *g = at < p->seg_count ? p->segs[at] : NULL;
        if (g && g->size && g->max_ts >= 0 && segment_dated(g, now) != g->max_ts) return g->max_ts;
    }
    return -1;
}

static void tell_absurd(struct store *s, struct topic *t, int64_t ms) {
    struct buf date = {0};
    if (ms < 0 || t->told_times) return;
    t->told_times = true;
    time_print(&date, ms > INT64_MAX / 1000 ? INT64_MAX : ms * 1000);
    store_event(s, STORE_EVENT_WARN, "topic %s: there are records dated %s; retention.ms counts from when they were written", t->name, buf_cstr(&date));
    buf_done(&date);
}

// How many of the oldest segments go. With the lock.
static size_t count_going(const struct partition *p, const struct settings *st, int64_t now) {
    int64_t hold = lowest_hold(p);
    uint64_t bytes = p->bytes;
    size_t n = 0;
    for (; n + 1 < p->seg_count; n++) {
        const struct segment *g = p->segs[n];
        int64_t end = p->segs[n + 1]->base;
        bool too_much = st->policy_delete && st->retention_bytes >= 0 && bytes - g->size >= (uint64_t)st->retention_bytes;
        bool too_old = st->policy_delete && st->retention_ms >= 0 && age_of(g, now) > st->retention_ms;
        bool deleted = end <= p->log_start;
        if (!too_much && !((too_old || deleted) && end <= hold)) break;
        if (p->lso < end) break; // an open transaction reaches into it
        bytes -= g->size;
    }
    return n;
}

// With the lock.
static void plan_oldest(struct plan *x, size_t count) {
    const struct partition *p = x->p;
    x->count = count;
    x->base = p->segs[count]->base;
    x->was_start = p->log_start;
    x->log_start = p->log_start > x->base ? p->log_start : x->base;
    x->bases = xcalloc(count + 1, sizeof(*x->bases));
    for (size_t i = 0; i < count; i++) x->bases[i] = p->segs[i]->base;
}

static void make_plan(struct plan *x, int64_t now) {
    struct partition *p = x->p;
    const struct settings *st = topic_settings(p->topic);
    LOCK_SCOPE(&p->lock);
    const struct segment *active = partition_active(p);
    bool by_time = st->policy_delete && st->retention_ms >= 0;
    plan_oldest(x, count_going(p, st, now));
    x->dated = by_time ? absurd_time(p, now) : -1;
    x->roll = by_time && active->size && x->count + 1 == p->seg_count && age_of(active, now) > st->retention_ms &&
              p->hw <= lowest_hold(p) && p->lso == p->hw;
}

// On the flusher's thread.
static int frame_drop(struct store *s, void *arg, struct err *err) {
    const struct plan *x = arg;
    struct partition *p = x->p;
    if (p->gone || p->segs[0]->base != x->bases[0]) return err_set(err, ERR_AGAIN, "%s-%" PRId32 " changed meanwhile", p->topic->name, p->index);
    struct edit e[] = {
        {.kind = EDIT_LOG_START, .partition = p->id, .first = x->log_start},
        {.kind = EDIT_DROP, .partition = p->id, .base = x->base},
    };
    if (flusher_frame(s, p, e, countof(e), err)) return -1;
    TEST_POINT("retention-framed");
    catalogue_log_start(p, x->log_start);
    catalogue_drop(s, p, x->base);
    return 0;
}

struct loss { char *holder; int64_t first; };

// Holders whose next record went.
static void tell_lost(struct store *s, const struct plan *x) {
    struct partition *p = x->p;
    pthread_mutex_lock(&s->state);
    struct lost_fn lost = s->lost;
    pthread_mutex_unlock(&s->state);
    struct loss *items = NULL;
    size_t n = 0, cap = 0;
    pthread_mutex_lock(&p->lock);
    for (struct hold *h = p->holds; h; h = h->next) {
        int64_t first = h->lowest < x->was_start ? x->was_start : h->lowest;
        if (first >= x->base) continue;
        VEC_PUSH(items, n, cap, ((struct loss){xstrdup(h->holder), first}));
        h->lowest = x->base;
        h->sampled_ms = 0;
    }
    pthread_mutex_unlock(&p->lock);
    for (size_t i = 0; i < n; i++) {
        if (lost.fn) lost.fn(lost.arg, p, items[i].holder, items[i].first, x->base - 1, false);
        free(items[i].holder);
    }
    free(items);
}

static int unlink_going(struct store *s, const struct plan *x, struct err *err) {
    for (size_t i = 0; i < x->count && partition_enter(x->p); i++) {
        TEST_POINT("retention-unlink");
        int failed = segment_unlink_files(s, x->p, x->bases[i], err);
        partition_leave(x->p);
        if (failed) return -1;
    }
    return 0;
}

static int drop(struct store *s, struct plan *x, struct err *err) {
    if (MUTANT("unlink-before-log-start") && unlink_going(s, x, err)) return -1;
    // Past what goes there must be a checkpoint, or replay would look for it.
    if (checkpointer_past(s, x->p, err) || store_call(s, frame_drop, x, true, err)) return -1;
    tell_lost(s, x);
    return unlink_going(s, x, err);
}

int retain_partition(struct store *s, struct partition *p, struct err *err) {
    struct plan x = {.p = p};
    int failed = 0;
    make_plan(&x, clock_wall_ms(s->clock));
    tell_absurd(s, p->topic, x.dated);
    if (x.roll) {
        free(x.bases);
        x.bases = NULL;
        failed = partition_roll_now(s, p, err);
        if (!failed) make_plan(&x, clock_wall_ms(s->clock));
    }
    if (!failed && x.count) failed = drop(s, &x, err);
    free(x.bases);
    return failed ? err_wrap(err, "retention of %s-%" PRId32, p->topic->name, p->index) : 0;
}

int retain_drop_oldest(struct store *s, struct partition *p, struct err *err) {
    struct plan x = {.p = p};
    pthread_mutex_lock(&p->lock);
    plan_oldest(&x, p->seg_count > 1);
    pthread_mutex_unlock(&p->lock);
    int failed = x.count ? drop(s, &x, err) : 0;
    free(x.bases);
    return failed ? err_wrap(err, "retention of %s-%" PRId32, p->topic->name, p->index) : 0;
}

bool retain_oldest(struct partition *p, struct oldest *ret) {
    const struct settings *st = topic_settings(p->topic);
    LOCK_SCOPE(&p->lock);
    if (!st->policy_delete || topic_internal(p->topic) || p->gone || p->failed || p->seg_count < 2) return false;
    int64_t end = p->segs[1]->base;
    if (p->lso < end) return false; // an open transaction reaches into it
    *ret = (struct oldest){.at_ms = p->segs[0]->time, .awaited = end > lowest_hold(p)};
    return true;
}

// ── log start ────────────────────────────────────────────────────────────────────────────────────────────────────────

struct log_start { struct partition *p; int64_t before; };

static int frame_log_start(struct store *s, void *arg, struct err *err) {
    const struct log_start *x = arg;
    struct partition *p = x->p;
    if (p->gone) return err_set(err, ERR_NOT_FOUND, "topic %s was deleted", p->topic->name);
    if (x->before < 0 || x->before > p->hw)
        return err_set(err, ERR_OUT_OF_RANGE, "%s-%" PRId32 ": offset %" PRId64 " is above the end, %" PRId64, p->topic->name, p->index, x->before, p->hw);
    if (x->before <= p->log_start) return 0;
    struct edit e = {.kind = EDIT_LOG_START, .partition = p->id, .first = x->before};
    if (flusher_frame(s, p, &e, 1, err)) return -1;
    catalogue_log_start(p, x->before);
    return 0;
}

int partition_delete_before(struct partition *p, int64_t before, struct err *err) {
    struct store *s = p->topic->store;
    struct log_start x = {p, before};
    if (partition_health(p, err) || store_call(s, frame_log_start, &x, true, err)) return -1;
    cleaner_hurry(s);
    return 0;
}
