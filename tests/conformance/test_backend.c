// SPDX-License-Identifier: Apache-2.0
// What every backend does with topics, maps and its status, by the contracts in backend.h. Each case runs on each engine.
#include "backend_steps.h"

#include "base/mem.h"

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
