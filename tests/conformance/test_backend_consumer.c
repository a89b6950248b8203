// SPDX-License-Identifier: Apache-2.0
// What every backend does with a consumer, by the contracts in backend.h. Each case runs on each engine.
#include "backend_steps.h"

#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/thread.h"

static void take_value(void *arg, const struct consumed *r) { buf_puts(arg, r->value); }

static void fill(struct backend *b, const char *topic, int32_t partition, int n) {
    struct producer *p = make_producer(b, "fill");
    for (int i = 0; i < n; i++) {
        char value[16];
        snprintf(value, sizeof(value), "%d", i);
        add(b, p, topic, partition, NULL, value);
    }
    assert_int_equal(commit(b, p), ERR_NONE);
    b->ops->producer_close(p);
}

CASE(a_group_starts_where_it_committed) {
    struct err err;
    const char *topic = "t";
    make_topic(b, "t", 2);
    fill(b, "t", 0, 3);
    fill(b, "t", 1, 3);
    assert_ok(b->ops->offsets_set(b, "g", (struct backend_offset[]){{.topic = "t", .partition = 1, .offset = 2}}, 1, &err), err);
    struct consumer *c = make_consumer(b, &(struct consumer_options){.group = "g", .topics = &topic, .topic_count = 1});
    struct buf got = {0};
    read_text(b, c, 1, &got);
    assert_buf(&got, "1@2:=2\n"); // partition 0 has no offset: from its end
    fill(b, "t", 0, 1);
    read_text(b, c, 1, &got);
    assert_buf(&got, "0@3:=0\n");
    buf_done(&got);
    b->ops->consumer_close(c);
}

struct events { struct buf text; int64_t start; };
static int on_assigned(void *arg, const struct assigned *a, int64_t *offset, struct err *err) {
    (void)err;
    struct events *e = arg;
    buf_printf(&e->text, "+%s-%d@%lld ", a->topic, a->partition, (long long)*offset);
    if (e->start) *offset = e->start;
    return 0;
}
static void on_revoked(void *arg, const char *topic, int32_t partition) {
    buf_printf(&((struct events *)arg)->text, "-%s-%d ", topic, partition);
}

CASE(a_pattern_follows_topics_that_come_and_go) {
    struct err err;
    struct events e = {0};
    make_topic(b, "shop.a", 1);
    make_topic(b, "other", 1);
    make_topic(b, "__shop.b", 1);
    struct consumer *c = make_consumer(b, &(struct consumer_options){
        .group = "g", .regex = "shop\\..*|__.*", .from_beginning = true, .assigned = on_assigned, .revoked = on_revoked, .arg = &e});
    const struct consumed *r;
    for (int i = 0; i < 5; i++) assert_int_equal(b->ops->poll(c, 1000, 10, &r, &err), 0);
    assert_buf(&e.text, "+shop.a-0@0 ");
    make_topic(b, "shop.c", 2);
    for (int i = 0; i < 100 && !e.text.n; i++) assert_int_equal(b->ops->poll(c, 1000, 10, &r, &err), 0);
    assert_has(buf_cstr(&e.text), "+shop.c-0@0 ");
    assert_has(buf_cstr(&e.text), "+shop.c-1@0 ");
    buf_clear(&e.text);
    assert_ok(b->ops->topic_delete(b, "shop.a", &err), err);
    for (int i = 0; i < 100 && !e.text.n; i++) assert_int_equal(b->ops->poll(c, 1000, 10, &r, &err), 0);
    assert_buf(&e.text, "-shop.a-0 ");
    buf_done(&e.text);
    b->ops->consumer_close(c);
}

struct noted { struct uuid id; int times; };
static int note_id(void *arg, const struct assigned *a, int64_t *offset, struct err *err) {
    struct noted *n = arg;
    n->id = a->topic_id;
    n->times++;
    return 0;
}

// A topic that is deleted and made again is another one: what a group has read of the first says nothing about it.
CASE(a_topic_made_again_is_read_from_its_start_whatever_was_committed_for_the_first) {
    struct err err;
    struct noted first = {0}, second = {0};
    const char *topic = "t";
    const struct consumed *r;
    make_topic(b, "t", 1);
    fill(b, "t", 0, 3);
    struct consumer_options o = {.group = "g", .topics = &topic, .topic_count = 1, .from_beginning = true, .assigned = note_id, .arg = &first};
    struct consumer *c = make_consumer(b, &o);
    struct buf got = {0};
    read_text(b, c, 3, &got);
    struct producer *p = make_producer(b, "id");
    struct answer a = {0};
    struct backend_offset at = {"t", 0, 2, first.id};
    b->ops->commit(p, NULL, NULL, 0, "g", &at, 1, answered, &a);
    wait_answer(&a, 1);
    assert_offsets(b, "g", "t-0 -> 2\n");
    assert_ok(b->ops->topic_delete(b, "t", &err), err);
    make_topic(b, "t", 1);
    b->ops->commit(p, NULL, NULL, 0, "g", &at, 1, answered, &a); // the task has not heard of it yet
    wait_answer(&a, 2);
    assert_int_equal(a.code, ERR_NONE);
    assert_offsets(b, "g", "");
    fill(b, "t", 0, 5);
    b->ops->consumer_close(c);
    o.arg = &second;
    c = make_consumer(b, &o);
    buf_clear(&got);
    read_text(b, c, 5, &got);
    assert_buf(&got, "0@0:=0\n0@1:=1\n0@2:=2\n0@3:=3\n0@4:=4\n");
    assert_int_equal(b->ops->poll(c, 1000, 0, &r, &err), 0);
    assert_false(uuid_is_zero(second.id));
    assert_false(uuid_eq(first.id, second.id));
    buf_done(&got);
    b->ops->producer_close(p);
    b->ops->consumer_close(c);
}

CASE(a_wrong_pattern_says_where) {
    struct consumer *c;
    struct err err;
    assert_fails(b->ops->consumer_open(b, &(struct consumer_options){.regex = "a(b"}, &c, &err), err, ERR_INVALID);
    assert_has(err.msg, "a(b");
}

CASE(the_assigned_callback_may_move_the_start) {
    struct events e = {.start = 2};
    const char *topic = "t";
    make_topic(b, "t", 1);
    fill(b, "t", 0, 4);
    struct consumer *c = make_consumer(b, &(struct consumer_options){
        .topics = &topic, .topic_count = 1, .from_beginning = true, .assigned = on_assigned, .arg = &e});
    struct buf got = {0};
    read_text(b, c, 2, &got);
    assert_buf(&got, "0@2:=2\n0@3:=3\n");
    buf_done(&got);
    buf_done(&e.text);
    b->ops->consumer_close(c);
}

static int count_assignment(void *arg, const char *topic, int32_t partition, int64_t next, int64_t end) {
    (void)topic, (void)next, (void)end;
    int *seen = arg;
    seen[partition]++;
    return 0;
}

CASE(members_share_the_partitions_without_overlap) {
    struct err err;
    const char *topic = "t";
    int seen[8] = {0};
    make_topic(b, "t", 8);
    for (uint32_t m = 0; m < 3; m++) {
        struct consumer *c = make_consumer(b, &(struct consumer_options){.topics = &topic, .topic_count = 1, .member = m, .members = 3});
        const struct consumed *r;
        assert_int_equal(b->ops->poll(c, 1000, 0, &r, &err), 0);
        int mine[8] = {0}, n = 0;
        b->ops->assignment(c, count_assignment, mine);
        for (int i = 0; i < 8; i++) n += mine[i], seen[i] += mine[i];
        assert_true(n == 2 || n == 3);
        b->ops->consumer_close(c);
    }
    for (int i = 0; i < 8; i++) assert_int_equal(seen[i], 1);
}

CASE(seek_and_pause_are_obeyed) {
    struct err err;
    make_topic(b, "t", 2);
    fill(b, "t", 0, 3);
    fill(b, "t", 1, 3);
    struct consumer *c = from_beginning(b, "t");
    struct buf got = {0};
    read_text(b, c, 6, &got);
    buf_clear(&got);
    b->ops->pause(c, "t", 1, true);
    assert_ok(b->ops->seek(c, "t", 0, 1, &err), err);
    assert_ok(b->ops->seek(c, "t", 1, 1, &err), err);
    assert_fails(b->ops->seek(c, "t", 2, 1, &err), err, ERR_NOT_FOUND);
    read_text(b, c, 2, &got);
    assert_buf(&got, "0@1:=1\n0@2:=2\n");
    assert_empty(b, c);
    b->ops->pause(c, "t", 1, false);
    read_text(b, c, 2, &got);
    assert_buf(&got, "1@1:=1\n1@2:=2\n");
    buf_done(&got);
    b->ops->consumer_close(c);
}

CASE(a_poll_is_bounded_in_bytes_and_gives_at_least_one_record) {
    struct err err;
    make_topic(b, "t", 1);
    struct producer *p = make_producer(b, "id");
    char *big = xcalloc(1, 100001);
    memset(big, 'x', 100000);
    for (int i = 0; i < 20; i++) {
        add(b, p, "t", 0, NULL, big);
        assert_int_equal(commit(b, p), ERR_NONE);
    }
    struct consumer *c = from_beginning(b, "t");
    const struct consumed *r;
    int n = 0, total = 0;
    for (int i = 0; i < 1000 && total < 20; i++) {
        n = b->ops->poll(c, 250000, 50, &r, &err);
        assert_true(n >= 0 && n <= 4);
        total += n;
    }
    assert_int_equal(total, 20);
    free(big);
    b->ops->consumer_close(c);
    b->ops->producer_close(p);
}

CASE(a_large_batch_is_handed_out_in_parts) {
    struct err err;
    make_topic(b, "t", 1);
    fill(b, "t", 0, 5000);
    struct consumer *c = from_beginning(b, "t");
    const struct consumed *r;
    int64_t next = 0;
    for (int i = 0; i < 10000 && next < 5000; i++) {
        int n = b->ops->poll(c, 2000, 50, &r, &err);
        assert_true(n >= 0 && n < 1000);
        for (int k = 0; k < n; k++) assert_int_equal(r[k].offset, next++);
        if (n) { // also after a seek into the middle of a batch
            assert_ok(b->ops->seek(c, "t", 0, next, &err), err);
        }
    }
    assert_int_equal(next, 5000);
    b->ops->consumer_close(c);
}

CASE(a_compressed_topic_is_read_in_parts_too) {
    struct err err;
    struct topic_setting codec = {"compression.type", "lz4"};
    assert_ok(b->ops->topic_ensure(b, &(struct topic_spec){"t", 1, &codec, 1}, &err), err);
    for (int i = 0; i < 3; i++) fill(b, "t", 0, 1000);
    struct consumer *c = from_beginning(b, "t");
    const struct consumed *r;
    int64_t next = 0;
    for (int i = 0; i < 10000 && next < 3000; i++) {
        int n = b->ops->poll(c, 5000, 50, &r, &err);
        assert_true(n >= 0);
        for (int k = 0; k < n; k++) {
            char want[16];
            snprintf(want, sizeof(want), "%d", (int)(next % 1000));
            assert_int_equal(r[k].offset, next++);
            assert_str(r[k].value, want);
        }
    }
    assert_int_equal(next, 3000);
    struct buf got = {0};
    assert_ok(b->ops->fetch(b, "t", 0, 1234, take_value, &got, &err), err);
    assert_buf(&got, "234");
    buf_done(&got);
    b->ops->consumer_close(c);
}

static uint64_t bytes_at_level(struct backend *b, const char *topic, const char *level) {
    struct topic_setting s[] = {{"compression.type", "zstd"}, {"compression.zstd.level", level}};
    struct partition_info info;
    struct err err;
    assert_ok(b->ops->topic_ensure(b, &(struct topic_spec){topic, 1, s, 2}, &err), err);
    fill(b, topic, 0, 3000);
    assert_ok(b->ops->partition(b, topic, 0, &info, &err), err);
    return info.bytes;
}

CASE(a_topics_level_says_how_hard_its_batches_are_compressed) {
    if (engine == &engine_memory) return; // compresses nothing
    assert_true(bytes_at_level(b, "fast", "-100") > bytes_at_level(b, "hard", "19"));
}

CASE(one_busy_partition_does_not_starve_another) {
    struct err err;
    make_topic(b, "t", 2);
    fill(b, "t", 0, 5000);
    fill(b, "t", 1, 5);
    struct consumer *c = from_beginning(b, "t");
    const struct consumed *r;
    int polls = 0;
    for (bool seen = false; !seen; polls++) {
        assert_true(polls < 10);
        int n = b->ops->poll(c, 4000, 50, &r, &err);
        for (int i = 0; i < n; i++) seen |= r[i].partition == 1;
    }
    b->ops->consumer_close(c);
}

static void *wake_later(void *arg) {
    usleep(20000);
    wake_signal(*(int *)arg);
    return NULL;
}

CASE(a_blocking_poll_is_woken) {
    struct err err;
    make_topic(b, "t", 1);
    struct consumer *c = from_beginning(b, "t");
    const struct consumed *r;
    assert_int_equal(b->ops->poll(c, 1000, 0, &r, &err), 0); // the assignment
    int fd = b->ops->wake_fd(c);
    pthread_t thread;
    assert_ok(thread_start(&thread, "waker", wake_later, &fd, &err), err);
    assert_int_equal(b->ops->poll(c, 1000, 60000, &r, &err), 0);
    pthread_join(thread, NULL);
    b->ops->consumer_close(c);
}

struct late { struct backend *b; struct producer *p; };
static void *produce_later(void *arg) {
    struct late *l = arg;
    usleep(20000);
    add(l->b, l->p, "t", 0, "k", "late");
    commit(l->b, l->p);
    return NULL;
}

CASE(a_blocking_poll_ends_when_a_record_becomes_durable) {
    struct err err;
    make_topic(b, "t", 1);
    struct late late = {b, make_producer(b, "id")};
    struct consumer *c = from_beginning(b, "t");
    pthread_t thread;
    assert_ok(thread_start(&thread, "producer", produce_later, &late, &err), err);
    const struct consumed *r;
    int n = 0;
    for (int i = 0; i < 5 && !n; i++) n = b->ops->poll(c, 1000, 60000, &r, &err);
    assert_int_equal(n, 1);
    pthread_join(thread, NULL);
    b->ops->consumer_close(c);
    b->ops->producer_close(late.p);
}

CASE(one_record_is_fetched_by_its_offset) {
    struct err err;
    make_topic(b, "t", 1);
    fill(b, "t", 0, 10);
    struct buf got = {0};
    assert_ok(b->ops->fetch(b, "t", 0, 7, take_value, &got, &err), err);
    assert_buf(&got, "7");
    assert_fails(b->ops->fetch(b, "t", 0, 10, take_value, &got, &err), err, ERR_NOT_FOUND);
    assert_fails(b->ops->fetch(b, "t", 1, 0, take_value, &got, &err), err, ERR_NOT_FOUND);
    assert_fails(b->ops->fetch(b, "nowhere", 0, 0, take_value, &got, &err), err, ERR_NOT_FOUND);
    buf_done(&got);
}
