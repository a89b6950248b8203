// SPDX-License-Identifier: Apache-2.0
// What record times do to a topic: those that can not be meant, those it does not take, those it stamps itself, and looking records up by them.
#include <inttypes.h>

#include "base/mem.h"
#include "fixture.h"

static struct clock_manual manual;
#define HOUR (3600 * INT64_C(1000000000))
#define NOW INT64_C(1700000000000)

static struct buf said;
static void hear(void *arg, enum store_event_kind kind, const char *text) { buf_printf(&said, "%s%s\n", kind == STORE_EVENT_INFO ? "" : "! ", text); }

static struct store *open_new(struct fs *fs) {
    struct store_options o = fixture_options(fs);
    struct store *s;
    struct err err;
    clock_manual_init(&manual, NOW * 1000);
    o.clock = &manual.clock;
    o.event = hear;
    assert_ok(store_open(&o, &s, &err), err);
    buf_clear(&said);
    return s;
}

static void clean(struct store *s) {
    struct err err;
    assert_ok(store_clean(s, &err), err);
}

// A batch of records of these times.
static int put_at(struct store *s, int partition, const int64_t *times, size_t n, enum codec codec, bool trusted, struct err *err) {
    struct batch_builder b;
    struct buf out = {0};
    struct topic *t = topic_get(s, "t");
    batch_begin(&b, &out, codec);
    for (size_t i = 0; i < n; i++) batch_add(&b, times[i], STR("k"), STR("a value that is not short at all"), NULL, 0);
    assert_ok(batch_end(&b, err), *err);
    struct commit *c = commit_new(s);
    int failed = commit_append(c, topic_partition(t, partition), &out, trusted, err);
    if (failed) commit_free(c);
    else failed = store_commit_wait(s, c, NULL, err);
    buf_done(&out);
    topic_unref(t);
    return failed;
}

static void put(struct store *s, int partition, int64_t ms) {
    struct err err;
    assert_ok(put_at(s, partition, &ms, 1, CODEC_NONE, true, &err), err);
}

// ── times that can not be meant ──────────────────────────────────────────────────────────────────────────────────────

TEST(a_record_dated_1970_or_2099_neither_vanishes_nor_stays_for_ever) {
    struct fs *fs = fs_mem_new();
    struct store *s = open_new(fs);
    static const int64_t dates[] = {0, 4070908800000, -1, INT64_MAX, INT64_MIN};
    fixture_topic(s, "t", 1, "retention.ms", "7200000");
    for (size_t i = 0; i < countof(dates); i++) {
        put(s, 0, dates[i]);
        clean(s);
        assert_int_equal(fixture_offsets(s, "t", 0).log_start, i);
        for (int round = 0; round < 2; round++) { // its segment ends in the first, and counts from there
            clock_manual_advance(&manual, 3 * HOUR);
            clean(s);
        }
        assert_int_equal(fixture_offsets(s, "t", 0).log_start, i + 1);
    }
    fixture_close(s);
    fs_close(fs);
}

TEST(that_times_are_absurd_is_said_once_a_topic) {
    struct fs *fs = fs_mem_new();
    struct store *s = open_new(fs);
    struct err err;
    fixture_topic(s, "t", 2, "segment.bytes", "400");
    fixture_topic(s, "quiet", 1, NULL, NULL);
    struct topic_setting hours = {"retention.ms", "7200000"};
    assert_ok(store_topic_alter(s, "t", 0, &hours, 1, &err), err);
    fixture_fill(s, "quiet", 0, 10, 10); // dated as the clock says
    for (int i = 0; i < 40; i++) put(s, i % 2, 4070908800000);
    for (int i = 0; i < 5; i++) {
        clean(s);
        clock_manual_advance(&manual, HOUR);
    }
    assert_buf(&said, "! topic t: there are records dated 2099-01-01T00:00:00.000Z; retention.ms counts from when they were written\n");
    fixture_close(s);
    fs_close(fs);
}

TEST(nothing_is_said_of_times_that_nothing_goes_by) {
    static const struct topic_setting ways[] = {{"cleanup.policy", "compact"}, {"retention.ms", "-1"}, {"message.timestamp.type", "LogAppendTime"}};
    for (size_t i = 0; i < countof(ways); i++) {
        struct fs *fs = fs_mem_new();
        struct store *s = open_new(fs);
        fixture_topic(s, "t", 1, ways[i].name, ways[i].value);
        put(s, 0, 0);
        clean(s);
        assert_buf(&said, "");
        fixture_close(s);
        fs_close(fs);
    }
}

// ── times a topic does not take ──────────────────────────────────────────────────────────────────────────────────────

TEST(a_record_too_far_from_now_is_refused_with_its_batch) {
    static const enum codec codecs[] = {CODEC_NONE, CODEC_ZSTD};
    struct fs *fs = fs_mem_new();
    struct store *s = open_new(fs);
    struct err err;
    struct topic_setting limits[] = {{"message.timestamp.before.max.ms", "3600000"}, {"message.timestamp.after.max.ms", "60000"}};
    fixture_topic(s, "t", 1, NULL, NULL);
    assert_ok(store_topic_alter(s, "t", 0, limits, 2, &err), err);
    for (int i = 0; i < 4; i++) {
        enum codec codec = codecs[i / 2];
        bool trusted = i % 2;
        assert_ok(put_at(s, 0, (int64_t[]){NOW - 3600000, NOW, NOW + 60000}, 3, codec, trusted, &err), err);
        assert_fails(put_at(s, 0, (int64_t[]){NOW, NOW - 3600001, NOW}, 3, codec, trusted, &err), err, ERR_INVALID);
        assert_has(err.msg, "topic t: record 1 of the batch: timestamp 1699996399999 lies too far in the past (message.timestamp.before.max.ms)");
        assert_fails(put_at(s, 0, (int64_t[]){NOW, NOW, NOW + 60001}, 3, codec, trusted, &err), err, ERR_INVALID);
        assert_has(err.msg, "record 2 of the batch: timestamp 1700000060001 lies too far in the future (message.timestamp.after.max.ms)");
        assert_fails(put_at(s, 0, (int64_t[]){INT64_MIN}, 1, codec, trusted, &err), err, ERR_INVALID);
        assert_fails(put_at(s, 0, (int64_t[]){INT64_MAX}, 1, codec, trusted, &err), err, ERR_INVALID);
    }
    assert_int_equal(fixture_offsets(s, "t", 0).high_watermark, 12);
    struct topic_setting stamped = {"message.timestamp.type", "LogAppendTime"};
    assert_ok(store_topic_alter(s, "t", 0, &stamped, 1, &err), err);
    assert_ok(put_at(s, 0, (int64_t[]){0, INT64_MAX}, 2, CODEC_NONE, false, &err), err);
    fixture_close(s);
    fs_close(fs);
}

// ── looking records up ───────────────────────────────────────────────────────────────────────────────────────────────

// Kafka's ListOffsets: the first record, in the order of offsets, that is not older.
TEST(the_first_record_not_older_is_found_whatever_times_stand_around_it) {
    static const int64_t dates[] = {0, 4070908800000, INT64_MAX, -1, 946684800000, NOW, NOW - 86400000, NOW + 5};
    for (uint64_t seed = 1; seed <= 20; seed++) {
        int64_t times[300];
        uint64_t x = seed;
        struct fs *fs = fs_mem_new();
        struct store *s = open_new(fs);
        struct err err;
        struct topic_setting dense[] = {{"index.interval.bytes", "200"}, {"segment.bytes", "3000"}, {"retention.ms", "-1"}};
        assert_ok(store_topic_create(s, "t", 1, dense, 3, &err), err);
        for (int i = 0; i < 300; i += 3) {
            for (int k = 0; k < 3; k++) times[i + k] = test_random(&x) % 40 ? NOW + (int64_t)(i * 1000) + (int64_t)(test_random(&x) % 5000) : dates[test_random(&x) % countof(dates)];
            assert_ok(put_at(s, 0, times + i, 3, CODEC_NONE, true, &err), err);
        }
        struct topic *t = topic_get(s, "t");
        for (int probe = 0; probe < 200; probe++) {
            int64_t want = probe < (int)countof(dates) ? dates[probe] : NOW + (int64_t)(test_random(&x) % 320000), got, got_ts;
            int first = 0;
            if (want == -1) continue; // asks for the largest
            while (first < 300 && times[first] < want) first++;
            assert_ok(partition_offset_for_time(topic_partition(t, 0), want, &got, &got_ts, &err), err);
            assert_int_equal(got, first < 300 ? first : -1);
            if (first < 300) assert_int_equal(got_ts, times[first]);
        }
        topic_unref(t);
        fixture_close(s);
        fs_close(fs);
    }
    buf_done(&said);
}
