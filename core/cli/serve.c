// SPDX-License-Identifier: Apache-2.0
// The table, and the requests that are one call to the worker.
#include "cli/serve.h"

#include <sys/resource.h>
#include <unistd.h>

#include "backend/backend.h"
#include "base/clock.h"
#include "base/say.h"
#include "cli/repair.h"
#include "core.h"
#include "plugin/crash.h"
#include "plugin/plugins.h"
#include "plugin/sockets.h"
#include "runtime/worker.h"

// Sends the line, frees it, and returns the exit code: a client that is gone by now wants no answer.
static int answer(struct control_call *call, struct buf *line, int code) {
    if (call_line(call, buf_str(line)) != 0) code = 1;
    buf_done(line);
    return code;
}

static int required(const struct control_call *call, const char *name, const char **ret, struct err *err) {
    *ret = doc_text(call_request(call), name, NULL);
    return *ret ? 0 : err_set(err, ERR_INVALID, "request %s without \"%s\"", call_command(call), name);
}

// ── looking ──

static int64_t files_limit(void) {
    struct rlimit r;
    return getrlimit(RLIMIT_NOFILE, &r) != 0 || r.rlim_cur > INT64_MAX ? INT64_MAX : (int64_t)r.rlim_cur;
}

// The worker's object with what the daemon knows of itself in front.
static int serve_status(struct served *s, struct control_call *call, struct err *err) {
    struct buf line = {0}, inner = {0};
    struct json_writer w = json_to(&line), v = json_to(&inner);
    worker_status_json(s->worker, &v);
    json_object(&w);
    json_kz(&w, "version", connectd_version());
    json_ki(&w, "pid", getpid());
    json_ki(&w, "uptime_ms", clock_mono_ms(&clock_real) - s->started_ms);
    json_kz(&w, "data", s->data_dir);
    json_ki(&w, "open_files_limit", files_limit());
    json_key(&w, STR("listening"));
    sockets_json(s->sockets, &w);
    if (inner.n > 2) buf_u8(&line, ',');
    buf_puts(&line, str_from(buf_str(&inner), 1));
    buf_done(&inner);
    return answer(call, &line, worker_health(s->worker) == WORKER_ALL_RUNNING ? 0 : 1);
}

static int serve_connector(struct served *s, struct control_call *call, struct err *err) {
    const char *name;
    struct buf line = {0};
    struct json_writer w = json_to(&line);
    if (required(call, "connector", &name, err) != 0) return -1;
    if (worker_connector_json(s->worker, name, &w, err) != 0) return buf_done(&line), -1;
    return answer(call, &line, 0);
}

static int serve_plugins(struct served *s, struct control_call *call, struct err *err) {
    struct buf line = {0};
    struct json_writer w = json_to(&line);
    plugins_json(s->plugins, &w);
    return answer(call, &line, 0);
}

// ── changing ──

static int serve_reload(struct served *s, struct control_call *call, struct err *err) {
    struct worker_report report = {0};
    struct buf line = {0};
    struct json_writer w = json_to(&line);
    s->reload(s->arg, &report);
    worker_report_json(&report, &w);
    int code = report.refused ? 1 : 0;
    worker_report_done(&report);
    return answer(call, &line, code);
}

// {"connector":…,"state":…} after the change.
static int changed(struct control_call *call, const char *name, const char *what) {
    struct buf line = {0};
    struct json_writer w = json_to(&line);
    json_object(&w);
    json_kz(&w, "connector", name);
    json_kz(&w, "state", what);
    json_object_end(&w);
    return answer(call, &line, 0);
}

static int change_target(struct served *s, struct control_call *call, struct err *err, const char *state,
                         int (*change)(struct worker *, const char *, int64_t, struct err *)) {
    const char *name;
    if (required(call, "connector", &name, err) != 0 || change(s->worker, name, s->deadline_ms, err) != 0) return -1;
    return changed(call, name, state);
}
static int serve_pause(struct served *s, struct control_call *call, struct err *err) { return change_target(s, call, err, "PAUSED", worker_pause); }
static int serve_resume(struct served *s, struct control_call *call, struct err *err) { return change_target(s, call, err, "RUNNING", worker_resume); }
static int serve_stop(struct served *s, struct control_call *call, struct err *err) { return change_target(s, call, err, "STOPPED", worker_stop); }

static int serve_restart(struct served *s, struct control_call *call, struct err *err) {
    const char *name;
    int task = (int)doc_int(call_request(call), "task", -1);
    bool only_failed = doc_true(call_request(call), "only_failed");
    if (required(call, "connector", &name, err) != 0 || worker_restart(s->worker, name, task, only_failed, s->deadline_ms, err) != 0) return -1;
    return changed(call, name, "RESTARTED");
}

// ── offsets ──

static int serve_offsets_get(struct served *s, struct control_call *call, struct err *err) {
    const char *name;
    struct buf line = {0};
    struct json_writer w = json_to(&line);
    if (required(call, "connector", &name, err) != 0) return -1;
    if (worker_offsets_json(s->worker, name, &w, err) != 0) return buf_done(&line), -1;
    return answer(call, &line, 0);
}

static int serve_offsets_set(struct served *s, struct control_call *call, struct err *err) {
    const char *name;
    const struct doc_node *offsets = doc_get(call_request(call), "offsets");
    struct buf line = {0}, body = {0};
    struct json_writer w = json_to(&line), v = json_to(&body);
    if (required(call, "connector", &name, err) != 0) return -1;
    if (!offsets) return err_set(err, ERR_INVALID, "no \"offsets\" to set");
    json_object(&v);
    json_key(&v, STR("offsets"));
    doc_write(offsets, &v);
    json_object_end(&v);
    int rc = worker_offsets_set(s->worker, name, buf_str(&body), doc_true(call_request(call), "dry_run"), &w, err);
    buf_done(&body);
    if (rc != 0) return buf_done(&line), -1;
    return answer(call, &line, 0);
}

static int serve_offsets_reset(struct served *s, struct control_call *call, struct err *err) {
    const char *name;
    struct buf line = {0};
    struct json_writer w = json_to(&line);
    if (required(call, "connector", &name, err) != 0) return -1;
    if (worker_offsets_reset(s->worker, name, doc_true(call_request(call), "dry_run"), &w, err) != 0) return buf_done(&line), -1;
    return answer(call, &line, 0);
}

static int serve_forgive(struct served *s, struct control_call *call, struct err *err) {
    const char *name;
    if (required(call, "plugin", &name, err) != 0) return -1;
    return crash_forgive(s->data_dir, name, err);
}

// ── tap: a connector's topics, or what a pattern names ──

static int add_topic(void *arg, const char *topic) {
    struct buf *regex = arg;
    buf_printf(regex, "%s\\Q%s\\E", regex->n ? "|" : "", topic);
    return 0;
}

static int serve_tap(struct served *s, struct control_call *call, struct err *err) {
    const char *name = doc_text(call_request(call), "regex", ".*");
    struct buf regex = {0};
    struct err ignored;
    if (worker_find(s->worker, name, NULL, &ignored) != 0) return serve_consume(s, call, err);
    int rc = worker_topics(s->worker, name, add_topic, &regex, err);
    if (rc == 0 && !regex.n) rc = err_set(err, ERR_NOT_FOUND, "connector %s has no topics yet", name);
    if (rc == 0) rc = serve_consume_of(s, call, buf_cstr(&regex), err);
    buf_done(&regex);
    return rc;
}

// ── the table ──

static const struct row {
    const char *name;
    int (*run)(struct served *s, struct control_call *call, struct err *err);
    bool changes; // is noted in the log, with who asked
} rows[] = {
    {"status", serve_status, false},
    {"connector", serve_connector, false},
    {"plugins", serve_plugins, false},
    {"plugins-forgive", serve_forgive, true},
    {"reload", serve_reload, true},
    {"pause", serve_pause, true},
    {"resume", serve_resume, true},
    {"stop", serve_stop, true},
    {"restart", serve_restart, true},
    {"offsets-get", serve_offsets_get, false},
    {"offsets-set", serve_offsets_set, true},
    {"offsets-reset", serve_offsets_reset, true},
    {"topics", serve_topics, false},
    {"topic-create", serve_topic_create, true},
    {"topic-delete", serve_topic_delete, true},
    {"topic-alter", serve_topic_alter, true},
    {"delete-records", serve_delete_records, true},
    {"consume", serve_consume, false},
    {"tap", serve_tap, false},
    {"produce", serve_produce, false},
    {"log-show", serve_log_show, false},
    {"log-salvage", serve_log_salvage, true},
    {"log-accept", serve_log_accept, true},
};

static void note(const struct control_call *call) {
    const struct doc_node *r = call_request(call);
    const char *what = doc_text(r, "connector", doc_text(r, "topic", doc_text(r, "plugin", doc_text(r, "partition", ""))));
    say(SAY_INFO, "%s%s%s, asked for by uid %u (pid %d)", call_command(call), *what ? " " : "", what, (unsigned)call_uid(call), (int)call_pid(call));
}

int serve_request(void *arg, struct control_call *call, struct err *err) {
    for (size_t i = 0; i < countof(rows); i++) {
        if (strcmp(rows[i].name, call_command(call)) != 0) continue;
        if (rows[i].changes) note(call);
        return rows[i].run(arg, call, err);
    }
    err_set(err, ERR_UNSUPPORTED, "the daemon does not know the request '%.60s'", call_command(call));
    return err_hint(err, "it is version %s, the command may be newer", connectd_version());
}
