// SPDX-License-Identifier: Apache-2.0
// The map in memory, and its log over a topic of a store.
#include "coord/kvmap.h"

#include "base/map.h"
#include "base/mem.h"
#include "base/thread.h"
#include "coord/damage.h"
#include "store/scan.h"
#include "wait.h"

struct value {
    size_t n;
    char p[];
};

struct kvmap {
    pthread_mutex_t lock;        // guards map
    struct map map;              // key → struct value
    pthread_mutex_t log_lock;    // one call of the log at a time; before lock. Guards next
    struct kvmap_log *log;
    int64_t next;                // offset to read on from
    struct store *store;         // of a map over a store, as what follows; else NULL
    struct clock *clock;
    struct partition *partition;
};

// ── memory ───────────────────────────────────────────────────────────────────────────────────────────────────────────

static void apply(struct kvmap *m, struct str key, struct str value) {
    if (!value.p) {
        free(map_remove(&m->map, key));
        return;
    }
    struct value *v = xmalloc(sizeof(*v) + value.n);
    v->n = value.n;
    memcpy(v->p, value.p, value.n);
    free(map_put(&m->map, key, v));
}

static void apply_read(void *arg, struct str key, struct str value) {
    struct kvmap *m = arg;
    LOCK_SCOPE(&m->lock);
    apply(m, key, value);
}

bool kvmap_get(struct kvmap *m, struct str key, struct buf *ret) {
    LOCK_SCOPE(&m->lock);
    const struct value *v = map_get(&m->map, key);
    if (v) buf_put(ret, v->p, v->n);
    return v != NULL;
}

size_t kvmap_count(struct kvmap *m) {
    LOCK_SCOPE(&m->lock);
    return m->map.n;
}

int kvmap_each(struct kvmap *m, struct str prefix, int (*each)(void *arg, struct str key, struct str value), void *arg) {
    LOCK_SCOPE(&m->lock);
    _cleanup_free_ struct map_entry **sorted = map_sorted(&m->map);
    for (size_t i = 0; i < m->map.n; i++) {
        const struct value *v = sorted[i]->value;
        if (!str_starts(sorted[i]->key, prefix)) continue;
        int stop = each(arg, sorted[i]->key, str_make(v->p, v->n));
        if (stop) return stop;
    }
    return 0;
}

// ── over any log ─────────────────────────────────────────────────────────────────────────────────────────────────────

int kvmap_refresh(struct kvmap *m, struct err *err) {
    LOCK_SCOPE(&m->log_lock);
    return m->log->ops->read(m->log, &m->next, apply_read, m, err);
}

void kvmap_close(struct kvmap *m) {
    if (!m) return;
    m->log->ops->close(m->log);
    map_done(&m->map, free);
    pthread_mutex_destroy(&m->lock);
    pthread_mutex_destroy(&m->log_lock);
    free(m);
}

int kvmap_open(struct kvmap_log *log, struct kvmap **ret, struct err *err) {
    struct kvmap *m = xcalloc(1, sizeof(*m));
    pthread_mutex_init(&m->lock, NULL);
    pthread_mutex_init(&m->log_lock, NULL);
    m->log = log;
    if (kvmap_refresh(m, err) < 0) {
        kvmap_close(m);
        return -1;
    }
    *ret = m;
    return 0;
}

static int put_in_commit(struct kvmap *m, const struct kvmap_entry *entries, size_t n, struct err *err);

// What was appended is read back: so it falls into its place among what others appended.
int kvmap_put(struct kvmap *m, const struct kvmap_entry *entries, size_t n, struct err *err) {
    if (!n) return 0;
    if (m->partition) return put_in_commit(m, entries, n, err);
    pthread_mutex_lock(&m->log_lock);
    int failed = m->log->ops->append(m->log, entries, n, err);
    pthread_mutex_unlock(&m->log_lock);
    return failed ? -1 : kvmap_refresh(m, err);
}

// ── over a store ─────────────────────────────────────────────────────────────────────────────────────────────────────

struct store_log {
    struct kvmap_log log;
    struct topic *topic;
    struct partition *partition;
};

static int store_read(struct kvmap_log *l, int64_t *next, void (*each)(void *arg, struct str key, struct str value), void *arg, struct err *err) {
    struct store_log *log = container_of(l, struct store_log, log);
    struct scan s;
    struct record r;
    int got;
    scan_init(&s, log->partition, *next);
    while ((got = scan_next(&s, &r, err)) > 0)
        if (r.key.p) each(arg, r.key, r.value);
    *next = s.next;
    scan_done(&s);
    return got < 0 ? -1 : 0;
}

static void store_log_close(struct kvmap_log *l) {
    struct store_log *log = container_of(l, struct store_log, log);
    topic_unref(log->topic);
    free(log);
}

static const struct kvmap_log_ops store_log_ops = {.read = store_read, .close = store_log_close};

int kvmap_store_open(struct store *s, struct clock *clock, const char *topic, struct kvmap **ret, struct err *err) {
    struct topic *t;
    struct kvmap *m;
    if (coord_topic(s, topic, 1, &t, err) < 0) return -1;
    struct store_log *log = xcalloc(1, sizeof(*log));
    *log = (struct store_log){{&store_log_ops}, t, topic_partition(t, 0)};
    struct err why;
    if (kvmap_open(&log->log, &m, &why) < 0) {
        (void)!damage_of(topic, 0, &why);
        if (err) *err = why;
        return -1;
    }
    m->store = s;
    m->clock = clock;
    m->partition = log->partition;
    *ret = m;
    return 0;
}

// A change is the batch's records once more: keys and values one after the other.
struct kvmap_change {
    struct kvmap *map;
    size_t n;
    struct kvmap_entry *entries; // into bytes
    char bytes[];
};

static struct kvmap_change *change_new(struct kvmap *m, const struct kvmap_entry *entries, size_t n) {
    size_t size = 0;
    for (size_t i = 0; i < n; i++) size += entries[i].key.n + (entries[i].value.p ? entries[i].value.n : 0);
    struct kvmap_change *ch = xmalloc(sizeof(*ch) + size);
    *ch = (struct kvmap_change){m, n, xcalloc(n, sizeof(*entries))};
    char *to = ch->bytes;
    for (size_t i = 0; i < n; i++) {
        ch->entries[i].key = str_make(memcpy(to, entries[i].key.p, entries[i].key.n), entries[i].key.n);
        to += entries[i].key.n;
        if (!entries[i].value.p) continue;
        ch->entries[i].value = str_make(memcpy(to, entries[i].value.p, entries[i].value.n), entries[i].value.n);
        to += entries[i].value.n;
    }
    return ch;
}

static void change_free(struct kvmap_change *ch) {
    free(ch->entries);
    free(ch);
}

void kvmap_settle(struct kvmap_change *ch, const struct err *err) {
    if (!ch) return;
    if (!err) {
        LOCK_SCOPE(&ch->map->lock);
        for (size_t i = 0; i < ch->n; i++) apply(ch->map, ch->entries[i].key, ch->entries[i].value);
    }
    change_free(ch);
}

int kvmap_append(struct kvmap *m, struct commit *c, const struct kvmap_entry *entries, size_t n, struct kvmap_change **ret, struct err *err) {
    struct buf bytes = {0};
    struct batch_builder b;
    int64_t now = clock_wall_ms(m->clock);
    batch_begin(&b, &bytes, CODEC_NONE);
    for (size_t i = 0; i < n; i++) batch_add(&b, now, entries[i].key, entries[i].value, NULL, 0);
    if (batch_end(&b, err) < 0 || (bytes.n && commit_append(c, m->partition, &bytes, true, err) < 0)) {
        buf_done(&bytes);
        return -1;
    }
    *ret = n ? change_new(m, entries, n) : NULL;
    return 0;
}

static void settle(void *arg, const struct err *err) { kvmap_settle(arg, err); }

static int put_in_commit(struct kvmap *m, const struct kvmap_entry *entries, size_t n, struct err *err) {
    struct kvmap_change *ch;
    struct commit *c = commit_new(m->store);
    if (kvmap_append(m, c, entries, n, &ch, err) < 0) {
        commit_free(c);
        return -1;
    }
    return coord_commit(m->store, c, settle, ch, err);
}
