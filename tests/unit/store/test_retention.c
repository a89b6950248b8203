// SPDX-License-Identifier: Apache-2.0
// Retention by time, size and log start; who is waited for.
#include <stdio.h>
#include <stdlib.h>

#include "fixture.h"

static struct clock_manual manual;
#define HOUR (3600 * INT64_C(1000000000))

// The clock stands where the fixture's records are dated.
static struct store *open_at_record_time(struct fs *fs) {
    struct store_options o = fixture_options(fs);
    struct store *s;
    struct err err;
    clock_manual_init(&manual, 1700000000000000);
    o.clock = &manual.clock;
    assert_ok(store_open(&o, &s, &err), err);
    return s;
}

static void clean(struct store *s) {
    struct err err;
    assert_ok(store_clean(s, &err), err);
}

static bool is_there(struct fs *fs, const char *path) {
    struct fs_stat st;
    return !fs->ops->stat(fs, path, &st, NULL);
}

TEST(segments_go_when_they_are_older_than_retention_ms_the_active_one_too) {
    struct fs *fs = fs_mem_new();
    struct store *s = open_at_record_time(fs);
    struct err err;
    fixture_topic(s, "t", 1, "segment.bytes", "300");
    struct topic_setting hours = {"retention.ms", "7200000"};
    assert_ok(store_topic_alter(s, "t", 0, &hours, 1, &err), err);
    fixture_fill(s, "t", 0, 20, 10);
    clock_manual_advance(&manual, HOUR);
    clean(s);
    assert_int_equal(fixture_offsets(s, "t", 0).log_start, 0);
    clock_manual_advance(&manual, 2 * HOUR);
    clean(s);
    struct partition_offsets o = fixture_offsets(s, "t", 0);
    assert_int_equal(o.log_start, 20);
    assert_int_equal(o.high_watermark, 20);
    assert_int_equal(o.segments, 1);
    assert_int_equal(o.bytes, 0);
    assert_false(is_there(fs, "t-0/00000000000000000000.log"));
    assert_true(is_there(fs, "t-0/00000000000000000020.log"));
    assert_int_equal(fixture_put(s, "t", 0, "goes on", &err), 20);
    s = fixture_reopen(s, &fs);
    assert_string_equal(fixture_log(s, "t", 0, READ_UNCOMMITTED), "20:goes on");
    fixture_close(s);
    fs_close(fs);
}

TEST(the_oldest_segments_go_when_there_are_more_bytes_than_retention_bytes) {
    struct fs *fs = fs_mem_new();
    struct store *s = open_at_record_time(fs);
    struct err err;
    fixture_topic(s, "t", 1, "segment.bytes", "300");
    struct topic_setting bytes = {"retention.bytes", "1000"};
    assert_ok(store_topic_alter(s, "t", 0, &bytes, 1, &err), err);
    fixture_fill(s, "t", 0, 40, 10);
    clean(s);
    struct partition_offsets o = fixture_offsets(s, "t", 0);
    assert_true(o.bytes >= 1000 && o.bytes < 1300);
    assert_true(o.log_start > 0);
    assert_has(fixture_log(s, "t", 0, READ_UNCOMMITTED), "39:39");
    fixture_close(s);
    fs_close(fs);
}

struct lost { char holder[32]; int64_t first, last; int calls; };
static void note_lost(void *arg, struct partition *p, const char *holder, int64_t first, int64_t last, bool damaged) {
    struct lost *l = arg;
    snprintf(l->holder, sizeof(l->holder), "%s", holder);
    l->first = first, l->last = last, l->calls++;
}

TEST(time_waits_for_who_still_has_to_read_and_bytes_do_not_and_say_what_was_lost) {
    struct fs *fs = fs_mem_new();
    struct store *s = open_at_record_time(fs);
    struct err err;
    struct lost lost = {0};
    store_on_lost(s, note_lost, &lost);
    fixture_topic(s, "t", 1, "segment.bytes", "300");
    struct topic_setting hours = {"retention.ms", "7200000"};
    assert_ok(store_topic_alter(s, "t", 0, &hours, 1, &err), err);
    fixture_fill(s, "t", 0, 20, 10);
    struct topic *t = topic_get(s, "t");
    struct partition *p = topic_partition(t, 0);
    partition_hold(p, "sink-a", 7);
    partition_hold(p, "sink-b", 100);
    clock_manual_advance(&manual, 5 * HOUR);
    clean(s);
    int64_t start = fixture_offsets(s, "t", 0).log_start;
    assert_true(start > 0 && start <= 7);
    assert_int_equal(lost.calls, 0);
    struct topic_setting bytes = {"retention.bytes", "600"};
    assert_ok(store_topic_alter(s, "t", 0, &bytes, 1, &err), err);
    clean(s);
    start = fixture_offsets(s, "t", 0).log_start;
    assert_true(start > 7);
    assert_int_equal(lost.calls, 1);
    assert_string_equal(lost.holder, "sink-a");
    assert_int_equal(lost.first, 7);
    assert_int_equal(lost.last, start - 1);
    partition_hold(p, "sink-a", INT64_MAX);
    clean(s);
    assert_int_equal(fixture_offsets(s, "t", 0).log_start, 20);
    topic_unref(t);
    fixture_close(s);
    fs_close(fs);
}

TEST(what_is_deleted_by_hand_goes_whoever_waits_for_it_and_nobody_has_lost_it) {
    struct fs *fs = fs_mem_new();
    struct store *s = open_at_record_time(fs);
    struct err err;
    struct lost lost = {0};
    store_on_lost(s, note_lost, &lost);
    fixture_topic(s, "t", 1, "segment.bytes", "300");
    fixture_fill(s, "t", 0, 20, 10);
    struct topic *t = topic_get(s, "t");
    struct partition *p = topic_partition(t, 0);
    partition_hold(p, "sink", 2);
    assert_ok(partition_delete_before(p, 15, &err), err);
    clean(s);
    assert_false(is_there(fs, "t-0/00000000000000000000.log"));
    assert_int_equal(lost.calls, 0);
    struct topic_setting bytes = {"retention.bytes", "0"};
    assert_ok(store_topic_alter(s, "t", 0, &bytes, 1, &err), err);
    clean(s);
    assert_int_equal(lost.calls, 1);
    assert_int_equal(lost.first, 15); // not 2: that was deleted, not lost
    assert_int_equal(lost.last, fixture_offsets(s, "t", 0).log_start - 1);
    topic_unref(t);
    fixture_close(s);
    fs_close(fs);
}

static struct store *open_with_budget(struct fs *fs, uint64_t bytes) {
    struct store_options o = fixture_options(fs);
    struct store *s;
    struct err err;
    clock_manual_init(&manual, 1700000000000000);
    o.clock = &manual.clock;
    o.total_bytes = bytes;
    assert_ok(store_open(&o, &s, &err), err);
    return s;
}

static uint64_t bytes_of(struct store *s, const char *const *topics, size_t n) {
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++) sum += fixture_offsets(s, topics[i], 0).bytes;
    return sum;
}

TEST(past_the_whole_logs_budget_the_oldest_segments_go_and_what_a_sink_waits_for_goes_last) {
    static const char *const topics[] = {"old", "new", "awaited"};
    struct fs *fs = fs_mem_new();
    struct store *s = open_with_budget(fs, 5000);
    struct lost lost = {0};
    store_on_lost(s, note_lost, &lost);
    for (int i = 0; i < 3; i++) fixture_topic(s, topics[i], 1, "segment.bytes", "300");
    fixture_fill(s, "awaited", 0, 30, 10);
    clock_manual_advance(&manual, HOUR);
    fixture_fill(s, "old", 0, 30, 10);
    clock_manual_advance(&manual, HOUR);
    fixture_fill(s, "new", 0, 30, 10);
    struct topic *t = topic_get(s, "awaited");
    partition_hold(topic_partition(t, 0), "sink", 0);
    assert_true(bytes_of(s, topics, 3) > 6000);
    clean(s);
    assert_true(bytes_of(s, topics, 3) <= 5000);
    assert_int_equal(fixture_offsets(s, "awaited", 0).log_start, 0);
    assert_int_equal(fixture_offsets(s, "new", 0).log_start, 0);
    assert_true(fixture_offsets(s, "old", 0).log_start > 0);
    assert_int_equal(lost.calls, 0);
    fixture_fill(s, "new", 0, 60, 10);
    clean(s);
    assert_true(bytes_of(s, topics, 3) <= 5000);
    assert_true(fixture_offsets(s, "new", 0).log_start > 0);
    assert_int_equal(fixture_offsets(s, "awaited", 0).log_start, 0); // still: there was something else
    fixture_topic(s, "more", 1, "cleanup.policy", "compact");
    fixture_fill(s, "more", 0, 60, 10);
    clean(s);
    assert_true(lost.calls > 0);
    assert_string_equal(lost.holder, "sink");
    assert_int_equal(lost.first, lost.calls == 1 ? 0 : lost.first);
    assert_true(fixture_offsets(s, "awaited", 0).log_start > 0);
    topic_unref(t);
    s = fixture_reopen(s, &fs);
    fixture_close(s);
    fs_close(fs);
}

TEST(a_log_full_of_what_may_not_go_refuses_writes_until_there_is_room_again) {
    struct fs *fs = fs_mem_new();
    struct store *s = open_with_budget(fs, 3000);
    struct err err;
    fixture_topic(s, "kept", 1, "cleanup.policy", "compact");
    fixture_topic(s, "other", 1, NULL, NULL);
    fixture_fill(s, "kept", 0, 60, 10);
    clean(s);
    assert_int_equal(fixture_put(s, "other", 0, "refused", &err), -1);
    assert_int_equal(err.code, ERR_NOSPACE);
    assert_has(err.msg, "the log is full");
    assert_has(err.hint, "log.total.bytes");
    assert_has(fixture_log(s, "kept", 0, READ_UNCOMMITTED), "59:59"); // reads go on
    fixture_topic(s, "__internal", 1, NULL, NULL);
    assert_int_equal(fixture_put(s, "__internal", 0, "offsets go on", &err), 0);
    assert_ok(store_topic_delete(s, "kept", &err), err);
    clean(s);
    assert_int_equal(fixture_put(s, "other", 0, "taken", &err), 0);
    fixture_close(s);
    fs_close(fs);
}

TEST(a_reader_in_a_segment_that_goes_reads_on) {
    struct fs *fs = fs_mem_new();
    struct store *s = open_at_record_time(fs);
    struct err err;
    fixture_topic(s, "t", 1, "segment.bytes", "300");
    fixture_fill(s, "t", 0, 20, 10);
    struct topic *t = topic_get(s, "t");
    struct partition *p = topic_partition(t, 0);
    assert_ok(partition_delete_before(p, 15, &err), err);
    clean(s);
    assert_int_equal(fixture_offsets(s, "t", 0).log_start, 15);
    assert_false(is_there(fs, "t-0/00000000000000000000.log"));
    assert_has(fixture_log(s, "t", 0, READ_UNCOMMITTED), "15:15");
    topic_unref(t);
    fixture_close(s);
    fs_close(fs);
}
