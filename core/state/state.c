// SPDX-License-Identifier: Apache-2.0
#include "state/state.h"

#include "base/clock.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/thread.h"

enum { CONFIGS, STATUSES, SCHEMAS, TOPICS };
static const char *const topic_names[TOPICS] = {"connect-configs", "connect-status", "connect-schemas"};

struct value {
    size_t n;
    bool dirty; // a status not written yet
    char text[]; // terminated
};

struct state {
    struct backend *backend;
    char *worker_id;
    struct err damage[TOPICS]; // why it could not be loaded; set at open
    pthread_mutex_t mutex; // guards the maps; not held while the backend writes
    struct map maps[TOPICS]; // key → value
};

// ── the maps ──

static struct value *value_new(const void *p, size_t n) {
    struct value *v = xmalloc(sizeof(*v) + n + 1);
    *v = (struct value){.n = n};
    memcpy(v->text, p, n);
    v->text[n] = 0;
    return v;
}

// Under the lock. value.p NULL removes.
static void keep(struct state *s, int topic, struct str key, struct str value) {
    struct map *m = &s->maps[topic];
    free(value.p ? map_put(m, key, value_new(value.p, value.n)) : map_remove(m, key));
}

static int refuse(const struct state *s, int topic, struct err *err) {
    if (err) *err = s->damage[topic];
    return -1;
}

// What follows from what runs needs no log to go on.
static int put(struct state *s, int topic, const struct backend_position *entries, size_t n, struct err *err) {
    struct err why;
    if (s->backend->ops->map_put(s->backend, topic_names[topic], entries, n, &why) == 0) return 0;
    if (topic == STATUSES && why.code == ERR_CORRUPT) return 0;
    if (err) *err = why;
    return -1;
}

static int write_one(struct state *s, int topic, struct str key, struct str value, struct err *err) {
    struct backend_position entry = {key, value};
    if (put(s, topic, &entry, 1, err) != 0) return err_wrap(err, "%s %.*s", topic_names[topic], STR_FMT(key));
    LOCK_SCOPE(&s->mutex);
    keep(s, topic, key, value);
    return 0;
}

// A heap copy of the value's text, or NULL.
static char *read_one(struct state *s, int topic, const char *key) {
    LOCK_SCOPE(&s->mutex);
    const struct value *v = map_get(&s->maps[topic], str_of(key));
    return v ? xstrdup(v->text) : NULL;
}

// A text field at any depth of a small JSON object we wrote (or Connect did); NULL when absent. Caller frees.
static char *json_field(const char *json, const char *name) {
    struct json_reader r;
    char *found = NULL;
    json_reader_init(&r, str_of(json));
    for (enum json_token t; !found && (t = json_next(&r)) != JSON_END && t != JSON_BAD;)
        if (t == JSON_KEY && str_eqz(r.text, name) && json_next(&r) == JSON_STRING) found = str_dup(r.text);
    json_reader_done(&r);
    return found;
}

struct loading { struct state *s; int topic; };
static int load_one(void *arg, struct str key, struct str value) {
    const struct loading *l = arg;
    keep(l->s, l->topic, key, value);
    return 0;
}

int state_open(struct backend *b, const char *worker_id, struct state **ret, struct err *err) {
    struct state *s = xcalloc(1, sizeof(*s));
    s->backend = b;
    s->worker_id = xstrdup(worker_id);
    pthread_mutex_init(&s->mutex, NULL);
    for (int t = 0; t < TOPICS; t++) {
        struct loading l = {s, t};
        struct err why;
        if (b->ops->map_load(b, topic_names[t], load_one, &l, &why) == 0) continue;
        if (why.code == ERR_CORRUPT) {
            s->damage[t] = why;
            continue;
        }
        state_close(s);
        if (err) *err = why;
        return err_wrap(err, "load %s", topic_names[t]);
    }
    *ret = s;
    return 0;
}

void state_close(struct state *s) {
    if (!s) return;
    for (int t = 0; t < TOPICS; t++) map_done(&s->maps[t], free);
    pthread_mutex_destroy(&s->mutex);
    free(s->worker_id);
    free(s);
}

// ── target states ──

static const struct { const char *name, *v1, *v2; } targets[] = { // v1 is what Connect wrote before it knew STOPPED
    [TARGET_RUNNING] = {"RUNNING", "STARTED", "STARTED"},
    [TARGET_PAUSED] = {"PAUSED", "PAUSED", "PAUSED"},
    [TARGET_STOPPED] = {"STOPPED", "PAUSED", "STOPPED"},
};

const char *target_state_name(enum target_state t) { return targets[t].name; }

int state_target(struct state *s, const char *connector, enum target_state *ret, struct err *err) {
    if (s->damage[CONFIGS].code) return refuse(s, CONFIGS, err);
    _cleanup_free_ char *key = xasprintf("target-state-%s", connector);
    _cleanup_free_ char *json = read_one(s, CONFIGS, key);
    _cleanup_free_ char *v2 = json ? json_field(json, "state.v2") : NULL;
    *ret = TARGET_RUNNING;
    for (size_t i = 0; v2 && i < countof(targets); i++)
        if (strcmp(v2, targets[i].v2) == 0) *ret = (enum target_state)i;
    return 0;
}

int state_target_set(struct state *s, const char *connector, enum target_state t, struct err *err) {
    _cleanup_free_ char *key = xasprintf("target-state-%s", connector);
    _cleanup_free_ char *json = xasprintf("{\"state\":\"%s\",\"state.v2\":\"%s\"}", targets[t].v1, targets[t].v2);
    enum target_state is;
    if (state_target(s, connector, &is, err) != 0) return -1;
    if (is == t) return 0;
    return write_one(s, CONFIGS, str_of(key), str_of(json), err);
}

// ── owners ──

int state_owner_set(struct state *s, const char *connector, bool source, const char *plugin, const char *file, struct err *err) {
    struct buf b = {0};
    struct json_writer w = json_to(&b);
    json_object(&w);
    json_kz(&w, "type", source ? "source" : "sink");
    json_kz(&w, "connector", plugin);
    json_kz(&w, "file", file);
    json_object_end(&w);
    _cleanup_free_ char *key = xasprintf("owner-%s", connector);
    _cleanup_free_ char *have = read_one(s, CONFIGS, key);
    int r = have && str_eqz(buf_str(&b), have) ? 0 : write_one(s, CONFIGS, str_of(key), buf_str(&b), err);
    buf_done(&b);
    return r;
}

static void owner_parse(const char *name, const char *json, struct state_owner *ret) {
    *ret = (struct state_owner){xstrdup(name), json_field(json, "type"), json_field(json, "connector"), json_field(json, "file")};
}

bool state_owner_get(struct state *s, const char *connector, struct state_owner *ret) {
    _cleanup_free_ char *key = xasprintf("owner-%s", connector);
    _cleanup_free_ char *json = read_one(s, CONFIGS, key);
    if (!json) return false;
    owner_parse(connector, json, ret);
    return true;
}

void state_owner_done(struct state_owner *o) {
    free(o->name);
    free(o->type);
    free(o->plugin);
    free(o->file);
    *o = (struct state_owner){0};
}

// Sorted copies of the keys of a topic that begin with prefix (what follows it), ended by NULL.
static char **keys_with(struct state *s, int topic, const char *prefix) {
    LOCK_SCOPE(&s->mutex);
    struct map_entry **sorted = map_sorted(&s->maps[topic]);
    size_t n = s->maps[topic].n, kept = 0;
    char **keys = xcalloc(n + 1, sizeof(*keys));
    for (size_t i = 0; i < n; i++)
        if (str_starts(sorted[i]->key, str_of(prefix))) keys[kept++] = xstrdup(sorted[i]->key.p + strlen(prefix));
    free(sorted);
    return keys;
}

static void keys_free(char **keys) {
    for (char **k = keys; *k; k++) free(*k);
    free(keys);
}

int state_owners(struct state *s, int (*each)(void *arg, const struct state_owner *o), void *arg) {
    char **names = keys_with(s, CONFIGS, "owner-");
    int r = 0;
    for (char **n = names; *n && !r; n++) {
        struct state_owner o;
        if (!state_owner_get(s, *n, &o)) continue;
        r = each(arg, &o);
        state_owner_done(&o);
    }
    keys_free(names);
    return r;
}

// ── topics ──

// Topic names have no ':', so the key is unambiguous.
static char *topic_key(const char *connector, const char *topic) { return xasprintf("status-topic-%s:connector-%s", topic, connector); }

bool state_topic_is_of(struct state *s, const char *connector, const char *topic) {
    _cleanup_free_ char *key = topic_key(connector, topic);
    LOCK_SCOPE(&s->mutex);
    return map_get(&s->maps[STATUSES], str_of(key)) != NULL;
}

bool state_topics_known(const struct state *s) { return !s->damage[STATUSES].code; }

int state_topic_used(struct state *s, const char *connector, uint32_t task, const char *topic, struct err *err) {
    if (state_topic_is_of(s, connector, topic)) return 0;
    struct buf b = {0};
    struct json_writer w = json_to(&b);
    json_object(&w);
    json_key(&w, STR("topic"));
    json_object(&w);
    json_kz(&w, "name", topic);
    json_kz(&w, "connector", connector);
    json_ki(&w, "task", task);
    json_ki(&w, "discoverTimestamp", clock_wall_ms(&clock_real));
    json_object_end(&w);
    json_object_end(&w);
    _cleanup_free_ char *key = topic_key(connector, topic);
    int r = write_one(s, STATUSES, str_of(key), buf_str(&b), err);
    buf_done(&b);
    return r;
}

// Calls each with the topics of a connector; stops at non-zero.
int state_topics(struct state *s, const char *connector, int (*each)(void *arg, const char *topic), void *arg) {
    char **keys = keys_with(s, STATUSES, "status-topic-");
    int r = 0;
    for (char **k = keys; *k && !r; k++) {
        char *colon = strchr(*k, ':');
        if (!colon || strncmp(colon, ":connector-", 11) != 0 || strcmp(colon + 11, connector) != 0) continue;
        *colon = 0;
        r = each(arg, *k);
    }
    keys_free(keys);
    return r;
}

struct forgetting { struct state *s; const char *connector; struct err *err; };
static int forget_topic(void *arg, const char *topic) {
    const struct forgetting *f = arg;
    _cleanup_free_ char *key = topic_key(f->connector, topic);
    return write_one(f->s, STATUSES, str_of(key), (struct str){0}, f->err);
}

int state_topics_reset(struct state *s, const char *connector, struct err *err) {
    struct forgetting f = {s, connector, err};
    return state_topics(s, connector, forget_topic, &f);
}

// ── statuses ──

void state_status(struct state *s, const char *connector, int task, const char *status, const char *trace) {
    struct buf b = {0};
    struct json_writer w = json_to(&b);
    json_object(&w);
    json_kz(&w, "state", status);
    json_kz(&w, "trace", trace);
    json_kz(&w, "worker_id", s->worker_id);
    json_ki(&w, "generation", 0);
    json_object_end(&w);
    _cleanup_free_ char *key = task < 0 ? xasprintf("status-connector-%s", connector) : xasprintf("status-task-%s-%d", connector, task);
    LOCK_SCOPE(&s->mutex);
    const struct value *have = map_get(&s->maps[STATUSES], str_of(key));
    if (!have || !str_eqz(buf_str(&b), have->text)) {
        keep(s, STATUSES, str_of(key), buf_str(&b));
        struct value *v = map_get(&s->maps[STATUSES], str_of(key));
        v->dirty = true;
    }
    buf_done(&b);
}

int state_flush(struct state *s, struct err *err) {
    struct backend_position *entries = NULL;
    size_t n = 0, cap = 0;
    {
        LOCK_SCOPE(&s->mutex);
        size_t at = 0;
        for (struct map_entry *e; (e = map_next(&s->maps[STATUSES], &at));) {
            struct value *v = e->value;
            if (!v->dirty) continue;
            v->dirty = false;
            struct backend_position entry = {str_of(str_dup(e->key)), str_of(xstrdup(v->text))};
            VEC_PUSH(entries, n, cap, entry);
        }
    }
    int r = n ? put(s, STATUSES, entries, n, err) : 0;
    if (r) {
        LOCK_SCOPE(&s->mutex); // they are written with the next ones
        for (size_t i = 0; i < n; i++) {
            struct value *v = map_get(&s->maps[STATUSES], entries[i].partition);
            if (v) v->dirty = true;
        }
    }
    for (size_t i = 0; i < n; i++) {
        free((char *)(uintptr_t)entries[i].partition.p);
        free((char *)(uintptr_t)entries[i].offset.p);
    }
    free(entries);
    return r;
}

// ── schemas ──

int state_schema_put(struct state *s, const char *connector, const char *name, const void *p, size_t n, struct err *err) {
    if (n > 1 << 20) return err_set(err, ERR_TOO_LARGE, "schema %s: %zu bytes, at most 1 MiB", name, n);
    _cleanup_free_ char *key = xasprintf("%s/%s", connector, name);
    return write_one(s, SCHEMAS, str_of(key), n ? str_make(p, n) : (struct str){0}, err);
}

int64_t state_schema_get(struct state *s, const char *connector, const char *name, void *p, size_t max, struct err *err) {
    if (s->damage[SCHEMAS].code) return refuse(s, SCHEMAS, err);
    _cleanup_free_ char *key = xasprintf("%s/%s", connector, name);
    LOCK_SCOPE(&s->mutex);
    const struct value *v = map_get(&s->maps[SCHEMAS], str_of(key));
    if (!v) return err_set(err, ERR_NOT_FOUND, "schema %s: there is none", name);
    if (v->n && max) memcpy(p, v->text, v->n < max ? v->n : max);
    return (int64_t)v->n;
}

// ── forgetting ──

static int forget_key(struct state *s, int topic, const char *prefix, const char *connector, struct err *err) {
    _cleanup_free_ char *key = xasprintf("%s%s", prefix, connector);
    _cleanup_free_ char *have = read_one(s, topic, key);
    return have ? write_one(s, topic, str_of(key), (struct str){0}, err) : 0;
}

static int forget_prefix(struct state *s, int topic, const char *prefix, bool digits_only, struct err *err) {
    char **keys = keys_with(s, topic, prefix);
    int r = 0;
    for (char **k = keys; *k && !r; k++) // "a-1" is not a task of connector "a" called "1-b"
        if (!digits_only || strspn(*k, "0123456789") == strlen(*k)) r = forget_key(s, topic, prefix, *k, err);
    keys_free(keys);
    return r;
}

int state_forget(struct state *s, const char *connector, struct err *err) {
    _cleanup_free_ char *tasks = xasprintf("status-task-%s-", connector);
    _cleanup_free_ char *schemas = xasprintf("%s/", connector);
    if (forget_prefix(s, SCHEMAS, schemas, false, err) != 0 || forget_prefix(s, STATUSES, tasks, true, err) != 0) return -1;
    if (state_topics_reset(s, connector, err) != 0) return -1;
    if (forget_key(s, STATUSES, "status-connector-", connector, err) != 0) return -1;
    if (forget_key(s, CONFIGS, "target-state-", connector, err) != 0) return -1;
    return forget_key(s, CONFIGS, "owner-", connector, err); // last: while it is there the rest can be found again
}
