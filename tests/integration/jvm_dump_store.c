// SPDX-License-Identifier: Apache-2.0
// jvm_dump_store FOLDER: makes a log with everything that has a format of Kafka's, for Kafka's own tool to read.
//
// Prints one line a partition: "<topic>-<n> <records> <next offset>", records as DumpLogSegments counts them (markers too).
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/mem.h"
#include "coord/kvmap.h"
#include "coord/offsets.h"
#include "coord/txn.h"
#include "producers.h"
#include "store/batch.h"
#include "store/store.h"

static void must(int failed, const struct err *err, const char *what) {
    if (!failed) return;
    fprintf(stderr, "%s: %s\n", what, err->msg);
    exit(1);
}
#define MUST(call) must((call) != 0, &err, #call)

static struct topic *make(struct store *s, const char *name, int32_t partitions, const struct topic_setting *settings, size_t n) {
    struct err err;
    MUST(store_topic_create(s, name, partitions, settings, n, &err));
    return topic_get(s, name);
}

static const struct record_header_in headers[] = {{{"trace", 5}, {"abc", 3}, false}, {{"none", 4}, {NULL, 0}, true}};

// count records: keys k<i % keys>, every seventh a tombstone, every third with headers.
static void fill(struct batch_builder *b, int first, int count, int keys) {
    char key[32], value[256];
    for (int i = first; i < first + count; i++) {
        snprintf(key, sizeof(key), "key-%d", i % keys);
        snprintf(value, sizeof(value), "{\"number\":%d,\"text\":\"some text that compresses, some text that compresses\"}", i);
        batch_add(b, 1700000000000 + i * 10 - (i % 5) * 25, str_of(key), i % 7 == 6 ? (struct str){NULL, 0} : str_of(value), headers, i % 3 ? 0 : 2);
    }
}

static void append(struct store *s, struct partition *p, struct batch_builder *b) {
    struct err err;
    struct commit *c = commit_new(s);
    MUST(batch_end(b, &err));
    MUST(commit_append(c, p, b->out, false, &err));
    MUST(store_commit_wait(s, c, NULL, &err));
}

// Plain and idempotent batches of every codec, over several segments.
static void write_plain(struct store *s) {
    static const enum codec codecs[] = {CODEC_NONE, CODEC_GZIP, CODEC_SNAPPY, CODEC_LZ4, CODEC_ZSTD};
    const struct topic_setting small[] = {{"segment.bytes", "20000"}, {"index.interval.bytes", "1000"}, {"retention.ms", "-1"}};
    struct topic *t = make(s, "plain", 2, small, 3);
    int64_t id;
    struct err err;
    MUST(store_producer_id(s, &id, &err));
    for (int i = 0; i < 120; i++) {
        struct buf bytes = {0};
        struct batch_builder b;
        batch_begin(&b, &bytes, codecs[i % 5]);
        if (i % 2) b.producer_id = id, b.producer_epoch = 0, b.base_sequence = i / 2 * 12;
        fill(&b, i * 12, 12, 50);
        append(s, topic_partition(t, i % 2), &b);
    }
    topic_unref(t);
}

static void write_append_time(struct store *s) {
    const struct topic_setting stamped = {"message.timestamp.type", "LogAppendTime"};
    struct topic *t = make(s, "stamped", 1, &stamped, 1);
    for (int i = 0; i < 20; i++) {
        struct buf bytes = {0};
        struct batch_builder b;
        batch_begin(&b, &bytes, i % 2 ? CODEC_ZSTD : CODEC_NONE);
        fill(&b, i * 10, 10, 10);
        append(s, topic_partition(t, 0), &b);
    }
    topic_unref(t);
}

static void one_txn(struct store *s, struct txn *x, struct topic *t, int round, bool commit) {
    struct err err;
    for (int part = 0; part < 2; part++) {
        struct buf bytes = {0};
        struct batch_builder b;
        struct commit *c = commit_new(s);
        batch_begin(&b, &bytes, round % 2 ? CODEC_ZSTD : CODEC_LZ4);
        fill(&b, round * 30, 30, 40);
        txn_stamp(x, &b, topic_partition(t, part));
        MUST(batch_end(&b, &err));
        MUST(txn_append(x, c, topic_partition(t, part), &bytes, &err));
        MUST(store_commit_wait(s, c, NULL, &err));
    }
    if (!commit) {
        MUST(txn_abort(x, &err));
        return;
    }
    struct commit *c = commit_new(s);
    MUST(txn_end(x, c, &err));
    MUST(store_commit_wait(s, c, NULL, &err));
}

static void write_txns(struct store *s, struct txns *txns) {
    const struct topic_setting small[] = {{"segment.bytes", "8000"}, {"index.interval.bytes", "500"}, {"retention.ms", "-1"}};
    struct topic *t = make(s, "transactions", 2, small, 3);
    struct txn *one, *two;
    struct err err;
    MUST(txn_init(txns, "connect-cluster-shop-db-0", &one, &err));
    MUST(txn_init(txns, "connect-cluster-shop-db-1", &two, &err));
    for (int i = 0; i < 24; i++) one_txn(s, i % 2 ? one : two, t, i, i % 3 != 2);
    txn_close(one);
    txn_close(two);
    topic_unref(t);
}

static void write_offsets(struct store *s) {
    struct offsets *o;
    struct err err;
    MUST(offsets_open(s, &clock_real, 50, &o, &err));
    for (int i = 0; i < 200; i++) {
        char group[32];
        snprintf(group, sizeof(group), "connect-sink-%d", i % 5);
        const struct group_offset list[] = {
            {.topic = "plain", .partition = 0, .offset = i, .leader_epoch = 0, .metadata = STR("by connectd")},
            {.topic = "plain", .partition = 1, .offset = i % 20 == 19 ? -1 : i * 2, .leader_epoch = -1},
        };
        MUST(offsets_commit(o, group, list, 2, &err));
    }
    offsets_close(o);
}

// A compacted topic, rewritten twice: gaps, emptied batches, delete horizons.
static void write_compacted(struct store *s) {
    const struct topic_setting settings[] = {{"cleanup.policy", "compact"}, {"segment.bytes", "8000"}, {"index.interval.bytes", "500"}, {"min.cleanable.dirty.ratio", "0.01"}};
    struct topic *t = make(s, "compacted", 1, settings, 4);
    struct err err;
    int64_t id;
    MUST(store_producer_id(s, &id, &err));
    for (int i = 0; i < 150; i++) {
        struct buf bytes = {0};
        struct batch_builder b;
        batch_begin(&b, &bytes, i % 2 ? CODEC_ZSTD : CODEC_NONE);
        if (i < 40) b.producer_id = id, b.producer_epoch = 0, b.base_sequence = i * 6;
        fill(&b, i * 6, 6, 60);
        append(s, topic_partition(t, 0), &b);
        if (i % 70 == 69) MUST(store_clean(s, &err));
    }
    topic_unref(t);
}

// ── telling what there is ────────────────────────────────────────────────────────────────────────────────────────────

// The state after the partition's last batch, as the file that Kafka writes.
static void write_snapshot(struct fs *fs, struct partition *p, struct producers *producers, int64_t next) {
    struct buf bytes = {0};
    struct err err;
    _cleanup_free_ char *path = xasprintf("%s-%d/%020lld.snapshot", partition_topic(p), partition_index(p), (long long)next);
    producers_snapshot(producers, &bytes);
    MUST(fs_replace(fs, path, bytes.p, bytes.n, &err));
    buf_done(&bytes);
}

static void tell_partition(struct fs *fs, struct partition *p) {
    struct producers *producers = producers_new();
    struct partition_offsets o;
    struct buf bytes = {0};
    struct err err;
    long long records = 0;
    partition_offsets(p, &o);
    for (struct read_request r = {.from = o.log_start, .max_bytes = 1 << 20}; r.from < o.high_watermark;) {
        struct read_result got;
        buf_clear(&bytes);
        MUST(partition_read(p, &r, &bytes, &got, &err));
        if (!got.n) break;
        for (size_t at = 0; at < got.n;) {
            struct batch_header h;
            struct batch_marker m;
            struct producer_end end;
            if (batch_read_header(bytes.p + at, got.n - at, &h) != 0) abort();
            bool marker = batch_marker_read(bytes.p + at, batch_size(&h), &m) == 0;
            producers_apply(producers, &h, marker ? &m : NULL, 0, &end);
            records += h.count;
            at += batch_size(&h);
        }
        r.from = got.next;
    }
    if (producers_count(producers)) write_snapshot(fs, p, producers, o.high_watermark);
    if (records) printf("%s-%d %lld %lld\n", partition_topic(p), partition_index(p), records, (long long)o.high_watermark);
    producers_free(producers);
    buf_done(&bytes);
}

static int tell(void *arg, struct topic *t) {
    for (int32_t i = 0; i < topic_partitions(t); i++) tell_partition(arg, topic_partition(t, i));
    return 0;
}

int main(int argc, char **argv) {
    struct store_options o = {.journal_bytes = 1 << 20, .cleaner_off = true, .reserve_bytes = 1 << 16};
    struct store *s;
    struct txns *txns;
    struct err err;
    if (argc != 2) return 2;
    MUST(fs_posix_open(argv[1], &o.fs, &err));
    MUST(store_open(&o, &s, &err));
    MUST(txns_open(s, &clock_real, 50, &txns, NULL, &err));
    write_plain(s);
    write_append_time(s);
    write_txns(s, txns);
    write_offsets(s);
    write_compacted(s);
    txns_close(txns);
    MUST(store_close(s, &err));
    fs_close(o.fs);
    MUST(fs_posix_open(argv[1], &o.fs, &err));
    MUST(store_open(&o, &s, &err)); // as it lies on disk
    store_topics(s, tell, o.fs);
    MUST(store_close(s, &err));
    fs_close(o.fs);
    return 0;
}
