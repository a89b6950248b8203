// SPDX-License-Identifier: Apache-2.0
// The sink against a server that answers by a script, driven as core would: what is settled RETRY comes again, in order.
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <connectd/build.h>
#include <connectd/plugin.h>
#include <testhost.h>

#include "server.h"
#include "test.h"

enum { RECORDS = 40, WAIT_MS = 20000 };

static int64_t now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

// options: "key=value" after url=, NULL-terminated.
static struct testhost *sink_to(struct server *s, const char *const *options) {
    static char url[64];
    const char *all[16] = {url};
    snprintf(url, sizeof(url), "url=http://127.0.0.1:%u/in", server_port(s));
    for (size_t i = 0; options && options[i]; i++) all[i + 1] = options[i];
    return testhost_new(connectd_plugin_v1(), "http-sink", all);
}

static void put_range(struct testhost *t, int partition, int64_t first, int64_t last) {
    char line[128];
    testhost_batch(t);
    for (int64_t i = first; i <= last; i++) {
        snprintf(line, sizeof(line), "{\"topic\":\"t\",\"partition\":%d,\"offset\":%lld,\"value\":{\"n\":%lld}}\n", partition, (long long)i, (long long)i);
        assert_int_equal(testhost_add_json(t, line), 1);
    }
    assert_true(testhost_put(t) != CN_PUT_FAILED);
}

// The first offset settled RETRY, or -1; -2 while something is unsettled.
static int64_t first_retry(struct testhost *t, int partition) {
    int64_t retry = -1;
    for (int64_t i = RECORDS - 1; i >= 0; i--) {
        int verdict = testhost_verdict(t, "t", partition, i);
        if (verdict == -1) return -2;
        if (verdict == CN_RETRY) retry = i;
    }
    return retry;
}

// Plays core: puts records 0..RECORDS-1 of a partition, and again what is to be retried, until all is settled otherwise.
static void deliver(struct testhost *t, int partition) {
    int64_t end = now_ms() + WAIT_MS, retry;
    put_range(t, partition, 0, RECORDS / 2 - 1);
    put_range(t, partition, RECORDS / 2, RECORDS - 1);
    while ((retry = first_retry(t, partition)) != -1) {
        assert_true(now_ms() < end);
        assert_int_equal(testhost_tick(t), 0);
        if (retry >= 0) put_range(t, partition, retry, RECORDS - 1);
        usleep(1000);
    }
}

// Everything the server accepted, in order, is 0..RECORDS-1 without gap; repeats of a whole tail are allowed only after a broken answer.
static void assert_in_order(struct server *s, bool repeats) {
    long expect = 0;
    for (size_t i = 0; i < server_accepted(s); i++)
        for (const char *p = server_body(s, i); (p = strstr(p, "\"n\":")) != NULL; p += 4) {
            long n = strtol(p + 4, NULL, 10);
            if (!repeats) assert_int_equal(n, expect);
            assert_true(n <= expect);
            expect = n + 1;
        }
    assert_int_equal(expect, RECORDS);
}

static void assert_all(struct testhost *t, int partition, int kind) {
    for (int64_t i = 0; i < RECORDS; i++) assert_int_equal(testhost_verdict(t, "t", partition, i), kind);
    assert_int_equal(testhost_stray_verdicts(t), 0);
}

static void delivers(const char *const *script, const char *const *options, bool repeats) {
    struct server *s = server_start(script);
    struct testhost *t = sink_to(s, options);
    assert_int_equal(testhost_open(t), 0);
    deliver(t, 0);
    assert_all(t, 0, CN_OK);
    assert_in_order(s, repeats);
    testhost_free(t);
    server_stop(s);
}

#define OPTIONS(...) (const char *const[]){__VA_ARGS__, NULL}
#define SCRIPT(...) (const char *const[]){__VA_ARGS__, NULL}

TEST(records_arrive_in_order_as_json_arrays) { delivers(NULL, OPTIONS("batch.max.records=7"), false); }
TEST(records_arrive_in_order_as_lines) { delivers(NULL, OPTIONS("batch.mode=ndjson", "batch.max.records=7"), false); }
TEST(records_arrive_in_order_one_by_one) { delivers(NULL, OPTIONS("batch.mode=single"), false); }

TEST(a_busy_or_broken_server_is_retried_and_nothing_is_lost_or_reordered) {
    delivers(SCRIPT("500", "200", "503", "502", "200", "429 Retry-After: 1", "408"), OPTIONS("batch.max.records=5"), false);
    delivers(SCRIPT("500", "429", "200", "500", "close", "200", "close"), OPTIONS("batch.mode=single"), true);
}

TEST(a_closed_connection_and_a_half_answer_are_retried) { delivers(SCRIPT("close", "half", "200", "close"), OPTIONS("batch.mode=ndjson", "batch.max.records=9"), true); }

TEST(a_server_that_hangs_is_left_after_the_timeout) { delivers(SCRIPT("hang", "200", "hang"), OPTIONS("request.timeout.ms=200", "batch.max.records=20"), true); }

TEST(too_large_a_batch_is_halved_until_it_passes) {
    struct server *s = server_start(SCRIPT("413", "413", "413"));
    struct testhost *t = sink_to(s, OPTIONS("batch.mode=ndjson", "batch.max.records=16"));
    assert_int_equal(testhost_open(t), 0);
    deliver(t, 0);
    assert_all(t, 0, CN_OK);
    assert_in_order(s, false);
    assert_string_equal(server_body(s, 0), "{\"n\":0}\n{\"n\":1}\n"); // 16 → 8 → 4 → 2
    testhost_free(t);
    server_stop(s);
}

TEST(a_refused_record_is_found_by_halving_and_rejected_alone) {
    // 4 records: the batch is refused, then its first half, then the first record alone; the rest passes.
    struct server *s = server_start(SCRIPT("422", "400", "400"));
    struct testhost *t = sink_to(s, NULL);
    struct testhost_verdict v;
    assert_int_equal(testhost_open(t), 0);
    put_range(t, 0, 0, 3);
    assert_int_equal(testhost_settled(t, WAIT_MS), 0);
    assert_int_equal(testhost_verdict(t, "t", 0, 0), CN_REJECT);
    for (int64_t i = 1; i < 4; i++) assert_int_equal(testhost_verdict(t, "t", 0, i), CN_OK);
    assert_int_equal(testhost_verdict_at(t, 0, &v), 1);
    assert_has(v.reason, "answered 400");
    assert_has(v.reason, "/in");
    testhost_free(t);
    server_stop(s);
}

TEST(the_server_s_retry_after_is_passed_on) {
    struct server *s = server_start(SCRIPT("429 Retry-After: 7"));
    struct testhost *t = sink_to(s, NULL);
    struct testhost_verdict v = {0};
    int64_t end = now_ms() + WAIT_MS;
    assert_int_equal(testhost_open(t), 0);
    put_range(t, 0, 0, 0);
    while (testhost_verdict(t, "t", 0, 0) == -1 && now_ms() < end) testhost_tick(t), usleep(1000);
    assert_int_equal(testhost_verdict_at(t, 0, &v), 1);
    assert_int_equal(v.kind, CN_RETRY);
    assert_int_equal(v.retry_after_ms, 7000);
    testhost_free(t);
    server_stop(s);
}

TEST(what_is_put_behind_a_failure_is_retried_and_never_sent_before_it) {
    struct server *s = server_start(SCRIPT("500"));
    struct testhost *t = sink_to(s, NULL);
    int64_t end = now_ms() + WAIT_MS;
    assert_int_equal(testhost_open(t), 0);
    put_range(t, 0, 0, 1);
    while (server_requests(s) == 0 && now_ms() < end) usleep(1000);
    usleep(20000); // whether or not the answer has been read by now, the order below holds
    put_range(t, 0, 2, 3);
    while (testhost_verdict(t, "t", 0, 3) == -1 && now_ms() < end) testhost_tick(t), usleep(1000);
    if (testhost_verdict(t, "t", 0, 3) == CN_RETRY) put_range(t, 0, 0, 3);
    else put_range(t, 0, 0, 1);
    assert_int_equal(testhost_settled(t, WAIT_MS), 0);
    for (size_t i = 0, last = 0; i < server_accepted(s); i++) {
        size_t first = strtoul(strstr(server_body(s, i), "\"n\":") + 4, NULL, 10);
        assert_true(first >= last);
        last = first;
    }
    testhost_free(t);
    server_stop(s);
}

TEST(refused_credentials_fail_the_first_start_but_are_retried_after_a_success) {
    struct server *s = server_start(SCRIPT("401"));
    struct testhost *t = sink_to(s, OPTIONS("auth.type=bearer", "bearer.token=sesame"));
    int64_t end = now_ms() + WAIT_MS;
    assert_int_equal(testhost_open(t), 0);
    put_range(t, 0, 0, 0);
    while (testhost_tick(t) == 0 && now_ms() < end) usleep(1000);
    assert_int_equal(t->failure.fail_class, CN_FAIL_AUTH);
    assert_has(t->failure.text, "answered 401");
    assert_null(strstr(t->failure.text, "sesame"));
    assert_has(server_head(s), "Bearer sesame");
    testhost_free(t);
    server_stop(s);
    delivers(SCRIPT("200", "401", "403", "200"), OPTIONS("batch.mode=single"), false);
}

TEST(a_redirect_is_a_wrong_url) {
    struct server *s = server_start(SCRIPT("302 Location: /elsewhere"));
    struct testhost *t = sink_to(s, NULL);
    int64_t end = now_ms() + WAIT_MS;
    assert_int_equal(testhost_open(t), 0);
    put_range(t, 0, 0, 0);
    while (testhost_tick(t) == 0 && now_ms() < end) usleep(1000);
    assert_int_equal(t->failure.fail_class, CN_FAIL_CONFIG);
    assert_has(t->failure.hint, "url");
    testhost_free(t);
    server_stop(s);
}

TEST(null_values_are_ignored_sent_or_rejected_as_configured) {
    static const char *const lines = "{\"topic\":\"t\",\"offset\":0,\"value\":1}\n{\"topic\":\"t\",\"offset\":1,\"value\":null}\n{\"topic\":\"t\",\"offset\":2,\"value\":2}\n";
    static const struct { const char *option, *body; int verdict; } cases[] = {
        {"behavior.on.null.values=ignore", "[1,2]", CN_OK}, {"behavior.on.null.values=send", "[1,null,2]", CN_OK}, {"behavior.on.null.values=fail", "[1,2]", CN_REJECT}};
    for (size_t i = 0; i < 3; i++) {
        struct server *s = server_start(NULL);
        struct testhost *t = sink_to(s, OPTIONS(cases[i].option));
        assert_int_equal(testhost_open(t), 0);
        assert_true(testhost_put_json(t, lines) != CN_PUT_FAILED);
        assert_int_equal(testhost_settled(t, WAIT_MS), 0);
        assert_string_equal(server_body(s, 0), cases[i].body);
        assert_int_equal(testhost_verdict(t, "t", 0, 1), cases[i].verdict);
        testhost_free(t);
        server_stop(s);
    }
}

TEST(raw_values_go_as_they_are) {
    struct server *s = server_start(NULL);
    struct testhost *t = sink_to(s, OPTIONS("batch.mode=single", "request.body.format=raw"));
    assert_int_equal(testhost_open(t), 0);
    testhost_put_json(t, "{\"topic\":\"t\",\"offset\":0,\"value\":\"{\\\"a\\\":1}\"}\n");
    assert_int_equal(testhost_settled(t, WAIT_MS), 0);
    assert_string_equal(server_body(s, 0), "{\"a\":1}");
    testhost_free(t);
    server_stop(s);
}

TEST(what_was_too_large_is_not_tried_again_with_every_second_request) {
    struct server *s = server_start(SCRIPT("413")); // 16 records once; 40 go in eights then
    struct testhost *t = sink_to(s, OPTIONS("batch.max.records=16"));
    assert_int_equal(testhost_open(t), 0);
    put_range(t, 0, 0, RECORDS - 1);
    assert_int_equal(testhost_settled(t, WAIT_MS), 0);
    assert_all(t, 0, CN_OK);
    assert_int_equal(server_accepted(s), RECORDS / 8);
    testhost_free(t);
    server_stop(s);
}

TEST(a_value_that_is_no_json_is_rejected_alone) {
    struct server *s = server_start(NULL);
    struct testhost *t = sink_to(s, NULL);
    struct cn_batch *b;
    struct cn_cell deep = cn_null();
    assert_int_equal(testhost_open(t), 0);
    b = testhost_batch(t);
    for (int i = 0; i < 80; i++) {
        cn_off at = cn_cells(b, 1);
        cn_set(b, at, 0, deep);
        deep = cn_run(CN_ARRAY, at, 1);
    }
    for (int i = 0; i < 3; i++) {
        uint32_t r = cn_record(b, cn_topic(b, "t", 1));
        cn_record_at(b, r)->original_partition = 0;
        cn_set_value(b, r, i == 1 ? deep : cn_int(CN_INT64, i), CN_NO_SCHEMA);
    }
    assert_int_equal(testhost_put(t), CN_PUT_LATER);
    assert_int_equal(testhost_settled(t, WAIT_MS), 0);
    assert_int_equal(testhost_verdict(t, "t", 0, 0), CN_OK);
    assert_int_equal(testhost_verdict(t, "t", 0, 1), CN_REJECT);
    assert_int_equal(testhost_verdict(t, "t", 0, 2), CN_OK);
    assert_string_equal(server_body(s, 0), "[0,2]");
    testhost_free(t);
    server_stop(s);
}

TEST(partitions_have_lanes_of_their_own) {
    struct server *s = server_start(SCRIPT("500"));
    struct testhost *t = sink_to(s, OPTIONS("max.in.flight=2"));
    assert_int_equal(testhost_open(t), 0);
    for (int p = 0; p < 4; p++) deliver(t, p);
    for (int p = 0; p < 4; p++) assert_all(t, p, CN_OK);
    testhost_free(t);
    server_stop(s);
}

TEST(revoking_in_the_middle_of_a_request_settles_nothing_more) {
    struct server *s = server_start(SCRIPT("hang"));
    struct testhost *t = sink_to(s, OPTIONS("request.timeout.ms=300"));
    int64_t end = now_ms() + WAIT_MS;
    assert_int_equal(testhost_open(t), 0);
    assert_true(testhost_assign(t, "t", 0, 0) != -2);
    put_range(t, 0, 0, 0);
    while (server_requests(s) == 0 && now_ms() < end) usleep(1000);
    testhost_revoke(t, "t", 0);
    usleep(500000); // past the request's timeout
    testhost_tick(t);
    assert_int_equal(testhost_stray_verdicts(t), 0);
    testhost_free(t);
    server_stop(s);
}

TEST(flush_waits_for_what_is_under_way) {
    struct server *s = server_start(NULL);
    struct testhost *t = sink_to(s, OPTIONS("batch.max.records=1"));
    assert_int_equal(testhost_open(t), 0);
    put_range(t, 0, 0, RECORDS - 1);
    assert_int_equal(testhost_flush(t, WAIT_MS), 0);
    assert_all(t, 0, CN_OK);
    testhost_free(t);
    server_stop(s);
}

TEST(names_of_other_http_sinks_are_understood) {
    struct server *s = server_start(NULL);
    char url[64];
    snprintf(url, sizeof(url), "http.url=http://127.0.0.1:%u/in", server_port(s));
    struct testhost *t = testhost_new(connectd_plugin_v1(), NULL, OPTIONS(url, "request.method=PUT", "batch.max.size=1"));
    assert_int_equal(testhost_open(t), 0);
    put_range(t, 0, 0, 1);
    assert_int_equal(testhost_settled(t, WAIT_MS), 0);
    assert_has(server_head(s), "PUT /in");
    assert_int_equal(server_accepted(s), 2);
    testhost_free(t);
    server_stop(s);
}

TEST(wrong_options_say_what_to_do) {
    static const struct { const char *a, *b, *text; } cases[] = {
        {"url=ftp://x/", NULL, "no http or https URL"}, {"url=http://me:pw@x/", NULL, "names a user"}, {"url=http://x/", "method=GET", "method GET"},
        {"url=http://x/", "auth.type=basic", "connection.password is missing"}, {"url=http://x/", "header.X=a\rb", "control character"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct testhost *t = testhost_new(connectd_plugin_v1(), NULL, OPTIONS(cases[i].a, cases[i].b));
        assert_int_equal(testhost_open(t), -1);
        assert_int_equal(t->failure.fail_class, CN_FAIL_CONFIG);
        assert_has(t->failure.text, cases[i].text);
        testhost_free(t);
    }
}
