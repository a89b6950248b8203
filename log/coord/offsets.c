// SPDX-License-Identifier: Apache-2.0
// Group offsets: a map of groups, each a map from {topic, partition} to the last durable commit.
#include "coord/offsets.h"

#include "base/map.h"
#include "base/mem.h"
#include "base/thread.h"
#include "coord/records.h"
#include "store/scan.h"
#include "wait.h"

enum { METADATA_MAX = 4096 };

struct entry {
    int64_t offset, commit_ms;
    struct uuid topic_id;
    int32_t leader_epoch;
    size_t metadata_n;
    char metadata[];
};

struct group {
    struct map entries; // {topic, 0, int32 partition} → struct entry, in that byte order: by topic, then partition
};

struct offsets {
    struct store *store;
    struct clock *clock;
    int32_t partitions;
    uint32_t skipped;
    struct damage damage;   // set at open. What memory holds of such a partition is never shown
    pthread_mutex_t making; // one call makes the topic; before lock
    pthread_mutex_t lock;   // guards all below
    struct topic *topic;    // NULL until first use
    struct map groups;      // name → struct group, never empty
};

// ── memory ───────────────────────────────────────────────────────────────────────────────────────────────────────────

static void entry_key(struct buf *key, struct str topic, int32_t partition) {
    buf_clear(key);
    buf_puts(key, topic);
    buf_u8(key, 0);
    buf_be32(key, (uint32_t)partition);
}

static void group_free(void *arg) {
    struct group *g = arg;
    map_done(&g->entries, free);
    free(g);
}

static void forget(struct offsets *o, struct str group, const struct buf *key) {
    struct group *g = map_get(&o->groups, group);
    if (!g) return;
    free(map_remove(&g->entries, buf_str(key)));
    if (!g->entries.n) group_free(map_remove(&o->groups, group));
}

static void remember(struct offsets *o, struct str group, const struct buf *key, const struct offset_value *v) {
    struct group *g = map_get(&o->groups, group);
    if (!g) map_put(&o->groups, group, g = xcalloc(1, sizeof(*g)));
    struct entry *e = xmalloc(sizeof(*e) + v->metadata.n);
    *e = (struct entry){v->offset, v->commit_ms, v->topic_id, v->leader_epoch, v->metadata.n};
    if (v->metadata.n) memcpy(e->metadata, v->metadata.p, v->metadata.n);
    free(map_put(&g->entries, buf_str(key), e));
}

// Zero when there is no such topic.
static struct uuid id_of_topic(struct offsets *o, const char *name) {
    struct topic *t = topic_get(o->store, name);
    struct uuid id = t ? topic_id(t) : (struct uuid){{0}};
    topic_unref(t);
    return id;
}

// Whether the entry is of the topic that has the name today. Entries of old clients do not say.
static bool is_current(struct offsets *o, const struct entry *e, const char *topic) {
    return uuid_is_zero(e->topic_id) || uuid_eq(e->topic_id, id_of_topic(o, topic));
}

// ── loading ──────────────────────────────────────────────────────────────────────────────────────────────────────────

static void load_record(struct offsets *o, const struct record *r, struct buf *key) {
    struct offsets_key k;
    struct offset_value v;
    struct err err;
    if (offsets_key_decode(r->key, &k, &err) < 0 || (k.kind == OFFSETS_KEY_COMMIT && r->value.p && offset_value_decode(r->value, &v, &err) < 0)) {
        o->skipped++;
        return;
    }
    if (k.kind != OFFSETS_KEY_COMMIT) return;
    entry_key(key, k.topic, k.partition);
    if (r->value.p) remember(o, k.group, key, &v);
    else forget(o, k.group, key);
}

static int load_partition(struct offsets *o, int32_t i, struct buf *key, struct err *err) {
    struct scan s;
    struct record r;
    int got;
    scan_init(&s, topic_partition(o->topic, i), 0);
    while ((got = scan_next(&s, &r, err)) > 0) load_record(o, &r, key);
    scan_done(&s);
    return got < 0 ? damage_note(&o->damage, OFFSETS_TOPIC, i, err) : 0;
}

int offsets_open(struct store *s, struct clock *clock, int32_t partitions, struct offsets **ret, struct err *err) {
    struct offsets *o = xcalloc(1, sizeof(*o));
    struct buf key = {0};
    int failed = 0;
    pthread_mutex_init(&o->making, NULL);
    pthread_mutex_init(&o->lock, NULL);
    o->store = s;
    o->clock = clock;
    o->partitions = partitions > 0 ? partitions : COORD_PARTITIONS;
    o->topic = topic_get(s, OFFSETS_TOPIC);
    for (int32_t i = 0; o->topic && !failed && i < topic_partitions(o->topic); i++) failed = load_partition(o, i, &key, err);
    buf_done(&key);
    if (failed) {
        offsets_close(o);
        return -1;
    }
    *ret = o;
    return 0;
}

void offsets_close(struct offsets *o) {
    if (!o) return;
    topic_unref(o->topic);
    map_done(&o->groups, group_free);
    damage_done(&o->damage);
    pthread_mutex_destroy(&o->making);
    pthread_mutex_destroy(&o->lock);
    free(o);
}

uint32_t offsets_skipped(const struct offsets *o) { return o->skipped; }
const struct damage *offsets_damage(const struct offsets *o) { return &o->damage; }

static int check(const struct offsets *o, struct str group, struct err *err) {
    if (!o->damage.n || !damage_check(&o->damage, coord_partition(group, topic_partitions(o->topic)), err)) return 0;
    return err_wrap(err, "group %.*s", STR_FMT(group));
}

int offsets_check(struct offsets *o, const char *group, struct err *err) { return check(o, str_of(group), err); }

// The topic is made by the first commit.
static struct topic *topic_of(struct offsets *o, struct err *err) {
    LOCK_SCOPE(&o->making);
    struct topic *t = NULL;
    pthread_mutex_lock(&o->lock);
    t = o->topic;
    pthread_mutex_unlock(&o->lock);
    if (t || coord_topic(o->store, OFFSETS_TOPIC, o->partitions, &t, err) < 0) return t;
    LOCK_SCOPE(&o->lock);
    return o->topic = t;
}

// ── committing ───────────────────────────────────────────────────────────────────────────────────────────────────────

struct one { struct buf key; struct offset_value value; }; // value.offset < 0: deleted
struct offsets_change {
    struct offsets *o;
    struct arena memory; // this struct, too, is in it
    struct str group;
    size_t n;
    struct one *list;
};

static struct offsets_change *change_new(struct offsets *o, const char *group, const struct group_offset *list, size_t n, int64_t now) {
    struct arena memory = {0};
    struct buf key = {0};
    struct offsets_change *ch = arena_zalloc(&memory, sizeof(*ch));
    ch->o = o;
    ch->group = arena_copy(&memory, str_of(group));
    ch->n = n;
    ch->list = arena_zalloc(&memory, n * sizeof(*ch->list));
    for (size_t i = 0; i < n; i++) {
        struct one *one = &ch->list[i];
        entry_key(&key, str_of(list[i].topic), list[i].partition);
        struct str copy = arena_copy(&memory, buf_str(&key));
        one->key = (struct buf){.p = (uint8_t *)(uintptr_t)copy.p, .n = copy.n};
        one->value = (struct offset_value){list[i].offset, list[i].leader_epoch, arena_copy(&memory, list[i].metadata), now, -1, list[i].topic_id};
    }
    buf_done(&key);
    ch->memory = memory;
    return ch;
}

void offsets_settle(struct offsets_change *ch, const struct err *err) {
    if (!ch) return;
    if (!err) {
        LOCK_SCOPE(&ch->o->lock);
        for (size_t i = 0; i < ch->n; i++) {
            if (ch->list[i].value.offset < 0) forget(ch->o, ch->group, &ch->list[i].key);
            else remember(ch->o, ch->group, &ch->list[i].key, &ch->list[i].value);
        }
    }
    struct arena memory = ch->memory;
    arena_done(&memory);
}

static int check_list(const char *group, const struct group_offset *list, size_t n, struct err *err) {
    if (!*group || strlen(group) > INT16_MAX) return err_set(err, ERR_INVALID, "group id of %zu bytes", strlen(group));
    for (size_t i = 0; i < n; i++) {
        if (list[i].metadata.n > METADATA_MAX)
            return err_set(err, ERR_TOO_LARGE, "group %s: offset metadata of %zu bytes, the most is %d", group, list[i].metadata.n, METADATA_MAX);
        if (list[i].partition < 0 || strlen(list[i].topic) > INT16_MAX)
            return err_set(err, ERR_INVALID, "group %s: no such partition: %s-%d", group, list[i].topic, list[i].partition);
    }
    return 0;
}

static int build(struct buf *out, const char *group, const struct group_offset *list, size_t n, int64_t now, struct err *err) {
    struct batch_builder b;
    struct buf key = {0}, value = {0};
    batch_begin(&b, out, CODEC_NONE);
    for (size_t i = 0; i < n; i++) {
        const struct group_offset *g = &list[i];
        buf_clear(&key);
        buf_clear(&value);
        offsets_key_encode(&key, &(struct offsets_key){.kind = OFFSETS_KEY_COMMIT, .group = str_of(group), .topic = str_of(g->topic), .partition = g->partition});
        offset_value_encode(&value, &(struct offset_value){g->offset, g->leader_epoch, g->metadata, now, -1, g->topic_id});
        batch_add(&b, now, buf_str(&key), g->offset < 0 ? (struct str){NULL, 0} : buf_str(&value), NULL, 0);
    }
    buf_done(&key);
    buf_done(&value);
    return batch_end(&b, err);
}

// Leaves out what was read of a topic that has been deleted since, and says of the rest which topic it is.
static size_t keep_current(struct offsets *o, const struct group_offset *list, size_t n, struct group_offset *ret) {
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        struct uuid now = id_of_topic(o, list[i].topic);
        if (list[i].offset >= 0 && !uuid_is_zero(list[i].topic_id) && !uuid_eq(list[i].topic_id, now)) continue;
        ret[kept] = list[i];
        ret[kept++].topic_id = now;
    }
    return kept;
}

static int append(struct offsets *o, struct commit *c, const char *group, const struct group_offset *list, size_t n, struct offsets_change **ret,
                  struct err *err) {
    struct buf bytes = {0};
    int64_t now = clock_wall_ms(o->clock);
    struct topic *t = topic_of(o, err);
    if (!t) return -1;
    struct partition *p = topic_partition(t, coord_partition(str_of(group), topic_partitions(t)));
    if (build(&bytes, group, list, n, now, err) < 0 || commit_append(c, p, &bytes, true, err) < 0) {
        buf_done(&bytes);
        return err_wrap(err, "group %s", group);
    }
    *ret = change_new(o, group, list, n, now);
    return 0;
}

int offsets_append(struct offsets *o, struct commit *c, const char *group, const struct group_offset *list, size_t n, struct offsets_change **ret,
                   struct err *err) {
    *ret = NULL;
    if (!n) return 0;
    if (check_list(group, list, n, err) < 0 || offsets_check(o, group, err) < 0) return -1;
    _cleanup_free_ struct group_offset *current = xcalloc(n, sizeof(*current));
    n = keep_current(o, list, n, current);
    return n ? append(o, c, group, current, n, ret, err) : 0;
}

static void settle(void *arg, const struct err *err) { offsets_settle(arg, err); }

int offsets_commit(struct offsets *o, const char *group, const struct group_offset *list, size_t n, struct err *err) {
    struct offsets_change *ch;
    struct commit *c = commit_new(o->store);
    int failed = offsets_append(o, c, group, list, n, &ch, err);
    if (!failed && ch) return coord_commit(o->store, c, settle, ch, err);
    commit_free(c);
    return failed;
}

// ── answering ────────────────────────────────────────────────────────────────────────────────────────────────────────

int offsets_get(struct offsets *o, const char *group, const char *topic, int32_t partition, int64_t *ret, struct err *err) {
    struct buf key = {0};
    if (offsets_check(o, group, err) < 0) return -1;
    entry_key(&key, str_of(topic), partition);
    pthread_mutex_lock(&o->lock);
    const struct group *g = map_get(&o->groups, str_of(group));
    const struct entry *e = g ? map_get(&g->entries, buf_str(&key)) : NULL;
    *ret = e && is_current(o, e, topic) ? e->offset : -1;
    pthread_mutex_unlock(&o->lock);
    buf_done(&key);
    return 0;
}

static struct group_offset answer(const struct map_entry *m) {
    const struct entry *e = m->value;
    size_t topic_n = m->key.n - 1 - sizeof(int32_t); // the key's NUL ends the topic
    return (struct group_offset){
        .topic = m->key.p,
        .partition = (int32_t)get_be32((const uint8_t *)m->key.p + topic_n + 1),
        .offset = e->offset,
        .leader_epoch = e->leader_epoch,
        .metadata = str_make(e->metadata, e->metadata_n),
        .commit_ms = e->commit_ms,
        .topic_id = e->topic_id,
    };
}

int offsets_each(struct offsets *o, const char *group, int (*each)(void *arg, const struct group_offset *g), void *arg, struct err *err) {
    if (offsets_check(o, group, err) < 0) return -1;
    LOCK_SCOPE(&o->lock);
    const struct group *g = map_get(&o->groups, str_of(group));
    if (!g) return 0;
    _cleanup_free_ struct map_entry **sorted = map_sorted(&g->entries);
    for (size_t i = 0; i < g->entries.n; i++) {
        struct group_offset a = answer(sorted[i]);
        int stop = is_current(o, sorted[i]->value, a.topic) ? each(arg, &a) : 0;
        if (stop) return stop;
    }
    return 0;
}

int offsets_groups(struct offsets *o, int (*each)(void *arg, const char *group), void *arg) {
    LOCK_SCOPE(&o->lock);
    _cleanup_free_ struct map_entry **sorted = map_sorted(&o->groups);
    for (size_t i = 0; i < o->groups.n; i++) {
        int stop = check(o, sorted[i]->key, NULL) < 0 ? 0 : each(arg, sorted[i]->key.p);
        if (stop) return stop;
    }
    return 0;
}

struct deletion {
    struct arena names;
    struct group_offset *list;
    size_t n, cap;
};

static void delete_one(struct deletion *d, const struct group_offset *g) {
    struct group_offset one = {.topic = arena_copy(&d->names, str_of(g->topic)).p, .partition = g->partition, .offset = -1};
    VEC_PUSH(d->list, d->n, d->cap, one);
}

// Those of one topic, or all.
static void gather(struct offsets *o, const char *group, const char *topic, struct deletion *d) {
    LOCK_SCOPE(&o->lock);
    const struct group *g = map_get(&o->groups, str_of(group));
    size_t at = 0;
    for (struct map_entry *m; g && (m = map_next(&g->entries, &at));) {
        struct group_offset a = answer(m);
        if (!topic || !strcmp(a.topic, topic)) delete_one(d, &a);
    }
}

static int delete_gathered(struct offsets *o, const char *group, struct deletion *d, struct err *err) {
    int failed = offsets_commit(o, group, d->list, d->n, err);
    arena_done(&d->names);
    free(d->list);
    return failed;
}

struct names { struct arena memory; char **items; size_t n, cap; };
static int note_name(void *arg, const char *group) {
    struct names *l = arg;
    VEC_PUSH(l->items, l->n, l->cap, (char *)(uintptr_t)arena_copy(&l->memory, str_of(group)).p);
    return 0;
}

void offsets_forget_topic(struct offsets *o, const char *topic) {
    struct names groups = {0};
    struct err err;
    int failed = 0;
    offsets_groups(o, note_name, &groups);
    for (size_t i = 0; i < groups.n && !failed; i++) {
        struct deletion d = {0};
        gather(o, groups.items[i], topic, &d);
        failed = delete_gathered(o, groups.items[i], &d, &err);
    }
    arena_done(&groups.memory);
    free(groups.items);
}

int offsets_delete_group(struct offsets *o, const char *group, struct err *err) {
    struct deletion d = {0};
    if (offsets_check(o, group, err) < 0) return -1;
    gather(o, group, NULL, &d);
    if (!d.n) return err_set(err, ERR_NOT_FOUND, "group %s: no offsets", group);
    return delete_gathered(o, group, &d, err);
}
