// SPDX-License-Identifier: Apache-2.0
#include "cli/repair.h"

#include "backend/subscription.h"
#include "cli/command.h"
#include "cli/serve.h"
#include "store/repair.h"

// ── names ──

static int bad_name(const char *name, struct err *err) {
    err_set(err, ERR_INVALID, "'%.260s': TOPIC-PARTITION is expected", name);
    return err_hint(err, "for example orders-0; connectd log-repair show lists those that are stopped");
}

// A reference to the topic.
static int find(struct store *s, const char *name, struct topic **ret, struct partition **ret_partition, struct err *err) {
    const char *dash = strrchr(name, '-');
    int64_t index;
    if (!dash || dash == name || !str_to_i64(str_of(dash + 1), &index) || index < 0 || index > INT32_MAX) return bad_name(name, err);
    _cleanup_free_ char *topic = str_dup(str_make(name, (size_t)(dash - name)));
    struct topic *t = topic_get(s, topic);
    struct partition *p = t ? topic_partition(t, (int32_t)index) : NULL;
    if (!p) {
        topic_unref(t);
        err_set(err, ERR_NOT_FOUND, "there is no partition %.260s", name);
        return err_hint(err, "connectd topics lists the topics, connectd topics TOPIC its partitions");
    }
    *ret = t;
    *ret_partition = p;
    return 0;
}

// ── show ──

struct showing { repair_line *line; void *arg; struct err *err; bool damage, failed; };

static int show_one(struct showing *x, struct partition *p) {
    struct buf text = {0};
    struct json_writer w = json_to(&text);
    bool stopped = partition_health(p, NULL) != 0, damage;
    int failed = partition_examine(p, &w, &damage, x->err);
    x->damage |= !failed && (damage || stopped);
    if (!failed) failed = x->line(x->arg, buf_str(&text));
    buf_done(&text);
    return failed;
}

static int show_stopped(void *arg, struct topic *t) {
    struct showing *x = arg;
    for (int32_t i = 0; i < topic_partitions(t) && !x->failed; i++)
        if (partition_health(topic_partition(t, i), NULL)) x->failed = show_one(x, topic_partition(t, i)) != 0;
    return x->failed;
}

int repair_show(struct store *s, const char *partition, repair_line *line, void *arg, struct err *err) {
    struct showing x = {.line = line, .arg = arg, .err = err};
    struct topic *t;
    struct partition *p;
    if (!partition) {
        if (store_topics(s, show_stopped, &x)) return -1;
        return x.damage ? EXIT_BAD_DATA : EXIT_OK;
    }
    if (find(s, partition, &t, &p, err) != 0) return -1;
    int failed = show_one(&x, p);
    topic_unref(t);
    return failed ? -1 : x.damage ? EXIT_BAD_DATA : EXIT_OK;
}

// ── salvage, accept ──

static int answer(struct buf *text, int failed, repair_line *line, void *arg) {
    if (!failed && line(arg, buf_str(text)) != 0) failed = EXIT_FAILED;
    buf_done(text);
    return failed;
}

int repair_salvage(struct store *s, const char *partition, const char *to, repair_line *line, void *arg, struct err *err) {
    struct buf text = {0};
    struct json_writer w = json_to(&text);
    struct topic *t;
    struct partition *p;
    if (find(s, partition, &t, &p, err) != 0) return -1;
    int failed = partition_salvage(p, to, &w, err);
    topic_unref(t);
    return answer(&text, failed, line, arg);
}

int repair_accept(struct store *s, const char *partition, bool unreadable, repair_line *line, void *arg, struct err *err) {
    struct buf text = {0};
    struct json_writer w = json_to(&text);
    struct topic *t;
    struct partition *p;
    if (find(s, partition, &t, &p, err) != 0) return -1;
    int failed = partition_accept(p, unreadable, &w, err);
    topic_unref(t);
    return answer(&text, failed, line, arg);
}

// ── requests ──

static int send_line(void *arg, struct str json) { return call_line(arg, json); }

static int required(const struct control_call *call, const char *name, const char **ret, struct err *err) {
    *ret = doc_text(call_request(call), name, NULL);
    return *ret ? 0 : err_set(err, ERR_INVALID, "request %s without \"%s\"", call_command(call), name);
}

int serve_log_show(struct served *s, struct control_call *call, struct err *err) {
    return repair_show(s->store, doc_text(call_request(call), "partition", NULL), send_line, call, err);
}

int serve_log_salvage(struct served *s, struct control_call *call, struct err *err) {
    const char *partition, *to;
    if (required(call, "partition", &partition, err) != 0 || required(call, "to", &to, err) != 0) return -1;
    return repair_salvage(s->store, partition, to, send_line, call, err);
}

int serve_log_accept(struct served *s, struct control_call *call, struct err *err) {
    const char *partition;
    if (required(call, "partition", &partition, err) != 0) return -1;
    return repair_accept(s->store, partition, doc_true(call_request(call), "unreadable"), send_line, call, err);
}
