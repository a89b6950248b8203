// SPDX-License-Identifier: Apache-2.0
#include "backend_steps.h"

#include <unistd.h>

void answered(void *arg, const struct err *err) {
    struct answer *a = arg;
    a->code = err ? err->code : ERR_NONE;
    atomic_fetch_add(&a->done, 1);
}
void wait_answer(struct answer *a, int times) {
    for (int i = 0; atomic_load(&a->done) < times; i++) {
        if (i > 20000) fail_msg("no answer within 20 s");
        usleep(1000);
    }
}

void make_topic(struct backend *b, const char *name, int32_t partitions) {
    struct err err;
    assert_ok(b->ops->topic_ensure(b, &(struct topic_spec){.name = name, .partitions = partitions}, &err), err);
}

struct producer *make_producer(struct backend *b, const char *id) {
    struct producer *p;
    struct err err;
    assert_ok(b->ops->producer_open(b, id, &p, &err), err);
    return p;
}

void add(struct backend *b, struct producer *p, const char *topic, int32_t partition, const char *key, const char *value) {
    struct err err;
    struct backend_record r = {.topic = str_of(topic), .partition = partition, .timestamp = 1000, .key = str_of(key), .value = str_of(value)};
    int rc;
    for (int i = 0; (rc = b->ops->add(p, &r, &err)) != 0 && err.code == ERR_AGAIN && i < 20000; i++) usleep(1000); // commits are under way
    assert_ok(rc, err);
}

enum err_code commit(struct backend *b, struct producer *p) {
    struct answer a = {0};
    b->ops->commit(p, NULL, NULL, 0, NULL, NULL, 0, answered, &a);
    wait_answer(&a, 1);
    return a.code;
}

struct consumer *make_consumer(struct backend *b, const struct consumer_options *o) {
    struct consumer *c;
    struct err err;
    assert_ok(b->ops->consumer_open(b, o, &c, &err), err);
    return c;
}

struct consumer *from_beginning(struct backend *b, const char *topic) {
    return make_consumer(b, &(struct consumer_options){.topics = &topic, .topic_count = 1, .from_beginning = true});
}

// Appends "partition@offset:key=value\n" of the next `want` records.
void read_text(struct backend *b, struct consumer *c, size_t want, struct buf *out) {
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

void assert_empty(struct backend *b, struct consumer *c) {
    struct err err;
    const struct consumed *r;
    for (int i = 0; i < 3; i++) assert_int_equal(b->ops->poll(c, 1 << 20, 20, &r, &err), 0);
}

static int position_text(void *arg, struct str partition, struct str offset) {
    buf_printf(arg, "%.*s -> %.*s\n", STR_FMT(partition), STR_FMT(offset));
    return 0;
}
void assert_positions(struct backend *b, const char *connector, const char *want) {
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
void assert_offsets(struct backend *b, const char *group, const char *want) {
    struct buf got = {0};
    struct err err;
    assert_ok(b->ops->offsets(b, group, offset_text, &got, &err), err);
    assert_buf(&got, want);
    buf_done(&got);
}
