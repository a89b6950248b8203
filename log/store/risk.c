// SPDX-License-Identifier: Apache-2.0
// Estimates of what will be lost, and when.
//
//   every hold: unread bytes ─► how fast they grow ─► what retention.bytes leaves of room ─► when          (one pass, a lock a partition)
//   log.total.bytes: what nobody waits for goes first, then the oldest that somebody does ─► room, and how fast all of it shrinks ─► when
#include "risk.h"

#include <inttypes.h>

#include "base/text.h"

enum { SAMPLE_MS = 60 * 1000, SMOOTH_MS = 10 * 60 * 1000, DAY_MS = 24 * 3600 * 1000, AGAIN_MS = 3600 * 1000 };
enum { USED_LEAST = 10, MUCH = 100 }; // a tenth of a budget; a hundredth

struct awaited { int64_t dated; uint64_t size; }; // a sealed segment that may go, but for who still reads it

struct look {
    struct store *s;
    int64_t now;             // monotonic
    struct risk *risks;      // at first everybody who may lose something
    size_t n, cap;
    struct awaited *awaited;
    size_t awaited_n, awaited_cap;
    uint64_t awaited_bytes;
    uint64_t pinned;         // bytes that do not go before somebody loses something
    double growth;           // of what is unread, bytes a millisecond
};

// ── one partition ────────────────────────────────────────────────────────────────────────────────────────────────────

static int64_t end_of(const struct partition *p, size_t i) { return i + 1 < p->seg_count ? p->segs[i + 1]->base : p->hw; }

// Bytes of the segments behind the one that holds `offset`.
static uint64_t bytes_behind(const struct partition *p, size_t at) {
    uint64_t n = 0;
    for (size_t i = at + 1; i < p->seg_count; i++) n += p->segs[i]->size;
    return n;
}

// A part of a segment is taken for as many bytes as it has of its offsets.
static uint64_t bytes_from(const struct partition *p, size_t at, int64_t offset) {
    const struct segment *g = p->segs[at];
    int64_t end = end_of(p, at);
    if (offset < g->base) offset = g->base;
    if (offset >= end) return 0;
    return (uint64_t)((double)g->size * (double)(end - offset) / (double)(end - g->base));
}

static void sample(struct hold *h, uint64_t unread, int64_t now) {
    if (!h->moved_ms || h->lowest != h->seen) h->moved_ms = now ? now : 1;
    h->seen = h->lowest;
    int64_t passed = now - h->sampled_ms;
    bool first = !h->sampled_ms;
    if (!first && passed < SAMPLE_MS) return;
    if (!first) {
        double rate = ((double)unread - (double)h->unread) / (double)passed;
        h->growth = h->known ? h->growth + (rate - h->growth) * (double)passed / (double)(passed + SMOOTH_MS) : rate;
        h->known = true;
    }
    h->sampled_ms = now ? now : 1;
    h->unread = unread;
}

static int64_t time_until(double room, double growth) {
    if (room <= 0) return 0;
    double ms = room / growth;
    return ms < (double)INT64_MAX / 2 ? (int64_t)ms : INT64_MAX;
}

// A reader that stands still or has much to read, noted with the time its topic's own budget leaves it. With the lock.
static void look_hold(struct look *l, struct partition *p, const struct settings *st, struct hold *h) {
    int64_t first = h->lowest < p->log_start ? p->log_start : h->lowest;
    size_t at = partition_find_segment(p, first);
    uint64_t behind = bytes_behind(p, at), unread = behind + bytes_from(p, at, first);
    sample(h, unread, l->now);
    bool waits = unread && (l->now - h->moved_ms >= SMOOTH_MS || unread >= l->s->budget.limit / MUCH);
    bool grows = h->known && h->growth > 0 && st->retention_bytes >= 0 && behind >= (uint64_t)st->retention_bytes / USED_LEAST;
    if (!waits && !grows) return;
    struct risk r = {.p = p, .holder = xstrdup(h->holder), .first = first, .records = p->hw - first, .bytes = unread, .in_ms = INT64_MAX};
    r.dated = p->segs[at]->sealed ? p->segs[at]->time : INT64_MAX;
    if (grows) {
        r.in_ms = time_until((double)st->retention_bytes - (double)behind, h->growth);
        r.budget = "retention.bytes";
    }
    topic_ref(p->topic);
    VEC_PUSH(l->risks, l->n, l->cap, r);
}

// What of it the log's budget may take, in which order. With the lock.
static void look_segments(struct look *l, const struct partition *p) {
    int64_t lowest = INT64_MAX;
    for (const struct hold *h = p->holds; h; h = h->next)
        if (h->lowest < lowest) lowest = h->lowest;
    for (size_t i = 0; i + 1 < p->seg_count && end_of(p, i) <= p->lso; i++) {
        const struct segment *g = p->segs[i];
        if (end_of(p, i) <= lowest) {
            l->pinned -= g->size;
            continue;
        }
        VEC_PUSH(l->awaited, l->awaited_n, l->awaited_cap, ((struct awaited){g->time, g->size}));
        l->awaited_bytes += g->size;
    }
}

static void look_partition(struct look *l, struct partition *p, const struct settings *st) {
    double most = 0;
    LOCK_SCOPE(&p->lock);
    l->pinned += p->bytes;
    if (p->gone || p->failed || !st->policy_delete || topic_internal(p->topic)) return;
    for (struct hold *h = p->holds; h; h = h->next) {
        look_hold(l, p, st, h);
        if (h->known && h->growth > most) most = h->growth;
    }
    l->growth += most;
    look_segments(l, p);
}

static int look_topic(void *arg, struct topic *t) {
    for (int32_t i = 0; i < topic_partitions(t); i++) look_partition(arg, topic_partition(t, i), topic_settings(t));
    return 0;
}

// ── the log's budget ─────────────────────────────────────────────────────────────────────────────────────────────────

static int by_date(const void *a, const void *b) {
    const struct awaited *x = a, *y = b;
    return (x->dated > y->dated) - (x->dated < y->dated);
}

static int by_risk_date(const void *a, const void *b) {
    const struct risk *x = a, *y = b;
    return (x->dated > y->dated) - (x->dated < y->dated);
}

// Where the log's budget comes first: a segment goes when there is no room left, and none older that somebody waits for.
static void look_log(struct look *l) {
    double room = (double)l->s->budget.limit - (double)l->pinned;
    size_t older = 0;
    if (l->growth <= 0 || !l->n || l->awaited_bytes < l->s->budget.limit / USED_LEAST || time_until(room, l->growth) >= DAY_MS) return;
    if (l->awaited_n) qsort(l->awaited, l->awaited_n, sizeof(*l->awaited), by_date);
    qsort(l->risks, l->n, sizeof(*l->risks), by_risk_date);
    for (size_t i = 0; i < l->n; i++) {
        struct risk *r = &l->risks[i];
        for (; older < l->awaited_n && l->awaited[older].dated < r->dated; older++) room += (double)l->awaited[older].size;
        int64_t in_ms = time_until(room, l->growth);
        if (in_ms >= r->in_ms) continue;
        r->in_ms = in_ms;
        r->budget = "log.total.bytes";
    }
}

// ── telling ──────────────────────────────────────────────────────────────────────────────────────────────────────────

// Whether it is time to say it again.
static bool should_tell(const struct look *l, const struct risk *r) {
    LOCK_SCOPE(&r->p->lock);
    struct hold *h = r->p->holds;
    while (h && strcmp(h->holder, r->holder) != 0) h = h->next;
    if (!h || (h->told_ms && l->now - h->told_ms < AGAIN_MS)) return false;
    h->told_ms = l->now ? l->now : 1;
    return true;
}

static void tell(struct store *s, const struct risk *r) {
    struct buf size = {0}, when = {0};
    size_print(&size, r->bytes);
    time_print(&when, r->at_ms * 1000);
    store_event(s, STORE_EVENT_WARN,
                "%s is about to lose records: of %s-%" PRId32 " it has %" PRId64 " unread, %s from offset %" PRId64
                " on, and at the present rate %s is reached at %s; let it catch up, raise %s, or free it of them (connectd offsets)",
                r->holder, partition_topic(r->p), partition_index(r->p), r->records, buf_cstr(&size), r->first, r->budget, buf_cstr(&when), r->budget);
    buf_done(&size);
    buf_done(&when);
}

static void risk_free(struct risk *r) {
    free(r->holder);
    topic_unref(r->p->topic);
}

static void publish(struct store *s, struct risk *risks, size_t n) {
    pthread_mutex_lock(&s->state);
    struct risk *old = s->risks;
    size_t old_n = s->risk_count;
    s->risks = risks;
    s->risk_count = n;
    pthread_mutex_unlock(&s->state);
    for (size_t i = 0; i < old_n; i++) risk_free(&old[i]);
    free(old);
}

void risk_look(struct store *s) {
    struct look l = {.s = s, .now = clock_mono_ms(s->clock)};
    struct risk *near = NULL;
    size_t n = 0, cap = 0;
    store_topics(s, look_topic, &l);
    look_log(&l);
    for (size_t i = 0; i < l.n; i++) {
        struct risk *r = &l.risks[i];
        if (r->in_ms >= DAY_MS) {
            risk_free(r);
            continue;
        }
        r->at_ms = clock_wall_ms(s->clock) + r->in_ms;
        if (should_tell(&l, r)) tell(s, r);
        VEC_PUSH(near, n, cap, *r);
    }
    free(l.risks);
    free(l.awaited);
    publish(s, near, n);
}

void risk_done(struct store *s) { publish(s, NULL, 0); }

void risk_json(struct store *s, struct json_writer *w) {
    json_array(w);
    LOCK_SCOPE(&s->state);
    for (size_t i = 0; i < s->risk_count; i++) {
        const struct risk *r = &s->risks[i];
        struct buf when = {0};
        time_print(&when, r->at_ms * 1000);
        json_object(w);
        json_kz(w, "topic", partition_topic(r->p));
        json_ki(w, "partition", partition_index(r->p));
        json_kz(w, "holder", r->holder);
        json_ki(w, "first_unread", r->first);
        json_ki(w, "unread_records", r->records);
        json_ki(w, "unread_bytes", (int64_t)r->bytes);
        json_kz(w, "budget", r->budget);
        int64_t left = r->at_ms - clock_wall_ms(s->clock);
        json_ki(w, "in_ms", left > 0 ? left : 0);
        json_kz(w, "at", buf_cstr(&when));
        json_object_end(w);
        buf_done(&when);
    }
    json_array_end(w);
}
