// SPDX-License-Identifier: Apache-2.0
// The embedded backend: topics, maps, positions and offsets; producers and consumers have files of their own.
#include "backend/backend_embedded.h"

#include "backend/subscription.h"
#include "base/mem.h"
#include "base/say.h"
#include "base/thread.h"
#include "coord/records.h"
#include "embedded_int.h"

// ── topics ──

static int topic_ensure(struct backend *b, const struct topic_spec *spec, struct err *err) {
    struct embedded *e = embedded_of(b);
    struct topic *t = topic_get(e->store, spec->name);
    topic_unref(t);
    if (t) return 0;
    if (store_topic_create(e->store, spec->name, spec->partitions > 0 ? spec->partitions : e->default_partitions, spec->settings, spec->n, err) != 0)
        return err->code == ERR_EXISTS ? 0 : -1;
    embedded_topics_changed(e);
    return 0;
}

static int topic_delete(struct backend *b, const char *name, struct err *err) {
    struct embedded *e = embedded_of(b);
    if (store_topic_delete(e->store, name, err) != 0) return -1;
    embedded_topics_changed(e);
    offsets_forget_topic(e->offsets, name);
    return 0;
}

static int topic_alter(struct backend *b, const struct topic_spec *spec, struct err *err) {
    struct embedded *e = embedded_of(b);
    if (store_topic_alter(e->store, spec->name, spec->partitions, spec->settings, spec->n, err) != 0) return -1;
    embedded_topics_changed(e);
    return 0;
}

static int topic_settings_list(struct backend *b, const char *name, int (*each)(void *arg, const char *setting, const char *value), void *arg, struct err *err) {
    struct topic *t = topic_get(embedded_of(b)->store, name);
    size_t n;
    const struct topic_setting_row *rows = topic_setting_rows(&n);
    if (!t) return err_set(err, ERR_NOT_FOUND, "topic %s: does not exist", name);
    for (size_t i = 0, stop = 0; i < n && !stop; i++) {
        bool set;
        const char *value = topic_setting_get(t, rows[i].name, &set);
        if (set) stop = each(arg, rows[i].name, value) != 0;
    }
    topic_unref(t);
    return 0;
}

static int delete_records(struct backend *b, const char *topic, int32_t index, int64_t before, int64_t *ret_log_start, struct err *err) {
    struct topic *t = topic_get(embedded_of(b)->store, topic);
    struct partition *p = t ? topic_partition(t, index) : NULL;
    struct partition_offsets o;
    int rc = p ? 0 : err_set(err, ERR_NOT_FOUND, "partition %s-%d: does not exist", topic, index);
    if (rc == 0) partition_offsets(p, &o);
    if (rc == 0) rc = partition_delete_before(p, before < 0 ? o.high_watermark : before, err);
    if (rc == 0) partition_offsets(p, &o), *ret_log_start = o.log_start;
    topic_unref(t);
    return rc;
}

struct listing { struct topic_info *items; size_t n, cap; };
static int list_topic(void *arg, struct topic *t) {
    struct listing *l = arg;
    struct topic_info info = {xstrdup(topic_name(t)), topic_partitions(t), topic_is_internal(topic_name(t))};
    VEC_PUSH(l->items, l->n, l->cap, info);
    return 0;
}

static int topics(struct backend *b, int (*each)(void *, const struct topic_info *), void *arg, struct err *err) {
    struct listing l = {0};
    (void)err;
    store_topics(embedded_of(b)->store, list_topic, &l);
    int r = 0;
    for (size_t i = 0; i < l.n; i++) {
        if (!r) r = each(arg, &l.items[i]);
        free((char *)(uintptr_t)l.items[i].name);
    }
    free(l.items);
    return 0;
}

static int partition_look(struct backend *b, const char *topic, int32_t index, struct partition_info *ret, struct err *err) {
    struct topic *t = topic_get(embedded_of(b)->store, topic);
    struct partition *p = t ? topic_partition(t, index) : NULL;
    struct partition_offsets o;
    struct partition_activity a;
    if (p) partition_offsets(p, &o), partition_activity(p, &a);
    topic_unref(t);
    if (!p) return err_set(err, ERR_NOT_FOUND, "partition %s-%d: does not exist", topic, index);
    *ret = (struct partition_info){o.log_start, o.high_watermark, o.last_stable, o.bytes, o.segments, a};
    return 0;
}

// ── positions and offsets ──

static void put_prefix(struct buf *out, const char *connector) {
    buf_putz(out, "[\"");
    json_escape(out, str_of(connector));
    buf_putz(out, "\",");
}

void embedded_position_key(struct buf *out, const char *connector, struct str partition) {
    put_prefix(out, connector);
    buf_puts(out, partition);
    buf_u8(out, ']');
}

struct pairs { struct arena texts; struct kvmap_entry *items; size_t n, cap; };
static int take_pair(void *arg, struct str key, struct str value) {
    struct pairs *p = arg;
    VEC_PUSH(p->items, p->n, p->cap, ((struct kvmap_entry){arena_copy(&p->texts, key), arena_copy(&p->texts, value)}));
    return 0;
}
// Copies of the map's entries below a prefix, so that `each` may do what it likes.
static void copy_pairs(struct kvmap *m, struct str prefix, struct pairs *ret) {
    *ret = (struct pairs){0};
    kvmap_each(m, prefix, take_pair, ret);
}
static void pairs_done(struct pairs *p) {
    arena_done(&p->texts);
    free(p->items);
}

static int positions(struct backend *b, const char *connector, int (*each)(void *, struct str, struct str), void *arg, struct err *err) {
    struct buf prefix = {0};
    struct pairs p;
    struct kvmap *m = embedded_map(embedded_of(b), POSITIONS_TOPIC, err);
    if (!m) return -1;
    put_prefix(&prefix, connector);
    copy_pairs(m, buf_str(&prefix), &p);
    int r = 0;
    for (size_t i = 0; i < p.n && !r; i++) {
        struct str partition = str_from(p.items[i].key, prefix.n);
        if (partition.n) partition.n--; // the bracket
        r = each(arg, partition, p.items[i].value);
    }
    pairs_done(&p);
    buf_done(&prefix);
    return 0;
}

static int positions_set(struct backend *b, const char *connector, const struct backend_position *list, size_t n, struct err *err) {
    struct kvmap *m = embedded_map(embedded_of(b), POSITIONS_TOPIC, err);
    if (!m) return -1;
    struct kvmap_entry *entries = xcalloc(n + 1, sizeof(*entries));
    struct arena keys = {0};
    for (size_t i = 0; i < n; i++) {
        struct buf key = {0};
        embedded_position_key(&key, connector, list[i].partition);
        entries[i] = (struct kvmap_entry){arena_copy(&keys, buf_str(&key)), list[i].offset};
        buf_done(&key);
    }
    int r = kvmap_put(m, entries, n, err);
    arena_done(&keys);
    free(entries);
    return r;
}

struct offset_list { struct backend_offset *items; size_t n, cap; };
static int take_offset(void *arg, const struct group_offset *g) {
    struct offset_list *l = arg;
    VEC_PUSH(l->items, l->n, l->cap, ((struct backend_offset){xstrdup(g->topic), g->partition, g->offset, g->topic_id}));
    return 0;
}

static int group_offsets(struct backend *b, const char *group, int (*each)(void *, const struct backend_offset *), void *arg, struct err *err) {
    struct offset_list l = {0};
    if (offsets_each(embedded_of(b)->offsets, group, take_offset, &l, err) != 0) return -1;
    int r = 0;
    for (size_t i = 0; i < l.n; i++) {
        if (!r) r = each(arg, &l.items[i]);
        free((char *)(uintptr_t)l.items[i].topic);
    }
    free(l.items);
    return 0;
}

struct group_offset embedded_group_offset(const struct backend_offset *o) {
    return (struct group_offset){.topic = o->topic, .partition = o->partition, .offset = o->offset, .leader_epoch = -1, .topic_id = o->topic_id};
}

static int offsets_set(struct backend *b, const char *group, const struct backend_offset *list, size_t n, struct err *err) {
    struct embedded *e = embedded_of(b);
    struct group_offset *to = xcalloc(n + 1, sizeof(*to));
    for (size_t i = 0; i < n; i++) to[i] = embedded_group_offset(&list[i]);
    int r = offsets_commit(e->offsets, group, to, n, err);
    for (size_t i = 0; i < n && r == 0; i++) embedded_hold(e, group, list[i].topic, list[i].partition, list[i].offset);
    free(to);
    return r;
}

// ── retention waits for our sinks ──

void embedded_hold(struct embedded *e, const char *group, const char *topic, int32_t partition, int64_t offset) {
    struct topic *t = topic_get(e->store, topic);
    struct partition *p = t ? topic_partition(t, partition) : NULL;
    if (p) partition_hold(p, group, offset < 0 ? INT64_MAX : offset);
    topic_unref(t);
}

static void on_lost(void *arg, struct partition *p, const char *holder, int64_t first, int64_t last, bool damaged) {
    struct embedded *e = arg;
    if (e->lost) e->lost(e->lost_arg, holder, partition_topic(p), partition_index(p), first, last, damaged);
}

static void listen_lost(struct backend *b, void (*lost)(void *, const char *, const char *, int32_t, int64_t, int64_t, bool), void *arg) {
    struct embedded *e = embedded_of(b);
    e->lost_arg = arg;
    e->lost = lost;
}

struct names { char **items; size_t n, cap; };
static int take_name(void *arg, const char *name) {
    struct names *l = arg;
    VEC_PUSH(l->items, l->n, l->cap, xstrdup(name));
    return 0;
}

static int hold_all(void *arg, struct topic *t) {
    (void)arg;
    for (int32_t i = 0; i < topic_partitions(t) && !topic_is_internal(topic_name(t)); i++) {
        struct partition_offsets o;
        partition_offsets(topic_partition(t, i), &o);
        partition_hold(topic_partition(t, i), OFFSETS_TOPIC, o.log_start);
    }
    return 0;
}

// From the start on, also for sinks that are not running yet. What those have read whose offsets are damaged nobody knows: then nothing goes
// but for the budget, until they are mended.
static void hold_for_sinks(struct embedded *e) {
    struct names groups = {0};
    if (offsets_damage(e->offsets)->n) store_topics(e->store, hold_all, NULL);
    offsets_groups(e->offsets, take_name, &groups);
    for (size_t i = 0; i < groups.n; i++) {
        struct offset_list l = {0};
        if (str_starts(str_of(groups.items[i]), STR("connect-"))) (void)!offsets_each(e->offsets, groups.items[i], take_offset, &l, NULL);
        for (size_t k = 0; k < l.n; k++) {
            embedded_hold(e, groups.items[i], l.items[k].topic, l.items[k].partition, l.items[k].offset);
            free((char *)(uintptr_t)l.items[k].topic);
        }
        free(l.items);
        free(groups.items[i]);
    }
    free(groups.items);
}

// ── maps ──

struct state_map {
    struct kvmap *map; // NULL: it could not be loaded
    struct err why;
};

static void state_map_close(void *value) {
    struct state_map *m = value;
    kvmap_close(m->map);
    free(m);
}

static void say_damaged(void *arg, const char *topic, int32_t partition, const struct err *why) {
    (void)arg;
    say_err(SAY_WARN, why, "what depends on %s-%d is refused", topic, partition);
}

// One map over a topic, or they would not see each other's changes. What could not be read for want of memory is read again.
struct kvmap *embedded_map(struct embedded *e, const char *topic, struct err *err) {
    LOCK_SCOPE(&e->lock);
    struct state_map *m = map_get(&e->maps, str_of(topic));
    if (!m) {
        struct state_map fresh = {0};
        if (kvmap_store_open(e->store, e->clock, topic, &fresh.map, &fresh.why) != 0 && fresh.why.code != ERR_CORRUPT) return *err = fresh.why, NULL;
        if (!fresh.map) say_damaged(NULL, topic, 0, &fresh.why);
        m = xmemdup(&fresh, sizeof(fresh));
        map_put(&e->maps, str_of(topic), m);
    }
    if (!m->map) *err = m->why;
    return m->map;
}

static int map_load(struct backend *b, const char *topic, int (*each)(void *, struct str, struct str), void *arg, struct err *err) {
    struct kvmap *m = embedded_map(embedded_of(b), topic, err);
    struct pairs p;
    if (!m) return -1;
    copy_pairs(m, (struct str){"", 0}, &p);
    int r = 0;
    for (size_t i = 0; i < p.n && !r; i++) r = each(arg, p.items[i].key, p.items[i].value);
    pairs_done(&p);
    return r ? err_set(err, ERR_CANCELLED, "map %s: loading was stopped", topic) : 0;
}

static int map_write(struct backend *b, const char *topic, const struct backend_position *list, size_t n, struct err *err) {
    struct kvmap *m = embedded_map(embedded_of(b), topic, err);
    if (!m) return -1;
    struct kvmap_entry *entries = xcalloc(n + 1, sizeof(*entries));
    for (size_t i = 0; i < n; i++) entries[i] = (struct kvmap_entry){list[i].partition, list[i].offset};
    int r = kvmap_put(m, entries, n, err);
    free(entries);
    return r;
}

// ── status and life ──

static int json_txn(void *arg, const struct txn_state *s) {
    struct json_writer *w = arg;
    if (!s->partitions) return 0;
    json_object(w);
    json_kz(w, "id", s->id);
    json_kz(w, "state", s->status);
    json_ki(w, "partitions", s->partitions);
    json_ki(w, "bytes", (int64_t)s->bytes);
    json_ki(w, "since", s->start_ms);
    json_object_end(w);
    return 0;
}

// The internal topics' partitions that could not be loaded, whether the log itself knows that they are damaged or not.
static void each_damaged(struct embedded *e, void (*each)(void *arg, const char *topic, int32_t partition, const struct err *why), void *arg) {
    const struct damage *both[] = {offsets_damage(e->offsets), txns_damage(e->txns)};
    size_t at = 0;
    for (size_t k = 0; k < countof(both); k++)
        for (size_t i = 0; i < both[k]->n; i++) each(arg, both[k]->items[i].topic, both[k]->items[i].partition, &both[k]->items[i].why);
    LOCK_SCOPE(&e->lock);
    for (struct map_entry *entry; (entry = map_next(&e->maps, &at));) {
        const struct state_map *m = entry->value;
        if (!m->map) each(arg, entry->key.p, 0, &m->why);
    }
}

static void json_damaged(void *arg, const char *topic, int32_t partition, const struct err *why) {
    struct json_writer *w = arg;
    json_object(w);
    json_kz(w, "topic", topic);
    json_ki(w, "partition", partition);
    json_kz(w, "reason", why->msg);
    json_kz(w, "hint", why->hint);
    json_object_end(w);
}

static void status_json(struct backend *b, struct json_writer *w) {
    struct embedded *e = embedded_of(b);
    json_object(w);
    json_kz(w, "type", "embedded");
    json_key(w, STR("log"));
    store_status_json(e->store, w);
    json_key(w, STR("transactions"));
    json_array(w);
    txns_each(e->txns, json_txn, w);
    json_array_end(w);
    json_ki(w, "undecided_transactions", e->undecided);
    json_key(w, STR("damaged"));
    json_array(w);
    each_damaged(e, json_damaged, w);
    json_array_end(w);
    json_object_end(w);
}

static void close_backend(struct backend *b) {
    struct embedded *e = embedded_of(b);
    store_on_lost(e->store, NULL, NULL);
    map_done(&e->maps, state_map_close);
    offsets_close(e->offsets);
    txns_close(e->txns);
    pthread_mutex_destroy(&e->lock);
    free(e);
}

struct offsets *backend_embedded_offsets(struct backend *b) { return embedded_of(b)->offsets; }
struct txns *backend_embedded_txns(struct backend *b) { return embedded_of(b)->txns; }

static const struct backend_ops ops = {
    .name = "embedded",
    .close = close_backend,
    .topic_ensure = topic_ensure,
    .topic_delete = topic_delete,
    .topic_alter = topic_alter,
    .topic_settings = topic_settings_list,
    .delete_records = delete_records,
    .topics = topics,
    .partition = partition_look,
    .producer_open = embedded_producer_open,
    .producer_close = embedded_producer_close,
    .add = embedded_add,
    .pending_bytes = embedded_pending_bytes,
    .commit = embedded_commit,
    .retry = embedded_retry,
    .abort = embedded_abort,
    .positions = positions,
    .offsets = group_offsets,
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
    .on_lost = listen_lost,
    .map_load = map_load,
    .map_put = map_write,
    .status_json = status_json,
};

int backend_embedded_open(const struct embedded_options *o, struct backend **ret, struct err *err) {
    struct embedded *e = xcalloc(1, sizeof(*e));
    struct err why;
    struct txns_report report;
    *e = (struct embedded){.base = {&ops}, .store = o->store, .default_partitions = o->default_partitions > 0 ? o->default_partitions : 1, .codec = o->compression, .clock = o->clock ? o->clock : &clock_real};
    e->commit_max = o->commit_max_bytes ? o->commit_max_bytes : 15 << 20;
    pthread_mutex_init(&e->lock, NULL);
    if (txns_open(e->store, e->clock, o->txn_partitions, &e->txns, &report, err) != 0) goto no_txns;
    if (offsets_open(e->store, e->clock, o->offsets_partitions, &e->offsets, err) != 0) goto no_offsets;
    each_damaged(e, say_damaged, NULL);
    if (!embedded_map(e, POSITIONS_TOPIC, &why) && why.code != ERR_CORRUPT) {
        *err = why;
        goto no_positions;
    }
    e->undecided = report.undecided;
    if (e->undecided) say(SAY_WARN, "%u open transactions stay undecided, because a partition of " TXN_TOPIC " is damaged: readers wait before them", e->undecided);
    hold_for_sinks(e);
    store_on_lost(e->store, on_lost, e);
    *ret = &e->base;
    return 0;
no_positions:
    offsets_close(e->offsets);
no_offsets:
    txns_close(e->txns);
no_txns:
    pthread_mutex_destroy(&e->lock);
    free(e);
    return -1;
}
