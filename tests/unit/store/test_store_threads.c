// SPDX-License-Identifier: Apache-2.0
// Everything at once: writers, readers, long polls, checkpoints, retention, compaction, topics that come and go. For ThreadSanitizer, and
// for the invariants that only threads can break.
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/thread.h"
#include "fixture.h"

enum { WRITERS = 3, READERS = 2, COMMITS = 400, PARTITIONS = 3 };

struct all {
    struct store *s;
    struct topic *t;
    atomic_int writing;
    atomic_int read;
};
struct one {
    struct all *x;
    int number;
    pthread_t thread;
};

static void append(struct commit *c, struct topic *t, int partition, const char *text) {
    struct buf batch = fixture_text(text);
    struct err err;
    assert_ok(commit_append(c, topic_partition(t, partition), &batch, partition % 2, &err), err);
}

static void *write_some(void *arg) {
    struct one *w = arg;
    char text[64];
    struct err err;
    for (int i = 0; i < COMMITS; i++) {
        struct commit *c = commit_new(w->x->s);
        struct append_result results[2];
        snprintf(text, sizeof(text), "%d:%d", w->number, i);
        append(c, w->x->t, w->number, text); // its own partition, and one that all share
        append(c, w->x->t, PARTITIONS, text);
        assert_ok(store_commit_wait(w->x->s, c, results, &err), err);
        assert_int_equal(results[0].base_offset, i);
        assert_true(fixture_offsets(w->x->s, "t", w->number).high_watermark > i);
    }
    atomic_fetch_sub(&w->x->writing, 1);
    return NULL;
}

struct poll { pthread_mutex_t lock; pthread_cond_t cond; bool woken; };

static void wake(void *arg) {
    struct poll *p = arg;
    LOCK_SCOPE(&p->lock);
    p->woken = true;
    pthread_cond_signal(&p->cond);
}

static void long_poll(struct partition *p, int64_t beyond) {
    struct poll poll = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false};
    struct watch w = {.partition = p, .beyond = beyond, .fn = wake, .arg = &poll};
    partition_watch(&w);
    pthread_mutex_lock(&poll.lock);
    if (beyond % 3) // every third time the reader changes its mind
        while (!poll.woken) pthread_cond_wait(&poll.cond, &poll.lock);
    pthread_mutex_unlock(&poll.lock);
    partition_unwatch(&w);
}

// Offsets come without gap; the shared partition holds each writer's texts in its order.
static void *read_all(void *arg) {
    struct one *r = arg;
    struct partition *p = topic_partition(r->x->t, PARTITIONS);
    struct buf out = {0}, scratch = {0};
    struct read_request q = {.max_bytes = 4000};
    int next[WRITERS] = {0}, writer, number;
    while (q.from < WRITERS * COMMITS) {
        struct read_result res;
        struct batch_header h;
        struct record_iter it;
        struct record rec;
        struct err err;
        buf_clear(&out);
        assert_ok(partition_read(p, &q, &out, &res, &err), err);
        for (size_t at = 0; at < res.n; at += batch_size(&h)) {
            assert_int_equal(batch_read_header(out.p + at, res.n - at, &h), 0);
            assert_int_equal(h.base_offset, q.from++);
            assert_ok(record_iter_init(&it, out.p + at, batch_size(&h), &scratch, 1000, &err), err);
            assert_int_equal(record_iter_next(&it, &rec, &err), 1);
            assert_int_equal(sscanf(rec.value.p, "%d:%d", &writer, &number), 2);
            assert_int_equal(number, next[writer]++);
        }
        if (!res.n) long_poll(p, q.from);
    }
    buf_done(&out);
    buf_done(&scratch);
    return NULL;
}

static void *come_and_go(void *arg) {
    struct one *w = arg;
    struct err err;
    char name[32];
    for (int i = 0; atomic_load(&w->x->writing) > 0; i++) {
        snprintf(name, sizeof(name), "passing-%d", i % 3);
        fixture_topic(w->x->s, name, 2, "segment.bytes", "500");
        for (int k = 0; k < 5; k++) fixture_put(w->x->s, name, k % 2, "x", &err);
        assert_ok(store_topic_alter(w->x->s, name, 3, NULL, 0, &err), err);
        struct topic_setting retention = {"retention.ms", "1"};
        assert_ok(store_topic_alter(w->x->s, name, 0, &retention, 1, &err), err);
        assert_ok(store_topic_delete(w->x->s, name, &err), err);
    }
    return NULL;
}

static void *keep_house(void *arg) {
    struct one *w = arg;
    struct err err;
    struct buf out = {0};
    int64_t id;
    while (atomic_load(&w->x->writing) > 0) {
        assert_ok(store_checkpoint(w->x->s, &err), err);
        if (store_clean(w->x->s, &err)) assert_true(err.code == ERR_AGAIN || err.code == ERR_NOT_FOUND);
        assert_ok(store_producer_id(w->x->s, &id, &err), err);
        struct json_writer j = json_to(&out);
        store_status_json(w->x->s, &j);
        buf_clear(&out);
    }
    buf_done(&out);
    return NULL;
}

static void start(struct one *o, struct all *x, int number, void *(*run)(void *)) {
    struct err err;
    *o = (struct one){.x = x, .number = number};
    assert_ok(thread_start(&o->thread, "test", run, o, &err), err);
}

TEST(writers_readers_polls_checkpoints_cleaning_and_topics_do_not_get_into_each_others_way) {
    struct fs *fs = fs_mem_new();
    struct store_options o = fixture_options(fs);
    struct one threads[WRITERS + READERS + 2];
    struct all x = {.writing = WRITERS};
    struct err err;
    int n = 0;
    o.checkpoint_ms = 1;
    o.open_files = 6; // files come and go too
    assert_ok(store_open(&o, &x.s, &err), err);
    fixture_topic(x.s, "t", PARTITIONS + 1, "segment.bytes", "4000");
    struct topic_setting keep = {"retention.ms", "-1"};
    assert_ok(store_topic_alter(x.s, "t", 0, &keep, 1, &err), err);
    x.t = topic_get(x.s, "t");
    for (int i = 0; i < WRITERS; i++) start(&threads[n++], &x, i, write_some);
    for (int i = 0; i < READERS; i++) start(&threads[n++], &x, i, read_all);
    start(&threads[n++], &x, 0, come_and_go);
    start(&threads[n++], &x, 0, keep_house);
    for (int i = 0; i < n; i++) pthread_join(threads[i].thread, NULL);
    topic_unref(x.t);
    assert_ok(store_close(x.s, &err), err);
    struct fs *copy = fs_mem_clone(fs);
    fs_close(fs);
    x.s = fixture_open(copy);
    assert_int_equal(fixture_offsets(x.s, "t", PARTITIONS).high_watermark, WRITERS * COMMITS);
    fixture_close(x.s);
    fs_close(copy);
}
