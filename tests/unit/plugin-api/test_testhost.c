// SPDX-License-Identifier: Apache-2.0
// The examples, driven by the host that authors use.
#include <stdio.h>
#include <stdlib.h>

#include "test.h"
#include "testhost.h"
#include "tmpdir.h"

const struct cn_plugin *hello_source_plugin(void);
const struct cn_plugin *hello_sink_plugin(void);

TEST(a_source_resumes_where_it_was_committed) {
    struct testhost *t = testhost_new(hello_source_plugin(), "hello-source", (const char *const[]){"interval=0", "topic=greetings", NULL});
    assert_int_equal(testhost_open(t), 0);
    assert_int_equal(testhost_take(t, 3, 1000), 3);
    assert_string_equal(t->lines[2], "{\"topic\":\"greetings\",\"partition\":null,\"offset\":0,\"timestamp\":null,\"key\":null,\"value\":\"hello 2\",\"headers\":[]}");
    assert_int_equal(testhost_commit(t), 3);
    assert_string_equal(testhost_stored(t, "{\"source\":\"hello\"}"), "{\"next\":3}");
    assert_int_equal(testhost_take(t, 2, 1000), 2); // never committed
    testhost_close(t);
    testhost_clear(t);
    assert_int_equal(testhost_open(t), 0);
    assert_int_equal(testhost_take(t, 1, 1000), 1);
    assert_has(t->lines[0], "\"hello 3\"");
    testhost_free(t);
}

TEST(a_source_that_is_done_says_so) {
    struct testhost *t = testhost_new(hello_source_plugin(), NULL, (const char *const[]){"interval=0", "count=2", NULL});
    assert_int_equal(testhost_open(t), 0);
    assert_int_equal(testhost_take(t, 10, 1000), 2);
    assert_int_equal(testhost_poll(t, 0), CN_POLL_DONE);
    testhost_free(t);
}

TEST(a_wait_ends_when_the_host_wants_the_task_back) {
    struct testhost *t = testhost_new(hello_source_plugin(), NULL, (const char *const[]){"interval=1h", NULL});
    assert_int_equal(testhost_open(t), 0);
    assert_int_equal(testhost_take(t, 1, 1000), 1);
    testhost_wake(t);
    assert_int_equal(testhost_poll(t, 3600000), CN_POLL_IDLE);
    testhost_free(t);
}

TEST(wrong_options_and_positions_show_at_open) {
    struct testhost *t = testhost_new(hello_source_plugin(), NULL, (const char *const[]){"intervall=0", NULL});
    assert_int_equal(testhost_open(t), -1);
    assert_int_equal(t->failure.fail_class, CN_FAIL_CONFIG);
    assert_has(t->failure.text, "did you mean interval?");
    testhost_free(t);
    t = testhost_new(hello_source_plugin(), NULL, NULL);
    testhost_position(t, "{\"source\":\"hello\"}", "{\"nxt\":1}");
    assert_int_equal(testhost_open(t), -1);
    assert_has(t->failure.text, "stored position");
    testhost_free(t);
    t = testhost_new(hello_source_plugin(), "other", NULL);
    assert_int_equal(testhost_open(t), -1);
    testhost_free(t);
}

TEST(a_sink_gets_records_from_json_and_settles_them) {
    const char *dir = tmpdir_new();
    char option[200];
    snprintf(option, sizeof option, "path=%s/out", dir);
    struct testhost *t = testhost_new(hello_sink_plugin(), NULL, (const char *const[]){option, NULL});
    assert_int_equal(testhost_open(t), 0);
    assert_int_equal(testhost_put_json(t, "{\"topic\":\"a\",\"partition\":2,\"offset\":40,\"key\":1,\"value\":{\"x\":[1,2]},\"headers\":[[\"h\",\"v\"]]}\n"
                                          "{\"topic\":\"a\",\"partition\":2,\"value\":null}\n\n\"just a value\"\n"), CN_PUT_OK);
    assert_int_equal(testhost_verdict(t, "a", 2, 40), CN_OK);
    assert_int_equal(testhost_verdict(t, "a", 2, 41), CN_OK);
    assert_int_equal(testhost_verdict(t, "test", 0, 0), CN_OK);
    assert_int_equal(testhost_verdict(t, "a", 2, 42), -2);
    assert_int_equal(testhost_settled(t, 0), 0);
    assert_int_equal(testhost_put_json(t, "{\"topic\":"), CN_PUT_FAILED);
    assert_has(t->failure.text, "record 1 is no JSON");
    testhost_free(t);
    snprintf(option, sizeof option, "%s/out", dir);
    char *text = tmpdir_read(option);
    assert_string_equal(text, "{\"x\":[1,2]}\nnull\n\"just a value\"\n");
    free(text);
}

// A component of the test's own, to see the host from the inside.
static struct cn_host *host;
static int own_open(struct cn_host *h, void **ret) {
    host = h;
    *ret = h;
    return 0;
}
static int own_put(void *task, const struct cn_batch *b) {
    (void)task, (void)b;
    return CN_PUT_LATER;
}
static void own_close(void *task) { (void)task; }
static const struct cn_sink_ops own_ops = {.struct_size = sizeof own_ops, .open = own_open, .put = own_put, .close = own_close};
static const struct cn_component own = {sizeof own, CN_SINK, "own", NULL, "test", NULL, 0, sizeof(struct cn_option), &own_ops};

static void settle(const char *topic, int64_t first, int64_t last, int kind, const char *reason) {
    struct cn_verdict v = {topic, 0, (uint8_t)kind, {0}, first, last, 0, reason};
    host->ops->settle(host, &v, 1);
}

TEST(verdicts_are_kept_by_record_and_doubled_ones_show) {
    struct testhost *t = testhost_new_component(&own, NULL);
    struct testhost_verdict v;
    assert_int_equal(testhost_open(t), 0);
    assert_int_equal(testhost_put_json(t, "1\n2\n3\n"), CN_PUT_LATER);
    assert_int_equal(testhost_settled(t, 0), -1);
    settle("test", 0, 1, CN_OK, NULL);
    settle("test", 1, 2, CN_REJECT, "too blue");
    settle("other", 0, 9, CN_OK, NULL);
    assert_int_equal(testhost_settled(t, 0), 0);
    assert_int_equal(testhost_verdict_at(t, 1, &v), 1);
    assert_int_equal(v.kind, CN_REJECT);
    assert_int_equal(v.times, 2);
    assert_string_equal(v.reason, "too blue");
    assert_int_equal(testhost_stray_verdicts(t), 1);
    testhost_free(t);
}

TEST(host_services_work_without_a_daemon) {
    struct testhost *t = testhost_new_component(&own, NULL);
    int fds[2];
    char got[8];
    testhost_name(t, "mine", 1, 4);
    testhost_spool_limit(t, 100);
    assert_int_equal(testhost_open(t), 0);
    assert_string_equal(host->ops->connector_name(host), "mine");
    assert_int_equal(host->ops->task_index(host), 1);
    assert_int_equal(host->ops->task_count(host), 4);
    host->ops->log(host, CN_LOG_INFO, "seen", &(struct cn_log_field){"color", "blue"}, 1);
    assert_int_equal(testhost_logged(t, "seen color=blue"), 1);
    host->ops->metric(host, "bytes", CN_COUNTER, 2);
    host->ops->metric(host, "bytes", CN_COUNTER, 3);
    assert_int_equal(testhost_metric(t, "bytes"), 5);
    host->ops->progress(host, "half");
    assert_string_equal(testhost_progress(t), "half");
    assert_int_equal(host->ops->schema_get(host, "s", got, 8), -1);
    assert_int_equal(host->ops->schema_put(host, "s", "abc", 3), 0);
    assert_int_equal(host->ops->schema_get(host, "s", got, 2), 3);
    assert_memory_equal(got, "ab", 2);
    assert_int_equal(host->ops->schema_put(host, "s", NULL, 0), 0);
    assert_int_equal(host->ops->schema_get(host, "s", got, 8), -1);
    assert_non_null(host->ops->spool_dir(host));
    assert_int_equal(host->ops->spool_account(host, 100), 0);
    assert_int_equal(host->ops->spool_account(host, 1), -1);
    assert_int_equal(host->ops->spool_account(host, -60), 0);
    assert_int_equal(testhost_spooled(t), 40);
    struct cn_listen l = {sizeof l, CN_LISTEN_TCP, "in", "127.0.0.1:0", 1, 0, 0};
    assert_int_equal(host->ops->listen(host, &l, fds, 2), 1);
    unsigned port = testhost_port(t, "in");
    assert_true(port > 0);
    testhost_close(t);
    assert_int_equal(testhost_open(t), 0);
    assert_int_equal(host->ops->listen(host, &l, fds, 2), 1);
    assert_int_equal(testhost_port(t, "in"), port); // held over the restart
    testhost_time(t, 5000000);
    testhost_advance(t, 1500);
    assert_int_equal(host->ops->monotonic_ms(host), 6500);
    assert_int_equal(host->ops->now_us(host), 6500000);
    assert_null(host->ops->extension(host, "connectd.no-such/1"));
    assert_non_null(host->ops->extension(host, "connectd.build/1"));
    testhost_free(t);
}
