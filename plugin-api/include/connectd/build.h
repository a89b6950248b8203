/* SPDX-License-Identifier: Apache-2.0 */
/* Building batches and schemas: inline functions over record.h, for plugins and host alike (C99, C11, C++17).
 *
 * Allocation is a bump in the batch's region; what does not fit sets `failed`, returns offset 0 and is checked once at the
 * end. Any call that takes a `struct cn_batch *b` and returns an offset, text or cell may move the region: keep offsets. */
#ifndef CONNECTD_BUILD_H
#define CONNECTD_BUILD_H

#include <stdlib.h>
#include <string.h>

#include <connectd/record.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Prepares an empty batch over mem[0..cap), 8-aligned, cap ≥ 256. `grow` may be NULL. */
static inline void cn_batch_init(struct cn_batch *b, void *mem, uint32_t cap, int (*grow)(struct cn_batch *, uint32_t), void *owner) {
    struct cn_batch_head *h = (struct cn_batch_head *)mem;
    memset(h, 0, sizeof *h);
    h->magic = CN_BATCH_MAGIC;
    h->used = (uint32_t)((sizeof *h + 7) & ~(size_t)7);
    b->base = (uint8_t *)mem;
    b->cap = cap;
    b->failed = 0;
    b->grow = grow;
    b->owner = owner;
}

/* n bytes, 8-aligned, not zeroed. 0 when they do not fit. */
static inline cn_off cn_alloc(struct cn_batch *b, size_t n) {
    struct cn_batch_head *h = cn_head(b);
    size_t need = (size_t)h->used + ((n + 7) & ~(size_t)7);
    if (b->failed || need > b->cap) {
        if (b->failed || need > UINT32_MAX - 8 || !b->grow || b->grow(b, (uint32_t)need) != 0) {
            b->failed = 1;
            return 0;
        }
        h = cn_head(b);
    }
    {
        cn_off at = h->used;
        h->used = (uint32_t)need;
        return at;
    }
}

static inline struct cn_text cn_text(struct cn_batch *b, const void *p, size_t n) {
    struct cn_text t = {0, 0};
    cn_off at = n > UINT32_MAX ? 0 : cn_alloc(b, n ? n : 1);
    if (!at) { b->failed = 1; return t; }
    if (n) memcpy(b->base + at, p, n);
    t.at = at;
    t.n = (uint32_t)n;
    return t;
}

/* Room for one more item in an array of the head: doubles it within the region. Returns 0 or -1. */
static inline int cn_array_room_(struct cn_batch *b, cn_off *at, uint32_t count, uint32_t *cap, size_t item) {
    /* `at` and `cap` point into the head, which cn_alloc may move: work by their distance from it. */
    size_t at_d = (size_t)((uint8_t *)at - b->base), cap_d = (size_t)((uint8_t *)cap - b->base);
    uint32_t want;
    cn_off fresh, old = *at;
    if (count < *cap) return 0;
    want = *cap ? *cap * 2 : 16;
    if (want > UINT32_MAX / item / 2) { b->failed = 1; return -1; }
    fresh = cn_alloc(b, want * item);
    if (!fresh) return -1;
    if (count) memcpy(b->base + fresh, b->base + old, count * item);
    memcpy(b->base + at_d, &fresh, sizeof fresh);
    memcpy(b->base + cap_d, &want, sizeof want);
    return 0;
}

/* Index of a topic's name, added if new. */
static inline uint32_t cn_topic(struct cn_batch *b, const char *name, size_t n) {
    struct cn_batch_head *h = cn_head(b);
    uint32_t i;
    struct cn_text t;
    for (i = h->topic_count; i-- > 0;) {
        struct cn_text *have = cn_topic_at(b, i);
        if (have->n == n && memcmp(b->base + have->at, name, n) == 0) return i;
    }
    t = cn_text(b, name, n);
    h = cn_head(b);
    if (b->failed || cn_array_room_(b, &h->topics, h->topic_count, &h->topic_cap, sizeof(struct cn_text)) != 0) return 0;
    h = cn_head(b);
    *cn_topic_at(b, h->topic_count) = t;
    return h->topic_count++;
}

/* Index of a schema, copied in if the batch does not have it yet. */
static inline uint16_t cn_schema_use(struct cn_batch *b, const struct cn_schema_blob *s) {
    struct cn_batch_head *h = cn_head(b);
    uint32_t i;
    cn_off at;
    for (i = h->schema_count; i-- > 0;) {
        const struct cn_schema_blob *have = cn_schema_blob_at(b, (uint16_t)i);
        if (have->fingerprint[0] == s->fingerprint[0] && have->fingerprint[1] == s->fingerprint[1] && have->size == s->size) return (uint16_t)i;
    }
    if (h->schema_count >= CN_NO_SCHEMA) { b->failed = 1; return CN_NO_SCHEMA; }
    at = cn_alloc(b, s->size);
    if (!at) return CN_NO_SCHEMA;
    memcpy(b->base + at, s, s->size);
    h = cn_head(b);
    if (cn_array_room_(b, &h->schemas, h->schema_count, &h->schema_cap, sizeof(cn_off)) != 0) return CN_NO_SCHEMA;
    h = cn_head(b);
    CN_AT(cn_off, b, h->schemas)[h->schema_count] = at;
    return (uint16_t)h->schema_count++;
}

/* Adds a record of the topic with null key and value, no schemas, timestamp, headers or partition. Returns its index. */
static inline uint32_t cn_record(struct cn_batch *b, uint32_t topic) {
    struct cn_batch_head *h = cn_head(b);
    struct cn_record *r;
    if (cn_array_room_(b, &h->records, h->record_count, &h->record_cap, sizeof(struct cn_record)) != 0) return 0;
    h = cn_head(b);
    r = cn_record_at(b, h->record_count);
    memset(r, 0, sizeof *r);
    r->timestamp = CN_NO_TIMESTAMP;
    r->offset = h->record_count;
    r->topic = r->original_topic = topic;
    r->partition = r->original_partition = CN_NO_PARTITION;
    r->key_schema = r->value_schema = CN_NO_SCHEMA;
    return h->record_count++;
}

/* n cells, all CN_NULL. */
static inline cn_off cn_cells(struct cn_batch *b, uint32_t n) {
    cn_off at = cn_alloc(b, (size_t)(n ? n : 1) * sizeof(struct cn_cell));
    if (at) memset(b->base + at, 0, (size_t)n * sizeof(struct cn_cell));
    return at;
}

static inline struct cn_cell cn_null(void) { struct cn_cell c; memset(&c, 0, sizeof c); return c; }
static inline struct cn_cell cn_absent(void) { struct cn_cell c = cn_null(); c.type = CN_ABSENT; return c; }
static inline struct cn_cell cn_int(uint8_t type, int64_t v) { struct cn_cell c = cn_null(); c.type = type; c.u.i = v; return c; }
static inline struct cn_cell cn_bool(int v) { return cn_int(CN_BOOLEAN, v != 0); }
static inline struct cn_cell cn_float(uint8_t type, double v) { struct cn_cell c = cn_null(); c.type = type; c.u.f = v; return c; }
static inline struct cn_cell cn_run(uint8_t type, cn_off at, uint32_t n) { struct cn_cell c = cn_null(); c.type = type; c.n = n; c.u.i = 0; c.u.at = at; return c; }
static inline struct cn_cell cn_string(struct cn_batch *b, const void *p, size_t n) { struct cn_text t = cn_text(b, p, n); return cn_run(CN_STRING, t.at, t.n); }
static inline struct cn_cell cn_stringz(struct cn_batch *b, const char *z) { return cn_string(b, z, strlen(z)); }
static inline struct cn_cell cn_bytes(struct cn_batch *b, const void *p, size_t n) { struct cn_text t = cn_text(b, p, n); return cn_run(CN_BYTES, t.at, t.n); }

/* Stores a cell: all arguments are evaluated before the region is addressed, so building one in the call is safe. */
static inline void cn_set(struct cn_batch *b, cn_off cells, uint32_t i, struct cn_cell c) { if (cells && !b->failed) cn_cells_at(b, cells)[i] = c; }
static inline void cn_set_key(struct cn_batch *b, uint32_t record, struct cn_cell c, uint16_t schema) {
    if (!b->failed) { cn_record_at(b, record)->key = c; cn_record_at(b, record)->key_schema = schema; }
}
static inline void cn_set_value(struct cn_batch *b, uint32_t record, struct cn_cell c, uint16_t schema) {
    if (!b->failed) { cn_record_at(b, record)->value = c; cn_record_at(b, record)->value_schema = schema; }
}

/* Replaces a record's headers by old ones and room for `more`; returns the offset of the first new one. */
static inline cn_off cn_headers(struct cn_batch *b, uint32_t record, uint32_t more) {
    uint32_t have = b->failed ? 0 : cn_record_at(b, record)->header_count;
    cn_off at = cn_alloc(b, (size_t)(have + more) * sizeof(struct cn_header));
    if (!at) return 0;
    if (have) memcpy(b->base + at, cn_headers_of(b, cn_record_at(b, record)), have * sizeof(struct cn_header));
    memset(b->base + at + have * sizeof(struct cn_header), 0, more * sizeof(struct cn_header));
    cn_record_at(b, record)->headers = at;
    cn_record_at(b, record)->header_count = have + more;
    return at + have * (uint32_t)sizeof(struct cn_header);
}
/* Adds one header with a string value. */
static inline void cn_header_add(struct cn_batch *b, uint32_t record, const char *name, struct cn_cell value) {
    struct cn_text t = cn_text(b, name, strlen(name));
    cn_off at = cn_headers(b, record, 1);
    if (!at || b->failed) return;
    { struct cn_header *h = CN_AT(struct cn_header, b, at); h->name = t; h->value = value; h->schema = CN_NO_SCHEMA; }
}

/* Adds a position; offset NULL deletes it. Both are JSON objects. */
static inline void cn_position(struct cn_batch *b, const char *partition, const char *offset) {
    struct cn_position p;
    struct cn_batch_head *h;
    memset(&p, 0, sizeof p);
    p.partition = cn_text(b, partition, strlen(partition));
    if (offset) p.offset = cn_text(b, offset, strlen(offset));
    h = cn_head(b);
    if (b->failed || cn_array_room_(b, &h->positions, h->position_count, &h->position_cap, sizeof p) != 0) return;
    h = cn_head(b);
    *cn_position_at(b, h->position_count++) = p;
}

/* ── schemas: children first, then the struct that names them, then finish ── */
struct cn_schema_builder { uint8_t *p; uint32_t used, cap; int failed; };

static inline cn_off cn_sb_alloc_(struct cn_schema_builder *s, size_t n) {
    size_t need;
    if (!s->p && !s->failed) s->used = sizeof(struct cn_schema_blob);
    need = (size_t)s->used + ((n + 7) & ~(size_t)7);
    if (need > 16u << 20) s->failed = 1;
    if (!s->failed && need > s->cap) {
        uint32_t cap = s->cap ? s->cap * 2 : 1024;
        uint8_t *p;
        while (cap < need) cap *= 2;
        p = (uint8_t *)realloc(s->p, cap);
        if (!p) s->failed = 1;
        else { s->p = p; s->cap = cap; }
    }
    if (s->failed || !s->p) return 0; /* the latter for compilers that do not see it */
    memset(s->p + s->used, 0, need - s->used);
    { cn_off at = s->used; s->used = (uint32_t)need; return at; }
}
static inline struct cn_schema *cn_sb_node(struct cn_schema_builder *s, cn_off at) { return (struct cn_schema *)(void *)(s->p + at); }
static inline struct cn_text cn_sb_text(struct cn_schema_builder *s, const char *p, size_t n) {
    struct cn_text t = {0, 0};
    cn_off at = cn_sb_alloc_(s, n ? n : 1);
    if (!at) return t;
    if (n) memcpy(s->p + at, p, n);
    t.at = at; t.n = (uint32_t)n;
    return t;
}
/* A schema node; name may be NULL, version 0 = none. */
static inline cn_off cn_sb_type(struct cn_schema_builder *s, uint8_t type, int optional, const char *name, int32_t version) {
    cn_off at = cn_sb_alloc_(s, sizeof(struct cn_schema));
    struct cn_text t = {0, 0};
    if (name) t = cn_sb_text(s, name, strlen(name));
    if (s->failed) return 0;
    { struct cn_schema *n = cn_sb_node(s, at); n->type = type; n->optional = optional != 0; n->name = t; n->version = version; n->has_version = version != 0; }
    return at;
}
struct cn_sb_field { const char *name; cn_off schema; };
static inline void cn_sb_fields(struct cn_schema_builder *s, cn_off node, const struct cn_sb_field *f, uint32_t n) {
    cn_off at = cn_sb_alloc_(s, (size_t)(n ? n : 1) * sizeof(struct cn_schema_field));
    uint32_t i;
    for (i = 0; i < n && !s->failed; i++) {
        struct cn_text t = cn_sb_text(s, f[i].name, strlen(f[i].name));
        if (s->failed) break;
        { struct cn_schema_field *o = (struct cn_schema_field *)(void *)(s->p + at) + i; o->name = t; o->schema = f[i].schema; }
    }
    if (s->failed) return;
    cn_sb_node(s, node)->fields = at;
    cn_sb_node(s, node)->field_count = n;
}
static inline cn_off cn_sb_array(struct cn_schema_builder *s, cn_off element, int optional) {
    cn_off at = cn_sb_type(s, CN_ARRAY, optional, NULL, 0);
    if (at) cn_sb_node(s, at)->element = element;
    return at;
}
static inline cn_off cn_sb_map(struct cn_schema_builder *s, cn_off key, cn_off element, int optional) {
    cn_off at = cn_sb_type(s, CN_MAP, optional, NULL, 0);
    if (at) { cn_sb_node(s, at)->key = key; cn_sb_node(s, at)->element = element; }
    return at;
}
/* Replaces the node's parameters (name, value pairs of terminated strings). */
static inline void cn_sb_params(struct cn_schema_builder *s, cn_off node, const char *const *pairs, uint32_t n) {
    cn_off at = cn_sb_alloc_(s, (size_t)(n ? n : 1) * sizeof(struct cn_schema_param));
    uint32_t i;
    for (i = 0; i < n && !s->failed; i++) {
        struct cn_text k = cn_sb_text(s, pairs[2 * i], strlen(pairs[2 * i])), v = cn_sb_text(s, pairs[2 * i + 1], strlen(pairs[2 * i + 1]));
        if (s->failed) break;
        { struct cn_schema_param *o = (struct cn_schema_param *)(void *)(s->p + at) + i; o->name = k; o->value = v; }
    }
    if (s->failed) return;
    cn_sb_node(s, node)->params = at;
    cn_sb_node(s, node)->param_count = n;
}
/* A scalar default; STRING and BYTES take p[0..n). */
static inline void cn_sb_default(struct cn_schema_builder *s, cn_off node, struct cn_cell c, const void *p, uint32_t n) {
    if (c.type == CN_STRING || c.type == CN_BYTES) { struct cn_text t = cn_sb_text(s, (const char *)p, n); c.n = t.n; c.u.i = 0; c.u.at = t.at; }
    if (s->failed) return;
    cn_sb_node(s, node)->def = c;
    cn_sb_node(s, node)->has_default = 1;
}
static inline uint64_t cn_mix_(uint64_t h, uint64_t v) { h = (h ^ v) * 0x9fb21c651e98df25ULL; return h ^ (h >> 28) ^ (h >> 47); }
/* Closes the builder over `root`: the blob, on the heap (free(3) it), or NULL when something failed. The builder is empty again. */
static inline struct cn_schema_blob *cn_sb_finish(struct cn_schema_builder *s, cn_off root) {
    struct cn_schema_blob *b = (struct cn_schema_blob *)(void *)s->p;
    uint32_t i;
    uint64_t v, h0 = 0x243f6a8885a308d3ULL, h1 = 0x13198a2e03707344ULL;
    if (s->failed || !root) { free(s->p); memset(s, 0, sizeof *s); return NULL; }
    for (i = (uint32_t)sizeof *b; i < s->used; i += 8) { memcpy(&v, s->p + i, 8); h0 = cn_mix_(h0, v); h1 = cn_mix_(h1 + 0x9e3779b97f4a7c15ULL, v ^ (v << 31 | v >> 33)); }
    b->size = s->used; b->root = root;
    b->fingerprint[0] = cn_mix_(h0, root); b->fingerprint[1] = cn_mix_(h1, s->used);
    memset(s, 0, sizeof *s);
    return b;
}

#ifdef __cplusplus
}
#endif
#endif
