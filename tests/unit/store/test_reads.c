// SPDX-License-Identifier: Apache-2.0
// Reading: bounds, sizes, isolation, timestamps, damage.
#include <stdio.h>
#include <stdlib.h>

#include "fixture.h"

static struct partition *get_partition(struct store *s, struct topic **ret) {
    *ret = topic_get(s, "t");
    return topic_partition(*ret, 0);
}

TEST(a_read_below_the_start_or_above_the_end_is_out_of_range_and_at_the_end_is_empty) {
    struct fs *fs = fs_mem_new();
    struct store *s = fixture_open(fs);
    struct topic *t;
    struct err err;
    struct buf out = {0};
    struct read_result r;
    fixture_topic(s, "t", 1, NULL, NULL);
    fixture_fill(s, "t", 0, 5, 10);
    struct partition *p = get_partition(s, &t);
    assert_ok(partition_delete_before(p, 2, &err), err);
    struct read_request q = {.from = 1, .max_bytes = 1000};
    assert_fails(partition_read(p, &q, &out, &r, &err), err, ERR_OUT_OF_RANGE);
    q.from = 6;
    assert_fails(partition_read(p, &q, &out, &r, &err), err, ERR_OUT_OF_RANGE);
    q.from = 5;
    assert_ok(partition_read(p, &q, &out, &r, &err), err);
    assert_int_equal(r.n, 0);
    assert_int_equal(r.next, 5);
    assert_int_equal(r.log_start, 2);
    assert_fails(partition_delete_before(p, 6, &err), err, ERR_OUT_OF_RANGE);
    assert_int_equal(fixture_offsets(s, "t", 0).log_start, 2);
    topic_unref(t);
    s = fixture_reopen(s, &fs);
    assert_int_equal(fixture_offsets(s, "t", 0).log_start, 2);
    fixture_close(s);
    fs_close(fs);
}

TEST(a_read_returns_whole_batches_up_to_its_size_and_at_least_one) {
    struct fs *fs = fs_mem_new();
    struct store *s = fixture_open(fs);
    struct topic *t;
    struct err err;
    struct buf out = {0};
    struct read_result r;
    fixture_topic(s, "t", 1, NULL, NULL);
    fixture_fill(s, "t", 0, 50, 200);
    struct partition *p = get_partition(s, &t);
    for (size_t max = 0; max < 3000; max += 37)
        for (int64_t from = 0; from < 50; from += 7) {
            struct read_request q = {.from = from, .max_bytes = max};
            buf_clear(&out);
            assert_ok(partition_read(p, &q, &out, &r, &err), err);
            assert_true(r.n > 0 && r.n == out.n && (r.n <= max || r.next == from + 1));
            struct batch_header h;
            assert_int_equal(batch_read_header(out.p, out.n, &h), 0);
            assert_int_equal(h.base_offset, from);
        }
    buf_done(&out);
    topic_unref(t);
    fixture_close(s);
    fs_close(fs);
}

TEST(a_read_into_the_middle_of_a_batch_begins_with_that_batch) {
    static const char *const texts[] = {"a", "b", "c", "d"};
    struct fs *fs = fs_mem_new();
    struct store *s = fixture_open(fs);
    struct topic *t;
    struct err err;
    struct buf out = {0};
    struct read_result r;
    fixture_topic(s, "t", 1, NULL, NULL);
    struct partition *p = get_partition(s, &t);
    for (int i = 0; i < 3; i++) {
        struct commit *c = commit_new(s);
        struct buf batch = fixture_batch(-1, -1, -1, texts, 4);
        assert_ok(commit_append(c, p, &batch, false, &err), err);
        assert_ok(store_commit_wait(s, c, NULL, &err), err);
    }
    struct read_request q = {.from = 6, .max_bytes = 1};
    struct batch_header h;
    assert_ok(partition_read(p, &q, &out, &r, &err), err);
    assert_int_equal(batch_read_header(out.p, out.n, &h), 0);
    assert_int_equal(h.base_offset, 4);
    assert_int_equal(r.next, 8);
    buf_done(&out);
    topic_unref(t);
    fixture_close(s);
    fs_close(fs);
}

TEST(a_read_that_meets_a_damaged_batch_stops_the_partition_and_what_came_before_was_good) {
    struct fs *fs = fs_mem_new();
    struct store *s = fixture_open(fs);
    struct topic *t;
    struct err err;
    struct buf out = {0};
    struct read_result r;
    fixture_topic(s, "t", 1, NULL, NULL);
    fixture_fill(s, "t", 0, 10, 50);
    uint64_t bytes = fixture_offsets(s, "t", 0).bytes;
    fs_mem_flip(fs, "t-0/00000000000000000000.log", bytes * 6 / 10 + 80, 1);
    struct partition *p = get_partition(s, &t);
    struct read_request q = {.max_bytes = 100000};
    assert_ok(partition_read(p, &q, &out, &r, &err), err);
    assert_int_equal(r.next, 6);
    q.from = 6;
    assert_fails(partition_read(p, &q, &out, &r, &err), err, ERR_CORRUPT);
    assert_has(err.msg, "t-0/00000000000000000000.log at byte");
    assert_has(err.msg, "checksum");
    assert_has(err.hint, "connectd log-repair show t-0");
    assert_int_equal(fixture_put(s, "t", 0, "refused", &err), -1);
    assert_int_equal(err.code, ERR_CORRUPT);
    assert_has(err.hint, "connectd log-repair show t-0");
    buf_done(&out);
    topic_unref(t);
    fixture_close(s);
    fs_close(fs);
}

TEST(a_lost_or_wrong_index_costs_time_and_nothing_else) {
    static const char *const paths[] = {"t-0/00000000000000000000.index", "t-0/00000000000000000000.timeindex"};
    struct fs *fs = fs_mem_new();
    struct store *s = fixture_open(fs);
    struct err err;
    fixture_topic(s, "t", 1, "index.interval.bytes", "100");
    fixture_fill(s, "t", 0, 100, 50);
    s = fixture_reopen(s, &fs);
    fixture_close(s);
    for (int damage = 0; damage < 4; damage++) {
        struct fs *disk = fs_mem_clone(fs);
        for (size_t i = 0; i < 2; i++) {
            if (damage == 0) assert_ok(disk->ops->unlink(disk, paths[i], &err), err);
            for (uint64_t at = 0; damage == 1 && at < 12; at++) fs_mem_flip(disk, paths[i], at, 0xff);
            if (damage == 2) fs_mem_flip(disk, paths[i], 7, 0x40);
            if (damage == 3) assert_ok(fs_replace(disk, paths[i], "abcde", 5, &err), err);
        }
        s = fixture_open(disk);
        const char *all = fixture_log(s, "t", 0, READ_UNCOMMITTED);
        assert_has(all, "0:0");
        assert_has(all, "99:99");
        struct topic *t;
        struct buf out = {0};
        struct read_result r;
        struct batch_header h;
        struct partition *p = get_partition(s, &t);
        for (int64_t from = 0; from < 100; from += 9) {
            struct read_request q = {.from = from, .max_bytes = 1};
            buf_clear(&out);
            assert_ok(partition_read(p, &q, &out, &r, &err), err);
            assert_int_equal(batch_read_header(out.p, out.n, &h), 0);
            assert_int_equal(h.base_offset, from);
        }
        buf_done(&out);
        topic_unref(t);
        assert_int_equal(fixture_put(s, "t", 0, "more", &err), 100);
        fixture_close(s);
        fs_close(disk);
    }
    fs_close(fs);
}

static void put_at(struct store *s, struct partition *p, int64_t ts) {
    struct batch_builder b;
    struct buf out = {0};
    struct err err;
    batch_begin(&b, &out, CODEC_NONE);
    batch_add(&b, ts, (struct str){NULL, 0}, STR("a record of some bytes"), NULL, 0);
    assert_ok(batch_end(&b, &err), err);
    struct commit *c = commit_new(s);
    assert_ok(commit_append(c, p, &out, true, &err), err);
    assert_ok(store_commit_wait(s, c, NULL, &err), err);
}

TEST(the_first_offset_of_a_time_is_found_across_segments_and_in_disorder) {
    static const int64_t times[] = {100, 300, 200, 400, 350, 500, 450, 600, 50, 700};
    struct fs *fs = fs_mem_new();
    struct store *s = fixture_open(fs);
    struct topic *t;
    struct err err;
    fixture_topic(s, "t", 1, "segment.bytes", "250");
    struct partition *p = get_partition(s, &t);
    for (int i = 0; i < 10; i++) put_at(s, p, times[i]);
    assert_true(fixture_offsets(s, "t", 0).segments > 2);
    for (int64_t ts = 0; ts <= 800; ts += 25) {
        int64_t want = -1, offset, at;
        for (int i = 9; i >= 0; i--)
            if (times[i] >= ts) want = i;
        assert_ok(partition_offset_for_time(p, ts, &offset, &at, &err), err);
        assert_int_equal(offset, want);
        if (want >= 0) assert_int_equal(at, times[want]);
    }
    int64_t offset, at;
    assert_ok(partition_offset_for_time(p, -1, &offset, &at, &err), err);
    assert_int_equal(offset, 9);
    assert_int_equal(at, 700);
    topic_unref(t);
    fixture_close(s);
    fs_close(fs);
}

// After a power cut the file may hold what some other one held before.
TEST(a_time_index_of_which_the_log_says_otherwise_is_not_believed) {
    struct fs *fs = fs_mem_new();
    struct store *s = fixture_open(fs);
    struct topic *t;
    struct err err;
    uint8_t entry[12] = {0};
    int64_t offset, at;
    fixture_topic(s, "t", 1, "segment.bytes", "250");
    struct partition *p = get_partition(s, &t);
    for (int i = 0; i < 10; i++) put_at(s, p, 100 * (i + 1));
    topic_unref(t);
    fixture_close(s);
    struct fs *disk = fs_mem_clone(fs);
    fs_close(fs);
    fs = disk;
    entry[7] = 1; // nothing before offset 1 is later than 1
    entry[11] = 1;
    assert_ok(fs_replace(fs, "t-0/00000000000000000000.timeindex", entry, sizeof(entry), &err), err);
    s = fixture_open(fs);
    p = get_partition(s, &t);
    assert_ok(partition_offset_for_time(p, 50, &offset, &at, &err), err);
    assert_int_equal(offset, 0);
    topic_unref(t);
    fixture_close(s);
    fs_close(fs);
}

TEST(a_time_is_not_looked_for_below_the_log_start_not_even_in_the_batch_that_it_cuts) {
    struct fs *fs = fs_mem_new();
    struct store *s = fixture_open(fs);
    struct topic *t;
    struct err err;
    int64_t offset, at;
    fixture_topic(s, "t", 1, NULL, NULL);
    struct partition *p = get_partition(s, &t);
    struct buf out = {0};
    struct batch_builder b;
    batch_begin(&b, &out, CODEC_NONE);
    for (int i = 0; i < 4; i++) batch_add(&b, 100 * (i + 1), (struct str){NULL, 0}, STR("x"), NULL, 0);
    assert_ok(batch_end(&b, &err), err);
    struct commit *c = commit_new(s);
    assert_ok(commit_append(c, p, &out, true, &err), err);
    assert_ok(store_commit_wait(s, c, NULL, &err), err);
    assert_ok(partition_delete_before(p, 2, &err), err);
    assert_ok(partition_offset_for_time(p, 0, &offset, &at, &err), err);
    assert_int_equal(offset, 2);
    assert_int_equal(at, 300);
    topic_unref(t);
    fixture_close(s);
    fs_close(fs);
}

TEST(a_topic_with_append_time_stamps_records_with_the_stores_clock) {
    struct fs *fs = fs_mem_new();
    struct clock_manual clock;
    struct store_options o = fixture_options(fs);
    struct store *s;
    struct topic *t;
    struct err err;
    struct append_result result;
    clock_manual_init(&clock, 1800000000000000);
    o.clock = &clock.clock;
    assert_ok(store_open(&o, &s, &err), err);
    fixture_topic(s, "t", 1, "message.timestamp.type", "LogAppendTime");
    struct partition *p = get_partition(s, &t);
    struct commit *c = commit_new(s);
    struct buf batch = fixture_text("x");
    assert_ok(commit_append(c, p, &batch, false, &err), err);
    assert_ok(store_commit_wait(s, c, &result, &err), err);
    assert_int_equal(result.append_time, 1800000000000);
    int64_t offset, ts;
    assert_ok(partition_offset_for_time(p, -1, &offset, &ts, &err), err);
    assert_int_equal(ts, 1800000000000);
    assert_string_equal(fixture_log(s, "t", 0, READ_UNCOMMITTED), "0:x");
    topic_unref(t);
    fixture_close(s);
    fs_close(fs);
}

TEST(batches_that_are_not_what_they_say_are_refused_before_anything_happens) {
    struct fs *fs = fs_mem_new();
    struct store *s = fixture_open(fs);
    struct topic *t;
    struct err err;
    fixture_topic(s, "t", 1, "max.message.bytes", "100");
    struct partition *p = get_partition(s, &t);
    struct commit *c = commit_new(s);
    struct buf batch = fixture_text("good");
    batch.p[65] ^= 1;
    assert_fails(commit_append(c, p, &batch, false, &err), err, ERR_CORRUPT);
    batch.n -= 3;
    assert_fails(commit_append(c, p, &batch, true, &err), err, ERR_CORRUPT);
    buf_done(&batch);
    char text[200];
    memset(text, 'x', 199);
    text[199] = 0;
    batch = fixture_text(text);
    assert_fails(commit_append(c, p, &batch, true, &err), err, ERR_TOO_LARGE);
    assert_has(err.msg, "max.message.bytes is 100");
    buf_done(&batch);
    batch_control(&batch, 1, 0, true, 0, 0);
    assert_fails(commit_append(c, p, &batch, true, &err), err, ERR_INVALID);
    buf_done(&batch);
    assert_int_equal(commit_appends(c), 0);
    commit_free(c);
    topic_unref(t);
    fixture_close(s);
    fs_close(fs);
}
