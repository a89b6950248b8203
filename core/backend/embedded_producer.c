// SPDX-License-Identifier: Apache-2.0
// Producing into the store.
//
//   add ─► piece (a batch under construction), per partition     commit ─► one store commit: batches, positions, group offsets
//             │ full: packed       │ together past commit_max                   └► sent ─► durable: done(NULL)
//             │ (compressed)       ▼                                                   └► failed: kept, in order, until retry
//             └─► next piece    spill: the pieces become a transaction's batches, commits of their own; the last one holds the markers
//
// Pieces are built in memory that is used again and again: a packed one moves to memory of its own size. So a large commit costs its
// compressed size, and no page is touched for the first time but for that.
//
// The store gives a failed commit back (commit_keep), and txn.h sees to it that all later ones fail with it; so what is held
// is always the tail of what was sent, and sending it again changes nothing of it. done is called by the flusher, in order.
#include "embedded_int.h"

#include <assert.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/thread.h"
#include "backend/subscription.h"

enum {
    PIECE_BYTES = 1 << 20,    // a batch is closed past this: readers take whole batches
    PIECE_FIRST = 4096,       // of a partition's first batch, at least
    SPARES = 4,
    SPARE_BYTES = 2 << 20,    // the largest block kept to build the next batch in
    SPILL_BYTES = 4 << 20,    // of a transaction, gathered into one commit
    UNDER_WAY_BYTES = 8 << 20,// of a transaction's parts that are not durable yet
    RECORD_OVERHEAD = 64,     // of a record's frame, at most
    GIVE_BACK = 1 << 20,      // of a large value, copied at a time
    AGAIN_MS = 500,           // between attempts to go on with a transaction that the log refused
};

struct piece {
    struct piece *next;
    struct buf bytes;
    struct batch_builder builder;
};
struct target { // a partition touched by the open commit
    struct partition *partition;
    struct piece *first, *last;
    struct target *next; // of those in the open commit
    size_t usual;        // bytes of its last batch: what the next one begins with
};
struct out_topic {
    struct topic *topic;
    int64_t max_bytes;
    enum codec codec;
    uint32_t sticky;
    struct target **targets; // by partition
    int32_t n;
};

struct sent { // a commit handed to the store, or held after it failed
    struct sent *next;
    struct embedded_producer *p;
    struct commit *commit;
    size_t bytes;
    struct kvmap_change *positions;
    struct offsets_change *offsets;
    producer_done *done; // NULL: a part of a transaction that goes on
    void *arg;
    bool failed;
    char *group;         // whose offsets, to hold retention back once they are durable
    struct backend_offset *held;
    size_t held_n;
};

struct embedded_producer {
    struct embedded *e;
    struct txn *txn;
    struct map topics;        // name → out_topic
    struct out_topic *last;   // of the record added last
    struct target *targets;   // of the open commit
    size_t bytes;             // in pieces
    size_t spilled;           // of the open commit
    bool in_txn;              // the open commit has been spilled
    struct err broken;        // code not NONE: finished for good
    struct buf scratch;       // batch_pack's
    struct buf spares[SPARES];// memory to build batches in
    unsigned spare_n;
    _Atomic size_t under_way; // bytes of commits sent and not durable
    pthread_mutex_t lock;     // guards what follows
    struct sent *first, **tail;
    struct sent *settled;     // durable ones with offsets, for their holds
    int64_t again_ms;         // when a spilled part was refused last
};

static struct embedded_producer *producer_of(struct producer *p) { return (struct embedded_producer *)(void *)p; }

// ── life ──

int embedded_producer_open(struct backend *b, const char *id, struct producer **ret, struct err *err) {
    struct embedded *e = embedded_of(b);
    struct txn *txn;
    if (txn_init(e->txns, id, &txn, err) != 0) return -1;
    struct embedded_producer *p = xcalloc(1, sizeof(*p));
    p->e = e;
    p->txn = txn;
    p->tail = &p->first;
    pthread_mutex_init(&p->lock, NULL);
    *ret = (struct producer *)(void *)p;
    return 0;
}

static void pieces_free(struct target *t) {
    for (struct piece *next; t->first; t->first = next) {
        next = t->first->next;
        buf_done(&t->first->bytes);
        free(t->first);
    }
    t->last = NULL;
}

static void drop_open(struct embedded_producer *p) {
    for (struct target *t = p->targets; t; t = t->next) pieces_free(t);
    p->targets = NULL;
    p->bytes = 0;
}

static void topic_forget(void *value) {
    struct out_topic *o = value;
    for (int32_t i = 0; i < o->n; i++) free(o->targets[i]);
    free(o->targets);
    topic_unref(o->topic);
    free(o);
}

static void sent_free(struct sent *s) {
    for (size_t i = 0; i < s->held_n; i++) free((char *)(uintptr_t)s->held[i].topic);
    free(s->held);
    free(s->group);
    free(s);
}

// Of one that failed and is not sent again, or never was.
static void sent_drop(struct sent *s) {
    const struct err why = {.code = ERR_CANCELLED};
    if (s->p) s->p->under_way -= s->bytes;
    kvmap_settle(s->positions, &why);
    offsets_settle(s->offsets, &why);
    commit_free(s->commit);
    sent_free(s);
}

void embedded_producer_close(struct producer *producer) {
    struct embedded_producer *p = producer_of(producer);
    drop_open(p);
    txn_close(p->txn); // waits for what was submitted, aborts what is open
    for (struct sent *s = p->first, *next; s; s = next) {
        next = s->next;
        sent_drop(s);
    }
    for (struct sent *s = p->settled, *next; s; s = next) {
        next = s->next;
        sent_free(s);
    }
    map_done(&p->topics, topic_forget);
    buf_done(&p->scratch);
    while (p->spare_n) buf_done(&p->spares[--p->spare_n]);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

// ── packing ──

static struct buf spare_take(struct embedded_producer *p) { return p->spare_n ? p->spares[--p->spare_n] : (struct buf){0}; }

static void spare_give(struct embedded_producer *p, struct buf *b) {
    buf_clear(b);
    if (p->spare_n < SPARES && b->cap <= SPARE_BYTES) p->spares[p->spare_n++] = *b;
    else buf_done(b);
}

static bool packs(const struct piece *piece) { return piece->builder.codec != CODEC_NONE && !piece->builder.packed; }

// Ends a piece that shall be compressed; its memory serves the next one. Others keep theirs, which moves into the log's commit; so does one for whose
// compressed form there is no memory.
static int pack(struct embedded_producer *p, struct piece *piece, struct err *err) {
    size_t raw = batch_builder_bytes(&piece->builder);
    struct buf packed = {0};
    if (!packs(piece)) return 0;
    if (!codec_worth(raw)) piece->builder.codec = CODEC_NONE;
    if (raw > PIECE_BYTES && piece->builder.codec == CODEC_NONE) return 0; // one large record: it fills its block, which moves
    struct err why;
    if (batch_pack(&piece->builder, &p->scratch, &packed, &why) != 0) {
        buf_done(&packed);
        if (why.code != ERR_NOMEM) return *err = why, -1;
        piece->builder.codec = CODEC_NONE;
        return 0;
    }
    if (p->scratch.cap > SPARE_BYTES) buf_done(&p->scratch);
    spare_give(p, &piece->bytes);
    piece->bytes = packed;
    piece->builder.out = &piece->bytes;
    p->bytes -= raw - batch_builder_bytes(&piece->builder);
    return 0;
}

// ── adding ──

static struct out_topic *topic_open(struct embedded_producer *p, struct str name, struct err *err) {
    char text[256];
    if (name.n >= sizeof(text)) {
        err_set(err, ERR_INVALID, "topic name of %zu bytes, the most is 249", name.n);
        return NULL;
    }
    memcpy(text, name.p, name.n);
    text[name.n] = 0;
    struct topic *t = topic_get(p->e->store, text);
    if (!t) {
        err_set(err, ERR_NOT_FOUND, "topic %s: does not exist", text);
        return NULL;
    }
    struct out_topic *o = xcalloc(1, sizeof(*o));
    *o = (struct out_topic){.topic = t, .max_bytes = 1 << 20, .codec = p->e->codec};
    const char *max = topic_setting_get(t, "max.message.bytes", NULL), *codec = topic_setting_get(t, "compression.type", NULL);
    if (max) str_to_i64(str_of(max), &o->max_bytes);
    if (codec && codec_by_type(str_of(codec)) >= 0) o->codec = (enum codec)codec_by_type(str_of(codec));
    map_put(&p->topics, name, o);
    return o;
}

static struct out_topic *topic_of(struct embedded_producer *p, struct str name, struct err *err) {
    struct out_topic *o = p->last;
    if (o && str_eqz(name, topic_name(o->topic))) return o;
    o = map_get(&p->topics, name);
    if (!o) o = topic_open(p, name, err);
    if (o) p->last = o;
    return o;
}

static struct target *target_of(struct embedded_producer *p, struct out_topic *o, int32_t partition) {
    if (partition >= o->n) {
        int32_t n = topic_partitions(o->topic);
        o->targets = xrealloc(o->targets, (size_t)n * sizeof(*o->targets));
        while (o->n < n) o->targets[o->n++] = NULL;
    }
    struct target *t = o->targets[partition];
    if (!t) {
        t = o->targets[partition] = xcalloc(1, sizeof(*t));
        t->partition = topic_partition(o->topic, partition);
    }
    if (!t->first) {
        t->next = p->targets;
        p->targets = t;
    }
    return t;
}

// As large as the last one was and a bit, so that a busy partition's batches neither grow by copying nor hold twice their bytes.
static bool reserve_piece(struct piece *piece, const struct target *t, size_t record) {
    size_t n = record + BATCH_MAX_OVERHEAD, usual = t->usual + t->usual / 16;
    return buf_reserve(&piece->bytes, usual > n ? usual : n > PIECE_FIRST ? n : PIECE_FIRST);
}

static struct piece *piece_for(struct embedded_producer *p, struct target *t, const struct out_topic *o, size_t record, struct err *err) {
    struct piece *last = t->last;
    size_t have = last ? batch_builder_bytes(&last->builder) : 0;
    if (last && have < PIECE_BYTES && (int64_t)(have + record) <= o->max_bytes) return last;
    if (last && pack(p, last, err) != 0) return NULL;
    if (last) t->usual = PIECE_BYTES;
    struct piece *fresh = xcalloc(1, sizeof(*fresh));
    if (o->codec != CODEC_NONE) fresh->bytes = spare_take(p);
    if (!reserve_piece(fresh, t, record)) {
        if (!last) p->targets = t->next; // target_of has just put it there
        buf_done(&fresh->bytes);
        free(fresh);
        err_set(err, ERR_NOMEM, "record of about %zu bytes: out of memory", record);
        return NULL;
    }
    batch_begin(&fresh->builder, &fresh->bytes, o->codec);
    fresh->builder.level = topic_level(o->topic, o->codec);
    if (last) last->next = fresh;
    else t->first = fresh;
    t->last = fresh;
    return fresh;
}

static size_t record_bytes(const struct backend_record *r) {
    size_t n = r->key.n + r->value.n + RECORD_OVERHEAD;
    for (uint32_t i = 0; i < r->header_count; i++) n += r->headers[i].name.n + r->headers[i].value.n + 20;
    return n;
}

static int spill(struct embedded_producer *p, struct err *err);

static bool holds_failed(struct embedded_producer *p) {
    LOCK_SCOPE(&p->lock);
    return p->first && p->first->failed;
}

// A transaction goes on when enough of it is durable; one whose parts the log refused, when it takes them again.
static int go_on(struct embedded_producer *p, struct err *err) {
    if (!p->in_txn) return 0;
    if (!holds_failed(p)) {
        if (p->under_way < UNDER_WAY_BYTES) return 0;
        return err_set(err, ERR_AGAIN, "%zu bytes of the open transaction are not durable yet", (size_t)p->under_way);
    }
    int64_t now = clock_mono_ms(p->e->clock);
    if (now - p->again_ms >= AGAIN_MS) {
        p->again_ms = now;
        embedded_retry((struct producer *)(void *)p);
    }
    return err_set(err, ERR_AGAIN, "the log refuses an open transaction's records for now");
}

static_assert(sizeof(struct record_header_in) == sizeof(struct backend_header) &&
              offsetof(struct record_header_in, null_value) == offsetof(struct backend_header, null_value), "headers are handed on as they are");

// A large value is never there twice: what is copied is given back, piece by piece.
static void put_value(struct buf *to, const struct backend_record *r) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    uintptr_t given = ((uintptr_t)r->value.p + page - 1) & ~(page - 1);
    for (size_t at = 0; at < r->value.n;) {
        size_t n = r->value.n - at < GIVE_BACK ? r->value.n - at : GIVE_BACK;
        buf_put(to, r->value.p + at, n);
        at += n;
        uintptr_t end = ((uintptr_t)r->value.p + at) & ~(page - 1);
        if (end > given && !to->bad) {
            madvise((void *)given, end - given, MADV_DONTNEED);
            given = end;
        }
    }
}

static void add_to(struct piece *piece, const struct backend_record *r) {
    const struct record_header_in *headers = (const struct record_header_in *)(const void *)r->headers;
    if (!r->value_disposable || r->value.n < 4 * GIVE_BACK) {
        batch_add(&piece->builder, r->timestamp, r->key, r->value, headers, r->header_count);
        return;
    }
    batch_add_open(&piece->builder, r->timestamp, r->key, r->value.n, headers, r->header_count);
    put_value(&piece->bytes, r);
    batch_add_close(&piece->builder, headers, r->header_count);
}

int embedded_add(struct producer *producer, const struct backend_record *r, struct err *err) {
    struct embedded_producer *p = producer_of(producer);
    size_t n = record_bytes(r);
    if (p->broken.code) return *err = p->broken, -1;
    if (go_on(p, err) != 0) return -1;
    struct out_topic *o = topic_of(p, r->topic, err);
    if (!o) return -1;
    int32_t partitions = topic_partitions(o->topic);
    if (r->partition >= partitions)
        return err_set(err, ERR_OUT_OF_RANGE, "partition %s-%d: the topic has %d", topic_name(o->topic), r->partition, partitions);
    if ((int64_t)(n + BATCH_HEADER) > o->max_bytes)
        return err_set(err, ERR_TOO_LARGE, "record of about %zu bytes: topic %s takes at most %lld (max.message.bytes)", n, topic_name(o->topic),
                       (long long)o->max_bytes);
    if (!r->key.p && topic_compacted(o->topic)) return refuse_keyless(topic_name(o->topic), err);
    int32_t partition = r->partition >= 0 ? r->partition : partition_for(r->key, partitions, o->sticky);
    struct piece *piece = piece_for(p, target_of(p, o, partition), o, n, err);
    if (!piece) return -1;
    size_t before = batch_builder_bytes(&piece->builder);
    add_to(piece, r);
    if (piece->bytes.bad) { // nothing of it was written, so it may be added again
        piece->bytes.bad = piece->bytes.no_memory = false;
        return err_set(err, ERR_NOMEM, "record of about %zu bytes: out of memory", n);
    }
    p->bytes += batch_builder_bytes(&piece->builder) - before;
    if (p->bytes >= (p->in_txn ? SPILL_BYTES : p->e->commit_max)) return spill(p, err);
    return 0;
}

size_t embedded_pending_bytes(struct producer *p) { return producer_of(p)->bytes + producer_of(p)->spilled; }

// ── what became of commits ──

// [flusher] A durable one leaves the list, which it is the first of; a failed one stays.
static void sent_done(void *arg, const struct err *err, const struct append_result *results, size_t n) {
    struct sent *s = arg;
    struct embedded_producer *p = s->p;
    producer_done *done = s->done;
    void *done_arg = s->arg;
    (void)results, (void)n;
    if (err) {
        LOCK_SCOPE(&p->lock);
        s->failed = true;
    } else {
        p->under_way -= s->bytes;
        kvmap_settle(s->positions, NULL);
        offsets_settle(s->offsets, NULL);
        LOCK_SCOPE(&p->lock);
        p->first = s->next;
        if (!p->first) p->tail = &p->first;
        s->next = p->settled;
        p->settled = s;
    }
    if (done) done(done_arg, err);
}

static void send(struct embedded_producer *p, struct sent *s) {
    s->p = p;
    s->bytes = commit_bytes(s->commit);
    p->under_way += s->bytes;
    commit_keep(s->commit);
    {
        LOCK_SCOPE(&p->lock);
        *p->tail = s;
        p->tail = &s->next;
    }
    txn_submit(p->txn, s->commit, false, sent_done, s);
}

void embedded_retry(struct producer *producer) {
    struct embedded_producer *p = producer_of(producer);
    struct err err;
    if (txn_retry(p->txn, &err) != 0) p->broken = err; // submitting says so to each of them
    struct sent **list;
    size_t n = 0;
    {
        LOCK_SCOPE(&p->lock);
        for (const struct sent *s = p->first; s; s = s->next) n++;
        list = xcalloc(n + 1, sizeof(*list));
        n = 0;
        for (struct sent *s = p->first; s; s = s->next) {
            s->failed = false;
            list[n++] = s;
        }
    }
    for (size_t i = 0; i < n; i++) txn_submit(p->txn, list[i]->commit, false, sent_done, list[i]);
    free(list);
}

// ── building commits ──

static int append_piece(struct embedded_producer *p, struct commit *c, struct target *t, struct piece *piece, bool in_txn, struct err *err) {
    if (pack(p, piece, err) != 0) return -1;
    if (in_txn) txn_stamp(p->txn, &piece->builder, t->partition);
    if (batch_end(&piece->builder, err) != 0) return -1;
    t->usual = piece->bytes.n < PIECE_BYTES ? piece->bytes.n : PIECE_BYTES;
    return in_txn ? txn_append(p->txn, c, t->partition, &piece->bytes, err) : commit_append(c, t->partition, &piece->bytes, true, err);
}

// Takes the open pieces into the commit.
static int append_open(struct embedded_producer *p, struct commit *c, struct err *err) {
    for (struct target *t = p->targets; t; t = t->next)
        for (struct piece *piece = t->first; piece; piece = piece->next)
            if (append_piece(p, c, t, piece, false, err) != 0) return -1;
    drop_open(p);
    return 0;
}

static int send_part(struct embedded_producer *p, struct commit *c) {
    struct sent *s = xcalloc(1, sizeof(*s));
    s->commit = c;
    send(p, s);
    return 0;
}

// Turns the open pieces into parts of the transaction. A part is about SPILL_BYTES; a larger batch is one alone.
static int spill(struct embedded_producer *p, struct err *err) {
    struct commit *c = NULL;
    int rc = 0;
    p->in_txn = true;
    p->spilled += p->bytes;
    for (struct target *t = p->targets; t && rc == 0; t = t->next)
        for (struct piece *piece = t->first; piece && rc == 0; piece = piece->next) {
            if ((rc = pack(p, piece, err)) != 0) break;
            size_t n = batch_builder_bytes(&piece->builder);
            if (c && commit_bytes(c) + n > SPILL_BYTES) {
                send_part(p, c);
                c = NULL;
            }
            if (!c) c = commit_new(p->e->store);
            rc = append_piece(p, c, t, piece, true, err);
        }
    if (rc != 0) {
        commit_free(c);
        p->broken = *err;
    } else if (c) {
        send_part(p, c);
    }
    drop_open(p);
    return rc;
}

static int append_positions(struct embedded_producer *p, struct sent *s, const char *connector, const struct backend_position *positions, size_t n, struct err *err) {
    if (!n) return 0;
    struct kvmap *m = embedded_map(p->e, POSITIONS_TOPIC, err);
    if (!m) return -1;
    struct kvmap_entry *entries = xcalloc(n, sizeof(*entries));
    size_t *starts = xcalloc(n + 1, sizeof(*starts));
    struct buf keys = {0};
    for (size_t i = 0; i < n; i++) {
        embedded_position_key(&keys, connector, positions[i].partition);
        starts[i + 1] = keys.n;
    }
    for (size_t i = 0; i < n; i++) entries[i] = (struct kvmap_entry){str_make(keys.p + starts[i], starts[i + 1] - starts[i]), positions[i].offset};
    int r = kvmap_append(m, s->commit, entries, n, &s->positions, err);
    buf_done(&keys);
    free(starts);
    free(entries);
    return r;
}

static int append_offsets(struct embedded_producer *p, struct sent *s, const char *group, const struct backend_offset *offsets, size_t n, struct err *err) {
    if (!n) return 0;
    struct group_offset *list = xcalloc(n, sizeof(*list));
    for (size_t i = 0; i < n; i++) list[i] = embedded_group_offset(&offsets[i]);
    int r = offsets_append(p->e->offsets, s->commit, group, list, n, &s->offsets, err);
    free(list);
    if (r != 0) return -1;
    s->group = xstrdup(group);
    s->held = xcalloc(n, sizeof(*s->held));
    for (; s->held_n < n; s->held_n++) s->held[s->held_n] = (struct backend_offset){xstrdup(offsets[s->held_n].topic), offsets[s->held_n].partition, offsets[s->held_n].offset, offsets[s->held_n].topic_id};
    return 0;
}

// What a durable commit of offsets lets retention delete.
static void let_go(struct embedded_producer *p) {
    struct sent *list;
    {
        LOCK_SCOPE(&p->lock);
        list = p->settled;
        p->settled = NULL;
    }
    struct sent *oldest_first = NULL;
    for (struct sent *next; list; list = next) {
        next = list->next;
        list->next = oldest_first;
        oldest_first = list;
    }
    for (struct sent *s = oldest_first, *next; s; s = next) {
        next = s->next;
        for (size_t i = 0; i < s->held_n; i++) embedded_hold(p->e, s->group, s->held[i].topic, s->held[i].partition, s->held[i].offset);
        sent_free(s);
    }
}

static void next_sticky(struct embedded_producer *p) {
    size_t at = 0;
    for (struct map_entry *entry; (entry = map_next(&p->topics, &at));) ((struct out_topic *)entry->value)->sticky++;
}

void embedded_commit(struct producer *producer, const char *connector, const struct backend_position *positions, size_t n_positions,
                     const char *group, const struct backend_offset *offsets, size_t n_offsets, producer_done *done, void *arg) {
    struct embedded_producer *p = producer_of(producer);
    struct err err = p->broken;
    struct sent *s = xcalloc(1, sizeof(*s));
    let_go(p);
    next_sticky(p);
    s->done = done;
    s->arg = arg;
    s->commit = commit_new(p->e->store);
    // One batch may be larger than a commit, but not beside others: then it goes before, in a transaction.
    bool large = p->in_txn || p->bytes > p->e->commit_max;
    bool ok = !err.code && (!large || spill(p, &err) == 0) && (large ? txn_end(p->txn, s->commit, &err) : append_open(p, s->commit, &err)) == 0 &&
              append_positions(p, s, connector, positions, n_positions, &err) == 0 && append_offsets(p, s, group, offsets, n_offsets, &err) == 0;
    p->in_txn = false;
    p->spilled = 0;
    if (ok) {
        send(p, s);
        return;
    }
    if (err_retriable(&err)) err.code = ERR_IO; // there is nothing that could be sent again
    p->broken = err;
    drop_open(p);
    sent_drop(s);
    done(arg, &err);
}

// Parts of the open transaction that failed are forgotten with it.
static void drop_parts(struct embedded_producer *p) {
    LOCK_SCOPE(&p->lock);
    struct sent **at = &p->first, **open = &p->first;
    for (; *at; at = &(*at)->next)
        if ((*at)->done) open = &(*at)->next; // an ended commit: what lies before it belongs to that
    struct sent *s = *open;
    *open = NULL;
    p->tail = open;
    for (struct sent *next; s; s = next) {
        next = s->next;
        sent_drop(s);
    }
}

void embedded_abort(struct producer *producer) {
    struct embedded_producer *p = producer_of(producer);
    struct err err;
    drop_open(p);
    if (!p->in_txn) return;
    p->in_txn = false;
    p->spilled = 0;
    if (txn_abort(p->txn, &err) != 0) p->broken = err;
    drop_parts(p);
}
