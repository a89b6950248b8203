// SPDX-License-Identifier: Apache-2.0
// Years of commits: the topics of positions and group offsets stay small, and a start reads no more than it would after a day.
// CONNECTD_COMMITS says how many there are; the last line, how long a start took then.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/thread.h"
#include "coord/kvmap.h"
#include "coord/offsets.h"
#include "fixture.h"

enum { GROUPS = 10, PARTITIONS = 20, BETWEEN_CLEANS = 25000 };

struct state {
    struct store *s;
    struct offsets *offsets;
    struct kvmap *positions;
};
struct flight { struct offsets_change *offsets; struct kvmap_change *positions; };

static void open_state(struct state *x, struct fs *fs) {
    struct store_options o = {.fs = fs, .journal_bytes = 16 << 20, .cleaner_off = true, .queue_bytes = 4 << 20, .checkpoint_ms = 100};
    struct err err;
    assert_ok(store_open(&o, &x->s, &err), err);
    assert_ok(offsets_open(x->s, &clock_real, 8, &x->offsets, &err), err);
    assert_ok(kvmap_store_open(x->s, &clock_real, "connect-offsets", &x->positions, &err), err);
}

static void close_state(struct state *x) {
    offsets_close(x->offsets);
    kvmap_close(x->positions);
    fixture_close(x->s);
}

static void landed(void *arg, const struct err *err, const struct append_result *results, size_t n) {
    struct flight *f = arg;
    if (err) abort();
    kvmap_settle(f->positions, NULL);
    offsets_settle(f->offsets, NULL);
    free(f);
}

// One commit as a task makes it: a source's position and a group's offset.
static void commit_one(struct state *x, int64_t n) {
    char group[32], key[64], value[64];
    struct err err;
    struct flight *f = xcalloc(1, sizeof(*f));
    struct commit *c = commit_new(x->s);
    snprintf(group, sizeof(group), "connect-sink-%d", (int)(n % GROUPS));
    snprintf(key, sizeof(key), "[\"source-%d\",{\"server\":\"shop\"}]", (int)(n % GROUPS));
    snprintf(value, sizeof(value), "{\"lsn\":%" PRId64 "}", n);
    const struct group_offset to = {.topic = "orders", .partition = (int32_t)(n / GROUPS % PARTITIONS), .offset = n, .leader_epoch = -1};
    assert_ok(offsets_append(x->offsets, c, group, &to, 1, &f->offsets, &err), err);
    assert_ok(kvmap_append(x->positions, c, &(struct kvmap_entry){str_of(key), str_of(value)}, 1, &f->positions, &err), err);
    store_commit(x->s, c, false, landed, f);
}

static uint64_t bytes_of(struct store *s, const char *topic) {
    uint64_t sum = 0;
    struct topic *t = topic_get(s, topic);
    for (int32_t i = 0; i < topic_partitions(t); i++) sum += fixture_offsets(s, topic, i).bytes;
    topic_unref(t);
    return sum;
}

static void check(struct state *x, int64_t commits) {
    struct err err;
    struct buf value = {0};
    for (int64_t n = commits - GROUPS * PARTITIONS; n < commits; n++) {
        char text[64];
        int64_t is;
        snprintf(text, sizeof(text), "connect-sink-%d", (int)(n % GROUPS));
        assert_ok(offsets_get(x->offsets, text, "orders", (int32_t)(n / GROUPS % PARTITIONS), &is, &err), err);
        assert_int_equal(is, n);
    }
    assert_int_equal(kvmap_count(x->positions), GROUPS);
    assert_true(kvmap_get(x->positions, STR("[\"source-0\",{\"server\":\"shop\"}]"), &value));
    int64_t last = (commits - 1) / GROUPS * GROUPS;
    assert_int_equal(strtoll(buf_cstr(&value) + 7, NULL, 10), last);
    buf_done(&value);
}

TEST(after_years_of_commits_the_state_is_small_and_a_start_is_short) {
    const char *many = getenv("CONNECTD_COMMITS");
    int64_t commits = many ? strtoll(many, NULL, 10) : 100000;
    struct fs *fs = fs_mem_new();
    struct state x;
    struct err err;
    uint64_t most = 0;
    open_state(&x, fs);
    for (int64_t n = 0; n < commits; n++) {
        commit_one(&x, n);
        if (n % BETWEEN_CLEANS != BETWEEN_CLEANS - 1) continue;
        assert_ok(store_clean(x.s, &err), err);
        uint64_t bytes = bytes_of(x.s, "__consumer_offsets") + bytes_of(x.s, "connect-offsets");
        if (bytes > most) most = bytes;
    }
    struct commit *last = commit_new(x.s); // behind all others
    struct buf batch = fixture_text("end");
    fixture_topic(x.s, "end", 1, NULL, NULL);
    struct topic *end = topic_get(x.s, "end");
    assert_ok(commit_append(last, topic_partition(end, 0), &batch, true, &err), err);
    assert_ok(store_commit_wait(x.s, last, NULL, &err), err);
    topic_unref(end);
    assert_ok(store_clean(x.s, &err), err);
    check(&x, commits);
    struct fs *killed = fs_mem_clone(fs);
    close_state(&x);
    fs_close(fs);
    int64_t began = clock_mono_ms(&clock_real);
    open_state(&x, killed);
    int64_t took = clock_mono_ms(&clock_real) - began;
    check(&x, commits);
    uint64_t offsets = bytes_of(x.s, "__consumer_offsets"), positions = bytes_of(x.s, "connect-offsets");
    assert_true(offsets < 8 * (2 << 20)); // a segment that is written to, and one that was, of each partition
    assert_true(positions < 2 << 20);
    close_state(&x);
    fs_close(killed);
    printf("%" PRId64 " commits: %" PRIu64 " bytes of offsets, %" PRIu64 " of positions (at most %" PRIu64 " of both), a start after a kill takes %" PRId64 " ms\n",
           commits, offsets, positions, most, took);
}
