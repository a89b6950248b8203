// SPDX-License-Identifier: Apache-2.0
// `produce`: lines from the client become records, a commit whenever the client pauses or 1 MiB has gathered.
#include <stdio.h>
#include <unistd.h>

#include "backend/backend.h"
#include "base/clock.h"
#include "base/thread.h"
#include "cli/record_json.h"
#include "cli/serve.h"

enum { COMMIT_BYTES = 1 << 20, LINE_MAX_BYTES = 96 << 20 };

struct produce {
    struct backend *b;
    struct producer *producer;
    const char *topic, *key;
    bool json_lines;
    int32_t partition;
    int64_t added, pending;
    struct buf room; // the record's bytes
};

// ── waiting for a commit ──

struct waiting { pthread_mutex_t lock; pthread_cond_t cond; bool done; int rc; struct err err; };

static void commit_is_done(void *arg, const struct err *err) {
    struct waiting *w = arg;
    LOCK_SCOPE(&w->lock);
    w->done = true;
    if (err) w->rc = -1, w->err = *err;
    pthread_cond_signal(&w->cond);
}

static int commit_pending(struct produce *p, struct err *err) {
    struct waiting w = {.lock = PTHREAD_MUTEX_INITIALIZER};
    if (!p->pending) return 0;
    cond_init_mono(&w.cond);
    p->b->ops->commit(p->producer, "", NULL, 0, NULL, NULL, 0, commit_is_done, &w);
    pthread_mutex_lock(&w.lock);
    while (!w.done) pthread_cond_wait(&w.cond, &w.lock);
    pthread_mutex_unlock(&w.lock);
    pthread_cond_destroy(&w.cond);
    if (w.rc != 0) *err = w.err;
    else p->added += p->pending;
    p->pending = 0;
    return w.rc;
}

// ── a line ──

static int headers_of(const struct doc_node *list, struct buf *room, struct backend_header *ret, struct err *err) {
    DOC_EACH(pair, list) {
        const struct doc_node *name = pair->first, *value = name ? name->next : NULL;
        if (!name || name->kind != JSON_STRING || !value) return err_set(err, ERR_INVALID, "headers must be pairs: [[\"name\",\"value\"]]");
        *ret = (struct backend_header){.name = name->text, .null_value = value->kind == JSON_NULL};
        if (record_bytes_of(value, room, &ret->value, err) != 0) return -1;
        ret++;
    }
    return 0;
}

static int add(struct produce *p, const struct backend_record *r, struct err *err) {
    int rc = p->b->ops->add(p->producer, r, err);
    if (rc != 0 && err->code == ERR_AGAIN && p->pending) {
        if (commit_pending(p, err) != 0) return -1;
        rc = p->b->ops->add(p->producer, r, err);
    }
    if (rc == 0) p->pending++;
    return rc;
}

// The pieces stand in one buffer that may move while it grows, so it is made large enough first.
static int add_json(struct produce *p, struct str line, struct err *err) {
    struct doc d;
    if (doc_parse(&d, line, err) != 0) return -1;
    const struct doc_node *headers = doc_get(d.root, "headers");
    size_t n = doc_count(headers);
    _cleanup_free_ struct backend_header *h = xcalloc(n + 1, sizeof(*h));
    struct backend_record r = {.topic = str_of(doc_text(d.root, "topic", p->topic)), .headers = h, .header_count = (uint32_t)n};
    r.partition = (int32_t)doc_int(d.root, "partition", p->partition);
    r.timestamp = doc_int(d.root, "timestamp", clock_wall_ms(&clock_real));
    buf_clear(&p->room);
    int rc = buf_reserve(&p->room, line.n * 3 + 64) ? 0 : err_set(err, ERR_TOO_LARGE, "the line is too long");
    if (rc == 0 && d.root->kind != JSON_OBJECT) rc = err_set(err, ERR_INVALID, "an object is expected: {\"key\":…,\"value\":…}");
    if (rc == 0) rc = record_bytes_of(doc_get(d.root, "key"), &p->room, &r.key, err);
    if (rc == 0) rc = record_bytes_of(doc_get(d.root, "value"), &p->room, &r.value, err);
    if (rc == 0) rc = headers_of(headers, &p->room, h, err);
    if (rc == 0) rc = add(p, &r, err);
    doc_done(&d);
    return rc;
}

static int add_plain(struct produce *p, struct str line, struct err *err) {
    struct backend_record r = {.topic = str_of(p->topic), .partition = p->partition, .timestamp = clock_wall_ms(&clock_real), .key = str_of(p->key)};
    r.value = str_make(line.p ? line.p : "", line.n);
    return add(p, &r, err);
}

// The lines before it stay good.
static int bad_line(struct produce *p, size_t n, struct err *err) {
    struct err ignored;
    if (commit_pending(p, &ignored) != 0) *err = ignored;
    return err_wrap(err, "line %zu", n);
}

static int produce_lines(struct produce *p, struct control_call *call, struct err *err) {
    struct str line;
    int rc;
    for (size_t n = 1; (rc = call_read(call, LINE_MAX_BYTES, &line, err)) > 0; n++) {
        if (!line.n && p->json_lines) continue;
        if ((p->json_lines ? add_json(p, line, err) : add_plain(p, line, err)) != 0) return bad_line(p, n, err);
        if (p->b->ops->pending_bytes(p->producer) < COMMIT_BYTES && !call_would_wait(call)) continue;
        if (commit_pending(p, err) != 0) return -1;
    }
    return rc < 0 ? -1 : commit_pending(p, err);
}

static void answer(struct produce *p, struct control_call *call) {
    struct buf line = {0};
    struct json_writer w = json_to(&line);
    json_object(&w);
    json_kz(&w, "topic", p->topic);
    json_ki(&w, "produced", p->added);
    json_object_end(&w);
    if (call_line(call, buf_str(&line)) != 0) p->added = 0; // nobody is left to hear it
    buf_done(&line);
}

int serve_produce(struct served *s, struct control_call *call, struct err *err) {
    const struct doc_node *r = call_request(call);
    struct produce p = {.b = s->backend, .topic = doc_text(r, "topic", ""), .key = doc_text(r, "key", NULL),
                        .json_lines = doc_true(r, "json_lines"), .partition = (int32_t)doc_int(r, "partition", -1), .room = {.limit = 512u << 20}};
    struct topic_spec spec = {.name = p.topic};
    char id[64];
    snprintf(id, sizeof(id), "connectd-produce-%d", (int)call_pid(call));
    if (s->backend->ops->topic_ensure(s->backend, &spec, err) != 0 || s->backend->ops->producer_open(s->backend, id, &p.producer, err) != 0) return -1;
    int rc = produce_lines(&p, call, err);
    s->backend->ops->producer_close(p.producer);
    answer(&p, call);
    buf_done(&p.room);
    return rc;
}
