// SPDX-License-Identifier: Apache-2.0
// Positions of sources and group offsets of sinks as Connect's {"offsets":[{"partition","offset"}]}: shown, set, reset.
#include "backend/backend.h"
#include "base/mem.h"
#include "base/thread.h"
#include "runtime/worker_int.h"

// One entry: of a source both texts, of a sink topic, partition and offset.
struct entry {
    char *partition, *offset; // compact JSON; offset NULL: none
    char *topic;
    int32_t index;
    int64_t at; // -1: none
};
struct entries {
    struct entry *items;
    size_t n, cap;
};
struct subject { // a connector or an orphan
    const char *name;
    bool source, stopped, orphan;
    char *group;
};

static void entries_done(struct entries *e) {
    for (size_t i = 0; i < e->n; i++) {
        free(e->items[i].partition);
        free(e->items[i].offset);
        free(e->items[i].topic);
    }
    free(e->items);
    *e = (struct entries){0};
}

static void subject_done(struct subject *s) { free(s->group); }

// Under control.
static int find_subject(struct worker *w, const char *name, struct subject *ret, struct err *err) {
    struct state_owner o;
    const struct connector *c = worker_get(w, name, err);
    *ret = (struct subject){.name = name};
    if (c) {
        ret->source = definition_is_source(c->def);
        ret->stopped = c->target == TARGET_STOPPED && c->n == 0;
    } else if (state_owner_get(w->env->state, name, &o)) {
        ret->source = o.type && strcmp(o.type, "source") == 0;
        ret->orphan = true;
        state_owner_done(&o);
    } else {
        return -1;
    }
    ret->group = xasprintf("connect-%s", name);
    return 0;
}

// ── JSON ──

// Rewrites one JSON value without white space; false when it is malformed.
static bool compact(struct str in, struct buf *out) {
    struct json_reader r;
    struct json_writer w = json_to(out);
    enum json_token t;
    json_reader_init(&r, in);
    while ((t = json_next(&r)) != JSON_END && t != JSON_BAD) {
        switch (t) {
        case JSON_OBJECT: json_object(&w); break;
        case JSON_OBJECT_END: json_object_end(&w); break;
        case JSON_ARRAY: json_array(&w); break;
        case JSON_ARRAY_END: json_array_end(&w); break;
        case JSON_KEY: json_key(&w, r.text); break;
        case JSON_STRING: json_string(&w, r.text); break;
        case JSON_NUMBER: json_raw(&w, r.text); break;
        case JSON_TRUE: json_bool(&w, true); break;
        case JSON_FALSE: json_bool(&w, false); break;
        default: json_null(&w);
        }
    }
    json_reader_done(&r);
    return t == JSON_END;
}

static char *compact_text(struct str in) {
    struct buf b = {0};
    char *text = compact(in, &b) ? str_dup(buf_str(&b)) : NULL;
    buf_done(&b);
    return text;
}

// The member's text: of a string its content, of anything else its raw bytes. NULL when absent.
static char *member(const char *object, const char *name) {
    struct json_reader r;
    char *found = NULL;
    json_reader_init(&r, str_of(object));
    if (json_next(&r) == JSON_OBJECT)
        while (!found && json_next(&r) == JSON_KEY) {
            bool mine = str_eqz(r.text, name);
            struct str raw = json_raw_value(&r);
            if (!raw.p) break;
            if (mine) found = raw.n >= 2 && raw.p[0] == '"' ? str_dup(str_make(raw.p + 1, raw.n - 2)) : str_dup(raw);
        }
    json_reader_done(&r);
    return found;
}

static int sink_entry(struct entry *e, struct err *err) {
    _cleanup_free_ char *partition = member(e->partition, "kafka_partition");
    _cleanup_free_ char *offset = e->offset ? member(e->offset, "kafka_offset") : NULL;
    int64_t n;
    e->topic = member(e->partition, "kafka_topic");
    e->at = -1;
    if (!e->topic || !partition || !str_to_i64(str_of(partition), &n) || n < 0 || n > INT32_MAX)
        return err_set(err, ERR_INVALID, "partition %s: a sink's is {\"kafka_topic\":…,\"kafka_partition\":…}", e->partition);
    e->index = (int32_t)n;
    if (!e->offset) return 0;
    if (!offset || !str_to_i64(str_of(offset), &e->at) || e->at < 0)
        return err_set(err, ERR_INVALID, "offset %s of %s-%d: a sink's is {\"kafka_offset\":…}", e->offset, e->topic, e->index);
    return 0;
}

static int parse_entry(struct json_reader *r, bool source, struct entries *to, struct err *err) {
    struct entry e = {.at = -1};
    enum json_token t;
    while ((t = json_next(r)) == JSON_KEY) {
        bool is_partition = str_eqz(r->text, "partition"), is_offset = str_eqz(r->text, "offset");
        struct str raw = json_raw_value(r);
        char **field = is_partition ? &e.partition : is_offset ? &e.offset : NULL;
        if (!raw.p || !field || *field) break;
        if (!str_eqz(raw, "null")) *field = compact_text(raw);
    }
    VEC_PUSH(to->items, to->n, to->cap, e);
    if (t != JSON_OBJECT_END || !e.partition || e.partition[0] != '{' || (e.offset && e.offset[0] != '{'))
        return err_set(err, ERR_INVALID, "an entry of \"offsets\" is {\"partition\":{…},\"offset\":{…} or null}");
    return source ? 0 : sink_entry(&to->items[to->n - 1], err);
}

static int parse_list(struct json_reader *r, bool source, struct entries *to, struct err *err) {
    enum json_token t;
    if (json_next(r) != JSON_ARRAY) return err_set(err, ERR_INVALID, "\"offsets\" is no array");
    while ((t = json_next(r)) == JSON_OBJECT)
        if (parse_entry(r, source, to, err) != 0) return -1;
    return t == JSON_ARRAY_END ? 0 : err_set(err, ERR_INVALID, "\"offsets\" is an array of objects");
}

static int parse_body(struct str body, bool source, struct entries *to, struct err *err) {
    struct json_reader r;
    bool found = false;
    int rc = 0;
    json_reader_init(&r, body);
    if (json_next(&r) != JSON_OBJECT) rc = err_set(err, ERR_INVALID, "the body is no JSON object");
    while (rc == 0 && json_next(&r) == JSON_KEY) {
        if (!str_eqz(r.text, "offsets")) rc = json_skip(&r) ? 0 : err_set(err, ERR_INVALID, "malformed JSON: %s", r.error);
        else found = true, rc = parse_list(&r, source, to, err);
    }
    if (rc == 0 && (!found || json_next(&r) != JSON_END)) rc = err_set(err, ERR_INVALID, "the body is not {\"offsets\":[…]}");
    json_reader_done(&r);
    return rc;
}

static void json_partition(struct json_writer *w, const struct entry *e) {
    json_key(w, STR("partition"));
    if (e->partition) {
        json_raw(w, str_of(e->partition));
        return;
    }
    json_object(w);
    json_kz(w, "kafka_topic", e->topic);
    json_ki(w, "kafka_partition", e->index);
    json_object_end(w);
}

static void json_offset(struct json_writer *w, const char *key, const struct entry *e, bool source) {
    json_key(w, str_of(key));
    if (!e || (source ? !e->offset : e->at < 0)) {
        json_null(w);
    } else if (source) {
        json_raw(w, str_of(e->offset));
    } else {
        json_object(w);
        json_ki(w, "kafka_offset", e->at);
        json_object_end(w);
    }
}

// ── what is stored ──

static int take_position(void *arg, struct str partition, struct str offset) {
    struct entries *to = arg;
    struct entry e = {.partition = str_dup(partition), .offset = str_dup(offset), .at = -1};
    VEC_PUSH(to->items, to->n, to->cap, e);
    return 0;
}
static int take_offset(void *arg, const struct backend_offset *o) {
    struct entries *to = arg;
    struct entry e = {.topic = xstrdup(o->topic), .index = o->partition, .at = o->offset};
    VEC_PUSH(to->items, to->n, to->cap, e);
    return 0;
}

static int load(struct worker *w, const struct subject *s, struct entries *ret, struct err *err) {
    struct backend *b = w->env->backend;
    return s->source ? b->ops->positions(b, s->name, take_position, ret, err) : b->ops->offsets(b, s->group, take_offset, ret, err);
}

// The stored entry of the same partition: of a source the same JSON, however it is spaced.
static const struct entry *stored_of(const struct entries *stored, const struct entry *e, bool source) {
    for (size_t i = 0; i < stored->n; i++) {
        const struct entry *s = &stored->items[i];
        if (!source && s->index == e->index && strcmp(s->topic, e->topic) == 0) return s;
        if (!source) continue;
        _cleanup_free_ char *text = compact_text(str_of(s->partition));
        if (text && strcmp(text, e->partition) == 0) return s;
    }
    return NULL;
}

static int store(struct worker *w, const struct subject *s, const struct entries *set, const struct entries *stored, struct err *err) {
    struct backend *b = w->env->backend;
    struct backend_position *positions = xcalloc(set->n + 1, sizeof(*positions));
    struct backend_offset *offsets = xcalloc(set->n + 1, sizeof(*offsets));
    for (size_t i = 0; i < set->n; i++) {
        const struct entry *e = &set->items[i], *old = stored_of(stored, e, s->source);
        if (s->source) positions[i] = (struct backend_position){str_of(old ? old->partition : e->partition), str_of(e->offset)};
        else offsets[i] = (struct backend_offset){.topic = e->topic, .partition = e->index, .offset = e->at};
    }
    int r = !set->n     ? 0
            : s->source ? b->ops->positions_set(b, s->name, positions, set->n, err)
                        : b->ops->offsets_set(b, s->group, offsets, set->n, err);
    free(positions);
    free(offsets);
    return r;
}

static void write_changes(struct json_writer *out, const struct entries *set, const struct entries *stored, bool source) {
    if (!out) return;
    json_object(out);
    json_key(out, STR("changes"));
    json_array(out);
    for (size_t i = 0; i < set->n; i++) {
        json_object(out);
        json_partition(out, &set->items[i]);
        json_offset(out, "from", stored_of(stored, &set->items[i], source), source);
        json_offset(out, "to", &set->items[i], source);
        json_object_end(out);
    }
    json_array_end(out);
    json_object_end(out);
}

// ── the calls ──

int worker_offsets_json(struct worker *w, const char *name, struct json_writer *out, struct err *err) {
    LOCK_SCOPE(&w->control);
    struct subject s;
    struct entries stored = {0};
    if (find_subject(w, name, &s, err) != 0) return -1;
    int r = load(w, &s, &stored, err);
    if (r == 0) {
        json_object(out);
        json_key(out, STR("offsets"));
        json_array(out);
        for (size_t i = 0; i < stored.n; i++) {
            json_object(out);
            json_partition(out, &stored.items[i]);
            json_offset(out, "offset", &stored.items[i], s.source);
            json_object_end(out);
        }
        json_array_end(out);
        json_object_end(out);
    }
    entries_done(&stored);
    subject_done(&s);
    return r;
}

static int must_be_stopped(const struct subject *s, struct err *err) {
    if (s->stopped || s->orphan) return 0;
    err_set(err, ERR_BUSY, "connector %s is not stopped: its offsets would be overwritten", s->name);
    return err_hint(err, "`connectd stop %s` first", s->name);
}

static int change(struct worker *w, const struct subject *s, const struct entries *set, const struct entries *stored, bool dry_run, struct json_writer *out,
                  struct err *err) {
    write_changes(out, set, stored, s->source);
    return dry_run ? 0 : store(w, s, set, stored, err);
}

int worker_offsets_set(struct worker *w, const char *name, struct str body, bool dry_run, struct json_writer *out, struct err *err) {
    LOCK_SCOPE(&w->control);
    struct subject s;
    struct entries set = {0}, stored = {0};
    if (find_subject(w, name, &s, err) != 0) return -1;
    int r = must_be_stopped(&s, err);
    if (r == 0) r = parse_body(body, s.source, &set, err);
    if (r == 0) r = load(w, &s, &stored, err);
    if (r == 0) r = change(w, &s, &set, &stored, dry_run, out, err);
    entries_done(&set);
    entries_done(&stored);
    subject_done(&s);
    return r;
}

int worker_offsets_reset(struct worker *w, const char *name, bool dry_run, struct json_writer *out, struct err *err) {
    LOCK_SCOPE(&w->control);
    struct subject s;
    struct entries set = {0}, stored = {0};
    if (find_subject(w, name, &s, err) != 0) return -1;
    int r = must_be_stopped(&s, err);
    if (r == 0) r = load(w, &s, &stored, err);
    for (size_t i = 0; r == 0 && i < stored.n; i++) {
        const struct entry *from = &stored.items[i];
        struct entry e = {.partition = from->partition ? compact_text(str_of(from->partition)) : NULL, .topic = from->topic ? xstrdup(from->topic) : NULL, .index = from->index, .at = -1};
        VEC_PUSH(set.items, set.n, set.cap, e);
    }
    if (r == 0) r = change(w, &s, &set, &stored, dry_run, out, err);
    if (r == 0 && s.orphan && !dry_run) r = state_forget(w->env->state, name, err);
    entries_done(&set);
    entries_done(&stored);
    subject_done(&s);
    return r;
}
