// SPDX-License-Identifier: Apache-2.0
// Consuming from the log: a cursor for each assigned partition, read in turn; committed records only.
//
// A poll reads stored batches into buffers of its own and hands out records that point into them; the next poll reuses the buffers. A cursor
// that has nothing to read leaves a watch at its end, which wakes the poll when the last stable offset moves.
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "backend/embedded_int.h"
#include "backend/subscription.h"
#include "store/batch.h"

enum { LOOK_AGAIN_MS = 1000, EXPANDS_MAX = 256 << 20, RECORD_COST = 64 };

struct cursor {
    struct embedded_consumer *consumer;
    struct topic *topic;     // referenced
    struct partition *partition;
    const char *name;
    int32_t index;
    int64_t next;
    bool paused;
    atomic_bool armed;       // the watch has not fired yet
    struct watch watch;
};

struct embedded_consumer {
    struct embedded *e;
    struct embedded_consumer *next;
    struct subscription want;
    struct consumer_options options;
    char *group;
    int wake;
    struct cursor **cursors;
    size_t n, cap, turn;
    uint64_t generation;     // of the topics the cursors were made from
    int64_t looked_ms;
    struct buf *bufs;        // of the poll at hand: stored bytes, expanded bytes
    size_t buf_used, buf_count, buf_cap;
    struct consumed *out;
    size_t out_n, out_cap;
    size_t left;             // bytes the poll at hand may still take
    struct backend_header *headers;
    size_t header_n, header_cap;
    size_t *header_at;       // of each record: its headers may move while they are gathered
    size_t header_at_cap;
};

static struct embedded_consumer *consumer_of(struct consumer *c) { return (struct embedded_consumer *)(void *)c; }

void embedded_consumers_wake(struct embedded *e) {
    for (struct embedded_consumer *c = e->consumers; c; c = c->next) wake_signal(c->wake);
}

// ── the assignment ───────────────────────────────────────────────────────────────────────────────────────────────────

static void disarm(struct cursor *k) {
    if (k->watch.partition) partition_unwatch(&k->watch);
    k->watch.partition = NULL;
    atomic_store(&k->armed, false);
}

static void cursor_free(struct cursor *k) {
    disarm(k);
    topic_unref(k->topic);
    free(k);
}

static struct cursor *cursor_find(struct embedded_consumer *c, const char *topic, int32_t partition) {
    for (size_t i = 0; i < c->n; i++)
        if (c->cursors[i]->index == partition && strcmp(c->cursors[i]->name, topic) == 0) return c->cursors[i];
    return NULL;
}

static int64_t start_of(struct embedded_consumer *c, const struct cursor *k) {
    struct partition_offsets o;
    int64_t committed = c->group ? offsets_get(c->e->offsets, c->group, k->name, k->index) : -1;
    if (committed >= 0) return committed;
    partition_offsets(k->partition, &o);
    return c->options.from_beginning ? o.log_start : o.high_watermark;
}

static int assign(struct embedded_consumer *c, struct topic *t, int32_t index, struct err *err) {
    struct cursor *k = xcalloc(1, sizeof(*k));
    struct topic *ref = topic_get(c->e->store, topic_name(t));
    *k = (struct cursor){.consumer = c, .topic = ref, .partition = ref ? topic_partition(ref, index) : NULL, .index = index};
    if (!k->partition) { // deleted meanwhile
        if (ref) topic_unref(ref);
        free(k);
        return 0;
    }
    k->name = topic_name(ref);
    k->next = start_of(c, k);
    if (c->group) partition_hold(k->partition, c->group, k->next);
    VEC_PUSH(c->cursors, c->n, c->cap, k);
    return c->options.assigned && c->options.assigned(c->options.arg, k->name, k->index, &k->next, err) ? -1 : 1;
}

struct looking { struct embedded_consumer *c; int changed; struct err *err; };

static int look_at(void *arg, struct topic *t) {
    struct looking *l = arg;
    if (!subscription_has_topic(&l->c->want, topic_name(t))) return 0;
    for (int32_t i = 0; i < topic_partitions(t); i++) {
        if (!subscription_has_partition(&l->c->want, topic_name(t), i) || cursor_find(l->c, topic_name(t), i)) continue;
        int made = assign(l->c, t, i, l->err);
        if (made < 0) return l->changed = -1;
        l->changed |= made;
    }
    return 0;
}

static bool topic_gone(struct embedded_consumer *c, const struct cursor *k) {
    struct topic *now = topic_get(c->e->store, k->name);
    bool gone = !now || memcmp(topic_id(now).b, topic_id(k->topic).b, 16) != 0;
    if (now) topic_unref(now);
    return gone;
}

static bool revoke_gone(struct embedded_consumer *c) {
    bool changed = false;
    for (size_t i = c->n; i-- > 0;) {
        struct cursor *k = c->cursors[i];
        if (!topic_gone(c, k)) continue;
        c->cursors[i] = c->cursors[--c->n];
        if (c->options.revoked) c->options.revoked(c->options.arg, k->name, k->index);
        cursor_free(k);
        changed = true;
    }
    return changed;
}

// 1 when something changed and was told, 0, or -1.
static int update_assignment(struct embedded_consumer *c, struct err *err) {
    uint64_t generation = atomic_load(&c->e->generation);
    int64_t now = clock_mono_ms(c->e->clock);
    bool asks = c->want.wants && now - c->looked_ms >= LOOK_AGAIN_MS;
    if (generation == c->generation && !asks) return 0;
    c->generation = generation;
    c->looked_ms = now;
    struct looking l = {c, revoke_gone(c), err};
    store_topics(c->e->store, look_at, &l);
    return l.changed;
}

// ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────────────

static struct buf *poll_buf(struct embedded_consumer *c) {
    if (c->buf_used == c->buf_count) VEC_PUSH(c->bufs, c->buf_count, c->buf_cap, ((struct buf){0}));
    struct buf *b = &c->bufs[c->buf_used++];
    buf_clear(b);
    return b;
}

// Buffers that one large poll left behind are given back.
static void begin_poll(struct embedded_consumer *c) {
    for (size_t i = 0; i < c->buf_count; i++)
        if (c->bufs[i].cap > (4 << 20)) buf_done(&c->bufs[i]);
    c->buf_used = c->out_n = c->header_n = 0;
}

static int out_of_range(struct embedded_consumer *c, struct cursor *k) {
    struct partition_offsets o;
    partition_offsets(k->partition, &o);
    // Below: retention was faster (and told what it deleted). Above: the log is not the one the offset is of.
    k->next = k->next < o.log_start ? o.log_start : c->options.from_beginning ? o.log_start : o.high_watermark;
    return 0;
}

static void put_headers(struct embedded_consumer *c, struct record *r) {
    struct record_header h;
    while (record_header_next(r, &h))
        VEC_PUSH(c->headers, c->header_n, c->header_cap, ((struct backend_header){h.name, h.value, h.null_value}));
}

static void put_out(struct embedded_consumer *c, const struct cursor *k, struct record *r) {
    vec_reserve((void **)&c->header_at, &c->header_at_cap, c->out_n + 1, sizeof(*c->header_at));
    size_t at = c->header_n, bytes = r->key.n + r->value.n + RECORD_COST;
    c->left -= bytes < c->left ? bytes : c->left;
    if (r->header_count) put_headers(c, r);
    c->header_at[c->out_n] = at;
    VEC_PUSH(c->out, c->out_n, c->out_cap,
             ((struct consumed){.topic = k->name, .partition = k->index, .offset = r->offset, .timestamp = r->timestamp, .key = r->key, .value = r->value,
                                .header_count = (uint32_t)(c->header_n - at)}));
}

struct aborted { struct aborted_txn *list; size_t n; };

static bool is_aborted(const struct aborted *a, const struct batch_header *h) {
    if (!(h->attributes & BATCH_TRANSACTIONAL)) return false;
    for (size_t i = 0; i < a->n; i++)
        if (a->list[i].producer_id == h->producer_id && a->list[i].first_offset <= h->base_offset) return true;
    return false;
}

// The producer's transactions after this marker are others.
static void end_aborted(struct aborted *a, const struct batch_header *h) {
    for (size_t i = 0; i < a->n; i++)
        if (a->list[i].producer_id == h->producer_id && a->list[i].first_offset <= h->base_offset) {
            memmove(&a->list[i], &a->list[i + 1], (--a->n - i) * sizeof(*a->list));
            return;
        }
}

static int take_batch(struct embedded_consumer *c, struct cursor *k, const uint8_t *p, size_t n, struct err *err) {
    struct record_iter it;
    struct record r;
    int more = 0;
    struct buf *scratch = (p[22] & BATCH_CODEC_MASK) ? poll_buf(c) : NULL; // attributes' low byte
    if (record_iter_init(&it, p, n, scratch, EXPANDS_MAX, err)) return -1;
    while (c->left && (more = record_iter_next(&it, &r, err)) > 0)
        if (r.offset >= k->next) put_out(c, k, &r), k->next = r.offset + 1;
    return more < 0 ? -1 : 0;
}

static int take_batches(struct embedded_consumer *c, struct cursor *k, const struct buf *bytes, struct aborted *aborted, struct err *err) {
    struct batch_header h;
    for (size_t at = 0; at < bytes->n && c->left; at += batch_size(&h)) {
        if (batch_read_header(bytes->p + at, bytes->n - at, &h)) return err_set(err, ERR_CORRUPT, "%s-%d: a batch is cut short", k->name, k->index);
        if (h.attributes & BATCH_CONTROL) end_aborted(aborted, &h);
        else if (!is_aborted(aborted, &h) && take_batch(c, k, bytes->p + at, batch_size(&h), err)) return err_wrap(err, "%s-%d", k->name, k->index);
    }
    return 0;
}

static int read_cursor(struct embedded_consumer *c, struct cursor *k, size_t *ret_n, struct err *err) {
    struct read_request rq = {.from = k->next, .max_bytes = c->left, .isolation = READ_COMMITTED};
    struct read_result res;
    struct aborted aborted = {0};
    struct buf *bytes = poll_buf(c);
    size_t slot = c->buf_used - 1;
    *ret_n = 0;
    if (partition_read(k->partition, &rq, bytes, &res, err)) return err->code == ERR_OUT_OF_RANGE ? out_of_range(c, k) : err->code == ERR_NOT_FOUND ? 0 : -1;
    *ret_n = res.n;
    if (!res.n) return 0;
    struct buf stored = c->bufs[slot]; // poll_buf may move the array, not the bytes
    if (partition_aborted(k->partition, k->next, res.next, &aborted.list, &aborted.n, err)) return -1;
    int failed = take_batches(c, k, &stored, &aborted, err);
    free(aborted.list);
    if (!failed && c->left) k->next = res.next; // all of it was looked at
    return failed;
}

static void on_watch(void *arg) {
    struct cursor *k = arg;
    atomic_store(&k->armed, false);
    wake_signal(k->consumer->wake);
}

static void arm(struct cursor *k) {
    if (atomic_load(&k->armed)) return;
    if (k->watch.partition) partition_unwatch(&k->watch); // fired: only to be sure that fn has returned
    k->watch = (struct watch){.partition = k->partition, .beyond = k->next, .isolation = READ_COMMITTED, .fn = on_watch, .arg = k};
    atomic_store(&k->armed, true);
    partition_watch(&k->watch);
}

static int gather(struct embedded_consumer *c, size_t max_bytes, struct err *err) {
    size_t start = c->turn++;
    begin_poll(c);
    c->left = max_bytes ? max_bytes : 1;
    for (size_t i = 0; i < c->n && c->left; i++) {
        struct cursor *k = c->cursors[(start + i) % c->n];
        size_t n;
        if (k->paused || atomic_load(&k->armed)) continue;
        if (read_cursor(c, k, &n, err)) return -1;
        if (!n) arm(k);
    }
    for (size_t i = 0; i < c->out_n; i++) c->out[i].headers = c->headers + c->header_at[i];
    return 0;
}

int embedded_poll(struct consumer *consumer, size_t max_bytes, int64_t timeout_ms, const struct consumed **ret, struct err *err) {
    struct embedded_consumer *c = consumer_of(consumer);
    int64_t end = clock_mono_ms(c->e->clock) + timeout_ms;
    for (;;) {
        int changed = update_assignment(c, err);
        if (changed) return changed < 0 ? -1 : 0;
        if (gather(c, max_bytes, err)) return -1;
        int64_t left = end - clock_mono_ms(c->e->clock);
        *ret = c->out;
        if (c->out_n || left <= 0) return (int)c->out_n;
        struct pollfd fd = {.fd = c->wake, .events = POLLIN};
        bool woken = poll(&fd, 1, (int)(left < LOOK_AGAIN_MS ? left : LOOK_AGAIN_MS)) > 0;
        if (!woken) continue;
        wake_drain(c->wake);
        end = clock_mono_ms(c->e->clock); // one more look, then back to the caller
    }
}

// ── the rest ─────────────────────────────────────────────────────────────────────────────────────────────────────────

int embedded_consumer_open(struct backend *b, const struct consumer_options *o, struct consumer **ret, struct err *err) {
    struct embedded *e = embedded_of(b);
    struct embedded_consumer *c = xcalloc(1, sizeof(*c));
    *c = (struct embedded_consumer){.e = e, .options = *o, .group = o->group ? xstrdup(o->group) : NULL, .wake = -1, .generation = UINT64_MAX};
    if (subscription_init(&c->want, o, err) || (c->wake = wake_open(err)) < 0) {
        subscription_done(&c->want);
        free(c->group);
        free(c);
        return -1;
    }
    LOCK_SCOPE(&e->mutex);
    c->next = e->consumers;
    e->consumers = c;
    *ret = (struct consumer *)(void *)c;
    return 0;
}

void embedded_consumer_close(struct consumer *consumer) {
    struct embedded_consumer *c = consumer_of(consumer);
    {
        LOCK_SCOPE(&c->e->mutex);
        struct embedded_consumer **at = &c->e->consumers;
        while (*at != c) at = &(*at)->next;
        *at = c->next;
    }
    for (size_t i = 0; i < c->n; i++) cursor_free(c->cursors[i]);
    for (size_t i = 0; i < c->buf_count; i++) buf_done(&c->bufs[i]);
    subscription_done(&c->want);
    close(c->wake);
    free(c->cursors);
    free(c->bufs);
    free(c->out);
    free(c->headers);
    free(c->header_at);
    free(c->group);
    free(c);
}

int embedded_wake_fd(struct consumer *c) { return consumer_of(c)->wake; }

int embedded_seek(struct consumer *consumer, const char *topic, int32_t partition, int64_t offset, struct err *err) {
    struct cursor *k = cursor_find(consumer_of(consumer), topic, partition);
    if (!k) return err_set(err, ERR_NOT_FOUND, "partition %s-%d: not assigned", topic, partition);
    disarm(k);
    k->next = offset;
    return 0;
}

void embedded_pause(struct consumer *consumer, const char *topic, int32_t partition, bool paused) {
    struct cursor *k = cursor_find(consumer_of(consumer), topic, partition);
    if (k) k->paused = paused;
}

int embedded_assignment(struct consumer *consumer, int (*each)(void *, const char *, int32_t, int64_t, int64_t), void *arg) {
    struct embedded_consumer *c = consumer_of(consumer);
    for (size_t i = 0; i < c->n; i++) {
        struct partition_offsets o;
        partition_offsets(c->cursors[i]->partition, &o);
        int r = each(arg, c->cursors[i]->name, c->cursors[i]->index, c->cursors[i]->next, o.last_stable);
        if (r) return r;
    }
    return 0;
}

int embedded_fetch(struct backend *b, const char *topic, int32_t partition, int64_t offset, void (*each)(void *, const struct consumed *), void *arg,
                   struct err *err) {
    struct consumer_options o = {.topics = &topic, .topic_count = 1, .from_beginning = true};
    struct consumer *opened;
    if (embedded_consumer_open(b, &o, &opened, err)) return -1;
    struct embedded_consumer *c = consumer_of(opened);
    int found = -1;
    if (update_assignment(c, err) >= 0) {
        struct cursor *k = cursor_find(c, topic, partition);
        size_t n = 0;
        int failed = 0;
        begin_poll(c);
        c->left = 1;
        if (k) k->next = offset, failed = read_cursor(c, k, &n, err);
        for (size_t i = 0; i < c->out_n && found && !failed; i++) {
            if (c->out[i].offset != offset) continue;
            c->out[i].headers = c->headers + c->header_at[i];
            each(arg, &c->out[i]);
            found = 0;
        }
        if (found && !failed) err_set(err, ERR_NOT_FOUND, "record %s-%d@%lld: not in the log", topic, partition, (long long)offset);
    }
    embedded_consumer_close(opened);
    return found;
}
