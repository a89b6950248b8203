// SPDX-License-Identifier: Apache-2.0
// Pipeline files against what runs.
//
//   read every file ─► wrong ones: refused, their running version stays
//                   └► right ones: what a file no longer has or has changed is asked to stop, all at once; then what is new or changed starts
#include <stdio.h>

#include "base/map.h"
#include "base/mem.h"
#include "base/say.h"
#include "base/thread.h"
#include "plugin/sockets.h"
#include "runtime/validate.h"
#include "runtime/worker_int.h"

struct reading { // a file as it is now
    const char *path;
    struct pipeline *pipeline; // NULL: refused
    struct findings findings;
};
struct apply {
    struct worker *w;
    struct reading *files;
    size_t n;
    struct worker_report *report;
    struct map names; // connector → the file that has it (struct reading or worker_source path)
};

const char *worker_change_name(enum worker_change_kind k) {
    static const char *const names[] = {"unchanged", "started", "restarted", "removed", "refused"};
    return names[k];
}

static void add_change(struct worker_report *r, enum worker_change_kind kind, const char *file, const char *connector, char *detail) {
    struct worker_change c = {kind, file ? xstrdup(file) : NULL, connector ? xstrdup(connector) : NULL, detail};
    VEC_PUSH(r->changes, r->n, r->cap, c);
    r->refused += kind == WORKER_REFUSED;
    if (kind == WORKER_UNCHANGED) return;
    if (kind != WORKER_REFUSED) {
        say(SAY_INFO, "connector %s %s (%s)", connector, worker_change_name(kind), file);
        return;
    }
    struct str rest = str_of(detail), line;
    say(SAY_ERROR, "%s is refused", file);
    while (str_split(&rest, '\n', &line)) say(SAY_ERROR, "  %.*s", STR_FMT(line));
}

void worker_report_refuse(struct worker_report *r, const char *file, const char *detail) { add_change(r, WORKER_REFUSED, file, NULL, xstrdup(detail)); }

void worker_report_done(struct worker_report *r) {
    for (size_t i = 0; i < r->n; i++) {
        free(r->changes[i].file);
        free(r->changes[i].connector);
        free(r->changes[i].detail);
    }
    free(r->changes);
    *r = (struct worker_report){0};
}

void worker_report_json(const struct worker_report *r, struct json_writer *w) {
    json_object(w);
    json_key(w, STR("changes"));
    json_array(w);
    for (size_t i = 0; i < r->n; i++) {
        json_object(w);
        json_kz(w, "file", r->changes[i].file);
        if (r->changes[i].connector) json_kz(w, "connector", r->changes[i].connector);
        json_kz(w, "change", worker_change_name(r->changes[i].kind));
        if (r->changes[i].detail) json_kz(w, "detail", r->changes[i].detail);
        json_object_end(w);
    }
    json_array_end(w);
    json_ki(w, "refused", (int64_t)r->refused);
    json_object_end(w);
}

// ── reading ──

// What can be said without starting: options, plugins, the plugins' own validate.
static void check_connector(const struct task_env *env, const struct connector_config *c, struct findings *f) {
    const struct setup_input in = {.config = c, .lookup = &env->lookup, .secrets = env->secrets, .default_key_converter = env->key_converter,
                                   .default_value_converter = env->value_converter, .worker_props = env->worker_props};
    struct connector_setup *s = NULL;
    size_t before = f->errors;
    int r = connector_setup(&in, &s, f);
    struct failure suspended; // it starts FAILED with that
    if (r == 0 && f->errors == before && !connector_suspended(env, s, &suspended)) connector_validate(c, s, false, f);
    connector_setup_free(s);
}

static struct worker_source *source_of(const struct worker *w, const char *path) {
    for (size_t i = 0; i < w->source_n; i++)
        if (strcmp(w->sources[i].path, path) == 0) return &w->sources[i];
    return NULL;
}

static void read_file(struct apply *a, struct reading *r) {
    const struct worker_source *old = source_of(a->w, r->path);
    struct pipeline *p;
    if (pipeline_load(r->path, &p, &r->findings) != 0) return;
    // What ran before is not checked again: a secret that is gone since then shall not stop it.
    bool same = old && old->pipeline && old->pipeline->content == p->content;
    for (size_t i = 0; i < p->n && !same; i++) check_connector(a->w->env, &p->connectors[i], &r->findings);
    if (r->findings.errors) pipeline_free(p);
    else r->pipeline = p;
}

// Names are unique over all files; the running version of a refused file keeps its own.
static void claim_names(struct apply *a, const struct pipeline *p, const char *path, struct findings *f) {
    for (size_t i = 0; i < p->n; i++) {
        const struct connector_config *c = &p->connectors[i];
        const char *other = map_get(&a->names, str_of(c->name));
        if (other) findings_error(f, c->at, NULL, "connector %s: there is one of that name in %s already", c->name, other);
        else map_put(&a->names, str_of(c->name), (char *)(uintptr_t)path);
    }
}

static void refuse_twins(struct apply *a) {
    for (size_t i = 0; i < a->n; i++) {
        const struct worker_source *old = source_of(a->w, a->files[i].path);
        if (!a->files[i].pipeline && old && old->pipeline) claim_names(a, old->pipeline, a->files[i].path, &a->files[i].findings);
    }
    for (size_t i = 0; i < a->n; i++) {
        struct reading *r = &a->files[i];
        size_t before = r->findings.errors;
        if (!r->pipeline) continue;
        claim_names(a, r->pipeline, r->path, &r->findings);
        if (r->findings.errors == before) continue;
        pipeline_free(r->pipeline);
        r->pipeline = NULL;
    }
}

// ── the difference ──

static const struct connector_config *config_in(const struct pipeline *p, const char *name) {
    for (size_t i = 0; p && i < p->n; i++)
        if (strcmp(p->connectors[i].name, name) == 0) return &p->connectors[i];
    return NULL;
}

static struct reading *reading_of(struct apply *a, const char *path) {
    for (size_t i = 0; i < a->n; i++)
        if (strcmp(a->files[i].path, path) == 0) return &a->files[i];
    return NULL;
}

// What the files want of a running connector: NULL, gone; itself, when its file is refused.
static const struct connector_config *wanted(struct apply *a, const struct connector *c) {
    struct reading *r = c->def->file ? reading_of(a, c->def->file) : NULL;
    if (r && !r->pipeline) return c->def->config;
    for (size_t i = 0; i < a->n; i++) {
        const struct connector_config *found = config_in(a->files[i].pipeline, connector_name(c));
        if (found) return found;
    }
    return NULL;
}

static bool unchanged(const struct worker *w, const struct connector *c, const struct connector_config *want) {
    if (want == c->def->config) return true;
    return connector_config_equal(want, c->def->config) && secrets_digest(w->env, want) == c->def->secrets;
}

// Stops what is gone or changed, all at once. What is changed starts again below.
static void stop_changed(struct apply *a, int64_t deadline) {
    struct worker *w = a->w;
    struct connector **stopping = xcalloc(w->n + 1, sizeof(*stopping));
    size_t n = 0;
    for (size_t i = 0; i < w->n; i++) {
        const struct connector_config *want = wanted(a, w->connectors[i]);
        if (want && unchanged(w, w->connectors[i], want)) continue;
        stopping[n++] = w->connectors[i];
        connector_ask(w->connectors[i], WANT_STOP);
    }
    for (size_t i = 0; i < n; i++) {
        struct connector *c = stopping[i];
        connector_stop(c, deadline);
        if (!wanted(a, c)) {
            if (w->env->sockets) sockets_release(w->env->sockets, connector_name(c));
            add_change(a->report, WORKER_REMOVED, c->def->file, connector_name(c), NULL);
        }
        worker_remove(w, c);
    }
    free(stopping);
}

// A connector of which nobody knows whether it was paused or stopped must not run by accident: somebody has to say so.
static void hold(struct connector *c, const struct err *why) {
    failure_err(&c->held, why, CN_FAIL_LOST_DATA);
    failure_wrap(&c->held, "whether it was paused or stopped is not known");
    size_t n = strlen(c->held.hint);
    snprintf(c->held.hint + n, sizeof(c->held.hint) - n, "; `connectd restart %s` runs it until the next start", connector_name(c));
}

static struct connector *connector_of(struct worker *w, struct definition *d, const char *file) {
    enum target_state target = TARGET_RUNNING;
    struct err err;
    bool known = state_target(w->env->state, definition_name(d), &target, &err) == 0;
    struct connector *c = connector_new(d, target, &w->lock);
    if (!known) hold(c, &err);
    else if (state_owner_set(w->env->state, definition_name(d), definition_is_source(d), d->component->name, file, &err) != 0)
        say_err(SAY_WARN, &err, "connector %s is not noted", definition_name(d));
    return c;
}

static void start_one(struct apply *a, const struct reading *r, const struct connector_config *config, bool existed) {
    struct worker *w = a->w;
    struct definition *d;
    struct err err;
    if (definition_new(w->env, connector_config_copy(config), r->path, &d, &err) != 0) {
        add_change(a->report, WORKER_REFUSED, r->path, config->name, xstrdup(err.msg));
        return;
    }
    struct connector *c = connector_of(w, d, r->path);
    worker_add(w, c);
    connector_start(c);
    add_change(a->report, existed ? WORKER_RESTARTED : WORKER_STARTED, r->path, config->name, NULL);
}

static void apply_file(struct apply *a, struct reading *r, const struct map *before) {
    for (size_t i = 0; i < r->pipeline->n; i++) {
        const struct connector_config *c = &r->pipeline->connectors[i];
        if (worker_get(a->w, c->name, NULL)) add_change(a->report, WORKER_UNCHANGED, r->path, c->name, NULL);
        else start_one(a, r, c, map_get(before, str_of(c->name)) != NULL);
    }
}

static char *findings_text(const struct findings *f) {
    struct buf b = {0};
    findings_print(f, &b);
    while (b.n && b.p[b.n - 1] == '\n') b.n--;
    char *text = str_dup(buf_str(&b));
    buf_done(&b);
    return text;
}

// Remembers the running versions, and why others do not run.
static void keep_sources(struct apply *a) {
    struct worker *w = a->w;
    LOCK_SCOPE(&w->lock);
    for (size_t i = 0; i < w->source_n; i++) w->sources[i].seen = false;
    for (size_t i = 0; i < a->n; i++) {
        struct reading *r = &a->files[i];
        struct worker_source *s = source_of(w, r->path);
        if (!s) {
            VEC_PUSH(w->sources, w->source_n, w->source_cap, ((struct worker_source){.path = xstrdup(r->path)}));
            s = &w->sources[w->source_n - 1];
        }
        s->seen = true;
        s->refused = !r->pipeline;
        findings_done(&s->findings);
        s->findings = r->findings;
        r->findings = (struct findings){0};
        if (!r->pipeline) continue;
        pipeline_free(s->pipeline);
        s->pipeline = r->pipeline;
        r->pipeline = NULL;
    }
    size_t kept = 0;
    for (size_t i = 0; i < w->source_n; i++) {
        if (w->sources[i].seen) {
            w->sources[kept++] = w->sources[i];
            continue;
        }
        free(w->sources[i].path);
        pipeline_free(w->sources[i].pipeline);
        findings_done(&w->sources[i].findings);
    }
    w->source_n = kept;
}

void worker_apply(struct worker *w, const char *const *paths, size_t n, int64_t deadline_ms, struct worker_report *ret) {
    LOCK_SCOPE(&w->control);
    int64_t deadline = worker_deadline(w, deadline_ms);
    *ret = (struct worker_report){0};
    struct apply a = {.w = w, .files = xcalloc(n + 1, sizeof(*a.files)), .n = n, .report = ret};
    struct map before = {0};
    for (size_t i = 0; i < w->n; i++) map_put(&before, str_of(connector_name(w->connectors[i])), w);
    for (size_t i = 0; i < n; i++) {
        a.files[i].path = paths[i];
        read_file(&a, &a.files[i]);
    }
    refuse_twins(&a);
    for (size_t i = 0; i < n; i++)
        if (!a.files[i].pipeline) add_change(ret, WORKER_REFUSED, paths[i], NULL, findings_text(&a.files[i].findings));
    stop_changed(&a, deadline);
    for (size_t i = 0; i < n; i++)
        if (a.files[i].pipeline) apply_file(&a, &a.files[i], &before);
    keep_sources(&a);
    for (size_t i = 0; i < w->n; i++) connector_settled(w->connectors[i], deadline);
    map_done(&before, NULL);
    map_done(&a.names, NULL);
    free(a.files);
}
