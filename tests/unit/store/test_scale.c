// SPDX-License-Identifier: Apache-2.0
// What many partitions cost, in counts: heap, open files, calls of the file system. tests/bench/store_scale.c has the times.
#include <malloc.h>
#include <stdio.h>

#include "base/mem.h"
#include "fixture.h"
#include "partition.h"
#include "store_int.h"

enum { PARTITIONS = 1000 };

// ── memory ───────────────────────────────────────────────────────────────────────────────────────────────────────────

size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));

static size_t heap_bytes(void) {
    if (__sanitizer_get_current_allocated_bytes) return __sanitizer_get_current_allocated_bytes();
    struct mallinfo2 m = mallinfo2();
    return m.uordblks + m.hblkhd;
}

static struct store *open_with(struct fs *fs, uint32_t open_files, bool cleaner) {
    struct store_options o = fixture_options(fs);
    struct store *s;
    struct err err;
    o.journal_bytes = 4 << 20;
    o.open_files = open_files;
    o.cleaner_off = !cleaner;
    assert_ok(store_open(&o, &s, &err), err);
    return s;
}

static void put_many(struct store *s, int32_t from, int32_t n, int64_t producer, int32_t sequence, size_t bytes) {
    static char text[4096];
    struct topic *t = topic_get(s, "t");
    struct commit *c = commit_new(s);
    struct err err;
    memset(text, 'x', bytes);
    text[bytes] = 0;
    for (int32_t p = from; p < from + n; p++) {
        const char *one = text;
        struct buf batch = fixture_batch(producer, 0, sequence, &one, 1);
        assert_ok(commit_append(c, topic_partition(t, p), &batch, true, &err), err);
    }
    assert_ok(store_commit_wait(s, c, NULL, &err), err);
    topic_unref(t);
}

static void make_topic(struct store *s, int32_t partitions) {
    static const struct topic_setting settings[] = {{"segment.bytes", "1000"}, {"retention.ms", "-1"}};
    struct err err;
    assert_ok(store_topic_create(s, "t", partitions, settings, countof(settings), &err), err);
}

static struct fs *reopened(struct store *s, struct fs *fs) {
    fixture_close(s);
    fs_mem_unlock(fs);
    return fs;
}

// Heap of a store just opened, a partition.
static size_t opened_bytes(struct fs *fs) {
    size_t before = heap_bytes();
    struct store *s = open_with(fs, 0, false);
    size_t n = (heap_bytes() - before) / PARTITIONS;
    print_message("heap a partition: %zu bytes\n", n);
    reopened(s, fs);
    return n;
}

TEST(an_idle_partition_takes_less_than_two_kibibytes_with_ten_closed_segments_and_three_producers_too) {
    struct fs *fs = fs_mem_new();
    struct store *s = open_with(fs, 0, false);
    make_topic(s, PARTITIONS);
    fs = reopened(s, fs);
    assert_in_range(opened_bytes(fs), 100, 700);
    s = open_with(fs, 0, false);
    for (int i = 0; i < 9; i++) put_many(s, 0, PARTITIONS, -1, -1, 1000);
    for (int64_t producer = 1; producer <= 3; producer++)
        for (int i = 0; i < PRODUCER_BATCHES; i++) put_many(s, 0, PARTITIONS, producer, i, 1);
    assert_int_equal(fixture_offsets(s, "t", 0).segments, 11);
    fs = reopened(s, fs);
    assert_in_range(opened_bytes(fs), 1000, 2047);
    fs_close(fs);
}

// Everything but what the file system in memory takes for the files' bytes: the same files are there before and after.
TEST(a_partition_that_rests_gives_its_memory_back) {
    struct fs *fs = fs_mem_new();
    struct store *s = open_with(fs, 0, false);
    struct err err;
    make_topic(s, PARTITIONS);
    for (int i = 0; i < 10; i++) put_many(s, 0, PARTITIONS, -1, -1, 1000);
    assert_ok(store_checkpoint(s, &err), err);
    size_t written = heap_bytes();
    for (int32_t p = 0; p < PARTITIONS; p++) {
        struct topic *t = topic_get(s, "t");
        assert_non_null(partition_active(topic_partition(t, p))->index);
        for (size_t i = 0; i + 1 < topic_partition(t, p)->seg_count; i++) assert_null(topic_partition(t, p)->segs[i]->index);
        topic_unref(t);
    }
    for (int round = 0; round < 2; round++) assert_ok(store_clean(s, &err), err);
    assert_true(written - heap_bytes() > PARTITIONS * 300);
    put_many(s, 0, PARTITIONS, -1, -1, 10);
    fixture_close(s);
    fs_close(fs);
}

// ── files ────────────────────────────────────────────────────────────────────────────────────────────────────────────

TEST(open_files_are_bounded_however_many_partitions_one_commit_writes_to) {
    enum { LIMIT = 20, OTHERS = 4 }; // the journal, an index or a checkpoint
    struct fs *fs = fs_fault_new(fs_mem_new());
    struct store *s = open_with(fs, LIMIT, false);
    struct err err;
    make_topic(s, 200);
    for (int i = 0; i < 4; i++) put_many(s, 0, 200, -1, -1, 400);
    assert_in_range(files_count(&s->files), 1, LIMIT + 1); // one more while a checkpoint holds as many
    for (int32_t p = 0; p < 200; p += 7) {
        assert_int_equal(fixture_put(s, "t", p, "one more", &err), 4);
        assert_int_equal(fixture_offsets(s, "t", p).high_watermark, 5);
        fixture_log(s, "t", p, READ_UNCOMMITTED);
    }
    assert_ok(store_checkpoint(s, &err), err);
    assert_in_range(fs_fault_most_open(fs), LIMIT, LIMIT + OTHERS);
    fixture_close(s);
    assert_int_equal(fs_fault_open_files(fs), 0);
    fs_close(fs);
}

TEST(a_commit_over_more_partitions_than_files_may_be_open_is_taken_back_as_a_whole) {
    struct fs *fs = fs_fault_new(fs_mem_new());
    struct store *s = open_with(fs, 8, false);
    struct err err;
    make_topic(s, 30);
    put_many(s, 0, 30, -1, -1, 10);
    struct topic *t = topic_get(s, "t");
    struct commit *c = commit_new(s);
    for (int32_t p = 0; p < 30; p++) {
        struct buf batch = fixture_text("lost");
        assert_ok(commit_append(c, topic_partition(t, p), &batch, true, &err), err);
    }
    fs_fault_add(fs, (struct fs_fault_rule){.ops = FS_OP_WRITE, .path = "t-29/", .sys = 28});
    assert_fails(store_commit_wait(s, c, NULL, &err), err, ERR_NOSPACE);
    topic_unref(t);
    put_many(s, 0, 30, -1, -1, 10);
    for (int32_t p = 0; p < 30; p++) assert_string_equal(fixture_log(s, "t", p, READ_UNCOMMITTED), "0:xxxxxxxxxx 1:xxxxxxxxxx");
    fixture_close(s);
    fs_close(fs);
}

// ── starts ───────────────────────────────────────────────────────────────────────────────────────────────────────────

// Calls of a start, on a copy of the disk.
static unsigned calls_of_start(struct fs *disk) {
    struct fs *fs = fs_fault_new(fs_mem_clone(disk));
    struct store *s = open_with(fs, 0, true);
    unsigned n = fs_fault_count(fs, FS_OP_ALL); // the cleaner does nothing in its first second
    fixture_close(s);
    fs_close(fs);
    return n;
}

TEST(a_clean_start_takes_the_same_few_calls_for_any_number_of_partitions) {
    unsigned calls[2];
    for (int many = 0; many < 2; many++) {
        struct fs *fs = fs_mem_new();
        struct store *s = open_with(fs, 0, false);
        make_topic(s, many ? PARTITIONS : 1);
        for (int i = 0; i < 5; i++) put_many(s, 0, many ? PARTITIONS : 1, -1, -1, 1000);
        fs = reopened(s, fs);
        calls[many] = calls_of_start(fs);
        fs_close(fs);
    }
    assert_int_equal(calls[0], calls[1]);
    assert_in_range(calls[1], 5, 40);
}

TEST(a_start_after_a_kill_takes_calls_for_the_partitions_written_since_the_checkpoint_only) {
    enum { EACH = 40 }; // calls a partition with three segments that was written to
    unsigned calls[3];
    static const int32_t written[] = {1, 11, 101};
    struct fs *fs = fs_mem_new();
    struct store *s = open_with(fs, 0, false);
    struct err err;
    make_topic(s, PARTITIONS);
    for (int i = 0; i < 3; i++) put_many(s, 0, PARTITIONS, -1, -1, 1000);
    for (int i = 0; i < 3; i++) {
        assert_ok(store_checkpoint(s, &err), err);
        put_many(s, 0, written[i], -1, -1, 10);
        calls[i] = calls_of_start(fs);
    }
    assert_in_range(calls[0], 20, 100 + EACH);
    for (int i = 1; i < 3; i++) assert_in_range(calls[i] - calls[0], 1, (unsigned)(written[i] - 1) * EACH);
    fixture_close(s);
    fs_close(fs);
}

// ── the cleaner ──────────────────────────────────────────────────────────────────────────────────────────────────────

TEST(retention_of_many_partitions_takes_a_checkpoint_only_for_those_that_changed_since_the_last) {
    struct fs *fs = fs_mem_new();
    struct store *s = open_with(fs, 0, false);
    struct err err;
    make_topic(s, 100);
    for (int i = 0; i < 3; i++) put_many(s, 0, 100, -1, -1, 1000);
    assert_ok(store_topic_alter(s, "t", 0, &(struct topic_setting){"retention.bytes", "1"}, 1, &err), err);
    assert_ok(store_checkpoint(s, &err), err);
    assert_int_equal(fixture_put(s, "t", 7, "new", &err), 3);
    uint64_t before = atomic_load(&s->checkpoints);
    assert_ok(store_clean(s, &err), err);
    for (int32_t p = 0; p < 100; p++) assert_int_equal(fixture_offsets(s, "t", p).segments, 1);
    assert_int_equal(atomic_load(&s->checkpoints) - before, 1);
    fixture_close(s);
    fs_close(fs);
}

// ── what is shown ────────────────────────────────────────────────────────────────────────────────────────────────────

static const char *status_of(struct store *s) {
    static struct buf out;
    buf_clear(&out);
    struct json_writer w = json_to(&out);
    store_status_json(s, &w);
    return buf_cstr(&out);
}

TEST(partitions_count_what_is_appended_to_them_and_idle_ones_have_nothing_to_count_with) {
    struct fs *fs = fs_mem_new();
    struct store *s = open_with(fs, 0, false);
    struct partition_activity a;
    make_topic(s, 30);
    assert_has(status_of(s), "\"busiest_partitions\":[]");
    for (int i = 0; i < 3; i++) put_many(s, 5, 20, -1, -1, 100);
    put_many(s, 9, 1, -1, -1, 500);
    struct topic *t = topic_get(s, "t");
    partition_activity(topic_partition(t, 9), &a);
    assert_int_equal(a.batches, 4);
    assert_int_equal(a.bytes, fixture_offsets(s, "t", 9).bytes);
    assert_int_equal(a.syncs, 4);
    assert_true(a.p50_us <= a.p99_us && a.p99_us <= a.p999_us && a.p999_us <= a.max_us);
    partition_activity(topic_partition(t, 0), &a);
    assert_int_equal(a.batches, 0);
    assert_null(atomic_load(&topic_partition(t, 0)->activity));
    topic_unref(t);
    assert_has(status_of(s), "\"partitions_active\":20");
    assert_has(status_of(s), "\"busiest_partitions\":[{\"topic\":\"t\",\"partition\":9,");
    fixture_close(s);
    fs_close(fs);
}

TEST(status_shows_the_twenty_busiest_of_many) {
    struct fs *fs = fs_mem_new();
    struct store *s = open_with(fs, 0, false);
    make_topic(s, 60);
    for (int32_t p = 0; p < 60; p++) put_many(s, p, 1, -1, -1, (size_t)(p * 7 % 60 + 1));
    const char *status = status_of(s), *at = strstr(status, "\"busiest_partitions\"");
    for (int rank = 0; rank < 20; rank++) {
        char want[32];
        int32_t p = 0;
        while (p * 7 % 60 != 59 - rank) p++;
        snprintf(want, sizeof(want), "\"partition\":%d,", p);
        at = strstr(at, "\"partition\":");
        assert_non_null(at);
        assert_int_equal(strncmp(at, want, strlen(want)), 0);
        at++;
    }
    assert_null(strstr(at, "\"partition\":"));
    fixture_close(s);
    fs_close(fs);
}
