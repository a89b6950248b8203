// SPDX-License-Identifier: Apache-2.0
// The keep-latest rewrite against a model: random histories with keys, tombstones, transactions and codecs.
#include "rewrite.h"

#include <stdio.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/text.h"
#include "fs_mem.h"
#include "index.h"
#include "keytable.h"
#include "test.h"
#include "txnindex.h"

// ── a log and what it means ──────────────────────────────────────────────────────────────────────────────────────────

enum { SEGMENTS = 4, BATCHES = 60, KEYS = 12, PRODUCERS = 4, RECORDS_MAX = SEGMENTS * BATCHES * 4 };

struct rec { int64_t offset; int key, value; bool control, dead; int producer; }; // value -1: tombstone; key -1: null; dead: aborted
struct log {
    struct fs *fs;
    struct fs_file *files[SEGMENTS];
    struct rewrite_input in[SEGMENTS];
    char names[SEGMENTS][16];
    int64_t bases[SEGMENTS], next;
    struct rec recs[RECORDS_MAX];
    int n;
    struct producers *producers;
    struct buf aborted; // struct producer_end
    uint64_t seed;
};

static uint64_t roll(struct log *l, uint64_t n) { return test_random(&l->seed) % n; }

static void put(struct log *l, int segment, struct buf *b) {
    struct err err;
    assert_ok(fs_pwrite(l->fs, l->files[segment], b->p, b->n, l->in[segment].size, &err), err);
    l->in[segment].size += b->n;
    buf_clear(b);
}

static void take(struct log *l, struct buf *b, const struct batch_marker *m) {
    struct batch_header h;
    struct producer_end end;
    batch_patch(b->p, l->next, 0);
    assert_int_equal(batch_read_header(b->p, b->n, &h), 0);
    if (producers_apply(l->producers, &h, m, 0, &end) && end.aborted) {
        buf_put(&l->aborted, &end, sizeof(end));
        for (int i = 0; i < l->n; i++)
            if (l->recs[i].producer == end.producer_id && l->recs[i].offset >= end.first_offset) l->recs[i].dead = true;
    }
    l->next = batch_last_offset(&h) + 1;
}

static void add_data(struct log *l, int segment) {
    struct buf b = {0};
    struct batch_builder w;
    struct err err;
    char key[16], value[128];
    static const enum codec codecs[] = {CODEC_NONE, CODEC_NONE, CODEC_LZ4, CODEC_ZSTD};
    int id = (int)roll(l, PRODUCERS + 1), n = 1 + (int)roll(l, 4); // producer 0 has no id, even ones are transactional
    batch_begin(&w, &b, codecs[roll(l, 4)]);
    if (id) {
        const struct producer_state *s = producers_get(l->producers, id);
        w.producer_id = id;
        w.producer_epoch = 0;
        w.base_sequence = s && s->batch_count ? s->batches[s->batch_count - 1].last_sequence + 1 : 0;
        if (id % 2 == 0) w.attributes = BATCH_TRANSACTIONAL;
    }
    for (int i = 0; i < n; i++) {
        struct rec r = {l->next + i, (int)roll(l, KEYS) - 1, (int)roll(l, 1000) - 100, false, false, id};
        if (r.value < -1) r.value = -1;
        snprintf(key, sizeof(key), "key%d", r.key);
        snprintf(value, sizeof(value), "%-100d", r.value);
        const struct record_header_in header = {STR("h"), STR("v"), false};
        batch_add(&w, 1000 + r.offset, r.key < 0 ? (struct str){NULL, 0} : str_of(key), r.value < 0 ? (struct str){NULL, 0} : str_of(value), &header,
                  roll(l, 2) ? 1 : 0);
        l->recs[l->n++] = r;
    }
    assert_ok(batch_end(&w, &err), err);
    take(l, &b, NULL);
    put(l, segment, &b);
    buf_done(&b);
}

static void add_marker(struct log *l, int segment) {
    struct buf b = {0};
    struct batch_marker m = {roll(l, 2), 0};
    int id = 2 * (1 + (int)roll(l, PRODUCERS / 2));
    batch_control(&b, id, 0, m.commit_txn, 0, 1000 + l->next);
    l->recs[l->n++] = (struct rec){.offset = l->next, .control = true, .producer = id};
    take(l, &b, &m);
    put(l, segment, &b);
    buf_done(&b);
}

static void log_open(struct log *l, uint64_t seed) {
    struct err err;
    memset(l, 0, sizeof(*l));
    l->seed = seed;
    l->fs = fs_mem_new();
    l->producers = producers_new();
    for (int s = 0; s < SEGMENTS; s++) {
        l->bases[s] = l->next;
        snprintf(l->names[s], sizeof(l->names[s]), "seg%d.log", s);
        assert_ok(l->fs->ops->open(l->fs, l->names[s], FS_WRITE | FS_CREATE, &l->files[s], &err), err);
        l->in[s] = (struct rewrite_input){l->files[s], 0, l->names[s]};
        for (int i = 0; i < BATCHES; i++) {
            if (roll(l, 4)) add_data(l, s);
            else add_marker(l, s);
        }
    }
}

static void log_close(struct log *l) {
    for (int s = 0; s < SEGMENTS; s++) l->fs->ops->close(l->files[s], NULL);
    producers_free(l->producers);
    buf_done(&l->aborted);
    fs_close(l->fs);
}

static struct rewrite_options options(struct log *l, int64_t now) {
    return (struct rewrite_options){
        .fs = l->fs, .now_ms = now, .delete_retention_ms = 1000, .end = producers_last_stable(l->producers, l->next), .live = l->producers,
        .aborted = (const struct producer_end *)(const void *)l->aborted.p, .aborted_n = l->aborted.n / sizeof(struct producer_end),
    };
}

// Scans all, writes all into one segment.
static struct rewrite_result run(struct log *l, const struct rewrite_options *o, const struct rewrite_input *in, size_t n, const char *stem) {
    struct rewrite_result result;
    struct err err;
    struct rewrite *r = rewrite_begin(o, &err);
    for (size_t i = 0; i < n; i++)
        if (rewrite_scan(r, &in[i], &err) != 0) break;
    assert_ok(rewrite_write(r, in, n, stem, l->bases[0], &result, &err), err);
    rewrite_end(r);
    return result;
}

// ── reading the result ───────────────────────────────────────────────────────────────────────────────────────────────

struct seen {
    bool offset[RECORDS_MAX], marker[RECORDS_MAX], batch_end[RECORDS_MAX];
    struct producers *producers;
    int64_t last;
};

static void see_batch(struct seen *s, const uint8_t *p, const struct batch_header *h) {
    struct buf scratch = {0};
    struct record_iter it;
    struct record r;
    struct err err;
    struct batch_marker m;
    struct producer_end end;
    bool control = h->attributes & BATCH_CONTROL;
    assert_true(h->base_offset > s->last);
    s->last = batch_last_offset(h);
    s->batch_end[s->last] = true;
    if (control) assert_int_equal(batch_marker_read(p, batch_size(h), &m), 0);
    producers_apply(s->producers, h, control ? &m : NULL, 0, &end);
    assert_ok(record_iter_init(&it, p, batch_size(h), &scratch, 1 << 20, &err), err);
    while (record_iter_next(&it, &r, &err) > 0) {
        if (!(h->attributes & BATCH_CONTROL)) assert_int_equal(r.timestamp, 1000 + r.offset);
        *(control ? &s->marker[r.offset] : &s->offset[r.offset]) = true;
    }
    assert_int_equal(it.left, 0);
    buf_done(&scratch);
}

static struct seen *see(struct log *l, const char *stem, const struct rewrite_result *result) {
    struct seen *s = xcalloc(1, sizeof(*s));
    struct buf all = {0};
    struct err err;
    struct batch_header h;
    char path[32];
    snprintf(path, sizeof(path), "%s.log", stem);
    s->producers = producers_new();
    s->last = -1;
    assert_ok(fs_read_all(l->fs, path, 1 << 24, &all, &err), err);
    assert_int_equal(all.n, result->size);
    assert_int_equal(crc32c(0, all.p, all.n), result->crc);
    for (size_t at = 0; at < all.n; at += batch_size(&h)) {
        assert_int_equal(batch_read_header(all.p + at, all.n - at, &h), 0);
        assert_ok(batch_check(all.p + at, batch_size(&h), false, &h, &err), err);
        see_batch(s, all.p + at, &h);
    }
    buf_done(&all);
    return s;
}
static void seen_free(struct seen *s) {
    producers_free(s->producers);
    free(s);
}

static int same_producer(void *arg, const struct producer_state *want) {
    const struct producer_state *got = producers_get(arg, want->id);
    assert_non_null(got);
    assert_int_equal(got->epoch, want->epoch);
    assert_int_equal(got->txn_first >= 0, want->txn_first >= 0);
    if (!want->batch_count) return 0;
    assert_int_equal(got->batches[got->batch_count - 1].last_sequence, want->batches[want->batch_count - 1].last_sequence);
    assert_int_equal(got->batches[got->batch_count - 1].last_offset, want->batches[want->batch_count - 1].last_offset);
    return 0;
}

// Is there a later record of the key that counts, below `limit`?
static bool superseded(const struct log *l, int i, int64_t limit) {
    for (int j = i + 1; j < l->n && l->recs[j].offset < limit; j++)
        if (!l->recs[j].control && !l->recs[j].dead && l->recs[j].key == l->recs[i].key) return true;
    return false;
}

// ── cases ────────────────────────────────────────────────────────────────────────────────────────────────────────────

// Batches that straddle the end are copied whole; here the end is a batch's border, so the model is exact but for them.
TEST(exactly_the_latest_record_of_each_key_is_kept) {
    static struct log l;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        log_open(&l, seed);
        struct rewrite_options o = options(&l, 1000000);
        struct rewrite_result result = run(&l, &o, l.in, SEGMENTS, "out");
        struct seen *s = see(&l, "out", &result);
        for (int i = 0; i < l.n; i++) {
            const struct rec *r = &l.recs[i];
            if (r->control) continue;
            bool want = r->offset >= o.end || (!r->dead && r->key >= 0 && !superseded(&l, i, o.end));
            if (s->offset[r->offset] != want) fail_msg("seed %d: offset %d should%s be there", (int)seed, (int)r->offset, want ? "" : " not");
        }
        producers_each(l.producers, same_producer, s->producers);
        assert_int_equal(producers_last_stable(s->producers, l.next), o.end);
        seen_free(s);
        log_close(&l);
    }
}

TEST(tombstones_and_markers_go_when_their_time_has_come) {
    static struct log l;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct err err;
        struct fs_file *f, *f2;
        log_open(&l, seed);
        struct rewrite_options o = options(&l, 1000000);
        struct rewrite_result first = run(&l, &o, l.in, SEGMENTS, "one");
        assert_int_equal(first.next_horizon, 1001000);
        assert_ok(l.fs->ops->open(l.fs, "one.log", FS_READ, &f, &err), err);
        struct rewrite_input in = {f, first.size, "one.log"};
        o.now_ms = 1000999; // not yet: the same bytes
        struct rewrite_result again = run(&l, &o, &in, 1, "two");
        assert_false(again.changed);
        assert_int_equal(again.crc, first.crc);
        assert_int_equal(again.next_horizon, 1001000);
        o.now_ms = 1001000;
        struct rewrite_result third = run(&l, &o, &in, 1, "two");
        assert_true(third.changed);
        assert_int_equal(third.next_horizon, -1);
        struct seen *s = see(&l, "two", &third);
        for (int i = 0; i < l.n; i++) {
            const struct rec *r = &l.recs[i];
            if (r->offset >= o.end) continue;
            bool want = !r->control && !r->dead && r->key >= 0 && r->value >= 0 && !superseded(&l, i, o.end);
            if (r->control) continue;
            assert_int_equal(s->offset[r->offset], want);
        }
        producers_each(l.producers, same_producer, s->producers);
        assert_int_equal(producers_last_stable(s->producers, l.next), o.end);
        seen_free(s);
        assert_ok(l.fs->ops->open(l.fs, "two.log", FS_READ, &f2, &err), err);
        struct rewrite_input in2 = {f2, third.size, "two.log"};
        assert_false(run(&l, &o, &in2, 1, "three").changed);
        l.fs->ops->close(f, NULL);
        l.fs->ops->close(f2, NULL);
        log_close(&l);
    }
}

TEST(written_in_groups_it_holds_the_same_records) {
    static struct log l;
    for (uint64_t seed = 50; seed <= 60; seed++) {
        struct err err;
        log_open(&l, seed);
        struct rewrite_options o = options(&l, 1000000);
        struct rewrite_result whole = run(&l, &o, l.in, SEGMENTS, "whole"), part[2];
        struct rewrite *r = rewrite_begin(&o, &err);
        for (int i = 0; i < SEGMENTS; i++) assert_int_equal(rewrite_scan(r, &l.in[i], &err), 0);
        assert_ok(rewrite_write(r, l.in, 1, "a", l.bases[0], &part[0], &err), err);
        assert_ok(rewrite_write(r, l.in + 1, 3, "b", l.bases[1], &part[1], &err), err);
        rewrite_end(r);
        assert_int_equal(part[0].size + part[1].size, whole.size);
        assert_int_equal(part[0].kept + part[1].kept, whole.kept);
        log_close(&l);
    }
}

// Records "key<i % keys>" of offsets 0 …, each a batch.
static struct fs_file *file_of_keys(struct fs *fs, int n, int keys, uint64_t *ret_size) {
    struct buf b = {0};
    struct batch_builder w;
    struct fs_file *f;
    struct err err;
    for (int i = 0; i < n; i++) {
        size_t start = b.n;
        char key[16];
        snprintf(key, sizeof(key), "key%d", i % keys);
        batch_begin(&w, &b, CODEC_NONE);
        batch_add(&w, 0, str_of(key), STR("v"), NULL, 0);
        assert_ok(batch_end(&w, &err), err);
        batch_patch(b.p + start, i, 0);
    }
    assert_ok(fs->ops->open(fs, "in.log", FS_WRITE | FS_CREATE, &f, &err), err);
    assert_ok(fs_pwrite(fs, f, b.p, b.n, 0, &err), err);
    *ret_size = b.n;
    buf_done(&b);
    return f;
}

TEST(when_the_keys_do_not_fit_what_lies_above_is_copied_and_its_offset_told) {
    struct fs *fs = fs_mem_new();
    struct err err;
    struct rewrite_result result;
    struct rewrite_input in = {.name = "in.log"};
    in.log = file_of_keys(fs, 2000, 1000, &in.size);
    struct rewrite_options o = {.fs = fs, .end = 2000, .keys_bytes = 24 * 100}; // 80 keys
    struct rewrite *r = rewrite_begin(&o, &err);
    assert_int_equal(rewrite_scan(r, &in, &err), 1);
    assert_int_equal(rewrite_limit(r), 80);
    assert_ok(rewrite_write(r, &in, 1, "out", 0, &result, &err), err);
    assert_int_equal(result.kept, 2000); // the second of the first 80 keys lies above
    assert_false(result.changed);
    rewrite_end(r);
    o.start = 990; // as the thirteenth round would: 10 keys that are new, then 70 that take another's place
    r = rewrite_begin(&o, &err);
    assert_int_equal(rewrite_scan(r, &in, &err), 1);
    assert_int_equal(rewrite_limit(r), 1070);
    assert_ok(rewrite_write(r, &in, 1, "out", 0, &result, &err), err);
    assert_int_equal(result.kept, 2000 - 70);
    rewrite_end(r);
    o.start = o.keys_bytes = 0;
    r = rewrite_begin(&o, &err);
    assert_int_equal(rewrite_scan(r, &in, &err), 0);
    assert_int_equal(rewrite_limit(r), 2000);
    assert_ok(rewrite_write(r, &in, 1, "out", 0, &result, &err), err);
    assert_int_equal(result.kept, 1000);
    rewrite_end(r);
    fs->ops->close(in.log, NULL);
    fs_close(fs);
}

TEST(a_rewrite_leaves_the_room_that_others_need) {
    struct fs *fs = fs_mem_new();
    struct err err;
    struct rewrite_result result;
    struct fs_space space;
    struct fs_stat st;
    struct rewrite_input in = {.name = "in.log"};
    in.log = file_of_keys(fs, 2000, 2000, &in.size);
    assert_ok(fs->ops->space(fs, &space, &err), err);
    struct rewrite_options o = {.fs = fs, .end = 2000, .spare_bytes = space.available - in.size + 1};
    struct rewrite *r = rewrite_begin(&o, &err);
    assert_int_equal(rewrite_scan(r, &in, &err), 0);
    assert_fails(rewrite_write(r, &in, 1, "out", 0, &result, &err), err, ERR_NOSPACE);
    assert_has(err.msg, "kept in reserve");
    assert_fails(fs->ops->stat(fs, "out.log", &st, &err), err, ERR_NOT_FOUND);
    assert_fails(fs->ops->stat(fs, "out.index", &st, &err), err, ERR_NOT_FOUND);
    rewrite_end(r);
    fs->ops->close(in.log, NULL);
    fs_close(fs);
}

static bool after_two(void *arg) { return ++*(int *)arg > 2; }

TEST(a_rewrite_that_is_called_off_leaves_nothing) {
    struct fs *fs = fs_mem_new();
    struct err err;
    struct rewrite_result result;
    struct fs_stat st;
    struct rewrite_input in = {.name = "in.log"};
    int asked = 0;
    in.log = file_of_keys(fs, 60000, 60000, &in.size);
    struct rewrite_options o = {.fs = fs, .end = 60000, .over = after_two, .over_arg = &asked};
    struct rewrite *r = rewrite_begin(&o, &err);
    assert_true(in.size > 3 << 20);
    assert_fails(rewrite_scan(r, &in, &err), err, ERR_CANCELLED);
    assert_fails(rewrite_write(r, &in, 1, "out", 0, &result, &err), err, ERR_CANCELLED);
    assert_fails(fs->ops->stat(fs, "out.log", &st, &err), err, ERR_NOT_FOUND);
    rewrite_end(r);
    fs->ops->close(in.log, NULL);
    fs_close(fs);
}

// The read buffer holds 1 MiB.
TEST(records_larger_than_the_buffers_are_rewritten_too) {
    enum { LARGE = 3 * 1024 * 1024 + 17 };
    struct fs *fs = fs_mem_new();
    struct buf b = {0}, all = {0};
    struct batch_builder w;
    struct rewrite_result result;
    struct err err;
    struct batch_header h;
    char *value = xmalloc(LARGE);
    for (int i = 0; i < 6; i++) { // large and small, two keys
        static const enum codec codecs[] = {CODEC_NONE, CODEC_LZ4, CODEC_NONE};
        size_t start = b.n;
        uint64_t seed = (uint64_t)i + 1;
        for (size_t k = 0; k < LARGE; k++) value[k] = (char)(test_random(&seed) >> 40);
        batch_begin(&w, &b, codecs[i % 3]);
        batch_add(&w, 0, i % 2 ? STR("odd") : STR("even"), str_make(value, i % 3 ? LARGE : 10), NULL, 0);
        assert_ok(batch_end(&w, &err), err);
        batch_patch(b.p + start, i, 0);
    }
    struct fs_file *f;
    assert_ok(fs->ops->open(fs, "in.log", FS_WRITE | FS_CREATE, &f, &err), err);
    assert_ok(fs_pwrite(fs, f, b.p, b.n, 0, &err), err);
    struct rewrite_options o = {.fs = fs, .end = 6};
    struct rewrite_input in = {f, b.n, "in.log"};
    struct rewrite *r = rewrite_begin(&o, &err);
    assert_int_equal(rewrite_scan(r, &in, &err), 0);
    assert_ok(rewrite_write(r, &in, 1, "out", 0, &result, &err), err);
    rewrite_end(r);
    assert_int_equal(result.kept, 2);
    assert_ok(fs_read_all(fs, "out.log", 1 << 28, &all, &err), err);
    assert_memory_equal(all.p, b.p + b.n - all.n, all.n); // the last two, byte for byte
    assert_int_equal(batch_read_header(all.p, all.n, &h), 0);
    assert_int_equal(h.base_offset, 4);
    fs->ops->close(f, NULL);
    free(value);
    buf_done(&b);
    buf_done(&all);
    fs_close(fs);
}

TEST(indexes_and_aborted_transactions_of_the_new_segment_fit_it) {
    static struct log l;
    for (uint64_t seed = 70; seed <= 90; seed++) {
        struct err err;
        struct fs_file *f;
        struct buf ends = {0};
        log_open(&l, seed);
        struct rewrite_options o = options(&l, 1000000);
        o.index_interval = 300;
        struct rewrite_result result = run(&l, &o, l.in, SEGMENTS, "out");
        const struct index_options io = {l.fs, "out", 0, 300};
        assert_ok(l.fs->ops->open(l.fs, "out.log", FS_READ, &f, &err), err);
        assert_ok(index_verify(&io, f, result.size, &err), err);
        assert_ok(txnindex_read(l.fs, "out", &ends, &err), err);
        assert_int_equal(ends.n, l.aborted.n); // all markers are still there
        l.fs->ops->close(f, NULL);
        buf_done(&ends);
        log_close(&l);
    }
}

TEST(a_marker_that_goes_takes_its_entry_with_it) {
    struct fs *fs = fs_mem_new();
    struct producers *p = producers_new();
    struct buf b = {0}, ends = {0};
    struct err err;
    struct fs_file *f;
    struct batch_builder w;
    struct rewrite_result result;
    struct producer_end end = {7, 0, 1, 2, true};
    batch_begin(&w, &b, CODEC_NONE);
    w.producer_id = 7, w.producer_epoch = 0, w.base_sequence = 0, w.attributes = BATCH_TRANSACTIONAL;
    batch_add(&w, 0, STR("k"), STR("v"), NULL, 0);
    assert_ok(batch_end(&w, &err), err);
    size_t n = b.n;
    batch_control(&b, 7, 0, false, 0, 0);
    batch_patch(b.p + n, 1, 0);
    assert_ok(fs->ops->open(fs, "in.log", FS_WRITE | FS_CREATE, &f, &err), err);
    assert_ok(fs_pwrite(fs, f, b.p, b.n, 0, &err), err);
    struct rewrite_input in = {f, b.n, "in.log"};
    struct rewrite_options o = {.fs = fs, .end = 2, .now_ms = 5000, .delete_retention_ms = 10, .aborted = &end, .aborted_n = 1, .live = p};
    struct rewrite *r = rewrite_begin(&o, &err);
    assert_ok(rewrite_write(r, &in, 1, "one", 0, &result, &err), err);
    rewrite_end(r);
    assert_true(result.size > 0 && result.size < b.n);
    assert_ok(txnindex_read(fs, "one", &ends, &err), err);
    assert_int_equal(ends.n, sizeof(end));
    fs->ops->close(f, NULL);
    assert_ok(fs->ops->open(fs, "one.log", FS_READ, &f, &err), err);
    in = (struct rewrite_input){f, result.size, "one.log"};
    o.now_ms = 5010;
    r = rewrite_begin(&o, &err);
    assert_ok(rewrite_write(r, &in, 1, "two", 0, &result, &err), err);
    rewrite_end(r);
    assert_int_equal(result.size, 0);
    buf_clear(&ends);
    assert_ok(txnindex_read(fs, "two", &ends, &err), err);
    assert_int_equal(ends.n, 0);
    fs->ops->close(f, NULL);
    producers_free(p);
    buf_done(&b);
    buf_done(&ends);
    fs_close(fs);
}

// One batch as a file, rewritten alone with a table of `keys_bytes`.
static struct rewrite_result rewrite_one(struct fs *fs, const struct buf *b, struct rewrite_options o) {
    struct rewrite_result result;
    struct fs_file *f;
    struct err err;
    assert_ok(fs->ops->open(fs, "in.log", FS_WRITE | FS_CREATE, &f, &err), err);
    assert_ok(fs_pwrite(fs, f, b->p, b->n, 0, &err), err);
    struct rewrite_input in = {f, b->n, "in.log"};
    o.fs = fs;
    struct rewrite *r = rewrite_begin(&o, &err);
    assert_true(rewrite_scan(r, &in, &err) >= 0);
    assert_ok(rewrite_write(r, &in, 1, "out", 0, &result, &err), err);
    rewrite_end(r);
    fs->ops->close(f, NULL);
    return result;
}

TEST(a_marker_that_alone_knows_a_live_producers_epoch_stays) {
    struct fs *fs = fs_mem_new();
    struct producers *p = producers_new();
    struct buf b = {0};
    struct batch_header h;
    struct batch_marker m = {false, 0};
    struct producer_end end;
    batch_control(&b, 7, 4, false, 0, 0);
    assert_int_equal(batch_read_header(b.p, b.n, &h), 0);
    producers_apply(p, &h, &m, 0, &end);
    assert_false(rewrite_one(fs, &b, (struct rewrite_options){.end = 1, .live = p}).changed);
    producers_reset(p);
    assert_true(rewrite_one(fs, &b, (struct rewrite_options){.end = 1, .live = p}).changed); // stamped: it may go
    producers_free(p);
    buf_done(&b);
    fs_close(fs);
}

// Its older records may not have been met.
TEST(a_tombstone_above_what_was_scanned_stays_whatever_the_time) {
    struct fs *fs = fs_mem_new();
    struct buf b = {0};
    struct batch_builder w;
    struct err err;
    for (int i = 0; i < 101; i++) {
        size_t start = b.n;
        char key[16];
        snprintf(key, sizeof(key), "key%d", i);
        batch_begin(&w, &b, CODEC_NONE);
        if (i == 100) w.attributes = BATCH_DELETE_HORIZON; // long past
        batch_add(&w, 0, str_of(key), i == 100 ? (struct str){NULL, 0} : STR("v"), NULL, 0);
        assert_ok(batch_end(&w, &err), err);
        batch_patch(b.p + start, i, 0);
    }
    assert_int_equal(rewrite_one(fs, &b, (struct rewrite_options){.end = 101, .now_ms = 1000, .keys_bytes = 1}).kept, 101);
    assert_int_equal(rewrite_one(fs, &b, (struct rewrite_options){.end = 101, .now_ms = 1000}).kept, 100);
    buf_done(&b);
    fs_close(fs);
}

TEST(what_is_compressed_anew_is_compressed_as_hard_as_it_is_told) {
    static const int64_t fast[CODEC_ZSTD + 1] = {[CODEC_ZSTD] = -100}, hard[CODEC_ZSTD + 1] = {[CODEC_ZSTD] = 19};
    struct fs *fs = fs_mem_new();
    struct buf b = {0};
    struct batch_builder w;
    struct err err;
    batch_begin(&w, &b, CODEC_ZSTD);
    uint64_t seed = 1;
    for (int i = 0; i < 2000; i++) { // every key twice
        char key[16], value[64];
        snprintf(key, sizeof(key), "key%d", i % 1000);
        snprintf(value, sizeof(value), "line %d of some text", (int)(test_random(&seed) % 1000));
        batch_add(&w, 0, str_of(key), str_of(value), NULL, 0);
    }
    assert_ok(batch_end(&w, &err), err);
    uint64_t sizes[] = {
        rewrite_one(fs, &b, (struct rewrite_options){.end = 2000, .levels = fast}).size,
        rewrite_one(fs, &b, (struct rewrite_options){.end = 2000}).size,
        rewrite_one(fs, &b, (struct rewrite_options){.end = 2000, .levels = hard}).size,
    };
    assert_true(sizes[0] > sizes[1] && sizes[1] > sizes[2]);
    buf_done(&b);
    fs_close(fs);
}

TEST(a_damaged_segment_is_not_rewritten) {
    static struct log l;
    struct err err;
    struct rewrite_result result;
    struct fs_stat st;
    log_open(&l, 99);
    struct rewrite_options o = options(&l, 1000000);
    fs_mem_flip(l.fs, "seg1.log", l.in[1].size / 2, 4);
    struct rewrite *r = rewrite_begin(&o, &err);
    assert_int_equal(rewrite_scan(r, &l.in[0], &err), 0);
    assert_fails(rewrite_write(r, l.in, SEGMENTS, "out", 0, &result, &err), err, ERR_CORRUPT);
    assert_has(err.msg, "seg1.log");
    rewrite_end(r);
    assert_fails(l.fs->ops->stat(l.fs, "out.log", &st, &err), err, ERR_NOT_FOUND);
    log_close(&l);
}

// ── the table of keys ────────────────────────────────────────────────────────────────────────────────────────────────

TEST(siphash_gives_the_published_vectors) {
    uint8_t secret[16], in[64], got[16];
    uint64_t hash[2];
    static const struct { size_t n; const char *want; } vectors[] = { // of the reference implementation, key 00..0f, input 00..n-1
        {0, "a3817f04ba25a8e66df67214c7550293"}, {1, "da87c1d86b99af44347659119b22fc45"}, {63, "5150d1772f50834a503e069a973fbd7c"},
    };
    for (int i = 0; i < 64; i++) in[i] = (uint8_t)i;
    memcpy(secret, in, 16);
    for (size_t i = 0; i < countof(vectors); i++) {
        struct buf text = {0};
        siphash128(secret, in, vectors[i].n, hash);
        memcpy(got, hash, 16); // little-endian, as published
        hex_encode(&text, got, 16);
        assert_buf(&text, vectors[i].want);
        buf_done(&text);
    }
}

TEST(a_key_table_is_bounded_and_keeps_the_largest_offset) {
    struct err err;
    struct keytable *t = keytable_new(24 * 1000 + 23, &err);
    char key[16];
    int n = 0;
    assert_non_null(t);
    for (;; n++) {
        snprintf(key, sizeof(key), "k%d", n);
        if (!keytable_put(t, str_of(key), n)) break;
    }
    assert_int_equal(n, 800);
    assert_int_equal(keytable_count(t), 800);
    assert_true(keytable_put(t, STR("k5"), 1000));
    assert_true(keytable_put(t, STR("k5"), 900));
    assert_int_equal(keytable_get(t, STR("k5")), 1000);
    assert_int_equal(keytable_get(t, STR("k0")), 0);
    assert_int_equal(keytable_get(t, STR("k799")), 799);
    assert_int_equal(keytable_get(t, STR("x")), -1);
    keytable_free(t);
}

TEST(the_smallest_key_table_has_room_for_two) {
    struct err err;
    struct keytable *t = keytable_new(1, &err);
    assert_true(keytable_put(t, STR("a"), 7));
    assert_true(keytable_put(t, STR("b"), 8));
    assert_false(keytable_put(t, STR("c"), 9));
    assert_true(keytable_put(t, STR("a"), 10));
    assert_int_equal(keytable_get(t, STR("a")), 10);
    assert_int_equal(keytable_get(t, STR("c")), -1);
    keytable_free(t);
}

TEST(a_key_table_that_can_not_be_had_is_an_error) {
    struct err err;
    assert_null(keytable_new(SIZE_MAX / 2, &err));
    assert_has(err.msg, "keys of a compaction");
}
