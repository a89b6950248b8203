// SPDX-License-Identifier: Apache-2.0
// What was worked out for a schema, kept by its fingerprint. One thread at a time.
//
// A fingerprint is believed for the address it was last verified at and compared byte by byte everywhere else, so that two
// schemas under one fingerprint (a plugin that fills it wrongly) are told apart.
#ifndef CONVERTERS_SCHEMA_CACHE_H
#define CONVERTERS_SCHEMA_CACHE_H

#include <connectd/record.h>

#include "base/map.h"

struct schema_cache {
    size_t max;                   // entries; when full it starts afresh. 0 = 1000
    void (*free_value)(void *);
    struct map map;
};
// NULL when there is nothing for this very schema.
void *schema_cache_get(struct schema_cache *c, const struct cn_schema_blob *blob);
// Takes the value, which is not NULL; it lives until it is replaced, the cache starts afresh, or schema_cache_done. Copies the blob.
void schema_cache_put(struct schema_cache *c, const struct cn_schema_blob *blob, void *value);
void schema_cache_done(struct schema_cache *c);

#endif
