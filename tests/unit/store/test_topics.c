// SPDX-License-Identifier: Apache-2.0
// Topics: creating, deleting, growing, configuring; their settings; folders that nobody knows.
#include <stdio.h>
#include <stdlib.h>

#include "fixture.h"

#include "base/mem.h"
#include "settings.h"

TEST(a_topic_has_an_id_partitions_and_settings_and_keeps_them) {
    struct fs *fs = fs_mem_new();
    struct store *s = fixture_open(fs);
    struct err err;
    bool set;
    fixture_topic(s, "orders", 3, "retention.ms", "1000");
    struct topic *t = topic_get(s, "orders");
    struct uuid id = topic_id(t);
    assert_int_equal(topic_partitions(t), 3);
    assert_string_equal(topic_setting_get(t, "retention.ms", &set), "1000");
    assert_true(set);
    assert_string_equal(topic_setting_get(t, "segment.bytes", &set), "1073741824");
    assert_false(set);
    assert_null(topic_setting_get(t, "no.such", NULL));
    assert_null(topic_partition(t, 3));
    assert_null(topic_partition(t, -1));
    topic_unref(t);
    struct topic_setting change[] = {{"retention.ms", NULL}, {"cleanup.policy", "compact,delete"}};
    assert_ok(store_topic_alter(s, "orders", 0, change, 2, &err), err);
    s = fixture_reopen(s, &fs);
    t = topic_get(s, "orders");
    struct uuid now = topic_id(t);
    assert_memory_equal(&id, &now, sizeof(id));
    assert_string_equal(topic_setting_get(t, "retention.ms", &set), "604800000");
    assert_string_equal(topic_setting_get(t, "cleanup.policy", &set), "compact,delete");
    topic_unref(t);
    fixture_close(s);
    fs_close(fs);
}

TEST(wrong_names_counts_and_settings_are_refused_by_name) {
    struct fs *fs = fs_mem_new();
    struct store *s = fixture_open(fs);
    struct err err;
    char long_name[252];
    memset(long_name, 'x', 250);
    long_name[250] = 0;
    static const char *const names[] = {"", ".", "..", "a/b", "a b", "\xc3\xa4"};
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) assert_fails(store_topic_create(s, names[i], 1, NULL, 0, &err), err, ERR_INVALID);
    assert_fails(store_topic_create(s, long_name, 1, NULL, 0, &err), err, ERR_INVALID);
    long_name[249] = 0;
    assert_ok(store_topic_create(s, long_name, 1, NULL, 0, &err), err);
    assert_ok(store_topic_delete(s, long_name, &err), err);
    assert_fails(store_topic_create(s, "t", 0, NULL, 0, &err), err, ERR_INVALID);
    struct topic_setting typo = {"retention.mss", "1"}, bad = {"retention.ms", "soon"}, policy = {"cleanup.policy", "shred"};
    assert_fails(store_topic_create(s, "t", 1, &typo, 1, &err), err, ERR_INVALID);
    assert_has(err.hint, "did you mean retention.ms?");
    assert_fails(store_topic_create(s, "t", 1, &bad, 1, &err), err, ERR_INVALID);
    assert_has(err.msg, "retention.ms: soon is not a number of at least -1");
    assert_fails(store_topic_create(s, "t", 1, &policy, 1, &err), err, ERR_INVALID);
    assert_has(err.msg, "delete compact");
    fixture_topic(s, "t", 1, NULL, NULL);
    assert_fails(store_topic_create(s, "t", 1, NULL, 0, &err), err, ERR_EXISTS);
    assert_fails(store_topic_delete(s, "u", &err), err, ERR_NOT_FOUND);
    assert_fails(store_topic_alter(s, "t", 1, NULL, 0, &err), err, ERR_INVALID);
    fixture_close(s);
    fs_close(fs);
}

TEST(a_compression_level_out_of_its_range_is_refused_by_name) {
    static const struct { const char *name, *wrong[3], *right[3], *message; } rows[] = {
        {"compression.gzip.level", {"0", "10", "-2"}, {"-1", "1", "9"}, "is not a number from 1 to 9, or -1"},
        {"compression.lz4.level", {"0", "18", "-1"}, {"1", "9", "17"}, "is not a number from 1 to 17"},
        {"compression.zstd.level", {"23", "-131073", "high"}, {"22", "-131072", "0"}, "is not a number from -131072 to 22"},
    };
    struct fs *fs = fs_mem_new();
    struct store *s = fixture_open(fs);
    struct err err;
    fixture_topic(s, "t", 1, NULL, NULL);
    for (size_t i = 0; i < countof(rows); i++) {
        for (int k = 0; k < 3; k++) {
            struct topic_setting wrong = {rows[i].name, rows[i].wrong[k]}, right = {rows[i].name, rows[i].right[k]};
            assert_fails(store_topic_alter(s, "t", 0, &wrong, 1, &err), err, ERR_INVALID);
            assert_has(err.msg, rows[i].name);
            assert_has(err.msg, rows[i].message);
            assert_ok(store_topic_alter(s, "t", 0, &right, 1, &err), err);
        }
    }
    struct topic *t = topic_get(s, "t");
    assert_int_equal(topic_level(t, CODEC_GZIP), 9);
    assert_int_equal(topic_level(t, CODEC_LZ4), 17);
    assert_int_equal(topic_level(t, CODEC_SNAPPY), 0);
    topic_unref(t);
    fixture_close(s);
    fs_close(fs);
}

// Bytes that one batch takes in a topic of its own.
static uint64_t stored(struct store *s, const char *codec, const char *level_name, const char *level) {
    struct topic_setting settings[] = {{"compression.type", codec}, {level_name, level}};
    struct batch_builder b;
    struct buf out = {0};
    struct err err;
    char text[64];
    assert_ok(store_topic_create(s, "level", 1, settings, level ? 2 : 1, &err), err);
    struct topic *t = topic_get(s, "level");
    batch_begin(&b, &out, CODEC_NONE);
    uint64_t seed = 1;
    for (int i = 0; i < 3000; i++) {
        snprintf(text, sizeof(text), "line %d of some text", (int)(test_random(&seed) % 1000));
        batch_add(&b, 1700000000000, (struct str){NULL, 0}, str_of(text), NULL, 0);
    }
    assert_ok(batch_end(&b, &err), err);
    struct commit *c = commit_new(s);
    assert_ok(commit_append(c, topic_partition(t, 0), &out, false, &err), err);
    assert_ok(store_commit_wait(s, c, NULL, &err), err);
    topic_unref(t);
    uint64_t n = fixture_offsets(s, "level", 0).bytes;
    assert_ok(store_topic_delete(s, "level", &err), err);
    return n;
}

TEST(batches_are_compressed_as_hard_as_the_topic_says) {
    struct fs *fs = fs_mem_new();
    struct store *s = fixture_open(fs);
    assert_true(stored(s, "gzip", "compression.gzip.level", "1") > stored(s, "gzip", "compression.gzip.level", "9"));
    assert_true(stored(s, "lz4", NULL, NULL) > stored(s, "lz4", "compression.lz4.level", "12"));
    assert_true(stored(s, "zstd", NULL, NULL) > stored(s, "zstd", "compression.zstd.level", "19"));
    assert_int_equal(stored(s, "zstd", NULL, NULL), stored(s, "zstd", "compression.gzip.level", "9")); // another codec's
    fixture_close(s);
    fs_close(fs);
}

TEST(a_deleted_topic_is_gone_for_good_and_its_name_can_be_used_again) {
    struct fs *fs = fs_mem_new();
    struct store *s = fixture_open(fs);
    struct err err;
    struct buf out = {0};
    struct read_result r;
    struct read_request q = {.max_bytes = 100};
    fixture_topic(s, "t", 2, NULL, NULL);
    fixture_put(s, "t", 0, "old", &err);
    struct topic *old = topic_get(s, "t");
    assert_ok(store_topic_delete(s, "t", &err), err);
    assert_null(topic_get(s, "t"));
    assert_fails(partition_read(topic_partition(old, 0), &q, &out, &r, &err), err, ERR_NOT_FOUND);
    fixture_topic(s, "t", 1, NULL, NULL);
    assert_string_equal(fixture_log(s, "t", 0, READ_UNCOMMITTED), "");
    assert_int_equal(fixture_put(s, "t", 0, "new", &err), 0);
    struct commit *c = commit_new(s);
    struct buf batch = fixture_text("late");
    assert_ok(commit_append(c, topic_partition(old, 0), &batch, true, &err), err);
    assert_fails(store_commit_wait(s, c, NULL, &err), err, ERR_NOT_FOUND);
    topic_unref(old);
    s = fixture_reopen(s, &fs);
    assert_string_equal(fixture_log(s, "t", 0, READ_UNCOMMITTED), "0:new");
    fixture_close(s);
    fs_close(fs);
}

TEST(a_topic_grows_and_the_new_partitions_are_written_and_kept) {
    struct fs *fs = fs_mem_new();
    struct store *s = fixture_open(fs);
    struct err err;
    fixture_topic(s, "t", 1, NULL, NULL);
    for (int n = 2; n <= 9; n++) {
        assert_ok(store_topic_alter(s, "t", n, NULL, 0, &err), err);
        assert_int_equal(fixture_put(s, "t", n - 1, "x", &err), 0);
    }
    s = fixture_reopen(s, &fs);
    struct topic *t = topic_get(s, "t");
    assert_int_equal(topic_partitions(t), 9);
    topic_unref(t);
    for (int n = 1; n < 9; n++) assert_string_equal(fixture_log(s, "t", n, READ_UNCOMMITTED), "0:x");
    fixture_close(s);
    fs_close(fs);
}

static int collect_name(void *arg, struct topic *t) {
    buf_printf(arg, "%s ", topic_name(t));
    return 0;
}

TEST(topics_are_listed_in_the_order_of_their_names) {
    struct fs *fs = fs_mem_new();
    struct store *s = fixture_open(fs);
    struct buf names = {0};
    fixture_topic(s, "b", 1, NULL, NULL);
    fixture_topic(s, "__c", 1, NULL, NULL);
    fixture_topic(s, "a", 1, NULL, NULL);
    store_topics(s, collect_name, &names);
    assert_buf(&names, "__c a b ");
    buf_done(&names);
    fixture_close(s);
    fs_close(fs);
}

TEST(a_folder_that_no_topic_knows_is_set_aside_with_its_bytes) {
    struct fs *fs = fs_mem_new();
    struct store *s = fixture_open(fs);
    struct err err;
    fixture_topic(s, "t", 1, NULL, NULL);
    fixture_put(s, "t", 0, "x", &err);
    struct fs *copy = fs_mem_clone(fs); // unclean: a clean start looks at nothing
    fixture_close(s);
    fs_close(fs);
    assert_ok(fs_mkdirs(copy, "stray-0", &err), err);
    assert_ok(fs_replace(copy, "stray-0/00000000000000000000.log", "bytes", 5, &err), err);
    assert_ok(fs_mkdirs(copy, "empty-0", &err), err);
    assert_ok(fs_mkdirs(copy, "not-a-partition", &err), err);
    s = fixture_open(copy);
    struct recovery_report report;
    struct fs_stat st;
    store_report(s, &report);
    assert_int_equal(report.folders_set_aside, 1);
    assert_null(topic_get(s, "stray"));
    assert_ok(copy->ops->stat(copy, "set-aside/stray-0/00000000000000000000.log", &st, &err), err);
    assert_int_equal(st.size, 5);
    assert_int_not_equal(copy->ops->stat(copy, "empty-0", &st, NULL), 0);
    assert_ok(copy->ops->stat(copy, "not-a-partition", &st, &err), err);
    fixture_close(s);
    fs_close(copy);
}

TEST(producer_ids_are_never_given_twice) {
    struct fs *fs = fs_mem_new();
    struct store *s = fixture_open(fs);
    struct err err;
    int64_t last = -1, id;
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 1500; i++) {
            assert_ok(store_producer_id(s, &id, &err), err);
            assert_true(id > last);
            last = id;
        }
        struct fs *copy = fs_mem_clone(fs);
        fixture_close(s);
        fs_close(fs);
        fs = copy;
        s = fixture_open(fs);
    }
    fixture_close(s);
    fs_close(fs);
}

TEST(a_partition_folder_looks_as_kafka_makes_it) {
    struct fs *fs = fs_mem_new();
    struct store *s = fixture_open(fs);
    struct err err;
    struct fs_stat st;
    struct buf text = {0};
    char id[23];
    fixture_topic(s, "t", 1, NULL, NULL);
    struct topic *t = topic_get(s, "t");
    uuid_kafka(topic_id(t), id);
    topic_unref(t);
    static const char *const files[] = {"00000000000000000000.log", "00000000000000000000.index", "00000000000000000000.timeindex",
                                        "leader-epoch-checkpoint"};
    for (size_t i = 0; i < 4; i++) {
        char path[64];
        snprintf(path, sizeof(path), "t-0/%s", files[i]);
        assert_ok(fs->ops->stat(fs, path, &st, &err), err);
    }
    assert_ok(fs_read_all(fs, "t-0/partition.metadata", 1000, &text, &err), err);
    assert_has(buf_cstr(&text), "version: 0\ntopic_id: ");
    assert_has(buf_cstr(&text), id);
    buf_clear(&text);
    assert_ok(fs_read_all(fs, "meta.properties", 1000, &text, &err), err);
    assert_has(buf_cstr(&text), "version=1\ncluster.id=");
    assert_has(buf_cstr(&text), store_cluster_id(s));
    buf_done(&text);
    fixture_close(s);
    fs_close(fs);
}

TEST(two_stores_can_not_use_one_folder) {
    struct fs *fs = fs_mem_new();
    struct store *s = fixture_open(fs), *other;
    struct store_options o = fixture_options(fs);
    struct err err;
    assert_fails(store_open(&o, &other, &err), err, ERR_BUSY);
    fixture_close(s);
    fs_close(fs);
}

TEST(topics_that_say_nothing_follow_the_stores_defaults_also_when_these_change) {
    struct fs *fs = fs_mem_new();
    struct store_options o = fixture_options(fs);
    struct topic_setting first[] = {{"retention.ms", "5000"}, {"max.message.bytes", "4096"}}, second = {"retention.ms", "6000"}, wrong = {"retention.ms", "soon"};
    struct store *s;
    struct err err;
    bool set;
    o.topic_defaults = first;
    o.topic_default_count = 2;
    assert_ok(store_open(&o, &s, &err), err);
    fixture_topic(s, "silent", 1, NULL, NULL);
    fixture_topic(s, "own", 1, "retention.ms", "7");
    struct topic *t = topic_get(s, "silent");
    assert_string_equal(topic_setting_get(t, "retention.ms", &set), "5000");
    assert_false(set);
    topic_unref(t);
    char value[5000];
    memset(value, 'x', sizeof(value) - 1);
    value[sizeof(value) - 1] = 0;
    assert_int_equal(fixture_put(s, "silent", 0, value, &err), -1);
    assert_int_equal(err.code, ERR_TOO_LARGE);
    assert_ok(store_close(s, &err), err);
    o.fs = fs_mem_clone(fs); // the lock goes with the old one
    fs_close(fs);
    o.topic_defaults = &second;
    o.topic_default_count = 1;
    assert_ok(store_open(&o, &s, &err), err);
    t = topic_get(s, "silent");
    assert_string_equal(topic_setting_get(t, "retention.ms", NULL), "6000");
    assert_string_equal(topic_setting_get(t, "max.message.bytes", NULL), "1048588");
    topic_unref(t);
    t = topic_get(s, "own");
    assert_string_equal(topic_setting_get(t, "retention.ms", &set), "7");
    assert_true(set);
    topic_unref(t);
    assert_ok(store_close(s, &err), err);
    o.topic_defaults = &wrong;
    assert_fails(store_open(&o, &s, &err), err, ERR_INVALID);
    assert_string_equal(err.msg, "topic default: retention.ms: soon is not a number of at least -1");
    fs_close(o.fs);
}

TEST(compression_type_says_how_batches_are_stored_whatever_arrives) {
    static const struct { const char *type; int stored; } cases[] = {
        {"producer", CODEC_LZ4}, {"uncompressed", CODEC_NONE}, {"gzip", CODEC_GZIP}, {"snappy", CODEC_SNAPPY}, {"lz4", CODEC_LZ4}, {"zstd", CODEC_ZSTD},
    };
    struct fs *fs = fs_mem_new();
    struct store *s = fixture_open(fs);
    for (size_t i = 0; i < countof(cases); i++) {
        fixture_topic(s, cases[i].type, 1, "compression.type", cases[i].type);
        struct topic *t = topic_get(s, cases[i].type);
        struct buf batch = {0}, stored = {0};
        struct batch_builder b;
        struct batch_header h;
        struct read_result got;
        struct err err;
        batch_begin(&b, &batch, CODEC_LZ4);
        for (int n = 0; n < 100; n++) batch_add(&b, 1000 + n, STR("key"), STR("the same value again and again"), NULL, 0);
        assert_ok(batch_end(&b, &err), err);
        struct commit *c = commit_new(s);
        assert_ok(commit_append(c, topic_partition(t, 0), &batch, false, &err), err);
        assert_ok(store_commit_wait(s, c, NULL, &err), err);
        assert_ok(partition_read(topic_partition(t, 0), &(struct read_request){.max_bytes = 1 << 20}, &stored, &got, &err), err);
        assert_ok(batch_check(stored.p, stored.n, false, &h, &err), err);
        assert_int_equal(h.attributes & BATCH_CODEC_MASK, cases[i].stored);
        assert_int_equal(h.count, 100);
        assert_int_equal(h.max_timestamp, 1099);
        buf_done(&stored);
        topic_unref(t);
    }
    fixture_close(s);
    fs_close(fs);
}

// ── a name that is taken again at once ───────────────────────────────────────────────────────────────────────────────

// Deletes t and makes it anew, with one record, from within what is still at work on the old one.
static void replace_topic(struct store *s) {
    struct err err;
    assert_ok(store_topic_delete(s, "t", &err), err);
    fixture_topic(s, "t", 1, NULL, NULL);
    assert_int_equal(fixture_put(s, "t", 0, "new", &err), 0);
}

static struct store *replacing;
static void replace_when_lost(void *arg, struct partition *p, const char *holder, int64_t first, int64_t last, bool damaged) {
    replace_topic(replacing);
}

static void expect_new_alone(struct store *s, struct fs *fs) {
    s = fixture_reopen(s, &fs);
    assert_string_equal(fixture_log(s, "t", 0, READ_UNCOMMITTED), "0:new");
    fixture_close(s);
    fs_close(fs);
}

TEST(retention_of_a_topic_does_not_remove_the_files_of_the_next_one_of_its_name) {
    struct fs *fs = fs_mem_new();
    struct store *s = replacing = fixture_open(fs);
    struct topic_setting small[] = {{"segment.bytes", "1000"}, {"retention.bytes", "1500"}};
    struct err err;
    assert_ok(store_topic_create(s, "t", 1, small, 2, &err), err);
    fixture_fill(s, "t", 0, 40, 200);
    struct topic *t = topic_get(s, "t");
    partition_hold(topic_partition(t, 0), "sink", 0);
    topic_unref(t);
    store_on_lost(s, replace_when_lost, NULL);
    assert_ok(store_clean(s, &err), err);
    expect_new_alone(s, fs);
}

static void replace_when_synced(void *arg, enum fs_op op, const char *path) {
    if (op != FS_OP_SYNC || !strstr(path, "t-0/")) return;
    fs_fault_on_call(arg, NULL, NULL);
    replace_topic(replacing);
}

TEST(a_checkpoint_of_a_topic_does_not_write_into_the_index_of_the_next_one_of_its_name) {
    struct fs *memory = fs_mem_new(), *fs = fs_fault_new(memory);
    struct store *s = replacing = fixture_open(fs);
    struct fs_stat st;
    struct err err;
    fixture_topic(s, "t", 1, "index.interval.bytes", "100");
    fixture_fill(s, "t", 0, 40, 200);
    fs_fault_on_call(fs, replace_when_synced, fs);
    assert_ok(store_checkpoint(s, &err), err);
    assert_ok(fs->ops->stat(fs, "t-0/00000000000000000000.index", &st, &err), err);
    assert_int_equal(st.size, 0);
    fixture_close(s);
    struct fs *left = fs_mem_clone(memory);
    fs_close(fs);
    expect_new_alone(NULL, left);
}
