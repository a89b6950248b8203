// SPDX-License-Identifier: Apache-2.0
// What is known of a partition, its list of segments, watches and holds.
#include "partition.h"

#include <inttypes.h>
#include <stdio.h>

#include "store_int.h"

const char *partition_topic(const struct partition *p) { return p->topic->name; }
int32_t partition_index(const struct partition *p) { return p->index; }

void partition_folder(const struct partition *p, char out[SEGMENT_PATH]) {
    snprintf(out, SEGMENT_PATH, "%s-%" PRId32, p->topic->name, p->index);
}

bool partition_enter(struct partition *p) {
    pthread_rwlock_rdlock(&p->topic->folders);
    pthread_mutex_lock(&p->lock);
    bool gone = p->gone && !MUTANT("name-taken-again");
    pthread_mutex_unlock(&p->lock);
    if (gone) pthread_rwlock_unlock(&p->topic->folders);
    return !gone;
}

void partition_leave(struct partition *p) { pthread_rwlock_unlock(&p->topic->folders); }

void partition_offsets(struct partition *p, struct partition_offsets *ret) {
    LOCK_SCOPE(&p->lock);
    *ret = (struct partition_offsets){
        .log_start = p->log_start,
        .high_watermark = p->hw,
        .last_stable = p->lso,
        .bytes = p->bytes,
        .segments = (uint32_t)p->seg_count,
        .leader_epoch = p->epoch,
    };
}

int partition_serves(const struct partition *p, struct err *err) {
    if (p->gone) return err_set(err, ERR_NOT_FOUND, "topic %s was deleted", p->topic->name);
    if (!p->failed) return 0;
    err_set(err, ERR_CORRUPT, "%s-%" PRId32 " is stopped: %s", p->topic->name, p->index, p->failed);
    return err_hint(err, "`connectd log-repair show %s-%" PRId32 "` says what is lost and how to go on; its bytes are kept as they are%s",
                    p->topic->name, p->index,
                    p->damaged < 0 ? "" : ": put the file back from a copy while connectd is stopped, and it serves again");
}

int partition_health(struct partition *p, struct err *err) {
    LOCK_SCOPE(&p->lock);
    return partition_serves(p, err);
}

void partition_fail(struct partition *p, const char *why, int64_t damaged) {
    LOCK_SCOPE(&p->lock);
    if (p->failed) return;
    p->damaged = damaged;
    p->failed = xstrdup(why);
    atomic_store(&p->topic->store->catalogue.reshaped, true); // it is not the flusher who says so
}

void partition_serve_again(struct partition *p) {
    LOCK_SCOPE(&p->lock);
    free(atomic_exchange(&p->failed, NULL));
    p->damaged = -1;
}

void partition_add_losses(struct partition *p, const struct losses *more) {
    LOCK_SCOPE(&p->lock);
    if (!more->gaps) return;
    if (!p->losses) p->losses = xcalloc(1, sizeof(*p->losses));
    p->losses->gaps += more->gaps;
    p->losses->offsets += more->offsets;
    p->losses->bytes += more->bytes;
    p->losses->at_ms = more->at_ms;
}

int64_t partition_stable(const struct partition *p, int64_t end) {
    int64_t stable = p->producers ? producers_last_stable(p->producers, end) : end;
    if (stable > end) stable = end;
    return stable < p->log_start ? p->log_start : stable;
}

void partition_set_epoch(struct partition *p, int32_t epoch, int64_t first) {
    p->epochs = xrealloc(p->epochs, (p->epoch_count + 1) * sizeof(*p->epochs));
    p->epochs[p->epoch_count++] = (struct epoch_start){epoch, first};
    p->epoch = epoch;
}

// ── segments ─────────────────────────────────────────────────────────────────────────────────────────────────────────

void partition_push_segment(struct partition *p, struct segment *g) {
    if (p->seg_count == p->seg_cap) { // by a quarter: most lists grow slowly, and there are many
        p->seg_cap += p->seg_cap / 4 + 1;
        p->segs = xrealloc(p->segs, p->seg_cap * sizeof(struct segment *));
    }
    p->segs[p->seg_count++] = g;
    p->bytes += g->size;
}

size_t partition_find_segment(const struct partition *p, int64_t offset) {
    size_t lo = 0, hi = p->seg_count;
    while (hi - lo > 1) {
        size_t mid = lo + (hi - lo) / 2;
        if (p->segs[mid]->base <= offset) lo = mid;
        else hi = mid;
    }
    return lo;
}

// ── holds ────────────────────────────────────────────────────────────────────────────────────────────────────────────

void partition_hold(struct partition *p, const char *holder, int64_t lowest) {
    LOCK_SCOPE(&p->lock);
    struct hold **at = &p->holds;
    while (*at && strcmp((*at)->holder, holder) != 0) at = &(*at)->next;
    struct hold *h = *at;
    if (lowest == INT64_MAX) {
        if (h) *at = h->next;
        free(h);
        return;
    }
    if (!h) {
        h = xcalloc(1, sizeof(*h) + strlen(holder) + 1);
        memcpy(h->holder, holder, strlen(holder) + 1);
        *at = h;
    }
    h->lowest = lowest;
}

// ── watches ──────────────────────────────────────────────────────────────────────────────────────────────────────────

static bool watch_due(const struct partition *p, const struct watch *w) {
    return p->gone || p->failed || (w->isolation == READ_COMMITTED ? p->lso : p->hw) > w->beyond;
}

static void watch_remove(struct watch *w) {
    *w->link = w->next;
    if (w->next) w->next->link = w->link;
    w->link = NULL;
}

void partition_watch(struct watch *w) {
    struct partition *p = w->partition;
    struct store *s = p->topic->store;
    pthread_mutex_lock(&p->lock);
    bool now = watch_due(p, w) || atomic_load(&s->is_stopped);
    w->link = NULL;
    if (!now) {
        w->next = p->watches;
        if (w->next) w->next->link = &w->next;
        w->link = &p->watches;
        p->watches = w;
    }
    pthread_mutex_unlock(&p->lock);
    if (now) w->fn(w->arg);
}

// One watch leaves the list and is named as firing in one step, so that an unwatch finds it in one of the two places.
static struct watch *take_due(struct store *s, struct partition *p, bool all) {
    LOCK_SCOPE(&p->lock);
    struct watch *w = p->watches;
    while (w && !all && !watch_due(p, w)) w = w->next;
    if (!w) return NULL;
    watch_remove(w);
    LOCK_SCOPE(&s->state);
    s->firing = w;
    s->firing_thread = pthread_self();
    return w;
}

void partition_fire(struct store *s, struct partition *p, bool all) {
    for (struct watch *w; (w = take_due(s, p, all));) {
        w->fn(w->arg); // may free w
        LOCK_SCOPE(&s->state);
        s->firing = NULL;
        pthread_cond_broadcast(&s->fired);
    }
}

void partition_unwatch(struct watch *w) {
    struct partition *p = w->partition;
    struct store *s = p->topic->store;
    pthread_mutex_lock(&p->lock);
    if (w->link) watch_remove(w);
    pthread_mutex_unlock(&p->lock);
    LOCK_SCOPE(&s->state);
    while (s->firing == w && !pthread_equal(s->firing_thread, pthread_self())) pthread_cond_wait(&s->fired, &s->state);
}
