// SPDX-License-Identifier: Apache-2.0
#include "fixture.h"

#include <stdio.h>
#include <unistd.h>

#include "config/interpolate.h"
#include "tmpdir.h"

static const char count_yaml[] = "pipeline: t\nsource:\n  connector: counting-source\n  value.converter: string\n";

static const struct worker_change *change_of(struct fixture *f, const char *connector) {
    for (size_t i = 0; i < f->report.n; i++)
        if (f->report.changes[i].connector && strcmp(f->report.changes[i].connector, connector) == 0) return &f->report.changes[i];
    fail_msg("no change of %s", connector);
    return NULL;
}
static void assert_change(struct fixture *f, const char *connector, enum worker_change_kind kind) {
    assert_string_equal(worker_change_name(change_of(f, connector)->kind), worker_change_name(kind));
}

static char *pipeline(const char *name, const char *topic) {
    return xasprintf("pipeline: %s\nsource: {connector: counting-source, topic: %s, value.converter: string}\n", name, topic);
}
static void file(struct fixture *f, const char *name, const char *topic) {
    _cleanup_free_ char *yaml = pipeline(name, topic), *path = xasprintf("%s.yaml", name);
    fixture_file(f, path, yaml);
}

// ── files ──

TEST(files_start_change_and_go_one_by_one) {
    (void)state;
    struct fixture fx, *f = &fx;
    fixture_open(f);
    file(f, "a", "ta");
    file(f, "b", "tb");
    fixture_apply(f);
    assert_change(f, "a-source", WORKER_STARTED);
    assert_change(f, "b-source", WORKER_STARTED);
    fixture_apply(f);
    assert_change(f, "a-source", WORKER_UNCHANGED);
    assert_change(f, "b-source", WORKER_UNCHANGED);
    eventually(source_script.opens == 2);
    int opens = source_script.opens;
    file(f, "b", "other");
    file(f, "c", "tc");
    fixture_apply(f);
    assert_change(f, "a-source", WORKER_UNCHANGED);
    assert_change(f, "b-source", WORKER_RESTARTED);
    assert_change(f, "c-source", WORKER_STARTED);
    eventually(source_script.opens == opens + 2);
    fixture_remove(f, "a.yaml");
    fixture_apply(f);
    assert_change(f, "a-source", WORKER_REMOVED);
    struct err err;
    assert_fails(worker_find(f->worker, "a-source", NULL, &err), err, ERR_NOT_FOUND);
    fixture_close(f);
    assert_int_equal(source_script.opens, source_script.closes);
}

TEST(a_comment_changes_nothing) {
    (void)state;
    struct fixture fx, *f = &fx;
    fixture_open(f);
    fixture_run(f, count_yaml);
    fixture_file(f, "test.yaml", "# a word\npipeline: t\nsource: {value.converter: string, connector: counting-source}\n");
    fixture_apply(f);
    assert_change(f, "t-source", WORKER_UNCHANGED);
    fixture_close(f);
}

TEST(a_wrong_file_keeps_its_running_version_and_the_others_go_on) {
    (void)state;
    struct fixture fx, *f = &fx;
    fixture_open(f);
    source_script.limit = 100;
    file(f, "a", "ta");
    file(f, "b", "tb");
    fixture_apply(f);
    eventually(topic_end(f, "ta") == 100 && topic_end(f, "tb") == 100);
    fixture_file(f, "a.yaml", "pipeline: a\nsource: {connector: counting-source, topik: x}\n");
    file(f, "b", "other");
    fixture_apply(f);
    assert_int_equal(f->report.refused, 1);
    assert_change(f, "b-source", WORKER_RESTARTED);
    const struct worker_change *refused = &f->report.changes[0];
    assert_int_equal(refused->kind, WORKER_REFUSED);
    assert_has(refused->detail, "a.yaml:2:");
    assert_has(refused->detail, "topik");
    assert_has(refused->detail, "did you mean topic?");
    source_script.limit = 150;
    eventually(topic_end(f, "ta") == 150); // the old version still runs
    assert_true(status_has(f, "\"refused\":[{\"file\":"));
    assert_true(status_has(f, "\"running\":true"));
    assert_int_equal(worker_health(f->worker), WORKER_DEGRADED);
    file(f, "a", "ta");
    fixture_apply(f);
    assert_int_equal(f->report.refused, 0);
    assert_change(f, "a-source", WORKER_UNCHANGED);
    assert_true(status_has(f, "\"refused\":[]"));
    fixture_close(f);
}

TEST(one_wrong_file_among_ten_at_the_start_is_shown_and_the_rest_run) {
    (void)state;
    struct fixture fx, *f = &fx;
    char summary[200];
    fixture_open(f);
    for (int i = 0; i < 10; i++) {
        char name[8], topic[8];
        snprintf(name, sizeof(name), "p%d", i);
        snprintf(topic, sizeof(topic), "t%d", i);
        if (i == 4) fixture_file(f, "p4.yaml", "pipeline: p4\nsource: {connector: no-such-plugin}\n");
        else file(f, name, topic);
    }
    source_script.limit = 5;
    fixture_apply(f);
    assert_int_equal(f->report.refused, 1);
    eventually(topic_end(f, "t9") == 5 && topic_end(f, "t0") == 5);
    assert_true(status_has(f, "no-such-plugin"));
    assert_true(status_has(f, "\"running\":false"));
    worker_summary(f->worker, summary, sizeof(summary));
    assert_string_equal(summary, "9 connectors running, 1 files refused");
    fixture_close(f);
}

TEST(what_a_plugin_refuses_is_shown_at_the_options_line) {
    (void)state;
    struct fixture fx, *f = &fx;
    fixture_open(f);
    fixture_file(f, "a.yaml", "pipeline: a\nsource:\n  connector: counting-source\n  topic: forbidden\n");
    fixture_apply(f);
    assert_int_equal(f->report.refused, 1);
    assert_has(f->report.changes[0].detail, "a.yaml:4:");
    assert_has(f->report.changes[0].detail, "topic: forbidden may not be written to");
    assert_has(f->report.changes[0].detail, "choose another");
    assert_int_equal(source_script.opens, 0);
    fixture_close(f);
}

TEST(a_name_used_by_two_files_is_refused_in_the_second) {
    (void)state;
    struct fixture fx, *f = &fx;
    fixture_open(f);
    file(f, "a", "ta");
    fixture_apply(f);
    _cleanup_free_ char *twin = pipeline("a", "elsewhere");
    fixture_file(f, "twin.yaml", twin);
    fixture_apply(f);
    assert_int_equal(f->report.refused, 1);
    assert_change(f, "a-source", WORKER_UNCHANGED);
    assert_has(f->report.changes[0].detail, "a.yaml already");
    fixture_close(f);
}

TEST(a_connector_that_moves_to_another_file_is_not_lost) {
    (void)state;
    struct fixture fx, *f = &fx;
    fixture_open(f);
    file(f, "a", "ta");
    fixture_apply(f);
    _cleanup_free_ char *yaml = pipeline("a", "ta");
    fixture_remove(f, "a.yaml");
    fixture_file(f, "moved.yaml", yaml);
    fixture_apply(f);
    assert_true(worker_find(f->worker, "a-source", NULL, NULL) == 0);
    assert_int_equal(f->report.refused, 0);
    fixture_close(f);
}

// ── orphans and offsets ──

static const char *offsets(struct fixture *f, const char *name) {
    static struct buf b;
    struct err err;
    buf_clear(&b);
    struct json_writer w = json_to(&b);
    assert_ok(worker_offsets_json(f->worker, name, &w, &err), err);
    return buf_cstr(&b);
}

TEST(what_a_removed_file_leaves_is_listed_with_the_command_that_removes_it) {
    (void)state;
    struct fixture fx, *f = &fx;
    struct err err;
    fixture_open(f);
    source_script.limit = 10;
    fixture_run(f, count_yaml);
    eventually(atomic_load(&source_script.committed) == 10);
    fixture_remove(f, "test.yaml");
    fixture_apply(f);
    assert_true(status_has(f, "\"orphaned\":[{\"name\":\"t-source\",\"type\":\"source\",\"connector\":\"counting-source\""));
    assert_true(status_has(f, "\"remove\":\"connectd offsets reset t-source\""));
    assert_string_equal(offsets(f, "t-source"), "{\"offsets\":[{\"partition\":{\"source\":\"counting\"},\"offset\":{\"n\":10}}]}");
    // Its file comes back: it goes on where it was.
    source_script.limit = 15;
    fixture_run(f, count_yaml);
    eventually(atomic_load(&source_script.committed) == 15);
    assert_int_equal(source_script.started_at, 10);
    assert_true(status_has(f, "\"orphaned\":[]"));
    fixture_remove(f, "test.yaml");
    fixture_apply(f);
    assert_ok(worker_offsets_reset(f->worker, "t-source", false, NULL, &err), err);
    assert_true(status_has(f, "\"orphaned\":[]"));
    assert_fails(worker_offsets_reset(f->worker, "t-source", false, NULL, &err), err, ERR_NOT_FOUND);
    fixture_close(f);
}

TEST(positions_are_changed_only_while_the_connector_is_stopped) {
    (void)state;
    struct fixture fx, *f = &fx;
    struct err err;
    struct buf out = {0};
    struct str body = STR("{\"offsets\": [ {\"partition\": {\"source\" : \"counting\"}, \"offset\": {\"n\": 4}} ]}");
    fixture_open(f);
    source_script.limit = 10;
    fixture_run(f, count_yaml);
    eventually(atomic_load(&source_script.committed) == 10);
    assert_fails(worker_offsets_set(f->worker, "t-source", body, false, NULL, &err), err, ERR_BUSY);
    assert_string_equal(err.hint, "`connectd stop t-source` first");
    assert_ok(worker_stop(f->worker, "t-source", 5000, &err), err);
    struct json_writer w = json_to(&out);
    assert_ok(worker_offsets_set(f->worker, "t-source", body, true, &w, &err), err);
    assert_buf(&out, "{\"changes\":[{\"partition\":{\"source\":\"counting\"},\"from\":{\"n\":10},\"to\":{\"n\":4}}]}");
    assert_has(offsets(f, "t-source"), "{\"n\":10}"); // a dry run
    assert_ok(worker_offsets_set(f->worker, "t-source", body, false, NULL, &err), err);
    assert_string_equal(offsets(f, "t-source"), "{\"offsets\":[{\"partition\":{\"source\":\"counting\"},\"offset\":{\"n\":4}}]}");
    assert_ok(worker_resume(f->worker, "t-source", 5000, &err), err);
    eventually(source_script.started_at == 4);
    eventually(topic_end(f, "numbers") == 16);
    assert_ok(worker_stop(f->worker, "t-source", 5000, &err), err);
    assert_ok(worker_offsets_reset(f->worker, "t-source", false, NULL, &err), err);
    assert_string_equal(offsets(f, "t-source"), "{\"offsets\":[]}");
    buf_done(&out);
    fixture_close(f);
}

TEST(a_sinks_offsets_have_connects_shape) {
    (void)state;
    struct fixture fx, *f = &fx;
    struct err err;
    fixture_open(f);
    source_script.limit = 10;
    fixture_run(f, "pipeline: t\nsource: {connector: counting-source, value.converter: string}\nsink: {connector: scripted-sink, value.converter: string}\n");
    eventually(group_offset(f, "connect-t-sink", "numbers") == 10);
    assert_ok(worker_stop(f->worker, "t-sink", 5000, &err), err);
    assert_string_equal(offsets(f, "t-sink"), "{\"offsets\":[{\"partition\":{\"kafka_topic\":\"numbers\",\"kafka_partition\":0},\"offset\":{\"kafka_offset\":10}}]}");
    // Numbers as texts, as Connect takes them.
    struct str body = STR("{\"offsets\":[{\"partition\":{\"kafka_topic\":\"numbers\",\"kafka_partition\":\"0\"},\"offset\":{\"kafka_offset\":\"7\"}}]}");
    assert_ok(worker_offsets_set(f->worker, "t-sink", body, false, NULL, &err), err);
    assert_int_equal(group_offset(f, "connect-t-sink", "numbers"), 7);
    size_t before = sink_delivered();
    assert_ok(worker_resume(f->worker, "t-sink", 5000, &err), err);
    eventually(sink_delivered() == before + 3);
    fixture_close(f);
}

TEST(wrong_bodies_are_refused_with_a_reason) {
    (void)state;
    struct fixture fx, *f = &fx;
    struct err err;
    fixture_open(f);
    fixture_run(f, "pipeline: t\nsink: {connector: scripted-sink, topics: x}\nsource: {connector: counting-source}\n");
    assert_ok(worker_stop(f->worker, "t-sink", 5000, &err), err);
    assert_ok(worker_stop(f->worker, "t-source", 5000, &err), err);
    static const char *const bad[] = {"", "[]", "{}", "{\"offsets\":1}", "{\"offsets\":[1]}", "{\"offsets\":[{}]}", "{\"offsets\":[{\"partition\":{}}",
                                      "{\"offsets\":[{\"partition\":1,\"offset\":{}}]}", "{\"offsets\":[{\"partition\":{},\"offset\":3}]}",
                                      "{\"offsets\":[{\"partition\":{},\"offset\":{},\"more\":1}]}", "{\"offsets\":[]} x"};
    for (size_t i = 0; i < countof(bad); i++) {
        assert_fails(worker_offsets_set(f->worker, "t-source", str_of(bad[i]), false, NULL, &err), err, ERR_INVALID);
        assert_fails(worker_offsets_set(f->worker, "t-sink", str_of(bad[i]), false, NULL, &err), err, ERR_INVALID);
    }
    assert_fails(worker_offsets_set(f->worker, "t-sink", STR("{\"offsets\":[{\"partition\":{\"kafka_topic\":\"t\",\"kafka_partition\":-1},\"offset\":null}]}"), false, NULL, &err), err, ERR_INVALID);
    assert_fails(worker_offsets_set(f->worker, "t-sink", STR("{\"offsets\":[{\"partition\":{\"kafka_topic\":\"t\",\"kafka_partition\":1},\"offset\":{\"kafka_offset\":-3}}]}"), false, NULL, &err), err, ERR_INVALID);
    assert_fails(worker_offsets_set(f->worker, "t-surce", STR("{}"), false, NULL, &err), err, ERR_NOT_FOUND);
    assert_string_equal(err.hint, "did you mean t-source?");
    fixture_close(f);
}

// ── control ──

TEST(verbs_are_idempotent_and_name_what_is_not_there) {
    (void)state;
    struct fixture fx, *f = &fx;
    struct err err;
    fixture_open(f);
    fixture_run(f, count_yaml);
    assert_fails(worker_pause(f->worker, "x", 100, &err), err, ERR_NOT_FOUND);
    assert_ok(worker_pause(f->worker, "t-source", 5000, &err), err);
    assert_ok(worker_pause(f->worker, "t-source", 5000, &err), err);
    assert_ok(worker_stop(f->worker, "t-source", 5000, &err), err);
    assert_ok(worker_stop(f->worker, "t-source", 5000, &err), err);
    assert_fails(worker_restart(f->worker, "t-source", -1, false, 5000, &err), err, ERR_BUSY);
    assert_string_equal(err.hint, "`connectd resume t-source` starts it");
    assert_ok(worker_pause(f->worker, "t-source", 5000, &err), err); // from STOPPED: tasks exist, and wait
    eventually(status_has(f, "\"state\":\"PAUSED\",\"worker_id\":\"127.0.0.1:8083\",\"restarts\""));
    assert_ok(worker_resume(f->worker, "t-source", 5000, &err), err);
    assert_fails(worker_restart(f->worker, "t-source", 7, false, 5000, &err), err, ERR_NOT_FOUND);
    fixture_close(f);
}

TEST(only_failed_tasks_are_restarted_when_asked_so) {
    (void)state;
    struct fixture fx, *f = &fx;
    struct err err;
    fixture_open(f);
    fixture_run(f, count_yaml);
    eventually(source_script.opens == 1);
    assert_ok(worker_restart(f->worker, "t-source", -1, true, 5000, &err), err);
    assert_int_equal(source_script.opens, 1);
    source_script.fail_times = 1;
    source_script.fail_poll = CN_FAIL_CONFIG;
    eventually(status_has(f, "\"state\":\"FAILED\""));
    assert_ok(worker_restart(f->worker, "t-source", -1, true, 5000, &err), err);
    eventually(source_script.opens == 2);
    fixture_close(f);
}

static int topic_text(void *arg, const char *topic) {
    buf_printf(arg, "%s ", topic);
    return 0;
}

TEST(topics_of_a_connector_are_known) {
    (void)state;
    struct fixture fx, *f = &fx;
    struct err err;
    struct buf got = {0};
    fixture_open(f);
    source_script.limit = 1;
    fixture_run(f, "pipeline: t\nsource: {connector: counting-source, topic: a.b}\nsink: {connector: scripted-sink}\n");
    eventually(sink_delivered() == 1);
    assert_ok(worker_topics(f->worker, "t-source", topic_text, &got, &err), err);
    assert_ok(worker_topics(f->worker, "t-sink", topic_text, &got, &err), err);
    assert_buf(&got, "a.b a.b ");
    buf_done(&got);
    fixture_close(f);
}

TEST(a_secret_that_changed_restarts_its_connector_at_a_reload) {
    (void)state;
    struct fixture fx, *f = &fx;
    struct err err;
    scripts_reset();
    struct backend *b = backend_mem_new();
    fixture_open_on(f, b);
    assert_int_equal(worker_close(f->worker, 1000), 0);
    setenv("CONNECTD_TEST_TOPIC", "first", 1);
    struct secret_places secrets = {.secrets_dir = f->dir};
    struct worker_options o = {.backend = b, .plugins = f->plugins, .metrics = f->metrics, .secrets = &secrets, .retry_min_ms = 5};
    assert_ok(worker_open(&o, &f->worker, &err), err);
    source_script.limit = 1;
    fixture_run(f, "pipeline: t\nsource: {connector: counting-source, topic: '${env:CONNECTD_TEST_TOPIC}'}\n");
    eventually(topic_end(f, "first") == 1);
    fixture_apply(f);
    assert_change(f, "t-source", WORKER_UNCHANGED);
    setenv("CONNECTD_TEST_TOPIC", "second", 1);
    source_script.limit = 2;
    fixture_apply(f);
    assert_change(f, "t-source", WORKER_RESTARTED);
    eventually(topic_end(f, "second") == 1);
    fixture_close(f);
    b->ops->close(b);
}

static int pair_text(void *arg, struct str key, struct str value) {
    if (str_starts(key, STR("status-"))) buf_printf(arg, "%.*s=%.*s\n", STR_FMT(key), STR_FMT(value));
    return 0;
}

TEST(statuses_reach_the_status_topic) {
    (void)state;
    struct fixture fx, *f = &fx;
    struct err err;
    struct buf got = {0};
    scripts_reset();
    struct backend *b = backend_mem_new();
    fixture_open_on(f, b);
    source_script.fail_open = CN_FAIL_CONFIG;
    source_script.fail_times = 1;
    fixture_run(f, count_yaml);
    eventually(status_has(f, "\"state\":\"FAILED\""));
    fixture_close(f);
    assert_ok(b->ops->map_load(b, "connect-status", pair_text, &got, &err), err);
    assert_has(buf_cstr(&got), "status-connector-t-source={\"state\":\"RUNNING\"");
    assert_has(buf_cstr(&got), "status-task-t-source-0={\"state\":\"FAILED\",\"trace\":\"open fails by script\"");
    buf_done(&got);
    b->ops->close(b);
}

TEST(what_retention_took_from_a_sink_leaves_a_letter) {
    (void)state;
    struct fixture fx, *f = &fx;
    struct err err;
    fixture_open(f);
    source_script.limit = 100;
    fixture_run(f, "pipeline: t\nsource: {connector: counting-source, value.converter: string}\nsink: {connector: scripted-sink, value.converter: string}\n");
    eventually(group_offset(f, "connect-t-sink", "numbers") == 100);
    assert_ok(worker_stop(f->worker, "t-sink", 5000, &err), err);
    source_script.limit = 200;
    eventually(topic_end(f, "numbers") == 200);
    backend_mem_expire(f->backend, "numbers", 0, 150);
    eventually(topic_end(f, "t-sink.dlq") == 1);
    assert_ok(worker_resume(f->worker, "t-sink", 5000, &err), err);
    eventually(group_offset(f, "connect-t-sink", "numbers") == 200);
    assert_int_equal(sink_delivered(), 150);
    fixture_close(f);
}
