// SPDX-License-Identifier: Apache-2.0
// Producing into the log.
//
//   add ─► builders (a chain of batches for each partition, unfinished) ── commit ─► one atomic commit of the store
//                     └── more than fits one frame: flush, as part of a transaction ──┘      … whose end it then is
//
// Batches are finished only when they are handed over, because only then it is known whether they belong to a transaction.
// What was handed over waits in a queue until it is told: in order, once, by whoever completes its head.
#include <stdio.h>

#include "backend/embedded_int.h"
#include "backend/subscription.h"
#include "store/batch.h"

enum { BATCH_TARGET = 1 << 20, UNDER_WAY_MAX = 48 << 20, SPARE_BUFFERS = 8 };

// One batch being built.
struct building {
    struct building *next;
    struct buf bytes;
    struct batch_builder b;
};

// A partition the open commit has records for.
struct target {
    struct topic *topic;     // referenced
    struct partition *partition;
    struct building *first, *last;
    size_t max_message;
    enum codec codec;
    bool append_time;
};

// A topic a producer has met: its partitions' targets, made when needed.
struct known_topic {
    struct topic *topic; // referenced
    int32_t n;
    struct target *targets;
};

// A commit handed over.
struct handed {
    struct handed *next;
    struct embedded_producer *producer;
    struct commit *commit;
    struct kvmap_change *positions;
    struct offsets_change *offsets;
    char *group;
    struct backend_offset *holds;
    size_t hold_count, bytes;
    producer_done *done;     // NULL: a part of a transaction
    void *arg;
    bool finished, told;
    struct err err;          // code NONE: durable
};

struct embedded_producer {
    struct embedded *e;
    struct txn *txn;
    struct map topics;       // name → struct known_topic
    struct known_topic *latest;
    struct target **dirty;   // targets with records, in the order they came
    size_t dirty_count, dirty_cap;
    size_t open_bytes;       // in the builders
    uint32_t commits;        // where records without a key go: another partition each commit
    struct building *spare;
    size_t spare_count;
    struct err broken;       // of a flush that could not be made: the open commit can not end well
    pthread_mutex_t mutex;   // guards all below
    pthread_cond_t idle;
    struct handed *first, **last;
    size_t under_way_bytes;
    size_t under_way;        // handed to the store and not finished
    bool telling;
};

static struct embedded_producer *producer_of(struct producer *p) { return (struct embedded_producer *)(void *)p; }

// ── building ─────────────────────────────────────────────────────────────────────────────────────────────────────────

static struct known_topic *learn_topic(struct embedded_producer *p, struct str name, struct err *err) {
    _cleanup_free_ char *z = str_dup(name);
    struct topic *t = topic_get(p->e->store, z);
    if (!t) return err_set(err, ERR_NOT_FOUND, "topic %s: there is none", z), NULL;
    struct known_topic *k = xcalloc(1, sizeof(*k));
    *k = (struct known_topic){.topic = t, .n = topic_partitions(t)};
    k->targets = xcalloc((size_t)k->n, sizeof(*k->targets));
    map_put(&p->topics, name, k);
    return k;
}

static struct known_topic *topic_of(struct embedded_producer *p, struct str name, struct err *err) {
    if (p->latest && str_eqz(name, topic_name(p->latest->topic))) return p->latest;
    struct known_topic *k = map_get(&p->topics, name);
    if (!k) k = learn_topic(p, name, err);
    if (k) p->latest = k;
    return k;
}

static struct target *target_of(const struct embedded_producer *p, struct known_topic *k, const struct backend_record *r, struct err *err) {
    int32_t index = r->partition >= 0 ? r->partition : partition_for(r->key, k->n, p->commits);
    if (index >= k->n) return err_set(err, ERR_NOT_FOUND, "partition %s-%d: the topic has %d", topic_name(k->topic), index, k->n), NULL;
    struct target *t = &k->targets[index];
    if (t->partition) return t;
    bool set;
    uint64_t max = 0;
    str_to_u64(str_of(topic_setting_get(k->topic, "max.message.bytes", &set)), &max);
    const char *codec = topic_setting_get(k->topic, "compression.type", &set);
    *t = (struct target){.topic = k->topic, .partition = topic_partition(k->topic, index), .max_message = max};
    if (codec_by_name(str_of(codec), &t->codec)) t->codec = CODEC_NONE; // "producer": as it comes
    return t;
}

static struct building *building_new(struct embedded_producer *p, struct target *t) {
    struct building *g = p->spare;
    if (g) {
        p->spare = g->next;
        p->spare_count--;
        g->next = NULL;
    } else {
        g = xcalloc(1, sizeof(*g));
    }
    batch_begin(&g->b, &g->bytes, t->codec);
    if (t->last) t->last->next = g;
    else t->first = g;
    t->last = g;
    return g;
}

static void building_free(struct embedded_producer *p, struct building *g) {
    if (p->spare_count < SPARE_BUFFERS && g->bytes.cap <= 4 * BATCH_TARGET) {
        buf_clear(&g->bytes);
        g->next = p->spare;
        p->spare = g;
        p->spare_count++;
        return;
    }
    buf_done(&g->bytes);
    free(g);
}

static size_t record_bytes(const struct backend_record *r) {
    size_t n = BATCH_MAX_OVERHEAD + r->key.n + r->value.n;
    for (uint32_t i = 0; i < r->header_count; i++) n += 10 + r->headers[i].name.n + r->headers[i].value.n;
    return n;
}

static void put_record(struct embedded_producer *p, struct target *t, const struct backend_record *r, size_t bytes) {
    size_t limit = t->max_message < BATCH_TARGET ? t->max_message : BATCH_TARGET;
    struct building *g = t->last;
    if (!g) {
        VEC_PUSH(p->dirty, p->dirty_count, p->dirty_cap, t);
        g = building_new(p, t);
    } else if (g->b.count && g->bytes.n + bytes > limit) {
        g = building_new(p, t);
    }
    _Static_assert(sizeof(struct backend_header) == sizeof(struct record_header_in), "headers are handed through");
    batch_add(&g->b, r->timestamp, r->key, r->value, (const struct record_header_in *)(const void *)r->headers, r->header_count);
    p->open_bytes += bytes;
}

// ── handing over ─────────────────────────────────────────────────────────────────────────────────────────────────────

static void handed_free(struct handed *h, const struct err *why) {
    kvmap_settle(h->positions, why);
    offsets_settle(h->offsets, why);
    for (size_t i = 0; i < h->hold_count; i++) free((char *)(uintptr_t)h->holds[i].topic);
    free(h->holds);
    free(h->group);
    if (h->commit) commit_free(h->commit);
    free(h);
}

static void settle_durable(struct handed *h) {
    kvmap_settle(h->positions, NULL);
    offsets_settle(h->offsets, NULL);
    h->positions = NULL;
    h->offsets = NULL;
    h->commit = NULL; // the store's, and gone
    for (size_t i = 0; i < h->hold_count; i++)
        embedded_hold(h->producer->e, h->group, h->holds[i].topic, h->holds[i].partition, h->holds[i].offset);
}

// The next to be told: finished, not told yet, and everything before it has been. Under the mutex.
static struct handed *next_to_tell(struct embedded_producer *p) {
    for (struct handed *h = p->first; h; h = h->next)
        if (!h->told) return h->finished ? h : NULL;
    return NULL;
}

static void unlink_head(struct embedded_producer *p) {
    struct handed *h = p->first;
    p->first = h->next;
    if (!p->first) p->last = &p->first;
    p->under_way_bytes -= h->bytes;
    handed_free(h, NULL);
}

// Tells what is finished, in order. One thread at a time: others leave it to the one that is at it.
static void tell(struct embedded_producer *p) {
    pthread_mutex_lock(&p->mutex);
    if (p->telling) {
        pthread_mutex_unlock(&p->mutex);
        return;
    }
    p->telling = true;
    for (struct handed *h; (h = next_to_tell(p));) {
        h->told = true;
        producer_done *done = h->done;
        void *arg = h->arg;
        struct err err = h->err;
        if (err.code == ERR_NONE) settle_durable(h), unlink_head(p); // a durable one is the head: what stays is held after a failure
        pthread_mutex_unlock(&p->mutex);
        if (done) done(arg, err.code == ERR_NONE ? NULL : &err);
        pthread_mutex_lock(&p->mutex);
    }
    p->telling = false;
    pthread_cond_broadcast(&p->idle);
    pthread_mutex_unlock(&p->mutex);
}

static void on_done(void *arg, const struct err *err, const struct append_result *results, size_t n) {
    (void)results, (void)n;
    struct handed *h = arg;
    struct embedded_producer *p = h->producer;
    pthread_mutex_lock(&p->mutex);
    h->finished = true;
    if (err) h->err = *err;
    p->under_way--;
    pthread_mutex_unlock(&p->mutex);
    tell(p);
}

static void submit(struct embedded_producer *p, struct handed *h) {
    pthread_mutex_lock(&p->mutex);
    h->finished = h->told = false;
    h->err = (struct err){0};
    p->under_way++;
    pthread_mutex_unlock(&p->mutex);
    commit_keep(h->commit);
    txn_submit(p->txn, h->commit, false, on_done, h);
}

static struct handed *handed_new(struct embedded_producer *p, producer_done *done, void *arg) {
    struct handed *h = xcalloc(1, sizeof(*h));
    *h = (struct handed){.producer = p, .commit = commit_new(p->e->store), .done = done, .arg = arg};
    return h;
}

static void enqueue(struct embedded_producer *p, struct handed *h) {
    pthread_mutex_lock(&p->mutex);
    *p->last = h;
    p->last = &h->next;
    h->bytes = commit_bytes(h->commit);
    p->under_way_bytes += h->bytes;
    pthread_mutex_unlock(&p->mutex);
    submit(p, h);
}

// A commit that could not even be put together fails in its turn.
static void enqueue_failed(struct embedded_producer *p, struct handed *h, const struct err *why) {
    pthread_mutex_lock(&p->mutex);
    *p->last = h;
    p->last = &h->next;
    h->finished = true;
    h->err = *why;
    pthread_mutex_unlock(&p->mutex);
    tell(p);
}

// ── finishing batches ────────────────────────────────────────────────────────────────────────────────────────────────

static int finish_batch(struct embedded_producer *p, struct target *t, struct building *g, struct commit *c, bool in_txn, struct err *err) {
    if (in_txn) txn_stamp(p->txn, &g->b, t->partition);
    if (batch_end(&g->b, err)) return -1;
    if (in_txn) return txn_append(p->txn, c, t->partition, &g->bytes, err);
    return commit_append(c, t->partition, &g->bytes, true, err);
}

// All builders into the commit. After a failure the open commit is broken, and only abort helps.
static int finish_all(struct embedded_producer *p, struct commit *c, bool in_txn, struct err *err) {
    int failed = 0;
    for (size_t i = 0; i < p->dirty_count; i++) {
        struct target *t = p->dirty[i];
        for (struct building *g = t->first, *next; g; g = next) {
            next = g->next;
            if (!failed) failed = finish_batch(p, t, g, c, in_txn, err);
            building_free(p, g);
        }
        t->first = t->last = NULL;
    }
    p->dirty_count = 0;
    p->open_bytes = 0;
    return failed;
}

static int flush_part(struct embedded_producer *p, struct err *err) {
    struct handed *h = handed_new(p, NULL, NULL);
    if (finish_all(p, h->commit, true, err)) {
        p->broken = *err;
        handed_free(h, err);
        return -1;
    }
    enqueue(p, h);
    return 0;
}

static bool crowded(struct embedded_producer *p) {
    LOCK_SCOPE(&p->mutex);
    return p->under_way_bytes > UNDER_WAY_MAX;
}

int embedded_add(struct producer *producer, const struct backend_record *r, struct err *err) {
    struct embedded_producer *p = producer_of(producer);
    struct known_topic *k = topic_of(p, r->topic, err);
    struct target *t = k ? target_of(p, k, r, err) : NULL;
    if (!t) return -1;
    if (p->broken.code) return *err = p->broken, -1;
    size_t bytes = record_bytes(r);
    if (bytes > t->max_message)
        return err_set(err, ERR_TOO_LARGE, "record of %zu bytes for topic %s, whose max.message.bytes is %zu", bytes, topic_name(t->topic), t->max_message);
    if (p->open_bytes && p->open_bytes + bytes > p->e->commit_max) {
        if (crowded(p)) return err_set(err, ERR_AGAIN, "%d bytes are on their way to the log", UNDER_WAY_MAX);
        if (flush_part(p, err)) return -1;
    }
    put_record(p, t, r, bytes);
    return 0;
}

size_t embedded_pending_bytes(struct producer *producer) {
    struct embedded_producer *p = producer_of(producer);
    return p->open_bytes + (size_t)txn_bytes(p->txn);
}

// ── the end of a commit ──────────────────────────────────────────────────────────────────────────────────────────────

static int add_positions(struct handed *h, const char *connector, const struct backend_position *list, size_t n, struct err *err) {
    if (!n) return 0;
    struct kvmap_entry *entries = xcalloc(n, sizeof(*entries));
    for (size_t i = 0; i < n; i++) entries[i] = (struct kvmap_entry){str_of(embedded_position_key(connector, list[i].partition)), list[i].offset};
    int failed = kvmap_append(h->producer->e->positions, h->commit, entries, n, &h->positions, err);
    for (size_t i = 0; i < n; i++) free((char *)(uintptr_t)entries[i].key.p);
    free(entries);
    return failed;
}

static int add_offsets(struct handed *h, const char *group, const struct backend_offset *list, size_t n, struct err *err) {
    if (!n) return 0;
    struct group_offset *all = xcalloc(n, sizeof(*all));
    h->group = xstrdup(group);
    h->holds = xcalloc(n, sizeof(*h->holds));
    for (size_t i = 0; i < n; i++) {
        all[i] = (struct group_offset){.topic = list[i].topic, .partition = list[i].partition, .offset = list[i].offset, .leader_epoch = -1};
        h->holds[h->hold_count++] = (struct backend_offset){xstrdup(list[i].topic), list[i].partition, list[i].offset};
    }
    int failed = offsets_append(h->producer->e->offsets, h->commit, group, all, n, &h->offsets, err);
    free(all);
    return failed;
}

void embedded_commit(struct producer *producer, const char *connector, const struct backend_position *positions, size_t n_positions, const char *group,
                     const struct backend_offset *offsets, size_t n_offsets, producer_done *done, void *arg) {
    struct embedded_producer *p = producer_of(producer);
    struct handed *h = handed_new(p, done, arg);
    struct err err = p->broken;
    p->commits++;
    bool in_txn = txn_is_open(p->txn);
    if (err.code || finish_all(p, h->commit, in_txn, &err) || add_positions(h, connector, positions, n_positions, &err) ||
        add_offsets(h, group, offsets, n_offsets, &err) || (in_txn && txn_end(p->txn, h->commit, &err))) {
        enqueue_failed(p, h, &err);
        return;
    }
    enqueue(p, h);
}

// The held ones, in order; all were told their failure.
void embedded_retry(struct producer *producer) {
    struct embedded_producer *p = producer_of(producer);
    struct err err;
    int failed = txn_retry(p->txn, &err);
    struct handed *h = p->first; // nothing is under way: the queue is this thread's alone
    for (struct handed *next; h; h = next) {
        next = h->next;
        if (!failed) {
            submit(p, h);
            continue;
        }
        pthread_mutex_lock(&p->mutex);
        h->told = false;
        h->err = err;
        pthread_mutex_unlock(&p->mutex);
    }
    if (failed) tell(p);
}

static void drop_open(struct embedded_producer *p) {
    for (size_t i = 0; i < p->dirty_count; i++) {
        struct target *t = p->dirty[i];
        for (struct building *g = t->first, *next; g; g = next) next = g->next, building_free(p, g);
        t->first = t->last = NULL;
    }
    p->dirty_count = 0;
    p->open_bytes = 0;
}

void embedded_abort(struct producer *producer) {
    struct embedded_producer *p = producer_of(producer);
    struct err err;
    drop_open(p);
    p->broken = (struct err){0};
    // A failure shows in the next commit: the producer stays failed.
    if (txn_is_open(p->txn) && txn_abort(p->txn, &err)) p->broken = err;
}

// ── life ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

int embedded_producer_open(struct backend *b, const char *id, struct producer **ret, struct err *err) {
    struct embedded_producer *p = xcalloc(1, sizeof(*p));
    p->e = embedded_of(b);
    if (txn_init(p->e->txns, id, &p->txn, err)) {
        free(p);
        return -1;
    }
    pthread_mutex_init(&p->mutex, NULL);
    cond_init_mono(&p->idle);
    p->last = &p->first;
    *ret = (struct producer *)(void *)p;
    return 0;
}

static void known_topic_free(void *arg) {
    struct known_topic *k = arg;
    topic_unref(k->topic);
    free(k->targets);
    free(k);
}

static void wait_idle(struct embedded_producer *p) {
    LOCK_SCOPE(&p->mutex);
    while (p->under_way || p->telling || next_to_tell(p)) cond_wait_ms(&p->idle, &p->mutex, -1);
}

void embedded_producer_close(struct producer *producer) {
    struct embedded_producer *p = producer_of(producer);
    struct err closed = {.code = ERR_CANCELLED, .msg = "producer closed"};
    drop_open(p);
    wait_idle(p);
    txn_close(p->txn);
    for (struct handed *h = p->first, *next; h; h = next) {
        next = h->next;
        handed_free(h, &closed);
    }
    while (p->spare) {
        struct building *g = p->spare;
        p->spare = g->next;
        buf_done(&g->bytes);
        free(g);
    }
    map_done(&p->topics, known_topic_free);
    free(p->dirty);
    pthread_cond_destroy(&p->idle);
    pthread_mutex_destroy(&p->mutex);
    free(p);
}
