// SPDX-License-Identifier: Apache-2.0
// The map over a topic: durable and seen together, inside commits of others, back after a restart or a kill, small after many puts.
#include "coord/kvmap.h"

#include <stdio.h>

#include "fixture.h"

static int print(void *arg, struct str key, struct str value) {
    buf_printf(arg, "%.*s=%.*s ", STR_FMT(key), STR_FMT(value));
    return 0;
}
static void assert_map(struct kvmap *m, const char *want) {
    struct buf b = {0};
    kvmap_each(m, STR(""), print, &b);
    assert_buf(&b, want);
    buf_done(&b);
}
static struct kvmap *open_map(struct store *s) {
    struct kvmap *m;
    struct err err;
    assert_ok(kvmap_store_open(s, &clock_real, "connect-offsets", &m, &err), err);
    return m;
}
static void put(struct kvmap *m, const char *key, const char *value) {
    struct err err;
    assert_ok(kvmap_put(m, &(struct kvmap_entry){str_of(key), str_of(value)}, 1, &err), err);
}

TEST(what_was_put_is_there_after_a_restart_and_after_a_kill) {
    struct fs *fs = fs_mem_new();
    struct store *s = fixture_open(fs);
    struct kvmap *m = open_map(s);
    put(m, "a", "1");
    put(m, "b", "2");
    put(m, "a", "3");
    put(m, "b", NULL);
    put(m, "c", "");
    assert_map(m, "a=3 c= ");
    struct fs *copy = fs_mem_clone(fs); // as a kill leaves it
    kvmap_close(m);
    s = fixture_reopen(s, &fs);
    m = open_map(s);
    assert_map(m, "a=3 c= ");
    kvmap_close(m);
    fixture_close(s);
    fs_close(fs);
    s = fixture_open(copy);
    m = open_map(s);
    assert_map(m, "a=3 c= ");
    kvmap_close(m);
    fixture_close(s);
    fs_close(copy);
}

TEST(a_change_in_anothers_commit_is_seen_when_it_is_settled) {
    struct fs *fs = fs_mem_new();
    struct store *s = fixture_open(fs);
    struct kvmap *m = open_map(s);
    struct kvmap_change *ch;
    struct err err;
    const struct kvmap_entry entries[] = {{STR("p1"), STR("10")}, {STR("p2"), {NULL, 0}}};
    fixture_topic(s, "data", 1, NULL, NULL);
    put(m, "p2", "old");
    struct topic *t = topic_get(s, "data");
    struct buf b = fixture_text("record");
    struct commit *c = commit_new(s);
    assert_ok(commit_append(c, topic_partition(t, 0), &b, true, &err), err);
    assert_ok(kvmap_append(m, c, entries, 2, &ch, &err), err);
    assert_map(m, "p2=old ");
    assert_ok(store_commit_wait(s, c, NULL, &err), err);
    kvmap_settle(ch, NULL);
    assert_map(m, "p1=10 ");
    assert_string_equal(fixture_log(s, "data", 0, READ_COMMITTED), "0:record");
    c = commit_new(s); // never handed over
    assert_ok(kvmap_append(m, c, entries, 2, &ch, &err), err);
    commit_free(c);
    kvmap_settle(ch, &err);
    kvmap_settle(NULL, NULL);
    assert_map(m, "p1=10 ");
    topic_unref(t);
    kvmap_close(m);
    fixture_close(s);
    fs_close(fs);
}

TEST(a_refused_put_leaves_the_map_as_it_was) {
    struct fs *fs = fs_mem_new();
    struct store *s = fixture_open(fs);
    struct kvmap *m = open_map(s);
    struct err err;
    put(m, "a", "1");
    assert_ok(store_topic_delete(s, "connect-offsets", &err), err);
    assert_fails(kvmap_put(m, &(struct kvmap_entry){STR("a"), STR("2")}, 1, &err), err, ERR_NOT_FOUND);
    assert_map(m, "a=1 ");
    kvmap_close(m);
    fixture_close(s);
    fs_close(fs);
}

TEST(many_puts_stay_small_and_load_fast) {
    struct fs *fs = fs_mem_new();
    struct store *s = fixture_open(fs);
    struct kvmap *m = open_map(s);
    struct err err;
    char key[16], value[512];
    memset(value, 'v', sizeof(value) - 1);
    value[sizeof(value) - 1] = 0;
    for (int round = 0; round < 100; round++) { // 5 MB of puts onto 50 KB of state
        struct kvmap_entry entries[100];
        char keys[100][16];
        for (int i = 0; i < 100; i++) {
            snprintf(keys[i], sizeof(keys[i]), "k%d", i);
            entries[i] = (struct kvmap_entry){str_of(keys[i]), str_of(value)};
        }
        assert_ok(kvmap_put(m, entries, 100, &err), err);
        if (round % 10 == 9) assert_ok(store_clean(s, &err), err);
    }
    put(m, "last", "x");
    assert_int_equal(kvmap_count(m), 101);
    assert_true(fixture_offsets(s, "connect-offsets", 0).bytes < 2500000);
    kvmap_close(m);
    s = fixture_reopen(s, &fs);
    m = open_map(s);
    assert_int_equal(kvmap_count(m), 101);
    struct buf b = {0};
    snprintf(key, sizeof(key), "k%d", 57);
    assert_true(kvmap_get(m, str_of(key), &b));
    assert_buf(&b, value);
    buf_done(&b);
    kvmap_close(m);
    fixture_close(s);
    fs_close(fs);
}

TEST(a_map_that_can_not_be_read_whole_is_not_opened) {
    struct fs *fs = fs_mem_new();
    struct store *s = fixture_open(fs);
    struct kvmap *m = open_map(s);
    struct err err;
    put(m, "a", "1");
    kvmap_close(m);
    fixture_close(s);
    struct fs *copy = fs_mem_clone(fs);
    fs_close(fs);
    fs_mem_flip(copy, "connect-offsets-0/00000000000000000000.log", 65, 1);
    s = fixture_open(copy);
    assert_fails(kvmap_store_open(s, &clock_real, "connect-offsets", &m, &err), err, ERR_CORRUPT);
    assert_has(err.msg, "connect-offsets-0");
    assert_has(err.hint, "`connectd log-repair show connect-offsets-0`");
    fixture_close(s);
    fs_close(copy);
}
