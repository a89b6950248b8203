// SPDX-License-Identifier: Apache-2.0
#include "runtime/connector.h"

#include "base/mem.h"
#include "base/say.h"
#include "base/thread.h"
#include "runtime/validate.h"

enum { MOST_HUNG = 3 };

struct connector *connector_new(struct definition *d, enum target_state target, pthread_mutex_t *lock) {
    struct connector *c = xcalloc(1, sizeof(*c));
    *c = (struct connector){.def = d, .target = target, .lock = lock};
    return c;
}

void connector_free(struct connector *c) {
    if (!c) return;
    definition_unref(c->def);
    free(c->tasks);
    free(c);
}

static void failed(struct connector *c, const struct failure *f) {
    LOCK_SCOPE(c->lock);
    c->failure = *f;
    say(SAY_ERROR, "connector %s: %s%s%s%s", connector_name(c), f->text, *f->hint ? " (hint: " : "", f->hint, *f->hint ? ")" : "");
}

// How many tasks. Options that can not be read are the task's to report and to try again. A plugin that brought the daemon down twice
// is not started a third time (promise 7), nor one that may be meant to rest: then *ret_held is set and *f says why.
static int plan(struct connector *c, uint32_t *ret, bool *ret_held, struct failure *f) {
    struct connector_setup *setup;
    struct failure ignored;
    *ret = 1;
    if ((*ret_held = c->held.text[0])) *f = c->held;
    if (*ret_held) return 0;
    if (definition_setup(c->def, &setup, NULL, &ignored) != 0) return 0;
    *ret_held = connector_suspended(c->def->env, setup, f);
    int r = *ret_held ? 0 : definition_plan(c->def, setup, ret, f);
    connector_setup_free(setup);
    return r;
}

static int start_task(struct connector *c, uint32_t i, uint32_t n, const struct failure *why) {
    struct err err;
    struct task *t;
    if (task_start(c->def, i, n, c->target == TARGET_PAUSED ? WANT_PAUSE : WANT_RUN, why, &t, &err) != 0) {
        struct failure f;
        failure_err(&f, &err, CN_FAIL_TRANSIENT);
        failed(c, &f);
        return -1;
    }
    LOCK_SCOPE(c->lock);
    c->tasks[i] = t;
    return 0;
}

void connector_start(struct connector *c) {
    struct failure f = {0};
    uint32_t n;
    bool held;
    {
        LOCK_SCOPE(c->lock);
        c->started = true;
        c->failure = (struct failure){0};
        c->hung = 0;
    }
    if (c->target == TARGET_STOPPED) return;
    if (plan(c, &n, &held, &f) != 0) {
        failed(c, &f);
        return;
    }
    {
        LOCK_SCOPE(c->lock);
        c->tasks = xcalloc(n, sizeof(struct task *));
        c->n = n;
    }
    for (uint32_t i = 0; i < n; i++)
        if (start_task(c, i, n, held ? &f : NULL) != 0) return;
}

void connector_ask(struct connector *c, enum task_want want) {
    for (uint32_t i = 0; i < c->n; i++)
        if (c->tasks[i]) task_want(c->tasks[i], want);
}

unsigned connector_stop(struct connector *c, int64_t deadline_ms) {
    unsigned left = 0;
    for (uint32_t i = 0; i < c->n; i++)
        if (c->tasks[i]) task_settled(c->tasks[i], deadline_ms);
    struct task **tasks = c->tasks;
    uint32_t n = c->n;
    {
        LOCK_SCOPE(c->lock);
        c->tasks = NULL;
        c->n = 0;
        c->started = false;
    }
    for (uint32_t i = 0; i < n; i++) left += tasks[i] && !task_free(tasks[i]);
    free(tasks);
    LOCK_SCOPE(c->lock);
    c->abandoned += left;
    return left;
}

bool connector_settled(struct connector *c, int64_t deadline_ms) {
    bool all = true;
    for (uint32_t i = 0; i < c->n; i++) all &= !c->tasks[i] || task_settled(c->tasks[i], deadline_ms);
    return all;
}

void connector_watch(struct connector *c) {
    for (uint32_t i = 0; i < c->n; i++) {
        struct task *t = c->tasks[i];
        if (!t || !task_watch(t)) continue;
        bool often;
        {
            LOCK_SCOPE(c->lock);
            c->tasks[i] = NULL;
            c->abandoned++;
            often = ++c->hung >= MOST_HUNG;
        }
        task_free(t);
        struct failure f;
        failure_set(&f, CN_FAIL_BUG, "tell the plugin's author, with the stack from the log; `connectd restart` tries again",
                    "%u tasks did not come back from a call of the plugin", c->hung);
        start_task(c, i, c->n, often ? &f : NULL);
    }
}

// ── looking, under the lock ──

void connector_look(const struct connector *c, struct connector_look *ret) {
    *ret = (struct connector_look){.state = "RUNNING"};
    for (uint32_t i = 0; i < c->n; i++) {
        struct task_look t;
        if (!c->tasks[i]) continue;
        task_look(c->tasks[i], &t);
        ret->running += t.state == TASK_RUNNING;
        ret->paused += t.state == TASK_PAUSED;
        ret->failed += t.state == TASK_FAILED;
        ret->restarting += t.state == TASK_RESTARTING;
        ret->completed += t.state == TASK_COMPLETED;
        ret->hung += t.hung;
    }
    if (c->failure.text[0]) ret->state = "FAILED";
    else if (c->target == TARGET_STOPPED) ret->state = "STOPPED";
    else if (!c->started) ret->state = "UNASSIGNED";
    else if (c->target == TARGET_PAUSED) ret->state = "PAUSED";
}

void connector_json(const struct connector *c, struct json_writer *w) {
    const struct definition *d = c->def;
    struct connector_look look;
    connector_look(c, &look);
    json_object(w);
    json_kz(w, "name", d->config->name);
    json_kz(w, "type", definition_is_source(d) ? "source" : "sink");
    json_key(w, STR("connector"));
    json_object(w);
    json_kz(w, "state", look.state);
    json_kz(w, "worker_id", d->env->worker_id);
    if (c->failure.text[0]) {
        json_kz(w, "trace", c->failure.text);
        if (c->failure.hint[0]) json_kz(w, "hint", c->failure.hint);
    }
    json_object_end(w);
    json_kz(w, "plugin", d->component->name);
    if (d->component->plugin) json_kz(w, "version", d->component->plugin->version);
    json_kz(w, "pipeline", d->config->pipeline);
    json_kz(w, "file", d->file);
    json_kz(w, "target", target_state_name(c->target));
    if (c->abandoned) json_ki(w, "abandoned", c->abandoned);
    json_key(w, STR("tasks"));
    json_array(w);
    for (uint32_t i = 0; i < c->n; i++)
        if (c->tasks[i]) task_json(c->tasks[i], w);
    json_array_end(w);
    json_object_end(w);
}
