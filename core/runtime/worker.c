// SPDX-License-Identifier: Apache-2.0
// The worker's life, its keeper, what it shows, and target states.
#include "runtime/worker_int.h"

#include <stdio.h>

#include "backend/backend.h"
#include "base/mem.h"
#include "base/say.h"
#include "base/thread.h"
#include "runtime/dead_letter.h"

enum { KEEP_MS = 500 };

// ── the keeper ──

static void note_statuses(struct worker *w) {
    LOCK_SCOPE(&w->lock);
    for (size_t i = 0; i < w->n; i++) {
        const struct connector *c = w->connectors[i];
        struct connector_look look;
        connector_look(c, &look);
        state_status(w->env->state, connector_name(c), -1, look.state, c->failure.text[0] ? c->failure.text : NULL);
        for (uint32_t k = 0; k < c->n; k++) {
            struct task_look t;
            if (!c->tasks[k]) continue;
            task_look(c->tasks[k], &t);
            bool trace = t.state == TASK_FAILED || t.state == TASK_RESTARTING;
            state_status(w->env->state, connector_name(c), (int)k, task_state_name(t.state), trace ? t.failure.text : NULL);
        }
    }
}

static void watch(struct worker *w) {
    if (pthread_mutex_trylock(&w->control) != 0) return; // somebody changes things: the next round will do
    for (size_t i = 0; i < w->n; i++) connector_watch(w->connectors[i]);
    pthread_mutex_unlock(&w->control);
}

// Of a group "connect-<name>": the dead letters of that connector, also when it is orphaned.
static char *dead_letters_of(void *arg, const char *group) {
    struct worker *w = arg;
    if (strncmp(group, "connect-", 8) != 0) return NULL;
    LOCK_SCOPE(&w->lock);
    const struct connector *c = worker_get(w, group + 8, NULL);
    struct connector_options o = {0};
    if (c) o.dead_letter_topic = props_text(&c->def->config->props, "errors.deadletterqueue.topic.name", NULL);
    return dead_letter_topic(&o, group + 8);
}

static bool keep_on(struct worker *w) {
    LOCK_SCOPE(&w->lock);
    if (!w->closing) cond_wait_ms(&w->wake, &w->lock, KEEP_MS);
    return !w->closing;
}

static void *keeper_main(void *arg) {
    struct worker *w = arg;
    bool complained = false;
    struct err err;
    while (keep_on(w)) {
        watch(w);
        note_statuses(w);
        bool failed = gaps_write(w->gaps, dead_letters_of, w, &err) != 0;
        failed = state_flush(w->env->state, &err) != 0 || failed;
        if (failed && !complained) say_err(SAY_WARN, &err, "statuses and gaps are not written");
        complained = failed;
    }
    return NULL;
}

// ── life ──

static struct task_env *env_new(const struct worker_options *o) {
    struct task_env *e = xcalloc(1, sizeof(*e));
    *e = (struct task_env){
        .backend = o->backend,
        .plugins = o->plugins,
        .sockets = o->sockets,
        .metrics = o->metrics,
        .clock = o->clock ? o->clock : &clock_real,
        .lookup = {plugins_lookup, plugins_lookup_each, o->plugins, plugins_lookup_explain},
        .secrets = o->secrets,
        .key_converter = o->key_converter,
        .value_converter = o->value_converter,
        .worker_id = o->id ? o->id : "127.0.0.1:8083",
        .spool_dir = o->spool_dir,
        .data_dir = o->data_dir,
        .worker_props = o->worker_props,
        .shutdown_ms = o->shutdown_ms ? o->shutdown_ms : 5000,
        .hang_ms = o->hang_ms ? o->hang_ms : 60000,
        .retry_min_ms = o->retry_min_ms ? o->retry_min_ms : 1000,
        .retry_max_ms = o->retry_max_ms ? o->retry_max_ms : 300000,
        .flush_interval_ms = o->flush_interval_ms ? o->flush_interval_ms : 5000,
        .spool_max_bytes = o->spool_max_bytes ? o->spool_max_bytes : 1 << 30,
    };
    return e;
}

int worker_open(const struct worker_options *o, struct worker **ret, struct err *err) {
    struct worker *w = xcalloc(1, sizeof(*w));
    w->env = env_new(o);
    if (state_open(o->backend, w->env->worker_id, &w->env->state, err) != 0) {
        free(w->env);
        free(w);
        return -1;
    }
    pthread_mutex_init(&w->control, NULL);
    pthread_mutex_init(&w->lock, NULL);
    cond_init_mono(&w->wake);
    w->gaps = gaps_new(o->backend);
    if (thread_start(&w->keeper, "keeper", keeper_main, w, err) != 0) {
        gaps_free(w->gaps);
        state_close(w->env->state);
        free(w->env);
        free(w);
        return -1;
    }
    *ret = w;
    return 0;
}

static void stop_kind(struct worker *w, bool source, int64_t deadline_ms) {
    for (size_t i = 0; i < w->n; i++)
        if (definition_is_source(w->connectors[i]->def) == source) connector_ask(w->connectors[i], WANT_STOP);
    for (size_t i = 0; i < w->n; i++)
        if (definition_is_source(w->connectors[i]->def) == source) connector_stop(w->connectors[i], deadline_ms);
}

int worker_close(struct worker *w, int64_t deadline_ms) {
    if (!w) return 0;
    struct err err;
    int64_t deadline = worker_deadline(w, deadline_ms);
    pthread_mutex_lock(&w->control);
    note_statuses(w); // as they were: a stopped daemon does not make a connector STOPPED
    stop_kind(w, true, deadline - deadline_ms / 3);
    stop_kind(w, false, deadline);
    {
        LOCK_SCOPE(&w->lock);
        w->closing = true;
        pthread_cond_signal(&w->wake);
    }
    pthread_mutex_unlock(&w->control);
    pthread_join(w->keeper, NULL);
    if (state_flush(w->env->state, &err) != 0) say_err(SAY_WARN, &err, "the last statuses are not written");
    for (size_t i = 0; i < w->n; i++) {
        w->abandoned += w->connectors[i]->abandoned;
        connector_free(w->connectors[i]);
    }
    for (size_t i = 0; i < w->source_n; i++) {
        free(w->sources[i].path);
        pipeline_free(w->sources[i].pipeline);
        findings_done(&w->sources[i].findings);
    }
    int abandoned = (int)w->abandoned;
    gaps_free(w->gaps);
    if (!abandoned) {
        state_close(w->env->state);
        free(w->env);
    }
    pthread_cond_destroy(&w->wake);
    pthread_mutex_destroy(&w->lock);
    pthread_mutex_destroy(&w->control);
    free(w->connectors);
    free(w->sources);
    free(w);
    return abandoned;
}

// ── the list ──

static size_t place_of(const struct worker *w, const char *name) {
    size_t low = 0, high = w->n;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (strcmp(connector_name(w->connectors[mid]), name) < 0) low = mid + 1;
        else high = mid;
    }
    return low;
}

static void nearest(const struct worker *w, const char *name, struct err *err) {
    unsigned best = 4;
    const char *found = NULL;
    for (size_t i = 0; i < w->n; i++) {
        const char *have = connector_name(w->connectors[i]);
        unsigned d = str_distance(str_of(have), str_of(name), best);
        if (d < best) best = d, found = have;
    }
    if (found) err_hint(err, "did you mean %s?", found);
    else err_hint(err, "`connectd status` lists the connectors");
}

struct connector *worker_get(struct worker *w, const char *name, struct err *err) {
    size_t i = place_of(w, name);
    if (i < w->n && strcmp(connector_name(w->connectors[i]), name) == 0) return w->connectors[i];
    err_set(err, ERR_NOT_FOUND, "connector %s: not found", name);
    if (err) nearest(w, name, err);
    return NULL;
}

void worker_add(struct worker *w, struct connector *c) {
    LOCK_SCOPE(&w->lock);
    size_t i = place_of(w, connector_name(c));
    VEC_PUSH(w->connectors, w->n, w->cap, c);
    memmove(&w->connectors[i + 1], &w->connectors[i], (w->n - 1 - i) * sizeof(*w->connectors));
    w->connectors[i] = c;
}

void worker_remove(struct worker *w, struct connector *c) {
    {
        LOCK_SCOPE(&w->lock);
        size_t i = place_of(w, connector_name(c));
        memmove(&w->connectors[i], &w->connectors[i + 1], (w->n - 1 - i) * sizeof(*w->connectors));
        w->n--;
    }
    w->abandoned += c->abandoned;
    connector_free(c);
}

// ── looking ──

int worker_find(struct worker *w, const char *name, bool *ret_source, struct err *err) {
    LOCK_SCOPE(&w->lock);
    const struct connector *c = worker_get(w, name, err);
    if (!c) return -1;
    if (ret_source) *ret_source = definition_is_source(c->def);
    return 0;
}

int worker_each(struct worker *w, int (*each)(void *arg, const char *name, bool source), void *arg) {
    LOCK_SCOPE(&w->lock);
    int r = 0;
    for (size_t i = 0; i < w->n && !r; i++) r = each(arg, connector_name(w->connectors[i]), definition_is_source(w->connectors[i]->def));
    return r;
}

int worker_connector_json(struct worker *w, const char *name, struct json_writer *out, struct err *err) {
    LOCK_SCOPE(&w->lock);
    const struct connector *c = worker_get(w, name, err);
    if (!c) return -1;
    connector_json(c, out);
    return 0;
}

struct counts { size_t all, running, failed, restarting, paused, stopped, hung, refused; const char *first_failed; };

// Under the lock. A connector counts once, by its worst task.
static struct counts count(const struct worker *w) {
    struct counts n = {.all = w->n};
    for (size_t i = 0; i < w->n; i++) {
        const struct connector *c = w->connectors[i];
        struct connector_look look;
        connector_look(c, &look);
        n.hung += look.hung > 0;
        if (c->failure.text[0] || look.failed) {
            n.failed++;
            if (!n.first_failed) n.first_failed = connector_name(c);
        } else if (look.restarting) {
            n.restarting++;
        } else if (c->target == TARGET_STOPPED) {
            n.stopped++;
        } else if (c->target == TARGET_PAUSED) {
            n.paused++;
        } else {
            n.running++;
        }
    }
    for (size_t i = 0; i < w->source_n; i++) n.refused += w->sources[i].refused;
    return n;
}

static enum worker_health health_of(const struct counts *n) { return n->failed || n->restarting || n->hung || n->refused ? WORKER_DEGRADED : WORKER_ALL_RUNNING; }

enum worker_health worker_health(struct worker *w) {
    LOCK_SCOPE(&w->lock);
    struct counts n = count(w);
    return health_of(&n);
}

void worker_summary(struct worker *w, char *out, size_t cap) {
    LOCK_SCOPE(&w->lock);
    struct counts n = count(w);
    size_t at = 0;
    const struct { size_t n; const char *what; } parts[] = {{n.failed, "failed"}, {n.restarting, "restarting"}, {n.hung, "hung"}, {n.paused, "paused"}, {n.stopped, "stopped"}, {n.refused, "files refused"}};
    at += (size_t)snprintf(out, cap, "%zu connector%s running", n.running, n.running == 1 ? "" : "s");
    for (size_t i = 0; i < countof(parts) && at < cap; i++)
        if (parts[i].n) at += (size_t)snprintf(out + at, cap - at, ", %zu %s", parts[i].n, parts[i].what);
    if (n.first_failed && at < cap) snprintf(out + at, cap - at, " (%s)", n.first_failed);
}

static void json_refused(const struct worker *w, struct json_writer *out) {
    json_key(out, STR("refused"));
    json_array(out);
    for (size_t i = 0; i < w->source_n; i++) {
        const struct worker_source *s = &w->sources[i];
        if (!s->refused) continue;
        json_object(out);
        json_kz(out, "file", s->path);
        json_kz(out, "state", "FAILED");
        json_kb(out, "running", s->pipeline != NULL);
        json_key(out, STR("findings"));
        findings_json(&s->findings, out);
        json_object_end(out);
    }
    json_array_end(out);
}

struct orphans { const struct worker *w; struct json_writer *out; };
static int json_orphan(void *arg, const struct state_owner *o) {
    const struct orphans *x = arg;
    size_t i = place_of(x->w, o->name);
    if (i < x->w->n && strcmp(connector_name(x->w->connectors[i]), o->name) == 0) return 0;
    _cleanup_free_ char *command = xasprintf("connectd offsets reset %s", o->name);
    json_object(x->out);
    json_kz(x->out, "name", o->name);
    json_kz(x->out, "type", o->type);
    json_kz(x->out, "connector", o->plugin);
    json_kz(x->out, "file", o->file);
    json_kz(x->out, "remove", command);
    json_object_end(x->out);
    return 0;
}

void worker_status_json(struct worker *w, struct json_writer *out) {
    LOCK_SCOPE(&w->lock);
    struct counts n = count(w);
    json_object(out);
    json_kz(out, "health", health_of(&n) == WORKER_ALL_RUNNING ? "healthy" : n.failed || n.refused ? "unhealthy" : "degraded");
    json_key(out, STR("connectors"));
    json_array(out);
    for (size_t i = 0; i < w->n; i++) connector_json(w->connectors[i], out);
    json_array_end(out);
    json_refused(w, out);
    json_key(out, STR("orphaned"));
    json_array(out);
    struct orphans x = {w, out};
    state_owners(w->env->state, json_orphan, &x);
    json_array_end(out);
    json_ki(out, "records_lost_to_retention", gaps_records(w->gaps));
    json_key(out, STR("backend"));
    w->env->backend->ops->status_json(w->env->backend, out);
    json_object_end(out);
}

int worker_topics(struct worker *w, const char *name, int (*each)(void *arg, const char *topic), void *arg, struct err *err) {
    if (worker_find(w, name, NULL, err) != 0) return -1;
    state_topics(w->env->state, name, each, arg);
    return 0;
}

// ── target states ──

static void set_target(struct connector *c, enum target_state t) {
    LOCK_SCOPE(c->lock);
    c->target = t;
}

static int timed_out(const struct connector *c, const char *what, struct err *err) {
    err_set(err, ERR_TIMEOUT, "connector %s: %s in time; it goes on", connector_name(c), what);
    return err_hint(err, "`connectd status` shows when it is done");
}

static int change_target(struct worker *w, const char *name, enum target_state t, int64_t deadline_ms, struct err *err) {
    LOCK_SCOPE(&w->control);
    int64_t deadline = worker_deadline(w, deadline_ms);
    struct connector *c = worker_get(w, name, err);
    if (!c) return -1;
    if (state_target_set(w->env->state, name, t, err) != 0) return -1;
    bool had_tasks = c->n > 0;
    set_target(c, t);
    if (t == TARGET_STOPPED) {
        connector_ask(c, WANT_STOP);
        unsigned left = connector_stop(c, deadline);
        return left ? err_set(err, ERR_TIMEOUT, "connector %s: %u tasks did not stop in time and were abandoned", name, left) : 0;
    }
    if (had_tasks) connector_ask(c, t == TARGET_PAUSED ? WANT_PAUSE : WANT_RUN);
    else connector_start(c);
    return connector_settled(c, deadline) ? 0 : timed_out(c, t == TARGET_PAUSED ? "not all tasks paused" : "not all tasks started", err);
}

int worker_pause(struct worker *w, const char *name, int64_t deadline_ms, struct err *err) { return change_target(w, name, TARGET_PAUSED, deadline_ms, err); }
int worker_resume(struct worker *w, const char *name, int64_t deadline_ms, struct err *err) { return change_target(w, name, TARGET_RUNNING, deadline_ms, err); }
int worker_stop(struct worker *w, const char *name, int64_t deadline_ms, struct err *err) { return change_target(w, name, TARGET_STOPPED, deadline_ms, err); }

static int restart_tasks(struct connector *c, int task, bool only_failed, int64_t deadline, struct err *err) {
    for (uint32_t i = 0; i < c->n; i++) {
        struct task_look look;
        if (!c->tasks[i] || (task >= 0 && (uint32_t)task != i)) continue;
        task_look(c->tasks[i], &look);
        if (only_failed && look.state != TASK_FAILED) continue;
        task_restart(c->tasks[i]);
    }
    return connector_settled(c, deadline) ? 0 : timed_out(c, "not all tasks started again", err);
}

int worker_restart(struct worker *w, const char *name, int task, bool only_failed, int64_t deadline_ms, struct err *err) {
    LOCK_SCOPE(&w->control);
    int64_t deadline = worker_deadline(w, deadline_ms);
    struct connector *c = worker_get(w, name, err);
    if (!c) return -1;
    if (c->target == TARGET_STOPPED) {
        err_set(err, ERR_BUSY, "connector %s is stopped", name);
        return err_hint(err, "`connectd resume %s` starts it", name);
    }
    if (task >= 0 && (uint32_t)task >= c->n) return err_set(err, ERR_NOT_FOUND, "task %s/%d: the connector has %u tasks", name, task, c->n);
    if (task >= 0 || only_failed) return restart_tasks(c, task, only_failed, deadline, err);
    connector_ask(c, WANT_STOP);
    connector_stop(c, deadline);
    c->held = (struct failure){0}; // somebody knows that it shall run
    connector_start(c);
    return connector_settled(c, deadline) ? 0 : timed_out(c, "not all tasks started again", err);
}
