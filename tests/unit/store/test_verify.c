// SPDX-License-Identifier: Apache-2.0
// Damage met while the store runs: found, told, contained.
#include "fixture.h"
#include "verify.h"

static const char SEALED[] = "t-0/00000000000000000000.log";

static uint32_t verify_all(struct store *s) {
    struct verify_cursor from_the_start = {0};
    return verify_some(s, &from_the_start, INT64_MAX);
}

static void fired(void *arg) { ++*(int *)arg; }

static struct store *two_topics(struct fs *fs) {
    struct store *s = fixture_open(fs);
    struct err err;
    fixture_topic(s, "t", 1, "segment.bytes", "1000");
    fixture_topic(s, "other", 1, "segment.bytes", "1000");
    fixture_fill(s, "t", 0, 30, 100);
    fixture_fill(s, "other", 0, 30, 100);
    assert_ok(store_checkpoint(s, &err), err);
    return s;
}

static int health(struct store *s, const char *topic, struct err *err) {
    struct topic *t = topic_get(s, topic);
    int failed = partition_health(topic_partition(t, 0), err);
    topic_unref(t);
    return failed;
}

TEST(a_flipped_bit_in_a_sealed_segment_stops_its_partition_and_no_other) {
    struct err err = {0};
    for (uint64_t at = 0; at < 600; at += 37) {
        struct fs *fs = fs_mem_new();
        struct store *s = two_topics(fs);
        assert_int_equal(verify_all(s), 0);
        fs_mem_flip(fs, SEALED, at, 1u << (at % 8));
        assert_int_equal(verify_all(s), 1);
        assert_fails(health(s, "t", &err), err, ERR_CORRUPT);
        assert_has(err.msg, SEALED);
        assert_int_equal(fixture_put(s, "t", 0, "more", &err), -1);
        assert_ok(health(s, "other", &err), err);
        assert_int_equal(fixture_put(s, "other", 0, "more", &err), 30);
        assert_int_equal(verify_all(s), 0); // told once
        fixture_close(s);
        fs_close(fs);
    }
}

TEST(what_is_durable_of_the_active_segment_is_checked_too) {
    struct fs *fs = fs_mem_new();
    struct store *s = two_topics(fs);
    struct topic *t = topic_get(s, "t");
    const struct segment *g = partition_active(topic_partition(t, 0));
    char path[SEGMENT_PATH];
    struct err err = {0};
    assert_true(g->size > 0);
    segment_path(topic_partition(t, 0), g->base, ".log", path);
    fs_mem_flip(fs, path, g->size - 1, 1);
    assert_int_equal(verify_all(s), 1);
    assert_fails(health(s, "t", &err), err, ERR_CORRUPT);
    assert_has(err.msg, path);
    assert_ok(health(s, "other", &err), err);
    topic_unref(t);
    fixture_close(s);
    fs_close(fs);
}

TEST(a_missing_segment_is_found_and_one_moved_to_another_partition) {
    struct err err = {0};
    for (int swapped = 0; swapped < 2; swapped++) {
        struct fs *fs = fs_mem_new();
        struct store *s = two_topics(fs);
        if (!swapped) assert_ok(fs->ops->unlink(fs, SEALED, &err), err);
        else assert_ok(fs->ops->rename(fs, "other-0/00000000000000000000.log", SEALED, &err), err);
        // The file that went from "other" is missing there; where it lies now it may hold the very same bytes.
        assert_true(verify_all(s) >= 1);
        assert_fails(health(s, swapped ? "other" : "t", &err), err, ERR_CORRUPT);
        fixture_close(s);
        fs_close(fs);
    }
}

TEST(a_stopped_partition_stays_stopped_after_a_restart_and_keeps_its_bytes) {
    struct fs *fs = fs_mem_new();
    struct store *s = two_topics(fs);
    struct err err = {0};
    struct fs_stat before, after;
    assert_ok(fs->ops->stat(fs, SEALED, &before, &err), err);
    fs_mem_flip(fs, SEALED, 100, 4);
    assert_int_equal(verify_all(s), 1);
    assert_ok(store_checkpoint(s, &err), err);
    s = fixture_reopen(s, &fs);
    assert_fails(health(s, "t", &err), err, ERR_CORRUPT);
    assert_has(err.msg, SEALED);
    assert_ok(fs->ops->stat(fs, SEALED, &after, &err), err);
    assert_int_equal(before.size, after.size);
    fixture_close(s);
    fs_close(fs);
}

TEST(a_stopped_partition_serves_again_when_its_file_was_put_back) {
    for (int clean = 0; clean < 2; clean++) {
        struct fs *fs = fs_mem_new();
        struct store *s = two_topics(fs);
        struct err err = {0};
        fs_mem_flip(fs, SEALED, 100, 4);
        assert_int_equal(verify_all(s), 1);
        assert_fails(health(s, "t", &err), err, ERR_CORRUPT);
        assert_has(err.hint, "put the file back from a copy");
        assert_ok(store_checkpoint(s, &err), err);
        struct fs *disk = clean ? fs : fs_mem_clone(fs); // as it is without a clean stop
        fixture_close(s);
        if (!clean) fs_close(fs), fs = disk;
        fs_mem_flip(fs, SEALED, 100, 4);
        s = fixture_reopen(NULL, &fs);
        assert_ok(health(s, "t", &err), err);
        assert_int_equal(fixture_put(s, "t", 0, "goes on", &err), 30);
        assert_int_equal(verify_all(s), 0);
        s = fixture_reopen(s, &fs);
        assert_ok(health(s, "t", &err), err);
        fixture_close(s);
        fs_close(fs);
    }
}

TEST(who_waits_for_records_hears_that_the_partition_stopped) {
    struct fs *fs = fs_mem_new();
    struct store *s = two_topics(fs);
    struct err err = {0};
    int heard = 0;
    struct topic *t = topic_get(s, "t");
    struct watch w = {.partition = topic_partition(t, 0), .beyond = 30, .fn = fired, .arg = &heard};
    partition_watch(&w);
    assert_int_equal(heard, 0);
    fs_mem_flip(fs, SEALED, 100, 4);
    assert_int_equal(verify_all(s), 1);
    assert_int_equal(fixture_put(s, "other", 0, "one", &err), 30); // the flusher has been awake, perhaps still on the way
    for (int i = 0; i < 100 && !heard; i++) assert_true(fixture_put(s, "other", 0, "one", &err) > 0);
    partition_unwatch(&w);
    assert_int_equal(heard, 1);
    topic_unref(t);
    fixture_close(s);
    fs_close(fs);
}

TEST(a_check_in_small_steps_goes_through_the_whole_log_and_begins_again) {
    struct fs *fs = fs_mem_new();
    struct store *s = two_topics(fs);
    struct verify_cursor at = {0};
    struct err err;
    uint32_t all = fixture_offsets(s, "t", 0).segments + fixture_offsets(s, "other", 0).segments, steps = 0, damaged = 0;
    assert_true(all > 6);
    for (; !at.rounds; steps++) {
        assert_int_equal(verify_some(s, &at, 1 - at.allowance), 0); // one segment a step
        assert_true(at.allowance <= 0);
    }
    assert_true(steps == all || steps == all + 1);
    fs_mem_flip(fs, SEALED, 100, 1);
    for (steps = 0; at.rounds < 2; steps++) damaged += verify_some(s, &at, 1 - at.allowance);
    assert_int_equal(damaged, 1);
    assert_fails(health(s, "t", &err), err, ERR_CORRUPT);
    assert_ok(health(s, "other", &err), err);
    fixture_close(s);
    fs_close(fs);
}

TEST(what_a_large_segment_was_too_much_is_not_read_again_before_it_was_allowed) {
    struct fs *fs = fs_mem_new();
    struct store *s = two_topics(fs);
    struct verify_cursor at = {0};
    assert_int_equal(verify_some(s, &at, 1), 0);
    int64_t owed = -at.allowance;
    assert_true(owed > 500); // a whole segment for one byte
    assert_int_equal(verify_some(s, &at, owed), 0); // paid, and nothing to spare
    assert_int_equal(at.allowance, 0);
    struct verify_cursor before = at;
    assert_int_equal(verify_some(s, &at, 0), 0);
    assert_memory_equal(&at, &before, sizeof(at));
    assert_int_equal(verify_some(s, &at, 1), 0);
    assert_true(at.allowance < 0); // the next one
    fixture_close(s);
    fs_close(fs);
}
