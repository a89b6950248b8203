// SPDX-License-Identifier: Apache-2.0
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "converters/converter.h"
#include "plugin/plugins.h"
#include "tmpdir.h"
#include "transforms/transform.h"

void fixture_open_on(struct fixture *f, struct backend *b) {
    struct err err;
    *f = (struct fixture){.backend = b, .plugins = plugins_new(), .metrics = metric_registry_new(), .dir = tmpdir_new()};
    assert_ok(plugins_add_builtin(f->plugins, &converters_plugin, &err), err);
    assert_ok(plugins_add_builtin(f->plugins, &transforms_plugin, &err), err);
    assert_ok(plugins_add_builtin(f->plugins, &scripted_plugin, &err), err);
    struct worker_options o = {.backend = b, .plugins = f->plugins, .metrics = f->metrics, .shutdown_ms = 2000, .hang_ms = 300,
                               .flush_interval_ms = 20, .retry_min_ms = 5, .retry_max_ms = 20};
    assert_ok(worker_open(&o, &f->worker, &err), err);
}

void fixture_open(struct fixture *f) {
    scripts_reset();
    fixture_open_on(f, backend_mem_new());
    f->own_backend = true;
}

static void close_anyway(struct fixture *f, int *ret_abandoned) {
    *ret_abandoned = worker_close(f->worker, 10000);
    worker_report_done(&f->report);
    for (size_t i = 0; i < f->n; i++) free(f->paths[i]);
    if (*ret_abandoned) return; // their threads still use the rest
    metric_registry_free(f->metrics);
    plugins_free(f->plugins);
    if (f->own_backend) f->backend->ops->close(f->backend);
}

void fixture_close(struct fixture *f) {
    int abandoned;
    close_anyway(f, &abandoned);
    assert_int_equal(abandoned, 0);
}

void fixture_file(struct fixture *f, const char *name, const char *yaml) {
    const char *path = tmpdir_file(f->dir, name, yaml);
    for (size_t i = 0; i < f->n; i++)
        if (strcmp(f->paths[i], path) == 0) return;
    f->paths[f->n++] = strdup(path);
}

void fixture_remove(struct fixture *f, const char *name) {
    for (size_t i = 0; i < f->n; i++) {
        if (!str_ends(str_of(f->paths[i]), str_of(name))) continue;
        free(f->paths[i]);
        f->paths[i] = f->paths[--f->n];
    }
}

void fixture_apply(struct fixture *f) {
    worker_report_done(&f->report);
    worker_apply(f->worker, (const char *const *)f->paths, f->n, 10000, &f->report);
}

void fixture_run(struct fixture *f, const char *yaml) {
    fixture_file(f, "test.yaml", yaml);
    fixture_apply(f);
    if (f->report.refused) fail_msg("refused: %s", f->report.changes[0].detail);
}

const char *fixture_status(struct fixture *f) {
    static struct buf b;
    buf_clear(&b);
    struct json_writer w = json_to(&b);
    worker_status_json(f->worker, &w);
    return buf_cstr(&b);
}

bool status_has(struct fixture *f, const char *part) { return strstr(fixture_status(f), part) != NULL; }

int64_t topic_end(struct fixture *f, const char *topic) {
    struct partition_info p;
    struct err err;
    return f->backend->ops->partition(f->backend, topic, 0, &p, &err) == 0 ? p.high_watermark : -1;
}

size_t topic_numbers(struct fixture *f, const char *topic, int64_t *to, size_t max) {
    struct consumer_options o = {.topics = &topic, .topic_count = 1, .from_beginning = true};
    struct consumer *c;
    struct err err;
    size_t n = 0;
    assert_ok(f->backend->ops->consumer_open(f->backend, &o, &c, &err), err);
    for (int empty = 0; empty < 3;) {
        const struct consumed *r;
        int got = f->backend->ops->poll(c, 1 << 20, 10, &r, &err);
        for (int i = 0; i < got && n < max; i++)
            if (!str_to_i64(r[i].value, &to[n++])) to[n - 1] = -1;
        empty = got > 0 ? 0 : empty + 1;
    }
    f->backend->ops->consumer_close(c);
    return n;
}

struct looking { const char *topic; int64_t found; };
static int look(void *arg, const struct backend_offset *o) {
    struct looking *l = arg;
    if (strcmp(o->topic, l->topic) == 0) l->found = o->offset;
    return 0;
}
int64_t group_offset(struct fixture *f, const char *group, const char *topic) {
    struct looking l = {topic, -1};
    struct err err;
    assert_ok(f->backend->ops->offsets(f->backend, group, look, &l, &err), err);
    return l.found;
}
