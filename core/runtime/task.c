// SPDX-License-Identifier: Apache-2.0
// The task's thread, its states and the restart policy.
#include "runtime/task.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "backend/backend.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/say.h"
#include "base/text.h"
#include "base/thread.h"
#include "plugin/spool.h"
#include "runtime/stack.h"
#include "runtime/task_metrics.h"
#include "state/state.h"

enum {
    STEADY_MS = 60000,   // a run that lasted this long starts the back-off over
    LOGGED_BYTES = 4096, // of a key or value in a log line
};

struct task {
    const struct task_env *env;
    struct definition *def;
    uint32_t index, count;
    pthread_t thread;
    struct metric_group metrics;
    _Atomic int want;         // enum task_want
    _Atomic bool abandoned;
    _Atomic int64_t budget_ms; // of the plugin's present call

    pthread_mutex_t lock; // guards all below
    pthread_cond_t changed;
    enum task_state state;
    bool restart, began;      // asked to start over; a run has begun since
    bool succeeded;           // run_succeeded has been called in this start
    struct failure failure;
    bool blocked;
    char blocked_why[512];
    int64_t blocked_since_ms; // wall
    struct backoff backoff;
    int64_t retry_at_ms;      // mono
    unsigned restarts;
    struct run *run;          // while there is one
    int wake_also;
    const char *detail_key;   // static; NULL: no detail
    struct buf detail;
    bool hung;
    const char *hung_op;
    struct buf hung_stack;
};

// ── states ──

#define TO(state) (1u << TASK_##state)
static const struct { const char *name; unsigned next; } states[] = {
    [TASK_UNASSIGNED] = {"UNASSIGNED", TO(RUNNING) | TO(PAUSED) | TO(RESTARTING) | TO(FAILED) | TO(COMPLETED) | TO(DESTROYED) | TO(UNASSIGNED)},
    [TASK_RUNNING] = {"RUNNING", TO(PAUSED) | TO(RESTARTING) | TO(FAILED) | TO(COMPLETED) | TO(DESTROYED) | TO(UNASSIGNED) | TO(RUNNING)},
    [TASK_PAUSED] = {"PAUSED", TO(RUNNING) | TO(RESTARTING) | TO(FAILED) | TO(DESTROYED) | TO(UNASSIGNED)},
    [TASK_RESTARTING] = {"RESTARTING", TO(RUNNING) | TO(PAUSED) | TO(FAILED) | TO(COMPLETED) | TO(DESTROYED) | TO(UNASSIGNED) | TO(RESTARTING)},
    [TASK_FAILED] = {"FAILED", TO(UNASSIGNED) | TO(DESTROYED)},
    [TASK_COMPLETED] = {"COMPLETED", TO(UNASSIGNED) | TO(DESTROYED)},
    [TASK_DESTROYED] = {"DESTROYED", 0},
};
#undef TO

const char *task_state_name(enum task_state s) { return states[s].name; }

// Under the lock.
static void move(struct task *t, enum task_state to) {
    assert(states[t->state].next & (1u << to));
    if (t->state != to) say(SAY_DEBUG, "task %s/%u: %s to %s", definition_name(t->def), t->index, states[t->state].name, states[to].name);
    t->state = to;
    pthread_cond_broadcast(&t->changed);
}

static int64_t now_ms(const struct task *t) { return clock_mono_ms(t->env->clock); }

static void unblock(struct task *t) {
    t->blocked = false;
    t->blocked_why[0] = 0;
}

static void block(struct task *t, const char *why) {
    if (!t->blocked) t->blocked_since_ms = clock_wall_ms(t->env->clock);
    t->blocked = true;
    snprintf(t->blocked_why, sizeof(t->blocked_why), "%.*s", (int)sizeof(t->blocked_why) - 1, why);
}

// ── the policy ──

static void log_failure(const struct task *t, enum say_level level, const struct failure *f, const char *then) {
    char index[16];
    snprintf(index, sizeof(index), "%u", t->index);
    const struct say_field fields[] = {{"connector", str_of(definition_name(t->def))}, {"task", str_of(index)}, {"class", str_of(fail_class_name(f->fail_class))}};
    say_fields(level, fields, countof(fields), "task %s/%u: %s%s%s%s; %s", definition_name(t->def), t->index, f->text, *f->hint ? " (hint: " : "", f->hint,
               *f->hint ? ")" : "", then);
}

static void start_again(struct task *t, const struct failure *f) {
    int64_t wait = backoff_next(&t->backoff, random_u64());
    char then[64];
    t->retry_at_ms = now_ms(t) + wait;
    t->restarts++;
    metric_add(&t->metrics.metrics[M_RESTARTS], 1);
    block(t, f->text);
    // A password that was right once is being changed: the task is as good as running (promise 7).
    move(t, f->fail_class == CN_FAIL_AUTH ? TASK_RUNNING : TASK_RESTARTING);
    snprintf(then, sizeof(then), "next attempt in %lld.%03lld s", (long long)wait / 1000, (long long)wait % 1000);
    log_failure(t, SAY_WARN, f, then);
}

static void run_failed(struct task *t, const struct failure *f) {
    LOCK_SCOPE(&t->lock);
    if (atomic_load(&t->want) == WANT_STOP || t->restart) {
        log_failure(t, SAY_WARN, f, "while it was being stopped");
        return;
    }
    t->failure = *f;
    if (f->fail_class == CN_FAIL_TRANSIENT || (f->fail_class == CN_FAIL_AUTH && t->succeeded)) {
        start_again(t, f);
        return;
    }
    unblock(t);
    move(t, TASK_FAILED);
    log_failure(t, SAY_ERROR, f, "it stays FAILED until it is restarted");
}

static void start_over(struct task *t) {
    t->restart = t->succeeded = t->began = false;
    t->failure = (struct failure){0};
    unblock(t);
    backoff_reset(&t->backoff);
    t->retry_at_ms = 0;
    move(t, TASK_UNASSIGNED);
}

// Waits until a run shall begin; false: the task ends.
static bool next_run(struct task *t) {
    LOCK_SCOPE(&t->lock);
    for (;;) {
        enum task_want want = (enum task_want)atomic_load(&t->want);
        int64_t wait = -1;
        if (want == WANT_STOP) return false;
        if (t->restart) start_over(t);
        bool ended = t->state == TASK_FAILED || t->state == TASK_COMPLETED;
        if (!ended && want == WANT_PAUSE && t->state != TASK_PAUSED) move(t, TASK_PAUSED);
        if (!ended && want == WANT_RUN) {
            wait = t->retry_at_ms - now_ms(t);
            if (t->state == TASK_PAUSED) move(t, TASK_UNASSIGNED);
            if (wait <= 0) return true;
        }
        cond_wait_ms(&t->changed, &t->lock, wait);
    }
}

// ── a run ──

static void settle(void *arg, const struct cn_verdict *v, uint32_t n);
static int schema_put(void *arg, const char *name, const void *p, uint32_t n, struct err *err) {
    const struct run *r = arg;
    return state_schema_put(r->env->state, r->name, name, p, n, err);
}
// A schema that can not be read is not one that is absent: the plugin would begin anew.
static int64_t schema_get(void *arg, const char *name, void *p, uint32_t max) {
    struct run *r = arg;
    struct err err;
    int64_t n = state_schema_get(r->env->state, r->name, name, p, max, &err);
    if (n >= 0 || err.code == ERR_NOT_FOUND) return n;
    failure_err(&r->refused, &err, CN_FAIL_LOST_DATA);
    return failure_wrap(&r->refused, "schema %s", name);
}
static const struct instance_runtime runtime = {.settle = settle, .schema_put = schema_put, .schema_get = schema_get};

static void settle(void *arg, const struct cn_verdict *v, uint32_t n) {
    struct run *r = arg;
    if (r->settle) r->settle(r->settle_arg, v, n);
}

static int instance_open(struct run *r, struct failure *f) {
    const struct instance_params params = {
        .component = r->def->component,
        .connector = r->name,
        .task = r->index,
        .tasks = r->count,
        .config = setup_part_config,
        .config_arg = (void *)(uintptr_t)&r->setup->connector,
        .runtime = &runtime,
        .runtime_arg = r,
        .clock = r->env->clock,
        .metrics = r->env->metrics,
        .sockets = r->env->sockets,
        .spool = r->def->spool,
    };
    struct err err;
    return instance_init(&r->instance, &params, &err) == 0 ? 0 : failure_err(f, &err, CN_FAIL_BUG);
}

// Lets control threads reach the run, or not any more.
static void attach(struct task *t, struct run *r) {
    LOCK_SCOPE(&t->lock);
    t->run = r;
    t->wake_also = -1;
    t->detail_key = NULL;
    t->began |= r != NULL;
    if (r && (t->restart || atomic_load(&t->want) == WANT_STOP)) instance_stop(&r->instance);
    pthread_cond_broadcast(&t->changed);
}

static enum run_end run_once(struct task *t, struct failure *f) {
    // On the heap: a thread that was abandoned leaves it behind.
    struct run *r = xcalloc(1, sizeof(*r));
    struct connector_setup *setup = NULL;
    *r = (struct run){.task = t, .env = t->env, .def = t->def, .name = definition_name(t->def), .index = t->index, .count = t->count, .metrics = t->metrics.metrics};
    enum run_end end = RUN_FAILED;
    if (definition_setup(t->def, &setup, NULL, f) == 0) {
        r->setup = setup;
        t->backoff.max_ms = setup->options.restart_delay_max_ms > 0 ? setup->options.restart_delay_max_ms : t->env->retry_max_ms;
        r->producer_id = xasprintf("connect-cluster/%s/%u", r->name, r->index);
        if (instance_open(r, f) == 0) {
            attach(t, r);
            end = definition_is_source(t->def) ? source_run(r, f) : sink_run(r, f);
            if (run_lost(r)) return end;
            if (r->refused.text[0]) *f = r->refused, end = RUN_FAILED;
            attach(t, NULL);
            instance_done(&r->instance);
        }
        free(r->producer_id);
    }
    connector_setup_free(setup);
    free(r);
    return end;
}

static void *task_main(void *arg) {
    struct task *t = arg;
    struct failure f;
    stack_thread();
    while (next_run(t)) {
        int64_t began = now_ms(t);
        f = (struct failure){0};
        enum run_end end = run_once(t, &f);
        if (atomic_load(&t->abandoned)) return NULL; // what the successor does not own any more stays where it is
        if (now_ms(t) - began > STEADY_MS) backoff_reset(&t->backoff);
        if (end == RUN_FAILED) run_failed(t, &f);
        if (end == RUN_COMPLETED) {
            LOCK_SCOPE(&t->lock);
            move(t, TASK_COMPLETED);
        }
    }
    LOCK_SCOPE(&t->lock);
    move(t, TASK_DESTROYED);
    return NULL;
}

// ── for control threads ──

static void task_memory_free(struct task *t) {
    metric_registry_remove(t->env->metrics, &t->metrics);
    metric_group_done(&t->metrics);
    pthread_cond_destroy(&t->changed);
    pthread_mutex_destroy(&t->lock);
    buf_done(&t->hung_stack);
    buf_done(&t->detail);
    definition_unref(t->def);
    free(t);
}

int task_start(struct definition *d, uint32_t index, uint32_t count, enum task_want want, const struct failure *failed, struct task **ret, struct err *err) {
    struct task *t = xcalloc(1, sizeof(*t));
    const struct task_env *env = d->env;
    *t = (struct task){.env = env, .def = definition_ref(d), .index = index, .count = count, .want = want, .wake_also = -1};
    t->backoff = (struct backoff){.min_ms = env->retry_min_ms, .max_ms = env->retry_max_ms};
    if (failed) {
        t->failure = *failed;
        t->state = TASK_FAILED;
        log_failure(t, SAY_ERROR, failed, "it stays FAILED until it is restarted");
    }
    pthread_mutex_init(&t->lock, NULL);
    cond_init_mono(&t->changed);
    _cleanup_free_ char *labels = xasprintf("connector=%s,task=%u", definition_name(d), index);
    bool source = definition_is_source(d);
    metric_group_init(&t->metrics, labels, source ? source_metric_rows : sink_metric_rows, source ? SOURCE_METRIC_COUNT : SINK_METRIC_COUNT);
    metric_registry_add(env->metrics, &t->metrics);
    char name[32];
    snprintf(name, sizeof(name), "%.10s/%u", definition_name(d), index);
    if (thread_start(&t->thread, name, task_main, t, err) != 0) {
        task_memory_free(t);
        return -1;
    }
    *ret = t;
    return 0;
}

// Under the lock.
static void wake_run(struct task *t, bool stop) {
    pthread_cond_broadcast(&t->changed);
    if (!t->run) return;
    if (stop) instance_stop(&t->run->instance);
    else instance_wake(&t->run->instance);
    if (t->wake_also >= 0) wake_signal(t->wake_also);
}

void task_want(struct task *t, enum task_want want) {
    LOCK_SCOPE(&t->lock);
    atomic_store(&t->want, want);
    wake_run(t, want == WANT_STOP);
}

void task_restart(struct task *t) {
    LOCK_SCOPE(&t->lock);
    t->restart = true;
    wake_run(t, true);
}

// Under the lock.
static bool is_settled(const struct task *t) {
    bool ended = t->state == TASK_FAILED || t->state == TASK_COMPLETED;
    switch ((enum task_want)atomic_load(&t->want)) {
    case WANT_STOP: return t->state == TASK_DESTROYED;
    case WANT_PAUSE: return !t->restart && (ended || t->state == TASK_PAUSED);
    default: return !t->restart && (ended || (t->state != TASK_PAUSED && t->began));
    }
}

bool task_settled(struct task *t, int64_t deadline_ms) {
    LOCK_SCOPE(&t->lock);
    for (int64_t left; !is_settled(t) && (left = deadline_ms - now_ms(t)) > 0;) cond_wait_ms(&t->changed, &t->lock, left);
    return is_settled(t);
}

// Under the lock.
static void note_hang(struct task *t, const char *op, int64_t ms) {
    if (t->hung) return;
    t->hung = true;
    t->hung_op = op;
    if (!stack_of(t->thread, &t->hung_stack)) buf_putz(&t->hung_stack, "the thread does not answer\n");
    say(SAY_WARN, "task %s/%u: %s of %s has not returned for %lld s; its stack:", definition_name(t->def), t->index, op, t->def->component->name, (long long)ms / 1000);
    struct str rest = buf_str(&t->hung_stack), line;
    for (int i = 0; str_split(&rest, '\n', &line); i++)
        if (line.n) say(SAY_WARN, "  %d %.*s", i, STR_FMT(line));
}

bool task_free(struct task *t) {
    pthread_mutex_lock(&t->lock);
    if (t->state == TASK_DESTROYED) {
        pthread_mutex_unlock(&t->lock);
        pthread_join(t->thread, NULL);
        task_memory_free(t);
        return true;
    }
    int64_t ms = 0;
    const char *op = t->run ? instance_op(&t->run->instance, &ms) : NULL;
    note_hang(t, op ? op : "a call", ms);
    atomic_store(&t->abandoned, true);
    pthread_detach(t->thread);
    say(SAY_ERROR, "task %s/%u: abandoned, it does not come back from %s; its thread stays until the daemon ends", definition_name(t->def), t->index,
        op ? op : "the log");
    metric_registry_remove(t->env->metrics, &t->metrics);
    pthread_mutex_unlock(&t->lock);
    return false;
}

bool task_watch(struct task *t) {
    LOCK_SCOPE(&t->lock);
    int64_t ms = 0, limit = atomic_load(&t->budget_ms) + t->env->hang_ms;
    const char *op = t->run && t->env->hang_ms > 0 ? instance_op(&t->run->instance, &ms) : NULL;
    if (!op || ms <= limit) {
        if (t->hung) buf_clear(&t->hung_stack);
        t->hung = false;
        return false;
    }
    note_hang(t, op, ms);
    wake_run(t, false);
    return ms > limit + t->env->shutdown_ms;
}

void task_look(struct task *t, struct task_look *ret) {
    LOCK_SCOPE(&t->lock);
    *ret = (struct task_look){.state = t->state, .failure = t->failure, .blocked = t->blocked, .blocked_since_ms = t->blocked_since_ms, .hung = t->hung, .restarts = t->restarts};
}

// ── status ──

static void json_trace(struct json_writer *w, const struct failure *f) {
    char trace[sizeof(f->text) + sizeof(f->hint) + 16];
    snprintf(trace, sizeof(trace), "%s%s%s", f->text, *f->hint ? "\n\thint: " : "", f->hint);
    json_kz(w, "trace", trace);
    json_kz(w, "class", fail_class_name(f->fail_class));
    if (*f->hint) json_kz(w, "hint", f->hint);
}

static void json_blocked(struct json_writer *w, const struct task *t) {
    struct buf since = {0};
    time_print(&since, t->blocked_since_ms * 1000);
    json_key(w, STR("blocked"));
    json_object(w);
    json_kz(w, "reason", t->blocked_why);
    json_ks(w, "since", buf_str(&since));
    json_object_end(w);
    buf_done(&since);
}

static void json_hung(struct json_writer *w, struct task *t) {
    int64_t ms = 0;
    if (t->run) instance_op(&t->run->instance, &ms);
    json_key(w, STR("hung"));
    json_object(w);
    json_kz(w, "call", t->hung_op);
    json_ki(w, "seconds", ms / 1000);
    json_key(w, STR("stack"));
    json_array(w);
    struct str rest = buf_str(&t->hung_stack), line;
    while (str_split(&rest, '\n', &line))
        if (line.n) json_string(w, line);
    json_array_end(w);
    json_object_end(w);
}

static void json_metric(struct json_writer *w, const struct metric *m) {
    json_key(w, str_of(m->row->name));
    if (m->row->kind != METRIC_HISTOGRAM) {
        json_i64(w, metric_get(m));
        return;
    }
    json_object(w);
    json_ki(w, "count", (int64_t)histogram_count(m->histogram));
    json_ki(w, "p50", histogram_quantile(m->histogram, 0.5));
    json_ki(w, "p99", histogram_quantile(m->histogram, 0.99));
    json_ki(w, "max", histogram_quantile(m->histogram, 1));
    json_object_end(w);
}

static void json_own_metric(void *arg, const char *name, enum metric_kind kind, int64_t value) {
    (void)kind;
    json_ki(arg, name, value);
}

void task_json(struct task *t, struct json_writer *w) {
    LOCK_SCOPE(&t->lock);
    char progress[512] = "";
    json_object(w);
    json_ki(w, "id", t->index);
    json_kz(w, "state", states[t->state].name);
    json_kz(w, "worker_id", t->env->worker_id);
    if (t->failure.text[0] && t->state != TASK_DESTROYED && (t->blocked || t->state == TASK_FAILED || t->state == TASK_RESTARTING)) json_trace(w, &t->failure);
    if (t->blocked) json_blocked(w, t);
    if (t->run) instance_progress(&t->run->instance, progress, sizeof(progress));
    if (*progress) json_kz(w, "progress", progress);
    if (t->hung) json_hung(w, t);
    json_ki(w, "restarts", t->restarts);
    if (t->detail_key) {
        json_key(w, str_of(t->detail_key));
        json_raw(w, buf_str(&t->detail));
    }
    json_key(w, STR("metrics"));
    json_object(w);
    for (size_t i = 0; i < t->metrics.n; i++) json_metric(w, &t->metrics.metrics[i]);
    if (t->run) instance_metrics(&t->run->instance, json_own_metric, w);
    json_object_end(w);
    json_object_end(w);
}

// ── for runs ──

enum task_want run_wants(const struct run *r) {
    struct task *t = r->task;
    if (atomic_load(&r->instance.stopping)) return WANT_STOP; // also a restart
    return (enum task_want)atomic_load(&t->want);
}

void run_enter(struct run *r, const char *op, int64_t budget_ms) {
    atomic_store(&r->task->budget_ms, budget_ms);
    instance_enter(&r->instance, op);
}

bool run_leave(struct run *r) {
    instance_leave(&r->instance);
    return !run_lost(r) && !r->refused.text[0];
}

bool run_lost(const struct run *r) { return atomic_load(&r->task->abandoned); }

void run_opened(struct run *r) {
    struct task *t = r->task;
    LOCK_SCOPE(&t->lock);
    t->failure = (struct failure){0};
    unblock(t);
    if (t->state != TASK_RUNNING) move(t, TASK_RUNNING);
}

void run_paused(struct run *r, bool paused) {
    struct task *t = r->task;
    enum task_state to = paused ? TASK_PAUSED : TASK_RUNNING;
    LOCK_SCOPE(&t->lock);
    if (t->state != to) move(t, to);
}

void run_blocked(struct run *r, const char *why) {
    struct task *t = r->task;
    LOCK_SCOPE(&t->lock);
    if (why) block(t, why);
    else unblock(t);
}

void run_succeeded(struct run *r) {
    LOCK_SCOPE(&r->task->lock);
    r->task->succeeded = true;
}

void run_progressed(struct run *r) { backoff_reset(&r->task->backoff); }

void run_wake_also(struct run *r, int fd) {
    LOCK_SCOPE(&r->task->lock);
    r->task->wake_also = fd;
}

void run_detail(struct run *r, const char *key, struct str json) {
    LOCK_SCOPE(&r->task->lock);
    r->task->detail_key = key;
    buf_clear(&r->task->detail);
    buf_puts(&r->task->detail, json);
}

bool run_logs_messages(const struct run *r) { return r->setup->options.errors_log_enable && r->setup->options.errors_log_include_messages; }

void run_error(struct run *r, const struct failure *f, enum error_stage stage, const char *record, struct str key, struct str value) {
    metric_add(&r->metrics[M_RECORD_ERRORS], 1);
    metric_set(&r->metrics[M_LAST_ERROR], clock_wall_ms(r->env->clock));
    if (!r->setup->options.errors_log_enable) return;
    metric_add(&r->metrics[M_ERRORS_LOGGED], 1);
    char index[16];
    snprintf(index, sizeof(index), "%u", r->index);
    const struct say_field fields[] = {{"connector", str_of(r->name)}, {"task", str_of(index)}, {"stage", str_of(error_stage_name(stage))},
                                       {"record", str_of(record)},     {"key", str_first(key, LOGGED_BYTES)}, {"value", str_first(value, LOGGED_BYTES)}};
    say_fields(SAY_ERROR, fields, run_logs_messages(r) ? countof(fields) : countof(fields) - 2, "task %s/%u: record %s: %s: %s", r->name, r->index, record,
               error_stage_name(stage), f->text);
}
