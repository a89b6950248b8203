// SPDX-License-Identifier: Apache-2.0
// Checking pipeline files without running them.
#include "config/check.h"

#include <stdlib.h>
#include <sys/stat.h>

#include "base/map.h"
#include "base/mem.h"

struct checking {
    const struct check_input *in;
    struct findings *f;
    struct map names; // connector name → the place of its definition, kept in `pipelines`
    struct pipeline **pipelines;
    size_t n, cap;
    void (*each)(void *arg, const struct connector_config *c, const struct connector_setup *s, struct findings *f);
    void *arg;
};

static void check_name_once(struct checking *x, const struct connector_config *c) {
    const struct connector_config *first = map_put(&x->names, str_of(c->name), (void *)(uintptr_t)c);
    if (!first) return;
    findings_error(x->f, c->at, NULL, "connector %s is also defined in %s:%d", c->name, first->file ? first->file : "", first->at.line);
    findings_hint(x->f, "positions and groups are kept under a connector's name: give one of them another");
}

static void check_connector(struct checking *x, const struct connector_config *c) {
    struct connector_setup *s;
    struct setup_input in = {
        .config = c,
        .lookup = x->in->lookup,
        .secrets = x->in->secrets,
        .default_key_converter = x->in->default_key_converter,
        .default_value_converter = x->in->default_value_converter,
        .worker_props = x->in->worker_props,
    };
    check_name_once(x, c);
    if (!connector_setup(&in, &s, x->f) && x->each) x->each(x->arg, c, s, x->f);
    connector_setup_free(s);
}

static void check_file(struct checking *x, const char *path) {
    struct pipeline *p;
    if (pipeline_load(path, &p, x->f)) return;
    VEC_PUSH(x->pipelines, x->n, x->cap, p);
    for (size_t i = 0; i < p->n; i++) check_connector(x, &p->connectors[i]);
}

static void check_folder(struct checking *x, const char *path) {
    struct err err;
    char **files;
    size_t n;
    if (pipeline_files(path, &files, &n, &err)) {
        findings_err(x->f, (struct place){path, 0, 0}, NULL, &err);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        check_file(x, files[i]);
        free(files[i]);
    }
    free(files);
}

void check_files(const struct check_input *in, struct findings *f,
                 void (*each)(void *arg, const struct connector_config *c, const struct connector_setup *s, struct findings *f), void *arg) {
    struct checking x = {.in = in, .f = f, .each = each, .arg = arg};
    for (size_t i = 0; i < in->n; i++) {
        struct stat st;
        if (!stat(in->files[i], &st) && S_ISDIR(st.st_mode)) check_folder(&x, in->files[i]);
        else check_file(&x, in->files[i]);
    }
    findings_sort(f);
    map_done(&x.names, NULL);
    for (size_t i = 0; i < x.n; i++) pipeline_free(x.pipelines[i]);
    free(x.pipelines);
}
