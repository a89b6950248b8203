// SPDX-License-Identifier: Apache-2.0
// The memory backend. One lock guards everything; callbacks are called without it.
//
//   producer: open records ── commit ──► queue of commits ── step ──► applied, done(NULL)
//                                          │ retriable failure: it and all behind it are held until retry
//                                          └ other failure, fenced: the producer is finished
#include <stdio.h>

#include "mem_int.h"

// ── text pairs: positions and maps ──

static char *position_key(const char *connector, struct str partition) {
    return xasprintf("[\"%s\",%.*s]", connector, STR_FMT(partition));
}

struct map *mem_map_named(struct map *in, const char *name) {
    struct map *m = map_get(in, str_of(name));
    if (m) return m;
    m = xcalloc(1, sizeof(*m));
    map_put(in, str_of(name), m);
    return m;
}

struct mem_text {
    size_t n;
    char p[];
};

static struct mem_text *text_new(struct str s) {
    struct mem_text *t = xmalloc(sizeof(*t) + s.n);
    t->n = s.n;
    memcpy(t->p, s.p, s.n);
    return t;
}

static void put_text(struct map *m, struct str key, struct str value) {
    free(value.p ? map_put(m, key, text_new(value)) : map_remove(m, key));
}

static void free_offset(void *p) {
    struct mem_offset *o = p;
    free(o->topic);
    free(o);
}

static struct mem_topic *topic_named(struct mem *m, struct str name) { return map_get(&m->topics, name); }

// Zero when there is no such topic.
static struct uuid id_of_topic(struct mem *m, const char *name) {
    const struct mem_topic *t = topic_named(m, str_of(name));
    return t ? t->id : (struct uuid){{0}};
}

bool mem_offset_is_current(struct mem *m, const struct mem_offset *o) {
    return uuid_is_zero(o->topic_id) || uuid_eq(o->topic_id, id_of_topic(m, o->topic));
}

static void put_offset(struct mem *m, const char *group, const struct backend_offset *o) {
    _cleanup_free_ char *key = xasprintf("%s/%d", o->topic, o->partition);
    struct map *offsets = mem_map_named(&m->groups, group);
    struct mem_offset *fresh = NULL, *old;
    struct uuid id = id_of_topic(m, o->topic);
    if (o->offset >= 0 && !uuid_is_zero(o->topic_id) && !uuid_eq(o->topic_id, id)) return; // of a topic that is gone
    if (o->offset >= 0) {
        fresh = xmalloc(sizeof(*fresh));
        *fresh = (struct mem_offset){xstrdup(o->topic), o->partition, o->offset, id};
    }
    old = fresh ? map_put(offsets, str_of(key), fresh) : map_remove(offsets, str_of(key));
    if (old) free_offset(old);
}

// ── topics ──

static void topic_free(struct mem_topic *t) {
    for (int32_t i = 0; i < t->n; i++) {
        for (size_t r = 0; r < t->partitions[i].n; r++) free(t->partitions[i].records[r]);
        free(t->partitions[i].records);
    }
    free(t->partitions);
    free(t->name);
    free(t);
}

static void wake_consumers(struct mem *m) {
    for (struct mem_consumer *c = m->consumers; c; c = c->next) wake_signal(c->wake);
}

// Of the settings only these mean something here.
static void take_settings(struct mem_topic *t, const struct topic_spec *spec) {
    for (size_t i = 0; i < spec->n; i++) {
        if (!strcmp(spec->settings[i].name, "cleanup.policy")) t->compacted = spec->settings[i].value && strstr(spec->settings[i].value, "compact");
        if (strcmp(spec->settings[i].name, "max.message.bytes") != 0) continue;
        t->max_bytes = 64 << 20;
        t->max_set = spec->settings[i].value && str_to_i64(str_of(spec->settings[i].value), &t->max_bytes);
    }
}

static int mem_topic_ensure(struct backend *b, const struct topic_spec *spec, struct err *err) {
    struct mem *m = mem_of(b);
    LOCK_SCOPE(&m->mutex);
    if (topic_named(m, str_of(spec->name))) return 0;
    if (!*spec->name) return err_set(err, ERR_INVALID, "a topic name is empty");
    struct mem_topic *t = xcalloc(1, sizeof(*t));
    t->name = xstrdup(spec->name);
    put_be64(t->id.b, ++m->topic_ids);
    t->n = spec->partitions > 0 ? spec->partitions : 1;
    t->partitions = xcalloc((size_t)t->n, sizeof(*t->partitions));
    t->max_bytes = 64 << 20;
    take_settings(t, spec);
    map_put(&m->topics, str_of(spec->name), t);
    wake_consumers(m);
    return 0;
}

static int no_topic(const char *name, struct err *err) { return err_set(err, ERR_NOT_FOUND, "topic %s: does not exist", name); }

static int mem_topic_delete(struct backend *b, const char *name, struct err *err) {
    struct mem *m = mem_of(b);
    LOCK_SCOPE(&m->mutex);
    struct mem_topic *t = map_remove(&m->topics, str_of(name));
    if (!t) return no_topic(name, err);
    t->deleted = true;
    t->next_dead = m->dead;
    m->dead = t;
    wake_consumers(m);
    return 0;
}

static int mem_topic_alter(struct backend *b, const struct topic_spec *spec, struct err *err) {
    struct mem *m = mem_of(b);
    LOCK_SCOPE(&m->mutex);
    struct mem_topic *t = topic_named(m, str_of(spec->name));
    if (!t) return no_topic(spec->name, err);
    if (spec->partitions > 0 && spec->partitions <= t->n)
        return err_set(err, ERR_INVALID, "topic %s has %d partitions already, it can not get %d", spec->name, t->n, spec->partitions);
    take_settings(t, spec);
    if (spec->partitions > 0) {
        t->partitions = xrealloc(t->partitions, (size_t)spec->partitions * sizeof(*t->partitions));
        memset(t->partitions + t->n, 0, (size_t)(spec->partitions - t->n) * sizeof(*t->partitions));
        t->n = spec->partitions;
    }
    wake_consumers(m);
    return 0;
}

static int mem_topic_settings(struct backend *b, const char *name, int (*each)(void *arg, const char *setting, const char *value), void *arg, struct err *err) {
    struct mem *m = mem_of(b);
    char text[24];
    {
        LOCK_SCOPE(&m->mutex);
        const struct mem_topic *t = topic_named(m, str_of(name));
        if (!t) return no_topic(name, err);
        if (!t->max_set) return 0;
        snprintf(text, sizeof(text), "%lld", (long long)t->max_bytes);
    }
    each(arg, "max.message.bytes", text);
    return 0;
}

static int mem_topics(struct backend *b, int (*each)(void *, const struct topic_info *), void *arg, struct err *err) {
    (void)err;
    struct mem *m = mem_of(b);
    pthread_mutex_lock(&m->mutex);
    struct map_entry **sorted = map_sorted(&m->topics);
    size_t n = m->topics.n;
    struct topic_info *infos = xcalloc(n ? n : 1, sizeof(*infos));
    for (size_t i = 0; i < n; i++) {
        const struct mem_topic *t = sorted[i]->value;
        infos[i] = (struct topic_info){xstrdup(t->name), t->n, topic_is_internal(t->name)};
    }
    free(sorted);
    pthread_mutex_unlock(&m->mutex);
    int r = 0;
    for (size_t i = 0; i < n; i++) {
        if (!r) r = each(arg, &infos[i]);
        free((char *)(uintptr_t)infos[i].name);
    }
    free(infos);
    return 0;
}

struct mem_partition *mem_partition_at(struct mem *m, const char *topic, int32_t partition, struct err *err) {
    struct mem_topic *t = topic_named(m, str_of(topic));
    if (t && partition >= 0 && partition < t->n) return &t->partitions[partition];
    err_set(err, ERR_NOT_FOUND, "partition %s-%d: does not exist", topic, partition);
    return NULL;
}

static int mem_partition_info(struct backend *b, const char *topic, int32_t partition, struct partition_info *ret, struct err *err) {
    struct mem *m = mem_of(b);
    LOCK_SCOPE(&m->mutex);
    const struct mem_partition *p = mem_partition_at(m, topic, partition, err);
    if (!p) return -1;
    *ret = (struct partition_info){.log_start = p->start, .high_watermark = (int64_t)p->n, .last_stable = (int64_t)p->n};
    return 0;
}

static int mem_delete_records(struct backend *b, const char *topic, int32_t partition, int64_t before, int64_t *ret_log_start, struct err *err) {
    struct mem *m = mem_of(b);
    LOCK_SCOPE(&m->mutex);
    struct mem_partition *p = mem_partition_at(m, topic, partition, err);
    if (!p) return -1;
    if (before > (int64_t)p->n) return err_set(err, ERR_OUT_OF_RANGE, "partition %s-%d ends at %zu", topic, partition, p->n);
    if (before < 0) before = (int64_t)p->n;
    if (before > p->start) p->start = before;
    *ret_log_start = p->start;
    return 0;
}

// ── producing ──

struct mem_commit {
    struct mem_commit *next;
    struct consumed **records; // their offset is set when they are applied
    size_t n, cap;
    char *connector, *group;
    struct { char *partition, *offset; } *positions;
    struct mem_offset *offsets;
    size_t position_count, offset_count;
    producer_done *done;
    void *arg;
    bool waiting; // else held after a failure
};
struct mem_producer {
    struct mem *mem;
    struct mem_producer *next;
    char *id;
    uint64_t epoch;
    struct mem_commit *open;
    size_t open_bytes;
    uint32_t sticky;
    struct mem_commit *first, **last;
    enum err_code failed; // of a retriable failure: all are held. Of another: the end
};
static struct mem_producer *producer_of(struct producer *p) { return (struct mem_producer *)(void *)p; }

static void commit_drop(struct mem_commit *c) {
    if (!c) return;
    for (size_t i = 0; i < c->n; i++) free(c->records[i]);
    for (size_t i = 0; i < c->position_count; i++) free(c->positions[i].partition), free(c->positions[i].offset);
    for (size_t i = 0; i < c->offset_count; i++) free(c->offsets[i].topic);
    free(c->records);
    free(c->positions);
    free(c->offsets);
    free(c->connector);
    free(c->group);
    free(c);
}

static int mem_producer_open(struct backend *b, const char *id, struct producer **ret, struct err *err) {
    (void)err;
    struct mem *m = mem_of(b);
    LOCK_SCOPE(&m->mutex);
    struct mem_producer *p = xcalloc(1, sizeof(*p));
    *p = (struct mem_producer){.mem = m, .id = xstrdup(id), .epoch = ++m->epochs, .last = &p->first};
    p->open = xcalloc(1, sizeof(*p->open));
    map_put(&m->producers, str_of(id), (void *)(uintptr_t)p->epoch);
    p->next = m->all_producers;
    m->all_producers = p;
    *ret = (struct producer *)(void *)p;
    return 0;
}

// The whole record in one allocation.
static struct consumed *record_copy(const struct backend_record *r, const char *topic, int32_t partition) {
    size_t n = sizeof(struct consumed) + r->header_count * sizeof(struct backend_header) + r->key.n + r->value.n;
    for (uint32_t i = 0; i < r->header_count; i++) n += r->headers[i].name.n + r->headers[i].value.n;
    struct consumed *c = xcalloc(1, n);
    struct backend_header *h = (struct backend_header *)(void *)(c + 1);
    char *at = (char *)(h + r->header_count);
#define COPY(from) ((from).n ? memcpy(at, (from).p, (from).n) : NULL, at += (from).n, (struct str){(from).p ? at - (from).n : NULL, (from).n})
    *c = (struct consumed){.topic = topic, .partition = partition, .timestamp = r->timestamp, .headers = h, .header_count = r->header_count};
    c->key = COPY(r->key);
    c->value = COPY(r->value);
    for (uint32_t i = 0; i < r->header_count; i++) {
        h[i].name = COPY(r->headers[i].name);
        h[i].value = COPY(r->headers[i].value);
        h[i].null_value = r->headers[i].null_value;
    }
#undef COPY
    return c;
}

static int mem_add(struct producer *producer, const struct backend_record *r, struct err *err) {
    struct mem_producer *p = producer_of(producer);
    struct mem *m = p->mem;
    LOCK_SCOPE(&m->mutex);
    struct mem_topic *t = topic_named(m, r->topic);
    if (!t) return err_set(err, ERR_NOT_FOUND, "topic %.*s: does not exist", STR_FMT(r->topic));
    if (r->partition >= t->n) return err_set(err, ERR_OUT_OF_RANGE, "partition %s-%d: the topic has %d", t->name, r->partition, t->n);
    size_t bytes = r->key.n + r->value.n + 16;
    if ((int64_t)bytes > t->max_bytes)
        return err_set(err, ERR_TOO_LARGE, "record of %zu bytes: topic %s takes at most %lld (max.message.bytes)", bytes, t->name, (long long)t->max_bytes);
    if (!r->key.p && t->compacted) return refuse_keyless(t->name, err);
    int32_t partition = r->partition >= 0 ? r->partition : partition_for(r->key, t->n, p->sticky);
    struct mem_commit *c = p->open;
    VEC_PUSH(c->records, c->n, c->cap, record_copy(r, t->name, partition));
    p->open_bytes += bytes;
    return 0;
}

static size_t mem_pending_bytes(struct producer *p) { return producer_of(p)->open_bytes; }

static void apply(struct mem *m, struct mem_commit *c) {
    for (size_t i = 0; i < c->n; i++) {
        struct mem_topic *t = topic_named(m, str_of(c->records[i]->topic));
        struct mem_partition *p = &t->partitions[c->records[i]->partition];
        c->records[i]->offset = (int64_t)p->n;
        VEC_PUSH(p->records, p->n, p->cap, c->records[i]);
    }
    c->n = 0; // the topics have them now
    struct map *positions = mem_map_named(&m->maps, "connect-offsets");
    for (size_t i = 0; i < c->position_count; i++) {
        _cleanup_free_ char *key = position_key(c->connector, str_of(c->positions[i].partition));
        put_text(positions, str_of(key), str_of(c->positions[i].offset));
    }
    for (size_t i = 0; i < c->offset_count; i++) {
        struct backend_offset o = {c->offsets[i].topic, c->offsets[i].partition, c->offsets[i].offset, c->offsets[i].topic_id};
        put_offset(m, c->group, &o);
    }
    m->commits++;
    wake_consumers(m);
}

static bool topics_exist(struct mem *m, const struct mem_commit *c) {
    for (size_t i = 0; i < c->n; i++)
        if (!topic_named(m, str_of(c->records[i]->topic))) return false;
    return true;
}

// How the next waiting commit ends.
static enum err_code verdict(struct mem *m, struct mem_producer *p, const struct mem_commit *c) {
    if (p->failed) return p->failed;
    if ((uintptr_t)map_get(&m->producers, str_of(p->id)) != p->epoch) return ERR_FENCED;
    if (m->fail_times) {
        m->fail_times--;
        return m->fail_code;
    }
    return topics_exist(m, c) ? ERR_NONE : ERR_NOT_FOUND;
}

// Takes the first waiting commit of p to its end. False when there is none or commits are held.
static bool step(struct mem_producer *p) {
    struct mem *m = p->mem;
    producer_done *done;
    void *arg;
    struct err err;
    enum err_code code;
    {
        LOCK_SCOPE(&m->mutex);
        struct mem_commit **at = &p->first;
        while (*at && !(*at)->waiting) at = &(*at)->next;
        struct mem_commit *c = *at;
        if (!c || m->held) return false;
        done = c->done;
        arg = c->arg;
        code = verdict(m, p, c);
        if (code == ERR_NONE) apply(m, c);
        else p->failed = code;
        c->waiting = false;
        if (code == ERR_NONE || err_class_of(code) != ERR_CLASS_RETRIABLE) {
            *at = c->next;
            if (!c->next) p->last = at;
            commit_drop(c);
        }
    }
    if (code) err_set(&err, code, "commit: %s", err_text(code));
    done(arg, code ? &err : NULL);
    return true;
}

static void mem_commit(struct producer *producer, const char *connector, const struct backend_position *positions, size_t n_positions,
                       const char *group, const struct backend_offset *offsets, size_t n_offsets, producer_done *done, void *arg) {
    struct mem_producer *p = producer_of(producer);
    struct mem_commit *c = p->open;
    p->open = xcalloc(1, sizeof(*c));
    p->open_bytes = 0;
    p->sticky++;
    c->connector = connector ? xstrdup(connector) : NULL;
    c->group = group ? xstrdup(group) : NULL;
    c->positions = xcalloc(n_positions ? n_positions : 1, sizeof(*c->positions));
    for (; c->position_count < n_positions; c->position_count++) {
        const struct backend_position *from = &positions[c->position_count];
        c->positions[c->position_count].partition = str_dup(from->partition);
        c->positions[c->position_count].offset = from->offset.p ? str_dup(from->offset) : NULL;
    }
    c->offsets = xcalloc(n_offsets ? n_offsets : 1, sizeof(*c->offsets));
    for (; c->offset_count < n_offsets; c->offset_count++) {
        const struct backend_offset *from = &offsets[c->offset_count];
        c->offsets[c->offset_count] = (struct mem_offset){xstrdup(from->topic), from->partition, from->offset, from->topic_id};
    }
    c->done = done;
    c->arg = arg;
    c->waiting = true;
    {
        LOCK_SCOPE(&p->mem->mutex);
        *p->last = c;
        p->last = &c->next;
    }
    while (step(p)) {}
}

static void mem_retry(struct producer *producer) {
    struct mem_producer *p = producer_of(producer);
    {
        LOCK_SCOPE(&p->mem->mutex);
        if (p->failed && err_class_of(p->failed) != ERR_CLASS_RETRIABLE) return;
        p->failed = ERR_NONE;
        for (struct mem_commit *c = p->first; c; c = c->next) c->waiting = true;
    }
    while (step(p)) {}
}

static void mem_abort(struct producer *producer) {
    struct mem_producer *p = producer_of(producer);
    commit_drop(p->open);
    p->open = xcalloc(1, sizeof(*p->open));
    p->open_bytes = 0;
}

static void mem_producer_close(struct producer *producer) {
    struct mem_producer *p = producer_of(producer);
    while (step(p)) {}
    {
        LOCK_SCOPE(&p->mem->mutex);
        struct mem_producer **at = &p->mem->all_producers;
        while (*at != p) at = &(*at)->next;
        *at = p->next;
    }
    for (struct mem_commit *c = p->first, *next; c; c = next) {
        next = c->next;
        if (c->waiting) c->done(c->arg, &(struct err){.code = ERR_CANCELLED, .msg = "producer closed"});
        commit_drop(c);
    }
    commit_drop(p->open);
    free(p->id);
    free(p);
}

// ── positions and offsets ──

// Calls each(key, text) on a sorted copy, without the lock.
static int each_text(struct mem *m, const char *map, int (*each)(void *arg, struct str key, struct str value), void *arg) {
    pthread_mutex_lock(&m->mutex);
    struct map *from = mem_map_named(&m->maps, map);
    struct map_entry **sorted = map_sorted(from);
    size_t n = from->n;
    struct mem_text **copy = xcalloc(2 * n + 1, sizeof(*copy));
    for (size_t i = 0; i < n; i++) {
        const struct mem_text *value = sorted[i]->value;
        copy[2 * i] = text_new(sorted[i]->key);
        copy[2 * i + 1] = text_new(str_make(value->p, value->n));
    }
    free(sorted);
    pthread_mutex_unlock(&m->mutex);
    int r = 0;
    for (size_t i = 0; i < n; i++) {
        const struct mem_text *key = copy[2 * i], *value = copy[2 * i + 1];
        if (!r) r = each(arg, str_make(key->p, key->n), str_make(value->p, value->n));
        free(copy[2 * i]);
        free(copy[2 * i + 1]);
    }
    free(copy);
    return r;
}

struct of_connector {
    char *prefix;
    int (*each)(void *, struct str, struct str);
    void *arg;
};
static int one_position(void *arg, struct str key, struct str value) {
    const struct of_connector *o = arg;
    if (!str_starts(key, str_of(o->prefix))) return 0;
    struct str partition = str_from(key, strlen(o->prefix));
    partition.n--; // the bracket
    return o->each(o->arg, partition, value);
}
static int mem_positions(struct backend *b, const char *connector, int (*each)(void *, struct str, struct str), void *arg, struct err *err) {
    (void)err;
    struct of_connector o = {xasprintf("[\"%s\",", connector), each, arg};
    each_text(mem_of(b), "connect-offsets", one_position, &o);
    free(o.prefix);
    return 0;
}

static int mem_offsets(struct backend *b, const char *group, int (*each)(void *, const struct backend_offset *), void *arg, struct err *err) {
    (void)err;
    struct mem *m = mem_of(b);
    pthread_mutex_lock(&m->mutex);
    struct map *from = mem_map_named(&m->groups, group);
    struct map_entry **sorted = map_sorted(from);
    size_t n = 0;
    struct backend_offset *copy = xcalloc(from->n ? from->n : 1, sizeof(*copy));
    for (size_t i = 0; i < from->n; i++) {
        const struct mem_offset *o = sorted[i]->value;
        if (mem_offset_is_current(m, o)) copy[n++] = (struct backend_offset){xstrdup(o->topic), o->partition, o->offset, o->topic_id};
    }
    free(sorted);
    pthread_mutex_unlock(&m->mutex);
    int r = 0;
    for (size_t i = 0; i < n; i++) {
        if (!r) r = each(arg, &copy[i]);
        free((char *)(uintptr_t)copy[i].topic);
    }
    free(copy);
    return 0;
}

static int mem_offsets_set(struct backend *b, const char *group, const struct backend_offset *offsets, size_t n, struct err *err) {
    (void)err;
    struct mem *m = mem_of(b);
    LOCK_SCOPE(&m->mutex);
    for (size_t i = 0; i < n; i++) put_offset(m, group, &offsets[i]);
    return 0;
}

static int mem_positions_set(struct backend *b, const char *connector, const struct backend_position *positions, size_t n, struct err *err) {
    (void)err;
    struct mem *m = mem_of(b);
    LOCK_SCOPE(&m->mutex);
    for (size_t i = 0; i < n; i++) {
        _cleanup_free_ char *key = position_key(connector, positions[i].partition);
        put_text(mem_map_named(&m->maps, "connect-offsets"), str_of(key), positions[i].offset);
    }
    return 0;
}

// ── what retention takes ──

static void mem_on_lost(struct backend *b, void (*lost)(void *, const char *, const char *, int32_t, int64_t, int64_t, bool), void *arg) {
    mem_of(b)->lost = lost;
    mem_of(b)->lost_arg = arg;
}

// ── maps ──

static int check_map(struct mem *m, const char *topic, struct err *err) {
    LOCK_SCOPE(&m->mutex);
    if (!m->damaged || strcmp(m->damaged, topic) != 0) return 0;
    err_set(err, ERR_CORRUPT, "%s-0 is damaged", topic);
    return err_hint(err, "`connectd log-repair show %s-0`", topic);
}

static int mem_map_load(struct backend *b, const char *topic, int (*each)(void *, struct str, struct str), void *arg, struct err *err) {
    if (check_map(mem_of(b), topic, err) != 0) return -1;
    if (each_text(mem_of(b), topic, each, arg) == 0) return 0;
    return err_set(err, ERR_CANCELLED, "map %s: loading was stopped", topic);
}

static int mem_map_put(struct backend *b, const char *topic, const struct backend_position *entries, size_t n, struct err *err) {
    struct mem *m = mem_of(b);
    if (check_map(m, topic, err) != 0) return -1;
    LOCK_SCOPE(&m->mutex);
    for (size_t i = 0; i < n; i++) put_text(mem_map_named(&m->maps, topic), entries[i].partition, entries[i].offset);
    return 0;
}

static void mem_status_json(struct backend *b, struct json_writer *w) {
    json_object(w);
    json_kz(w, "type", "memory");
    json_ki(w, "commits", (int64_t)backend_mem_commits(b));
    json_object_end(w);
}

static void free_topic(void *t) { topic_free(t); }
static void free_texts(void *m) {
    map_done(m, free);
    free(m);
}
static void free_offsets(void *m) {
    map_done(m, free_offset);
    free(m);
}

static void mem_close(struct backend *b) {
    struct mem *m = mem_of(b);
    map_done(&m->topics, free_topic);
    for (struct mem_topic *t = m->dead, *next; t; t = next) {
        next = t->next_dead;
        topic_free(t);
    }
    map_done(&m->groups, free_offsets);
    map_done(&m->maps, free_texts);
    map_done(&m->producers, NULL);
    pthread_mutex_destroy(&m->mutex);
    free(m);
}

static const struct backend_ops ops = {
    .name = "memory",
    .close = mem_close,
    .topic_ensure = mem_topic_ensure,
    .topic_delete = mem_topic_delete,
    .topic_alter = mem_topic_alter,
    .topic_settings = mem_topic_settings,
    .delete_records = mem_delete_records,
    .topics = mem_topics,
    .partition = mem_partition_info,
    .producer_open = mem_producer_open,
    .producer_close = mem_producer_close,
    .add = mem_add,
    .pending_bytes = mem_pending_bytes,
    .commit = mem_commit,
    .retry = mem_retry,
    .abort = mem_abort,
    .positions = mem_positions,
    .offsets = mem_offsets,
    .offsets_set = mem_offsets_set,
    .positions_set = mem_positions_set,
    .consumer_open = mem_consumer_open,
    .consumer_close = mem_consumer_close,
    .poll = mem_poll,
    .wake_fd = mem_wake_fd,
    .seek = mem_seek,
    .pause = mem_pause,
    .assignment = mem_assignment,
    .fetch = mem_fetch,
    .on_lost = mem_on_lost,
    .map_load = mem_map_load,
    .map_put = mem_map_put,
    .status_json = mem_status_json,
};

struct backend *backend_mem_new(void) {
    struct mem *m = xcalloc(1, sizeof(*m));
    m->base.ops = &ops;
    pthread_mutex_init(&m->mutex, NULL);
    return &m->base;
}

void backend_mem_hold(struct backend *b, bool hold) {
    struct mem *m = mem_of(b);
    {
        LOCK_SCOPE(&m->mutex);
        m->held = hold;
    }
    for (struct mem_producer *p = m->all_producers; p && !hold; p = p->next)
        while (step(p)) {}
}

void backend_mem_fail(struct backend *b, enum err_code code, unsigned times) {
    struct mem *m = mem_of(b);
    LOCK_SCOPE(&m->mutex);
    m->fail_code = code;
    m->fail_times = times;
}

void backend_mem_damage(struct backend *b, const char *topic) {
    struct mem *m = mem_of(b);
    LOCK_SCOPE(&m->mutex);
    m->damaged = topic;
}

size_t backend_mem_commits(struct backend *b) {
    struct mem *m = mem_of(b);
    LOCK_SCOPE(&m->mutex);
    return m->commits;
}

void backend_mem_expire(struct backend *b, const char *topic, int32_t partition, int64_t before) {
    struct mem *m = mem_of(b);
    _cleanup_free_ char *key = xasprintf("%s/%d", topic, partition);
    pthread_mutex_lock(&m->mutex);
    struct mem_partition *p = mem_partition_at(m, topic, partition, NULL);
    int64_t start = p->start;
    p->start = before;
    struct map_entry **groups = map_sorted(&m->groups);
    size_t n = m->groups.n;
    pthread_mutex_unlock(&m->mutex);
    for (size_t i = 0; i < n; i++) {
        const struct mem_offset *o = map_get(groups[i]->value, str_of(key));
        int64_t first = o && o->offset > start ? o->offset : start;
        if (o && first < before && m->lost) m->lost(m->lost_arg, groups[i]->key.p, topic, partition, first, before - 1, false);
    }
    free(groups);
}
