// SPDX-License-Identifier: Apache-2.0
// What every backend does, by the contracts in backend.h. Each case runs on each engine.
#include "test.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "backend/backend.h"
#include "backend_engines.h"
#include "base/mem.h"
#include "base/thread.h"

enum { BIG = 1000000 }; // bytes of a value: just below the default max.message.bytes

// ── helpers ──

struct answer {
    atomic_int done;
    enum err_code code;
};
static void answered(void *arg, const struct err *err) {
    struct answer *a = arg;
    a->code = err ? err->code : ERR_NONE;
    atomic_fetch_add(&a->done, 1);
}
static void wait_answer(struct answer *a, int times) {
    for (int i = 0; atomic_load(&a->done) < times; i++) {
        if (i > 20000) fail_msg("no answer within 20 s");
        usleep(1000);
    }
}

static void make_topic(struct backend *b, const char *name, int32_t partitions) {
    struct err err;
    assert_ok(b->ops->topic_ensure(b, &(struct topic_spec){.name = name, .partitions = partitions}, &err), err);
}

static struct producer *make_producer(struct backend *b, const char *id) {
    struct producer *p;
    struct err err;
    assert_ok(b->ops->producer_open(b, id, &p, &err), err);
    return p;
}

static void add(struct backend *b, struct producer *p, const char *topic, int32_t partition, const char *key, const char *value) {
    struct err err;
    struct backend_record r = {.topic = str_of(topic), .partition = partition, .timestamp = 1000, .key = str_of(key), .value = str_of(value)};
    int rc;
    for (int i = 0; (rc = b->ops->add(p, &r, &err)) != 0 && err.code == ERR_AGAIN && i < 20000; i++) usleep(1000); // commits are under way
    assert_ok(rc, err);
}

static enum err_code commit(struct backend *b, struct producer *p) {
    struct answer a = {0};
    b->ops->commit(p, NULL, NULL, 0, NULL, NULL, 0, answered, &a);
    wait_answer(&a, 1);
    return a.code;
}

static struct consumer *make_consumer(struct backend *b, const struct consumer_options *o) {
    struct consumer *c;
    struct err err;
    assert_ok(b->ops->consumer_open(b, o, &c, &err), err);
    return c;
}

static struct consumer *from_beginning(struct backend *b, const char *topic) {
    return make_consumer(b, &(struct consumer_options){.topics = &topic, .topic_count = 1, .from_beginning = true});
}

// Appends "partition@offset:key=value\n" of the next `want` records.
static void read_text(struct backend *b, struct consumer *c, size_t want, struct buf *out) {
    struct err err;
    size_t have = 0;
    for (int empty = 0; have < want && empty < 200;) {
        const struct consumed *r;
        int n = b->ops->poll(c, 1 << 20, 50, &r, &err);
        if (n < 0) fail_msg("poll: %s", err.msg);
        for (int i = 0; i < n; i++)
            buf_printf(out, "%d@%lld:%.*s=%.*s\n", r[i].partition, (long long)r[i].offset, STR_FMT(r[i].key), STR_FMT(r[i].value));
        have += (size_t)n;
        empty = n ? 0 : empty + 1;
    }
}

static void assert_empty(struct backend *b, struct consumer *c) {
    struct err err;
    const struct consumed *r;
    for (int i = 0; i < 3; i++) assert_int_equal(b->ops->poll(c, 1 << 20, 20, &r, &err), 0);
}

static int position_text(void *arg, struct str partition, struct str offset) {
    buf_printf(arg, "%.*s -> %.*s\n", STR_FMT(partition), STR_FMT(offset));
    return 0;
}
static void assert_positions(struct backend *b, const char *connector, const char *want) {
    struct buf got = {0};
    struct err err;
    assert_ok(b->ops->positions(b, connector, position_text, &got, &err), err);
    assert_buf(&got, want);
    buf_done(&got);
}

static int offset_text(void *arg, const struct backend_offset *o) {
    buf_printf(arg, "%s-%d -> %lld\n", o->topic, o->partition, (long long)o->offset);
    return 0;
}
static void assert_offsets(struct backend *b, const char *group, const char *want) {
    struct buf got = {0};
    struct err err;
    assert_ok(b->ops->offsets(b, group, offset_text, &got, &err), err);
    assert_buf(&got, want);
    buf_done(&got);
}

// ── topics ──

static int topic_text(void *arg, const struct topic_info *t) {
    if (strncmp(t->name, "t-", 2) == 0) buf_printf(arg, "%s %d\n", t->name, t->partitions);
    return 0;
}

CASE(a_topic_is_made_once_and_left_as_it_is) {
    struct err err;
    make_topic(b, "t-a", 3);
    make_topic(b, "t-a", 7);
    make_topic(b, "t-b", 0);
    struct buf got = {0};
    assert_ok(b->ops->topics(b, topic_text, &got, &err), err);
    assert_buf(&got, "t-a 3\nt-b 1\n");
    buf_done(&got);
    struct partition_info info;
    assert_ok(b->ops->partition(b, "t-a", 2, &info, &err), err);
    assert_fails(b->ops->partition(b, "t-a", 3, &info, &err), err, ERR_NOT_FOUND);
    assert_ok(b->ops->topic_delete(b, "t-a", &err), err);
    assert_fails(b->ops->topic_delete(b, "t-a", &err), err, ERR_NOT_FOUND);
}

// ── producing ──

CASE(a_commit_is_read_back_in_order_with_headers_and_nulls) {
    struct err err;
    make_topic(b, "t", 1);
    struct producer *p = make_producer(b, "id");
    struct backend_header h[] = {{STR("a"), STR("1"), false}, {STR("b"), {NULL, 0}, true}};
    struct backend_record r = {.topic = STR("t"), .partition = -1, .timestamp = 42, .key = STR("k"), .headers = h, .header_count = 2};
    assert_ok(b->ops->add(p, &r, &err), err);
    add(b, p, "t", 0, NULL, "v");
    assert_true(b->ops->pending_bytes(p) > 0);
    assert_int_equal(commit(b, p), ERR_NONE);
    assert_int_equal(b->ops->pending_bytes(p), 0);

    struct consumer *c = from_beginning(b, "t");
    const struct consumed *got = NULL;
    int n = 0;
    for (int i = 0; i < 100 && !n; i++) n = b->ops->poll(c, 1 << 20, 50, &got, &err);
    assert_int_equal(n, 2);
    assert_int_equal(got[0].timestamp, 42);
    assert_str(got[0].key, "k");
    assert_null(got[0].value.p);
    assert_int_equal(got[0].header_count, 2);
    assert_str(got[0].headers[0].name, "a");
    assert_str(got[0].headers[0].value, "1");
    assert_true(got[0].headers[1].null_value);
    assert_null(got[1].key.p);
    assert_str(got[1].value, "v");
    assert_int_equal(got[1].offset, 1);
    b->ops->consumer_close(c);
    b->ops->producer_close(p);
}

CASE(what_is_not_committed_is_not_read) {
    make_topic(b, "t", 1);
    struct producer *p = make_producer(b, "id");
    add(b, p, "t", 0, "k", "thrown away");
    b->ops->abort(p);
    assert_int_equal(b->ops->pending_bytes(p), 0);
    add(b, p, "t", 0, "k", "open");
    struct consumer *c = from_beginning(b, "t");
    assert_empty(b, c);
    assert_int_equal(commit(b, p), ERR_NONE);
    struct buf got = {0};
    read_text(b, c, 1, &got);
    assert_buf(&got, "0@0:k=open\n");
    buf_done(&got);
    b->ops->consumer_close(c);
    b->ops->producer_close(p);
}

CASE(closing_a_producer_aborts_what_is_open) {
    make_topic(b, "t", 1);
    struct producer *p = make_producer(b, "id");
    add(b, p, "t", 0, "k", "open");
    b->ops->producer_close(p);
    struct consumer *c = from_beginning(b, "t");
    assert_empty(b, c);
    b->ops->consumer_close(c);
}

CASE(keys_choose_partitions_as_java_does) {
    make_topic(b, "t", 3);
    struct producer *p = make_producer(b, "id");
    // Utils.toPositive(Utils.murmur2("21".getBytes())) % 3 and so on, from Kafka's DefaultPartitioner.
    const char *keys[] = {"21", "foobar", "a-little-bit-long-string", "a-little-bit-longer-string", "abc"};
    const int hashes[] = {-973932308, -790332482, -985981536, -1486304829, 479470107};
    for (size_t i = 0; i < countof(keys); i++) add(b, p, "t", -1, keys[i], "v");
    assert_int_equal(commit(b, p), ERR_NONE);
    struct consumer *c = from_beginning(b, "t");
    struct buf got = {0};
    read_text(b, c, countof(keys), &got);
    for (size_t i = 0; i < countof(keys); i++) {
        char want[64], tail[64];
        snprintf(want, sizeof(want), "%d@", (int)((unsigned)hashes[i] & 0x7fffffff) % 3);
        snprintf(tail, sizeof(tail), ":%s=v\n", keys[i]);
        const char *line = strstr(buf_cstr(&got), tail);
        assert_non_null(line);
        while (line > (char *)got.p && line[-1] != '\n') line--;
        assert_memory_equal(line, want, strlen(want));
    }
    buf_done(&got);
    b->ops->consumer_close(c);
    b->ops->producer_close(p);
}

CASE(records_without_keys_are_spread_commit_by_commit) {
    struct err err;
    make_topic(b, "t", 4);
    struct producer *p = make_producer(b, "id");
    for (int i = 0; i < 8; i++) {
        add(b, p, "t", -1, NULL, "a");
        add(b, p, "t", -1, NULL, "b");
        assert_int_equal(commit(b, p), ERR_NONE);
    }
    for (int i = 0; i < 4; i++) {
        struct partition_info info;
        assert_ok(b->ops->partition(b, "t", i, &info, &err), err);
        assert_int_equal(info.high_watermark, 4);
    }
    b->ops->producer_close(p);
}

CASE(a_record_too_large_for_its_topic_is_refused_alone) {
    struct err err;
    struct topic_setting s = {"max.message.bytes", "1000"};
    assert_ok(b->ops->topic_ensure(b, &(struct topic_spec){"t", 1, &s, 1}, &err), err);
    struct producer *p = make_producer(b, "id");
    char *big = xcalloc(1, 2000);
    memset(big, 'x', 1999);
    struct backend_record r = {.topic = STR("t"), .value = str_of(big)};
    assert_fails(b->ops->add(p, &r, &err), err, ERR_TOO_LARGE);
    assert_has(err.msg, "max.message.bytes");
    add(b, p, "t", 0, NULL, "small");
    assert_int_equal(commit(b, p), ERR_NONE);
    struct consumer *c = from_beginning(b, "t");
    struct buf got = {0};
    read_text(b, c, 1, &got);
    assert_buf(&got, "0@0:=small\n");
    buf_done(&got);
    free(big);
    b->ops->consumer_close(c);
    b->ops->producer_close(p);
}

CASE(a_topic_that_is_not_there_is_named) {
    struct err err;
    struct producer *p = make_producer(b, "id");
    struct backend_record r = {.topic = STR("nowhere"), .value = STR("v")};
    assert_fails(b->ops->add(p, &r, &err), err, ERR_NOT_FOUND);
    assert_has(err.msg, "nowhere");
    b->ops->producer_close(p);
}

CASE(a_newer_producer_fences_the_older) {
    make_topic(b, "t", 1);
    struct producer *old = make_producer(b, "id"), *other = make_producer(b, "other");
    add(b, old, "t", 0, "k", "first");
    assert_int_equal(commit(b, old), ERR_NONE);
    add(b, old, "t", 0, "k", "late");
    struct producer *fresh = make_producer(b, "id");
    assert_int_equal(commit(b, old), ERR_FENCED);
    add(b, fresh, "t", 0, "k", "second");
    assert_int_equal(commit(b, fresh), ERR_NONE);
    add(b, other, "t", 0, "k", "third");
    assert_int_equal(commit(b, other), ERR_NONE);
    struct consumer *c = from_beginning(b, "t");
    struct buf got = {0};
    read_text(b, c, 3, &got);
    assert_buf(&got, "0@0:k=first\n0@1:k=second\n0@2:k=third\n");
    assert_empty(b, c);
    buf_done(&got);
    b->ops->consumer_close(c);
    b->ops->producer_close(old);
    b->ops->producer_close(fresh);
    b->ops->producer_close(other);
}

CASE(an_old_producer_without_records_is_fenced_too) {
    make_topic(b, "t", 1);
    struct producer *old = make_producer(b, "id"), *fresh = make_producer(b, "id");
    struct backend_position at = {STR("{\"p\":1}"), STR("{\"o\":1}")};
    struct answer a = {0};
    b->ops->commit(old, "c", &at, 1, NULL, NULL, 0, answered, &a);
    wait_answer(&a, 1);
    assert_int_equal(a.code, ERR_FENCED);
    assert_positions(b, "c", "");
    b->ops->producer_close(old);
    b->ops->producer_close(fresh);
}

CASE(commits_are_pipelined_and_end_in_order) {
    make_topic(b, "t", 1);
    struct producer *p = make_producer(b, "id");
    struct answer a = {0};
    enum { N = 500 };
    for (int i = 0; i < N; i++) {
        char value[16];
        snprintf(value, sizeof(value), "%d", i);
        add(b, p, "t", 0, NULL, value);
        b->ops->commit(p, NULL, NULL, 0, NULL, NULL, 0, answered, &a);
    }
    wait_answer(&a, N);
    struct consumer *c = from_beginning(b, "t");
    struct buf got = {0}, want = {0};
    read_text(b, c, N, &got);
    for (int i = 0; i < N; i++) buf_printf(&want, "0@%d:=%d\n", i, i);
    assert_buf(&got, buf_cstr(&want));
    buf_done(&got);
    buf_done(&want);
    b->ops->consumer_close(c);
    b->ops->producer_close(p);
}

CASE(a_commit_larger_than_a_frame_is_still_atomic) {
    make_topic(b, "t", 2);
    struct producer *p = make_producer(b, "id");
    char *big = xcalloc(1, BIG + 1);
    memset(big, 'x', BIG);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 40; i++) add(b, p, "t", i % 2, "k", big);
        struct consumer *c = from_beginning(b, "t");
        assert_empty(b, c);
        if (round == 0) {
            b->ops->abort(p); // of a transaction whose records were already written
            assert_empty(b, c);
        } else {
            struct backend_position at = {STR("{}"), STR("{\"n\":40}")};
            struct answer a = {0};
            b->ops->commit(p, "c", &at, 1, NULL, NULL, 0, answered, &a);
            wait_answer(&a, 1);
            assert_int_equal(a.code, ERR_NONE);
            struct buf got = {0};
            read_text(b, c, 40, &got);
            assert_true(got.n > 40u * BIG);
            buf_done(&got);
            assert_empty(b, c);
        }
        b->ops->consumer_close(c);
    }
    assert_positions(b, "c", "{} -> {\"n\":40}\n");
    // The producer goes on with small commits.
    add(b, p, "t", 0, "k", "after");
    assert_int_equal(commit(b, p), ERR_NONE);
    free(big);
    b->ops->producer_close(p);
}

CASE(a_successor_aborts_the_transaction_a_producer_left_open) {
    make_topic(b, "t", 1);
    struct producer *old = make_producer(b, "id");
    char *big = xcalloc(1, BIG + 1);
    memset(big, 'x', BIG);
    for (int i = 0; i < 40; i++) add(b, old, "t", 0, "k", big);
    struct producer *fresh = make_producer(b, "id");
    add(b, fresh, "t", 0, "k", "next");
    assert_int_equal(commit(b, fresh), ERR_NONE);
    struct consumer *c = from_beginning(b, "t");
    struct buf got = {0};
    read_text(b, c, 1, &got);
    assert_has(buf_cstr(&got), ":k=next\n");
    assert_int_equal(commit(b, old), ERR_FENCED);
    assert_empty(b, c);
    buf_done(&got);
    free(big);
    b->ops->consumer_close(c);
    b->ops->producer_close(old);
    b->ops->producer_close(fresh);
}

CASE(one_record_larger_than_a_commit_goes_with_its_position) {
    struct err err;
    enum { LARGE = 40 << 20 };
    struct topic_setting max = {"max.message.bytes", "67108864"};
    assert_ok(b->ops->topic_ensure(b, &(struct topic_spec){"t", 1, &max, 1}, &err), err);
    struct producer *p = make_producer(b, "id");
    char *big = xcalloc(1, LARGE + 1);
    memset(big, 'x', LARGE);
    struct backend_position at = {STR("{}"), STR("{\"n\":1}")};
    struct answer a = {0};
    add(b, p, "t", 0, "k", "before");
    add(b, p, "t", 0, "k", big);
    b->ops->commit(p, "c", &at, 1, NULL, NULL, 0, answered, &a);
    wait_answer(&a, 1);
    assert_int_equal(a.code, ERR_NONE);
    add(b, p, "t", 0, "k", "after");
    assert_int_equal(commit(b, p), ERR_NONE);
    assert_positions(b, "c", "{} -> {\"n\":1}\n");
    struct consumer *c = from_beginning(b, "t");
    struct buf got = {0};
    read_text(b, c, 3, &got);
    assert_true(got.n > LARGE);
    assert_has(buf_cstr(&got), ":k=after\n");
    buf_done(&got);
    free(big);
    b->ops->consumer_close(c);
    b->ops->producer_close(p);
}

CASE(a_transaction_the_log_refuses_for_now_goes_on_when_there_is_room) {
    if (!engine->fill_disk) skip();
    struct err err;
    make_topic(b, "t", 1);
    struct producer *p = make_producer(b, "id");
    char *big = xcalloc(1, BIG + 1);
    memset(big, 'x', BIG);
    struct backend_record r = {.topic = STR("t"), .key = STR("k"), .value = str_of(big)};
    int added = 0, refused = 0;
    for (; added < 20; added++) add(b, p, "t", 0, "k", big);
    engine->fill_disk(b, true);
    for (; added < 120; added++) {
        if (b->ops->add(p, &r, &err) == 0) continue;
        assert_int_equal(err.code, ERR_AGAIN);
        if (refused++ == 3) engine->fill_disk(b, false);
        usleep(50000);
        added--;
        assert_true(refused < 200);
    }
    engine->fill_disk(b, false);
    struct answer a = {0};
    b->ops->commit(p, NULL, NULL, 0, NULL, NULL, 0, answered, &a);
    wait_answer(&a, 1);
    if (a.code == ERR_NOSPACE) {
        b->ops->retry(p);
        wait_answer(&a, 2);
    }
    assert_int_equal(a.code, ERR_NONE);
    struct consumer *c = from_beginning(b, "t");
    struct buf got = {0};
    read_text(b, c, 120, &got);
    assert_true(got.n > 120u * BIG);
    assert_empty(b, c);
    buf_done(&got);
    free(big);
    b->ops->consumer_close(c);
    b->ops->producer_close(p);
}

CASE(a_failed_commit_is_held_and_sent_again_unchanged) {
    if (!engine->fill_disk) skip();
    make_topic(b, "t", 1);
    struct producer *p = make_producer(b, "id");
    engine->fill_disk(b, true);
    struct answer a = {0};
    struct backend_position at = {STR("{}"), STR("{\"n\":1}")};
    add(b, p, "t", 0, "k", "one");
    b->ops->commit(p, "c", &at, 1, NULL, NULL, 0, answered, &a);
    add(b, p, "t", 0, "k", "two");
    b->ops->commit(p, NULL, NULL, 0, NULL, NULL, 0, answered, &a);
    wait_answer(&a, 2);
    assert_int_equal(a.code, ERR_NOSPACE);
    assert_positions(b, "c", "");
    engine->fill_disk(b, false);
    b->ops->retry(p);
    wait_answer(&a, 4);
    assert_int_equal(a.code, ERR_NONE);
    struct consumer *c = from_beginning(b, "t");
    struct buf got = {0};
    read_text(b, c, 2, &got);
    assert_buf(&got, "0@0:k=one\n0@1:k=two\n");
    assert_empty(b, c);
    assert_positions(b, "c", "{} -> {\"n\":1}\n");
    buf_done(&got);
    b->ops->consumer_close(c);
    b->ops->producer_close(p);
}

// ── positions and offsets ──

CASE(positions_and_offsets_travel_with_the_records) {
    struct err err;
    make_topic(b, "t", 1);
    struct producer *p = make_producer(b, "id");
    struct answer a = {0};
    struct backend_position at[] = {{STR("{\"file\":\"a\"}"), STR("{\"at\":10}")}, {STR("{\"file\":\"b\"}"), STR("{\"at\":20}")}};
    struct backend_offset offset = {"t", 0, 7};
    add(b, p, "t", 0, "k", "v");
    b->ops->commit(p, "files", at, 2, "connect-x", &offset, 1, answered, &a);
    wait_answer(&a, 1);
    assert_int_equal(a.code, ERR_NONE);
    assert_positions(b, "files", "{\"file\":\"a\"} -> {\"at\":10}\n{\"file\":\"b\"} -> {\"at\":20}\n");
    assert_positions(b, "file", "");
    assert_offsets(b, "connect-x", "t-0 -> 7\n");

    struct backend_position next[] = {{STR("{\"file\":\"a\"}"), {NULL, 0}}, {STR("{\"file\":\"b\"}"), STR("{\"at\":30}")}};
    b->ops->commit(p, "files", next, 2, NULL, NULL, 0, answered, &a);
    wait_answer(&a, 2);
    assert_positions(b, "files", "{\"file\":\"b\"} -> {\"at\":30}\n");
    assert_ok(b->ops->positions_set(b, "files", (struct backend_position[]){{STR("{\"file\":\"b\"}"), {NULL, 0}}}, 1, &err), err);
    assert_positions(b, "files", "");

    assert_ok(b->ops->offsets_set(b, "connect-x", (struct backend_offset[]){{"t", 0, 3}, {"u", 1, 4}}, 2, &err), err);
    assert_offsets(b, "connect-x", "t-0 -> 3\nu-1 -> 4\n");
    assert_ok(b->ops->offsets_set(b, "connect-x", (struct backend_offset[]){{"t", 0, -1}}, 1, &err), err);
    assert_offsets(b, "connect-x", "u-1 -> 4\n");
    b->ops->producer_close(p);
}

// ── consuming ──

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
    assert_ok(b->ops->offsets_set(b, "g", (struct backend_offset[]){{"t", 1, 2}}, 1, &err), err);
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
static int on_assigned(void *arg, const char *topic, int32_t partition, int64_t *offset, struct err *err) {
    (void)err;
    struct events *e = arg;
    buf_printf(&e->text, "+%s-%d@%lld ", topic, partition, (long long)*offset);
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

// ── maps ──

static int pair_text(void *arg, struct str key, struct str value) {
    buf_printf(arg, "%.*s=%.*s ", STR_FMT(key), STR_FMT(value));
    return 0;
}

CASE(a_map_keeps_the_latest_of_each_key) {
    struct err err;
    struct buf got = {0};
    assert_ok(b->ops->map_load(b, "connect-configs", pair_text, &got, &err), err);
    assert_buf(&got, "");
    struct backend_position e[] = {{STR("b"), STR("1")}, {STR("a"), STR("2")}, {STR("b"), STR("3")}};
    assert_ok(b->ops->map_put(b, "connect-configs", e, 3, &err), err);
    assert_ok(b->ops->map_put(b, "connect-status", e, 1, &err), err);
    assert_ok(b->ops->map_load(b, "connect-configs", pair_text, &got, &err), err);
    assert_buf(&got, "a=2 b=3 ");
    assert_ok(b->ops->map_put(b, "connect-configs", (struct backend_position[]){{STR("a"), {NULL, 0}}}, 1, &err), err);
    assert_ok(b->ops->map_load(b, "connect-configs", pair_text, &got, &err), err);
    assert_buf(&got, "b=3 ");
    buf_done(&got);
}

CASE(the_status_is_one_json_object) {
    struct buf got = {0};
    struct json_writer w = json_to(&got);
    b->ops->status_json(b, &w);
    assert_int_equal(got.p[0], '{');
    assert_int_equal(got.p[got.n - 1], '}');
    buf_done(&got);
}

static int setting_text(void *arg, const char *setting, const char *value) {
    buf_printf(arg, "%s=%s ", setting, value);
    return 0;
}

CASE(a_topic_can_grow_and_change_its_settings) {
    struct err err;
    struct buf got = {0};
    struct partition_info info;
    make_topic(b, "t", 1);
    struct topic_setting change = {"max.message.bytes", "5000"}, reset = {"max.message.bytes", NULL};
    assert_fails(b->ops->topic_alter(b, &(struct topic_spec){.name = "nowhere", .partitions = 3}, &err), err, ERR_NOT_FOUND);
    assert_fails(b->ops->topic_alter(b, &(struct topic_spec){.name = "t", .partitions = 1, .settings = &change, .n = 1}, &err), err, ERR_INVALID);
    assert_ok(b->ops->topic_settings(b, "t", setting_text, &got, &err), err);
    assert_int_equal(got.n, 0);
    assert_ok(b->ops->topic_alter(b, &(struct topic_spec){.name = "t", .partitions = 3, .settings = &change, .n = 1}, &err), err);
    assert_ok(b->ops->partition(b, "t", 2, &info, &err), err);
    assert_ok(b->ops->topic_settings(b, "t", setting_text, &got, &err), err);
    assert_buf(&got, "max.message.bytes=5000 ");
    assert_ok(b->ops->topic_alter(b, &(struct topic_spec){.name = "t", .settings = &reset, .n = 1}, &err), err);
    buf_clear(&got);
    assert_ok(b->ops->topic_settings(b, "t", setting_text, &got, &err), err);
    assert_int_equal(got.n, 0);
    assert_fails(b->ops->partition(b, "t", 3, &info, &err), err, ERR_NOT_FOUND);
    assert_fails(b->ops->topic_settings(b, "nowhere", setting_text, &got, &err), err, ERR_NOT_FOUND);
    struct producer *p = make_producer(b, "id");
    add(b, p, "t", 2, "k", "v");
    assert_int_equal(commit(b, p), ERR_NONE);
    b->ops->producer_close(p);
    buf_done(&got);
}

CASE(deleted_records_are_not_served_any_more) {
    struct err err;
    struct buf got = {0};
    int64_t start = -5;
    make_topic(b, "t", 1);
    struct producer *p = make_producer(b, "id");
    for (int i = 0; i < 5; i++) {
        add(b, p, "t", 0, "k", (const char *[]){"a", "b", "c", "d", "e"}[i]);
        assert_int_equal(commit(b, p), ERR_NONE);
    }
    assert_fails(b->ops->delete_records(b, "t", 1, 0, &start, &err), err, ERR_NOT_FOUND);
    assert_fails(b->ops->delete_records(b, "t", 0, 6, &start, &err), err, ERR_OUT_OF_RANGE);
    assert_int_equal(start, -5);
    assert_ok(b->ops->delete_records(b, "t", 0, 3, &start, &err), err);
    assert_int_equal(start, 3);
    assert_ok(b->ops->delete_records(b, "t", 0, 1, &start, &err), err); // gone already
    assert_int_equal(start, 3);
    struct consumer *c = from_beginning(b, "t");
    read_text(b, c, 2, &got);
    assert_buf(&got, "0@3:k=d\n0@4:k=e\n");
    b->ops->consumer_close(c);
    assert_ok(b->ops->delete_records(b, "t", 0, -1, &start, &err), err);
    assert_int_equal(start, 5);
    b->ops->producer_close(p);
    buf_done(&got);
}
