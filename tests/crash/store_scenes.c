// SPDX-License-Identifier: Apache-2.0
#include "store_scenes.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>

#include "alloc_fail.h"
#include "base/hash.h"
#include "base/mem.h"
#include "coord/kvmap.h"
#include "coord/offsets.h"
#include "store/scan.h"
#include "coord/txn.h"
#include "store/batch.h"

enum { FAILURES_MOST = 8, LARGE = 1200000 };
#define RECORD_MS INT64_C(1700000000000)

struct store_options world_options(struct world *w) {
    return (struct store_options){
        .fs = w->fs,
        .clock = &w->clock.clock,
        .journal_bytes = 8 << 20,
        .commit_max_bytes = 7 << 20,
        .reserve_bytes = 64 * 1024,
        .checkpoint_ms = INT64_MAX / 4,
        .cleaner_off = true,
    };
}

// ── trying again ─────────────────────────────────────────────────────────────────────────────────────────────────────

// A call said no: it may be tried again, with memory there.
static bool again(struct world *w, const struct err *err, const char *call) {
    alloc_relief();
    snprintf(w->why, sizeof(w->why), "%s: %s: %s", call, err_name(err->code), err->msg);
    return err_retriable(err) && ++w->failures <= FAILURES_MOST;
}
#define TRY(call)                                    \
    while ((call) != 0)                              \
        if (!again(w, &err, #call)) return false

static bool is(struct world *w, bool good, const char *what) {
    if (!good) snprintf(w->why, sizeof(w->why), "not true: %s", what);
    return good;
}
#define IS(condition) \
    if (!is(w, condition, #condition)) return false

bool world_open(struct world *w) {
    struct err err;
    struct store_options o = world_options(w);
    TRY((fs_mem_unlock(w->fs), store_open(&o, &w->s, &err))); // the lock goes with the file system, which is the caller's
    return true;
}

// ── steps ────────────────────────────────────────────────────────────────────────────────────────────────────────────

struct batch_spec {
    enum codec codec;
    int64_t producer;      // 0 none
    int32_t sequence;
    bool transactional;
    const char *key;       // NULL none
    size_t bytes;          // of each value
    int records;           // 0: one
};

static void value_of(struct buf *out, int number, size_t bytes) {
    buf_clear(out);
    buf_printf(out, "%d:", number);
    for (uint64_t x = (uint64_t)number + 1; out->n < bytes && !out->bad; x = x * 6364136223846793005 + 1) buf_be64(out, x & 0xff);
}

static int build(const struct batch_spec *b, struct buf *bytes, struct err *err) {
    struct batch_builder w;
    struct buf value = {0};
    int records = b->records ? b->records : 1;
    batch_begin(&w, bytes, b->codec);
    if (b->producer) {
        w.producer_id = b->producer;
        w.producer_epoch = 0;
        w.base_sequence = b->sequence;
        if (b->transactional) w.attributes |= BATCH_TRANSACTIONAL;
    }
    for (int i = 0; i < records; i++) {
        value_of(&value, b->sequence + i, b->bytes);
        if (value.bad) break;
        batch_add(&w, RECORD_MS + i, b->key ? str_of(b->key) : (struct str){NULL, 0}, buf_str(&value), NULL, 0);
    }
    int failed = value.bad ? err_set(err, buf_fault(&value), "a value of %zu bytes", b->bytes) : batch_end(&w, err);
    buf_done(&value);
    if (failed) buf_done(bytes);
    return failed;
}

static int add(struct world *w, struct commit *c, const char *topic, int32_t partition, const struct batch_spec *b, struct err *err) {
    struct topic *t = topic_get(w->s, topic);
    struct buf bytes = {0};
    int failed = t ? build(b, &bytes, err) : err_set(err, ERR_NOT_FOUND, "%s", topic);
    if (!failed) failed = commit_append(c, topic_partition(t, partition), &bytes, true, err);
    buf_done(&bytes);
    topic_unref(t);
    return failed;
}

static int put_once(struct world *w, const char *topic, int32_t partition, const struct batch_spec *b, struct append_result *ret, struct err *err) {
    struct commit *c = commit_new(w->s);
    if (add(w, c, topic, partition, b, err) == 0) return store_commit_wait(w->s, c, ret, err);
    commit_free(c);
    return -1;
}

static bool put(struct world *w, const char *topic, int32_t partition, struct batch_spec b) {
    struct append_result r;
    struct err err;
    TRY(put_once(w, topic, partition, &b, &r, &err));
    buf_printf(&w->said, "%s-%d@%" PRId64 "%s ", topic, partition, r.base_offset, r.duplicate ? "!" : "");
    return true;
}

static int mark_once(struct world *w, const char *topic, int32_t partition, int64_t producer, bool commit_txn, struct err *err) {
    struct topic *t = topic_get(w->s, topic);
    struct commit *c = commit_new(w->s);
    int failed = commit_marker(c, topic_partition(t, partition), producer, 0, commit_txn, 0, err);
    topic_unref(t);
    if (!failed) return store_commit_wait(w->s, c, NULL, err);
    commit_free(c);
    return -1;
}
static bool mark(struct world *w, const char *topic, int32_t partition, int64_t producer, bool commit_txn) {
    struct err err;
    TRY(mark_once(w, topic, partition, producer, commit_txn, &err));
    return true;
}

static int create_once(struct world *w, const char *name, int32_t partitions, const struct topic_setting *settings, size_t n, struct err *err) {
    unsigned before = w->failures;
    int failed = store_topic_create(w->s, name, partitions, settings, n, err);
    return failed && err->code == ERR_EXISTS && before ? 0 : failed; // made by the attempt that said no
}
static bool create(struct world *w, const char *name, int32_t partitions, const char *setting, const char *value) {
    struct topic_setting one = {setting, value};
    struct err err;
    TRY(create_once(w, name, partitions, &one, setting != NULL, &err));
    return true;
}

static bool checkpoint(struct world *w) {
    struct err err;
    TRY(store_checkpoint(w->s, &err));
    return true;
}

// The committed records of a partition, by a scan.
static int read_once(struct world *w, const char *topic, int32_t partition, struct buf *out, struct err *err) {
    struct topic *t = topic_get(w->s, topic);
    struct record r;
    struct scan s;
    int got;
    buf_clear(out);
    scan_init(&s, topic_partition(t, partition), 0);
    while ((got = scan_next(&s, &r, err)) > 0)
        buf_printf(out, "%" PRId64 ":%.*s=%" PRIx64 "/%zu ", r.offset, STR_FMT(r.key), str_hash(r.value), r.value.n);
    scan_done(&s);
    topic_unref(t);
    return got == 0 && out->bad ? err_set(err, buf_fault(out), "what was read") : got;
}
static bool read_all(struct world *w, const char *topic, int32_t partition) {
    struct buf got = {0};
    struct err err;
    TRY(read_once(w, topic, partition, &got, &err));
    buf_puts(&w->said, buf_str(&got));
    buf_done(&got);
    return true;
}

// ── the state ────────────────────────────────────────────────────────────────────────────────────────────────────────

static void state_partition(struct world *w, struct partition *p, struct buf *out) {
    struct partition_offsets o;
    struct aborted_txn *aborted = NULL;
    size_t n = 0;
    struct err err;
    struct buf records = {0};
    partition_offsets(p, &o);
    buf_printf(out, "%s-%d %" PRId64 " %" PRId64 " %" PRId64 " ", partition_topic(p), partition_index(p), o.log_start, o.last_stable, o.high_watermark);
    if (read_once(w, partition_topic(p), partition_index(p), &records, &err) || partition_aborted(p, o.log_start, o.high_watermark, &aborted, &n, &err))
        buf_printf(out, "FAILED: %s", err.msg);
    buf_puts(out, buf_str(&records));
    for (size_t i = 0; i < n; i++) buf_printf(out, "!%" PRId64 "@%" PRId64 " ", aborted[i].producer_id, aborted[i].first_offset);
    buf_u8(out, '\n');
    free(aborted);
    buf_done(&records);
}

struct states { struct world *w; struct buf *out; };
static int state_topic(void *arg, struct topic *t) {
    struct states *x = arg;
    size_t n;
    const struct topic_setting_row *rows = topic_setting_rows(&n);
    buf_printf(x->out, "%s %d", topic_name(t), topic_partitions(t));
    for (size_t i = 0; i < n; i++) {
        bool set;
        const char *value = topic_setting_get(t, rows[i].name, &set);
        if (set) buf_printf(x->out, " %s=%s", rows[i].name, value);
    }
    buf_u8(x->out, '\n');
    for (int32_t i = 0; i < topic_partitions(t); i++) state_partition(x->w, topic_partition(t, i), x->out);
    return 0;
}

// Of coordinators' topics only what their records say, by their own records' values, counts: that is what state_topic prints of all.
void world_state(struct world *w, struct buf *out) {
    struct states x = {w, out};
    store_topics(w->s, state_topic, &x);
}

// ── scenes: topics and commits ───────────────────────────────────────────────────────────────────────────────────────

static bool prepare_nothing(struct world *w) { return w->s != NULL; }
static bool one_topic(struct world *w) { return create(w, "t", 2, NULL, NULL); }

static bool act_open(struct world *w) { return world_open(w); }
static bool act_create(struct world *w) { return create(w, "t", 3, "retention.ms", "5000"); }

static int alter_once(struct world *w, int32_t partitions, const char *value, struct err *err) {
    struct topic_setting one = {"retention.bytes", value};
    return store_topic_alter(w->s, "t", partitions, &one, 1, err);
}
static bool act_alter(struct world *w) {
    struct err err;
    TRY(alter_once(w, 0, "1000000", &err));
    return true;
}
static bool act_grow(struct world *w) {
    struct err err;
    TRY(alter_once(w, 5, "1000000", &err));
    return put(w, "t", 4, (struct batch_spec){.bytes = 100});
}
static int delete_once(struct world *w, struct err *err) {
    unsigned before = w->failures;
    int failed = store_topic_delete(w->s, "t", err);
    return failed && err->code == ERR_NOT_FOUND && before ? 0 : failed;
}
static bool act_delete(struct world *w) {
    struct err err;
    TRY(delete_once(w, &err));
    return create(w, "t", 1, NULL, NULL) && put(w, "t", 0, (struct batch_spec){.bytes = 10});
}

static bool act_commit_inline(struct world *w) {
    for (int i = 0; i < 3; i++)
        if (!put(w, "t", i % 2, (struct batch_spec){.sequence = i, .bytes = 100})) return false;
    return true;
}
static bool act_commit_pointed(struct world *w) { return put(w, "t", 0, (struct batch_spec){.bytes = 200000}) && put(w, "t", 0, (struct batch_spec){.bytes = 10}); }
static bool act_commit_large(struct world *w) { return put(w, "t", 0, (struct batch_spec){.bytes = LARGE}) && put(w, "t", 0, (struct batch_spec){.bytes = 10}); }
static bool prepare_large(struct world *w) { return create(w, "t", 1, "max.message.bytes", "67108864"); }

static bool prepare_atomic(struct world *w) { return create(w, "t", 3, NULL, NULL) && create(w, "u", 2, NULL, NULL); }
static int atomic_once(struct world *w, struct err *err) {
    struct commit *c = commit_new(w->s);
    for (int i = 0; i < 10; i++) {
        struct batch_spec b = {.sequence = i, .bytes = i == 3 ? 100000 : 50};
        if (add(w, c, i % 5 < 3 ? "t" : "u", i % 5 < 3 ? i % 5 : i % 5 - 3, &b, err) == 0) continue;
        commit_free(c);
        return -1;
    }
    return store_commit_wait(w->s, c, NULL, err);
}
static bool act_atomic(struct world *w) {
    struct err err;
    TRY(atomic_once(w, &err));
    return put(w, "u", 1, (struct batch_spec){.sequence = 20, .bytes = 10});
}

static bool prepare_codec(struct world *w) { return create(w, "t", 1, "max.message.bytes", "67108864"); }
static bool codec_roundtrip(struct world *w, enum codec codec) {
    return put(w, "t", 0, (struct batch_spec){.codec = codec, .bytes = 3000, .records = 20}) &&
           put(w, "t", 0, (struct batch_spec){.codec = codec, .bytes = LARGE, .sequence = 7}) && read_all(w, "t", 0);
}
static bool act_gzip(struct world *w) { return codec_roundtrip(w, CODEC_GZIP); }
static bool act_snappy(struct world *w) { return codec_roundtrip(w, CODEC_SNAPPY); }
static bool act_lz4(struct world *w) { return codec_roundtrip(w, CODEC_LZ4); }
static bool act_zstd(struct world *w) { return codec_roundtrip(w, CODEC_ZSTD); }

static bool prepare_recode(struct world *w) {
    return create(w, "t", 1, "compression.type", "zstd") && create(w, "u", 1, "compression.type", "gzip");
}
static bool act_recode(struct world *w) {
    return put(w, "t", 0, (struct batch_spec){.bytes = 5000, .records = 3}) && put(w, "u", 0, (struct batch_spec){.codec = CODEC_LZ4, .bytes = 5000, .records = 3}) &&
           read_all(w, "t", 0) && read_all(w, "u", 0);
}

static bool act_duplicate(struct world *w) {
    struct batch_spec b = {.producer = 5, .bytes = 50, .records = 2};
    if (!put(w, "t", 0, b) || !put(w, "t", 0, b)) return false;
    b.sequence = 2;
    return put(w, "t", 0, b) && put(w, "t", 0, b);
}

static bool act_ids(struct world *w) {
    struct err err;
    int64_t a, b;
    TRY(store_producer_id(w->s, &a, &err));
    TRY(store_producer_id(w->s, &b, &err));
    IS(b > a);
    return true;
}

// ── scenes: transactions of the store ────────────────────────────────────────────────────────────────────────────────

static bool transaction(struct world *w, int64_t producer, int32_t sequence, bool commit_txn) {
    return put(w, "t", 0, (struct batch_spec){.producer = producer, .sequence = sequence, .transactional = true, .key = "k", .bytes = 60, .records = 2}) &&
           put(w, "t", 1, (struct batch_spec){.producer = producer, .sequence = sequence, .transactional = true, .key = "k", .bytes = 60, .records = 2}) &&
           mark(w, "t", 0, producer, commit_txn) && mark(w, "t", 1, producer, commit_txn);
}
static bool act_txn_commit(struct world *w) { return transaction(w, 5, 0, true) && read_all(w, "t", 0); }
static bool act_txn_abort(struct world *w) { return transaction(w, 5, 0, false) && read_all(w, "t", 0); }

static bool prepare_aborts(struct world *w) {
    if (!create(w, "t", 2, "segment.bytes", "6000")) return false;
    for (int i = 0; i < 40; i++)
        if (!put(w, "t", 0, (struct batch_spec){.producer = 5, .sequence = 3 * i, .transactional = true, .bytes = 60, .records = 3}) || !mark(w, "t", 0, 5, i % 2)) return false;
    return true;
}
static bool act_aborted_index(struct world *w) {
    struct topic *t = topic_get(w->s, "t");
    struct aborted_txn *aborted;
    size_t n;
    struct err err;
    TRY(partition_aborted(topic_partition(t, 0), 0, 100, &aborted, &n, &err));
    for (size_t i = 0; i < n; i++) buf_printf(&w->said, "!%" PRId64 "@%" PRId64 " ", aborted[i].producer_id, aborted[i].first_offset);
    free(aborted);
    topic_unref(t);
    return read_all(w, "t", 0);
}

// ── scenes: segments ─────────────────────────────────────────────────────────────────────────────────────────────────

static bool prepare_small_segments(struct world *w) { return create(w, "t", 1, "segment.bytes", "500"); }
static bool fill(struct world *w, int n, const char *key) {
    for (int i = 0; i < n; i++)
        if (!put(w, "t", 0, (struct batch_spec){.sequence = i, .bytes = 150, .key = key})) return false;
    return true;
}
static bool act_roll(struct world *w) { return fill(w, 10, NULL); }
static bool act_checkpoint(struct world *w) {
    for (int i = 0; i < 6; i++) // more of producers than fits into a little
        if (!put(w, "t", 0, (struct batch_spec){.producer = 5 + i % 2, .sequence = i / 2, .bytes = 150})) return false;
    return checkpoint(w) && fill(w, 2, NULL) && checkpoint(w);
}

static bool clean(struct world *w) {
    struct err err;
    TRY(store_clean(w->s, &err));
    return true;
}
static bool prepare_retention(struct world *w) {
    struct topic_setting settings[] = {{"segment.bytes", "500"}, {"retention.bytes", "1000"}};
    struct err err;
    TRY(create_once(w, "t", 1, settings, 2, &err));
    return fill(w, 15, NULL);
}
static bool prepare_compaction(struct world *w) {
    struct topic_setting settings[] = {{"segment.bytes", "900"}, {"cleanup.policy", "compact"}, {"min.cleanable.dirty.ratio", "0.01"}};
    char key[2] = "a";
    struct err err;
    TRY(create_once(w, "t", 2, settings, 3, &err));
    for (int i = 0; i < 12; i++, key[0] = (char)('a' + i % 4))
        if (!put(w, "t", 0, (struct batch_spec){.codec = (enum codec)(i % 5), .sequence = i, .bytes = 1200, .key = key})) return false;
    return transaction(w, 5, 0, false) && transaction(w, 5, 2, true) && fill(w, 3, "z");
}

static int delete_before_once(struct world *w, struct err *err) {
    struct topic *t = topic_get(w->s, "t");
    int failed = partition_delete_before(topic_partition(t, 0), 7, err);
    topic_unref(t);
    return failed;
}
static bool act_delete_before(struct world *w) {
    struct err err;
    TRY(delete_before_once(w, &err));
    return clean(w);
}

static bool prepare_reading(struct world *w) {
    return create(w, "t", 1, "max.message.bytes", "67108864") && fill(w, 5, NULL) && put(w, "t", 0, (struct batch_spec){.codec = CODEC_LZ4, .bytes = 20000, .records = 50}) &&
           put(w, "t", 0, (struct batch_spec){.bytes = LARGE, .sequence = 9});
}
static bool act_read(struct world *w) { return read_all(w, "t", 0); }
static bool act_read_cold(struct world *w) { return world_open(w) && read_all(w, "t", 0); }
static bool act_time(struct world *w) {
    struct topic *t = topic_get(w->s, "t");
    struct err err;
    int64_t offset, ts;
    TRY(partition_offset_for_time(topic_partition(t, 0), RECORD_MS + 10, &offset, &ts, &err));
    buf_printf(&w->said, "%" PRId64 "@%" PRId64 " ", offset, ts);
    TRY(partition_offset_for_time(topic_partition(t, 0), -1, &offset, &ts, &err));
    buf_printf(&w->said, "%" PRId64 "@%" PRId64 " ", offset, ts);
    topic_unref(t);
    return true;
}

static void count_watch(void *arg) { atomic_fetch_add((atomic_int *)arg, 1); }
static bool act_watch(struct world *w) {
    struct topic *t = topic_get(w->s, "t");
    atomic_int fired = 0;
    struct watch x = {.partition = topic_partition(t, 0), .beyond = 0, .isolation = READ_COMMITTED, .fn = count_watch, .arg = &fired};
    partition_watch(&x);
    bool good = put(w, "t", 0, (struct batch_spec){.bytes = 10});
    partition_unwatch(&x);
    topic_unref(t);
    IS(!good || fired == 1);
    return good;
}

static int status_once(struct world *w, size_t *ret_n, struct err *err) {
    struct buf text = {0};
    struct json_writer j = json_to(&text);
    store_status_json(w->s, &j);
    int failed = text.bad ? err_set(err, buf_fault(&text), "status") : 0;
    *ret_n = text.n;
    buf_done(&text);
    return failed;
}
static bool act_status(struct world *w) {
    struct err err;
    size_t n = 0;
    TRY(status_once(w, &n, &err));
    IS(n > 100);
    return true;
}

// ── scenes: recovery ─────────────────────────────────────────────────────────────────────────────────────────────────

static bool prepare_unclean(struct world *w) {
    return create(w, "t", 2, "segment.bytes", "2000") && fill(w, 6, NULL) && checkpoint(w) && fill(w, 20, NULL) && transaction(w, 5, 0, false) &&
           put(w, "t", 1, (struct batch_spec){.bytes = 150000, .sequence = 40}) &&
           put(w, "t", 1, (struct batch_spec){.producer = 6, .transactional = true, .bytes = 100}) && create(w, "u", 1, NULL, NULL);
}
static bool prepare_large_unclean(struct world *w) { return prepare_large(w) && put(w, "t", 0, (struct batch_spec){.bytes = LARGE}); }

// Bytes that were never acknowledged, behind what was.
static bool prepare_tail(struct world *w) {
    struct fs_file *f;
    struct fs_stat st;
    static const char junk[3000] = "junk";
    if (!prepare_unclean(w) || w->fs->ops->open(w->fs, "u-0/00000000000000000000.log", FS_WRITE, &f, NULL)) return false;
    bool good = !w->fs->ops->fstat(f, &st, NULL) && !fs_pwrite(w->fs, f, junk, sizeof(junk), st.size, NULL);
    w->fs->ops->close(f, NULL);
    return good;
}

// ── scenes: the coordinators ─────────────────────────────────────────────────────────────────────────────────────────

static int offsets_open_once(struct world *w, struct offsets **ret, struct err *err) { return offsets_open(w->s, &w->clock.clock, 4, ret, err); }
static int commit_offsets(struct offsets *o, int64_t offset, struct err *err) {
    const struct group_offset list[] = {{.topic = "t", .offset = offset, .leader_epoch = -1}, {.topic = "u", .partition = 1, .offset = offset + 1, .leader_epoch = -1}};
    return offsets_commit(o, "group", list, 2, err);
}
static bool act_offsets(struct world *w) {
    struct offsets *o;
    struct err err;
    int64_t at = 0;
    TRY(offsets_open_once(w, &o, &err));
    for (int i = 0; i < 3; i++) TRY(commit_offsets(o, i, &err));
    TRY(offsets_get(o, "group", "u", 1, &at, &err));
    IS(at == 3);
    offsets_close(o);
    TRY(offsets_open_once(w, &o, &err));
    TRY(offsets_get(o, "group", "t", 0, &at, &err));
    IS(at == 2);
    offsets_close(o);
    return true;
}

static bool act_kvmap(struct world *w) {
    struct kvmap *m;
    struct err err;
    struct buf value = {0};
    for (int round = 0; round < 2; round++) {
        TRY(kvmap_store_open(w->s, &w->clock.clock, "connect-configs", &m, &err));
        struct kvmap_entry entries[] = {{STR("a"), round ? STR("two") : STR("one")}, {STR("b"), round ? (struct str){NULL, 0} : STR("x")}};
        IS(kvmap_count(m) == (round ? 2 : 0));
        TRY(kvmap_put(m, entries, 2, &err));
        IS(kvmap_get(m, STR("a"), &value));
        buf_puts(&w->said, buf_str(&value));
        buf_clear(&value);
        kvmap_close(m);
    }
    buf_done(&value);
    return true;
}

static int txns_open_once(struct world *w, struct txns **ret, struct err *err) { return txns_open(w->s, &w->clock.clock, 4, ret, NULL, err); }
struct outcome { atomic_int done; struct err err; };
static void finished(void *arg, const struct err *err, const struct append_result *results, size_t n) {
    struct outcome *o = arg;
    (void)results, (void)n;
    if (err) o->err = *err;
    atomic_store(&o->done, err ? -1 : 1);
}
static int submit(struct world *w, struct txn *x, struct commit *c, struct err *err) {
    struct outcome o = {0};
    txn_submit(x, c, false, finished, &o);
    struct commit *behind = commit_new(w->s);
    struct err ignored;
    (void)!store_commit_wait(w->s, behind, NULL, &ignored);
    if (atomic_load(&o.done) == 1) return 0;
    *err = o.err;
    return -1;
}
// A whole transaction; what failed of it is aborted before it is tried again.
static int one_txn(struct world *w, struct txn *x, int32_t sequence, struct err *err) {
    struct topic *t = topic_get(w->s, "t");
    struct commit *c = commit_new(w->s);
    struct buf bytes = {0};
    struct batch_builder b;
    batch_begin(&b, &bytes, CODEC_NONE);
    batch_add(&b, RECORD_MS, STR("k"), sequence ? STR("second") : STR("first"), NULL, 0);
    txn_stamp(x, &b, topic_partition(t, 0));
    int failed = batch_end(&b, err) || txn_append(x, c, topic_partition(t, 0), &bytes, err) || txn_end(x, c, err);
    if (failed) commit_free(c);
    else failed = submit(w, x, c, err);
    buf_done(&bytes);
    topic_unref(t);
    struct err why;
    if (failed && txn_abort(x, &why) != 0) *err = why;
    return failed ? -1 : 0;
}
static bool act_coordinator(struct world *w) {
    struct txns *t;
    struct txn *x;
    struct err err;
    TRY(txns_open_once(w, &t, &err));
    TRY(txn_init(t, "task", &x, &err));
    TRY(one_txn(w, x, 0, &err));
    TRY(one_txn(w, x, 1, &err));
    txn_close(x);
    txns_close(t);
    return read_all(w, "t", 0);
}
static bool prepare_left_open(struct world *w) {
    return one_topic(w) && put(w, "t", 0, (struct batch_spec){.producer = 7, .transactional = true, .bytes = 60}) &&
           put(w, "t", 1, (struct batch_spec){.producer = 8, .transactional = true, .bytes = 60});
}
static bool act_abort_left_open(struct world *w) {
    struct txns *t;
    struct err err;
    if (!world_open(w)) return false;
    TRY(txns_open_once(w, &t, &err));
    txns_close(t);
    return read_all(w, "t", 0);
}

const struct scene scenes[] = {
    {.name = "open a new store", .act = act_open, .cold = true},
    {.name = "open after a clean stop", .prepare = prepare_unclean, .act = act_open, .cold = true},
    {.name = "recover after a kill", .prepare = prepare_unclean, .act = act_open, .cold = true, .killed = true},
    {.name = "recover a large batch", .prepare = prepare_large_unclean, .act = act_open, .cold = true, .killed = true},
    {.name = "recover and cut a tail", .prepare = prepare_tail, .act = act_open, .cold = true, .killed = true},
    {.name = "recover aborted transactions", .prepare = prepare_aborts, .act = act_open, .cold = true, .killed = true},
    {.name = "create a topic", .prepare = prepare_nothing, .act = act_create},
    {.name = "alter a topic", .prepare = one_topic, .act = act_alter},
    {.name = "grow a topic", .prepare = one_topic, .act = act_grow},
    {.name = "delete a topic and make it again", .prepare = one_topic, .act = act_delete},
    {.name = "commit inline", .prepare = one_topic, .act = act_commit_inline},
    {.name = "commit pointed", .prepare = one_topic, .act = act_commit_pointed},
    {.name = "commit a large batch", .prepare = prepare_large, .act = act_commit_large},
    {.name = "commit over five partitions", .prepare = prepare_atomic, .act = act_atomic},
    {.name = "duplicates", .prepare = one_topic, .act = act_duplicate},
    {.name = "producer ids", .prepare = one_topic, .act = act_ids},
    {.name = "gzip", .prepare = prepare_codec, .act = act_gzip},
    {.name = "snappy", .prepare = prepare_codec, .act = act_snappy},
    {.name = "lz4", .prepare = prepare_codec, .act = act_lz4},
    {.name = "zstd", .prepare = prepare_codec, .act = act_zstd},
    {.name = "recompress", .prepare = prepare_recode, .act = act_recode},
    {.name = "commit a transaction", .prepare = one_topic, .act = act_txn_commit},
    {.name = "abort a transaction", .prepare = one_topic, .act = act_txn_abort},
    {.name = "the index of aborted transactions", .prepare = prepare_aborts, .act = act_aborted_index},
    {.name = "roll", .prepare = prepare_small_segments, .act = act_roll},
    {.name = "checkpoint", .prepare = prepare_small_segments, .act = act_checkpoint},
    {.name = "retention", .prepare = prepare_retention, .act = clean},
    {.name = "compaction", .prepare = prepare_compaction, .act = clean},
    {.name = "delete records", .prepare = prepare_retention, .act = act_delete_before},
    {.name = "read from the cache", .prepare = prepare_reading, .act = act_read},
    {.name = "open and read", .prepare = prepare_reading, .act = act_read_cold, .cold = true},
    {.name = "look up times", .prepare = prepare_reading, .act = act_time},
    {.name = "watch", .prepare = one_topic, .act = act_watch},
    {.name = "status", .prepare = prepare_atomic, .act = act_status},
    {.name = "group offsets", .prepare = one_topic, .act = act_offsets},
    {.name = "a map", .prepare = one_topic, .act = act_kvmap},
    {.name = "the coordinator's transactions", .prepare = one_topic, .act = act_coordinator},
    {.name = "abort what a kill left open", .prepare = prepare_left_open, .act = act_abort_left_open, .cold = true, .killed = true},
};
const size_t scene_count = countof(scenes);
