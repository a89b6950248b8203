// SPDX-License-Identifier: Apache-2.0
#include "fixture.h"

#include <unistd.h>

#include "alloc_fail.h"

static const char count_yaml[] = "pipeline: t\nsource:\n  connector: counting-source\n  value.converter: string\n";

static void assert_counted(struct fixture *f, const char *topic, int64_t n) {
    int64_t *got = xcalloc((size_t)n + 100, sizeof(*got));
    assert_int_equal(topic_numbers(f, topic, got, (size_t)n + 100), n);
    for (int64_t i = 0; i < n; i++) assert_int_equal(got[i], i);
    free(got);
}

TEST(every_record_is_written_once_in_order_and_its_position_committed) {
    (void)state;
    struct fixture fx, *f = &fx;
    fixture_open(f);
    source_script.limit = 1234;
    fixture_run(f, count_yaml);
    eventually(atomic_load(&source_script.committed) == 1234);
    assert_counted(f, "numbers", 1234);
    eventually(status_has(f, "\"state\":\"RUNNING\""));
    assert_true(status_has(f, "\"source-record-write-total\":1234"));
    assert_true(status_has(f, "\"source-record-active-count\":0"));
    fixture_close(f);
    assert_int_equal(source_script.closes, 1);
}

TEST(the_last_position_is_delivered_while_the_source_is_idle) {
    (void)state;
    struct fixture fx, *f = &fx;
    fixture_open(f);
    backend_mem_hold(f->backend, true);
    source_script.limit = 10;
    fixture_run(f, count_yaml);
    eventually(atomic_load(&source_script.polls) > 5);
    assert_int_equal(source_script.committed, -1); // nothing is durable yet
    assert_int_equal(topic_end(f, "numbers"), 0);
    backend_mem_hold(f->backend, false);
    eventually(atomic_load(&source_script.committed) == 10);
    fixture_close(f);
}

TEST(positions_are_never_committed_before_they_are_durable) {
    (void)state;
    struct fixture fx, *f = &fx;
    fixture_open(f);
    source_script.limit = 100000;
    source_script.batch = 100;
    fixture_run(f, count_yaml);
    while (atomic_load(&source_script.committed) < 100000) {
        int64_t committed = atomic_load(&source_script.committed);
        assert_true(topic_end(f, "numbers") >= committed);
    }
    fixture_close(f);
}

TEST(a_restart_goes_on_where_the_positions_say) {
    (void)state;
    struct fixture fx, *f = &fx;
    struct err err;
    fixture_open(f);
    source_script.limit = 500;
    fixture_run(f, count_yaml);
    eventually(atomic_load(&source_script.committed) == 500);
    source_script.limit = 900;
    assert_ok(worker_restart(f->worker, "t-source", -1, false, 5000, &err), err);
    eventually(atomic_load(&source_script.committed) == 900);
    assert_true(source_script.started_at >= 500);
    assert_counted(f, "numbers", 900);
    fixture_close(f);
}

TEST(a_transient_failure_restarts_for_ever_and_loses_nothing) {
    (void)state;
    struct fixture fx, *f = &fx;
    fixture_open(f);
    source_script.limit = 300;
    source_script.fail_poll = CN_FAIL_TRANSIENT;
    source_script.fail_times = 12;
    fixture_run(f, count_yaml);
    eventually(atomic_load(&source_script.committed) == 300);
    assert_int_equal(source_script.opens, 13);
    assert_int_equal(source_script.closes, 12);
    assert_true(status_has(f, "\"restarts\":12"));
    assert_counted(f, "numbers", 300);
    fixture_close(f);
}

TEST(a_transient_failure_shows_why_while_it_waits) {
    (void)state;
    struct fixture fx, *f = &fx;
    fixture_open(f);
    source_script.fail_open = CN_FAIL_TRANSIENT;
    source_script.fail_times = 1000000;
    fixture_run(f, count_yaml);
    eventually(status_has(f, "\"state\":\"RESTARTING\",\"worker_id\":\"127.0.0.1:8083\",\"trace\":\"open fails by script\\n\\thint: look at the script\""));
    assert_true(status_has(f, "\"blocked\":{\"reason\":\"open fails by script\",\"since\":\""));
    assert_int_equal(worker_health(f->worker), WORKER_DEGRADED);
    fixture_close(f);
}

static void assert_stays_failed(int class) {
    struct fixture fx, *f = &fx;
    struct err err;
    fixture_open(f);
    source_script.limit = 10;
    source_script.fail_poll = class;
    source_script.fail_times = 1;
    fixture_run(f, count_yaml);
    eventually(status_has(f, "\"state\":\"FAILED\""));
    assert_true(status_has(f, "poll fails by script at 0"));
    assert_true(status_has(f, "\"hint\":\"look at the script\""));
    usleep(50000);
    assert_int_equal(source_script.opens, 1);
    assert_ok(worker_restart(f->worker, "t-source", 0, false, 5000, &err), err);
    eventually(atomic_load(&source_script.committed) == 10);
    assert_false(status_has(f, "FAILED"));
    assert_int_equal(worker_health(f->worker), WORKER_ALL_RUNNING);
    fixture_close(f);
}

TEST(a_config_failure_stays_failed_until_it_is_restarted) { assert_stays_failed(CN_FAIL_CONFIG); }
TEST(lost_data_stays_failed_until_it_is_restarted) { assert_stays_failed(CN_FAIL_LOST_DATA); }
TEST(a_bug_stays_failed_until_it_is_restarted) { assert_stays_failed(CN_FAIL_BUG); }

TEST(a_wrong_password_at_the_start_fails_at_once) {
    (void)state;
    struct fixture fx, *f = &fx;
    fixture_open(f);
    source_script.fail_open = CN_FAIL_AUTH;
    source_script.fail_times = 1;
    fixture_run(f, count_yaml);
    eventually(status_has(f, "\"state\":\"FAILED\""));
    usleep(30000);
    assert_int_equal(source_script.opens, 1);
    fixture_close(f);
}

TEST(a_password_that_was_right_once_is_waited_for_while_running) {
    (void)state;
    struct fixture fx, *f = &fx;
    fixture_open(f);
    source_script.limit = 10;
    fixture_run(f, count_yaml);
    eventually(atomic_load(&source_script.committed) == 10);
    source_script.fail_open = CN_FAIL_AUTH;
    source_script.fail_times = 1000000;
    source_script.fail_poll = CN_FAIL_TRANSIENT;
    eventually(status_has(f, "\"state\":\"RUNNING\",\"worker_id\":\"127.0.0.1:8083\",\"trace\":\"open fails by script"));
    assert_true(status_has(f, "\"blocked\":{\"reason\":\"open fails by script\""));
    source_script.fail_times = 0;
    source_script.limit = 20;
    eventually(atomic_load(&source_script.committed) == 20);
    eventually(!status_has(f, "blocked"));
    assert_counted(f, "numbers", 20);
    fixture_close(f);
}

TEST(commits_the_log_refuses_for_now_are_sent_again) {
    (void)state;
    struct fixture fx, *f = &fx;
    fixture_open(f);
    source_script.limit = 2000;
    source_script.no_positions = true; // it could not give them again
    backend_mem_fail(f->backend, ERR_NOSPACE, 4);
    fixture_run(f, count_yaml);
    eventually(topic_end(f, "numbers") == 2000);
    assert_counted(f, "numbers", 2000);
    assert_int_equal(source_script.opens, 1);
    assert_true(source_script.polls > 0);
    fixture_close(f);
}

TEST(a_log_that_is_full_shows_as_the_reason_and_the_source_is_ticked) {
    (void)state;
    struct fixture fx, *f = &fx;
    fixture_open(f);
    source_script.limit = 10;
    backend_mem_fail(f->backend, ERR_NOSPACE, 1000000);
    fixture_run(f, count_yaml);
    eventually(status_has(f, "\"blocked\":{\"reason\":\"commit: no space left\""));
    eventually(atomic_load(&source_script.ticks) > 0);
    assert_int_equal(source_script.committed, -1);
    backend_mem_fail(f->backend, ERR_NOSPACE, 0);
    eventually(atomic_load(&source_script.committed) == 10);
    eventually(!status_has(f, "blocked"));
    fixture_close(f);
}

TEST(polls_are_withheld_while_too_much_is_under_way) {
    (void)state;
    struct fixture fx, *f = &fx;
    fixture_open(f);
    source_script.limit = 100000;
    source_script.value_bytes = 10000;
    source_script.batch = 10;
    backend_mem_hold(f->backend, true);
    fixture_run(f, "pipeline: t\nsource: {connector: counting-source, value.converter: string, max.bytes.in.flight: 1MiB}\n");
    eventually(atomic_load(&source_script.ticks) > 0);
    int polls = source_script.polls;
    assert_true(polls >= 8 && polls < 40); // 100 kB each
    usleep(50000);
    assert_int_equal(source_script.polls, polls);
    source_script.limit = polls * 10;
    backend_mem_hold(f->backend, false);
    eventually(atomic_load(&source_script.committed) == polls * 10);
    fixture_close(f);
}

TEST(open_batches_become_visible_together) {
    (void)state;
    struct fixture fx, *f = &fx;
    fixture_open(f);
    source_script.open_every = 5;
    source_script.limit = 40; // four batches of ten, none of which is a fifth: the last one commits
    fixture_run(f, count_yaml);
    eventually(atomic_load(&source_script.committed) == 40);
    assert_int_equal(backend_mem_commits(f->backend), 1);
    assert_counted(f, "numbers", 40);
    fixture_close(f);
}

TEST(an_aborted_transaction_leaves_nothing) {
    (void)state;
    struct fixture fx, *f = &fx;
    fixture_open(f);
    source_script.open_every = 10;
    source_script.abort_at = 4; // three batches are open then; the source starts over
    source_script.limit = 60;
    fixture_run(f, count_yaml);
    eventually(atomic_load(&source_script.committed) == 60);
    assert_counted(f, "numbers", 60);
    fixture_close(f);
}

TEST(stopping_makes_what_was_polled_durable) {
    (void)state;
    struct fixture fx, *f = &fx;
    struct err err;
    fixture_open(f);
    source_script.limit = 1 << 30;
    fixture_run(f, count_yaml);
    eventually(topic_end(f, "numbers") > 100);
    assert_ok(worker_stop(f->worker, "t-source", 5000, &err), err);
    assert_int_equal(source_script.committed, topic_end(f, "numbers"));
    assert_true(status_has(f, "\"state\":\"STOPPED\""));
    assert_true(status_has(f, "\"tasks\":[]"));
    fixture_close(f);
}

TEST(a_paused_task_polls_nothing_and_goes_on_when_resumed) {
    (void)state;
    struct fixture fx, *f = &fx;
    struct err err;
    fixture_open(f);
    source_script.limit = 1 << 30;
    fixture_run(f, count_yaml);
    eventually(topic_end(f, "numbers") > 100);
    assert_ok(worker_pause(f->worker, "t-source", 5000, &err), err);
    assert_true(status_has(f, "\"state\":\"PAUSED\""));
    int polls = source_script.polls;
    eventually(source_script.committed == topic_end(f, "numbers"));
    eventually(atomic_load(&source_script.ticks) > 0); // keep-alives never stop
    assert_int_equal(source_script.polls, polls);
    assert_int_equal(source_script.closes, 0);
    assert_ok(worker_resume(f->worker, "t-source", 5000, &err), err);
    eventually(source_script.polls > polls);
    source_script.limit = 0;
    fixture_close(f);
}

TEST(a_target_state_survives_the_worker) {
    (void)state;
    struct fixture fx, *f = &fx;
    struct err err;
    scripts_reset();
    struct backend *b = backend_mem_new();
    fixture_open_on(f, b);
    source_script.limit = 10;
    fixture_run(f, count_yaml);
    eventually(atomic_load(&source_script.committed) == 10);
    assert_ok(worker_pause(f->worker, "t-source", 5000, &err), err);
    fixture_close(f);
    fixture_open_on(f, b);
    int opens = source_script.opens;
    source_script.limit = 20;
    fixture_run(f, count_yaml);
    eventually(status_has(f, "\"state\":\"PAUSED\""));
    usleep(20000);
    assert_int_equal(source_script.opens, opens); // not even opened
    assert_ok(worker_resume(f->worker, "t-source", 5000, &err), err);
    eventually(atomic_load(&source_script.committed) == 20);
    fixture_close(f);
    b->ops->close(b);
}

TEST(a_source_that_is_done_ends_completed) {
    (void)state;
    struct fixture fx, *f = &fx;
    fixture_open(f);
    source_script.limit = 77;
    source_script.done_at_limit = true;
    fixture_run(f, count_yaml);
    eventually(status_has(f, "\"state\":\"COMPLETED\""));
    assert_int_equal(source_script.committed, 77);
    assert_int_equal(source_script.closes, 1);
    assert_counted(f, "numbers", 77);
    assert_int_equal(worker_health(f->worker), WORKER_ALL_RUNNING);
    fixture_close(f);
}

TEST(a_record_that_can_not_be_converted_stops_the_task_and_is_named) {
    (void)state;
    struct fixture fx, *f = &fx;
    fixture_open(f);
    source_script.limit = 100;
    source_script.bad_at = 55;
    fixture_run(f, count_yaml);
    eventually(status_has(f, "\"state\":\"FAILED\""));
    assert_true(status_has(f, "record 6 of 10 for topic numbers: a header can not be written as JSON"));
    assert_int_equal(source_script.committed, 50); // the batch it came in is not committed
    assert_counted(f, "numbers", 50);
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
    assert_str(header(r, "__connect.errors.topic")->value, "numbers");
    assert_str(header(r, "__connect.errors.connector.name")->value, "t-source");
    assert_str(header(r, "__connect.errors.task.id")->value, "0");
    assert_str(header(r, "__connect.errors.stage")->value, "HEADER_CONVERTER");
    assert_str(header(r, "__connect.errors.exception.class.name")->value, "record");
    assert_str(header(r, "__connect.errors.exception.message")->value, "a header can not be written as JSON");
    assert_str(r->value, "\"//4=\""); // base64 of the bytes
}

TEST(with_tolerance_all_a_bad_record_goes_to_the_dead_letters_in_the_same_commit) {
    (void)state;
    struct fixture fx, *f = &fx;
    struct err err;
    bool seen = false;
    fixture_open(f);
    source_script.limit = 100;
    source_script.bad_at = 55;
    fixture_run(f, "pipeline: t\nsource: {connector: counting-source, value.converter: string, errors: {tolerance: all}}\n");
    eventually(atomic_load(&source_script.committed) == 100);
    assert_int_equal(topic_end(f, "numbers"), 99);
    assert_int_equal(topic_end(f, "t-source.dlq"), 1);
    assert_ok(f->backend->ops->fetch(f->backend, "t-source.dlq", 0, 0, check_letter, &seen, &err), err);
    assert_true(seen);
    assert_true(status_has(f, "\"deadletterqueue-produce-requests\":1"));
    fixture_close(f);
}

TEST(a_filtered_record_still_moves_the_position) {
    (void)state;
    struct fixture fx, *f = &fx;
    fixture_open(f);
    source_script.limit = 30;
    fixture_run(f, "pipeline: t\nsource:\n  connector: counting-source\n  value.converter: string\n"
                   "  transforms: [{name: none, type: Filter}]\n");
    eventually(atomic_load(&source_script.committed) == 30);
    assert_true(status_has(f, "\"source-record-filtered-total\":30"));
    assert_true(topic_end(f, "numbers") <= 0);
    fixture_close(f);
}

TEST(topics_are_made_by_the_first_rule_that_matches) {
    (void)state;
    struct fixture fx, *f = &fx;
    struct err err;
    struct partition_info info;
    fixture_open(f);
    source_script.limit = 10;
    fixture_run(f, "pipeline: t\nsource: {connector: counting-source, topic: shop.orders, value.converter: string}\n"
                   "topics:\n  - {match: 'shop\\..*', partitions: 4}\n  - {match: '.*', partitions: 2}\n");
    eventually(atomic_load(&source_script.committed) == 10);
    assert_ok(f->backend->ops->partition(f->backend, "shop.orders", 3, &info, &err), err);
    assert_fails(f->backend->ops->partition(f->backend, "shop.orders", 4, &info, &err), err, ERR_NOT_FOUND);
    fixture_close(f);
}

TEST(a_record_of_fifty_mebibytes_passes) {
    (void)state;
    struct fixture fx, *f = &fx;
    fixture_open(f);
    source_script.limit = 1;
    source_script.value_bytes = 50 << 20;
    fixture_run(f, count_yaml);
    eventually(atomic_load(&source_script.committed) == 1);
    assert_int_equal(topic_end(f, "numbers"), 1);
    fixture_close(f);
}

// First the batch finds none, then the converter.
TEST(a_record_for_which_there_is_no_memory_is_not_at_fault_and_comes_again) {
    (void)state;
    struct fixture fx, *f = &fx;
    fixture_open(f);
    source_script.limit = 2;
    source_script.value_bytes = 3 << 20;
    alloc_plan((struct alloc_plan){.least = 4 << 20, .first = 1, .times = 60}); // each gives up after 28
    fixture_run(f, "pipeline: t\nsource: {connector: counting-source, value.converter: string, errors.tolerance: all}\n");
    eventually(status_has(f, "\"state\":\"RESTARTING\"") || source_script.opens > 1);
    eventually(topic_end(f, "numbers") == 2);
    alloc_relief();
    assert_true(source_script.opens > 1);
    assert_int_equal(topic_end(f, "t-source.dlq"), -1);
    fixture_close(f);
}
