// SPDX-License-Identifier: Apache-2.0
// Topics and partitions as handles: references, names, settings, holds.
#include <inttypes.h>
#include <stdio.h>

#include "catalogue.h"
#include "store_int.h"

// ── life ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

struct topic *topic_new(struct store *s, uint32_t id, struct uuid uuid, struct str name, struct settings *settings) {
    struct topic *t = xcalloc(1, sizeof(*t));
    t->store = s;
    t->id = id;
    t->uuid = uuid;
    t->name = str_dup(name);
    atomic_init(&t->refs, 1);
    atomic_init(&t->settings, settings);
    pthread_rwlock_init(&t->folders, NULL);
    return t;
}

struct topic *topic_ref(struct topic *t) {
    atomic_fetch_add_explicit(&t->refs, 1, memory_order_relaxed);
    return t;
}

static void partition_free(struct partition *p) {
    partition_forget(p);
    for (struct hold *h = p->holds, *next; h; h = next) {
        next = h->next;
        free(h);
    }
    free(p->segs);
    free(p->hints);
    free(atomic_load(&p->activity));
    free(p->aborts);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

void topic_unref(struct topic *t) {
    if (!t || atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel) != 1) return;
    struct partition **partitions = atomic_load(&t->partitions);
    for (int32_t i = 0; i < t->count; i++) partition_free(partitions[i]);
    for (size_t i = 0; i < t->retired_count; i++) free(t->retired[i]);
    free(t->retired);
    free(partitions);
    settings_free(atomic_load(&t->settings));
    pthread_rwlock_destroy(&t->folders);
    free(t->name);
    free(t);
}

void topic_set_settings(struct topic *t, struct settings *settings) {
    settings->older = atomic_load(&t->settings);
    atomic_store_explicit(&t->settings, settings, memory_order_release);
}

struct partition *partition_new(struct topic *t, uint32_t id, int32_t index) {
    struct partition *p = xcalloc(1, sizeof(*p));
    p->topic = t;
    p->id = id;
    p->index = index;
    p->next_horizon = -1;
    p->damaged = -1;
    pthread_mutex_init(&p->lock, NULL);
    return p;
}

void partition_forget(struct partition *p) {
    for (size_t i = 0; i < p->seg_count; i++) segment_unref(&p->topic->store->files, p->segs[i]);
    p->seg_count = 0;
    p->bytes = 0;
    free(p->epochs);
    p->epochs = NULL;
    p->epoch_count = 0;
    producers_free(p->producers);
    p->producers = NULL;
    free(atomic_exchange(&p->failed, NULL));
    free(p->losses);
    p->losses = NULL;
    p->damaged = -1;
    p->compacted = 0;
    p->next_horizon = -1;
}

struct partition *partition_new_empty(struct topic *t, uint32_t id, int32_t index) {
    struct partition *p = partition_new(t, id, index);
    partition_set_epoch(p, 0, 0);
    partition_push_segment(p, segment_new(0, 0));
    return p;
}

// Others may be looking at the array: a new one takes its place, the old one stays until the topic goes.
void topic_add_partition(struct topic *t, struct partition *p) {
    struct partition **old = atomic_load(&t->partitions);
    size_t n = (size_t)t->count;
    bool full = (n & (n - 1)) == 0; // capacity is the next power of two
    struct partition **now = old;
    if (full) {
        now = xcalloc(n ? n * 2 : 1, sizeof(struct partition *));
        if (n) memcpy(now, old, n * sizeof(struct partition *));
        if (old) VEC_PUSH(t->retired, t->retired_count, t->retired_cap, old);
    }
    now[n] = p;
    atomic_store_explicit(&t->partitions, now, memory_order_release);
    atomic_store_explicit(&t->count, (int32_t)n + 1, memory_order_release);
}

// ── looking ──────────────────────────────────────────────────────────────────────────────────────────────────────────

const char *topic_name(const struct topic *t) { return t->name; }
struct uuid topic_id(const struct topic *t) { return t->uuid; }
int topic_level(const struct topic *t, int codec) { return codec >= 0 && codec <= CODEC_ZSTD ? (int)topic_settings(t)->level[codec] : 0; }
bool topic_compacted(const struct topic *t) { return topic_settings(t)->policy_compact; }
bool topic_internal(const struct topic *t) { return !strncmp(t->name, "__", 2); }
int32_t topic_partitions(const struct topic *t) { return atomic_load_explicit(&((struct topic *)(uintptr_t)t)->count, memory_order_acquire); }

struct partition *topic_partition(struct topic *t, int32_t index) {
    if (index < 0 || index >= topic_partitions(t)) return NULL;
    return atomic_load_explicit(&t->partitions, memory_order_acquire)[index];
}

const char *topic_setting_get(const struct topic *t, const char *name, bool *ret_set) {
    const struct settings *s = topic_settings(t);
    int row = settings_row(name);
    if (row < 0) return NULL;
    if (ret_set) *ret_set = s->set[row] != NULL;
    return s->set[row] ? s->set[row] : settings_default(s->o, row);
}

struct topic *topic_get(struct store *s, const char *name) {
    LOCK_SCOPE(&s->catalogue.lock);
    struct topic *t = map_get(&s->catalogue.topics, str_of(name));
    return t ? topic_ref(t) : NULL;
}

// Names are collected first: `each` may look up, create or delete.
int store_topics(struct store *s, int (*each)(void *arg, struct topic *t), void *arg) {
    pthread_mutex_lock(&s->catalogue.lock);
    size_t n = s->catalogue.topics.n;
    struct map_entry **sorted = map_sorted(&s->catalogue.topics);
    struct topic **topics = xcalloc(n + 1, sizeof(struct topic *));
    for (size_t i = 0; i < n; i++) topics[i] = topic_ref(sorted[i]->value);
    pthread_mutex_unlock(&s->catalogue.lock);
    int stop = 0;
    for (size_t i = 0; i < n; i++) {
        if (!stop) stop = each(arg, topics[i]);
        topic_unref(topics[i]);
    }
    free(sorted);
    free(topics);
    return stop;
}
