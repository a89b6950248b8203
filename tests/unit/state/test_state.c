// SPDX-License-Identifier: Apache-2.0
#include "test.h"

#include "backend/backend_mem.h"
#include "state/state.h"

static struct backend *backend;
static struct err err;

static struct state *open_state(void) {
    struct state *s;
    if (!backend) backend = backend_mem_new();
    assert_ok(state_open(backend, "127.0.0.1:8083", &s, &err), err);
    return s;
}
static void end(struct state *s) {
    state_close(s);
    backend->ops->close(backend);
    backend = NULL;
}
static struct state *reopen(struct state *s) {
    state_close(s);
    return open_state();
}

static enum target_state target(struct state *s, const char *connector) {
    enum target_state t;
    assert_ok(state_target(s, connector, &t, &err), err);
    return t;
}

static int pair_text(void *arg, struct str key, struct str value) {
    buf_printf(arg, "%.*s=%.*s\n", STR_FMT(key), STR_FMT(value));
    return 0;
}
static void assert_topic(const char *topic, const char *want) {
    struct buf got = {0};
    assert_ok(backend->ops->map_load(backend, topic, pair_text, &got, &err), err);
    assert_buf(&got, want);
    buf_done(&got);
}

TEST(target_states_are_durable_and_in_connects_form) {
    (void)state;
    struct state *s = open_state();
    assert_int_equal(target(s, "shop-db"), TARGET_RUNNING);
    assert_ok(state_target_set(s, "shop-db", TARGET_RUNNING, &err), err);
    assert_topic("connect-configs", ""); // the default needs no entry
    assert_ok(state_target_set(s, "shop-db", TARGET_STOPPED, &err), err);
    assert_ok(state_target_set(s, "shop-web", TARGET_PAUSED, &err), err);
    assert_topic("connect-configs", "target-state-shop-db={\"state\":\"PAUSED\",\"state.v2\":\"STOPPED\"}\n"
                                    "target-state-shop-web={\"state\":\"PAUSED\",\"state.v2\":\"PAUSED\"}\n");
    s = reopen(s);
    assert_int_equal(target(s, "shop-db"), TARGET_STOPPED);
    assert_ok(state_target_set(s, "shop-db", TARGET_RUNNING, &err), err);
    s = reopen(s);
    assert_int_equal(target(s, "shop-db"), TARGET_RUNNING);
    end(s);
}

static int topic_text(void *arg, const char *topic) {
    buf_printf(arg, "%s ", topic);
    return 0;
}

TEST(topics_belong_to_the_connector_that_used_them) {
    (void)state;
    struct buf got = {0};
    struct state *s = open_state();
    assert_ok(state_topic_used(s, "shop-db", 0, "shop.public.b", &err), err);
    assert_ok(state_topic_used(s, "shop-db", 0, "shop.public.a", &err), err);
    assert_ok(state_topic_used(s, "shop-db", 0, "shop.public.a", &err), err);
    assert_ok(state_topic_used(s, "shop", 0, "x", &err), err);
    s = reopen(s);
    assert_true(state_topic_is_of(s, "shop-db", "shop.public.a"));
    assert_false(state_topic_is_of(s, "shop", "shop.public.a"));
    state_topics(s, "shop-db", topic_text, &got);
    assert_buf(&got, "shop.public.a shop.public.b ");
    assert_ok(state_topics_reset(s, "shop-db", &err), err);
    state_topics(s, "shop-db", topic_text, &got);
    assert_buf(&got, "");
    state_topics(s, "shop", topic_text, &got);
    assert_buf(&got, "x ");
    buf_done(&got);
    end(s);
}

TEST(statuses_are_written_when_they_changed) {
    (void)state;
    struct state *s = open_state();
    state_status(s, "a", -1, "RUNNING", NULL);
    state_status(s, "a", 0, "FAILED", "no such host");
    assert_topic("connect-status", "");
    assert_ok(state_flush(s, &err), err);
    assert_topic("connect-status",
                 "status-connector-a={\"state\":\"RUNNING\",\"trace\":null,\"worker_id\":\"127.0.0.1:8083\",\"generation\":0}\n"
                 "status-task-a-0={\"state\":\"FAILED\",\"trace\":\"no such host\",\"worker_id\":\"127.0.0.1:8083\",\"generation\":0}\n");
    assert_ok(state_flush(s, &err), err);
    end(s);
}

static int owner_text(void *arg, const struct state_owner *o) {
    buf_printf(arg, "%s %s %s %s\n", o->name, o->type, o->plugin, o->file);
    return 0;
}

TEST(a_forgotten_connector_leaves_nothing_and_takes_no_neighbour_along) {
    (void)state;
    struct buf got = {0};
    struct state *s = open_state();
    assert_ok(state_owner_set(s, "a", true, "syslog", "/p/a.yaml", &err), err);
    assert_ok(state_owner_set(s, "a-1", false, "file-sink", "/p/b.yaml", &err), err);
    assert_ok(state_target_set(s, "a", TARGET_PAUSED, &err), err);
    assert_ok(state_topic_used(s, "a", 0, "t", &err), err);
    assert_ok(state_schema_put(s, "a", "n", "x", 1, &err), err);
    state_status(s, "a", -1, "RUNNING", NULL);
    state_status(s, "a", 0, "RUNNING", NULL);
    state_status(s, "a-1", 0, "RUNNING", NULL);
    assert_ok(state_flush(s, &err), err);
    state_owners(s, owner_text, &got);
    assert_buf(&got, "a source syslog /p/a.yaml\na-1 sink file-sink /p/b.yaml\n");
    assert_ok(state_forget(s, "a", &err), err);
    s = reopen(s);
    state_owners(s, owner_text, &got);
    assert_buf(&got, "a-1 sink file-sink /p/b.yaml\n");
    assert_topic("connect-status", "status-task-a-1-0={\"state\":\"RUNNING\",\"trace\":null,\"worker_id\":\"127.0.0.1:8083\",\"generation\":0}\n");
    assert_topic("connect-schemas", "");
    buf_done(&got);
    end(s);
}

TEST(schemas_are_kept_by_connector_and_name) {
    (void)state;
    char got[8] = "";
    struct state *s = open_state();
    assert_int_equal(state_schema_get(s, "a", "n", got, sizeof(got), &err), -1);
    assert_ok(state_schema_put(s, "a", "n", "\0bytes", 6, &err), err);
    s = reopen(s);
    assert_int_equal(state_schema_get(s, "a", "n", got, 3, &err), 6);
    assert_memory_equal(got, "\0by\0", 4);
    assert_int_equal(state_schema_get(s, "b", "n", got, 3, &err), -1);
    assert_ok(state_schema_put(s, "a", "n", NULL, 0, &err), err);
    assert_int_equal(state_schema_get(s, "a", "n", got, 3, &err), -1);
    assert_fails(state_schema_put(s, "a", "n", "", (1 << 20) + 1, &err), err, ERR_TOO_LARGE);
    end(s);
}

TEST(damaged_target_states_are_refused_and_not_guessed) {
    (void)state;
    struct state *s = open_state();
    enum target_state t;
    assert_ok(state_target_set(s, "a", TARGET_PAUSED, &err), err);
    state_close(s);
    backend_mem_damage(backend, "connect-configs");
    s = open_state();
    assert_fails(state_target(s, "a", &t, &err), err, ERR_CORRUPT);
    assert_has(err.hint, "log-repair show connect-configs-0");
    assert_fails(state_target_set(s, "a", TARGET_RUNNING, &err), err, ERR_CORRUPT);
    assert_fails(state_owner_set(s, "a", true, "syslog", "/p/a.yaml", &err), err, ERR_CORRUPT);
    assert_true(state_topics_known(s));
    end(s);
}

TEST(damaged_while_it_runs_what_is_known_stays_known) {
    (void)state;
    struct state *s = open_state();
    assert_ok(state_target_set(s, "a", TARGET_PAUSED, &err), err);
    backend_mem_damage(backend, "connect-configs");
    assert_int_equal(target(s, "a"), TARGET_PAUSED);
    assert_fails(state_target_set(s, "a", TARGET_RUNNING, &err), err, ERR_CORRUPT);
    assert_int_equal(target(s, "a"), TARGET_PAUSED);
    end(s);
}

TEST(statuses_go_on_in_memory_when_their_topic_is_damaged) {
    (void)state;
    for (int early = 0; early < 2; early++) {
        struct state *s = open_state();
        if (early) state_close(s);
        backend_mem_damage(backend, "connect-status");
        if (early) s = open_state();
        assert_int_equal(state_topics_known(s), !early);
        state_status(s, "a", -1, "RUNNING", NULL);
        assert_ok(state_flush(s, &err), err);
        assert_ok(state_topic_used(s, "a", 0, "orders", &err), err);
        assert_true(state_topic_is_of(s, "a", "orders"));
        assert_ok(state_topics_reset(s, "a", &err), err);
        assert_false(state_topic_is_of(s, "a", "orders"));
        end(s);
    }
}

TEST(a_schema_that_can_not_be_read_is_not_absent) {
    (void)state;
    char got[4];
    struct state *s = open_state();
    assert_ok(state_schema_put(s, "a", "n", "x", 1, &err), err);
    state_close(s);
    backend_mem_damage(backend, "connect-schemas");
    s = open_state();
    assert_int_equal(state_schema_get(s, "a", "n", got, 4, &err), -1);
    assert_int_equal(err.code, ERR_CORRUPT);
    assert_fails(state_schema_put(s, "a", "n", "y", 1, &err), err, ERR_CORRUPT);
    end(s);
}
