// SPDX-License-Identifier: Apache-2.0
// What a damaged topic of Connect's own does to the connectors: those that depend on it fail and say so, the others run.
#include "fixture.h"

#include <unistd.h>

static const char count_yaml[] = "pipeline: t\nsource: {connector: counting-source, value.converter: string}\n";
static const char both_yaml[] = "pipeline: t\nsource: {connector: counting-source, value.converter: string}\nsink: {connector: scripted-sink, value.converter: string}\n";

// A worker that did something, and its successor on a backend with that topic damaged.
static struct backend *begin(struct fixture *f, const char *yaml) {
    scripts_reset();
    struct backend *b = backend_mem_new();
    fixture_open_on(f, b);
    fixture_run(f, yaml);
    return b;
}
static void again(struct fixture *f, struct backend *b, const char *topic, const char *yaml) {
    fixture_close(f);
    backend_mem_damage(b, topic);
    fixture_open_on(f, b);
    fixture_run(f, yaml);
}
static void end(struct fixture *f, struct backend *b) {
    fixture_close(f);
    b->ops->close(b);
}

TEST(a_connector_whose_target_state_is_lost_waits_for_somebody_to_say_so) {
    (void)state;
    struct fixture fx, *f = &fx;
    struct err err;
    struct backend *b = begin(f, count_yaml);
    eventually(source_script.opens == 1);
    assert_ok(worker_pause(f->worker, "t-source", 5000, &err), err);
    again(f, b, "connect-configs", count_yaml);
    eventually(status_has(f, "\"state\":\"FAILED\""));
    assert_true(status_has(f, "whether it was paused or stopped is not known"));
    assert_true(status_has(f, "log-repair show connect-configs-0"));
    assert_true(status_has(f, "connectd restart t-source"));
    assert_fails(worker_resume(f->worker, "t-source", 5000, &err), err, ERR_CORRUPT);
    fixture_apply(f); // a reload changes nothing of it
    assert_int_equal(source_script.opens, 1);
    assert_ok(worker_restart(f->worker, "t-source", -1, false, 5000, &err), err);
    eventually(source_script.opens == 2);
    assert_fails(worker_pause(f->worker, "t-source", 5000, &err), err, ERR_CORRUPT);
    end(f, b);
}

TEST(without_the_notes_of_topics_a_sink_goes_on_with_what_it_has_offsets_of) {
    (void)state;
    struct fixture fx, *f = &fx;
    struct err err;
    struct backend *b = begin(f, both_yaml);
    source_script.limit = 50;
    eventually(group_offset(f, "connect-t-sink", "numbers") == 50);
    assert_ok(worker_stop(f->worker, "t-sink", 5000, &err), err);
    source_script.limit = 100;
    eventually(topic_end(f, "numbers") == 100);
    again(f, b, "connect-status", both_yaml);
    eventually(source_script.started_at == 100); // and writes nothing more, so that it does not name its topic
    assert_ok(worker_resume(f->worker, "t-sink", 5000, &err), err);
    eventually(sink_delivered() == 100);
    assert_false(status_has(f, "FAILED"));
    end(f, b);
}

TEST(a_run_that_asks_for_a_schema_that_is_lost_ends_and_uses_nothing_of_that_call) {
    (void)state;
    for (int when = 1; when <= 2; when++) {
        struct fixture fx, *f = &fx;
        struct backend *b = begin(f, count_yaml);
        eventually(source_script.opens == 1);
        fixture_close(f);
        source_script.asks_schema = when;
        source_script.limit = 100;
        backend_mem_damage(b, "connect-schemas");
        fixture_open_on(f, b);
        fixture_run(f, count_yaml);
        eventually(status_has(f, "\"state\":\"FAILED\""));
        assert_true(status_has(f, "schema numbers: connect-schemas-0 is damaged"));
        assert_true(topic_end(f, "numbers") <= 0);
        assert_int_equal(source_script.opens, source_script.closes);
        source_script.asks_schema = 0; // one that asks for none is not concerned
        struct err err;
        assert_ok(worker_restart(f->worker, "t-source", -1, false, 5000, &err), err);
        eventually(topic_end(f, "numbers") == 100);
        end(f, b);
    }
}
