// SPDX-License-Identifier: Apache-2.0
// Consuming from the store: a cursor for each partition, read in turn.
//
//   cursor:  READY ── read ──► has bytes (whole batches) ── handed out in parts ──► READY │ nothing there ──► WAITING (a watch)
//              ▲                                                                                                  │
//              └──────────────── the watch fires, in the flusher: back into the queue, the poll is woken ◄────────┘
//
// Handed-out records point into the cursor's bytes, which are read anew only by a later poll. A compressed batch is expanded into
// the cursor's scratch, so at most one of a cursor is handed out by one poll.
#include <poll.h>
#include <unistd.h>

#include "backend/subscription.h"
#include "base/mem.h"
#include "base/thread.h"
#include "embedded_int.h"

enum {
    REFRESH_MS = 1000,      // how often topics are looked at that others made
    READ_LEAST = 64 << 10,  // of one cursor's turn
    BATCH_MOST = 256 << 20, // a batch may expand to
    KEPT_BYTES = 64 << 10,  // a cursor's buffers above this are given back when they are empty
    RECORD_COST = 64,       // counted beside a record's key and value
};

enum cursor_state { READY, TAKEN, WAITING, IDLE }; // in the queue; in the hands of poll; watched; paused
struct cursor {
    struct embedded_consumer *c;
    struct topic *topic;
    struct partition *partition;
    int32_t index;
    int64_t next;           // the next offset to hand out
    bool paused;
    enum cursor_state state; // guarded by the consumer's lock
    struct cursor *queued;
    struct watch watch;
    struct buf bytes, scratch;
    size_t at;              // of the next batch in bytes
    bool in_batch, used_scratch;
    struct record_iter it;
    int64_t batch_end;      // offset after the batch
    struct aborted_txn *aborted;
    size_t aborted_n;
};

struct embedded_consumer {
    struct embedded *e;
    struct embedded_consumer *next; // of the backend's
    struct subscription want;
    struct consumer_options options;
    char *group;
    int wake;
    struct cursor **cursors;
    size_t n, cap;
    uint64_t generation;
    int64_t refreshed_ms;
    struct map names;               // topic → its interned name
    pthread_mutex_t lock;           // guards the queue and the cursors' state
    struct cursor *first, **last;
    struct consumed *out;
    size_t out_n, out_cap;
    struct arena headers;
};

static struct embedded_consumer *consumer_of(struct consumer *c) { return (struct embedded_consumer *)(void *)c; }

// ── the queue ──

// Under the lock.
static void enqueue(struct embedded_consumer *c, struct cursor *k) {
    k->state = READY;
    k->queued = NULL;
    *c->last = k;
    c->last = &k->queued;
}

static struct cursor *take(struct embedded_consumer *c) {
    LOCK_SCOPE(&c->lock);
    struct cursor *k = c->first;
    if (!k) return NULL;
    c->first = k->queued;
    if (!c->first) c->last = &c->first;
    k->state = TAKEN;
    return k;
}

static size_t queue_length(struct embedded_consumer *c) {
    LOCK_SCOPE(&c->lock);
    size_t n = 0;
    for (const struct cursor *k = c->first; k; k = k->queued) n++;
    return n;
}

static void give_back(struct embedded_consumer *c, struct cursor *k) {
    LOCK_SCOPE(&c->lock);
    if (k->paused) k->state = IDLE;
    else enqueue(c, k);
}

// [flusher, or the task's thread while it arms the watch]
static void on_watch(void *arg) {
    struct cursor *k = arg;
    struct embedded_consumer *c = k->c;
    LOCK_SCOPE(&c->lock);
    if (k->state != WAITING) return;
    bool first = !c->first;
    enqueue(c, k);
    if (first) wake_signal(c->wake);
}

static void wait_for_more(struct embedded_consumer *c, struct cursor *k) {
    {
        LOCK_SCOPE(&c->lock);
        k->state = WAITING;
    }
    k->watch = (struct watch){.partition = k->partition, .beyond = k->next, .isolation = READ_COMMITTED, .fn = on_watch, .arg = k};
    partition_watch(&k->watch);
}

// Takes the cursor out of wherever it is, so that its place may change.
static void detach(struct embedded_consumer *c, struct cursor *k) {
    enum cursor_state was;
    {
        LOCK_SCOPE(&c->lock);
        was = k->state;
        k->state = TAKEN; // a watch that fires now does nothing
        for (struct cursor **at = &c->first; was == READY && *at; at = &(*at)->queued)
            if (*at == k) {
                *at = k->queued;
                if (c->last == &k->queued) c->last = at;
                break;
            }
    }
    if (was == WAITING) partition_unwatch(&k->watch);
}

// ── cursors ──

static void drop_bytes(struct cursor *k) {
    k->in_batch = false;
    k->at = 0;
    buf_clear(&k->bytes);
    if (k->bytes.cap > KEPT_BYTES) buf_done(&k->bytes);
    if (k->scratch.cap > KEPT_BYTES) buf_done(&k->scratch);
    free(k->aborted);
    k->aborted = NULL;
    k->aborted_n = 0;
}

static void cursor_free(struct embedded_consumer *c, struct cursor *k) {
    detach(c, k);
    drop_bytes(k);
    buf_done(&k->bytes);
    buf_done(&k->scratch);
    topic_unref(k->topic);
    free(k);
}

// Every name is kept once, as long as the consumer, because records point to it.
static const char *intern(struct embedded_consumer *c, const char *name) {
    char *kept = map_get(&c->names, str_of(name));
    if (!kept) {
        kept = xstrdup(name);
        map_put(&c->names, str_of(name), kept);
    }
    return kept;
}

static const char *name_of(const struct cursor *k) { return intern(k->c, topic_name(k->topic)); }

static struct cursor *cursor_find(struct embedded_consumer *c, const char *topic, int32_t partition) {
    for (size_t i = 0; i < c->n; i++)
        if (c->cursors[i]->index == partition && strcmp(topic_name(c->cursors[i]->topic), topic) == 0) return c->cursors[i];
    return NULL;
}

static int start_of(struct embedded_consumer *c, const char *topic, int32_t partition, struct partition *p, int64_t *ret, struct err *err) {
    struct partition_offsets o;
    int64_t committed = -1;
    if (c->group && offsets_get(c->e->offsets, c->group, topic, partition, &committed, err) != 0) return -1;
    partition_offsets(p, &o);
    *ret = committed >= 0 ? committed : c->options.from_beginning ? o.log_start : o.last_stable;
    return 0;
}

static int assign(struct embedded_consumer *c, struct topic *t, int32_t index, struct err *err) {
    const char *name = intern(c, topic_name(t));
    struct cursor *k = xcalloc(1, sizeof(*k));
    *k = (struct cursor){.c = c, .topic = topic_get(c->e->store, name), .index = index, .state = TAKEN};
    k->partition = k->topic ? topic_partition(k->topic, index) : NULL;
    if (!k->partition) { // deleted meanwhile
        topic_unref(k->topic);
        free(k);
        return 0;
    }
    VEC_PUSH(c->cursors, c->n, c->cap, k);
    if (start_of(c, name, index, k->partition, &k->next, err) != 0) return -1;
    if (c->options.assigned && c->options.assigned(c->options.arg, &(struct assigned){name, index, topic_id(k->topic)}, &k->next, err) != 0) return -1;
    if (c->group) embedded_hold(c->e, c->group, name, index, k->next);
    give_back(c, k);
    return 1;
}

// ── the assignment ──

struct listing { struct topic **items; size_t n, cap; struct embedded_consumer *c; };
static int list_topic(void *arg, struct topic *t) {
    struct listing *l = arg;
    // By name again, because a handle of this call is borrowed.
    struct topic *own = topic_get(l->c->e->store, topic_name(t));
    if (own) VEC_PUSH(l->items, l->n, l->cap, own);
    return 0;
}

static int assign_new(struct embedded_consumer *c, const struct listing *l, struct err *err) {
    int changed = 0;
    for (size_t i = 0; i < l->n; i++) {
        const char *name = topic_name(l->items[i]);
        if (!subscription_has_topic(&c->want, name)) continue;
        for (int32_t p = 0; p < topic_partitions(l->items[i]); p++) {
            if (!subscription_has_partition(&c->want, name, p) || cursor_find(c, name, p)) continue;
            int r = assign(c, l->items[i], p, err);
            if (r < 0) return -1;
            changed |= r;
        }
    }
    return changed;
}

static bool is_listed(const struct listing *l, const struct topic *t) {
    for (size_t i = 0; i < l->n; i++)
        if (l->items[i] == t) return true;
    return false;
}

static int revoke_gone(struct embedded_consumer *c, const struct listing *l) {
    size_t kept = 0;
    for (size_t i = 0; i < c->n; i++) {
        struct cursor *k = c->cursors[i];
        if (is_listed(l, k->topic)) {
            c->cursors[kept++] = k;
            continue;
        }
        if (c->options.revoked) c->options.revoked(c->options.arg, name_of(k), k->index);
        cursor_free(c, k);
    }
    int changed = kept != c->n;
    c->n = kept;
    return changed;
}

static int by_name(const void *a, const void *b) {
    return strcmp(topic_name(*(struct topic *const *)a), topic_name(*(struct topic *const *)b));
}

// 1 something changed and was told, 0, or -1.
static int refresh(struct embedded_consumer *c, struct err *err) {
    int64_t now = clock_mono_ms(c->e->clock);
    uint64_t generation = atomic_load(&c->e->generation);
    if (generation == c->generation && now - c->refreshed_ms < REFRESH_MS) return 0;
    c->generation = generation;
    c->refreshed_ms = now;
    struct listing l = {.c = c};
    store_topics(c->e->store, list_topic, &l);
    if (l.n) qsort(l.items, l.n, sizeof(*l.items), by_name);
    int changed = revoke_gone(c, &l), fresh = assign_new(c, &l, err);
    for (size_t i = 0; i < l.n; i++) topic_unref(l.items[i]);
    free(l.items);
    return fresh < 0 ? -1 : changed | fresh;
}

// ── reading ──

static bool is_aborted(struct cursor *k, const struct batch_header *h, const void *p, size_t n) {
    struct batch_marker m;
    bool ends = h->attributes & BATCH_CONTROL && batch_marker_read(p, n, &m) == 0 && !m.commit_txn;
    if (!(h->attributes & BATCH_TRANSACTIONAL)) return false;
    for (size_t i = 0; i < k->aborted_n; i++) {
        if (k->aborted[i].producer_id != h->producer_id || k->aborted[i].first_offset > h->base_offset) continue;
        if (ends) k->aborted[i].producer_id = -1; // its transaction ends here
        return true;
    }
    return false;
}

// Opens the next batch with records to hand out: 1; 0 none left; -1. `fresh`: nothing of this poll points into the scratch.
static int next_batch(struct cursor *k, bool fresh, struct err *err) {
    while (k->at < k->bytes.n) {
        struct batch_header h;
        const uint8_t *p = k->bytes.p + k->at;
        if (batch_read_header(p, k->bytes.n - k->at, &h) != 0)
            return err_set(err, ERR_CORRUPT, "%s-%d: offset %lld: no whole batch", topic_name(k->topic), k->index, (long long)k->next);
        size_t n = batch_size(&h);
        int64_t end = batch_last_offset(&h) + 1;
        bool compressed = h.attributes & BATCH_CODEC_MASK;
        if (compressed && !fresh && k->used_scratch) return 0; // in the next poll
        if (is_aborted(k, &h, p, n) || h.attributes & BATCH_CONTROL || end <= k->next) {
            k->at += n;
            if (end > k->next) k->next = end;
            continue;
        }
        if (record_iter_init(&k->it, p, n, &k->scratch, BATCH_MOST, err) != 0) return err_wrap(err, "%s-%d", topic_name(k->topic), k->index);
        k->at += n;
        k->used_scratch |= compressed;
        k->in_batch = true;
        k->batch_end = end;
        return 1;
    }
    return 0;
}

static void copy_headers(struct embedded_consumer *c, struct record *r, struct consumed *to) {
    if (!r->header_count) return;
    struct backend_header *h = arena_alloc(&c->headers, r->header_count * sizeof(*h));
    struct record_header one;
    to->headers = h;
    while (to->header_count < r->header_count && record_header_next(r, &one))
        h[to->header_count++] = (struct backend_header){one.name, one.value, one.null_value};
}

static void hand_out(struct embedded_consumer *c, struct cursor *k, const char *name, struct record *r) {
    struct consumed one = {.topic = name, .partition = k->index, .offset = r->offset, .timestamp = r->timestamp, .key = r->key, .value = r->value};
    copy_headers(c, r, &one);
    VEC_PUSH(c->out, c->out_n, c->out_cap, one);
}

// Hands out what the cursor has, up to max bytes. Returns the bytes, -1 failed.
static int64_t drain(struct embedded_consumer *c, struct cursor *k, size_t max, struct err *err) {
    const char *name = name_of(k);
    size_t bytes = 0, first = c->out_n;
    k->used_scratch = k->in_batch; // the scratch may hold the rest of a batch
    while (bytes < max) {
        struct record r;
        int got = k->in_batch ? record_iter_next(&k->it, &r, err) : 0;
        if (got < 0) return err_wrap(err, "%s-%d", name, k->index);
        if (got > 0 && r.offset < k->next) continue;
        if (got > 0) {
            hand_out(c, k, name, &r);
            k->next = r.offset + 1;
            bytes += r.key.n + r.value.n + RECORD_COST;
            continue;
        }
        if (k->in_batch) k->next = k->batch_end;
        k->in_batch = false;
        got = next_batch(k, c->out_n == first, err);
        if (got < 0) return -1;
        if (!got) break;
    }
    return (int64_t)bytes;
}

// Out of range: below the log's start it was deleted (on_lost tells whom it concerns), above its end the topic is another one.
static int go_to_start(struct cursor *k) {
    struct partition_offsets o;
    partition_offsets(k->partition, &o);
    if (k->next == o.log_start) return 0;
    k->next = o.log_start;
    return 1;
}

// Reads whole batches: 1 something, 0 nothing there, -1.
static int read_more(struct cursor *k, size_t max, struct err *err) {
    const struct read_request r = {.from = k->next, .max_bytes = max, .isolation = READ_COMMITTED};
    struct read_result got;
    drop_bytes(k);
    if (partition_read(k->partition, &r, &k->bytes, &got, err) != 0) {
        if (err->code == ERR_NOT_FOUND) return 0; // deleted: the next refresh takes it away
        if (err->code != ERR_OUT_OF_RANGE || !go_to_start(k)) return -1;
        return read_more(k, max, err);
    }
    if (!got.n) return 0;
    if (partition_aborted(k->partition, k->next, got.next, &k->aborted, &k->aborted_n, err) == 0) return 1;
    drop_bytes(k); // nobody could tell what of it is aborted
    return -1;
}

// One cursor's turn. The bytes handed out; -1 failed. The cursor is where it belongs afterwards.
static int64_t turn(struct embedded_consumer *c, struct cursor *k, size_t max, struct err *err) {
    int64_t n = 0;
    while (n == 0) {
        bool has = k->in_batch || k->at < k->bytes.n;
        int got = has ? 1 : read_more(k, max, err);
        if (got > 0) n = drain(c, k, max, err);
        if (got < 0 || n < 0) {
            give_back(c, k);
            return -1;
        }
        if (!got) {
            wait_for_more(c, k);
            return 0;
        }
    }
    give_back(c, k);
    return n;
}

// Gives every ready cursor a turn until max bytes are there.
static int gather(struct embedded_consumer *c, size_t max, struct err *err) {
    size_t turns = queue_length(c), share = turns ? max / turns : max, bytes = 0;
    c->out_n = 0;
    arena_reset(&c->headers);
    if (share < READ_LEAST) share = READ_LEAST;
    for (; turns > 0 && bytes < max; turns--) {
        struct cursor *k = take(c);
        if (!k) break;
        int64_t n = turn(c, k, share < max - bytes ? share : max - bytes, err);
        if (n < 0) return c->out_n ? (int)c->out_n : -1; // what came before is good; the next poll says so
        bytes += (size_t)n;
    }
    return (int)c->out_n;
}

int embedded_poll(struct consumer *consumer, size_t max_bytes, int64_t timeout_ms, const struct consumed **ret, struct err *err) {
    struct embedded_consumer *c = consumer_of(consumer);
    for (int attempt = 0;; attempt++) {
        int changed = refresh(c, err);
        if (changed) return changed < 0 ? -1 : 0;
        int n = gather(c, max_bytes, err);
        if (n < 0) return -1;
        *ret = c->out;
        if (n || attempt) return n;
        int64_t left = c->refreshed_ms + REFRESH_MS - clock_mono_ms(c->e->clock);
        struct pollfd fd = {.fd = c->wake, .events = POLLIN};
        poll(&fd, 1, (int)(timeout_ms < left ? timeout_ms : left > 0 ? left : 0));
        wake_drain(c->wake);
    }
}

// ── life and the rest ──

int embedded_consumer_open(struct backend *b, const struct consumer_options *o, struct consumer **ret, struct err *err) {
    struct embedded *e = embedded_of(b);
    if (o->group && offsets_check(e->offsets, o->group, err) != 0) return -1;
    struct embedded_consumer *c = xcalloc(1, sizeof(*c));
    *c = (struct embedded_consumer){.e = e, .options = *o, .group = o->group ? xstrdup(o->group) : NULL, .wake = -1, .refreshed_ms = INT64_MIN / 2};
    c->last = &c->first;
    if (subscription_init(&c->want, o, err) != 0 || (c->wake = wake_open(err)) < 0) {
        subscription_done(&c->want);
        free(c->group);
        free(c);
        return -1;
    }
    pthread_mutex_init(&c->lock, NULL);
    LOCK_SCOPE(&e->lock);
    c->next = e->consumers;
    e->consumers = c;
    *ret = (struct consumer *)(void *)c;
    return 0;
}

void embedded_consumer_close(struct consumer *consumer) {
    struct embedded_consumer *c = consumer_of(consumer);
    {
        LOCK_SCOPE(&c->e->lock);
        struct embedded_consumer **at = &c->e->consumers;
        while (*at != c) at = &(*at)->next;
        *at = c->next;
    }
    for (size_t i = 0; i < c->n; i++) cursor_free(c, c->cursors[i]);
    subscription_done(&c->want);
    map_done(&c->names, free);
    arena_done(&c->headers);
    pthread_mutex_destroy(&c->lock);
    close(c->wake);
    free(c->cursors);
    free(c->out);
    free(c->group);
    free(c);
}

void embedded_topics_changed(struct embedded *e) {
    LOCK_SCOPE(&e->lock);
    atomic_fetch_add(&e->generation, 1);
    for (struct embedded_consumer *c = e->consumers; c; c = c->next) wake_signal(c->wake);
}

int embedded_wake_fd(struct consumer *c) { return consumer_of(c)->wake; }

int embedded_seek(struct consumer *consumer, const char *topic, int32_t partition, int64_t offset, struct err *err) {
    struct embedded_consumer *c = consumer_of(consumer);
    struct cursor *k = cursor_find(c, topic, partition);
    if (!k) return err_set(err, ERR_NOT_FOUND, "partition %s-%d: not assigned", topic, partition);
    detach(c, k);
    drop_bytes(k);
    k->next = offset;
    give_back(c, k);
    return 0;
}

void embedded_pause(struct consumer *consumer, const char *topic, int32_t partition, bool paused) {
    struct embedded_consumer *c = consumer_of(consumer);
    struct cursor *k = cursor_find(c, topic, partition);
    if (!k || k->paused == paused) return;
    detach(c, k);
    k->paused = paused;
    give_back(c, k);
}

int embedded_assignment(struct consumer *consumer, int (*each)(void *, const char *, int32_t, int64_t, int64_t), void *arg) {
    struct embedded_consumer *c = consumer_of(consumer);
    for (size_t i = 0; i < c->n; i++) {
        struct partition_offsets o;
        partition_offsets(c->cursors[i]->partition, &o);
        int r = each(arg, name_of(c->cursors[i]), c->cursors[i]->index, c->cursors[i]->next, o.last_stable);
        if (r) return r;
    }
    return 0;
}

static int fetch_one(struct embedded *e, struct topic *t, int32_t partition, int64_t offset, void (*each)(void *, const struct consumed *), void *arg, struct err *err) {
    struct embedded_consumer c = {.e = e};
    struct cursor k = {.c = &c, .topic = t, .partition = topic_partition(t, partition), .index = partition, .next = offset};
    const char *name = topic_name(t);
    if (!k.partition) return err_set(err, ERR_NOT_FOUND, "partition %s-%d: does not exist", name, partition);
    int r = read_more(&k, 1, err);
    if (r > 0) r = next_batch(&k, true, err);
    struct record record;
    while (r > 0 && (r = record_iter_next(&k.it, &record, err)) > 0 && record.offset < offset) {}
    if (r > 0 && record.offset == offset) {
        hand_out(&c, &k, name, &record);
        each(arg, c.out);
    } else if (r >= 0) {
        r = err_set(err, ERR_NOT_FOUND, "record %s-%d@%lld: not in the log", name, partition, (long long)offset);
    }
    drop_bytes(&k);
    buf_done(&k.bytes);
    buf_done(&k.scratch);
    arena_done(&c.headers);
    free(c.out);
    return r > 0 ? 0 : -1;
}

int embedded_fetch(struct backend *b, const char *topic, int32_t partition, int64_t offset, void (*each)(void *, const struct consumed *), void *arg, struct err *err) {
    struct embedded *e = embedded_of(b);
    struct topic *t = topic_get(e->store, topic);
    if (!t) return err_set(err, ERR_NOT_FOUND, "topic %s: does not exist", topic);
    int r = fetch_one(e, t, partition, offset, each, arg, err);
    topic_unref(t);
    return r;
}
