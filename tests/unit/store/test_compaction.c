// SPDX-License-Identifier: Apache-2.0
// When a compacted topic is compacted, how far, and what a reader finds in between: Kafka's rules, with a clock of the test's own.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "fixture.h"

static struct clock_manual manual;
#define SECOND INT64_C(1000000000)
#define HOUR (3600 * SECOND)
#define NOW_US 1700000000000000

// What the store said.
static struct buf said;
static void hear(void *arg, enum store_event_kind kind, const char *text) { buf_printf(&said, "%s%s\n", kind == STORE_EVENT_INFO ? "" : "! ", text); }

static struct store *open_with(struct fs *fs, size_t dedupe_bytes) {
    struct store_options o = fixture_options(fs);
    struct store *s;
    struct err err;
    o.clock = &manual.clock;
    o.dedupe_bytes = dedupe_bytes;
    o.event = hear;
    buf_clear(&said);
    assert_ok(store_open(&o, &s, &err), err);
    return s;
}

static struct store *open_new(struct fs *fs, size_t dedupe_bytes) {
    clock_manual_init(&manual, NOW_US);
    return open_with(fs, dedupe_bytes);
}

static struct store *reopen(struct store *s, struct fs **fs, size_t dedupe_bytes) {
    fixture_close(s);
    struct fs *copy = fs_mem_clone(*fs);
    fs_close(*fs);
    return open_with(*fs = copy, dedupe_bytes);
}

static void clean(struct store *s) {
    struct err err;
    assert_ok(store_clean(s, &err), err);
}

// Topic "t": compacted, small segments, with settings "name=value …".
static void topic_of(struct store *s, const char *settings) {
    struct topic_setting list[8] = {{"cleanup.policy", "compact"}, {"segment.bytes", "400"}};
    char *text = xstrdup(settings), *rest = text;
    struct err err;
    size_t n = 2;
    for (char *one; (one = strsep(&rest, " "));) {
        char *value = strchr(one, '=');
        if (!value) continue;
        *value = 0;
        list[n++] = (struct topic_setting){one, value + 1};
    }
    assert_ok(store_topic_create(s, "t", 1, list, n, &err), err);
    free(text);
}

static void set(struct store *s, const char *name, const char *value) {
    struct topic_setting one = {name, value};
    struct err err;
    assert_ok(store_topic_alter(s, "t", 0, &one, 1, &err), err);
}

static int put_batch(struct store *s, const struct buf *batch, bool trusted, struct err *err) {
    struct topic *t = topic_get(s, "t");
    struct commit *c = commit_new(s);
    struct buf bytes = {0};
    buf_puts(&bytes, buf_str(batch));
    int failed = commit_append(c, topic_partition(t, 0), &bytes, trusted, err);
    if (failed) commit_free(c);
    else failed = store_commit_wait(s, c, NULL, err);
    buf_done(&bytes);
    topic_unref(t);
    return failed;
}

// One record; value NULL deletes.
static void put_dated(struct store *s, int64_t ms, const char *key, const char *value) {
    struct batch_builder b;
    struct buf out = {0};
    struct err err;
    batch_begin(&b, &out, CODEC_NONE);
    batch_add(&b, ms, key ? str_of(key) : (struct str){NULL, 0}, value ? str_of(value) : (struct str){NULL, 0}, NULL, 0);
    assert_ok(batch_end(&b, &err), err);
    assert_ok(put_batch(s, &out, true, &err), err);
    buf_done(&out);
}

static void put(struct store *s, const char *key, const char *value) { put_dated(s, clock_wall_ms(&manual.clock), key, value); }

// The same key over and over, so that everything but the last can go; 80 bytes a record.
static void put_many(struct store *s, int n, const char *key) {
    for (int i = 0; i < n; i++) put(s, key, "some value");
}

static const char *log_of(struct store *s) { return fixture_log(s, "t", 0, READ_UNCOMMITTED); }
static uint64_t bytes_of(struct store *s) { return fixture_offsets(s, "t", 0).bytes; }

static int count_records(struct store *s) {
    int n = 0;
    for (const char *p = log_of(s); *p; p++) n += *p == ':';
    return n;
}

static void compacts(struct store *s) {
    uint64_t before = bytes_of(s);
    clean(s);
    assert_true(bytes_of(s) < before);
}

static void leaves_alone(struct store *s) {
    uint64_t before = bytes_of(s);
    clean(s);
    assert_int_equal(bytes_of(s), before);
}

// ── when ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

TEST(a_compacted_topic_keeps_the_latest_of_each_key_and_stays_small) {
    struct fs *fs = fs_mem_new();
    struct store *s = open_new(fs, 0);
    char key[16], value[40];
    topic_of(s, "min.cleanable.dirty.ratio=0.3 segment.bytes=1000");
    for (int i = 0; i < 3000; i++) {
        snprintf(key, sizeof(key), "k%d", i % 7);
        snprintf(value, sizeof(value), "value-%d", i);
        put(s, key, value);
        if (i % 100 == 99) clean(s);
    }
    struct partition_offsets o = fixture_offsets(s, "t", 0);
    assert_int_equal(o.log_start, 0);
    assert_int_equal(o.high_watermark, 3000);
    assert_true(o.bytes < 6000);
    for (int round = 0; round < 2; round++) {
        const char *log = log_of(s);
        for (int i = 2993; i < 3000; i++) {
            snprintf(value, sizeof(value), "%d:value-%d", i, i);
            assert_has(log, value);
        }
        s = reopen(s, &fs, 0);
    }
    fixture_close(s);
    fs_close(fs);
}

TEST(it_is_compacted_when_the_new_share_of_its_bytes_is_more_than_the_ratio) {
    struct fs *fs = fs_mem_new();
    struct store *s = open_new(fs, 0);
    char key[16];
    topic_of(s, "min.cleanable.dirty.ratio=1");
    for (int i = 0; i < 40; i++) snprintf(key, sizeof(key), "k%d", i), put(s, key, "kept");
    put_many(s, 40, "again");
    leaves_alone(s); // all of it is new, and still not more than that
    set(s, "min.cleanable.dirty.ratio", "0.5");
    compacts(s);
    put_many(s, 20, "again"); // 20 of about 62
    leaves_alone(s);
    set(s, "min.cleanable.dirty.ratio", "0.2");
    compacts(s);
    leaves_alone(s);
    set(s, "min.cleanable.dirty.ratio", "0");
    leaves_alone(s); // nothing is new
    put_many(s, 10, "again");
    compacts(s);
    fixture_close(s);
    fs_close(fs);
}

TEST(what_was_compacted_is_known_after_a_restart) {
    struct fs *fs = fs_mem_new();
    struct store *s = open_new(fs, 0);
    topic_of(s, "min.cleanable.dirty.ratio=0 delete.retention.ms=3600000");
    put_many(s, 30, "a");
    put(s, "a", NULL);
    put_many(s, 10, "b");
    compacts(s);
    s = reopen(s, &fs, 0);
    struct fs *before = fs_mem_clone(fs);
    clean(s);
    assert_true(fs_mem_equal(before, fs)); // not a byte
    fs_close(before);
    assert_has(log_of(s), "30:");
    clock_manual_advance(&manual, HOUR);
    compacts(s); // the tombstone's time is known, too
    assert_null(strstr(log_of(s), "30:"));
    fixture_close(s);
    fs_close(fs);
}

TEST(nothing_younger_than_the_least_lag_is_compacted) {
    struct fs *fs = fs_mem_new();
    struct store *s = open_new(fs, 0);
    topic_of(s, "min.cleanable.dirty.ratio=0 min.compaction.lag.ms=7200000");
    put_many(s, 20, "a");
    clock_manual_advance(&manual, HOUR);
    leaves_alone(s);
    put_many(s, 20, "a");
    clock_manual_advance(&manual, HOUR + SECOND);
    compacts(s); // the first twenty
    assert_true(count_records(s) > 20 && count_records(s) < 30);
    leaves_alone(s);
    clock_manual_advance(&manual, HOUR + SECOND);
    compacts(s);
    assert_true(count_records(s) < 10);
    fixture_close(s);
    fs_close(fs);
}

TEST(what_is_compacted_already_is_not_too_young_for_what_follows) {
    struct fs *fs = fs_mem_new();
    struct store *s = open_new(fs, 0);
    topic_of(s, "min.cleanable.dirty.ratio=0");
    put_dated(s, NOW_US / 1000 + 20 * 3600 * 1000, "tomorrow", "some value");
    put_many(s, 20, "a");
    compacts(s);
    set(s, "min.compaction.lag.ms", "3600000");
    put_many(s, 20, "a");
    clock_manual_advance(&manual, 2 * HOUR);
    compacts(s);
    assert_true(count_records(s) < 10);
    fixture_close(s);
    fs_close(fs);
}

TEST(a_record_dated_2099_does_not_keep_its_segment_young_nor_does_one_of_1970_make_it_old) {
    static const int64_t dates[] = {4070908800000, 0, -1, INT64_MAX};
    for (size_t i = 0; i < countof(dates); i++) {
        struct fs *fs = fs_mem_new();
        struct store *s = open_new(fs, 0);
        topic_of(s, "min.cleanable.dirty.ratio=0 min.compaction.lag.ms=7200000");
        for (int k = 0; k < 20; k++) put_dated(s, dates[i], "a", "some value");
        clock_manual_advance(&manual, HOUR);
        leaves_alone(s);
        clock_manual_advance(&manual, HOUR + SECOND);
        compacts(s);
        fixture_close(s);
        fs_close(fs);
    }
}

TEST(nothing_waits_longer_than_the_most_lag_not_even_where_nobody_writes_any_more) {
    static const int64_t dates[] = {NOW_US / 1000, 4070908800000, 0};
    for (size_t i = 0; i < countof(dates); i++) {
        struct fs *fs = fs_mem_new();
        struct store *s = open_new(fs, 0);
        char key[16];
        topic_of(s, "min.cleanable.dirty.ratio=0.9");
        for (int k = 0; k < 60; k++) snprintf(key, sizeof(key), "k%d", k), put_dated(s, dates[i], key, "kept");
        set(s, "min.cleanable.dirty.ratio", "0");
        clean(s);
        set(s, "min.cleanable.dirty.ratio", "0.9");
        set(s, "max.compaction.lag.ms", "7200000");
        put_dated(s, dates[i], "secret", "old");
        put_dated(s, dates[i], "secret", "new");
        clock_manual_advance(&manual, HOUR);
        leaves_alone(s);
        assert_has(log_of(s), ":old");
        clock_manual_advance(&manual, HOUR + SECOND);
        clean(s);
        assert_null(strstr(log_of(s), ":old"));
        assert_has(log_of(s), ":new");
        uint32_t segments = fixture_offsets(s, "t", 0).segments;
        clock_manual_advance(&manual, 5 * HOUR);
        clean(s); // an empty segment does not end
        assert_true(fixture_offsets(s, "t", 0).segments <= segments);
        fixture_close(s);
        fs_close(fs);
    }
}

// ── how far ──────────────────────────────────────────────────────────────────────────────────────────────────────────

TEST(with_far_more_keys_than_fit_it_gets_on_round_by_round) {
    enum { KEYS = 500, SLOTS = 50 }; // forty keys a round
    struct fs *fs = fs_mem_new();
    struct store *s = open_new(fs, SLOTS * 24);
    char key[16], value[40];
    topic_of(s, "min.cleanable.dirty.ratio=0 segment.bytes=20000");
    for (int i = 0; i < 3 * KEYS; i++) {
        snprintf(key, sizeof(key), "k%d", i % KEYS);
        snprintf(value, sizeof(value), "%d", i);
        put(s, key, value);
    }
    put_many(s, 300, "filler");
    int before = count_records(s), rounds = 0;
    for (; rounds < 100; rounds++) {
        clean(s);
        int now = count_records(s);
        assert_true(now <= before);
        before = now;
        const char *log = log_of(s);
        for (int i = 2 * KEYS; i < 3 * KEYS; i++) {
            snprintf(value, sizeof(value), "%d:%d", i, i);
            assert_has(log, value);
        }
        if (rounds % 10 == 9) s = reopen(s, &fs, SLOTS * 24);
    }
    assert_true(before < KEYS + 300);
    leaves_alone(s);
    fixture_close(s);
    fs_close(fs);
}

TEST(the_cleaner_goes_on_at_once_with_what_did_not_fit) {
    struct fs *fs = fs_mem_new();
    struct store *s = open_new(fs, 24 * 10);
    struct err err;
    char key[16];
    topic_of(s, "min.cleanable.dirty.ratio=0 segment.bytes=20000");
    for (int i = 0; i < 400; i++) snprintf(key, sizeof(key), "k%d", i % 100), put(s, key, "value");
    put_many(s, 300, "filler");
    fixture_close(s);
    struct fs *copy = fs_mem_clone(fs);
    fs_close(fs);
    struct store_options o = fixture_options(fs = copy);
    o.clock = &manual.clock;
    o.dedupe_bytes = 24 * 10;
    o.cleaner_off = false;
    assert_ok(store_open(&o, &s, &err), err);
    clean(s);
    for (int i = 0; i < 500 && count_records(s) > 350; i++) usleep(20 * 1000); // its own rounds are 15 s apart
    assert_true(count_records(s) <= 350);
    fixture_close(s);
    fs_close(fs);
}

TEST(a_batch_with_more_keys_than_fit_is_told_by_the_options_name) {
    struct fs *fs = fs_mem_new();
    struct store *s = open_new(fs, 1);
    struct batch_builder b;
    struct buf out = {0};
    struct err err;
    topic_of(s, "min.cleanable.dirty.ratio=0");
    batch_begin(&b, &out, CODEC_NONE);
    batch_add(&b, NOW_US / 1000, STR("a"), STR("1"), NULL, 0);
    batch_add(&b, NOW_US / 1000, STR("b"), STR("2"), NULL, 0);
    batch_add(&b, NOW_US / 1000, STR("c"), STR("3"), NULL, 0);
    assert_ok(batch_end(&b, &err), err);
    put_many(s, 10, "a");
    assert_ok(put_batch(s, &out, true, &err), err);
    put_many(s, 10, "a");
    compacts(s); // up to there
    assert_fails(store_clean(s, &err), err, ERR_TOO_LARGE);
    assert_has(err.msg, "compaction of t-0: one batch has more keys than fit");
    assert_has(err.hint, "log.cleaner.dedupe.buffer.size");
    s = reopen(s, &fs, 72 * 2);
    compacts(s);
    buf_done(&out);
    fixture_close(s);
    fs_close(fs);
}

// ── against a model ──────────────────────────────────────────────────────────────────────────────────────────────────

enum { KEYS = 30, RECORDS = 4000 };
struct model { int key[RECORDS], value[RECORDS], n; }; // value -1 deletes

static void put_random(struct store *s, struct model *m, uint64_t *seed) {
    static const enum codec codecs[] = {CODEC_NONE, CODEC_LZ4, CODEC_ZSTD, CODEC_GZIP};
    struct batch_builder b;
    struct buf out = {0};
    struct err err;
    char key[16], value[64];
    batch_begin(&b, &out, codecs[test_random(seed) % 4]);
    for (uint64_t n = 1 + test_random(seed) % 6; n; n--) {
        int k = (int)(test_random(seed) % KEYS), v = test_random(seed) % 4 ? m->n : -1;
        snprintf(key, sizeof(key), "key-%d", k);
        snprintf(value, sizeof(value), "%d %*s", v, (int)(test_random(seed) % 50), "");
        m->key[m->n] = k, m->value[m->n++] = v;
        batch_add(&b, clock_wall_ms(&manual.clock), str_of(key), v < 0 ? (struct str){NULL, 0} : str_of(value), NULL, 0);
    }
    assert_ok(batch_end(&b, &err), err);
    assert_ok(put_batch(s, &out, false, &err), err);
    buf_done(&out);
}

// Every record is one that was written; the latest of each key is there, or nothing of the key if that deletes it. Counts those that stay.
static int check(struct store *s, const struct model *m) {
    int latest[KEYS], found[KEYS], n = 0;
    for (int k = 0; k < KEYS; k++) latest[k] = found[k] = -1;
    for (int i = 0; i < m->n; i++) latest[m->key[i]] = i;
    const char *p = log_of(s);
    for (char *end; *p; p = end + strspn(end, " "), n++) {
        int offset = (int)strtol(p, &end, 10);
        assert_int_equal(*end++, ':');
        int value = *end >= '0' && *end <= '9' && (m->value[offset] >= 0) ? (int)strtol(end, &end, 10) : -1;
        assert_int_equal(value, m->value[offset]);
        found[m->key[offset]] = offset;
    }
    for (int k = 0; k < KEYS; k++) {
        bool may_be_gone = latest[k] >= 0 && m->value[latest[k]] < 0 && found[k] < 0;
        if (found[k] != latest[k] && !may_be_gone) fail_msg("key %d: its latest is %d, found %d", k, latest[k], found[k]);
    }
    return n;
}

TEST(whatever_fits_and_whatever_the_clock_does_no_key_loses_its_latest_record_or_comes_back) {
    static struct model m;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        uint64_t x = seed;
        size_t dedupe = 24 * (8 + test_random(&x) % 30);
        struct fs *fs = fs_mem_new();
        struct store *s = open_new(fs, dedupe);
        m.n = 0;
        topic_of(s, "min.cleanable.dirty.ratio=0 segment.bytes=700 delete.retention.ms=7200000");
        while (m.n < 1500) {
            switch (test_random(&x) % 12) {
            case 0: clock_manual_advance(&manual, (int64_t)(test_random(&x) % 3) * HOUR); break;
            case 1: s = reopen(s, &fs, dedupe); break;
            case 2: case 3: case 4:
                clean(s);
                check(s, &m);
                break;
            default: put_random(s, &m, &x);
            }
        }
        for (int i = 0; i < 60; i++) clean(s);
        clock_manual_advance(&manual, 3 * HOUR);
        clean(s);
        assert_true(check(s, &m) < KEYS + 30); // the active segment has some more
        fixture_close(s);
        fs_close(fs);
    }
}

// ── with deletion ────────────────────────────────────────────────────────────────────────────────────────────────────

TEST(a_tombstone_goes_after_its_time) {
    struct fs *fs = fs_mem_new();
    struct store *s = open_new(fs, 0);
    topic_of(s, "min.cleanable.dirty.ratio=0 delete.retention.ms=3600000 segment.bytes=200");
    put(s, "gone", "x");
    put(s, "gone", NULL);
    put_many(s, 6, "other");
    clean(s);
    assert_has(log_of(s), "1:");
    assert_null(strstr(log_of(s), "0:x"));
    clock_manual_advance(&manual, HOUR - SECOND);
    leaves_alone(s);
    assert_has(log_of(s), "1:");
    clock_manual_advance(&manual, SECOND);
    clean(s);
    assert_null(strstr(log_of(s), "1: "));
    fixture_close(s);
    fs_close(fs);
}

TEST(with_both_policies_old_segments_go_and_the_others_are_compacted) {
    struct fs *fs = fs_mem_new();
    struct store *s = open_new(fs, 0);
    topic_of(s, "cleanup.policy=compact,delete min.cleanable.dirty.ratio=0 retention.ms=7200000");
    put(s, "once", "old");
    put_many(s, 20, "a");
    compacts(s);
    assert_has(log_of(s), "0:old");
    clock_manual_advance(&manual, HOUR + HOUR / 2);
    put(s, "later", "young");
    put_many(s, 20, "a");
    clean(s);
    clock_manual_advance(&manual, HOUR);
    clean(s);
    assert_null(strstr(log_of(s), "0:old"));
    assert_has(log_of(s), "21:young");
    assert_has(log_of(s), "41:some value");
    assert_true(count_records(s) < 10);
    assert_true(fixture_offsets(s, "t", 0).log_start > 0);
    fixture_close(s);
    fs_close(fs);
}

TEST(deleted_records_go_from_a_compacted_topic_too_and_its_time_means_nothing) {
    struct fs *fs = fs_mem_new();
    struct store *s = open_new(fs, 0);
    struct err err;
    topic_of(s, "min.cleanable.dirty.ratio=0 retention.ms=1 retention.bytes=1");
    put_many(s, 20, "a");
    put(s, "b", "kept");
    put_many(s, 20, "a");
    clock_manual_advance(&manual, 1000 * HOUR);
    clean(s);
    assert_int_equal(fixture_offsets(s, "t", 0).log_start, 0);
    struct topic *t = topic_get(s, "t");
    assert_ok(partition_delete_before(topic_partition(t, 0), 15, &err), err);
    topic_unref(t);
    assert_int_equal(fixture_offsets(s, "t", 0).log_start, 15);
    clean(s);
    assert_has(log_of(s), "20:kept");
    s = reopen(s, &fs, 0);
    assert_int_equal(fixture_offsets(s, "t", 0).log_start, 15);
    put_many(s, 20, "a");
    compacts(s);
    assert_has(log_of(s), "20:kept");
    fixture_close(s);
    fs_close(fs);
}

// ── where there is no room ───────────────────────────────────────────────────────────────────────────────────────────

TEST(without_room_it_waits_says_so_once_and_goes_on_by_itself) {
    struct fs *fs = fs_mem_new();
    struct store *s = open_new(fs, 0);
    struct fs_space space;
    struct err err;
    char key[16];
    topic_of(s, "min.cleanable.dirty.ratio=0 segment.bytes=200000");
    for (int i = 0; i < 2000; i++) snprintf(key, sizeof(key), "k%d", i), put(s, key, "kept");
    set(s, "segment.bytes", "400");
    put_many(s, 20, "a");
    assert_ok(store_checkpoint(s, &err), err);
    assert_ok(fs->ops->space(fs, &space, &err), err);
    fs_mem_set_capacity(fs, space.total - space.available + 64 * 1024 + 40000); // the reserve is 64 KiB; the first segment has 150 KB
    leaves_alone(s);
    leaves_alone(s);
    const char *told = strstr(buf_cstr(&said), "! no disk space, waiting for some: compaction of t-0: ");
    assert_non_null(told);
    assert_null(strstr(told + 4, "no disk space"));
    assert_has(log_of(s), "2000:some value");
    fs_mem_set_capacity(fs, space.total);
    leaves_alone(s); // not yet
    clock_manual_advance(&manual, 61 * SECOND);
    compacts(s);
    assert_null(strstr(log_of(s), "2000:some value"));
    assert_has(buf_cstr(&said), "disk space again");
    fixture_close(s);
    fs_close(fs);
}

// ── what is taken ────────────────────────────────────────────────────────────────────────────────────────────────────

TEST(records_without_keys_are_refused_and_go_when_there_are_some_already) {
    static const enum codec codecs[] = {CODEC_NONE, CODEC_LZ4};
    struct fs *fs = fs_mem_new();
    struct store *s = open_new(fs, 0);
    struct err err;
    topic_of(s, "min.cleanable.dirty.ratio=0");
    for (size_t i = 0; i < countof(codecs); i++) {
        struct batch_builder b;
        struct buf out = {0};
        batch_begin(&b, &out, codecs[i]);
        for (int k = 0; k < 100; k++) batch_add(&b, NOW_US / 1000, k == 77 ? (struct str){NULL, 0} : STR("key"), STR("value value"), NULL, 0);
        assert_ok(batch_end(&b, &err), err);
        assert_int_equal(put_batch(s, &out, false, &err), -1);
        assert_int_equal(err.code, ERR_INVALID);
        assert_has(err.msg, "topic t: record 77 of the batch: no key, and cleanup.policy is compact");
        set(s, "cleanup.policy", "delete");
        assert_int_equal(put_batch(s, &out, false, &err), 0);
        set(s, "cleanup.policy", "compact,delete");
        buf_done(&out);
    }
    put_many(s, 10, "key");
    compacts(s);
    assert_null(strstr(log_of(s), ":value value"));
    fixture_close(s);
    fs_close(fs);
    buf_done(&said);
}
