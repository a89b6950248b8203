// SPDX-License-Identifier: Apache-2.0
// What every backend does with a producer, by the contracts in backend.h. Each case runs on each engine.
#include "backend_steps.h"

#include <stdio.h>
#include <unistd.h>

#include "base/mem.h"

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

CASE(a_record_without_a_key_is_refused_by_a_compacted_topic) {
    struct err err;
    struct topic_setting s = {"cleanup.policy", "compact,delete"};
    assert_ok(b->ops->topic_ensure(b, &(struct topic_spec){"t", 1, &s, 1}, &err), err);
    struct producer *p = make_producer(b, "id");
    struct backend_record r = {.topic = STR("t"), .value = STR("lost")};
    assert_fails(b->ops->add(p, &r, &err), err, ERR_INVALID);
    assert_has(err.msg, "topic t is compacted");
    add(b, p, "t", 0, "", "an empty key is one");
    assert_int_equal(commit(b, p), ERR_NONE);
    struct consumer *c = from_beginning(b, "t");
    struct buf got = {0};
    read_text(b, c, 1, &got);
    assert_buf(&got, "0@0:=an empty key is one\n");
    buf_done(&got);
    b->ops->consumer_close(c);
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
    struct backend_offset offset = {.topic = "t", .offset = 7};
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

    assert_ok(b->ops->offsets_set(b, "connect-x", (struct backend_offset[]){{.topic = "t", .offset = 3}, {.topic = "u", .partition = 1, .offset = 4}}, 2, &err), err);
    assert_offsets(b, "connect-x", "t-0 -> 3\nu-1 -> 4\n");
    assert_ok(b->ops->offsets_set(b, "connect-x", (struct backend_offset[]){{.topic = "t", .offset = -1}}, 1, &err), err);
    assert_offsets(b, "connect-x", "u-1 -> 4\n");
    b->ops->producer_close(p);
}
