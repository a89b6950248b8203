// SPDX-License-Identifier: Apache-2.0
#include "runtime/settled.h"

#include <assert.h>

#include "base/mem.h"

static struct settle_entry *at(const struct settled *s, size_t i) { return &s->entries[(s->head + i) & (s->cap - 1)]; }

void settled_init(struct settled *s, int64_t from) { *s = (struct settled){.prefix = from, .end = from}; }

void settled_done(struct settled *s) {
    for (size_t i = 0; i < s->n; i++) free(at(s, i)->reason);
    free(s->entries);
    *s = (struct settled){0};
}

static void grow(struct settled *s) {
    size_t cap = s->cap ? s->cap * 2 : 64;
    struct settle_entry *fresh = xcalloc(cap, sizeof(*fresh));
    for (size_t i = 0; i < s->n; i++) fresh[i] = *at(s, i);
    free(s->entries);
    s->entries = fresh;
    s->cap = cap;
    s->head = 0;
}

// Index of the first entry whose offset is not below `offset`.
static size_t lower_bound(const struct settled *s, int64_t offset) {
    size_t low = 0, high = s->n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (at(s, mid)->offset < offset) low = mid + 1;
        else high = mid;
    }
    return low;
}

static struct settle_entry *append(struct settled *s, int64_t offset, uint32_t bytes) {
    if (s->n == s->cap) grow(s);
    struct settle_entry *e = at(s, s->n++);
    *e = (struct settle_entry){.offset = offset, .bytes = bytes};
    s->end = offset + 1;
    s->outstanding++;
    return e;
}

// The entry of an offset, made when it is new; NULL when it needs nothing any more.
static struct settle_entry *open_entry(struct settled *s, int64_t offset, uint32_t bytes) {
    if (offset >= s->end) return append(s, offset, bytes);
    size_t i = lower_bound(s, offset);
    if (i == s->n || at(s, i)->offset != offset) return NULL; // passed by the prefix
    struct settle_entry *e = at(s, i);
    return e->state == SETTLE_OUTSTANDING && !e->put ? e : NULL;
}

static void settle(struct settled *s, struct settle_entry *e, enum settle_state state, const char *reason) {
    if (e->put) {
        s->bytes -= e->bytes;
        s->unanswered--;
    }
    e->put = false;
    e->state = (uint8_t)state;
    if (state == SETTLE_RETRY) s->retries++;
    else s->outstanding--;
    if (state == SETTLE_DEAD) e->reason = xstrdup(reason ? reason : "rejected by the sink without a reason");
}

bool settled_put(struct settled *s, int64_t offset, uint32_t bytes) {
    struct settle_entry *e = open_entry(s, offset, bytes);
    if (!e) return false;
    e->put = true;
    s->bytes += e->bytes;
    s->unanswered++;
    return true;
}

void settled_unput(struct settled *s, int64_t offset) {
    size_t i = lower_bound(s, offset);
    if (i == s->n || at(s, i)->offset != offset || !at(s, i)->put) return;
    at(s, i)->put = false;
    s->bytes -= at(s, i)->bytes;
    s->unanswered--;
}

void settled_skip(struct settled *s, int64_t offset, enum settle_state state, const char *reason) {
    assert(state == SETTLE_OK || state == SETTLE_DEAD);
    struct settle_entry *e = open_entry(s, offset, 0);
    if (e) settle(s, e, state, reason);
}

size_t settled_mark(struct settled *s, int64_t first, int64_t last, enum settle_state state, const char *reason) {
    assert(state != SETTLE_OUTSTANDING);
    size_t count = 0;
    for (size_t i = lower_bound(s, first); i < s->n && at(s, i)->offset <= last; i++) {
        if (!at(s, i)->put) continue;
        settle(s, at(s, i), state, reason);
        count++;
    }
    return count;
}

bool settled_is_put(const struct settled *s, int64_t offset) {
    size_t i = lower_bound(s, offset);
    return i < s->n && at(s, i)->offset == offset && at(s, i)->put;
}

void settled_forget(struct settled *s) {
    if (s->unanswered) settled_mark(s, s->prefix, s->end, SETTLE_RETRY, NULL);
}

bool settled_wants_redelivery(const struct settled *s) { return s->retries && !s->unanswered; }

int64_t settled_redeliver(struct settled *s) {
    int64_t lowest = -1;
    for (size_t i = 0; i < s->n; i++) {
        if (at(s, i)->state != SETTLE_RETRY) continue;
        at(s, i)->state = SETTLE_OUTSTANDING;
        if (lowest < 0) lowest = at(s, i)->offset;
    }
    s->retries = 0;
    return lowest;
}

static void pop(struct settled *s) {
    struct settle_entry *e = at(s, 0);
    free(e->reason);
    e->reason = NULL;
    s->prefix = e->offset + 1;
    s->head = (s->head + 1) & (s->cap - 1);
    s->n--;
}

void settled_pass(struct settled *s) {
    while (s->n && at(s, 0)->state == SETTLE_OK) pop(s);
}

int64_t settled_advance(struct settled *s, int64_t next, void (*dead)(void *arg, int64_t offset, const char *reason), void *arg) {
    while (s->n && (at(s, 0)->state == SETTLE_OK || at(s, 0)->state == SETTLE_DEAD)) {
        if (at(s, 0)->state == SETTLE_DEAD) dead(arg, at(s, 0)->offset, at(s, 0)->reason);
        pop(s);
    }
    if (!s->n && next > s->prefix) s->prefix = next;
    return s->prefix;
}

int64_t settled_first_open(const struct settled *s) {
    for (size_t i = 0; i < s->n; i++)
        if (at(s, i)->state == SETTLE_OUTSTANDING || at(s, i)->state == SETTLE_RETRY) return at(s, i)->offset;
    return -1;
}
