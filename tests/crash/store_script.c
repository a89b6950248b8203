// SPDX-License-Identifier: Apache-2.0
// The script, its model, and the comparison.
#include "store_script.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/thread.h"
#include "test.h"

enum kind { CREATE, DELETE, GROW, CONFIGURE, COMMIT, RETRY, END_TXN, DELETE_BEFORE, CHECKPOINT, CLEAN, REOPEN, PRODUCER_ID };
enum { PARTS_MOST = 4, LARGE = 3000 };

// One batch of a commit.
struct piece {
    int name, partition;
    int producer;          // index, or -1
    bool transactional;
    int32_t sequence;
    unsigned records, bytes; // of each record's filler
    unsigned tag;          // makes the texts: the operation that first sent them and the piece's place
    int64_t offset;        // expected
};
struct op {
    enum kind kind;
    int name, partition, count, codec; // CONFIGURE: retention.bytes, 0 its default; codec: -1 as it is
    bool commit_txn;
    unsigned ends;         // END_TXN: of these producers, one bit each
    int64_t before;
    struct piece pieces[PARTS_MOST];
    int piece_count;
};

// control: 0, 'c' commit, 'a' abort. fate: what became of its transaction, 0 while it is open and of records outside of any.
struct record_is { unsigned tag, index, bytes; char control, fate; int producer; }; // producer: + 1, 0 none
struct aborted { int64_t id, first, last; };
struct log {
    struct record_is *records;
    size_t n, cap;
    struct aborted *aborted;
    size_t aborted_n, aborted_cap;
};
struct instance { struct log logs[SCRIPT_PARTITIONS * 2]; };

struct producer_is {
    int instance, name, partition; // the partition it writes to; -1 not yet
    int32_t next;                  // sequence
    int64_t txn_first;             // -1 none
    struct piece last;             // what it sent last
    bool sent;
};
// What holds after some operations.
struct state {
    int instance[SCRIPT_NAMES];    // -1: the topic is not there
    int partitions[SCRIPT_NAMES];
    int retention[SCRIPT_NAMES];   // value of retention.bytes, 0 default
    int codec[SCRIPT_NAMES];       // of compression.type
    int64_t end[SCRIPT_NAMES][SCRIPT_PARTITIONS * 2], start[SCRIPT_NAMES][SCRIPT_PARTITIONS * 2];
    struct producer_is producers[SCRIPT_PRODUCERS];
};

struct script {
    uint64_t seed;
    struct op *ops;
    struct state *states; // count + 1
    struct instance *instances;
    size_t instance_n, instance_cap;
    unsigned count;
};

static unsigned pick(struct script *x, unsigned n) { return (unsigned)(test_random(&x->seed) % n); }

// ── texts ────────────────────────────────────────────────────────────────────────────────────────────────────────────

static void put_text(struct buf *out, unsigned tag, unsigned index, unsigned bytes) {
    buf_printf(out, "%u.%u:", tag, index);
    uint64_t seed = (uint64_t)tag * 1000003 + index + 1;
    for (uint64_t dice = 0; bytes; bytes--, dice >>= 4) {
        if (!dice) dice = test_random(&seed);
        buf_u8(out, (uint8_t)('a' + dice % 16));
    }
}

enum { COMPACTED = SCRIPT_NAMES - 1, KEYS = 4 };
static const char *const names[SCRIPT_NAMES] = {"orders", "lines-2", "a.b_c", "tiny", "latest"};
static const char *const keys[KEYS] = {"north", "east", "south", "west"};
static unsigned key_of(unsigned tag, unsigned index) { return (tag / 4 + index) % KEYS; }
static int64_t producer_id(int producer) { return 7000 + producer; }
static const char *const codecs[] = {"producer", "uncompressed", "gzip", "snappy", "lz4", "zstd"};
// A record of the compacted topic that deletes its key.
static bool is_tombstone(int name, unsigned tag, unsigned index) { return name == COMPACTED && (tag * 7 + index) % 5 == 0; }

static struct buf make_batch(const struct piece *p) {
    struct batch_builder b;
    struct buf out = {0}, text = {0};
    struct err err;
    batch_begin(&b, &out, CODEC_NONE);
    if (p->producer >= 0) {
        b.producer_id = producer_id(p->producer);
        b.producer_epoch = 0;
        b.base_sequence = p->sequence;
        if (p->transactional) b.attributes |= BATCH_TRANSACTIONAL;
    }
    for (unsigned i = 0; i < p->records; i++) {
        buf_clear(&text);
        put_text(&text, p->tag, i, p->bytes);
        struct str key = {NULL, 0}, value = buf_str(&text);
        if (p->name == COMPACTED) key = str_of(keys[key_of(p->tag, i)]);
        if (is_tombstone(p->name, p->tag, i)) value = (struct str){NULL, 0};
        batch_add(&b, 1700000000000 + p->tag, key, value, NULL, 0);
    }
    if (batch_end(&b, &err)) abort();
    buf_done(&text);
    return out;
}

// ── the model ────────────────────────────────────────────────────────────────────────────────────────────────────────

static struct log *log_of(struct script *x, const struct state *s, int name, int partition) { return &x->instances[s->instance[name]].logs[partition]; }

static int pick_topic(struct script *x, const struct state *s) {
    int name = (int)pick(x, SCRIPT_NAMES);
    for (int i = 0; i < SCRIPT_NAMES; i++, name = (name + 1) % SCRIPT_NAMES)
        if (s->instance[name] >= 0) return name;
    return -1;
}

static void new_instance(struct script *x, struct state *s, const struct op *o) {
    VEC_PUSH(x->instances, x->instance_n, x->instance_cap, ((struct instance){0}));
    s->instance[o->name] = (int)x->instance_n - 1;
    s->partitions[o->name] = o->count;
    s->retention[o->name] = s->codec[o->name] = 0;
    for (int i = 0; i < SCRIPT_PARTITIONS * 2; i++) s->end[o->name][i] = s->start[o->name][i] = 0;
}

static void forget_producers(struct state *s, int name) {
    for (int i = 0; i < SCRIPT_PRODUCERS; i++)
        if (s->producers[i].name == name) s->producers[i] = (struct producer_is){.instance = -1, .name = -1, .txn_first = -1};
}

static void apply_piece(struct script *x, struct state *s, struct piece *p) {
    struct log *l = log_of(x, s, p->name, p->partition);
    p->offset = s->end[p->name][p->partition];
    for (unsigned i = 0; i < p->records; i++) VEC_PUSH(l->records, l->n, l->cap, ((struct record_is){.tag = p->tag, .index = i, .bytes = p->bytes, .producer = p->producer + 1}));
    s->end[p->name][p->partition] += p->records;
    if (p->producer < 0) return;
    struct producer_is *w = &s->producers[p->producer];
    w->instance = s->instance[p->name], w->name = p->name, w->partition = p->partition;
    w->next = p->sequence + (int32_t)p->records;
    w->last = *p;
    w->sent = true;
    if (p->transactional && w->txn_first < 0) w->txn_first = p->offset;
}

static void apply_end(struct script *x, struct state *s, const struct op *o, int producer) {
    struct producer_is *w = &s->producers[producer];
    struct log *l = log_of(x, s, w->name, w->partition);
    int64_t at = s->end[w->name][w->partition]++;
    VEC_PUSH(l->records, l->n, l->cap, ((struct record_is){.control = o->commit_txn ? 'c' : 'a'}));
    for (int64_t i = w->txn_first; i < at; i++)
        if (l->records[i].producer == producer + 1) l->records[i].fate = o->commit_txn ? 'c' : 'a';
    if (!o->commit_txn) VEC_PUSH(l->aborted, l->aborted_n, l->aborted_cap, ((struct aborted){producer_id(producer), w->txn_first, at}));
    w->txn_first = -1;
}

static void apply(struct script *x, struct state *s, struct op *o) {
    switch (o->kind) {
    case CREATE: new_instance(x, s, o); break;
    case DELETE:
        s->instance[o->name] = -1;
        forget_producers(s, o->name);
        break;
    case GROW: s->partitions[o->name] = o->count; break;
    case CONFIGURE:
        s->retention[o->name] = o->count;
        if (o->codec >= 0) s->codec[o->name] = o->codec;
        break;
    case COMMIT:
    case END_TXN:
        for (int i = 0; i < SCRIPT_PRODUCERS; i++)
            if (o->ends >> i & 1) apply_end(x, s, o, i);
        for (int i = 0; i < o->piece_count; i++) apply_piece(x, s, &o->pieces[i]);
        break;
    case DELETE_BEFORE:
        if (s->start[o->name][o->partition] < o->before) s->start[o->name][o->partition] = o->before;
        break;
    default: break;
    }
}

// ── making operations ────────────────────────────────────────────────────────────────────────────────────────────────

static void plan_piece(struct script *x, const struct state *s, struct op *o, unsigned number) {
    struct piece *p = &o->pieces[o->piece_count];
    *p = (struct piece){.name = pick_topic(x, s), .producer = -1, .records = 1 + pick(x, 3), .tag = number * PARTS_MOST + (unsigned)o->piece_count};
    p->partition = (int)pick(x, (unsigned)s->partitions[p->name]);
    p->bytes = pick(x, 8) ? pick(x, 120) : pick(x, LARGE);
    if (pick(x, 3) == 0) {
        int producer = (int)pick(x, SCRIPT_PRODUCERS);
        const struct producer_is *w = &s->producers[producer];
        for (int i = 0; i < o->piece_count; i++)
            if (o->pieces[i].producer == producer) producer = -1;
        if (producer >= 0 && o->ends >> producer & 1) producer = -1;
        if (producer >= 0) {
            if (w->name >= 0) p->name = w->name, p->partition = w->partition;
            p->producer = producer;
            p->sequence = w->name >= 0 ? w->next : 0;
            p->transactional = w->txn_first >= 0 || pick(x, 2);
        }
    }
    o->piece_count++;
}

static void plan_commit(struct script *x, const struct state *s, struct op *o, unsigned number) {
    int pieces = pick(x, 3) ? 1 : 1 + (int)pick(x, PARTS_MOST);
    o->kind = COMMIT;
    for (int i = 0; i < pieces; i++) plan_piece(x, s, o, number);
}

// One transaction or several, and what belongs with their ends: positions, say.
static void plan_end(struct script *x, const struct state *s, struct op *o, unsigned number) {
    o->kind = END_TXN, o->commit_txn = pick(x, 2);
    for (int i = 0; i < SCRIPT_PRODUCERS; i++)
        if (s->producers[i].txn_first >= 0 && pick(x, 2)) o->ends |= 1u << i;
    for (int i = 0; !o->ends; i++)
        if (s->producers[i].txn_first >= 0) o->ends = 1u << i;
    for (unsigned pieces = pick(x, 3); pieces; pieces--) plan_piece(x, s, o, number);
}

static bool has_open(const struct state *s) {
    for (int i = 0; i < SCRIPT_PRODUCERS; i++)
        if (s->producers[i].txn_first >= 0) return true;
    return false;
}

static void plan(struct script *x, const struct state *s, struct op *o, unsigned number) {
    unsigned dice = pick(x, 100);
    int producer = (int)pick(x, SCRIPT_PRODUCERS), name = (int)pick(x, SCRIPT_NAMES), topic = pick_topic(x, s);
    const struct producer_is *w = &s->producers[producer];
    *o = (struct op){.name = topic};
    if (topic < 0 || (dice < 12 && s->instance[name] < 0)) {
        o->kind = CREATE, o->name = name, o->count = 1 + (int)pick(x, SCRIPT_PARTITIONS);
    } else if (dice < 3 && number > 20) {
        o->kind = DELETE;
    } else if (dice < 5 && s->partitions[topic] < SCRIPT_PARTITIONS * 2) {
        o->kind = GROW, o->count = s->partitions[topic] + 1;
    } else if (dice < 8) {
        o->kind = CONFIGURE, o->count = pick(x, 4) ? 2000 + (int)pick(x, 8000) : 0;
        o->codec = pick(x, 2) ? (int)pick(x, countof(codecs)) : -1;
    } else if (dice < 18) {
        o->kind = CHECKPOINT;
    } else if (dice < 22) {
        o->kind = CLEAN;
    } else if (dice < 26) {
        o->kind = DELETE_BEFORE, o->partition = (int)pick(x, (unsigned)s->partitions[topic]);
        o->before = (int64_t)pick(x, (unsigned)s->end[topic][o->partition] + 1);
    } else if (dice < 32 && has_open(s)) {
        plan_end(x, s, o, number);
    } else if (dice < 35) {
        o->kind = REOPEN;
    } else if (dice < 39 && w->sent) {
        o->kind = RETRY, o->pieces[0] = w->last, o->piece_count = 1;
    } else if (dice == 39) {
        o->kind = PRODUCER_ID;
    } else {
        plan_commit(x, s, o, number);
    }
}

struct script *script_new(uint64_t seed, unsigned count) {
    struct script *x = xcalloc(1, sizeof(*x));
    x->seed = seed * 2 + 1;
    x->count = count;
    x->ops = xcalloc(count, sizeof(*x->ops));
    x->states = xcalloc(count + 1, sizeof(*x->states));
    for (int i = 0; i < SCRIPT_NAMES; i++) x->states[0].instance[i] = -1;
    for (int i = 0; i < SCRIPT_PRODUCERS; i++) x->states[0].producers[i] = (struct producer_is){.instance = -1, .name = -1, .txn_first = -1};
    for (unsigned n = 0; n < count; n++) {
        plan(x, &x->states[n], &x->ops[n], n);
        x->states[n + 1] = x->states[n];
        apply(x, &x->states[n + 1], &x->ops[n]);
    }
    return x;
}

void script_free(struct script *x) {
    for (size_t i = 0; i < x->instance_n; i++)
        for (int k = 0; k < SCRIPT_PARTITIONS * 2; k++) {
            free(x->instances[i].logs[k].records);
            free(x->instances[i].logs[k].aborted);
        }
    free(x->instances);
    free(x->ops);
    free(x->states);
    free(x);
}

unsigned script_count(const struct script *x) { return x->count; }

const char *script_op_text(const struct script *x, unsigned n) {
    static const char *const kinds[] = {"create", "delete", "grow", "configure", "commit", "retry", "end-txn", "delete-before", "checkpoint", "clean", "reopen", "producer-id"};
    static char text[160];
    if (n >= x->count) return "the end";
    const struct op *o = &x->ops[n];
    int at = snprintf(text, sizeof(text), "%u %s %s", n, kinds[o->kind], o->name >= 0 ? names[o->name] : "");
    for (int i = 0; i < o->piece_count && at < (int)sizeof(text) - 40; i++)
        at += snprintf(text + at, sizeof(text) - (size_t)at, " [%s-%d @%" PRId64 " %ux%u]", names[o->pieces[i].name], o->pieces[i].partition,
                       o->pieces[i].offset, o->pieces[i].records, o->pieces[i].bytes);
    return text;
}

struct store_options script_options(struct fs *fs) {
    return (struct store_options){.fs = fs, .journal_bytes = 256 * 1024, .inline_max_bytes = 1024, .reserve_bytes = 64 * 1024,
                                  .checkpoint_ms = INT64_MAX / 4, .cleaner_off = true,
                                  .dedupe_bytes = KEYS * 24}; // room for one key less: compaction ends in the middle
}

// ── running ──────────────────────────────────────────────────────────────────────────────────────────────────────────

// Commits [next, to) are made from within the operation before them, at a call of the thread that runs it.
struct meanwhile {
    pthread_t thread;
    unsigned next, to, calls;  // after so many calls
    unsigned since;            // operations since the last checkpoint: the journal must have room while one is under way
    bool failed;
    struct err err;
};
struct run {
    struct script *x;
    struct store *s;
    const struct script_hooks *hooks;
    pthread_mutex_t lock;
    pthread_cond_t idle;
    unsigned waiting;
    bool failed;
    struct err err;
    struct reader *readers;
    int64_t given;             // the last producer id
    struct meanwhile inner;
};
// Waits for the high watermark of one partition, for as long as the run lasts.
struct reader {
    struct reader *next;
    struct run *r;
    struct topic *topic;
    struct watch watch;
    int name, partition;
};
struct flight { struct run *r; unsigned op; };

// ── readers ──────────────────────────────────────────────────────────────────────────────────────────────────────────

static void reader_woken(void *arg) {
    struct reader *w = arg;
    struct partition_offsets o;
    partition_offsets(w->watch.partition, &o);
    if (partition_health(w->watch.partition, NULL) || store_health(w->r->s, NULL) || o.high_watermark <= w->watch.beyond) return;
    w->r->hooks->seen(w->r->hooks->arg, w->name, w->partition, o.high_watermark, o.last_stable > o.log_start ? o.last_stable : 0);
    w->watch.beyond = o.high_watermark;
    partition_watch(&w->watch);
}

static void add_readers(struct run *r, int name, int from, int to) {
    for (int i = from; i < to && r->hooks->seen; i++) {
        struct reader *w = xcalloc(1, sizeof(*w));
        *w = (struct reader){.next = r->readers, .r = r, .topic = topic_get(r->s, names[name]), .name = name, .partition = i};
        w->watch = (struct watch){.partition = topic_partition(w->topic, i), .beyond = 0, .fn = reader_woken, .arg = w};
        r->readers = w;
        partition_watch(&w->watch);
    }
}

static void add_all_readers(struct run *r, const struct state *s) {
    for (int i = 0; i < SCRIPT_NAMES; i++)
        if (s->instance[i] >= 0) add_readers(r, i, 0, s->partitions[i]);
}

static void drop_readers(struct run *r) {
    for (struct reader *w = r->readers, *next; w; w = next) {
        next = w->next;
        partition_unwatch(&w->watch);
        topic_unref(w->topic);
        free(w);
    }
    r->readers = NULL;
}

// ── commits ──────────────────────────────────────────────────────────────────────────────────────────────────────────

static void flight_done(void *arg, const struct err *err, const struct append_result *results, size_t n) {
    struct flight *f = arg;
    struct run *r = f->r;
    const struct op *o = &r->x->ops[f->op];
    bool wrong = false;
    size_t markers = (size_t)__builtin_popcount(o->ends);
    for (size_t i = 0; !err && i + markers < n; i++)
        wrong |= results[markers + i].base_offset != o->pieces[i].offset || results[markers + i].duplicate != (o->kind == RETRY);
    pthread_mutex_lock(&r->lock);
    bool refused_before = r->failed;
    pthread_mutex_unlock(&r->lock);
    // A duplicate of what is durable is answered whatever became of the operations before it.
    if (!err && !wrong && !(refused_before && o->kind == RETRY)) r->hooks->acked(r->hooks->arg, f->op);
    pthread_mutex_lock(&r->lock);
    if ((err || wrong) && !r->failed) {
        r->failed = true;
        if (err) r->err = *err;
        else err_set(&r->err, ERR_INTERNAL, "operation %s was answered with offset %" PRId64 "%s", script_op_text(r->x, f->op), results[0].base_offset,
                     results[0].duplicate ? ", duplicate" : "");
    }
    r->waiting--;
    pthread_cond_signal(&r->idle);
    pthread_mutex_unlock(&r->lock);
    free(f);
}

static int fill_markers(struct script *x, struct store *s, const struct op *o, struct commit *c, unsigned n, struct err *err) {
    int failed = 0;
    for (int i = 0; i < SCRIPT_PRODUCERS && !failed; i++) {
        const struct producer_is *w = &x->states[n].producers[i];
        if (!(o->ends >> i & 1)) continue;
        struct topic *t = topic_get(s, names[w->name]);
        failed = commit_marker(c, topic_partition(t, w->partition), producer_id(i), 0, o->commit_txn, 0, err);
        topic_unref(t);
    }
    return failed;
}

static int fill_commit(struct script *x, struct store *s, const struct op *o, struct commit *c, unsigned n, struct err *err) {
    if (fill_markers(x, s, o, c, n, err)) return -1;
    for (int i = 0; i < o->piece_count; i++) {
        struct buf batch = make_batch(&o->pieces[i]);
        struct topic *t = topic_get(s, names[o->pieces[i].name]);
        int failed = commit_append(c, topic_partition(t, o->pieces[i].partition), &batch, i % 2, err);
        topic_unref(t);
        if (failed) return -1;
    }
    return 0;
}

static int start_commit(struct run *r, unsigned n, struct err *err) {
    struct commit *c = commit_new(r->s);
    if (fill_commit(r->x, r->s, &r->x->ops[n], c, n, err)) {
        commit_free(c);
        return -1;
    }
    struct flight *f = xmalloc(sizeof(*f));
    *f = (struct flight){r, n};
    pthread_mutex_lock(&r->lock);
    r->waiting++;
    pthread_mutex_unlock(&r->lock);
    store_commit(r->s, c, false, flight_done, f);
    return 0;
}

static void wait_idle(struct run *r) {
    pthread_mutex_lock(&r->lock);
    while (r->waiting) pthread_cond_wait(&r->idle, &r->lock);
    pthread_mutex_unlock(&r->lock);
}

static int configure(struct store *s, const struct op *o, struct err *err) {
    char number[16];
    struct topic_setting given[] = {{"retention.bytes", o->count ? number : NULL}, {"compression.type", codecs[o->codec < 0 ? 0 : o->codec]}};
    snprintf(number, sizeof(number), "%d", o->count);
    return store_topic_alter(s, names[o->name], 0, given, o->codec < 0 ? 1 : 2, err);
}

static int run_admin(struct store *s, const struct op *o, struct err *err) {
    struct topic_setting small[] = {{"segment.bytes", "2000"}, {"retention.ms", "-1"}, {"cleanup.policy", "compact"}, {"min.cleanable.dirty.ratio", "0"}, {"delete.retention.ms", "0"}};
    struct topic *t;
    int failed;
    switch (o->kind) {
    case CREATE: return store_topic_create(s, names[o->name], o->count, small, o->name == COMPACTED ? 5 : 2, err);
    case DELETE: return store_topic_delete(s, names[o->name], err);
    case GROW: return store_topic_alter(s, names[o->name], o->count, NULL, 0, err);
    case CONFIGURE: return configure(s, o, err);
    case DELETE_BEFORE:
        t = topic_get(s, names[o->name]);
        // Retention may have gone further already.
        failed = partition_delete_before(topic_partition(t, o->partition), o->before, err);
        topic_unref(t);
        return failed;
    case CHECKPOINT: return store_checkpoint(s, err);
    case CLEAN: return store_clean(s, err);
    default: abort();
    }
}

static bool is_commit(const struct op *o) { return o->kind == COMMIT || o->kind == RETRY || o->kind == END_TXN; }

static int reopen(struct run *r, unsigned n, struct err *err) {
    if (!r->hooks->reopen) return 0;
    drop_readers(r);
    if (r->hooks->reopen(r->hooks->arg, &r->s, err)) return -1;
    add_all_readers(r, &r->x->states[n]);
    return 0;
}

static int take_id(struct run *r, struct err *err) {
    int64_t id;
    if (store_producer_id(r->s, &id, err)) return -1;
    if (id <= r->given) return err_set(err, ERR_INTERNAL, "producer id %" PRId64 " was given before", id);
    r->given = id;
    if (r->hooks->given) r->hooks->given(r->hooks->arg, id);
    return 0;
}

static int run_other(struct run *r, unsigned n, struct err *err) {
    switch (r->x->ops[n].kind) {
    case REOPEN: return reopen(r, n, err);
    case PRODUCER_ID: return take_id(r, err);
    default: return run_admin(r->s, &r->x->ops[n], err);
    }
}

// Commits are only started.
static int start_op(struct run *r, unsigned n, struct err *err) {
    const struct op *o = &r->x->ops[n];
    if (is_commit(o)) return start_commit(r, n, err);
    if (run_other(r, n, err)) return -1;
    r->hooks->acked(r->hooks->arg, n);
    if (o->kind == CREATE) add_readers(r, o->name, 0, o->count);
    if (o->kind == GROW) add_readers(r, o->name, o->count - 1, o->count);
    return 0;
}

static int failure(struct run *r, struct err *err) {
    LOCK_SCOPE(&r->lock);
    if (!r->failed) return 0;
    *err = r->err;
    r->failed = false;
    return -1;
}

static int run_op(struct run *r, unsigned n, struct err *err) {
    for (;;) {
        int failed = start_op(r, n, err);
        if (!r->hooks->again) return failed;
        wait_idle(r);
        if (!failed) failed = failure(r, err);
        if (failed && (r->x->ops[n].kind == CHECKPOINT || r->x->ops[n].kind == CLEAN)) failed = 0;
        if (!failed || !r->s || !r->hooks->again(r->hooks->arg, n, err)) return failed;
    }
}

// ── commits in the middle of a checkpoint or a cleaning ──────────────────────────────────────────────────────────────

// Where a checkpoint or a cleaning stands between two of its steps, without any lock that the flusher takes.
static bool is_between(enum fs_op op, const char *path) {
    return op == FS_OP_SYNC || op == FS_OP_SYNC_DIR || (op == FS_OP_WRITE && !strncmp(path, "checkpoint-", 11));
}

static void make_inner(void *arg, enum fs_op op, const char *path) {
    struct run *r = arg;
    struct meanwhile *m = &r->inner;
    if (!pthread_equal(m->thread, pthread_self()) || !is_between(op, path) || m->calls-- > 0) return;
    for (; m->next < m->to; m->next++) {
        r->hooks->begun(r->hooks->arg, m->next);
        if (!m->failed) m->failed = start_commit(r, m->next, &m->err) != 0;
    }
    wait_idle(r);
}

// Operation n, and some of those after it that are commits; *ret_next is the one after them.
static int run_with_inner(struct run *r, unsigned n, unsigned to, unsigned *ret_next, struct err *err) {
    enum { INNER = 3, CALLS = 12 };
    struct meanwhile *m = &r->inner;
    m->thread = pthread_self();
    m->failed = false;
    m->next = m->to = n + 1;
    m->calls = (n * 7) % CALLS;
    while (m->to < to && m->to - n <= INNER && is_commit(&r->x->ops[m->to])) m->to++;
    fs_fault_on_call(r->hooks->between, make_inner, r);
    int failed = run_op(r, n, err);
    fs_fault_on_call(r->hooks->between, NULL, NULL);
    *ret_next = m->next;
    if (!failed && m->failed) *err = m->err;
    return failed || m->failed ? -1 : 0;
}

static int run_ops(struct run *r, unsigned from, unsigned to, struct err *err) {
    enum { SINCE_MOST = 10 };
    for (unsigned n = from, next; n < to; n = next) {
        const struct op *o = &r->x->ops[n];
        bool checkpoints = o->kind == CHECKPOINT || o->kind == CLEAN;
        next = n + 1;
        if (!is_commit(o) || n % 5 == 0) wait_idle(r);
        if (failure(r, err)) return -1;
        r->hooks->begun(r->hooks->arg, n);
        if (r->hooks->between && checkpoints && r->inner.since < SINCE_MOST ? run_with_inner(r, n, to, &next, err) : run_op(r, n, err)) return -1;
        r->inner.since = o->kind == CHECKPOINT || o->kind == REOPEN ? next - n - 1 : r->inner.since + next - n;
    }
    wait_idle(r);
    return failure(r, err);
}

int script_run(struct script *x, struct store **s, unsigned from, unsigned to, const struct script_hooks *hooks, struct err *err) {
    struct run r = {.x = x, .s = *s, .hooks = hooks, .lock = PTHREAD_MUTEX_INITIALIZER, .idle = PTHREAD_COND_INITIALIZER, .given = -1};
    if (from) add_all_readers(&r, &x->states[from]);
    int failed = run_ops(&r, from, to, err);
    wait_idle(&r);
    drop_readers(&r);
    *s = r.s;
    return failed;
}

static int64_t stable_of(const struct state *s, int name, int partition, int64_t end, int64_t start) {
    for (int i = 0; i < SCRIPT_PRODUCERS; i++) {
        const struct producer_is *w = &s->producers[i];
        if (w->name == name && w->partition == partition && w->txn_first >= 0 && w->txn_first < end) end = w->txn_first;
    }
    return end < start ? start : end;
}

unsigned script_seen_state(const struct script *x, unsigned from, int name, int partition, int64_t end, int64_t stable) {
    for (unsigned n = from; n <= x->count; n++) {
        const struct state *s = &x->states[n];
        if (s->instance[name] >= 0 && partition < s->partitions[name] && s->end[name][partition] >= end &&
            stable_of(s, name, partition, s->end[name][partition], 0) >= stable)
            return n;
        if (s->instance[name] < 0) return from;
    }
    return from;
}

// ── comparing ────────────────────────────────────────────────────────────────────────────────────────────────────────

static bool differs(struct buf *why, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static bool differs(struct buf *why, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    buf_vprintf(why, fmt, ap);
    va_end(ap);
    buf_puts(why, STR("; "));
    return false;
}

static bool same_record(const struct record_is *want, const struct record *got, bool compacted) {
    if (is_tombstone(compacted ? COMPACTED : 0, want->tag, want->index)) return !got->value.p;
    static _Thread_local struct buf text;
    buf_clear(&text);
    put_text(&text, want->tag, want->index, want->bytes);
    return str_eq(got->value, buf_str(&text));
}

// What one reader saw of a partition, and what it expects.
struct view {
    const struct log *l;
    const char *where;
    bool compacted;
    enum isolation isolation;
    int64_t from, stable, end;          // the model's; a committed reader ends at stable
    struct aborted_txn *aborted;        // committed reader: what the store says, in order
    size_t aborted_n;
    bool skipping[SCRIPT_PRODUCERS];    // committed reader: whose records it skips
    int64_t next, latest[KEYS];         // offset after the last batch; last record of each key that counts
    int64_t records;                    // that compaction must have left alone, or that committed readers get
    struct buf *why;
};

// Compaction may take any record below the last stable offset but the last of each key that was not aborted.
static bool counts(const struct record_is *r, int64_t offset, int64_t stable) { return !r->control && offset < stable && r->fate != 'a'; }

static bool same_record_at(struct view *v, const struct record *got) {
    const struct record_is *want = &v->l->records[got->offset];
    if (want->control || !same_record(want, got, v->compacted)) return differs(v->why, "%s: record %" PRId64 " is another", v->where, got->offset);
    if (v->isolation == READ_COMMITTED && want->fate == 'a') return differs(v->why, "%s: record %" PRId64 " was aborted, and is shown", v->where, got->offset);
    if (counts(want, got->offset, v->stable)) v->latest[key_of(want->tag, want->index)] = got->offset;
    if (got->offset >= v->from && (v->isolation == READ_COMMITTED || got->offset >= v->stable)) v->records++;
    return true;
}

// As Kafka's consumer does: from a transaction's first batch on its producer is skipped, until its abort marker.
static bool is_skipped(struct view *v, const struct batch_header *h, bool is_abort) {
    int producer = (int)(h->producer_id - producer_id(0));
    while (v->aborted_n && v->aborted->first_offset <= batch_last_offset(h)) {
        v->skipping[v->aborted->producer_id - producer_id(0)] = true;
        v->aborted++, v->aborted_n--;
    }
    if (h->producer_id < 0 || !(h->attributes & BATCH_TRANSACTIONAL)) return false;
    bool skipped = v->skipping[producer];
    if (is_abort) v->skipping[producer] = false;
    return skipped;
}

static bool same_batch(struct view *v, const uint8_t *p, const struct batch_header *h) {
    static _Thread_local struct buf scratch;
    struct record_iter it;
    struct record r;
    struct err err;
    struct batch_marker m = {.commit_txn = true};
    if ((size_t)batch_last_offset(h) >= v->l->n) return differs(v->why, "%s: offset %" PRId64 " was never sent", v->where, batch_last_offset(h));
    bool control = h->attributes & BATCH_CONTROL;
    if (control && h->count) {
        char want = v->l->records[h->base_offset].control;
        if (batch_marker_read(p, batch_size(h), &m) || want != (m.commit_txn ? 'c' : 'a')) return differs(v->why, "%s: marker at %" PRId64, v->where, h->base_offset);
    }
    if (v->isolation == READ_COMMITTED && is_skipped(v, h, control && !m.commit_txn)) return true;
    if (control) return true;
    if (record_iter_init(&it, p, batch_size(h), &scratch, SIZE_MAX, &err)) return differs(v->why, "%s: %s", v->where, err.msg);
    while (record_iter_next(&it, &r, &err) > 0)
        if (!same_record_at(v, &r)) return false;
    return true;
}

static bool has_latest(struct view *v) {
    int64_t latest[KEYS] = {-1, -1, -1, -1};
    for (int64_t i = 0; i < v->end; i++)
        if (counts(&v->l->records[i], i, v->stable)) latest[key_of(v->l->records[i].tag, v->l->records[i].index)] = i;
    for (int k = 0; k < KEYS; k++) {
        if (latest[k] < v->from || v->latest[k] == latest[k]) continue;
        const struct record_is *r = &v->l->records[latest[k]];
        if (v->latest[k] < 0 && is_tombstone(COMPACTED, r->tag, r->index)) continue; // it took the key along
        return differs(v->why, "%s: the last record of key %s, %" PRId64 ", is not there", v->where, keys[k], latest[k]);
    }
    return true;
}

// Every record that this reader must get: with gaps only where compaction may make them.
static bool has_all(struct view *v) {
    int64_t from = v->compacted ? v->stable : v->from, upto = v->isolation == READ_COMMITTED ? v->stable : v->end, want = 0;
    if (from < v->from) from = v->from;
    for (int64_t i = from; i < upto; i++)
        want += !v->l->records[i].control && (v->isolation == READ_COMMITTED ? v->l->records[i].fate != 'a' : i >= v->stable);
    if (v->isolation == READ_COMMITTED && v->compacted) return true;
    return v->records == want || differs(v->why, "%s: %" PRId64 " records, not %" PRId64, v->where, v->records, want);
}

// Reads everything; every record is the model's, offsets continue up to the end.
static bool same_view(struct view *v, struct partition *p) {
    struct buf batches = {0};
    struct read_request q = {.from = v->from, .max_bytes = 3000, .isolation = v->isolation};
    struct read_result r;
    struct batch_header h;
    struct err err;
    bool same = true;
    v->next = -1;
    for (int k = 0; k < KEYS; k++) v->latest[k] = -1;
    do {
        buf_clear(&batches);
        if (partition_read(p, &q, &batches, &r, &err)) same = differs(v->why, "%s: %s", v->where, err.msg);
        for (size_t at = 0; same && at < r.n; at += batch_size(&h)) {
            if (batch_read_header(batches.p + at, r.n - at, &h)) same = differs(v->why, "%s: no whole batch", v->where);
            else if (!v->compacted && (v->next >= 0 ? h.base_offset != v->next : h.base_offset > v->from))
                same = differs(v->why, "%s: offset %" PRId64 " follows %" PRId64, v->where, h.base_offset, v->next);
            else same = same_batch(v, batches.p + at, &h);
            v->next = batch_last_offset(&h) + 1;
        }
        q.from = r.next;
    } while (same && r.n);
    buf_done(&batches);
    int64_t end = v->isolation == READ_COMMITTED ? v->stable : v->end;
    if (same && v->next > end) same = differs(v->why, "%s: shown to %" PRId64 ", beyond %" PRId64, v->where, v->next, end);
    if (same && v->compacted) same = has_latest(v);
    else if (same && (v->next < 0 ? v->from : v->next) != end) same = differs(v->why, "%s: readable to %" PRId64 ", not to %" PRId64, v->where, v->next, end);
    return same && has_all(v);
}

// Those that a reader of [start, stable) must know: all that have records there. Compaction may have taken the records.
static bool same_aborted(const struct view *v, const struct aborted_txn *got, size_t n) {
    size_t found = 0;
    for (size_t i = 0; i < v->l->aborted_n; i++) {
        const struct aborted *a = &v->l->aborted[i];
        if (a->last < v->from || a->first >= v->stable || a->last >= v->end) continue;
        bool there = false;
        for (size_t k = 0; k < n; k++) there |= got[k].producer_id == a->id && got[k].first_offset == a->first;
        if (!there && !v->compacted) return differs(v->why, "%s: aborted transaction from %" PRId64 " is not known", v->where, a->first);
        found += there;
    }
    return n == found || differs(v->why, "%s: %zu aborted transactions, not %zu", v->where, n, found);
}

// As a consumer takes them; the store lists them in the order in which they ended.
static int by_first(const void *a, const void *b) {
    const struct aborted_txn *x = a, *y = b;
    return (x->first_offset > y->first_offset) - (x->first_offset < y->first_offset);
}

static bool same_both(struct view *v, struct partition *p) {
    struct aborted_txn *aborted;
    struct err err;
    if (!same_view(v, p)) return false;
    if (partition_aborted(p, v->from, v->stable, &aborted, &v->aborted_n, &err)) return differs(v->why, "%s: %s", v->where, err.msg);
    qsort(aborted, v->aborted_n, sizeof(*aborted), by_first);
    v->aborted = aborted;
    v->isolation = READ_COMMITTED;
    v->records = 0;
    bool same = same_aborted(v, aborted, v->aborted_n) && same_view(v, p);
    free(aborted);
    return same;
}

static bool same_partition(const struct script *x, const struct state *s, struct topic *t, int name, int partition, struct buf *why) {
    const struct log *l = &x->instances[s->instance[name]].logs[partition];
    struct partition *p = topic_partition(t, partition);
    struct partition_offsets o;
    struct err err;
    char where[64];
    int64_t end = s->end[name][partition];
    snprintf(where, sizeof(where), "%s-%d", names[name], partition);
    partition_offsets(p, &o);
    if (partition_health(p, &err)) return differs(why, "%s", err.msg);
    if (o.high_watermark != end) return differs(why, "%s: ends at %" PRId64 ", not %" PRId64, where, o.high_watermark, end);
    if (o.log_start < s->start[name][partition] || o.log_start > end) return differs(why, "%s: starts at %" PRId64, where, o.log_start);
    int64_t stable = stable_of(s, name, partition, end, o.log_start);
    if (o.last_stable != stable) return differs(why, "%s: stable to %" PRId64 ", not %" PRId64, where, o.last_stable, stable);
    struct view v = {.l = l, .where = where, .compacted = name == COMPACTED, .from = o.log_start, .stable = stable, .end = end, .why = why};
    return same_both(&v, p);
}

static bool same_topic(const struct script *x, const struct state *s, struct topic *t, int name, struct buf *why) {
    char retention[16] = "-1";
    if (s->retention[name]) snprintf(retention, sizeof(retention), "%d", s->retention[name]);
    if (topic_partitions(t) != s->partitions[name]) return differs(why, "%s: %d partitions, not %d", names[name], topic_partitions(t), s->partitions[name]);
    if (strcmp(topic_setting_get(t, "retention.bytes", NULL), retention) != 0 || strcmp(topic_setting_get(t, "compression.type", NULL), codecs[s->codec[name]]) != 0) return differs(why, "%s: another configuration", names[name]);
    for (int i = 0; i < s->partitions[name]; i++)
        if (!same_partition(x, s, t, name, i, why)) return false;
    return true;
}

bool script_matches(const struct script *x, struct store *store, unsigned n, struct buf *why) {
    const struct state *s = &x->states[n];
    for (int i = 0; i < SCRIPT_NAMES; i++) {
        struct topic *t = topic_get(store, names[i]);
        bool same = true;
        if ((t != NULL) != (s->instance[i] >= 0)) same = differs(why, "topic %s is %s", names[i], t ? "there" : "not there");
        else if (t) same = same_topic(x, s, t, i, why);
        topic_unref(t);
        if (!same) return false;
    }
    return true;
}

static bool send(struct store *s, const struct piece *p, struct append_result *ret, struct buf *why) {
    struct commit *c = commit_new(s);
    struct buf batch = make_batch(p);
    struct err err;
    struct topic *t = topic_get(s, names[p->name]);
    int failed = commit_append(c, topic_partition(t, p->partition), &batch, false, &err);
    topic_unref(t);
    if (failed) commit_free(c);
    if (failed || store_commit_wait(s, c, ret, &err)) return differs(why, "%s-%d: %s", names[p->name], p->partition, err.msg);
    return true;
}

bool script_continues(const struct script *x, struct store *store, unsigned n, struct buf *why) {
    const struct state *s = &x->states[n];
    for (int i = 0; i < SCRIPT_PRODUCERS; i++) {
        const struct producer_is *w = &s->producers[i];
        struct append_result r;
        if (!w->sent) continue;
        if (!send(store, &w->last, &r, why)) return false;
        if (!r.duplicate || r.base_offset != w->last.offset) return differs(why, "producer %d: its last batch is not known any more", i);
        struct piece next = w->last;
        next.sequence = w->next;
        next.transactional = w->txn_first >= 0;
        struct topic *t = topic_get(store, names[next.name]);
        struct partition_offsets o;
        partition_offsets(topic_partition(t, next.partition), &o);
        topic_unref(t);
        if (!send(store, &next, &r, why)) return false;
        if (r.duplicate || r.base_offset != o.high_watermark) return differs(why, "producer %d: its next batch went to %" PRId64, i, r.base_offset);
    }
    return true;
}
