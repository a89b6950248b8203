// SPDX-License-Identifier: Apache-2.0
// The embedded backend: life, topics, positions and offsets, maps.
#include "backend/embedded_int.h"

#include "backend/subscription.h"

char *embedded_position_key(const char *connector, struct str partition) {
    return xasprintf("[\"%s\",%.*s]", connector, STR_FMT(partition));
}

void embedded_topics_changed(struct embedded *e) {
    atomic_fetch_add(&e->generation, 1);
    LOCK_SCOPE(&e->mutex);
    embedded_consumers_wake(e);
}

void embedded_hold(struct embedded *e, const char *group, const char *topic, int32_t partition, int64_t offset) {
    struct topic *t = topic_get(e->store, topic);
    struct partition *p = t ? topic_partition(t, partition) : NULL;
    if (p) partition_hold(p, group, offset < 0 ? INT64_MAX : offset);
    if (t) topic_unref(t);
}

// ── topics ──

static int ensure(struct backend *b, const struct topic_spec *spec, struct err *err) {
    struct embedded *e = embedded_of(b);
    struct topic *t = topic_get(e->store, spec->name);
    struct err why;
    if (t) {
        topic_unref(t);
        return 0;
    }
    if (store_topic_create(e->store, spec->name, spec->partitions > 0 ? spec->partitions : 1, spec->settings, spec->n, &why)) {
        if (why.code == ERR_EXISTS) return 0; // another task was faster
        *err = why;
        return -1;
    }
    embedded_topics_changed(e);
    return 0;
}

static int delete(struct backend *b, const char *name, struct err *err) {
    struct embedded *e = embedded_of(b);
    if (store_topic_delete(e->store, name, err)) return -1;
    embedded_topics_changed(e);
    return 0;
}

struct each_topic { int (*each)(void *, const struct topic_info *); void *arg; };
static int one_topic(void *arg, struct topic *t) {
    const struct each_topic *e = arg;
    struct topic_info info = {topic_name(t), topic_partitions(t), topic_internal(t) || topic_is_internal(topic_name(t))};
    return e->each(e->arg, &info);
}
static int topics(struct backend *b, int (*each)(void *, const struct topic_info *), void *arg, struct err *err) {
    (void)err;
    struct each_topic e = {each, arg};
    store_topics(embedded_of(b)->store, one_topic, &e);
    return 0;
}

static int partition_info(struct backend *b, const char *topic, int32_t index, struct partition_info *ret, struct err *err) {
    struct topic *t = topic_get(embedded_of(b)->store, topic);
    struct partition *p = t ? topic_partition(t, index) : NULL;
    struct partition_offsets o;
    if (p) {
        partition_offsets(p, &o);
        *ret = (struct partition_info){o.log_start, o.high_watermark, o.last_stable, o.bytes};
    }
    if (t) topic_unref(t);
    return p ? 0 : err_set(err, ERR_NOT_FOUND, "partition %s-%d: there is none", topic, index);
}

// ── positions and offsets ──

struct each_position { size_t prefix; int (*each)(void *, struct str, struct str); void *arg; };
static int one_position(void *arg, struct str key, struct str value) {
    const struct each_position *e = arg;
    struct str partition = str_from(key, e->prefix);
    partition.n--; // the bracket
    return e->each(e->arg, partition, value);
}
static int positions(struct backend *b, const char *connector, int (*each)(void *, struct str, struct str), void *arg, struct err *err) {
    (void)err;
    _cleanup_free_ char *prefix = xasprintf("[\"%s\",", connector);
    struct each_position e = {strlen(prefix), each, arg};
    kvmap_each(embedded_of(b)->positions, str_of(prefix), one_position, &e);
    return 0;
}

static int positions_set(struct backend *b, const char *connector, const struct backend_position *list, size_t n, struct err *err) {
    struct kvmap_entry *entries = xcalloc(n ? n : 1, sizeof(*entries));
    for (size_t i = 0; i < n; i++) entries[i] = (struct kvmap_entry){str_of(embedded_position_key(connector, list[i].partition)), list[i].offset};
    int failed = kvmap_put(embedded_of(b)->positions, entries, n, err);
    for (size_t i = 0; i < n; i++) free((char *)(uintptr_t)entries[i].key.p);
    free(entries);
    return failed;
}

struct each_offset { int (*each)(void *, const struct backend_offset *); void *arg; };
static int one_offset(void *arg, const struct group_offset *g) {
    const struct each_offset *e = arg;
    struct backend_offset o = {g->topic, g->partition, g->offset};
    return e->each(e->arg, &o);
}
static int offsets(struct backend *b, const char *group, int (*each)(void *, const struct backend_offset *), void *arg, struct err *err) {
    (void)err;
    struct each_offset e = {each, arg};
    offsets_each(embedded_of(b)->offsets, group, one_offset, &e);
    return 0;
}

static int offsets_set(struct backend *b, const char *group, const struct backend_offset *list, size_t n, struct err *err) {
    struct embedded *e = embedded_of(b);
    struct group_offset *all = xcalloc(n ? n : 1, sizeof(*all));
    for (size_t i = 0; i < n; i++) all[i] = (struct group_offset){.topic = list[i].topic, .partition = list[i].partition, .offset = list[i].offset, .leader_epoch = -1};
    int failed = offsets_commit(e->offsets, group, all, n, err);
    for (size_t i = 0; i < n && !failed; i++) embedded_hold(e, group, list[i].topic, list[i].partition, list[i].offset);
    free(all);
    return failed;
}

static void on_lost(struct backend *b, void (*lost)(void *, const char *, const char *, int32_t, int64_t, int64_t), void *arg) {
    struct embedded *e = embedded_of(b);
    LOCK_SCOPE(&e->mutex);
    e->lost = lost;
    e->lost_arg = arg;
}

static void tell_lost(void *arg, struct partition *p, const char *holder, int64_t first, int64_t last) {
    struct embedded *e = arg;
    pthread_mutex_lock(&e->mutex);
    void (*lost)(void *, const char *, const char *, int32_t, int64_t, int64_t) = e->lost;
    void *lost_arg = e->lost_arg;
    pthread_mutex_unlock(&e->mutex);
    if (lost) lost(lost_arg, holder, partition_topic(p), partition_index(p), first, last);
}

// What groups have not read yet is held from the start, not only once their sinks run.
struct holding { struct embedded *e; const char *group; };
static int hold_offset(void *arg, const struct group_offset *g) {
    const struct holding *h = arg;
    embedded_hold(h->e, h->group, g->topic, g->partition, g->offset);
    return 0;
}
static int hold_group(void *arg, const char *group) {
    char ***at = arg;
    *(*at)++ = xstrdup(group);
    return 0;
}
static int count_group(void *arg, const char *group) {
    (void)group;
    ++*(size_t *)arg;
    return 0;
}
static void hold_all(struct embedded *e) {
    size_t n = 0;
    offsets_groups(e->offsets, count_group, &n);
    char **names = xcalloc(n ? n : 1, sizeof(*names)), **end = names;
    offsets_groups(e->offsets, hold_group, &end);
    for (char **g = names; g < end; g++) {
        struct holding h = {e, *g};
        // Groups of other clients do not hold retention back, as in Kafka.
        if (strncmp(*g, "connect-", 8) == 0) offsets_each(e->offsets, *g, hold_offset, &h);
        free(*g);
    }
    free(names);
}

// ── maps ──

static int map_open(struct embedded *e, const char *topic, struct kvmap **ret, struct err *err) {
    LOCK_SCOPE(&e->mutex);
    // One map over a topic, or they would not see each other's changes.
    *ret = strcmp(topic, POSITIONS_TOPIC) == 0 ? e->positions : map_get(&e->maps, str_of(topic));
    if (*ret) return 0;
    if (kvmap_store_open(e->store, e->clock, topic, ret, err)) return -1;
    map_put(&e->maps, str_of(topic), *ret);
    return 0;
}

static int map_load(struct backend *b, const char *topic, int (*each)(void *, struct str, struct str), void *arg, struct err *err) {
    struct kvmap *m;
    if (map_open(embedded_of(b), topic, &m, err)) return -1;
    return kvmap_each(m, STR(""), each, arg) ? err_set(err, ERR_CANCELLED, "map %s: loading was stopped", topic) : 0;
}

static int map_set(struct backend *b, const char *topic, const struct backend_position *list, size_t n, struct err *err) {
    struct kvmap *m;
    if (map_open(embedded_of(b), topic, &m, err)) return -1;
    struct kvmap_entry *entries = xcalloc(n ? n : 1, sizeof(*entries));
    for (size_t i = 0; i < n; i++) entries[i] = (struct kvmap_entry){list[i].partition, list[i].offset};
    int failed = kvmap_put(m, entries, n, err);
    free(entries);
    return failed;
}

// ── status ──

static int one_txn(void *arg, const struct txn_state *s) {
    struct json_writer *w = arg;
    if (!s->partitions) return 0;
    json_object(w);
    json_kz(w, "id", s->id);
    json_kz(w, "state", s->status);
    json_ki(w, "bytes", (int64_t)s->bytes);
    json_ki(w, "since", s->start_ms);
    json_object_end(w);
    return 0;
}

static void status_json(struct backend *b, struct json_writer *w) {
    struct embedded *e = embedded_of(b);
    json_object(w);
    json_kz(w, "type", "embedded");
    json_key(w, STR("store"));
    store_status_json(e->store, w);
    json_key(w, STR("transactions"));
    json_array(w);
    txns_each(e->txns, one_txn, w);
    json_array_end(w);
    json_object_end(w);
}

// ── life ──

static void close_map(void *m) { kvmap_close(m); }

static void close_backend(struct backend *b) {
    struct embedded *e = embedded_of(b);
    store_on_lost(e->store, NULL, NULL);
    map_done(&e->maps, close_map);
    if (e->positions) kvmap_close(e->positions);
    if (e->offsets) offsets_close(e->offsets);
    if (e->txns) txns_close(e->txns);
    pthread_mutex_destroy(&e->mutex);
    free(e);
}

static const struct backend_ops ops = {
    .name = "embedded",
    .close = close_backend,
    .topic_ensure = ensure,
    .topic_delete = delete,
    .topics = topics,
    .partition = partition_info,
    .producer_open = embedded_producer_open,
    .producer_close = embedded_producer_close,
    .add = embedded_add,
    .pending_bytes = embedded_pending_bytes,
    .commit = embedded_commit,
    .retry = embedded_retry,
    .abort = embedded_abort,
    .positions = positions,
    .offsets = offsets,
    .offsets_set = offsets_set,
    .positions_set = positions_set,
    .consumer_open = embedded_consumer_open,
    .consumer_close = embedded_consumer_close,
    .poll = embedded_poll,
    .wake_fd = embedded_wake_fd,
    .seek = embedded_seek,
    .pause = embedded_pause,
    .assignment = embedded_assignment,
    .fetch = embedded_fetch,
    .on_lost = on_lost,
    .map_load = map_load,
    .map_put = map_set,
    .status_json = status_json,
};

int backend_embedded_open(const struct embedded_options *o, struct backend **ret, struct err *err) {
    struct embedded *e = xcalloc(1, sizeof(*e));
    struct txns_report report;
    *e = (struct embedded){.base.ops = &ops, .store = o->store, .clock = o->clock ? o->clock : &clock_real};
    e->commit_max = o->commit_max_bytes ? o->commit_max_bytes : 15 << 20;
    pthread_mutex_init(&e->mutex, NULL);
    if (txns_open(e->store, e->clock, o->txn_partitions, &e->txns, &report, err) ||
        offsets_open(e->store, e->clock, o->offsets_partitions, &e->offsets, err) ||
        kvmap_store_open(e->store, e->clock, POSITIONS_TOPIC, &e->positions, err)) {
        close_backend(&e->base);
        return -1;
    }
    store_on_lost(e->store, tell_lost, e);
    hold_all(e);
    *ret = &e->base;
    return 0;
}
