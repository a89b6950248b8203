// SPDX-License-Identifier: Apache-2.0
// Allocations that fail under a source's commits and a sink's reads through the log's backend, once, or for any buffer of 200 bytes: each record
// and position is there once, in order, whoever had to try again. CONNECTD_SHARE and CONNECTD_SEED as for test_store_memory.
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "alloc_fail.h"
#include "backend/backend_embedded.h"
#include "base/mem.h"
#include "fs_mem.h"
#include "store/store.h"
#include "test.h"

enum { SHARE = 4, RECORDS = 60, COMMIT = 20, SMALL_LARGE = 200 };

struct under {
    struct fs *fs;
    struct store *store;
    struct backend *b;
    unsigned refused, restarts;
};

static void open_all(struct under *u) {
    struct err err;
    assert_ok(store_open(&(struct store_options){.fs = u->fs, .journal_bytes = 8 << 20, .commit_max_bytes = 7 << 20, .reserve_bytes = 65536, .checkpoint_ms = INT64_MAX / 4, .cleaner_off = true},
                         &u->store, &err), err);
    // A commit past 300 KiB goes on as a transaction.
    struct embedded_options o = {.store = u->store, .compression = CODEC_LZ4, .offsets_partitions = 2, .txn_partitions = 2, .commit_max_bytes = 300 << 10};
    assert_ok(backend_embedded_open(&o, &u->b, &err), err);
}
static void close_all(struct under *u) {
    struct err err;
    u->b->ops->close(u->b);
    assert_ok(store_close(u->store, &err), err);
}

// It was said no: nothing fails from now on.
static bool again(struct under *u, const struct err *err) {
    alloc_relief();
    u->refused++;
    return err_retriable(err);
}

struct answer { atomic_int done; struct err err; };
static void answered(void *arg, const struct err *err) {
    struct answer *a = arg;
    a->err = err ? *err : (struct err){0};
    atomic_store(&a->done, 1);
}
static bool durable(struct answer *a) {
    while (!atomic_load(&a->done)) usleep(100);
    atomic_store(&a->done, 0);
    return !a->err.code;
}

static int take_position(void *arg, struct str partition, struct str offset) {
    *(int *)arg = atoi(offset.p + strlen("{\"n\":"));
    return 0;
}

// Adds records from `from` on up to `to` and commits them with their position. False: the producer is finished.
static bool one_commit(struct under *u, struct producer *p, int from, int to) {
    const struct backend_ops *ops = u->b->ops;
    struct answer a = {0};
    struct err err;
    static char value[400000];
    for (int i = from; i < to; i++) {
        char key[16], position[32];
        size_t n = i == 7 ? sizeof(value) : i % 3 ? 100 : 30000; // number 7 goes beside no other
        snprintf(key, sizeof(key), "%d", i);
        snprintf(position, sizeof(position), "{\"n\":%d}", to);
        memset(value, 'a' + i % 26, n);
        struct backend_record r = {.topic = STR("t"), .partition = i % 2, .timestamp = 1000, .key = str_of(key), .value = str_make(value, n)};
        while (ops->add(p, &r, &err) != 0) {
            if (err.code == ERR_AGAIN) usleep(200);
            else if (!again(u, &err)) return false;
        }
        if (i + 1 < to) continue;
        struct backend_position at = {STR("{}"), str_of(position)};
        ops->commit(p, "c", &at, 1, NULL, NULL, 0, answered, &a);
        while (!durable(&a)) {
            if (!again(u, &a.err)) return false;
            ops->retry(p);
        }
    }
    return true;
}

// As a source task does: from the last durable position on, with a new producer whenever one is finished.
static void produce(struct under *u) {
    const struct backend_ops *ops = u->b->ops;
    struct producer *p = NULL;
    struct err err;
    for (int at = 0; at < RECORDS;) {
        while (!p && ops->producer_open(u->b, "connect-cluster/c/0", &p, &err) != 0)
            if (!again(u, &err)) fail_msg("producer: %s", err.msg);
        at = 0;
        while (ops->positions(u->b, "c", take_position, &at, &err) != 0)
            if (!again(u, &err)) fail_msg("positions: %s", err.msg);
        if (at >= RECORDS || one_commit(u, p, at, at + COMMIT)) continue;
        ops->producer_close(p);
        p = NULL;
        u->restarts++;
    }
    if (p) ops->producer_close(p);
}

// Key and length of every record, and whether the value is what was written.
static void consume(struct under *u, struct buf *out) {
    static const char *const topics[] = {"t"};
    const struct backend_ops *ops = u->b->ops;
    struct consumer *c = NULL;
    struct err err;
    const struct consumer_options o = {.topics = topics, .topic_count = 1, .from_beginning = true};
    struct { int n; struct str text[2]; char room[2][RECORDS * 24]; } got = {0};
    size_t used[2] = {0};
    for (int seen = 0; seen < RECORDS;) {
        const struct consumed *r;
        while (!c && ops->consumer_open(u->b, &o, &c, &err) != 0)
            if (!again(u, &err)) fail_msg("consumer: %s", err.msg);
        int n = ops->poll(c, 1 << 20, 20, &r, &err);
        if (n < 0 && !again(u, &err)) fail_msg("poll: %s", err.msg);
        for (int i = 0; i < n; i++, seen++) {
            bool good = r[i].value.n && r[i].value.p[r[i].value.n - 1] == 'a' + atoi(r[i].key.p) % 26;
            int at = r[i].partition;
            used[at] += (size_t)snprintf(got.room[at] + used[at], sizeof(got.room[at]) - used[at], "%.*s/%zu%s ", STR_FMT(r[i].key), r[i].value.n, good ? "" : "!");
        }
    }
    ops->consumer_close(c);
    alloc_relief();
    for (int i = 0; i < 2; i++) buf_printf(out, "%s\n", got.room[i]);
}

static struct under run(struct fs *disk, struct alloc_plan plan, uint64_t *ret_count, struct buf *out) {
    struct under u = {.fs = fs_mem_clone(disk)};
    open_all(&u);
    alloc_plan(plan);
    produce(&u);
    consume(&u, out);
    *ret_count = alloc_count();
    close_all(&u);
    struct fs *closed = u.fs;
    u.fs = fs_mem_clone(closed);
    fs_close(closed);
    open_all(&u);
    consume(&u, out);
    close_all(&u);
    fs_close(u.fs);
    return u;
}

static struct fs *prepared(void) {
    struct under u = {.fs = fs_mem_new()};
    struct err err;
    open_all(&u);
    assert_ok(u.b->ops->topic_ensure(u.b, &(struct topic_spec){.name = "t", .partitions = 2}, &err), err);
    close_all(&u);
    struct fs *disk = fs_mem_clone(u.fs);
    fs_close(u.fs);
    return disk;
}

static unsigned long from_env(const char *name, unsigned long otherwise) {
    const char *z = getenv(name);
    return z ? strtoul(z, NULL, 10) : otherwise;
}

TEST(whatever_allocation_fails_records_and_positions_are_there_once) {
    static const struct { const char *name; struct alloc_plan plan; } ways[] = {
        {"once", {.times = 1}},
        {"for any buffer of 200 bytes", {.times = 2, .least = SMALL_LARGE}},
        {"for a while", {.times = 6, .least = 10000}},
    };
    uint64_t dice = from_env("CONNECTD_SEED", 1), share = from_env("CONNECTD_SHARE", SHARE), runs = 0, refused = 0, restarts = 0;
    struct fs *disk = prepared();
    struct buf want = {0}, got = {0};
    uint64_t count;
    run(disk, (struct alloc_plan){0}, &count, &want);
    for (size_t i = 0; i < countof(ways); i++) {
        struct alloc_plan plan = ways[i].plan;
        mem_large = plan.least ? plan.least : MEM_LARGE;
        count = 1;
        for (uint64_t n = 1; n <= count; n++) {
            if (n > 1 && test_random(&dice) % share) continue;
            buf_clear(&got);
            plan.first = n;
            struct under u = run(disk, plan, &count, &got);
            if (!str_eq(buf_str(&got), buf_str(&want)))
                fail_msg("allocation %llu of %llu fails %s: there is\n%s\nnot\n%s", (unsigned long long)n, (unsigned long long)count, ways[i].name, buf_cstr(&got), buf_cstr(&want));
            runs++;
            refused += u.refused;
            restarts += u.restarts;
        }
    }
    mem_large = MEM_LARGE;
    buf_done(&want);
    buf_done(&got);
    fs_close(disk);
    print_message("%llu runs, %llu calls said no, %llu producers began anew\n", (unsigned long long)runs, (unsigned long long)refused, (unsigned long long)restarts);
}
