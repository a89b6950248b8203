// SPDX-License-Identifier: Apache-2.0
// Group offsets: committed alone and with other data, back after a kill, deleted, listed; records that are none of ours.
#include "coord/offsets.h"

#include <errno.h>
#include <stdio.h>

#include "coord/records.h"
#include "fixture.h"

static struct offsets *open_offsets(struct store *s) {
    struct offsets *o;
    struct err err;
    assert_ok(offsets_open(s, &clock_real, 8, &o, &err), err);
    return o;
}
static void commit(struct offsets *o, const char *group, const char *topic, int32_t partition, int64_t offset) {
    struct err err;
    const struct group_offset one = {.topic = topic, .partition = partition, .offset = offset, .leader_epoch = -1, .metadata = STR("m")};
    assert_ok(offsets_commit(o, group, &one, 1, &err), err);
}
static int64_t get(struct offsets *o, const char *group, const char *topic, int32_t partition) {
    int64_t offset;
    struct err err;
    assert_ok(offsets_get(o, group, topic, partition, &offset, &err), err);
    return offset;
}
static int print(void *arg, const struct group_offset *g) {
    buf_printf(arg, "%s-%d=%lld/%d/%.*s ", g->topic, g->partition, (long long)g->offset, g->leader_epoch, STR_FMT(g->metadata));
    return 0;
}
static int print_group(void *arg, const char *group) {
    buf_printf(arg, "%s ", group);
    return 0;
}
static void assert_group(struct offsets *o, const char *group, const char *want) {
    struct buf b = {0};
    struct err err;
    assert_ok(offsets_each(o, group, print, &b, &err), err);
    assert_buf(&b, want);
    buf_done(&b);
}
static void assert_groups(struct offsets *o, const char *want) {
    struct buf b = {0};
    offsets_groups(o, print_group, &b);
    assert_buf(&b, want);
    buf_done(&b);
}

TEST(offsets_are_answered_listed_and_back_after_a_kill) {
    struct fs *fs = fs_mem_new();
    struct store *s = fixture_open(fs);
    struct offsets *o = open_offsets(s);
    assert_null(topic_get(s, OFFSETS_TOPIC)); // made by the first commit
    assert_int_equal(get(o, "g", "t", 0), -1);
    commit(o, "g", "t", 0, 5);
    commit(o, "g", "t", 10, 6);
    commit(o, "g", "t", 2, 7);
    commit(o, "g", "s", 0, 8);
    commit(o, "a", "t", 0, 9);
    commit(o, "g", "t", 0, 50);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(get(o, "g", "t", 0), 50);
        assert_int_equal(get(o, "a", "t", 0), 9);
        assert_int_equal(get(o, "a", "t", 1), -1);
        assert_group(o, "g", "s-0=8/-1/m t-0=50/-1/m t-2=7/-1/m t-10=6/-1/m ");
        assert_group(o, "none", "");
        assert_groups(o, "a g ");
        if (round) break;
        struct fs *copy = fs_mem_clone(fs);
        offsets_close(o);
        fixture_close(s);
        fs_close(fs);
        s = fixture_open(fs = copy);
        o = open_offsets(s);
    }
    struct topic *t = topic_get(s, OFFSETS_TOPIC);
    assert_int_equal(topic_partitions(t), 8);
    assert_true(topic_internal(t));
    topic_unref(t);
    assert_int_equal(fixture_offsets(s, OFFSETS_TOPIC, coord_partition(STR("g"), 8)).high_watermark > 0, 1);
    offsets_close(o);
    fixture_close(s);
    fs_close(fs);
}

TEST(offsets_become_durable_with_the_commit_they_ride_in) {
    struct fs *fs = fs_mem_new();
    struct store *s = fixture_open(fs);
    struct offsets *o = open_offsets(s);
    struct offsets_change *ch;
    struct err err;
    const struct group_offset one = {.topic = "t", .offset = 3, .leader_epoch = 4};
    fixture_topic(s, "dead", 1, NULL, NULL);
    struct topic *t = topic_get(s, "dead");
    struct buf b = fixture_text("letter");
    struct commit *c = commit_new(s);
    assert_ok(commit_append(c, topic_partition(t, 0), &b, true, &err), err);
    assert_ok(offsets_append(o, c, "g", &one, 1, &ch, &err), err);
    assert_int_equal(get(o, "g", "t", 0), -1);
    assert_ok(store_commit_wait(s, c, NULL, &err), err);
    offsets_settle(ch, NULL);
    assert_group(o, "g", "t-0=3/4/ ");
    const struct group_offset two = {.topic = "t", .offset = 9};
    c = commit_new(s); // freed unused
    assert_ok(offsets_append(o, c, "g", &two, 1, &ch, &err), err);
    commit_free(c);
    offsets_settle(ch, &err);
    assert_group(o, "g", "t-0=3/4/ ");
    c = commit_new(s);
    assert_ok(offsets_append(o, c, "g", &one, 0, &ch, &err), err); // nothing
    assert_null(ch);
    assert_int_equal(commit_appends(c), 0);
    commit_free(c);
    topic_unref(t);
    offsets_close(o);
    fixture_close(s);
    fs_close(fs);
}

static void make_topic(struct store *s, const char *name) {
    struct err err;
    assert_ok(store_topic_create(s, name, 1, NULL, 0, &err), err);
}
static struct uuid id_of(struct store *s, const char *name) {
    struct topic *t = topic_get(s, name);
    struct uuid id = topic_id(t);
    topic_unref(t);
    return id;
}

TEST(an_offset_is_of_the_topic_that_was_read_not_of_one_made_later_under_its_name) {
    struct err err;
    struct fs *fs = fs_mem_new();
    struct store *s = fixture_open(fs);
    struct offsets *o = open_offsets(s);
    make_topic(s, "t");
    make_topic(s, "u");
    struct group_offset late = {.topic = "t", .offset = 8, .leader_epoch = -1, .topic_id = id_of(s, "t")};
    commit(o, "g", "t", 0, 7);
    commit(o, "g", "u", 0, 9);
    assert_ok(store_topic_delete(s, "t", &err), err);
    assert_int_equal(get(o, "g", "t", 0), -1);
    make_topic(s, "t");
    for (int round = 0; round < 2; round++) {
        assert_int_equal(get(o, "g", "t", 0), -1);
        assert_group(o, "g", "u-0=9/-1/m ");
        offsets_close(o);
        s = fixture_reopen(s, &fs);
        o = open_offsets(s);
    }
    assert_ok(offsets_commit(o, "g", &late, 1, &err), err); // of a consumer that has not heard of it
    assert_int_equal(get(o, "g", "t", 0), -1);
    commit(o, "g", "t", 0, 1);
    assert_ok(offsets_commit(o, "g", &late, 1, &err), err);
    assert_int_equal(get(o, "g", "t", 0), 1);
    assert_ok(store_topic_delete(s, "u", &err), err);
    offsets_forget_topic(o, "u");
    make_topic(s, "u");
    assert_group(o, "g", "t-0=1/-1/m ");
    offsets_close(o);
    fixture_close(s);
    fs_close(fs);
}

TEST(deleted_offsets_and_groups_stay_deleted) {
    struct fs *fs = fs_mem_new();
    struct store *s = fixture_open(fs);
    struct offsets *o = open_offsets(s);
    struct err err;
    commit(o, "g", "t", 0, 5);
    commit(o, "g", "t", 1, 6);
    commit(o, "h", "t", 0, 7);
    commit(o, "g", "t", 0, -1);
    assert_group(o, "g", "t-1=6/-1/m ");
    assert_ok(offsets_delete_group(o, "g", &err), err);
    assert_fails(offsets_delete_group(o, "g", &err), err, ERR_NOT_FOUND);
    assert_groups(o, "h ");
    offsets_close(o);
    s = fixture_reopen(s, &fs);
    o = open_offsets(s);
    assert_groups(o, "h ");
    offsets_close(o);
    fixture_close(s);
    fs_close(fs);
}

TEST(wrong_commits_are_refused_whole) {
    struct fs *fs = fs_mem_new();
    struct store *s = fixture_open(fs);
    struct offsets *o = open_offsets(s);
    struct err err;
    struct buf large = {0};
    buf_fill(&large, 'm', 4097);
    const struct group_offset list[] = {{.topic = "t", .offset = 1}, {.topic = "t", .partition = 1, .offset = 1, .metadata = buf_str(&large)}};
    const struct group_offset negative = {.topic = "t", .partition = -1, .offset = 1};
    assert_fails(offsets_commit(o, "g", list, 2, &err), err, ERR_TOO_LARGE);
    assert_fails(offsets_commit(o, "", list, 1, &err), err, ERR_INVALID);
    assert_fails(offsets_commit(o, "g", &negative, 1, &err), err, ERR_INVALID);
    assert_groups(o, "");
    buf_done(&large);
    offsets_close(o);
    fixture_close(s);
    fs_close(fs);
}

static void append_raw(struct store *s, struct str key, struct str value) {
    struct topic *t = topic_get(s, OFFSETS_TOPIC);
    struct buf b = {0};
    struct batch_builder w;
    struct err err;
    struct commit *c = commit_new(s);
    batch_begin(&w, &b, CODEC_NONE);
    batch_add(&w, 0, key, value, NULL, 0);
    assert_ok(batch_end(&w, &err), err);
    assert_ok(commit_append(c, topic_partition(t, 0), &b, true, &err), err);
    assert_ok(store_commit_wait(s, c, NULL, &err), err);
    topic_unref(t);
}

TEST(group_records_and_later_versions_are_passed_over_and_rubbish_is_counted) {
    struct fs *fs = fs_mem_new();
    struct store *s = fixture_open(fs);
    struct offsets *o = open_offsets(s);
    commit(o, "g", "t", 0, 5);
    append_raw(s, str_make("\0\2\0\1g", 5), (struct str){NULL, 0}); // a group's tombstone
    append_raw(s, str_make("\0\7later", 7), STR("x"));
    append_raw(s, str_make("\0\1\0\5cut", 7), STR("x"));
    append_raw(s, str_make("\0\1\0\1g\0\1t\0\0\0\0", 12), STR("bad value"));
    offsets_close(o);
    s = fixture_reopen(s, &fs);
    o = open_offsets(s);
    assert_int_equal(offsets_skipped(o), 2);
    assert_groups(o, "g ");
    offsets_close(o);
    fixture_close(s);
    fs_close(fs);
}

// ── damage ───────────────────────────────────────────────────────────────────────────────────────────────────────────

// A clean stop, then one bit of the partition's file is another one.
static struct store *reopen_damaged(struct store *s, struct fs **fs, const char *topic, int32_t partition, uint64_t at) {
    char path[128];
    fixture_close(s);
    struct fs *copy = fs_mem_clone(*fs);
    fs_close(*fs);
    snprintf(path, sizeof(path), "%s-%d/00000000000000000000.log", topic, partition);
    fs_mem_flip(*fs = copy, path, at, 1);
    return fixture_open(copy);
}

TEST(a_damaged_partition_refuses_its_groups_and_no_others) {
    struct fs *fs = fs_mem_new();
    struct store *s = fixture_open(fs);
    struct offsets *o = open_offsets(s);
    struct buf b = {0};
    struct err err;
    int64_t offset = 0;
    const struct group_offset one = {.topic = "t", .offset = 3};
    int32_t partition = coord_partition(STR("g"), 8);
    assert_int_not_equal(partition, coord_partition(STR("a"), 8));
    commit(o, "g", "t", 0, 5);
    uint64_t whole = fixture_offsets(s, OFFSETS_TOPIC, partition).bytes;
    commit(o, "g", "t", 0, 50);
    commit(o, "a", "t", 0, 9);
    offsets_close(o);
    s = reopen_damaged(s, &fs, OFFSETS_TOPIC, partition, whole + 70); // the first batch is whole: it must not be taken for the truth
    o = open_offsets(s);
    assert_int_equal(offsets_damage(o)->n, 1);
    assert_fails(offsets_get(o, "g", "t", 0, &offset, &err), err, ERR_CORRUPT);
    char where[64];
    snprintf(where, sizeof(where), "group g: %s-%d", OFFSETS_TOPIC, partition);
    assert_has(err.msg, where);
    snprintf(where, sizeof(where), "`connectd log-repair show %s-%d`", OFFSETS_TOPIC, partition);
    assert_has(err.hint, where);
    assert_fails(offsets_check(o, "g", &err), err, ERR_CORRUPT);
    assert_fails(offsets_each(o, "g", print, &b, &err), err, ERR_CORRUPT);
    assert_fails(offsets_commit(o, "g", &one, 1, &err), err, ERR_CORRUPT);
    assert_fails(offsets_delete_group(o, "g", &err), err, ERR_CORRUPT);
    assert_groups(o, "a ");
    assert_group(o, "a", "t-0=9/-1/m ");
    commit(o, "a", "t", 0, 10);
    assert_int_equal(get(o, "a", "t", 0), 10);
    buf_done(&b);
    offsets_close(o);
    fixture_close(s);
    fs_close(fs);
}

TEST(a_partition_that_can_be_read_later_is_not_damaged) {
    static const struct { int sys; enum err_code code; } faults[] = {{ENOMEM, ERR_NOMEM}, {EIO, ERR_NONE}};
    for (size_t i = 0; i < 2; i++) {
        struct fs *fs = fs_fault_new(fs_mem_new());
        struct store *s = fixture_open(fs);
        struct offsets *o = open_offsets(s);
        struct err err;
        commit(o, "g", "t", 0, 5);
        offsets_close(o);
        fs_fault_add(fs, (struct fs_fault_rule){.ops = FS_OP_READ, .path = OFFSETS_TOPIC, .forever = true, .sys = faults[i].sys});
        if (faults[i].code) assert_fails(offsets_open(s, &clock_real, 8, &o, &err), err, faults[i].code);
        else assert_ok(offsets_open(s, &clock_real, 8, &o, &err), err); // a sector that is gone
        if (!faults[i].code) assert_fails(offsets_check(o, "g", &err), err, ERR_CORRUPT);
        if (!faults[i].code) offsets_close(o);
        fs_fault_clear(fs);
        fixture_close(s);
        fs_close(fs);
    }
}
