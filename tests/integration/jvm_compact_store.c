// SPDX-License-Identifier: Apache-2.0
// What jvm_compact.py holds against Apache Kafka's cleaner.
//
//   jvm_compact_store keep DIR SEED      keeps two stores in DIR/whole and DIR/parts, told what to do on stdin:
//     round      appends the same random batches to partition t-0 of both: "<base of the active segment> <end of what may be compacted>"
//     compact    one round of compaction of the first; the second, which has memory for few keys, until nothing changes
//   jvm_compact_store survivors FOLDER   the records in a partition's segments: offset, key, value, headers; tombstones as "-"
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/text.h"
#include "store/batch.h"
#include "store_int.h"

enum { BATCHES = 500, KEYS = 120, PRODUCERS = 5, FEW_KEYS = 40 };

static void must(int failed, const struct err *err, const char *what) {
    if (!failed) return;
    fprintf(stderr, "%s: %s\n", what, err->msg);
    exit(1);
}
#define MUST(call) must((call) != 0, &err, #call)

struct producer { int64_t id; int32_t sequence; bool open; };
struct keeper {
    struct fs *fs[2];
    struct store *s[2];
    struct topic *t[2];
    uint64_t seed;
    struct producer producers[PRODUCERS]; // the first has no id, the second no transactions
    int number;
};

static uint64_t dice(struct keeper *k, uint64_t n) {
    k->seed = k->seed * 6364136223846793005u + 1442695040888963407u;
    return (k->seed >> 33) % n;
}

static void open_one(struct keeper *k, int i, const char *dir, const char *name, size_t dedupe_bytes, const char *delete_retention) {
    const struct topic_setting settings[] = {{"cleanup.policy", "compact"}, {"segment.bytes", "20000"}, {"min.cleanable.dirty.ratio", "0"},
                                             {"delete.retention.ms", delete_retention}};
    struct err err;
    _cleanup_free_ char *path = xasprintf("%s/%s", dir, name);
    if (mkdir(path, 0755)) exit(2);
    MUST(fs_posix_open(path, &k->fs[i], &err));
    const struct store_options o = {.fs = k->fs[i], .journal_bytes = 1 << 20, .reserve_bytes = 1 << 16, .cleaner_off = true, .dedupe_bytes = dedupe_bytes};
    MUST(store_open(&o, &k->s[i], &err));
    MUST(store_topic_create(k->s[i], "t", 1, settings, countof(settings), &err));
    k->t[i] = topic_get(k->s[i], "t");
}

static void append(struct keeper *k, const struct buf *batch, const struct producer *p, bool marker, bool commit_txn) {
    struct err err;
    for (int i = 0; i < 2; i++) {
        struct commit *c = commit_new(k->s[i]);
        struct buf bytes = {0};
        if (batch) buf_puts(&bytes, buf_str(batch));
        if (marker) MUST(commit_marker(c, topic_partition(k->t[i], 0), p->id, 0, commit_txn, 0, &err));
        else MUST(commit_append(c, topic_partition(k->t[i], 0), &bytes, false, &err));
        MUST(store_commit_wait(k->s[i], c, NULL, &err));
    }
}

static void add_record(struct keeper *k, struct batch_builder *b) {
    static const struct record_header_in headers[] = {{{"trace", 5}, {"abc", 3}, false}, {{"none", 4}, {NULL, 0}, true}, {{"", 0}, {"", 0}, false}};
    char key[32], value[400];
    int key_n = snprintf(key, sizeof(key), "key-%d", (int)dice(k, KEYS)), kind = (int)dice(k, 10);
    snprintf(value, sizeof(value), "value %d %*s", k->number++, (int)dice(k, 300), "|");
    struct str v = kind < 2 ? (struct str){NULL, 0} : kind == 2 ? STR("") : str_of(value);
    batch_add(b, 1700000000000 + (int64_t)dice(k, 1000), str_make(key, dice(k, 200) ? (size_t)key_n : 0), v, headers, (uint32_t)dice(k, 4));
}

// All codecs, all producers; aborted and committed transactions that overlap.
static void add_batch(struct keeper *k, bool may_open) {
    static const enum codec codecs[] = {CODEC_NONE, CODEC_GZIP, CODEC_SNAPPY, CODEC_LZ4, CODEC_ZSTD};
    struct producer *p = &k->producers[dice(k, PRODUCERS)];
    bool transactional = p >= &k->producers[2];
    struct buf out = {0};
    struct batch_builder b;
    struct err err;
    if (transactional && (p->open ? !dice(k, 4) || !may_open : !may_open)) {
        if (p->open) append(k, NULL, p, true, dice(k, 3) != 0);
        p->open = false;
        return;
    }
    batch_begin(&b, &out, codecs[dice(k, countof(codecs))]);
    int n = 1 + (int)dice(k, 6);
    if (p->id >= 0) b.producer_id = p->id, b.producer_epoch = 0, b.base_sequence = p->sequence;
    if (transactional) b.attributes |= BATCH_TRANSACTIONAL, p->open = true;
    for (int i = 0; i < n; i++) add_record(k, &b);
    MUST(batch_end(&b, &err));
    append(k, &out, p, false, false);
    p->sequence += n;
    buf_done(&out);
}

static void refuse_keyless(struct keeper *k) {
    struct commit *c = commit_new(k->s[0]);
    struct buf out = {0};
    struct batch_builder b;
    struct err err;
    batch_begin(&b, &out, CODEC_NONE);
    batch_add(&b, 1700000000000, (struct str){NULL, 0}, STR("x"), NULL, 0);
    MUST(batch_end(&b, &err));
    if (!commit_append(c, topic_partition(k->t[0], 0), &out, false, &err) || err.code != ERR_INVALID) exit(3);
    commit_free(c);
    buf_done(&out);
}

// Some transactions are open at the end: what lies above them must stay.
static void make_round(struct keeper *k) {
    struct err err;
    for (int i = 0; i < BATCHES; i++) add_batch(k, i < BATCHES * 7 / 10 || i > BATCHES * 9 / 10);
    refuse_keyless(k);
    for (int i = 0; i < 2; i++) MUST(store_checkpoint(k->s[i], &err));
    const struct partition *p = topic_partition(k->t[0], 0);
    size_t n = 0;
    while (n + 1 < p->seg_count && p->segs[n + 1]->base <= p->lso) n++;
    printf("%lld %lld\n", (long long)partition_active(p)->base, (long long)p->segs[n]->base);
}

static uint64_t bytes_of(const struct keeper *k, int i) {
    struct partition_offsets o;
    partition_offsets(topic_partition(k->t[i], 0), &o);
    return o.bytes;
}

static void compact(struct keeper *k) {
    struct err err;
    int rounds = 0, idle = 0;
    MUST(store_clean(k->s[0], &err));
    for (uint64_t before = bytes_of(k, 1); idle < 50; rounds++) { // a round may change nothing and still get on
        MUST(store_clean(k->s[1], &err));
        idle = bytes_of(k, 1) == before ? idle + 1 : 0;
        before = bytes_of(k, 1);
    }
    printf("%d\n", rounds - idle);
}

static int keep(const char *dir, uint64_t seed) {
    struct keeper k = {.seed = seed};
    char line[32];
    struct err err;
    open_one(&k, 0, dir, "whole", 0, "0");
    open_one(&k, 1, dir, "parts", 30 * FEW_KEYS, "86400000");
    k.producers[0].id = -1;
    for (int i = 1; i < PRODUCERS; i++) MUST(store_producer_id(k.s[0], &k.producers[i].id, &err));
    while (fgets(line, sizeof(line), stdin)) {
        if (!strcmp(line, "round\n")) make_round(&k);
        else compact(&k);
        fflush(stdout);
    }
    for (int i = 0; i < 2; i++) {
        topic_unref(k.t[i]);
        MUST(store_close(k.s[i], &err));
        fs_close(k.fs[i]);
    }
    return 0;
}

// ── survivors ────────────────────────────────────────────────────────────────────────────────────────────────────────

static void put_text(struct buf *out, struct str s, bool null) {
    buf_u8(out, ' ');
    if (null) buf_u8(out, '-');
    else buf_u8(out, '='), hex_encode(out, s.p, s.n);
}

static void print_batch(const uint8_t *p, size_t n) {
    struct buf scratch = {0}, line = {0};
    struct record_iter it;
    struct record r;
    struct err err;
    struct batch_header h;
    MUST(batch_check(p, n, false, &h, &err));
    if (h.attributes & BATCH_CONTROL) return;
    MUST(record_iter_init(&it, p, n, &scratch, SIZE_MAX, &err));
    int got;
    while ((got = record_iter_next(&it, &r, &err)) > 0) {
        struct record_header header;
        buf_clear(&line);
        buf_printf(&line, "%lld %lld", (long long)r.offset, (long long)r.timestamp);
        put_text(&line, r.key, !r.key.p);
        put_text(&line, r.value, !r.value.p);
        while (record_header_next(&r, &header)) put_text(&line, header.name, false), put_text(&line, header.value, header.null_value);
        printf("%s\n", buf_cstr(&line));
    }
    MUST(got);
    buf_done(&scratch);
    buf_done(&line);
}

static int is_log(const struct dirent *d) { return str_ends(str_of(d->d_name), STR(".log")); }

static int survivors(const char *folder) {
    struct dirent **names;
    struct fs *fs;
    struct err err;
    int n = scandir(folder, &names, is_log, alphasort);
    MUST(fs_posix_open(folder, &fs, &err));
    for (int i = 0; i < n; i++) {
        struct buf bytes = {0};
        struct batch_header h;
        MUST(fs_read_all(fs, names[i]->d_name, 1 << 30, &bytes, &err));
        for (size_t at = 0; at < bytes.n; at += batch_size(&h)) {
            if (batch_read_header(bytes.p + at, bytes.n - at, &h)) return 1;
            print_batch(bytes.p + at, batch_size(&h));
        }
        buf_done(&bytes);
        free(names[i]);
    }
    free(names);
    fs_close(fs);
    return 0;
}

int main(int argc, char **argv) {
    if (argc == 4 && !strcmp(argv[1], "keep")) return keep(argv[2], strtoull(argv[3], NULL, 10));
    if (argc == 3 && !strcmp(argv[1], "survivors")) return survivors(argv[2]);
    return 2;
}
