// SPDX-License-Identifier: Apache-2.0
#include "plugin/instance.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/thread.h"
#include "build_table.h"
#include "plugin/crash.h"
#include "plugin/sockets.h"
#include "plugin/spool.h"

enum { MOST_METRICS = 64, MOST_FIELDS = 16 };

// A metric the plugin made up: a group of one row, so that it can come at any time.
struct instance_metric {
    char name[80];
    struct metric_row row;
    struct metric_group group;
    struct instance_metric *next;
};

static struct instance *of(struct cn_host *h) { return (struct instance *)(void *)h; }

// ── the host's functions ──

static int host_config(struct cn_host *h, const char *option, struct cn_option_value *ret) {
    const struct instance_params *p = &of(h)->params;
    return p->config ? p->config(p->config_arg, option, ret) : -1;
}
static const char *host_connector_name(struct cn_host *h) { return of(h)->connector; }
static uint32_t host_task_index(struct cn_host *h) { return of(h)->params.task; }
static uint32_t host_task_count(struct cn_host *h) { return of(h)->params.tasks; }

static enum say_level level_of(int level) {
    return level <= CN_LOG_ERROR ? SAY_ERROR : level <= CN_LOG_WARN ? SAY_WARN : level <= CN_LOG_INFO ? SAY_INFO : SAY_DEBUG;
}
static void host_log(struct cn_host *h, int level, const char *text, const struct cn_log_field *fields, uint32_t n) {
    const struct instance *i = of(h);
    struct say_field all[MOST_FIELDS + 2];
    char task[16];
    size_t count = 0;
    if (!say_enabled(level_of(level))) return;
    snprintf(task, sizeof task, "%u", i->params.task);
    all[count++] = (struct say_field){"connector", str_of(i->connector)};
    all[count++] = (struct say_field){"task", str_of(task)};
    for (uint32_t k = 0; k < n && k < MOST_FIELDS; k++) all[count++] = (struct say_field){fields[k].name, str_of(fields[k].value)};
    say_fields(level_of(level), all, count, "%s", text);
}

static void host_fail(struct cn_host *h, int fail_class, const char *text, const char *hint, uint32_t record) {
    struct instance *i = of(h);
    LOCK_SCOPE(&i->lock);
    bool valid = fail_class >= CN_FAIL_TRANSIENT && fail_class <= CN_FAIL_BUG;
    i->failure.set = true;
    i->failure.fail_class = valid ? (enum cn_fail_class)fail_class : CN_FAIL_BUG;
    i->failure.record = record;
    snprintf(i->failure.text, sizeof i->failure.text, "%s", text ? text : "");
    snprintf(i->failure.hint, sizeof i->failure.hint, "%s", hint ? hint : "");
}
static int failed_err(struct instance *i, enum cn_fail_class c, const struct err *err) {
    host_fail(&i->host, (int)c, err->msg, *err->hint ? err->hint : NULL, 0);
    return -1;
}

static void host_progress(struct cn_host *h, const char *text) {
    struct instance *i = of(h);
    LOCK_SCOPE(&i->lock);
    snprintf(i->progress, sizeof i->progress, "%s", text ? text : "");
}

static struct instance_metric *metric_new(struct instance *i, const char *name, int kind) {
    struct instance_metric *m = xcalloc(1, sizeof *m);
    _cleanup_free_ char *labels = xasprintf("connector=%s,task=%u", i->connector, i->params.task);
    snprintf(m->name, sizeof m->name, "%s", name);
    m->row = (struct metric_row){m->name, kind == CN_COUNTER ? METRIC_COUNTER : METRIC_GAUGE, "", "of the plugin itself"};
    metric_group_init(&m->group, labels, &m->row, 1);
    if (i->params.metrics) metric_registry_add(i->params.metrics, &m->group);
    return m;
}
static struct metric *metric_of(struct instance *i, const char *name, int kind) {
    LOCK_SCOPE(&i->lock);
    struct instance_metric **at = &i->metrics;
    for (; *at; at = &(*at)->next)
        if (strcmp((*at)->name, name) == 0) return &(*at)->group.metrics[0];
    if (i->metric_n == MOST_METRICS || strlen(name) >= sizeof (*at)->name) return NULL;
    i->metric_n++;
    *at = metric_new(i, name, kind);
    return &(*at)->group.metrics[0];
}
static void host_metric(struct cn_host *h, const char *name, int kind, int64_t value) {
    struct metric *m = metric_of(of(h), name, kind);
    if (!m) return;
    if (m->row->kind == METRIC_COUNTER) metric_add(m, value);
    else metric_set(m, value);
}

static int64_t host_now_us(struct cn_host *h) { return of(h)->params.clock->wall_us(of(h)->params.clock); }
static int64_t host_monotonic_ms(struct cn_host *h) { return clock_mono_ms(of(h)->params.clock); }
static int host_wake_fd(struct cn_host *h) { return of(h)->wake; }
static int host_stopping(struct cn_host *h) { return atomic_load(&of(h)->stopping); }

static void host_settle(struct cn_host *h, const struct cn_verdict *v, uint32_t n) {
    const struct instance_params *p = &of(h)->params;
    if (p->runtime && p->runtime->settle) p->runtime->settle(p->runtime_arg, v, n);
}

static const char *host_spool_dir(struct cn_host *h) {
    struct instance *i = of(h);
    struct err err;
    const char *dir = NULL;
    if (i->params.spool) dir = spool_dir(i->params.spool, &err);
    else err_set(&err, ERR_UNSUPPORTED, "no spool folder here");
    if (!dir) failed_err(i, CN_FAIL_CONFIG, &err);
    return dir;
}
static int host_spool_account(struct cn_host *h, int64_t delta) {
    struct instance *i = of(h);
    return i->params.spool ? spool_account(i->params.spool, delta) : -1;
}

static int host_listen(struct cn_host *h, const struct cn_listen *theirs, int *fds, uint32_t max) {
    struct instance *i = of(h);
    struct cn_listen l = {0};
    struct err err;
    memcpy(&l, theirs, theirs->struct_size < sizeof l ? theirs->struct_size : sizeof l);
    if (!i->params.sockets) err_set(&err, ERR_UNSUPPORTED, "listening is not possible here");
    else if (!l.name || !l.address) err_set(&err, ERR_INVALID, "listen wants a name and an address");
    else {
        int n = sockets_listen(i->params.sockets, i->connector, &l, fds, max, &err);
        if (n >= 0) return n;
    }
    // a port may become free, an address may come up; the rest is a matter of configuration
    return failed_err(i, err.code == ERR_BUSY || err.sys == EADDRNOTAVAIL ? CN_FAIL_TRANSIENT : CN_FAIL_CONFIG, &err);
}

static int host_schema_put(struct cn_host *h, const char *name, const void *p, uint32_t n) {
    struct instance *i = of(h);
    struct err err;
    int rc = -1;
    if (n > 1 << 20) err_set(&err, ERR_TOO_LARGE, "schema %s: %u bytes are more than 1 MiB", name, n);
    else if (!i->params.runtime || !i->params.runtime->schema_put) err_set(&err, ERR_UNSUPPORTED, "schemas can not be stored here");
    else rc = i->params.runtime->schema_put(i->params.runtime_arg, name, p, n, &err);
    if (rc == 0) return 0;
    return failed_err(i, err_retriable(&err) ? CN_FAIL_TRANSIENT : err.code == ERR_CORRUPT ? CN_FAIL_LOST_DATA : CN_FAIL_BUG, &err);
}
static int64_t host_schema_get(struct cn_host *h, const char *name, void *p, uint32_t max) {
    const struct instance_params *q = &of(h)->params;
    return q->runtime && q->runtime->schema_get ? q->runtime->schema_get(q->runtime_arg, name, p, max) : -1;
}

static const void *host_extension(struct cn_host *h, const char *id) {
    (void)h;
    return strcmp(id, CN_EXT_BUILD) == 0 ? cn_build_table() : NULL;
}

static const struct cn_host_ops host_ops = {
    .struct_size = sizeof(struct cn_host_ops),
    .config = host_config,
    .connector_name = host_connector_name,
    .task_index = host_task_index,
    .task_count = host_task_count,
    .log = host_log,
    .fail = host_fail,
    .progress = host_progress,
    .metric = host_metric,
    .now_us = host_now_us,
    .monotonic_ms = host_monotonic_ms,
    .wake_fd = host_wake_fd,
    .stopping = host_stopping,
    .settle = host_settle,
    .spool_dir = host_spool_dir,
    .spool_account = host_spool_account,
    .listen = host_listen,
    .schema_put = host_schema_put,
    .schema_get = host_schema_get,
    .extension = host_extension,
};

// ── life ──

int instance_init(struct instance *i, const struct instance_params *params, struct err *err) {
    int wake = wake_open(err);
    if (wake < 0) return -1;
    *i = (struct instance){.host = {&host_ops}, .params = *params, .wake = wake};
    i->connector = xstrdup(params->connector);
    i->params.connector = i->connector;
    if (!i->params.clock) i->params.clock = &clock_real;
    pthread_mutex_init(&i->lock, NULL);
    return 0;
}

void instance_done(struct instance *i) {
    while (i->metrics) {
        struct instance_metric *m = i->metrics;
        i->metrics = m->next;
        if (i->params.metrics) metric_registry_remove(i->params.metrics, &m->group);
        metric_group_done(&m->group);
        free(m);
    }
    pthread_mutex_destroy(&i->lock);
    close(i->wake);
    free(i->connector);
    i->connector = NULL;
}

// ── around calls ──

void instance_enter(struct instance *i, const char *op) {
    const struct component *c = i->params.component;
    pthread_mutex_lock(&i->lock);
    i->failure.set = false;
    pthread_mutex_unlock(&i->lock);
    atomic_store(&i->op_since_ms, clock_mono_ms(i->params.clock));
    atomic_store(&i->op, op);
    crash_thread(c && c->plugin ? c->plugin->name : NULL, i->connector, op);
}
void instance_leave(struct instance *i) {
    atomic_store(&i->op, NULL);
    crash_thread(NULL, NULL, NULL);
}
const char *instance_op(struct instance *i, int64_t *ret_ms) {
    const char *op = atomic_load(&i->op);
    int64_t since = atomic_load(&i->op_since_ms);
    *ret_ms = op ? clock_mono_ms(i->params.clock) - since : 0;
    return op;
}

void instance_failed(struct instance *i, const char *op, struct instance_failure *ret) {
    LOCK_SCOPE(&i->lock);
    if (!i->failure.set) {
        i->failure.fail_class = CN_FAIL_BUG;
        snprintf(i->failure.text, sizeof i->failure.text, "%s of %s failed without saying why", op, i->params.component ? i->params.component->name : i->connector);
        snprintf(i->failure.hint, sizeof i->failure.hint, "a plugin calls cn_host.fail before it returns -1: tell its author");
    }
    *ret = i->failure;
    ret->set = true;
    i->failure.set = false;
}
const char *fail_class_name(enum cn_fail_class c) {
    static const char *const names[] = {"none", "transient", "config", "auth", "lost data", "record", "bug"};
    return (unsigned)c < countof(names) ? names[c] : "unknown";
}

void instance_wake(struct instance *i) { wake_signal(i->wake); }
void instance_unwake(struct instance *i) { wake_drain(i->wake); }
void instance_stop(struct instance *i) {
    atomic_store(&i->stopping, true);
    wake_signal(i->wake);
}

void instance_progress(struct instance *i, char *out, size_t cap) {
    LOCK_SCOPE(&i->lock);
    snprintf(out, cap, "%s", i->progress);
}
void instance_metrics(struct instance *i, void (*each)(void *arg, const char *name, enum metric_kind kind, int64_t value), void *arg) {
    LOCK_SCOPE(&i->lock);
    for (struct instance_metric *m = i->metrics; m; m = m->next) each(arg, m->name, m->row.kind, metric_get(&m->group.metrics[0]));
}
