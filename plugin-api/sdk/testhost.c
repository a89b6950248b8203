/* SPDX-License-Identifier: Apache-2.0 */
/* testhost.c: the instance's life and the host functions. testhost_drive.c: polling, putting, verdicts. */
#include "testhost_int.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>
#include <ftw.h>

struct testhost *testhost_of(struct cn_host *h) { return (struct testhost *)(void *)h; }

void *testhost_grow(void *p, size_t n, size_t *cap, size_t item) {
    if (n < *cap) return p;
    *cap = *cap ? *cap * 2 : 16;
    p = realloc(p, *cap * item);
    if (!p) abort();
    return p;
}
char *testhost_dup(const char *z) {
    char *p = strdup(z);
    if (!p) abort();
    return p;
}

int testhost_failf(struct testhost *t, int fail_class, const char *fmt, ...) {
    char text[sizeof t->failure.text];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    pthread_mutex_lock(&t->in->lock);
    t->failure.fail_class = fail_class;
    snprintf(t->failure.text, sizeof t->failure.text, "%s", text);
    t->failure.hint[0] = 0;
    t->failure.count++;
    pthread_mutex_unlock(&t->in->lock);
    return -1;
}

/* ── the rules of host.h ── */
static void violated(struct testhost_int *in, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void violated(struct testhost_int *in, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    pthread_mutex_lock(&in->lock);
    if (!in->violation[0]) vsnprintf(in->violation, sizeof in->violation, fmt, ap);
    pthread_mutex_unlock(&in->lock);
    va_end(ap);
}
/* [any] functions, until close returns. */
static void any_thread(struct cn_host *h, const char *name) {
    if (atomic_load(&testhost_of(h)->in->life) == LIFE_CLOSED) violated(testhost_of(h)->in, "%s was called after close returned", name);
}
static void task_thread(struct cn_host *h, const char *name) {
    any_thread(h, name);
    if (!pthread_equal(pthread_self(), testhost_of(h)->in->thread))
        violated(testhost_of(h)->in, "%s was called from a thread of the plugin's own", name);
}
static int made_of(const char *z, const char *set) { return z && *z && strspn(z, set) == strlen(z); }
void testhost_any_thread(struct cn_host *h, const char *name) { any_thread(h, name); }
const char *testhost_violation(struct testhost *t) { return t->in->violation; }

/* ── the host's functions ── */
static int host_config(struct cn_host *h, const char *option, struct cn_option_value *ret) {
    const struct cn_option_value *v;
    task_thread(h, "config");
    v = option_set_get(&testhost_of(h)->in->options, option);
    if (!v) return -1;
    *ret = *v;
    return 0;
}
static const char *host_connector_name(struct cn_host *h) { return testhost_of(h)->in->name; }
static uint32_t host_task_index(struct cn_host *h) { return testhost_of(h)->in->task_index; }
static uint32_t host_task_count(struct cn_host *h) { return testhost_of(h)->in->task_count; }

static void host_log(struct cn_host *h, int level, const char *text, const struct cn_log_field *fields, uint32_t n) {
    struct testhost_int *in = testhost_of(h)->in;
    char line[4096];
    size_t at;
    any_thread(h, "log");
    if (level != CN_LOG_ERROR && level != CN_LOG_WARN && level != CN_LOG_INFO && level != CN_LOG_DEBUG) violated(in, "log has no level %d", level);
    for (uint32_t i = 0; i < n; i++)
        if (!made_of(fields[i].name, "abcdefghijklmnopqrstuvwxyz_")) violated(in, "log field '%s' is not of [a-z_]", fields[i].name);
    at = (size_t)snprintf(line, sizeof line, "%d %s", level, text);
    for (uint32_t i = 0; i < n && at < sizeof line; i++)
        at += (size_t)snprintf(line + at, sizeof line - at, " %s=%s", fields[i].name, fields[i].value);
    pthread_mutex_lock(&in->lock);
    in->log = testhost_grow(in->log, in->log_n, &in->log_cap, sizeof *in->log);
    in->log[in->log_n++] = testhost_dup(line);
    if (in->verbose) fprintf(stderr, "%s\n", line);
    pthread_mutex_unlock(&in->lock);
}
static void host_fail(struct cn_host *h, int fail_class, const char *text, const char *hint, uint32_t record) {
    struct testhost *t = testhost_of(h);
    any_thread(h, "fail");
    if (fail_class < CN_FAIL_TRANSIENT || fail_class > CN_FAIL_BUG) violated(t->in, "fail has no class %d", fail_class);
    if (!text || !*text) violated(t->in, "fail was called without a text");
    pthread_mutex_lock(&t->in->lock);
    t->failure.fail_class = fail_class;
    snprintf(t->failure.text, sizeof t->failure.text, "%s", text ? text : "");
    snprintf(t->failure.hint, sizeof t->failure.hint, "%s", hint ? hint : "");
    t->failure.record = record;
    t->failure.count++;
    pthread_mutex_unlock(&t->in->lock);
}
static void host_progress(struct cn_host *h, const char *text) {
    struct testhost_int *in = testhost_of(h)->in;
    any_thread(h, "progress");
    if (text && strchr(text, '\n')) violated(in, "progress is one line");
    pthread_mutex_lock(&in->lock);
    snprintf(in->progress, sizeof in->progress, "%s", text ? text : "");
    pthread_mutex_unlock(&in->lock);
}
static void host_metric(struct cn_host *h, const char *name, int kind, int64_t value) {
    struct testhost_int *in = testhost_of(h)->in;
    size_t i = 0;
    any_thread(h, "metric");
    if (!made_of(name, "abcdefghijklmnopqrstuvwxyz0123456789-")) violated(in, "metric name '%s' is not kebab-case", name);
    if (kind != CN_COUNTER && kind != CN_GAUGE) violated(in, "metric %s has no kind %d", name, kind);
    pthread_mutex_lock(&in->lock);
    while (i < in->metric_n && strcmp(in->metrics[i].name, name) != 0) i++;
    if (i == in->metric_n) {
        in->metrics = testhost_grow(in->metrics, in->metric_n, &in->metric_cap, sizeof *in->metrics);
        in->metrics[in->metric_n++] = (struct testhost_number){testhost_dup(name), 0};
    }
    in->metrics[i].value = kind == CN_COUNTER ? in->metrics[i].value + value : value;
    pthread_mutex_unlock(&in->lock);
}

static int64_t clock_us(clockid_t id) {
    struct timespec ts;
    clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}
static int64_t host_now_us(struct cn_host *h) {
    int64_t us = atomic_load(&testhost_of(h)->in->manual_us);
    return us ? us : clock_us(CLOCK_REALTIME);
}
static int64_t host_monotonic_ms(struct cn_host *h) {
    int64_t us = atomic_load(&testhost_of(h)->in->manual_us);
    return (us ? us : clock_us(CLOCK_MONOTONIC)) / 1000;
}
static int host_wake_fd(struct cn_host *h) { return testhost_of(h)->in->wake; }
static int host_stopping(struct cn_host *h) { return atomic_load(&testhost_of(h)->in->stopping); }

static const char *host_spool_dir(struct cn_host *h) {
    struct testhost *t = testhost_of(h);
    const char *tmp = getenv("TMPDIR");
    task_thread(h, "spool_dir");
    if (t->in->spool) return t->in->spool;
    if (asprintf(&t->in->spool, "%s/connectd-spool-XXXXXX", tmp ? tmp : "/tmp") < 0) abort();
    if (mkdtemp(t->in->spool)) return t->in->spool;
    free(t->in->spool);
    t->in->spool = NULL;
    testhost_failf(t, CN_FAIL_CONFIG, "no spool folder can be made in %s", tmp ? tmp : "/tmp");
    return NULL;
}
static int host_spool_account(struct cn_host *h, int64_t delta) {
    struct testhost_int *in = testhost_of(h)->in;
    int rc = -1;
    any_thread(h, "spool_account");
    pthread_mutex_lock(&in->lock);
    if (delta <= 0 || in->spooled + delta <= in->spool_limit) in->spooled += delta, rc = 0;
    pthread_mutex_unlock(&in->lock);
    return rc;
}
static int host_listen(struct cn_host *h, const struct cn_listen *l, int *fds, uint32_t max) {
    struct testhost *t = testhost_of(h);
    struct testhost_int *in = t->in;
    struct testhost_listen *e;
    char error[512];
    size_t i = 0;
    int n;
    task_thread(h, "listen");
    while (i < in->listen_n && strcmp(in->listens[i].name, l->name) != 0) i++;
    if (i == in->listen_n) {
        in->listens = testhost_grow(in->listens, in->listen_n, &in->listen_cap, sizeof *in->listens);
        n = listen_bind(l, in->listens[i].fds, 16, error, sizeof error);
        if (n < 0) return testhost_failf(t, CN_FAIL_CONFIG, "%s", error);
        in->listens[i].name = testhost_dup(l->name);
        in->listens[i].n = (uint32_t)n;
        in->listen_n++;
    }
    e = &in->listens[i];
    for (i = 0; i < e->n && i < max; i++) fds[i] = e->fds[i];
    return (int)i;
}

static struct testhost_blob *find_blob(struct testhost_int *in, const char *name) {
    for (size_t i = 0; i < in->blob_n; i++)
        if (strcmp(in->blobs[i].name, name) == 0) return &in->blobs[i];
    return NULL;
}
static int host_schema_put(struct cn_host *h, const char *name, const void *p, uint32_t n) {
    struct testhost *t = testhost_of(h);
    struct testhost_int *in = t->in;
    struct testhost_blob *b = find_blob(in, name);
    task_thread(h, "schema_put");
    if (n > 1 << 20) return testhost_failf(t, CN_FAIL_BUG, "schema %s: %u bytes are more than 1 MiB", name, n);
    if (!b) {
        in->blobs = testhost_grow(in->blobs, in->blob_n, &in->blob_cap, sizeof *in->blobs);
        b = &in->blobs[in->blob_n++];
        *b = (struct testhost_blob){testhost_dup(name), NULL, 0};
    }
    free(b->p);
    b->p = malloc(n ? n : 1);
    if (!b->p) abort();
    if (n) memcpy(b->p, p, n);
    b->n = n;
    return 0;
}
static int64_t host_schema_get(struct cn_host *h, const char *name, void *p, uint32_t max) {
    const struct testhost_blob *b = find_blob(testhost_of(h)->in, name);
    task_thread(h, "schema_get");
    if (!b || !b->n) return -1;
    memcpy(p, b->p, b->n < max ? b->n : max);
    return b->n;
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
    .settle = testhost_settle,
    .spool_dir = host_spool_dir,
    .spool_account = host_spool_account,
    .listen = host_listen,
    .schema_put = host_schema_put,
    .schema_get = host_schema_get,
    .extension = host_extension,
};

/* ── making one ── */
static void copy_ops(struct testhost_int *in, const struct cn_component *c) {
    static const size_t sizes[] = {[CN_SOURCE] = sizeof(struct cn_source_ops), [CN_SINK] = sizeof(struct cn_sink_ops),
        [CN_TRANSFORM] = sizeof(struct cn_transform_ops), [CN_CONVERTER] = sizeof(struct cn_converter_ops),
        [CN_PREDICATE] = sizeof(struct cn_transform_ops)};
    uint32_t have;
    memset(&in->ops, 0, sizeof in->ops);
    if (!c || c->kind < CN_SOURCE || c->kind > CN_PREDICATE) return;
    memcpy(&have, c->ops, sizeof have);
    memcpy(&in->ops, c->ops, have < sizes[c->kind] ? have : sizes[c->kind]);
}

struct testhost *testhost_new_component(const struct cn_component *component, const char *const *options) {
    struct testhost *t = calloc(1, sizeof *t);
    struct testhost_int *in = calloc(1, sizeof *in);
    if (!t || !in) abort();
    t->in = in;
    t->host.ops = &host_ops;
    in->component = component;
    copy_ops(in, component);
    in->name = testhost_dup("test");
    in->task_count = 1;
    in->spool_limit = 64 << 20;
    in->batch_limit = 256u << 20;
    in->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (in->wake < 0) abort();
    pthread_mutex_init(&in->lock, NULL);
    option_set_init(&in->options, component ? component->options : NULL, component ? component->option_count : 0);
    for (; component && options && *options && !in->wrong; options++) in->wrong = option_set_pair(&in->options, *options) != 0;
    if (!in->wrong) in->wrong = option_set_finish(&in->options) != 0;
    return t;
}

struct testhost *testhost_new(const struct cn_plugin *plugin, const char *component, const char *const *options) {
    for (uint32_t i = 0; i < plugin->component_count; i++)
        if (!component || strcmp(plugin->components[i]->name, component) == 0)
            return testhost_new_component(plugin->components[i], options);
    return testhost_new_component(NULL, options);
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw) {
    (void)st, (void)flag, (void)ftw;
    return remove(path);
}
void testhost_free(struct testhost *t) {
    struct testhost_int *in;
    size_t i;
    if (!t) return;
    in = t->in;
    testhost_close(t);
    testhost_clear(t);
    testhost_drive_done(t);
    for (i = 0; i < in->metric_n; i++) free(in->metrics[i].name);
    for (i = 0; i < in->blob_n; i++) free(in->blobs[i].name), free(in->blobs[i].p);
    for (i = 0; i < in->listen_n; i++) {
        for (uint32_t k = 0; k < in->listens[i].n; k++) close(in->listens[i].fds[k]);
        free(in->listens[i].name);
    }
    if (in->spool) (void)nftw(in->spool, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    option_set_done(&in->options);
    pthread_mutex_destroy(&in->lock);
    close(in->wake);
    free(in->spool), free(in->name), free(in->metrics), free(in->blobs), free(in->listens), free(in->log);
    free(in);
    free(t);
}

void testhost_name(struct testhost *t, const char *connector, uint32_t task, uint32_t tasks) {
    free(t->in->name);
    t->in->name = testhost_dup(connector);
    t->in->task_index = task;
    t->in->task_count = tasks;
}
void testhost_spool_limit(struct testhost *t, int64_t bytes) { t->in->spool_limit = bytes; }
void testhost_batch_limit(struct testhost *t, uint32_t bytes) { t->in->batch_limit = bytes; }
void testhost_verbose(struct testhost *t, int on) { t->in->verbose = on; }
void testhost_converter_key(struct testhost *t, int is_key) { t->in->is_key = is_key; }

/* ── life ── */
/* The validate of any kind stands in its own place in each table. */
static int (*validate_of(const struct testhost_int *in))(struct cn_host *) {
    switch (in->component->kind) {
    case CN_SOURCE: return in->ops.source.validate;
    case CN_SINK: return in->ops.sink.validate;
    case CN_CONVERTER: return in->ops.converter.validate;
    default: return in->ops.transform.validate;
    }
}
int testhost_validate(struct testhost *t) {
    struct testhost_int *in = t->in;
    int (*validate)(struct cn_host *);
    in->thread = pthread_self();
    if (atomic_load(&in->life) == LIFE_CLOSED) atomic_store(&in->life, LIFE_NEW);
    if (!in->component) return testhost_failf(t, CN_FAIL_CONFIG, "the plugin has no such component");
    if (in->wrong) return testhost_failf(t, CN_FAIL_CONFIG, "%s", in->options.error);
    validate = validate_of(in);
    return validate ? validate(&t->host) : 0;
}
int testhost_check(struct testhost *t) {
    struct testhost_int *in = t->in;
    int (*check)(struct cn_host *) = NULL;
    if (testhost_validate(t) != 0) return -1;
    if (in->component->kind == CN_SOURCE) check = in->ops.source.check;
    if (in->component->kind == CN_SINK) check = in->ops.sink.check;
    return check ? check(&t->host) : 0;
}
static int open_kind(struct testhost *t) {
    struct testhost_int *in = t->in;
    switch (in->component->kind) {
    case CN_SOURCE: return testhost_open_source(t);
    case CN_SINK: return in->ops.sink.open(&t->host, &t->task);
    case CN_CONVERTER: return in->ops.converter.open(&t->host, in->is_key, &t->task);
    default: return in->ops.transform.open(&t->host, &t->task);
    }
}
int testhost_open(struct testhost *t) {
    memset(&t->failure, 0, sizeof t->failure);
    atomic_store(&t->in->stopping, 0);
    testhost_unwake(t);
    atomic_store(&t->in->life, LIFE_OPENING);
    if (testhost_validate(t) == 0 && open_kind(t) == 0) {
        atomic_store(&t->in->life, LIFE_OPEN);
        return 0;
    }
    atomic_store(&t->in->life, LIFE_CLOSED);
    return -1;
}
void testhost_close(struct testhost *t) {
    struct testhost_int *in = t->in;
    if (atomic_load(&in->life) != LIFE_OPEN) return;
    in->thread = pthread_self();
    switch (in->component->kind) {
    case CN_SOURCE: in->ops.source.close(t->task); break;
    case CN_SINK: in->ops.sink.close(t->task); break;
    case CN_CONVERTER: in->ops.converter.close(t->task); break;
    default: in->ops.transform.close(t->task); break;
    }
    atomic_store(&in->life, LIFE_CLOSED);
    t->task = NULL;
    testhost_forget_uncommitted(t);
}
void testhost_wake(struct testhost *t) {
    uint64_t one = 1;
    (void)!write(t->in->wake, &one, sizeof one);
}
void testhost_unwake(struct testhost *t) {
    uint64_t v;
    (void)!read(t->in->wake, &v, sizeof v);
}
void testhost_stop(struct testhost *t) {
    atomic_store(&t->in->stopping, 1);
    testhost_wake(t);
}
int testhost_tick(struct testhost *t) {
    int (*tick)(void *) = t->in->component->kind == CN_SOURCE ? t->in->ops.source.tick : t->in->ops.sink.tick;
    return tick ? tick(t->task) : 0;
}

/* ── what was said ── */
int testhost_logged(struct testhost *t, const char *part) {
    int found = 0;
    pthread_mutex_lock(&t->in->lock);
    for (size_t i = 0; i < t->in->log_n && !found; i++) found = strstr(t->in->log[i], part) != NULL;
    pthread_mutex_unlock(&t->in->lock);
    return found;
}
int64_t testhost_metric(struct testhost *t, const char *name) {
    int64_t v = 0;
    pthread_mutex_lock(&t->in->lock);
    for (size_t i = 0; i < t->in->metric_n; i++)
        if (strcmp(t->in->metrics[i].name, name) == 0) v = t->in->metrics[i].value;
    pthread_mutex_unlock(&t->in->lock);
    return v;
}
const char *testhost_progress(struct testhost *t) { return t->in->progress; }
const char *testhost_spool(struct testhost *t) { return t->in->spool; }
int64_t testhost_spooled(struct testhost *t) {
    pthread_mutex_lock(&t->in->lock);
    int64_t v = t->in->spooled;
    pthread_mutex_unlock(&t->in->lock);
    return v;
}
unsigned testhost_port(struct testhost *t, const char *listen_name) {
    for (size_t i = 0; i < t->in->listen_n; i++)
        if (strcmp(t->in->listens[i].name, listen_name) == 0) return listen_port(t->in->listens[i].fds[0]);
    return 0;
}
void testhost_time(struct testhost *t, int64_t wall_us) { atomic_store(&t->in->manual_us, wall_us); }
void testhost_advance(struct testhost *t, int64_t ms) { atomic_fetch_add(&t->in->manual_us, ms * 1000); }
void testhost_clear(struct testhost *t) {
    struct testhost_int *in = t->in;
    for (size_t i = 0; i < t->line_count; i++) free(t->lines[i]);
    t->line_count = 0;
    pthread_mutex_lock(&in->lock);
    for (size_t i = 0; i < in->log_n; i++) free(in->log[i]);
    in->log_n = 0;
    memset(&t->failure, 0, sizeof t->failure);
    pthread_mutex_unlock(&in->lock);
}
