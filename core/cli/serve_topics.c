// SPDX-License-Identifier: Apache-2.0
// `topics`: list, describe, create, alter, delete, delete-records.
#include <stdio.h>

#include "backend/backend.h"
#include "cli/serve.h"
#include "store/store.h"

// ── looking ──

struct listing { struct backend *b; struct json_writer *w; bool internal; const char *wanted; int32_t found; };

static int list_topic(void *arg, const struct topic_info *t) {
    struct listing *l = arg;
    struct err err;
    int64_t records = 0, bytes = 0;
    if (t->internal && !l->internal) return 0;
    for (int32_t p = 0; p < t->partitions; p++) {
        struct partition_info info;
        if (l->b->ops->partition(l->b, t->name, p, &info, &err) != 0) continue; // deleted meanwhile
        records += info.high_watermark - info.log_start;
        bytes += (int64_t)info.bytes;
    }
    json_object(l->w);
    json_kz(l->w, "name", t->name);
    json_ki(l->w, "partitions", t->partitions);
    json_ki(l->w, "records", records);
    json_ki(l->w, "bytes", bytes);
    json_kb(l->w, "internal", t->internal);
    json_object_end(l->w);
    return 0;
}

static int find_topic(void *arg, const struct topic_info *t) {
    struct listing *l = arg;
    if (strcmp(t->name, l->wanted) == 0) l->found = t->partitions;
    return 0;
}

static void describe_partition(struct listing *l, int32_t p) {
    struct partition_info info;
    struct err err;
    json_object(l->w);
    json_ki(l->w, "partition", p);
    if (l->b->ops->partition(l->b, l->wanted, p, &info, &err) == 0) {
        json_ki(l->w, "log_start", info.log_start);
        json_ki(l->w, "high_watermark", info.high_watermark);
        json_ki(l->w, "last_stable", info.last_stable);
        json_ki(l->w, "bytes", (int64_t)info.bytes);
        json_ki(l->w, "segments", info.segments);
        activity_json(&info.activity, l->w);
    } else {
        json_kz(l->w, "error", err.msg);
    }
    json_object_end(l->w);
}

struct nearest { struct str wanted; char best[256]; unsigned distance; };
static int nearest_topic(void *arg, const struct topic_info *t) {
    struct nearest *n = arg;
    unsigned d = str_distance(n->wanted, str_of(t->name), n->distance);
    if (d < n->distance) n->distance = d, snprintf(n->best, sizeof(n->best), "%s", t->name);
    return 0;
}

static int no_topic(struct backend *b, const char *name, struct err *err) {
    struct nearest n = {str_of(name), "", 4};
    struct err ignored;
    if (b->ops->topics(b, nearest_topic, &n, &ignored) != 0) n.best[0] = 0;
    err_set(err, ERR_NOT_FOUND, "there is no topic %.249s", name);
    return n.best[0] ? err_hint(err, "did you mean %s?", n.best) : err_hint(err, "connectd topics lists them");
}

static int describe_setting(void *arg, const char *setting, const char *value) {
    json_kz(arg, setting, value);
    return 0;
}

static int describe(struct listing *l, struct err *err) {
    l->found = -1;
    if (l->b->ops->topics(l->b, find_topic, l, err) != 0) return -1;
    if (l->found < 0) return no_topic(l->b, l->wanted, err);
    json_object(l->w);
    json_kz(l->w, "name", l->wanted);
    json_key(l->w, STR("partitions"));
    json_array(l->w);
    for (int32_t p = 0; p < l->found; p++) describe_partition(l, p);
    json_array_end(l->w);
    json_key(l->w, STR("config"));
    json_object(l->w);
    int rc = l->b->ops->topic_settings(l->b, l->wanted, describe_setting, l->w, err);
    json_object_end(l->w);
    json_object_end(l->w);
    return rc;
}

static int list_all(struct listing *l, struct err *err) {
    json_object(l->w);
    json_key(l->w, STR("topics"));
    json_array(l->w);
    int rc = l->b->ops->topics(l->b, list_topic, l, err);
    json_array_end(l->w);
    json_object_end(l->w);
    return rc;
}

int serve_topics(struct served *s, struct control_call *call, struct err *err) {
    struct buf line = {0};
    struct json_writer w = json_to(&line);
    struct listing l = {s->backend, &w, doc_true(call_request(call), "internal"), doc_text(call_request(call), "topic", NULL), 0};
    int rc = l.wanted ? describe(&l, err) : list_all(&l, err);
    if (rc == 0 && call_line(call, buf_str(&line)) != 0) rc = 1;
    buf_done(&line);
    return rc;
}

// ── changing ──

// {"name":"value" or null}, as many as doc_count(config). The caller frees the array.
static struct topic_setting *settings_of(const struct doc_node *config) {
    struct topic_setting *settings = xcalloc(doc_count(config) + 1, sizeof(*settings));
    size_t n = 0;
    DOC_EACH(item, config) settings[n++] = (struct topic_setting){item->key.p, item->kind == JSON_NULL ? NULL : item->text.p};
    return settings;
}

int serve_topic_create(struct served *s, struct control_call *call, struct err *err) {
    const struct doc_node *r = call_request(call), *config = doc_get(r, "config");
    struct listing l = {.b = s->backend, .wanted = doc_text(r, "topic", ""), .found = -1};
    if (s->backend->ops->topics(s->backend, find_topic, &l, err) != 0) return -1;
    if (l.found >= 0) return err_set(err, ERR_EXISTS, "topic %s is there already", l.wanted);
    _cleanup_free_ struct topic_setting *settings = settings_of(config);
    struct topic_spec spec = {l.wanted, (int32_t)doc_int(r, "partitions", 0), settings, doc_count(config)};
    return s->backend->ops->topic_ensure(s->backend, &spec, err);
}

int serve_topic_alter(struct served *s, struct control_call *call, struct err *err) {
    const struct doc_node *r = call_request(call), *config = doc_get(r, "config");
    _cleanup_free_ struct topic_setting *settings = settings_of(config);
    struct topic_spec spec = {doc_text(r, "topic", ""), (int32_t)doc_int(r, "partitions", 0), settings, doc_count(config)};
    if (s->backend->ops->topic_alter(s->backend, &spec, err) == 0) return 0;
    return err->code == ERR_NOT_FOUND ? no_topic(s->backend, spec.name, err) : -1;
}

int serve_delete_records(struct served *s, struct control_call *call, struct err *err) {
    const struct doc_node *r = call_request(call);
    const char *topic = doc_text(r, "topic", "");
    int32_t partition = (int32_t)doc_int(r, "partition", 0);
    struct buf line = {0};
    struct json_writer w = json_to(&line);
    int64_t log_start;
    if (s->backend->ops->delete_records(s->backend, topic, partition, doc_int(r, "before", -1), &log_start, err) != 0) return -1;
    json_object(&w);
    json_kz(&w, "topic", topic);
    json_ki(&w, "partition", partition);
    json_ki(&w, "log_start", log_start);
    json_object_end(&w);
    int rc = call_line(call, buf_str(&line)) == 0 ? 0 : 1;
    buf_done(&line);
    return rc;
}

int serve_topic_delete(struct served *s, struct control_call *call, struct err *err) {
    const char *name = doc_text(call_request(call), "topic", "");
    if (s->backend->ops->topic_delete(s->backend, name, err) == 0) return 0;
    return err->code == ERR_NOT_FOUND ? no_topic(s->backend, name, err) : -1;
}
