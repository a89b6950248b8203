// SPDX-License-Identifier: Apache-2.0
// Tasks that do not come back. What they hold is left behind on purpose, so leaks are not looked for in this program.
#include "fixture.h"

#include <stdio.h>
#include <unistd.h>

__attribute__((visibility("default"))) int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void) { return 1; }

static const char count_yaml[] = "pipeline: t\nsource:\n  connector: counting-source\n  value.converter: string\n";
static const char pipe_yaml[] = "pipeline: t\nsource: {connector: counting-source, value.converter: string}\nsink: {connector: scripted-sink, value.converter: string}\n";

static void assert_counted(struct fixture *f, const char *topic, int64_t n) {
    int64_t got[100];
    assert_int_equal(topic_numbers(f, topic, got, 100), n);
    for (int64_t i = 0; i < n; i++) assert_int_equal(got[i], i);
}

TEST(a_hung_poll_is_reported_with_its_stack_and_replaced) {
    (void)state;
    struct fixture fx, *f = &fx;
    fixture_open(f);
    source_script.limit = 10;
    fixture_run(f, count_yaml);
    eventually(atomic_load(&source_script.committed) == 10);
    source_script.hang = true;
    eventually(status_has(f, "\"hung\":{\"call\":\"poll\""));
    eventually(status_has(f, "source_poll") || status_has(f, "test_hung_task"));
    assert_int_equal(worker_health(f->worker), WORKER_DEGRADED);
    eventually(status_has(f, "\"abandoned\":1"));
    source_script.hang = false; // the old thread comes back and finds that it is not wanted any more
    source_script.limit = 30;
    eventually(atomic_load(&source_script.committed) == 30);
    assert_counted(f, "numbers", 30);
    eventually(atomic_load(&source_script.closes) == 1);
    assert_int_equal(worker_close(f->worker, 5000), 1);
    worker_report_done(&f->report);
}

TEST(a_task_that_does_not_stop_is_abandoned_at_the_deadline) {
    (void)state;
    struct fixture fx, *f = &fx;
    struct err err;
    fixture_open(f);
    source_script.limit = 10;
    fixture_run(f, count_yaml);
    eventually(atomic_load(&source_script.committed) == 10);
    source_script.hang = true;
    int polls = source_script.polls;
    eventually(source_script.polls > polls);
    assert_fails(worker_stop(f->worker, "t-source", 100, &err), err, ERR_TIMEOUT);
    assert_has(err.msg, "abandoned");
    source_script.hang = false;
    eventually(atomic_load(&source_script.closes) == 1);
    assert_int_equal(worker_close(f->worker, 5000), 1);
    worker_report_done(&f->report);
}

TEST(a_hung_put_is_reported) {
    (void)state;
    struct fixture fx, *f = &fx;
    fixture_open(f);
    sink_script.hang = true;
    source_script.limit = 10;
    fixture_run(f, pipe_yaml);
    eventually(status_has(f, "\"hung\":{\"call\":\"put\""));
    sink_script.hang = false;
    eventually(group_offset(f, "connect-t-sink", "numbers") == 10);
    worker_close(f->worker, 5000);
    worker_report_done(&f->report);
}
