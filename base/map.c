// SPDX-License-Identifier: Apache-2.0
// Open addressing with linear probing and backward-shift removal (no tombstones), at most 3/4 full.
#include "base/map.h"

#include <stdlib.h>

#include "base/mem.h"

// The slot that holds key, or the free one where it belongs. cap > n, so that a free one exists.
static struct map_entry *slot_of(const struct map *m, struct str key, uint64_t hash) {
    size_t mask = m->cap - 1;
    for (size_t i = hash & mask;; i = (i + 1) & mask) {
        struct map_entry *e = &m->slots[i];
        if (!e->key.p || (e->hash == hash && str_eq(e->key, key))) return e;
    }
}

void *map_get(const struct map *m, struct str key) {
    if (!m->n) return NULL;
    struct map_entry *e = slot_of(m, key, str_hash(key));
    return e->key.p ? e->value : NULL;
}

static void map_grow(struct map *m) {
    struct map old = *m;
    m->cap = old.cap ? old.cap * 2 : 16;
    m->slots = xcalloc(m->cap, sizeof(*m->slots));
    for (size_t i = 0; i < old.cap; i++)
        if (old.slots[i].key.p) *slot_of(m, old.slots[i].key, old.slots[i].hash) = old.slots[i];
    free(old.slots);
}

void *map_put(struct map *m, struct str key, void *value) {
    if (m->n >= m->cap / 4 * 3) map_grow(m);
    uint64_t hash = str_hash(key);
    struct map_entry *e = slot_of(m, key, hash);
    void *before = e->key.p ? e->value : NULL;
    if (!e->key.p) {
        *e = (struct map_entry){.key = {str_dup(key), key.n}, .hash = hash};
        m->n++;
    }
    e->value = value;
    return before;
}

// Moves later entries of the probe run into the gap, so that none becomes unreachable.
static void close_gap(struct map *m, size_t gap) {
    size_t mask = m->cap - 1;
    for (size_t i = (gap + 1) & mask; m->slots[i].key.p; i = (i + 1) & mask) {
        size_t home = m->slots[i].hash & mask;
        if (((i - home) & mask) < ((i - gap) & mask)) continue;
        m->slots[gap] = m->slots[i];
        gap = i;
    }
    m->slots[gap] = (struct map_entry){0};
}

void *map_remove(struct map *m, struct str key) {
    if (!m->n) return NULL;
    struct map_entry *e = slot_of(m, key, str_hash(key));
    if (!e->key.p) return NULL;
    void *value = e->value;
    free((void *)(uintptr_t)e->key.p);
    close_gap(m, (size_t)(e - m->slots));
    m->n--;
    return value;
}

struct map_entry *map_next(const struct map *m, size_t *at) {
    while (*at < m->cap) {
        struct map_entry *e = &m->slots[(*at)++];
        if (e->key.p) return e;
    }
    return NULL;
}

static int compare_entries(const void *a, const void *b) {
    return str_cmp((*(struct map_entry *const *)a)->key, (*(struct map_entry *const *)b)->key);
}

struct map_entry **map_sorted(const struct map *m) {
    struct map_entry **all = xcalloc(m->n, sizeof(*all)), *e;
    size_t n = 0;
    for (size_t at = 0; (e = map_next(m, &at));) all[n++] = e;
    qsort(all, n, sizeof(*all), compare_entries);
    return all;
}

void map_done(struct map *m, void (*free_value)(void *)) {
    struct map_entry *e;
    for (size_t at = 0; (e = map_next(m, &at));) {
        if (free_value) free_value(e->value);
        free((void *)(uintptr_t)e->key.p);
    }
    free(m->slots);
    *m = (struct map){0};
}
