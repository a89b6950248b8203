// SPDX-License-Identifier: Apache-2.0
#include "fixture.h"

#include <stdio.h>
#include <unistd.h>

#include "base/say.h"

static const char sink_yaml[] = "pipeline: t\nsink:\n  connector: scripted-sink\n  topics: numbers\n  value.converter: string\n";
static const char tolerant_yaml[] =
    "pipeline: t\nsink:\n  connector: scripted-sink\n  topics: numbers\n  value.converter: string\n  errors: {tolerance: all}\n";

static void done(void *arg, const struct err *err) {
    assert_null(err);
    *(bool *)arg = true;
}

// Appends numbers from..to-1 to the topic, `each` a commit.
static void fill(struct fixture *f, const char *topic, int32_t partitions, int64_t from, int64_t to, int64_t each) {
    const struct backend_ops *ops = f->backend->ops;
    struct producer *p;
    struct err err;
    assert_ok(ops->topic_ensure(f->backend, &(struct topic_spec){.name = topic, .partitions = partitions}, &err), err);
    assert_ok(ops->producer_open(f->backend, "test", &p, &err), err);
    while (from < to) {
        bool committed = false;
        for (int64_t i = 0; i < each && from < to; i++, from++) {
            char value[24];
            snprintf(value, sizeof(value), "%lld", (long long)from);
            struct backend_record r = {.topic = str_of(topic), .partition = (int32_t)(from % partitions), .timestamp = 1, .key = str_of(value), .value = str_of(value)};
            assert_ok(ops->add(p, &r, &err), err);
        }
        ops->commit(p, NULL, NULL, 0, NULL, NULL, 0, done, &committed);
        assert_true(committed);
    }
    ops->producer_close(p);
}

// Every number once (or at least once).
static void assert_delivered(int64_t n, bool in_order) {
    int64_t *got = xcalloc((size_t)n, sizeof(*got));
    char *seen = xcalloc((size_t)n, 1);
    assert_int_equal(sink_delivered(), n);
    sink_copy(got, (size_t)n);
    for (int64_t i = 0; i < n; i++) {
        if (in_order) assert_int_equal(got[i], i);
        assert_true(got[i] >= 0 && got[i] < n && !seen[got[i]]);
        seen[got[i]] = 1;
    }
    free(got);
    free(seen);
}

TEST(every_record_is_put_once_in_order_and_its_offset_committed) {
    (void)state;
    struct fixture fx, *f = &fx;
    fixture_open(f);
    fill(f, "numbers", 1, 0, 1000, 100);
    fixture_run(f, sink_yaml);
    eventually(sink_delivered() == 1000);
    eventually(group_offset(f, "connect-t-sink", "numbers") == 1000);
    assert_delivered(1000, true);
    fill(f, "numbers", 1, 1000, 1100, 1);
    eventually(group_offset(f, "connect-t-sink", "numbers") == 1100);
    assert_delivered(1100, true);
    eventually(status_has(f, "\"lag\":0"));
    assert_true(status_has(f, "\"sink-record-send-total\":1100"));
    fixture_close(f);
    assert_int_equal(sink_script.closes, 1);
}

TEST(a_restart_goes_on_at_the_committed_offset) {
    (void)state;
    struct fixture fx, *f = &fx;
    struct err err;
    fixture_open(f);
    fill(f, "numbers", 1, 0, 100, 10);
    fixture_run(f, sink_yaml);
    eventually(sink_delivered() == 100);
    assert_ok(worker_stop(f->worker, "t-sink", 5000, &err), err);
    assert_int_equal(group_offset(f, "connect-t-sink", "numbers"), 100); // stopping commits
    fill(f, "numbers", 1, 100, 150, 10);
    assert_ok(worker_resume(f->worker, "t-sink", 5000, &err), err);
    eventually(sink_delivered() == 150);
    assert_delivered(150, true);
    fixture_close(f);
}

TEST(records_settled_later_and_backwards_move_the_offset_in_the_end) {
    (void)state;
    struct fixture fx, *f = &fx;
    fixture_open(f);
    sink_script.later = true;
    fill(f, "numbers", 3, 0, 5000, 100);
    fixture_run(f, sink_yaml);
    eventually(sink_delivered() == 5000);
    eventually(status_has(f, "\"partition\":0,\"committed\":1667"));
    eventually(status_has(f, "\"partition\":2,\"committed\":1666"));
    assert_delivered(5000, false);
    fixture_close(f);
}

TEST(a_sink_that_settles_only_when_flushed_is_flushed_at_commits_and_stops) {
    (void)state;
    struct fixture fx, *f = &fx;
    struct err err;
    fixture_open(f);
    sink_script.only_at_flush = true;
    fill(f, "numbers", 1, 0, 100, 10);
    fixture_run(f, sink_yaml);
    eventually(group_offset(f, "connect-t-sink", "numbers") == 100);
    assert_true(sink_script.flushes > 0);
    fill(f, "numbers", 1, 100, 120, 10);
    assert_ok(worker_stop(f->worker, "t-sink", 5000, &err), err);
    int64_t offset = group_offset(f, "connect-t-sink", "numbers");
    assert_int_equal(offset, (int64_t)sink_delivered());
    fixture_close(f);
}

static int every_seventh_twice(int64_t number, int attempt) { return number % 7 == 3 && attempt < 3 ? CN_RETRY : CN_OK; }

TEST(a_record_to_be_retried_comes_again_until_it_is_settled) {
    (void)state;
    struct fixture fx, *f = &fx;
    fixture_open(f);
    sink_script.verdict = every_seventh_twice;
    sink_script.retry_after_ms = 1;
    fill(f, "numbers", 1, 0, 200, 50);
    fixture_run(f, sink_yaml);
    eventually(group_offset(f, "connect-t-sink", "numbers") == 200);
    assert_delivered(200, false);
    for (int i = 0; i < 200; i++) assert_int_equal(sink_script.attempts[i], i % 7 == 3 ? 3 : 1); // nobody settled twice
    fixture_close(f);
}

// A sink that keeps order: behind a failed record it delivers nothing.
static bool failed_once;
static int in_order(int64_t number, int attempt) {
    static int64_t stuck = -1;
    if (!failed_once) failed_once = true, stuck = -1;
    if (number % 50 == 20 && attempt < 4) stuck = number;
    if (stuck >= 0 && number == stuck && attempt >= 4) stuck = -1;
    return stuck >= 0 && number >= stuck ? CN_RETRY : CN_OK;
}

TEST(order_is_kept_for_a_sink_that_retries_everything_behind_a_failure) {
    (void)state;
    struct fixture fx, *f = &fx;
    fixture_open(f);
    failed_once = false;
    sink_script.verdict = in_order;
    sink_script.retry_after_ms = 1;
    fill(f, "numbers", 1, 0, 300, 100);
    fixture_run(f, sink_yaml);
    eventually(group_offset(f, "connect-t-sink", "numbers") == 300);
    assert_delivered(300, true);
    fixture_close(f);
}

static int always_retry_five(int64_t number, int attempt) {
    (void)attempt;
    return number == 5 ? CN_RETRY : CN_OK;
}

TEST(a_retry_shows_its_reason_and_holds_only_its_partition) {
    (void)state;
    struct fixture fx, *f = &fx;
    fixture_open(f);
    sink_script.verdict = always_retry_five;
    sink_script.retry_after_ms = 5;
    fill(f, "numbers", 2, 0, 100, 10);
    fixture_run(f, sink_yaml);
    eventually(status_has(f, "\"blocked\":{\"reason\":\"by script\""));
    fill(f, "numbers", 2, 100, 200, 10);
    eventually(status_has(f, "\"partition\":0,\"committed\":100")); // the even ones
    eventually(status_has(f, "\"partition\":1,\"committed\":2,"));  // 1 and 3
    assert_true(sink_script.attempts[5] > 1);
    fixture_close(f);
}

TEST(a_retry_that_takes_too_long_becomes_an_error) {
    (void)state;
    struct fixture fx, *f = &fx;
    fixture_open(f);
    sink_script.verdict = always_retry_five;
    sink_script.retry_after_ms = 2;
    fill(f, "numbers", 1, 0, 20, 10);
    fixture_run(f, "pipeline: t\nsink: {connector: scripted-sink, topics: numbers, value.converter: string, errors: {tolerance: all, retry.timeout: 30}}\n");
    eventually(group_offset(f, "connect-t-sink", "numbers") == 20);
    assert_true(sink_script.attempts[5] > 2);
    assert_int_equal(topic_end(f, "t-sink.dlq"), 1);
    assert_int_equal(sink_delivered(), 19);
    fixture_close(f);
}

static int reject_multiples_of_ten(int64_t number, int attempt) {
    (void)attempt;
    return number % 10 == 0 ? CN_REJECT : CN_OK;
}

TEST(a_rejected_record_stops_the_task_at_it_and_is_named) {
    (void)state;
    struct fixture fx, *f = &fx;
    fixture_open(f);
    sink_script.verdict = reject_multiples_of_ten;
    fill(f, "numbers", 1, 1, 30, 100);
    fixture_run(f, sink_yaml);
    eventually(status_has(f, "\"state\":\"FAILED\""));
    assert_true(status_has(f, "record numbers-0@9: scripted-sink: by script"));
    assert_true(status_has(f, "errors.tolerance: all"));
    assert_int_equal(group_offset(f, "connect-t-sink", "numbers"), 9);
    assert_true(topic_end(f, "t-sink.dlq") <= 0);
    fixture_close(f);
}

static const struct backend_header *header(const struct consumed *r, const char *name) {
    for (uint32_t i = 0; i < r->header_count; i++)
        if (str_eqz(r->headers[i].name, name)) return &r->headers[i];
    fail_msg("no header %s", name);
    return NULL;
}
static void check_letter(void *arg, const struct consumed *r) {
    *(bool *)arg = true;
    assert_str(r->key, "20");
    assert_str(r->value, "20");
    assert_str(header(r, "__connect.errors.topic")->value, "numbers");
    assert_str(header(r, "__connect.errors.partition")->value, "0");
    assert_str(header(r, "__connect.errors.offset")->value, "20");
    assert_str(header(r, "__connect.errors.stage")->value, "TASK_PUT");
    assert_str(header(r, "__connect.errors.class.name")->value, "scripted-sink");
    assert_str(header(r, "__connect.errors.exception.class.name")->value, "rejected");
    assert_str(header(r, "__connect.errors.exception.message")->value, "by script");
}

TEST(with_tolerance_all_rejected_records_go_to_the_dead_letters_as_they_were) {
    (void)state;
    struct fixture fx, *f = &fx;
    struct err err;
    bool seen = false;
    fixture_open(f);
    sink_script.verdict = reject_multiples_of_ten;
    fill(f, "numbers", 1, 0, 95, 10);
    fixture_run(f, tolerant_yaml);
    eventually(group_offset(f, "connect-t-sink", "numbers") == 95);
    assert_int_equal(sink_delivered(), 85);
    assert_int_equal(topic_end(f, "t-sink.dlq"), 10);
    assert_ok(f->backend->ops->fetch(f->backend, "t-sink.dlq", 0, 2, check_letter, &seen, &err), err);
    assert_true(seen);
    assert_true(status_has(f, "\"deadletterqueue-produce-requests\":10"));
    fixture_close(f);
}

TEST(a_record_that_can_not_be_read_goes_to_the_dead_letters_and_the_others_pass) {
    (void)state;
    struct fixture fx, *f = &fx;
    struct err err;
    fixture_open(f);
    struct producer *p;
    bool committed = false;
    fill(f, "numbers", 1, 0, 3, 10);
    assert_ok(f->backend->ops->producer_open(f->backend, "x", &p, &err), err);
    struct backend_record r = {.topic = STR("numbers"), .partition = 0, .value = STR("\xff\xff")};
    assert_ok(f->backend->ops->add(p, &r, &err), err);
    f->backend->ops->commit(p, NULL, NULL, 0, NULL, NULL, 0, done, &committed);
    f->backend->ops->producer_close(p);
    fill(f, "numbers", 1, 3, 6, 10);
    fixture_run(f, tolerant_yaml);
    eventually(group_offset(f, "connect-t-sink", "numbers") == 7);
    assert_delivered(6, true);
    assert_int_equal(topic_end(f, "t-sink.dlq"), 1);
    fixture_close(f);
}

TEST(tolerated_errors_are_logged_with_their_record_when_asked_for) {
    (void)state;
    struct fixture fx, *f = &fx;
    char text[16384];
    fixture_open(f);
    sink_script.verdict = reject_multiples_of_ten;
    fill(f, "numbers", 1, 0, 15, 10);
    FILE *log = tmpfile();
    say_setup(SAY_TEXT, SAY_ERROR, fileno(log));
    fixture_run(f, "pipeline: t\nsink: {connector: scripted-sink, topics: numbers, value.converter: string,\n"
                   "  errors: {tolerance: all, log.enable: true, log.include.messages: true}}\n");
    eventually(group_offset(f, "connect-t-sink", "numbers") == 15);
    say_setup(SAY_TEXT, SAY_INFO, 2);
    rewind(log);
    text[fread(text, 1, sizeof(text) - 1, log)] = 0;
    assert_has(text, "record numbers-0@10: TASK_PUT: by script");
    assert_has(text, "value=10");
    assert_true(status_has(f, "\"total-errors-logged\":2"));
    fclose(log);
    fixture_close(f);
}

TEST(a_put_that_fails_at_one_record_spares_the_others) {
    (void)state;
    struct fixture fx, *f = &fx;
    fixture_open(f);
    sink_script.fail_put = CN_FAIL_RECORD;
    fill(f, "numbers", 1, 0, 10, 10);
    fixture_run(f, tolerant_yaml);
    eventually(group_offset(f, "connect-t-sink", "numbers") == 10);
    assert_delivered(9, true);
    assert_int_equal(topic_end(f, "t-sink.dlq"), 1);
    fixture_close(f);
}

TEST(a_put_that_fails_for_now_restarts_the_task_and_loses_nothing) {
    (void)state;
    struct fixture fx, *f = &fx;
    fixture_open(f);
    source_script.fail_times = 100;
    sink_script.fail_put = CN_FAIL_TRANSIENT;
    fill(f, "numbers", 1, 0, 100, 10);
    fixture_run(f, sink_yaml);
    eventually(group_offset(f, "connect-t-sink", "numbers") == 100);
    assert_int_equal(sink_script.opens, 2);
    assert_delivered(100, true);
    fixture_close(f);
}

TEST(a_login_refused_before_anything_was_delivered_fails_at_once) {
    (void)state;
    struct fixture fx, *f = &fx;
    fixture_open(f);
    sink_script.fail_put = CN_FAIL_AUTH;
    fill(f, "numbers", 1, 0, 10, 10);
    fixture_run(f, sink_yaml);
    eventually(status_has(f, "\"state\":\"FAILED\""));
    assert_int_equal(sink_script.opens, 1);
    fixture_close(f);
}

TEST(a_login_refused_after_a_delivery_is_waited_for) {
    (void)state;
    struct fixture fx, *f = &fx;
    fixture_open(f);
    fill(f, "numbers", 1, 0, 10, 10);
    fixture_run(f, sink_yaml);
    eventually(group_offset(f, "connect-t-sink", "numbers") == 10);
    sink_script.fail_put = CN_FAIL_AUTH;
    fill(f, "numbers", 1, 10, 20, 10);
    eventually(group_offset(f, "connect-t-sink", "numbers") == 20);
    assert_int_equal(sink_script.opens, 2);
    assert_delivered(20, true);
    fixture_close(f);
}

TEST(the_sinks_own_offset_wins) {
    (void)state;
    struct fixture fx, *f = &fx;
    fixture_open(f);
    sink_script.start_offset = 40;
    fill(f, "numbers", 1, 0, 100, 10);
    fixture_run(f, sink_yaml);
    eventually(group_offset(f, "connect-t-sink", "numbers") == 100);
    int64_t first;
    sink_copy(&first, 1);
    assert_int_equal(first, 40);
    assert_int_equal(sink_delivered(), 60);
    fixture_close(f);
}

static int never(int64_t number, int attempt) {
    (void)number, (void)attempt;
    return CN_OK;
}

TEST(bytes_held_by_the_sink_are_bounded) {
    (void)state;
    struct fixture fx, *f = &fx;
    fixture_open(f);
    sink_script.only_at_flush = true;
    sink_script.verdict = never;
    fill(f, "numbers", 1, 0, 20000, 5000);
    fixture_run(f, "pipeline: t\nsink: {connector: scripted-sink, topics: numbers, value.converter: string, max.bytes.in.flight: 128KiB, max.poll.records: 100}\n");
    eventually(sink_delivered() == 20000);
    // About 70 bytes each; what was read at once goes beyond by at most one read.
    assert_true(sink_script.most_held < 20000);
    assert_true(sink_script.flushes > 0);
    fixture_close(f);
}

TEST(a_topic_that_goes_is_revoked_and_one_that_comes_is_assigned) {
    (void)state;
    struct fixture fx, *f = &fx;
    struct err err;
    fixture_open(f);
    fill(f, "a.one", 1, 0, 10, 10);
    fixture_run(f, "pipeline: t\nsink: {connector: scripted-sink, topics.regex: 'a\\..*', value.converter: string}\n");
    eventually(sink_delivered() == 10);
    fill(f, "a.two", 2, 10, 30, 10);
    eventually(sink_delivered() == 30);
    assert_int_equal(sink_script.assigned, 3);
    assert_ok(f->backend->ops->topic_delete(f->backend, "a.two", &err), err);
    eventually(atomic_load(&sink_script.revoked) == 2);
    fill(f, "a.one", 1, 30, 40, 10);
    eventually(sink_delivered() == 40);
    fixture_close(f);
}

TEST(a_sink_without_topics_follows_its_pipelines_sources) {
    (void)state;
    struct fixture fx, *f = &fx;
    fixture_open(f);
    source_script.limit = 500;
    fill(f, "other", 1, 0, 10, 10);
    fixture_run(f, "pipeline: t\nsource: {connector: counting-source, value.converter: string}\nsink: {connector: scripted-sink, value.converter: string}\n");
    eventually(sink_delivered() == 500);
    eventually(group_offset(f, "connect-t-sink", "numbers") == 500);
    assert_delivered(500, true);
    assert_int_equal(group_offset(f, "connect-t-sink", "other"), -1);
    fixture_close(f);
}

TEST(tasks_share_the_partitions) {
    (void)state;
    struct fixture fx, *f = &fx;
    fixture_open(f);
    fill(f, "numbers", 6, 0, 600, 60);
    fixture_run(f, "pipeline: t\nsink: {connector: scripted-sink, topics: numbers, value.converter: string, tasks.max: 3}\n");
    eventually(sink_delivered() == 600);
    assert_delivered(600, false);
    assert_int_equal(sink_script.opens, 3);
    assert_int_equal(sink_script.assigned, 6);
    assert_true(status_has(f, "\"id\":2"));
    fixture_close(f);
}

TEST(a_paused_sink_is_put_nothing) {
    (void)state;
    struct fixture fx, *f = &fx;
    struct err err;
    fixture_open(f);
    fill(f, "numbers", 1, 0, 10, 10);
    fixture_run(f, sink_yaml);
    eventually(sink_delivered() == 10);
    assert_ok(worker_pause(f->worker, "t-sink", 5000, &err), err);
    fill(f, "numbers", 1, 10, 20, 10);
    eventually(atomic_load(&sink_script.ticks) > 0);
    assert_int_equal(sink_delivered(), 10);
    assert_ok(worker_resume(f->worker, "t-sink", 5000, &err), err);
    eventually(sink_delivered() == 20);
    fixture_close(f);
}

TEST(offset_commits_the_log_refuses_for_now_are_sent_again) {
    (void)state;
    struct fixture fx, *f = &fx;
    fixture_open(f);
    fill(f, "numbers", 1, 0, 10, 10);
    backend_mem_fail(f->backend, ERR_NOSPACE, 3);
    fixture_run(f, sink_yaml);
    eventually(group_offset(f, "connect-t-sink", "numbers") == 10);
    assert_int_equal(sink_script.opens, 1);
    assert_true(status_has(f, "\"offset-commit-skip-total\":3"));
    fixture_close(f);
}
