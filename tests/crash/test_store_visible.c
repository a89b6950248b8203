// SPDX-License-Identifier: Apache-2.0
// Nothing is seen before its commit: a reader looks at every moment at which the disk is asked for something, and a map over a topic
// built from what it reads holds nothing that a power cut at that moment could take back.
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "fs_fault.h"
#include "fs_mem.h"
#include "store_script.h"
#include "test.h"

// A file system that stops the flusher in the middle of a commit: after the segment was written, before the frame is synced.
struct gate {
    struct fs fs;
    struct fs_ops ops;
    struct fs *inner;
    pthread_mutex_t lock;
    pthread_cond_t moved;
    bool armed, reached, open;
};
static struct gate *gate; // one at a time: the operations know their file only

static int gated_sync(struct fs_file *f, struct err *err) {
    pthread_mutex_lock(&gate->lock);
    if (gate->armed) {
        gate->armed = false;
        gate->reached = true;
        pthread_cond_broadcast(&gate->moved);
        while (!gate->open) pthread_cond_wait(&gate->moved, &gate->lock);
    }
    pthread_mutex_unlock(&gate->lock);
    return gate->inner->ops->fdatasync(f, err);
}

static void gate_wait_reached(void) {
    pthread_mutex_lock(&gate->lock);
    while (!gate->reached) pthread_cond_wait(&gate->moved, &gate->lock);
    pthread_mutex_unlock(&gate->lock);
}

static void gate_open(void) {
    pthread_mutex_lock(&gate->lock);
    gate->open = true;
    pthread_cond_broadcast(&gate->moved);
    pthread_mutex_unlock(&gate->lock);
}

static struct buf batch_of(const char *key, const char *value) {
    struct batch_builder b;
    struct buf out = {0};
    struct err err;
    batch_begin(&b, &out, CODEC_NONE);
    batch_add(&b, 1, str_of(key), str_of(value), NULL, 0);
    assert_ok(batch_end(&b, &err), err);
    return out;
}

static void start(struct store *s, struct topic *t, const char *value, commit_done *done, void *arg) {
    struct commit *c = commit_new(s);
    struct buf batch = batch_of("k", value);
    struct err err;
    assert_ok(commit_append(c, topic_partition(t, 0), &batch, true, &err), err);
    store_commit(s, c, false, done, arg);
}

// What a map over the topic would hold for the one key: the last value that can be read.
static void latest(struct topic *t, char ret[32]) {
    struct buf out = {0}, scratch = {0};
    struct read_request q = {.max_bytes = 1 << 20};
    struct read_result r;
    struct batch_header h;
    struct record_iter it;
    struct record rec;
    struct err err;
    strcpy(ret, "nothing");
    assert_ok(partition_read(topic_partition(t, 0), &q, &out, &r, &err), err);
    for (size_t at = 0; at < r.n; at += batch_size(&h)) {
        assert_int_equal(batch_read_header(out.p + at, r.n - at, &h), 0);
        assert_ok(record_iter_init(&it, out.p + at, batch_size(&h), &scratch, 1000, &err), err);
        while (record_iter_next(&it, &rec, &err) > 0) snprintf(ret, 32, "%.*s", STR_FMT(rec.value));
    }
    buf_done(&out);
    buf_done(&scratch);
}

static void note_done(void *arg, const struct err *err, const struct append_result *results, size_t n) { atomic_store((atomic_int *)arg, err ? -1 : 1); }
static void note_woken(void *arg) { atomic_fetch_add((atomic_int *)arg, 1); }

TEST(while_a_commit_is_not_synced_no_reader_no_watch_no_map_and_no_producer_hears_of_it) {
    struct fs *mem = fs_mem_new();
    struct gate g = {.ops = *mem->ops, .inner = mem, .lock = PTHREAD_MUTEX_INITIALIZER, .moved = PTHREAD_COND_INITIALIZER};
    struct store_options o;
    struct store *s;
    struct err err;
    char value[32];
    atomic_int first = 0, done = 0, woken = 0;
    gate = &g;
    g.ops.fdatasync = gated_sync;
    const struct fs_ops *plain = mem->ops;
    mem->ops = &g.ops;
    g.inner = &(struct fs){.ops = plain};
    o = script_options(mem);
    assert_ok(store_open(&o, &s, &err), err);
    assert_ok(store_topic_create(s, "t", 1, NULL, 0, &err), err);
    struct topic *t = topic_get(s, "t");
    start(s, t, "durable", note_done, &first);
    while (!atomic_load(&first)) sched_yield();
    struct watch w = {.partition = topic_partition(t, 0), .beyond = 1, .fn = note_woken, .arg = &woken};
    partition_watch(&w);

    g.armed = true;
    start(s, t, "on its way", note_done, &done);
    gate_wait_reached();
    struct partition_offsets at;
    partition_offsets(topic_partition(t, 0), &at);
    assert_int_equal(at.high_watermark, 1);
    assert_int_equal(at.last_stable, 1);
    latest(t, value);
    assert_string_equal(value, "durable");
    int64_t offset, ts;
    assert_ok(partition_offset_for_time(topic_partition(t, 0), -1, &offset, &ts, &err), err);
    assert_int_equal(offset, 0);
    struct buf out = {0};
    struct read_result r;
    struct read_request beyond = {.from = 1, .max_bytes = 1000};
    assert_ok(partition_read(topic_partition(t, 0), &beyond, &out, &r, &err), err);
    assert_int_equal(r.n, 0);
    assert_int_equal(atomic_load(&woken), 0);
    assert_int_equal(atomic_load(&done), 0);

    gate_open();
    while (!atomic_load(&done)) sched_yield();
    assert_int_equal(atomic_load(&woken), 1);
    latest(t, value);
    assert_string_equal(value, "on its way");
    partition_unwatch(&w);
    topic_unref(t);
    assert_ok(store_close(s, &err), err);
    buf_done(&out);
    mem->ops = plain;
    fs_close(mem);
}
