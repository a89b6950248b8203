// SPDX-License-Identifier: Apache-2.0
#include "plugin/instance.h"

#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "plugin/sockets.h"
#include "plugin/spool.h"
#include "test.h"
#include "tmpdir.h"

static const struct component component = {.name = "thing", .kind = CN_SINK};
static struct instance_params basic(void) { return (struct instance_params){.component = &component, .connector = "mine", .task = 2, .tasks = 3}; }
static struct instance *made(struct instance_params p) {
    static struct instance i;
    struct err err;
    assert_ok(instance_init(&i, &p, &err), err);
    return &i;
}

TEST(a_failure_is_kept_until_it_is_asked_for) {
    struct instance *i = made(basic());
    struct instance_failure f;
    instance_enter(i, "put");
    (i->host.ops->fail)(&i->host, CN_FAIL_AUTH, "password refused", "look at the password", 0);
    (i->host.ops->fail)(&i->host, CN_FAIL_RECORD, "too blue", NULL, 7);
    instance_leave(i);
    instance_failed(i, "put", &f);
    assert_int_equal(f.fail_class, CN_FAIL_RECORD);
    assert_int_equal(f.record, 7);
    assert_string_equal(f.text, "too blue");
    assert_string_equal(f.hint, "");
    instance_done(i);
}

TEST(a_failure_without_a_word_is_a_bug_that_says_so) {
    struct instance *i = made(basic());
    struct instance_failure f;
    (i->host.ops->fail)(&i->host, CN_FAIL_AUTH, "of an earlier call", NULL, 0);
    instance_enter(i, "put"); // forgets it
    instance_leave(i);
    instance_failed(i, "put", &f);
    assert_int_equal(f.fail_class, CN_FAIL_BUG);
    assert_string_equal(f.text, "put of thing failed without saying why");
    (i->host.ops->fail)(&i->host, 99, "x", NULL, 0);
    instance_failed(i, "put", &f);
    assert_int_equal(f.fail_class, CN_FAIL_BUG); // no such class
    assert_string_equal(fail_class_name(CN_FAIL_LOST_DATA), "lost data");
    instance_done(i);
}

TEST(the_call_and_its_length_show_to_others) {
    struct clock_manual clock;
    clock_manual_init(&clock, 1000000);
    struct instance_params p = basic();
    p.clock = &clock.clock;
    struct instance *i = made(p);
    int64_t ms;
    assert_null(instance_op(i, &ms));
    instance_enter(i, "poll");
    clock_manual_advance(&clock, 1500 * 1000000LL);
    assert_string_equal(instance_op(i, &ms), "poll");
    assert_int_equal(ms, 1500);
    assert_int_equal(i->host.ops->now_us(&i->host), 2500000);
    instance_leave(i);
    assert_null(instance_op(i, &ms));
    instance_done(i);
}

TEST(waking_and_stopping_make_the_wake_fd_readable) {
    struct instance *i = made(basic());
    struct pollfd p = {i->host.ops->wake_fd(&i->host), POLLIN, 0};
    assert_int_equal(poll(&p, 1, 0), 0);
    instance_wake(i);
    assert_int_equal(poll(&p, 1, 0), 1);
    assert_int_equal(i->host.ops->stopping(&i->host), 0);
    instance_unwake(i);
    assert_int_equal(poll(&p, 1, 0), 0);
    instance_stop(i);
    assert_int_equal(poll(&p, 1, 0), 1);
    assert_int_equal(i->host.ops->stopping(&i->host), 1);
    instance_done(i);
}

static struct { unsigned n; int64_t value; enum metric_kind kind; } seen;
static void see(void *arg, const char *name, enum metric_kind kind, int64_t value) {
    if (strcmp(name, arg) == 0) seen.n++, seen.value = value, seen.kind = kind;
}
static void see_group(void *arg, const struct metric_group *g) {
    *(size_t *)arg += g->n;
    assert_has(g->labels, "connector=mine,task=2");
}

TEST(metrics_are_made_at_first_use_and_go_with_the_instance) {
    struct instance_params p = basic();
    size_t n = 0;
    p.metrics = metric_registry_new();
    struct instance *i = made(p);
    i->host.ops->metric(&i->host, "bytes-total", CN_COUNTER, 2);
    i->host.ops->metric(&i->host, "bytes-total", CN_COUNTER, 5);
    i->host.ops->metric(&i->host, "lag-ms", CN_GAUGE, 9);
    i->host.ops->metric(&i->host, "lag-ms", CN_GAUGE, 3);
    instance_metrics(i, see, (void *)(uintptr_t)"bytes-total");
    assert_int_equal(seen.value, 7);
    assert_int_equal(seen.kind, METRIC_COUNTER);
    instance_metrics(i, see, (void *)(uintptr_t)"lag-ms");
    assert_int_equal(seen.value, 3);
    metric_registry_each(p.metrics, see_group, &n);
    assert_int_equal(n, 2);
    for (int k = 0; k < 200; k++) { // a plugin that makes names up does not grow without end
        char name[32];
        snprintf(name, sizeof name, "m-%d", k);
        i->host.ops->metric(&i->host, name, CN_COUNTER, 1);
    }
    assert_int_equal(i->metric_n, 64);
    instance_done(i);
    n = 0;
    metric_registry_each(p.metrics, see_group, &n);
    assert_int_equal(n, 0);
    metric_registry_free(p.metrics);
}

TEST(progress_shows_and_clears) {
    struct instance *i = made(basic());
    char text[100];
    i->host.ops->progress(&i->host, "42 %");
    instance_progress(i, text, sizeof text);
    assert_string_equal(text, "42 %");
    i->host.ops->progress(&i->host, NULL);
    instance_progress(i, text, sizeof text);
    assert_string_equal(text, "");
    instance_done(i);
}

TEST(what_the_daemon_did_not_give_fails_with_a_reason) {
    struct instance *i = made(basic());
    struct cn_host *h = &i->host;
    struct instance_failure f;
    struct cn_option_value v;
    int fd;
    assert_int_equal(h->ops->config(h, "x", &v), -1);
    assert_null(h->ops->spool_dir(h));
    instance_failed(i, "open", &f);
    assert_has(f.text, "no spool folder");
    assert_int_equal(h->ops->listen(h, &(struct cn_listen){sizeof(struct cn_listen), CN_LISTEN_UDP, "a", "127.0.0.1:0", 1, 0, 0}, &fd, 1), -1);
    assert_int_equal(h->ops->schema_put(h, "s", "x", 1), -1);
    assert_int_equal(h->ops->schema_get(h, "s", &fd, 1), -1);
    h->ops->settle(h, NULL, 0);
    instance_done(i);
}

static int config(void *arg, const char *option, struct cn_option_value *ret) {
    if (strcmp(option, "port") != 0) return -1;
    *ret = (struct cn_option_value){.type = CN_OPT_INT, .set = 1, .i = *(int *)arg};
    return 0;
}
static unsigned settled;
static void settle(void *arg, const struct cn_verdict *v, uint32_t n) {
    (void)arg, (void)v;
    settled += n;
}
static int put(void *arg, const char *name, const void *p, uint32_t n, struct err *err) {
    (void)arg, (void)p, (void)n;
    return err_set(err, ERR_NOSPACE, "disk full while storing %s", name);
}

TEST(the_runtimes_own_answers_are_passed_on) {
    struct instance_params p = basic();
    static const struct instance_runtime runtime = {.settle = settle, .schema_put = put};
    int port = 5432;
    struct cn_option_value v;
    struct instance_failure f;
    p.config = config, p.config_arg = &port, p.runtime = &runtime;
    struct instance *i = made(p);
    assert_int_equal(i->host.ops->config(&i->host, "port", &v), 0);
    assert_int_equal(v.i, 5432);
    i->host.ops->settle(&i->host, &(struct cn_verdict){0}, 1);
    assert_int_equal(settled, 1);
    assert_int_equal(i->host.ops->schema_put(&i->host, "s", "x", 1), -1);
    instance_failed(i, "poll", &f);
    assert_int_equal(f.fail_class, CN_FAIL_TRANSIENT);
    assert_has(f.text, "disk full while storing s");
    instance_done(i);
}

TEST(a_port_in_use_is_transient_and_a_bad_address_is_not) {
    struct instance_params p = basic();
    struct instance_failure f;
    p.sockets = sockets_new();
    struct instance *i = made(p);
    struct cn_listen bad = {sizeof bad, CN_LISTEN_UDP, "a", "nonsense", 1, 0, 0};
    int fd;
    assert_int_equal(i->host.ops->listen(&i->host, &bad, &fd, 1), -1);
    instance_failed(i, "open", &f);
    assert_int_equal(f.fail_class, CN_FAIL_CONFIG);
    bad.address = "127.0.0.1:0";
    assert_int_equal(i->host.ops->listen(&i->host, &bad, &fd, 1), 1);
    instance_done(i);
    sockets_free(p.sockets);
}

TEST(a_spool_folder_has_one_quota_for_all_tasks) {
    const char *root = tmpdir_new();
    struct err err;
    tmpdir_file(root, "spool/a%2Fb/old", "12345"); // left by an earlier run
    char spool_root[300];
    snprintf(spool_root, sizeof spool_root, "%s/spool", root);
    struct spool *s = spool_new(spool_root, "a/b", 10);
    struct instance_params p = basic();
    p.spool = s;
    struct instance *i = made(p);
    const char *dir = i->host.ops->spool_dir(&i->host);
    assert_has(dir, "/spool/a%2Fb");
    assert_int_equal(access(dir, W_OK), 0);
    assert_int_equal(spool_used(s), 5);
    assert_int_equal(i->host.ops->spool_account(&i->host, 5), 0);
    assert_int_equal(i->host.ops->spool_account(&i->host, 1), -1);
    assert_int_equal(i->host.ops->spool_account(&i->host, -10), 0);
    assert_ok(spool_remove(spool_root, "a/b", &err), err);
    assert_int_equal(access(dir, F_OK), -1);
    assert_ok(spool_remove(spool_root, "a/b", &err), err);
    instance_done(i);
    spool_free(s);
    s = spool_new(spool_root, "..", 10);
    assert_has(spool_dir(s, &err), "/spool/%2E.");
    spool_free(s);
}
