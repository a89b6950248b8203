// SPDX-License-Identifier: Apache-2.0
#include "converters/schema_cache.h"

#include "base/mem.h"

struct entry {
    struct cn_schema_blob *blob; // own copy
    const void *verified;        // where an equal one was seen last
    void *value;
};

static struct str fingerprint_of(const struct cn_schema_blob *b) { return str_make(b->fingerprint, sizeof(b->fingerprint)); }

static void entry_free(struct schema_cache *c, struct entry *e) {
    c->free_value(e->value);
    free(e->blob);
    free(e);
}

void *schema_cache_get(struct schema_cache *c, const struct cn_schema_blob *blob) {
    struct entry *e = map_get(&c->map, fingerprint_of(blob));
    if (!e || e->blob->size != blob->size) return NULL;
    if (e->verified != blob && memcmp(e->blob, blob, blob->size) != 0) return NULL;
    e->verified = blob;
    return e->value;
}

void schema_cache_put(struct schema_cache *c, const struct cn_schema_blob *blob, void *value) {
    if (c->map.n >= (c->max ? c->max : 1000)) schema_cache_done(c);
    struct entry *e = xcalloc(1, sizeof(*e));
    *e = (struct entry){xmemdup(blob, blob->size), blob, value};
    struct entry *old = map_put(&c->map, fingerprint_of(blob), e);
    if (old) entry_free(c, old);
}

void schema_cache_done(struct schema_cache *c) {
    size_t at = 0;
    for (struct map_entry *m; (m = map_next(&c->map, &at));) entry_free(c, m->value);
    map_done(&c->map, NULL);
}
