// SPDX-License-Identifier: Apache-2.0
// A hash map from byte strings to pointers. Keys are copied; values stay the caller's. Not thread-safe.
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include "base/str.h"

struct map_entry {
    struct str key; // owned by the map, terminated
    void *value;
    uint64_t hash;
};
struct map {
    struct map_entry *slots; // open addressing; key.p NULL = free
    size_t n, cap;
};
void *map_get(const struct map *m, struct str key);               // NULL when absent
void *map_put(struct map *m, struct str key, void *value);        // returns the value it replaced, or NULL; value is not NULL
void *map_remove(struct map *m, struct str key);                  // returns the removed value, or NULL
// Iteration in no order: start with *at = 0; NULL at the end. Do not change the map while iterating.
struct map_entry *map_next(const struct map *m, size_t *at);
// All entries, sorted by key; caller frees the array.
struct map_entry **map_sorted(const struct map *m);
void map_done(struct map *m, void (*free_value)(void *));         // free_value may be NULL

#endif
