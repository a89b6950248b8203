// SPDX-License-Identifier: Apache-2.0
#include <connectd/json.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "base/mem.h"
#include "plugin/commands.h"
#include "plugin/descriptor.h"
#include "plugin/load.h"
#include "plugin/probe.h"
#include "testhost.h"

enum { LINES_AT_ONCE = 500, LINES_BYTES = 4 << 20, FLUSH_MS = 10000 };

// The signal handler reaches the running instance here.
static struct testhost *volatile running;
static volatile sig_atomic_t interrupted;
static void on_signal(int sig) {
    (void)sig;
    interrupted = 1;
    if (running) testhost_stop(running);
}

struct run {
    const struct run_params *p;
    struct testhost *t;
    FILE *in, *out, *err_out;
};

static int64_t now_ms(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static int failed(const struct run *r, const char *op) {
    const struct testhost_failure *f = &r->t->failure;
    fprintf(r->err_out, "%s: %s\n", op, f->count ? f->text : "failed without saying why");
    if (*f->hint) fprintf(r->err_out, "hint: %s\n", f->hint);
    return 1;
}

// ── a source ──

static size_t print_lines(const struct run *r, size_t printed) {
    for (size_t i = 0; i < r->t->line_count && (!r->p->max || printed < r->p->max); i++, printed++) fprintf(r->out, "%s\n", r->t->lines[i]);
    if (r->t->line_count) fflush(r->out);
    testhost_clear(r->t);
    return printed;
}
static int run_source(const struct run *r) {
    size_t printed = 0;
    int64_t last = now_ms();
    int rc = CN_POLL_OK;
    while (!interrupted && rc != CN_POLL_DONE && (!r->p->max || printed < r->p->max)) {
        rc = testhost_poll(r->t, 200);
        if (rc == CN_POLL_FAILED) return failed(r, "poll");
        if (r->t->line_count) last = now_ms();
        printed = print_lines(r, printed);
        testhost_commit(r->t);
        if (r->p->idle_ms && now_ms() - last >= r->p->idle_ms) break;
    }
    const struct cn_stored_position *p;
    for (size_t i = 0; (p = testhost_stored_at(r->t, i)); i++) fprintf(r->err_out, "position %s %s\n", p->partition, p->offset);
    return 0;
}

// ── JSON lines from `in`, a batch at a time ──

// Fills *ret with up to LINES_AT_ONCE lines, terminated; how many.
static size_t read_lines(FILE *in, struct buf *ret) {
    _cleanup_free_ char *line = NULL;
    size_t cap = 0, n = 0;
    ssize_t len;
    buf_clear(ret);
    while (n < LINES_AT_ONCE && ret->n < LINES_BYTES && !interrupted && (len = getline(&line, &cap, in)) > 0) {
        buf_put(ret, line, (size_t)len);
        if (line[len - 1] != '\n') buf_u8(ret, '\n');
        n++;
    }
    return n;
}

// ── a sink ──

static size_t print_verdicts(const struct run *r, size_t from, int *ret_bad) {
    static const char *const words[] = {[CN_OK] = "ok", [CN_RETRY] = "retry", [CN_REJECT] = "reject", [CN_FATAL] = "fatal"};
    struct testhost_verdict v;
    for (; testhost_verdict_at(r->t, from, &v); from++) {
        struct buf b = {0};
        struct json_writer w = json_to(&b);
        json_object(&w);
        json_kz(&w, "topic", v.topic);
        json_ki(&w, "partition", v.partition);
        json_ki(&w, "offset", v.offset);
        json_kz(&w, "verdict", v.kind < 0 ? "unsettled" : words[v.kind]);
        if (*v.reason) json_kz(&w, "reason", v.reason);
        if (v.kind == CN_RETRY && v.retry_after_ms) json_ki(&w, "retry_after_ms", v.retry_after_ms);
        json_object_end(&w);
        fprintf(r->out, "%s\n", buf_cstr(&b));
        buf_done(&b);
        *ret_bad |= v.kind != CN_OK;
    }
    fflush(r->out);
    return from;
}
static int run_sink(const struct run *r) {
    struct buf lines = {0};
    size_t printed = 0;
    int bad = 0;
    while (read_lines(r->in, &lines) > 0 && !bad) {
        if (testhost_put_json(r->t, buf_cstr(&lines)) == CN_PUT_FAILED) bad = failed(r, "put");
        else if (testhost_flush(r->t, FLUSH_MS) != 0) bad = failed(r, "flush");
        testhost_settled(r->t, FLUSH_MS);
        printed = print_verdicts(r, printed, &bad);
    }
    buf_done(&lines);
    return bad;
}

// ── a transform or predicate ──

static void print_record(const struct run *r, uint32_t record) {
    struct cn_json j = {0};
    cn_json_record(&j, &r->t->batch, cn_record_at(&r->t->batch, record));
    if (!j.failed) fprintf(r->out, "%.*s\n", (int)j.n, j.p);
    cn_json_done(&j);
}
static int run_transform(const struct run *r, bool predicate) {
    struct buf lines = {0};
    int bad = 0;
    while (read_lines(r->in, &lines) > 0) {
        testhost_batch(r->t);
        if (testhost_add_json(r->t, buf_cstr(&lines)) < 0) return failed(r, "input");
        for (uint32_t i = 0; i < cn_count(&r->t->batch); i++) {
            int rc = testhost_apply(r->t, i);
            if (rc < 0) bad = failed(r, "apply");
            else if (predicate) fprintf(r->out, "%s\n", rc ? "true" : "false");
            else if (rc == CN_KEEP) print_record(r, i);
        }
        fflush(r->out);
    }
    buf_done(&lines);
    return bad;
}

// ── the whole ──

static int find(const struct plugin *plugin, const char *name, const struct component **ret, struct err *err) {
    struct buf names = {0};
    for (size_t i = 0; i < plugin->n; i++) {
        const struct component *c = &plugin->components[i];
        buf_printf(&names, "%s%s/%s", i ? ", " : "", plugin_kind_name(c->kind), c->name);
        if (!*ret && (name ? component_named(c, name) : plugin->n == 1)) *ret = &plugin->components[i];
    }
    if (!*ret && name) err_set(err, ERR_NOT_FOUND, "%s has no component %s; it has %s", plugin->name, name, buf_cstr(&names));
    if (!*ret && !name) err_set(err, ERR_INVALID, "%s has several components: name one of %s", plugin->name, buf_cstr(&names));
    buf_done(&names);
    return *ret ? 0 : -1;
}

static int run_open(const struct run *r, enum cn_kind kind) {
    int rc;
    switch (kind) {
    case CN_SOURCE: rc = run_source(r); break;
    case CN_SINK: rc = run_sink(r); break;
    default: rc = run_transform(r, kind == CN_PREDICATE); break;
    }
    testhost_close(r->t);
    return rc;
}

static int run_component(const struct run_params *p, const struct component *c, FILE *in, FILE *out, FILE *err_out) {
    struct run r = {p, testhost_new_component(&c->view, p->options), in, out, err_out};
    struct sigaction sa = {.sa_handler = on_signal}, before[2];
    testhost_verbose(r.t, p->verbose);
    for (const char *const *q = p->positions; q && q[0] && q[1]; q += 2) testhost_position(r.t, q[0], q[1]);
    interrupted = 0;
    running = r.t;
    sigaction(SIGINT, &sa, &before[0]);
    sigaction(SIGTERM, &sa, &before[1]);
    int rc = testhost_open(r.t) == 0 ? run_open(&r, c->kind) : failed(&r, "open");
    sigaction(SIGINT, &before[0], NULL);
    sigaction(SIGTERM, &before[1], NULL);
    running = NULL;
    testhost_free(r.t);
    return rc;
}

int cmd_plugins_run(const struct run_params *p, FILE *in, FILE *out, FILE *err_out, struct err *err) {
    struct plugin plugin = {0};
    const struct component *c = NULL;
    int rc = 2;
    _cleanup_free_ char *real = realpath(p->path, NULL);
    if (!real) {
        err_sys(err, errno, "%s", p->path);
        return 2;
    }
    struct probe_result tried;
    probe_files((const char *const[]){real}, 1, 2000, &tried);
    if (!tried.ok) *err = tried.err;
    if (!tried.ok || load_file(real, &plugin, err) != 0) err_wrap(err, "%s", real);
    else if (find(&plugin, p->component, &c, err) == 0) {
        if (c->kind == CN_CONVERTER) err_set(err, ERR_UNSUPPORTED, "%s is a converter: only sources, sinks and transforms can be run", c->name);
        else rc = run_component(p, c, in, out, err_out);
    }
    descriptor_done(&plugin);
    return rc;
}
