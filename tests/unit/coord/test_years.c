// SPDX-License-Identifier: Apache-2.0
// Positions, statuses and group offsets committed again and again: their topics stay as small, and a start as quick, as after the first thousand.
//
// By itself a short run in memory, in which the cleaner works when it would be woken. With CONNECTD_COMMITS so many commits go to a real folder
// (below TMPDIR), as fast as the cleaner's own thread keeps up with, and what was seen is printed. Each commit is a batch of its own, as a task's would be; several
// hundred are handed over together, so that they need not wait for the disk one by one.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "coord/kvmap.h"
#include "coord/offsets.h"
#include "fixture.h"
#include "store_int.h"
#include "tmpdir.h"

enum { TASKS = 40, TOGETHER = 500, PARTITIONS = 4 };
#define MIB ((uint64_t)1 << 20)

static const char *const topics[] = {"connect-offsets", "connect-status", "__consumer_offsets"};

struct state {
    struct fs *fs;
    struct store *s;
    struct kvmap *positions, *statuses;
    struct offsets *offsets;
    uint64_t commits;
    uint64_t bytes_most;     // of one partition
    uint32_t segments_most;
};

static double now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void open_state(struct state *x, bool cleaner) {
    struct store_options o = fixture_options(x->fs);
    struct err err;
    o.journal_bytes = 16 * MIB;
    if (cleaner) o.cleaner_off = false, o.checkpoint_ms = 1000;
    assert_ok(store_open(&o, &x->s, &err), err);
    if (!x->commits) fixture_topic(x->s, "shop.orders", TASKS, NULL, NULL);
    assert_ok(kvmap_store_open(x->s, &clock_real, topics[0], &x->positions, &err), err);
    assert_ok(kvmap_store_open(x->s, &clock_real, topics[1], &x->statuses, &err), err);
    assert_ok(offsets_open(x->s, &clock_real, PARTITIONS, &x->offsets, &err), err);
}

static void close_state(struct state *x) {
    kvmap_close(x->positions);
    kvmap_close(x->statuses);
    offsets_close(x->offsets);
    fixture_close(x->s);
}

// ── committing ───────────────────────────────────────────────────────────────────────────────────────────────────────

struct changes {
    struct kvmap_change *maps[TOGETHER];
    struct offsets_change *offsets[TOGETHER];
};

static void done(void *arg, const struct err *err, const struct append_result *results, size_t n) {
    struct changes *c = arg;
    if (err) fail_msg("commit: %s", err->msg);
    for (size_t i = 0; i < TOGETHER; i++) {
        kvmap_settle(c->maps[i], err);
        offsets_settle(c->offsets[i], err);
    }
    free(c);
}

// Commit number n: of every ten six are a source's position, three a sink's offset, one a status.
static void add(struct state *x, struct commit *c, uint64_t n, size_t i, struct changes *ret) {
    char key[96], value[128];
    struct err err;
    int task = (int)(n / 10 % TASKS);
    if (n % 10 >= 6 && n % 10 < 9) {
        struct group_offset o = {.topic = "shop.orders", .partition = task, .offset = (int64_t)n, .leader_epoch = -1};
        snprintf(key, sizeof(key), "connect-sink-%d", task % 8);
        assert_ok(offsets_append(x->offsets, c, key, &o, 1, &ret->offsets[i], &err), err);
        return;
    }
    bool status = n % 10 == 9;
    int k = snprintf(key, sizeof(key), status ? "status-task-shop-db-%d" : "[\"shop-db\",{\"server\":\"shop\",\"task\":%d}]", task);
    int v = snprintf(value, sizeof(value), status ? "{\"state\":\"RUNNING\",\"generation\":%" PRIu64 "}" : "{\"lsn\":%" PRIu64 ",\"txId\":733,\"ts_usec\":1700000000000000}", n);
    struct kvmap_entry e = {str_make(key, (size_t)k), str_make(value, (size_t)v)};
    assert_ok(kvmap_append(status ? x->statuses : x->positions, c, &e, 1, &ret->maps[i], &err), err);
}

static void commit_some(struct state *x, bool wait) {
    struct err err;
    struct commit *c = commit_new(x->s);
    struct changes *changes = xcalloc(1, sizeof(*changes));
    for (size_t i = 0; i < TOGETHER; i++) add(x, c, x->commits + i, i, changes);
    x->commits += TOGETHER;
    if (!wait) {
        store_commit(x->s, c, false, done, changes); // only while the queue is full
        return;
    }
    assert_ok(store_commit_wait(x->s, c, NULL, &err), err);
    done(changes, NULL, NULL, 0);
}

// ── looking ──────────────────────────────────────────────────────────────────────────────────────────────────────────

// Bytes of the largest partition now.
static uint64_t look(struct state *x) {
    uint64_t most = 0;
    for (size_t i = 0; i < countof(topics); i++) {
        struct topic *t = topic_get(x->s, topics[i]);
        for (int32_t p = 0; p < topic_partitions(t); p++) {
            struct partition_offsets o;
            partition_offsets(topic_partition(t, p), &o);
            if (o.bytes > most) most = o.bytes;
            if (o.segments > x->segments_most) x->segments_most = o.segments;
        }
        topic_unref(t);
    }
    if (most > x->bytes_most) x->bytes_most = most;
    return most;
}

// The last commit of every key is what a start finds.
static void check_values(struct state *x) {
    struct err err;
    assert_int_equal(kvmap_count(x->positions), TASKS);
    assert_int_equal(kvmap_count(x->statuses), TASKS);
    for (int task = 0; task < TASKS; task++) {
        char key[96], want[128];
        struct buf value = {0};
        uint64_t of_task = x->commits - 1 - (x->commits - 1 - (uint64_t)task * 10) % (TASKS * 10); // its last ten begin here
        int64_t offset;
        snprintf(key, sizeof(key), "[\"shop-db\",{\"server\":\"shop\",\"task\":%d}]", task);
        snprintf(want, sizeof(want), "{\"lsn\":%" PRIu64 ",\"txId\":733,\"ts_usec\":1700000000000000}", of_task + 5);
        assert_true(kvmap_get(x->positions, str_of(key), &value));
        assert_buf(&value, want);
        buf_done(&value);
        snprintf(key, sizeof(key), "connect-sink-%d", task % 8);
        assert_ok(offsets_get(x->offsets, key, "shop.orders", task, &offset, &err), err);
        assert_int_equal(offset, of_task + 8);
    }
}

// ── the cases ────────────────────────────────────────────────────────────────────────────────────────────────────────

// Cleans as often as the cleaner would be woken, and says how many calls of the file system a start after a kill then takes.
static unsigned run_in_memory(uint64_t commits, struct state *x) {
    struct err err;
    *x = (struct state){.fs = fs_mem_new()};
    open_state(x, false);
    while (x->commits < commits) {
        commit_some(x, true);
        if (!x->s->cleaner.hurry) continue;
        look(x);
        x->s->cleaner.hurry = false;
        assert_ok(store_clean(x->s, &err), err);
    }
    assert_ok(store_clean(x->s, &err), err); // so that neither ends in the middle
    struct fs *killed = fs_mem_clone(x->fs);
    close_state(x);
    fs_close(x->fs);
    x->fs = fs_fault_new(killed);
    open_state(x, false);
    unsigned calls = fs_fault_count(x->fs, FS_OP_ALL);
    check_values(x);
    assert_in_range(look(x), 1, 2 * MIB); // a segment that is written to, and one that was
    close_state(x);
    fs_close(x->fs);
    return calls;
}

TEST(state_topics_are_as_small_and_a_start_takes_as_many_calls_after_five_times_as_many_commits) {
    struct state few, many;
    unsigned after_few = run_in_memory(150000, &few), after_many = run_in_memory(750000, &many);
    print_message("%" PRIu64 " and %" PRIu64 " commits: at most %" PRIu64 " and %" PRIu64 " bytes, %u and %u segments a partition; a start takes %u and %u calls\n",
                  few.commits, many.commits, few.bytes_most, many.bytes_most, few.segments_most, many.segments_most, after_few, after_many);
    assert_in_range(few.bytes_most, 8 * MIB, 11 * MIB);
    assert_in_range(many.bytes_most, 8 * MIB, 11 * MIB);
    assert_in_range(many.segments_most, 8, 24);
    assert_in_range(after_many, 1, after_few + after_few / 4);
}

// Real tasks commit a hundred times a second, this loop as often in a millisecond.
static void wait_for_cleaner(struct state *x) {
    for (uint64_t most = look(x); most > 32 * MIB; most = look(x)) usleep(1000);
}

TEST(so_many_commits_as_the_environment_says_to_a_real_folder) {
    const char *asked = getenv("CONNECTD_COMMITS");
    uint64_t commits = asked ? strtoull(asked, NULL, 10) : 0;
    struct state x = {0};
    struct err err;
    if (!commits) skip();
    const char *dir = tmpdir_new();
    assert_ok(fs_posix_open(dir, &x.fs, &err), err);
    open_state(&x, true);
    double began = now_ms(), start;
    while (x.commits < commits) {
        commit_some(&x, false);
        if (x.commits % (10 * TOGETHER) == 0) wait_for_cleaner(&x);
        if (x.commits % (commits / 10 / TOGETHER * TOGETHER + TOGETHER) == 0)
            print_message("%" PRIu64 " commits in %.0f s: at most %" PRIu64 " bytes, %u segments a partition\n", x.commits, (now_ms() - began) / 1e3, x.bytes_most, x.segments_most);
    }
    close_state(&x);
    fs_close(x.fs);
    start = now_ms();
    assert_ok(fs_posix_open(dir, &x.fs, &err), err);
    open_state(&x, true);
    print_message("%" PRIu64 " commits in %.0f s: at most %" PRIu64 " bytes, %u segments a partition; then a start with all state loaded took %.1f ms\n", x.commits,
                  (start - began) / 1e3, x.bytes_most, x.segments_most, now_ms() - start);
    check_values(&x);
    assert_in_range(x.bytes_most, 1, 128 * MIB); // the queue may hold some more commits than were waited for
    close_state(&x);
    fs_close(x.fs);
}
