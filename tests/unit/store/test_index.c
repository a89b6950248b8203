// SPDX-License-Identifier: Apache-2.0
// The indexes of a segment: layout, lookups against a model, undo, cutting, mending, damage.
#include "index.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/thread.h"
#include "fs_mem.h"
#include "test.h"
#include "txnindex.h"

// ── a segment to index ───────────────────────────────────────────────────────────────────────────────────────────────

enum { BASE = 1000, BATCHES = 800 };
struct one { struct batch_header h; uint64_t position; };
struct fixture {
    struct fs *fs;
    struct fs_file *log;
    uint64_t size;
    struct one batches[BATCHES];
    struct index_options o;
};

// Batches of 1-3 offsets and some hundred bytes; times that mostly rise.
static void setup(struct fixture *f, uint64_t seed) {
    struct buf log = {0}, pad = {0};
    struct err err;
    f->fs = fs_mem_new();
    int64_t offset = BASE, time = 1700000000000;
    buf_fill(&pad, 'x', 2000);
    for (int i = 0; i < BATCHES; i++) {
        struct batch_builder b;
        int n = 1 + (int)(test_random(&seed) % 3);
        f->batches[i].position = log.n;
        batch_begin(&b, &log, CODEC_NONE);
        time += (int64_t)(test_random(&seed) % 100) - 20;
        for (int r = 0; r < n; r++) batch_add(&b, time, STR("k"), str_first(buf_str(&pad), test_random(&seed) % 2000), NULL, 0);
        assert_ok(batch_end(&b, &err), err);
        batch_patch(log.p + f->batches[i].position, offset, 0);
        assert_int_equal(batch_read_header(log.p + f->batches[i].position, log.n, &f->batches[i].h), 0);
        offset += n;
    }
    f->size = log.n;
    assert_ok(f->fs->ops->open(f->fs, "s.log", FS_WRITE | FS_CREATE, &f->log, &err), err);
    assert_ok(fs_pwrite(f->fs, f->log, log.p, log.n, 0, &err), err);
    f->o = (struct index_options){.fs = f->fs, .stem = "s", .base_offset = BASE};
    buf_done(&log);
    buf_done(&pad);
}
static void teardown(struct fixture *f) {
    f->fs->ops->close(f->log, NULL);
    fs_close(f->fs);
}

static struct index *build(struct fixture *f, int n) {
    struct index *x;
    struct err err;
    assert_ok(index_create(&f->o, &x, &err), err);
    for (int i = 0; i < n; i++) index_note(x, &f->batches[i].h, f->batches[i].position);
    index_framed(x);
    return x;
}
static struct index *reopen(struct fixture *f) {
    struct index *x;
    struct err err;
    assert_ok(index_open(&f->o, &x, &err), err);
    return x;
}
static struct buf file(struct fs *fs, const char *path) {
    struct buf b = {0};
    struct err err;
    assert_ok(fs_read_all(fs, path, 1 << 20, &b, &err), err);
    return b;
}

// Every offset is found by reading on from where the index says, within two intervals; and never after it.
static void assert_lookups(struct fixture *f, struct index *x, int n) {
    struct err err;
    for (int i = 0; i < n; i++) {
        const struct one *b = &f->batches[i];
        for (int64_t o = b->h.base_offset; o <= batch_last_offset(&b->h); o++) {
            uint64_t at;
            assert_ok(index_position(x, o, &at, &err), err);
            assert_true(at <= b->position);
            assert_true(b->position - at < 2 * INDEX_INTERVAL + 12000);
        }
    }
}
static void assert_times(struct fixture *f, struct index *x, int n) {
    struct err err;
    for (int i = 0; i < n; i++) {
        int64_t want = -1, ts = f->batches[i].h.max_timestamp, got, at;
        for (int j = 0; want < 0; j++)
            if (f->batches[j].h.max_timestamp >= ts) want = f->batches[j].h.base_offset;
        assert_ok(index_for_time(x, ts, &got, &at, &err), err);
        assert_true(at < ts && got <= want); // nothing is missed
    }
}

// ── layout ───────────────────────────────────────────────────────────────────────────────────────────────────────────

TEST(entries_hold_the_last_offset_and_the_start_of_their_batch) {
    struct fs *fs = fs_mem_new();
    struct index *x;
    struct err err;
    struct index_options o = {.fs = fs, .stem = "00000000000000000100", .base_offset = 100};
    struct batch_header h = {.base_offset = 100, .length = 5000, .last_offset_delta = 9, .max_timestamp = 77, .count = 10};
    assert_ok(index_create(&o, &x, &err), err);
    index_note(x, &h, 0); // the first batch needs none
    h.base_offset = 110, h.max_timestamp = 60;
    index_note(x, &h, 5012);
    h.base_offset = 120, h.max_timestamp = 99;
    index_note(x, &h, 10024);
    index_framed(x);
    assert_ok(index_flush(x, true, &err), err);
    struct buf index = file(fs, "00000000000000000100.index"), times = file(fs, "00000000000000000100.timeindex");
    static const uint8_t want[] = {0, 0, 0, 19, 0, 0, 0x13, 0x94, 0, 0, 0, 29, 0, 0, 0x27, 0x28};
    static const uint8_t want_times[] = {0, 0, 0, 0, 0, 0, 0, 77, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 99, 0, 0, 0, 29};
    assert_int_equal(index.n, sizeof(want));
    assert_memory_equal(index.p, want, sizeof(want));
    assert_int_equal(times.n, sizeof(want_times));
    assert_memory_equal(times.p, want_times, sizeof(want_times));
    buf_done(&index);
    buf_done(&times);
    index_free(x);
    fs_close(fs);
}

// ── lookups ──────────────────────────────────────────────────────────────────────────────────────────────────────────

TEST(every_offset_and_time_is_found_in_memory_on_disk_and_across_both) {
    for (uint64_t seed = 1; seed <= 3; seed++) {
        struct fixture f;
        struct err err;
        setup(&f, seed);
        struct index *x = build(&f, BATCHES / 2);
        assert_lookups(&f, x, BATCHES / 2);
        assert_ok(index_flush(x, false, &err), err);
        assert_lookups(&f, x, BATCHES / 2);
        for (int i = BATCHES / 2; i < BATCHES; i++) index_note(x, &f.batches[i].h, f.batches[i].position);
        index_framed(x);
        assert_lookups(&f, x, BATCHES);
        assert_times(&f, x, BATCHES);
        assert_ok(index_seal(x, &err), err);
        assert_lookups(&f, x, BATCHES);
        assert_ok(index_verify(&f.o, f.log, f.size, &err), err);
        index_free(x);
        x = reopen(&f);
        assert_lookups(&f, x, BATCHES);
        assert_times(&f, x, BATCHES);
        index_free(x);
        teardown(&f);
    }
}

TEST(a_large_file_is_searched_by_halves) {
    struct fs *fs = fs_mem_new();
    struct index *x;
    struct err err;
    struct index_options o = {.fs = fs, .stem = "s", .interval = 1};
    assert_ok(index_create(&o, &x, &err), err);
    for (int i = 0; i < 5000; i++) {
        struct batch_header h = {.base_offset = i * 10, .length = 88, .last_offset_delta = 9, .max_timestamp = i * 10, .count = 10};
        index_note(x, &h, (uint64_t)i * 100);
    }
    index_framed(x);
    assert_ok(index_flush(x, false, &err), err);
    for (int i = 1; i < 5000; i++) {
        uint64_t at;
        int64_t offset;
        assert_ok(index_position(x, i * 10 + 9, &at, &err), err);
        assert_int_equal(at, i * 100);
        assert_ok(index_position(x, i * 10 + 8, &at, &err), err);
        assert_int_equal(at, i > 1 ? (i - 1) * 100 : 0);
        int64_t ts;
        assert_ok(index_for_time(x, i * 10 + 1, &offset, &ts, &err), err);
        assert_true(ts <= i * 10);
        assert_int_equal(offset, i * 10 + 9);
    }
    index_free(x);
    fs_close(fs);
}

TEST(the_largest_timestamp_is_known_before_and_after_reopening) {
    struct fixture f;
    struct err err;
    int64_t ts, offset, ts2, offset2, want = -1;
    setup(&f, 4);
    struct index *x = build(&f, BATCHES);
    for (int i = 0; i < BATCHES; i++)
        if (f.batches[i].h.max_timestamp > want) want = f.batches[i].h.max_timestamp;
    index_max_timestamp(x, &ts, &offset);
    assert_int_equal(ts, want);
    assert_ok(index_seal(x, &err), err);
    index_free(x);
    x = reopen(&f);
    index_max_timestamp(x, &ts2, &offset2);
    assert_int_equal(ts2, want);
    assert_int_equal(offset2, offset);
    index_free(x);
    teardown(&f);
}

TEST(what_is_not_framed_is_neither_found_nor_flushed) {
    struct fixture f;
    struct err err;
    int64_t ts, offset;
    setup(&f, 5);
    struct index *x = build(&f, 0);
    for (int i = 0; i < BATCHES; i++) index_note(x, &f.batches[i].h, f.batches[i].position);
    uint64_t at;
    assert_ok(index_position(x, BASE + 1000, &at, &err), err);
    assert_int_equal(at, 0);
    index_max_timestamp(x, &ts, &offset);
    assert_int_equal(ts, -1);
    assert_ok(index_flush(x, true, &err), err);
    struct buf b = file(f.fs, "s.index");
    assert_int_equal(b.n, 0);
    buf_done(&b);
    index_free(x);
    teardown(&f);
}

struct readers { struct fixture *f; struct index *x; atomic_bool over; };

static void *look_up(void *arg) {
    struct readers *r = arg;
    uint64_t seed = 3;
    while (!atomic_load(&r->over)) {
        const struct one *b = &r->f->batches[test_random(&seed) % BATCHES];
        struct err err;
        uint64_t at;
        int64_t offset, ts;
        if (index_position(r->x, b->h.base_offset, &at, &err) || at > b->position) abort();
        if (index_for_time(r->x, b->h.max_timestamp, &offset, &ts, &err)) abort();
        index_max_timestamp(r->x, &ts, &offset);
    }
    return NULL;
}

TEST(lookups_go_on_while_entries_are_noted_undone_and_flushed) {
    struct fixture f;
    struct err err;
    pthread_t thread;
    setup(&f, 20);
    struct readers r = {.f = &f, .x = build(&f, 0)};
    assert_ok(thread_start(&thread, "reader", look_up, &r, &err), err);
    for (int i = 0; i < BATCHES; i++) {
        struct index_mark m = index_mark(r.x);
        for (int j = i; j < i + 5 && j < BATCHES; j++) index_note(r.x, &f.batches[j].h, f.batches[j].position);
        index_undo(r.x, &m);
        index_note(r.x, &f.batches[i].h, f.batches[i].position);
        index_framed(r.x);
        if (i % 10 == 0) assert_ok(index_flush(r.x, false, &err), err);
    }
    assert_ok(index_seal(r.x, &err), err);
    atomic_store(&r.over, true);
    pthread_join(thread, NULL);
    assert_lookups(&f, r.x, BATCHES);
    index_free(r.x);
    teardown(&f);
}

// ── undo and cutting ─────────────────────────────────────────────────────────────────────────────────────────────────

TEST(undo_and_noting_again_makes_the_same_files) {
    struct fixture f;
    struct err err;
    setup(&f, 6);
    index_free(build(&f, 0));
    struct index *x = build(&f, 0);
    for (int i = 0; i < BATCHES; i++) {
        struct index_mark m = index_mark(x);
        for (int j = i; j < i + 20 && j < BATCHES; j++) index_note(x, &f.batches[j].h, f.batches[j].position);
        index_undo(x, &m);
        index_note(x, &f.batches[i].h, f.batches[i].position);
        index_framed(x);
        if (i % 50 == 0) assert_ok(index_flush(x, false, &err), err);
    }
    assert_ok(index_seal(x, &err), err);
    index_free(x);
    struct buf a = file(f.fs, "s.index"), at = file(f.fs, "s.timeindex");
    x = build(&f, BATCHES);
    assert_ok(index_seal(x, &err), err);
    index_free(x);
    struct buf b = file(f.fs, "s.index"), bt = file(f.fs, "s.timeindex");
    assert_true(a.n > 500 && str_eq(buf_str(&a), buf_str(&b)));
    assert_true(at.n > 500 && str_eq(buf_str(&at), buf_str(&bt)));
    buf_done(&a), buf_done(&b), buf_done(&at), buf_done(&bt);
    teardown(&f);
}

// Wherever it is cut, reading on from there makes what was never cut.
TEST(cut_anywhere_and_extended_it_is_as_before) {
    struct fixture f;
    struct err err;
    setup(&f, 7);
    struct index *x = build(&f, BATCHES);
    assert_ok(index_seal(x, &err), err);
    index_free(x);
    struct buf a = file(f.fs, "s.index"), at = file(f.fs, "s.timeindex");
    for (int i = 0; i < BATCHES; i += 7) {
        x = reopen(&f);
        assert_ok(index_cut(x, f.batches[i].h.base_offset, f.batches[i].position, &err), err);
        assert_lookups(&f, x, i);
        if (i % 2) { // through the disk
            index_free(x);
            x = reopen(&f);
        }
        assert_ok(index_extend(x, f.log, f.size, &err), err);
        assert_lookups(&f, x, BATCHES);
        assert_ok(index_seal(x, &err), err);
        index_free(x);
        struct buf b = file(f.fs, "s.index"), bt = file(f.fs, "s.timeindex");
        assert_true(str_eq(buf_str(&a), buf_str(&b)));
        assert_true(str_eq(buf_str(&at), buf_str(&bt)));
        buf_done(&b), buf_done(&bt);
    }
    buf_done(&a), buf_done(&at);
    teardown(&f);
}

TEST(an_emptied_batch_counts_for_no_time) {
    struct fs *fs = fs_mem_new();
    struct index *x;
    struct err err;
    int64_t ts, offset;
    struct index_options o = {.fs = fs, .stem = "s"};
    const struct batch_header h = {.length = 88, .max_timestamp = 5};
    assert_ok(index_create(&o, &x, &err), err);
    index_note(x, &h, 0);
    index_framed(x);
    index_max_timestamp(x, &ts, &offset);
    assert_int_equal(ts, -1);
    index_free(x);
    fs_close(fs);
}

TEST(cut_by_offset_alone_it_forgets_that_offset) {
    struct fs *fs = fs_mem_new();
    struct index *x;
    struct err err;
    uint64_t at;
    struct index_options o = {.fs = fs, .stem = "s", .interval = 1};
    assert_ok(index_create(&o, &x, &err), err);
    for (int i = 0; i < 10; i++) {
        struct batch_header h = {.base_offset = i, .length = 88, .max_timestamp = 5, .count = 1};
        index_note(x, &h, (uint64_t)i * 100);
        index_framed(x);
        assert_ok(index_flush(x, false, &err), err);
    }
    struct buf times = file(fs, "s.timeindex");
    assert_int_equal(times.n, TIMEINDEX_ENTRY); // a time that does not rise has one entry
    buf_done(&times);
    assert_ok(index_position(x, 7, &at, &err), err);
    assert_int_equal(at, 700);
    assert_ok(index_cut(x, 7, UINT64_MAX, &err), err);
    assert_ok(index_position(x, 7, &at, &err), err);
    assert_int_equal(at, 600);
    index_free(x);
    fs_close(fs);
}

TEST(an_index_made_from_the_segment_alone_is_the_same) {
    struct fixture f;
    struct err err;
    struct index *x;
    setup(&f, 8);
    x = build(&f, BATCHES);
    assert_ok(index_seal(x, &err), err);
    index_free(x);
    struct buf a = file(f.fs, "s.index");
    assert_ok(index_create(&f.o, &x, &err), err);
    assert_ok(index_extend(x, f.log, f.size, &err), err);
    assert_ok(index_seal(x, &err), err);
    index_free(x);
    struct buf b = file(f.fs, "s.index");
    assert_true(str_eq(buf_str(&a), buf_str(&b)));
    buf_done(&a), buf_done(&b);
    teardown(&f);
}

// ── damage ───────────────────────────────────────────────────────────────────────────────────────────────────────────

TEST(missing_files_and_torn_tails_are_said) {
    struct fixture f;
    struct err err;
    struct index *x;
    struct fs_file *file;
    setup(&f, 9);
    assert_fails(index_open(&f.o, &x, &err), err, ERR_NOT_FOUND);
    x = build(&f, BATCHES);
    assert_ok(index_seal(x, &err), err);
    index_free(x);
    assert_ok(f.fs->ops->open(f.fs, "s.index", FS_WRITE, &file, &err), err);
    struct fs_stat st;
    assert_ok(f.fs->ops->fstat(file, &st, &err), err);
    assert_ok(f.fs->ops->truncate(file, st.size - 3, &err), err);
    assert_fails(index_open(&f.o, &x, &err), err, ERR_CORRUPT);
    assert_ok(f.fs->ops->truncate(file, st.size, &err), err);
    assert_ok(f.fs->ops->truncate(file, st.size - 8, &err), err);
    assert_ok(f.fs->ops->truncate(file, st.size, &err), err); // a tail of zeros, as a power cut leaves it
    assert_fails(index_open(&f.o, &x, &err), err, ERR_CORRUPT);
    f.fs->ops->close(file, NULL);
    teardown(&f);
}

TEST(zeros_in_the_middle_are_found_when_cutting) {
    struct fixture f;
    struct err err;
    struct fs_file *file;
    setup(&f, 10);
    struct index *x = build(&f, BATCHES);
    assert_ok(index_seal(x, &err), err);
    index_free(x);
    assert_ok(f.fs->ops->open(f.fs, "s.timeindex", FS_WRITE, &file, &err), err);
    assert_ok(fs_pwrite(f.fs, file, "\0\0\0\0\0\0\0\0\0\0\0", 12, 24, &err), err);
    f.fs->ops->close(file, NULL);
    x = reopen(&f);
    assert_fails(index_cut(x, BASE + 1000000, UINT64_MAX, &err), err, ERR_CORRUPT);
    index_free(x);
    teardown(&f);
}

TEST(verify_finds_every_flipped_bit_of_an_offset_index) {
    struct fixture f;
    struct err err;
    setup(&f, 11);
    struct index *x = build(&f, 100);
    assert_ok(index_flush(x, false, &err), err);
    index_free(x);
    struct buf b = file(f.fs, "s.index");
    uint64_t size = f.batches[100].position;
    assert_ok(index_verify(&f.o, f.log, size, &err), err);
    for (size_t bit = 0; bit < b.n * 8; bit++) {
        fs_mem_flip(f.fs, "s.index", bit / 8, (uint8_t)(1 << bit % 8));
        assert_fails(index_verify(&f.o, f.log, size, &err), err, ERR_CORRUPT);
        fs_mem_flip(f.fs, "s.index", bit / 8, (uint8_t)(1 << bit % 8));
    }
    buf_done(&b);
    teardown(&f);
}

TEST(a_segment_that_does_not_end_with_a_batch_is_not_indexed) {
    struct fixture f;
    struct err err;
    struct index *x;
    setup(&f, 12);
    assert_ok(index_create(&f.o, &x, &err), err);
    assert_fails(index_extend(x, f.log, f.size - 1, &err), err, ERR_CORRUPT);
    index_free(x);
    fs_mem_flip(f.fs, "s.log", f.batches[400].position + 16, 1); // magic
    assert_ok(index_create(&f.o, &x, &err), err);
    assert_fails(index_extend(x, f.log, f.size, &err), err, ERR_CORRUPT);
    index_free(x);
    teardown(&f);
}

// ── aborted transactions ─────────────────────────────────────────────────────────────────────────────────────────────

TEST(aborted_transactions_are_kept_in_kafkas_layout) {
    struct fs *fs = fs_mem_new();
    struct err err;
    const struct producer_end ends[] = {{7, 1, 2, 3, true}, {8, 9, 9, 9, false}};
    assert_ok(txnindex_replace(fs, "s", ends, 2, &err), err); // only what aborted
    struct buf b = file(fs, "s.txnindex");
    static const uint8_t want[TXNINDEX_ENTRY] = {0, 0, [9] = 7, [17] = 1, [25] = 2, [33] = 3};
    assert_int_equal(b.n, sizeof(want));
    assert_memory_equal(b.p, want, sizeof(want));
    buf_done(&b);
    fs_close(fs);
}

TEST(those_that_overlap_a_range_are_collected) {
    struct fs *fs = fs_mem_new();
    struct err err;
    struct buf got = {0};
    bool complete;
    assert_ok(txnindex_collect(fs, "s", 0, 100, &got, &complete, &err), err); // no file yet
    assert_int_equal(got.n, 0);
    assert_false(complete);
    const struct producer_end ends[] = {{1, 0, 9, 5, true}, {2, 5, 30, 31, true}, {3, 40, 50, 51, true}};
    assert_ok(txnindex_put(fs, "s", 0, &ends[0], &err), err);
    assert_ok(txnindex_put(fs, "s", 1, &ends[2], &err), err);
    assert_ok(txnindex_put(fs, "s", 1, &ends[1], &err), err); // the write before failed, as far as anybody knew
    assert_ok(txnindex_put(fs, "s", 2, &ends[2], &err), err);
    assert_ok(txnindex_collect(fs, "s", 10, 40, &got, &complete, &err), err);
    assert_int_equal(got.n, sizeof(ends[0]));
    assert_int_equal(((struct producer_end *)(void *)got.p)->producer_id, 2);
    assert_true(complete); // the stable offset passed 40 when the third ended
    buf_clear(&got);
    assert_ok(txnindex_collect(fs, "s", 0, 60, &got, &complete, &err), err);
    assert_int_equal(got.n, sizeof(ends));
    assert_false(complete);
    buf_done(&got);
    assert_ok(txnindex_replace(fs, "s", ends, 1, &err), err);
    assert_ok(txnindex_read(fs, "s", &got, &err), err);
    assert_int_equal(got.n, sizeof(ends[0]));
    assert_ok(txnindex_replace(fs, "s", NULL, 0, &err), err);
    struct fs_stat st;
    assert_fails(fs->ops->stat(fs, "s.txnindex", &st, &err), err, ERR_NOT_FOUND);
    buf_done(&got);
    fs_close(fs);
}

TEST(a_torn_transaction_index_is_refused) {
    struct fs *fs = fs_mem_new();
    struct err err;
    struct buf got = {0};
    struct fs_file *file;
    const struct producer_end ends[] = {{1, 0, 9, 5, true}, {2, 5, 30, 31, true}};
    assert_ok(txnindex_replace(fs, "s", ends, 2, &err), err);
    assert_ok(fs->ops->open(fs, "s.txnindex", FS_WRITE, &file, &err), err);
    for (uint64_t n = 1; n < 68; n++) {
        if (n == 34) continue;
        assert_ok(fs->ops->truncate(file, 68, &err), err);
        assert_ok(fs->ops->truncate(file, 68 - n, &err), err);
        assert_fails(txnindex_read(fs, "s", &got, &err), err, ERR_CORRUPT);
        buf_clear(&got);
    }
    fs->ops->close(file, NULL);
    buf_done(&got);
    fs_close(fs);
}
