// SPDX-License-Identifier: Apache-2.0
// The warning ahead of what a lagging sink will lose: it comes a day before, once an hour, and names the hour in which it then happens.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/mem.h"
#include "fixture.h"

static struct clock_manual manual;
#define MINUTE (60 * INT64_C(1000000000))
#define HOUR (60 * MINUTE)

static struct buf said;
static int warnings;
static void hear(void *arg, enum store_event_kind kind, const char *text) {
    if (!strstr(text, "is about to lose records")) return;
    warnings++;
    buf_clear(&said);
    buf_putz(&said, text);
}

struct lost { int calls; int64_t first; char holder[32]; };
static void note_lost(void *arg, struct partition *p, const char *holder, int64_t first, int64_t last, bool damaged) {
    struct lost *l = arg;
    if (!l->calls++) l->first = first, snprintf(l->holder, sizeof(l->holder), "%s", holder);
}

static struct store *open_new(struct fs *fs, uint64_t total_bytes, struct lost *lost) {
    struct store_options o = fixture_options(fs);
    struct store *s;
    struct err err;
    clock_manual_init(&manual, 1700000000000000);
    o.clock = &manual.clock;
    o.event = hear;
    o.total_bytes = total_bytes;
    assert_ok(store_open(&o, &s, &err), err);
    *lost = (struct lost){0};
    store_on_lost(s, note_lost, lost);
    warnings = 0;
    buf_clear(&said);
    return s;
}

static void clean(struct store *s) {
    struct err err;
    assert_ok(store_clean(s, &err), err);
}

static void hold(struct store *s, const char *topic, const char *holder, int64_t lowest) {
    struct topic *t = topic_get(s, topic);
    partition_hold(topic_partition(t, 0), holder, lowest);
    topic_unref(t);
}

// So many minutes pass, with some records in each, and a round of cleaning.
static void minutes(struct store *s, const char *topic, int n, unsigned records) {
    for (int i = 0; i < n; i++) {
        fixture_fill(s, topic, 0, records, 40);
        clock_manual_advance(&manual, MINUTE);
        clean(s);
    }
}

static void status(struct store *s, struct buf *out) {
    struct json_writer w = {.out = out};
    buf_clear(out);
    store_status_json(s, &w);
}

// The wall clock's ms in the warning.
static int64_t predicted(void) {
    struct tm tm = {0};
    const char *at = strstr(buf_cstr(&said), " is reached at ");
    assert_non_null(at);
    assert_non_null(strptime(at + strlen(" is reached at "), "%Y-%m-%dT%H:%M:%S", &tm));
    return (int64_t)timegm(&tm) * 1000;
}

TEST(a_day_before_retention_bytes_reaches_what_is_unread_its_reader_is_named_and_then_it_happens) {
    struct fs *fs = fs_mem_new();
    struct lost lost;
    struct store *s = open_new(fs, 0, &lost);
    struct buf json = {0};
    struct topic_setting settings[] = {{"segment.bytes", "2000"}, {"retention.bytes", "300000"}, {"retention.ms", "-1"}};
    struct err err;
    assert_ok(store_topic_create(s, "t", 1, settings, 3, &err), err);
    hold(s, "t", "connect-slow", 0);
    hold(s, "t", "connect-fast", 1000000);
    for (int i = 0; i < 60 * 60 && !warnings; i++) minutes(s, "t", 1, 1);
    assert_int_equal(warnings, 1);
    assert_int_equal(lost.calls, 0);
    assert_has(buf_cstr(&said), "connect-slow is about to lose records: of t-0 it has ");
    assert_has(buf_cstr(&said), "from offset 0 on, and at the present rate retention.bytes is reached at ");
    assert_has(buf_cstr(&said), "raise retention.bytes");
    int64_t first_told = clock_wall_ms(&manual.clock), first_guess = predicted();
    assert_true(first_guess - first_told > 23 * 3600 * 1000 && first_guess - first_told <= 24 * 3600 * 1000);
    status(s, &json);
    assert_has(buf_cstr(&json), "\"about_to_lose\":[{\"topic\":\"t\",\"partition\":0,\"holder\":\"connect-slow\",\"first_unread\":0,");
    assert_has(buf_cstr(&json), "\"budget\":\"retention.bytes\"");
    minutes(s, "t", 59, 1);
    assert_int_equal(warnings, 1);
    minutes(s, "t", 2, 1);
    assert_int_equal(warnings, 2); // once an hour
    while (!lost.calls) minutes(s, "t", 1, 1);
    assert_string_equal(lost.holder, "connect-slow");
    int64_t off = clock_wall_ms(&manual.clock) - first_guess;
    if (off < 0) off = -off;
    assert_true(off < 3600 * 1000);
    assert_true(warnings >= 24 && warnings <= 25);
    buf_done(&json);
    fixture_close(s);
    fs_close(fs);
}

TEST(of_the_whole_logs_budget_it_is_told_too_and_a_busy_topic_that_nobody_reads_does_not_count) {
    struct fs *fs = fs_mem_new();
    struct lost lost;
    struct store *s = open_new(fs, 600000, &lost);
    struct topic_setting settings[] = {{"segment.bytes", "2000"}, {"retention.ms", "-1"}};
    struct err err;
    assert_ok(store_topic_create(s, "read", 1, settings, 2, &err), err);
    assert_ok(store_topic_create(s, "busy", 1, settings, 2, &err), err);
    hold(s, "read", "connect-slow", 0);
    for (int i = 0; i < 100 * 60 && !warnings; i++) {
        fixture_fill(s, "busy", 0, 3, 40);
        minutes(s, "read", 1, 1);
    }
    assert_int_equal(warnings, 1);
    assert_has(buf_cstr(&said), "connect-slow is about to lose records: of read-0 it has ");
    assert_has(buf_cstr(&said), "log.total.bytes is reached at ");
    int64_t guess = predicted();
    assert_true(guess - clock_wall_ms(&manual.clock) > 22 * 3600 * 1000);
    while (!lost.calls) {
        fixture_fill(s, "busy", 0, 3, 40);
        minutes(s, "read", 1, 1);
    }
    int64_t off = clock_wall_ms(&manual.clock) - guess;
    if (off < 0) off = -off;
    assert_true(off < 2 * 3600 * 1000);
    fixture_close(s);
    fs_close(fs);
}

static int64_t in_ms(struct buf *json, const char *topic) {
    char name[64];
    snprintf(name, sizeof(name), "\"topic\":\"%s\"", topic);
    const char *list = strstr(buf_cstr(json), "\"about_to_lose\":["), *at = strstr(list, name);
    return at && at < strstr(list, "],") ? strtoll(strstr(at, "\"in_ms\":") + 8, NULL, 10) : -1;
}

TEST(the_logs_budget_takes_the_oldest_first_and_the_others_have_longer) {
    struct fs *fs = fs_mem_new();
    struct lost lost;
    struct store *s = open_new(fs, 300000, &lost);
    struct buf json = {0};
    struct topic_setting settings[] = {{"segment.bytes", "2000"}, {"retention.ms", "-1"}};
    struct err err;
    assert_ok(store_topic_create(s, "old", 1, settings, 2, &err), err);
    assert_ok(store_topic_create(s, "young", 1, settings, 2, &err), err);
    assert_ok(store_topic_create(s, "read", 1, settings, 2, &err), err);
    hold(s, "old", "connect-a", 0);
    minutes(s, "old", 300, 1);
    hold(s, "young", "connect-b", 0);
    for (int i = 0; i < 1100; i++) {
        hold(s, "read", "connect-c", fixture_offsets(s, "read", 0).high_watermark);
        fixture_fill(s, "read", 0, 1, 40);
        minutes(s, "young", 1, i < 1050 ? 1 : 5);
    }
    status(s, &json);
    assert_true(in_ms(&json, "old") > 0); // though nothing is written to it any more
    assert_true(in_ms(&json, "old") < in_ms(&json, "young"));
    assert_int_equal(in_ms(&json, "read"), -1); // its reader keeps pace
    buf_done(&json);
    fixture_close(s);
    fs_close(fs);
}

TEST(who_keeps_pace_is_not_warned_however_much_there_is) {
    struct fs *fs = fs_mem_new();
    struct lost lost;
    struct store *s = open_new(fs, 0, &lost);
    struct buf json = {0};
    struct topic_setting settings[] = {{"segment.bytes", "2000"}, {"retention.bytes", "100000"}};
    struct err err;
    assert_ok(store_topic_create(s, "t", 1, settings, 2, &err), err);
    for (int i = 0; i < 600; i++) {
        int64_t end = fixture_offsets(s, "t", 0).high_watermark;
        hold(s, "t", "connect-sink", end > 20 ? end - 20 : 0);
        minutes(s, "t", 1, 10);
    }
    assert_int_equal(warnings, 0);
    hold(s, "t", "connect-gone", 0);
    hold(s, "t", "connect-gone", INT64_MAX);
    status(s, &json);
    assert_has(buf_cstr(&json), "\"about_to_lose\":[],");
    for (int i = 0; i < 60 && !warnings; i++) minutes(s, "t", 1, 10); // it stops
    assert_int_equal(lost.calls, 0);
    assert_int_equal(warnings, 1);
    hold(s, "t", "connect-sink", fixture_offsets(s, "t", 0).high_watermark); // and catches up
    minutes(s, "t", 1, 0);
    status(s, &json);
    assert_has(buf_cstr(&json), "\"about_to_lose\":[],");
    buf_done(&json);
    fixture_close(s);
    fs_close(fs);
    buf_done(&said);
}
