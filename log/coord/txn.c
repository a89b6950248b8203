// SPDX-License-Identifier: Apache-2.0
// Transactional producers of our own.
//
//            txn_append              txn_end submitted
//   ready ───────────────► open ───────────────────────► ready
//     │                      │
//     └── a commit failed ───┴──► failed ── txn_retry ──► as before
//                                   └────── txn_abort ──► ready, next epoch
//   any ── txn_init of the same id ──► fenced
//
// What is open on disk is asked of the store (store_open_txns) once nothing of the producer is under way any more: that is true whatever
// failed before.
#include "coord/txn.h"

#include <stdatomic.h>

#include "base/map.h"
#include "base/mem.h"
#include "base/thread.h"
#include "coord/records.h"
#include "store/scan.h"
#include "wait.h"

enum { TIMEOUT_NONE = INT32_MAX, EPOCH_LAST = INT16_MAX - 1 };

// The last state of one transactional id.
struct state {
    int64_t producer_id;
    int16_t epoch;
    enum txn_status status;
    int64_t start_ms;
    struct txn *live;
};

struct txns {
    struct store *store;
    struct clock *clock;
    int32_t partitions;
    struct damage damage;   // set at open
    pthread_mutex_t lock;   // guards all below; before a txn's lock
    struct topic *topic;    // NULL until first use
    struct map states;      // id → struct state
};

struct part {
    struct partition *partition;
    struct topic *topic;    // a reference; NULL: deleted
    int32_t sequence;       // of the next batch
    bool open;              // has data of the open transaction
};

struct txn {
    struct txns *t;
    char *id;
    int64_t producer_id;
    int16_t epoch;
    struct part *parts;
    size_t part_n, part_cap;
    bool ever;              // appended to a transaction at all
    _Atomic uint64_t bytes; // of the open transaction; read by txns_each
    _Atomic int64_t start_ms;
    _Atomic uint32_t open_parts;
    _Atomic int status;     // of the last durable state record
    const struct commit *ending; // the commit txn_end went into, until it is submitted
    struct commit_chain chain;
    pthread_mutex_t lock;   // guards all below
    pthread_cond_t idle;
    unsigned under_way;
    bool fenced;
    struct commit_chain dead; // failed: what is handed over now is refused with its error, by the store
};

// ── markers and states ───────────────────────────────────────────────────────────────────────────────────────────────

static int err_copy(struct err *err, const struct err *why) {
    if (err) *err = *why;
    return -1;
}

static struct partition *partition_of(const struct txns *t, struct str id) {
    return topic_partition(t->topic, coord_partition(id, topic_partitions(t->topic)));
}

// 0 when all that was written of the id is loaded.
static int check(const struct txns *t, struct str id, struct err *err) {
    return t->damage.n ? damage_check(&t->damage, partition_index(partition_of(t, id)), err) : 0;
}

static int append_state(struct txns *t, struct commit *c, const char *id, const struct txn_value *v, struct err *err) {
    struct buf bytes = {0}, key = {0}, value = {0};
    struct batch_builder b;
    txn_key_encode(&key, str_of(id));
    txn_value_encode(&value, v);
    batch_begin(&b, &bytes, CODEC_NONE);
    batch_add(&b, v->update_ms, buf_str(&key), buf_str(&value), NULL, 0);
    int failed = batch_end(&b, err) < 0 || commit_append(c, partition_of(t, str_of(id)), &bytes, true, err) < 0;
    buf_done(&bytes);
    buf_done(&key);
    buf_done(&value);
    return failed ? -1 : 0;
}

static struct txn_value state_value(struct txns *t, int64_t producer_id, int16_t epoch, enum txn_status status, int64_t start_ms) {
    return (struct txn_value){.producer_id = producer_id, .producer_epoch = epoch, .previous_id = -1, .next_id = -1, .timeout_ms = TIMEOUT_NONE,
                              .status = status, .update_ms = clock_wall_ms(t->clock), .start_ms = start_ms};
}

// A place that has an open transaction, by name: handles are taken after the store let go of its own.
struct place {
    char *topic;
    int32_t index;
    int64_t producer_id;
    int16_t epoch;
};
struct places {
    int64_t only; // this producer id; -1 all
    struct place *list;
    size_t n, cap;
};

static int note_place(void *arg, const struct open_txn *o) {
    struct places *ps = arg;
    if (ps->only >= 0 && o->producer_id != ps->only) return 0;
    struct place one = {xstrdup(partition_topic(o->partition)), partition_index(o->partition), o->producer_id, o->producer_epoch};
    VEC_PUSH(ps->list, ps->n, ps->cap, one);
    return 0;
}

static void places_done(struct places *ps) {
    for (size_t i = 0; i < ps->n; i++) free(ps->list[i].topic);
    free(ps->list);
}

// Adds a marker; nothing when the topic is gone, and its data with it. Where the partition is stopped nobody reads: there an abort can wait
// for the next start, and with a commit everything waits.
static int mark(struct txns *t, struct commit *c, const char *topic, int32_t index, int64_t producer_id, int16_t epoch, bool commit, struct err *err) {
    struct topic *handle = topic_get(t->store, topic);
    struct partition *p = handle ? topic_partition(handle, index) : NULL;
    int failed = p ? partition_health(p, err) : 0;
    if (p && !failed) failed = commit_marker(c, p, producer_id, epoch, commit, 0, err);
    else if (!commit) failed = 0;
    topic_unref(handle);
    return failed;
}

// ── opening ──────────────────────────────────────────────────────────────────────────────────────────────────────────

static struct state *state_of(struct txns *t, struct str id) {
    struct state *s = map_get(&t->states, id);
    if (s) return s;
    s = xcalloc(1, sizeof(*s));
    *s = (struct state){.producer_id = -1, .epoch = -1};
    map_put(&t->states, id, s);
    return s;
}

// A transaction whose outcome is decided: writes what is missing of it.
static int complete(struct txns *t, const char *id, const struct txn_value *v, struct err *err) {
    bool commit = v->status == TXN_PREPARE_COMMIT;
    struct txn_value done = state_value(t, v->producer_id, v->producer_epoch, commit ? TXN_COMPLETE_COMMIT : TXN_COMPLETE_ABORT, v->start_ms);
    struct commit *c = commit_new(t->store);
    int failed = 0;
    done.timeout_ms = v->timeout_ms;
    for (uint32_t i = 0; i < v->topic_count && !failed; i++) {
        _cleanup_free_ char *topic = str_dup(v->topics[i].name);
        for (uint32_t j = 0; j < v->topics[i].partition_count && !failed; j++)
            failed = mark(t, c, topic, v->topics[i].partitions[j], v->producer_id, v->producer_epoch, commit, err);
    }
    if (failed || append_state(t, c, id, &done, err) < 0) {
        commit_free(c);
        return -1;
    }
    return coord_commit(t->store, c, NULL, NULL, err);
}

// prepared: id → the value of a state that is decided but not complete, a copy.
static int load_record(struct txns *t, const struct record *r, struct map *prepared, struct err *err) {
    struct str id;
    struct txn_value v;
    if (txn_key_decode(r->key, &id, err) < 0) return err->code == ERR_UNSUPPORTED ? 0 : -1;
    free(map_remove(prepared, id));
    if (!r->value.p) {
        free(map_remove(&t->states, id));
        return 0;
    }
    if (txn_value_decode(r->value, &v, err) < 0) return err_wrap(err, "transactional id %.*s", STR_FMT(str_first(id, 200)));
    struct state *s = state_of(t, id);
    *s = (struct state){.producer_id = v.producer_id, .epoch = v.producer_epoch, .status = v.status, .start_ms = v.start_ms};
    if (v.status == TXN_PREPARE_COMMIT || v.status == TXN_PREPARE_ABORT) {
        struct str *copy = xmalloc(sizeof(*copy) + r->value.n);
        *copy = str_make(memcpy(copy + 1, r->value.p, r->value.n), r->value.n);
        map_put(prepared, id, copy);
    }
    txn_value_done(&v);
    return 0;
}

static int load_partition(struct txns *t, int32_t i, struct map *prepared, struct err *err) {
    struct scan s;
    struct record r;
    int got, failed = 0;
    scan_init(&s, topic_partition(t->topic, i), 0);
    while (!failed && (got = scan_next(&s, &r, err)) != 0) failed = got < 0 ? -1 : load_record(t, &r, prepared, err);
    scan_done(&s);
    return failed ? damage_note(&t->damage, TXN_TOPIC, i, err) : 0;
}

static int complete_prepared(struct txns *t, const struct map *prepared, uint32_t *count, struct err *err) {
    size_t at = 0;
    for (struct map_entry *e; (e = map_next(prepared, &at));) {
        struct txn_value v;
        struct err why = {0};
        if (check(t, e->key, NULL)) continue;
        if (txn_value_decode(*(struct str *)e->value, &v, err) < 0) return -1;
        int failed = complete(t, e->key.p, &v, &why);
        struct state *s = state_of(t, e->key);
        if (!failed) s->status = v.status == TXN_PREPARE_COMMIT ? TXN_COMPLETE_COMMIT : TXN_COMPLETE_ABORT;
        txn_value_done(&v);
        if (failed && why.code != ERR_CORRUPT) return err_copy(err, &why);
        *count += !failed; // one that has a partition that is stopped stays prepared
    }
    return 0;
}

// What the states say of a producer's open transaction.
enum fate { ABORTED, GOES_ON, UNDECIDED };

// A client's goes on after a restart, or was prepared and could not be completed. One of ours has a state that says nothing of it.
static enum fate fate_of(struct txns *t, int64_t producer_id) {
    static const enum fate fates[TXN_STATUS_COUNT] = {[TXN_ONGOING] = GOES_ON, [TXN_PREPARE_EPOCH_FENCE] = GOES_ON, [TXN_PREPARE_COMMIT] = GOES_ON, [TXN_PREPARE_ABORT] = GOES_ON};
    enum fate unknown = t->damage.n ? UNDECIDED : ABORTED;
    size_t at = 0;
    for (struct map_entry *e; (e = map_next(&t->states, &at));) {
        const struct state *s = e->value;
        if (s->producer_id == producer_id && !check(t, e->key, NULL)) return fates[s->status];
    }
    return unknown;
}

static int abort_left_open(struct txns *t, struct txns_report *report, struct err *err) {
    struct places ps = {.only = -1};
    int failed = 0;
    store_open_txns(t->store, note_place, &ps);
    struct commit *c = commit_new(t->store);
    for (size_t i = 0; i < ps.n && !failed; i++) {
        enum fate fate = fate_of(t, ps.list[i].producer_id);
        report->undecided += fate == UNDECIDED;
        if (fate == ABORTED) failed = mark(t, c, ps.list[i].topic, ps.list[i].index, ps.list[i].producer_id, ps.list[i].epoch, false, err);
    }
    places_done(&ps);
    if (failed || !commit_appends(c)) {
        commit_free(c);
        return failed;
    }
    report->aborted = (uint32_t)commit_appends(c);
    if (coord_commit(t->store, c, NULL, NULL, err) != 0) return -1;
    store_report_aborted(t->store, report->aborted);
    return 0;
}

static int open_states(struct txns *t, struct txns_report *report, struct err *err) {
    struct map prepared = {0};
    int failed = 0;
    t->topic = topic_get(t->store, TXN_TOPIC);
    for (int32_t i = 0; t->topic && !failed && i < topic_partitions(t->topic); i++) failed = load_partition(t, i, &prepared, err);
    if (!failed) failed = complete_prepared(t, &prepared, &report->completed, err);
    map_done(&prepared, free);
    return failed ? -1 : abort_left_open(t, report, err);
}

int txns_open(struct store *s, struct clock *clock, int32_t partitions, struct txns **ret, struct txns_report *ret_report, struct err *err) {
    struct txns *t = xcalloc(1, sizeof(*t));
    struct txns_report report = {0};
    pthread_mutex_init(&t->lock, NULL);
    t->store = s;
    t->clock = clock;
    t->partitions = partitions > 0 ? partitions : COORD_PARTITIONS;
    if (open_states(t, &report, err) < 0) {
        txns_close(t);
        return -1;
    }
    if (ret_report) *ret_report = report;
    *ret = t;
    return 0;
}

void txns_close(struct txns *t) {
    if (!t) return;
    topic_unref(t->topic);
    map_done(&t->states, free);
    damage_done(&t->damage);
    pthread_mutex_destroy(&t->lock);
    free(t);
}

const struct damage *txns_damage(const struct txns *t) { return &t->damage; }

int txns_each(struct txns *t, int (*each)(void *arg, const struct txn_state *s), void *arg) {
    LOCK_SCOPE(&t->lock);
    _cleanup_free_ struct map_entry **sorted = map_sorted(&t->states);
    for (size_t i = 0; i < t->states.n; i++) {
        const struct state *s = sorted[i]->value;
        if (check(t, sorted[i]->key, NULL)) continue;
        struct txn *x = s->live;
        enum txn_status status = x ? (enum txn_status)atomic_load(&x->status) : s->status;
        struct txn_state a = {sorted[i]->key.p, s->producer_id, s->epoch, txn_status_name(status), 0, 0, s->start_ms};
        if (x && (a.partitions = atomic_load(&x->open_parts))) {
            a.status = txn_status_name(TXN_ONGOING);
            a.bytes = atomic_load(&x->bytes);
            a.start_ms = atomic_load(&x->start_ms);
        }
        int stop = each(arg, &a);
        if (stop) return stop;
    }
    return 0;
}

// ── producers ────────────────────────────────────────────────────────────────────────────────────────────────────────

static void wait_idle(struct txn *x) {
    while (x->under_way) pthread_cond_wait(&x->idle, &x->lock);
}

static void forget_parts(struct txn *x) {
    for (size_t i = 0; i < x->part_n; i++) topic_unref(x->parts[i].topic);
    x->part_n = 0;
    atomic_store(&x->open_parts, 0);
    atomic_store(&x->bytes, 0);
}

// The next epoch of an id, durable: aborts what its producer id has open, and fences it there. Where the state can not be written it only does that.
static int next_epoch(struct txns *t, const char *id, struct state *s, enum txn_status status, struct err *err) {
    struct places ps = {.only = s->producer_id};
    int64_t producer_id = s->producer_id;
    int16_t epoch = (int16_t)(s->epoch + 1);
    int failed = 0;
    if (producer_id < 0 || s->epoch >= EPOCH_LAST) {
        if (store_producer_id(t->store, &producer_id, err) < 0) return -1;
        epoch = 0;
    }
    struct commit *c = commit_new(t->store);
    if (s->producer_id >= 0) store_open_txns(t->store, note_place, &ps);
    // Markers carry the new epoch, so that nothing of the old one can follow them.
    for (size_t i = 0; i < ps.n && !failed; i++)
        failed = mark(t, c, ps.list[i].topic, ps.list[i].index, s->producer_id, (int16_t)(s->epoch + 1), false, err);
    places_done(&ps);
    struct txn_value v = state_value(t, producer_id, epoch, status, -1);
    struct err stopped;
    bool unsaid = partition_health(partition_of(t, str_of(id)), &stopped) != 0;
    if (failed || (!unsaid && append_state(t, c, id, &v, err) < 0)) {
        commit_free(c);
        return -1;
    }
    if (coord_commit(t->store, c, NULL, NULL, err) < 0) return -1;
    if (unsaid) return err_copy(err, &stopped);
    s->producer_id = producer_id;
    s->epoch = epoch;
    s->status = status;
    return 0;
}

static int fenced(const struct txn *x, struct err *err) {
    return err_set(err, ERR_FENCED, "transactional id %s: a newer producer took over", x->id);
}

// From here on nothing is accepted. The first reason stays: commits may be reading it.
static void refuse_all(struct txn *x, const struct err *why) {
    if (x->dead.failed) return;
    x->dead.err = *why;
    x->dead.failed = true;
}

static void fence(struct txn *x) {
    struct err why;
    LOCK_SCOPE(&x->lock);
    x->fenced = true;
    fenced(x, &why);
    refuse_all(x, &why);
    wait_idle(x);
}

int txn_init(struct txns *t, const char *id, struct txn **ret, struct err *err) {
    if (!*id || strlen(id) > INT16_MAX) return err_set(err, ERR_INVALID, "transactional id of %zu bytes", strlen(id));
    LOCK_SCOPE(&t->lock);
    if (!t->topic && coord_topic(t->store, TXN_TOPIC, t->partitions, &t->topic, err) < 0) return -1;
    if (check(t, str_of(id), err) < 0) return err_wrap(err, "transactional id %s", id);
    struct state *s = state_of(t, str_of(id));
    if (s->live) fence(s->live);
    s->live = NULL;
    if (next_epoch(t, id, s, TXN_EMPTY, err) < 0) return err_wrap(err, "transactional id %s", id);
    struct txn *x = xcalloc(1, sizeof(*x));
    x->t = t;
    x->id = xstrdup(id);
    x->producer_id = s->producer_id;
    x->epoch = s->epoch;
    atomic_store(&x->status, s->status);
    pthread_mutex_init(&x->lock, NULL);
    pthread_cond_init(&x->idle, NULL);
    s->live = x;
    *ret = x;
    return 0;
}

int64_t txn_producer_id(const struct txn *x) { return x->producer_id; }
int16_t txn_epoch(const struct txn *x) { return x->epoch; }
uint64_t txn_bytes(const struct txn *x) { return atomic_load(&x->bytes); }
bool txn_is_open(const struct txn *x) { return atomic_load(&x->open_parts) > 0; }

// Takes the lock of the txns, under which states change, and looks whether this producer still is the one.
static int next_own_epoch(struct txn *x, struct err *err) {
    LOCK_SCOPE(&x->t->lock);
    struct state *s = map_get(&x->t->states, str_of(x->id));
    if (!s || s->live != x) return fenced(x, err);
    if (next_epoch(x->t, x->id, s, TXN_COMPLETE_ABORT, err) < 0) return err_wrap(err, "transactional id %s", x->id);
    x->producer_id = s->producer_id;
    x->epoch = s->epoch;
    atomic_store(&x->status, s->status);
    return 0;
}

int txn_abort(struct txn *x, struct err *err) {
    pthread_mutex_lock(&x->lock);
    wait_idle(x);
    pthread_mutex_unlock(&x->lock);
    if (next_own_epoch(x, err) < 0) return -1;
    forget_parts(x);
    return txn_retry(x, err);
}

int txn_retry(struct txn *x, struct err *err) {
    LOCK_SCOPE(&x->lock);
    wait_idle(x);
    if (x->fenced) return fenced(x, err);
    x->chain = x->dead = (struct commit_chain){0};
    return 0;
}

// Did something fail to end? Nothing is under way.
static bool left_open(struct txn *x) {
    struct places ps = {.only = x->producer_id};
    store_open_txns(x->t->store, note_place, &ps);
    places_done(&ps);
    return ps.n > 0;
}

void txn_close(struct txn *x) {
    struct err ignored; // what stays open is aborted by the next txn_init or txns_open
    if (!x) return;
    pthread_mutex_lock(&x->lock);
    wait_idle(x);
    pthread_mutex_unlock(&x->lock);
    if (x->ever && left_open(x) && next_own_epoch(x, &ignored) < 0) {}
    pthread_mutex_lock(&x->t->lock);
    struct state *s = map_get(&x->t->states, str_of(x->id));
    if (s && s->live == x) {
        s->live = NULL;
        s->status = (enum txn_status)atomic_load(&x->status);
    }
    pthread_mutex_unlock(&x->t->lock);
    forget_parts(x);
    free(x->parts);
    pthread_mutex_destroy(&x->lock);
    pthread_cond_destroy(&x->idle);
    free(x->id);
    free(x);
}

// ── one transaction ──────────────────────────────────────────────────────────────────────────────────────────────────

static struct part *part_of(struct txn *x, struct partition *p) {
    for (size_t i = 0; i < x->part_n; i++)
        if (x->parts[i].partition == p) return &x->parts[i];
    struct part one = {.partition = p, .topic = topic_get(x->t->store, partition_topic(p))};
    if (one.topic && topic_partition(one.topic, partition_index(p)) != p) { // another topic of that name
        topic_unref(one.topic);
        one.topic = NULL;
    }
    VEC_PUSH(x->parts, x->part_n, x->part_cap, one);
    return &x->parts[x->part_n - 1];
}

void txn_stamp(struct txn *x, struct batch_builder *b, struct partition *p) {
    b->attributes |= BATCH_TRANSACTIONAL;
    b->producer_id = x->producer_id;
    b->producer_epoch = x->epoch;
    b->base_sequence = part_of(x, p)->sequence;
}

int txn_append(struct txn *x, struct commit *c, struct partition *p, struct buf *bytes, struct err *err) {
    struct part *part = part_of(x, p);
    struct batch_header h;
    size_t n = bytes->n;
    if (batch_read_header(bytes->p, n, &h) != 0 || h.producer_id != x->producer_id || h.producer_epoch != x->epoch || h.base_sequence != part->sequence)
        return err_set(err, ERR_INVALID, "transactional id %s: batch is not stamped for this transaction", x->id);
    if (commit_append(c, p, bytes, true, err) < 0) return -1;
    part->sequence = (int32_t)(((uint32_t)part->sequence + (uint32_t)h.last_offset_delta + 1) & INT32_MAX);
    if (!atomic_load(&x->open_parts)) atomic_store(&x->start_ms, clock_wall_ms(x->t->clock));
    if (!part->open) atomic_fetch_add(&x->open_parts, 1);
    part->open = x->ever = true;
    atomic_fetch_add(&x->bytes, n);
    return 0;
}

// The topic a part was appended to is still there: a deleted one needs no marker.
static bool part_lives(const struct txn *x, const struct part *part) {
    struct topic *now = part->topic ? topic_get(x->t->store, topic_name(part->topic)) : NULL;
    bool lives = now && now == part->topic;
    topic_unref(now);
    return lives;
}

int txn_end(struct txn *x, struct commit *c, struct err *err) {
    if (!txn_is_open(x)) return 0;
    for (size_t i = 0; i < x->part_n; i++) {
        struct part *part = &x->parts[i];
        if (part->open && part_lives(x, part) && commit_marker(c, part->partition, x->producer_id, x->epoch, true, 0, err) < 0) return -1;
        part->open = false;
    }
    struct txn_value v = state_value(x->t, x->producer_id, x->epoch, TXN_COMPLETE_COMMIT, atomic_load(&x->start_ms));
    if (append_state(x->t, c, x->id, &v, err) < 0) return -1;
    x->ending = c;
    atomic_store(&x->open_parts, 0);
    atomic_store(&x->bytes, 0);
    return 0;
}

struct submitted {
    struct txn *x;
    bool ends;
    commit_done *done;
    void *arg;
};

static void submitted_done(void *arg, const struct err *err, const struct append_result *results, size_t n) {
    struct submitted *s = arg;
    struct txn *x = s->x;
    if (s->ends && !err) atomic_store(&x->status, TXN_COMPLETE_COMMIT);
    if (s->done) s->done(s->arg, err, results, n);
    free(s);
    LOCK_SCOPE(&x->lock);
    if (err) refuse_all(x, err);
    if (--x->under_way == 0) pthread_cond_broadcast(&x->idle);
}

void txn_submit(struct txn *x, struct commit *c, bool nowait, commit_done *done, void *arg) {
    struct submitted *s = xmalloc(sizeof(*s));
    *s = (struct submitted){x, c == x->ending, done, arg};
    x->ending = NULL;
    pthread_mutex_lock(&x->lock);
    x->under_way++;
    commit_set_chain(c, x->dead.failed ? &x->dead : &x->chain);
    pthread_mutex_unlock(&x->lock);
    store_commit(x->t->store, c, nowait, submitted_done, s);
}
