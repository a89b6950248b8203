// SPDX-License-Identifier: Apache-2.0
#include "plugin/batch_check.h"

#include <connectd/build.h>
#include <float.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/text.h"

enum { MOST_DEPTH = 64, NAMED_DEPTH = 6, FIRST = (sizeof(struct cn_batch_head) + 7) & ~7 }; // errors name the first levels only

// The bytes under check; `budget` bounds the walk over cells that refer to the same children again and again.
struct region {
    const uint8_t *p;
    uint32_t used;
    uint64_t budget;
};

// ── bounds ──

static int span(const struct region *r, const char *what, uint64_t at, uint64_t n, unsigned align, struct err *err) {
    if (at >= FIRST && at % align == 0 && at + n <= r->used) return 0;
    return err_set(err, ERR_CORRUPT, "%s: %llu bytes at offset %llu are outside of the batch (%u bytes%s)", what, (unsigned long long)n,
                   (unsigned long long)at, r->used, at % align ? ", misaligned" : "");
}
static struct str text_at(const struct region *r, struct cn_text t) { return str_make(r->p + t.at, t.n); }
static int check_text(const struct region *r, const char *what, struct cn_text t, struct err *err) {
    if (span(r, what, t.at, t.n, 1, err) != 0) return -1;
    if (!utf8_valid(text_at(r, t))) return err_set(err, ERR_CORRUPT, "%s: is not UTF-8", what);
    return 0;
}

// ── schemas ──

struct blob { const struct cn_schema_blob *s; size_t n; unsigned budget; };

static int blob_span(const struct blob *b, const char *what, uint64_t at, uint64_t n, unsigned align, struct err *err) {
    if (at >= sizeof(struct cn_schema_blob) && at % align == 0 && at + n <= b->s->size) return 0;
    return err_set(err, ERR_CORRUPT, "%s: %llu bytes at offset %llu are outside of the schema (%u bytes)", what, (unsigned long long)n, (unsigned long long)at, b->s->size);
}
static int blob_text(const struct blob *b, const char *what, struct cn_text t, struct err *err) {
    if (t.n == 0) return 0;
    if (blob_span(b, what, t.at, t.n, 1, err) != 0) return -1;
    if (!utf8_valid(str_make((const char *)b->s + t.at, t.n))) return err_set(err, ERR_CORRUPT, "%s: is not UTF-8", what);
    return 0;
}

static bool is_run(uint8_t type) { return type == CN_STRING || type == CN_BYTES; }

static int check_default(const struct blob *b, const struct cn_schema *node, struct err *err) {
    if (!node->has_default || node->def.type == CN_NULL) return 0;
    if (node->def.type != node->type || node->type > CN_BYTES) return err_set(err, ERR_CORRUPT, "default: type %u does not fit type %u", node->def.type, node->type);
    return is_run(node->type) ? blob_span(b, "default", node->def.u.at, node->def.n, 1, err) : 0;
}

static int check_node(struct blob *b, cn_off at, unsigned depth, struct err *err);

static int check_fields(struct blob *b, const struct cn_schema *node, unsigned depth, struct err *err) {
    if (blob_span(b, "fields", node->fields, (uint64_t)node->field_count * sizeof(struct cn_schema_field), 4, err) != 0) return -1;
    const struct cn_schema_field *f = cn_schema_fields(b->s, node);
    for (uint32_t i = 0; i < node->field_count; i++) {
        if (f[i].name.n == 0) return err_set(err, ERR_CORRUPT, "field %u: has no name", i);
        if (blob_text(b, "field name", f[i].name, err) != 0) return -1;
        if (check_node(b, f[i].schema, depth + 1, err) != 0) return depth > NAMED_DEPTH ? -1 : err_wrap(err, "field %.*s", (int)(f[i].name.n < 60 ? f[i].name.n : 60), cn_schema_text(b->s, f[i].name));
    }
    return 0;
}

static int check_node(struct blob *b, cn_off at, unsigned depth, struct err *err) {
    if (depth > MOST_DEPTH || b->budget-- == 0) return err_set(err, ERR_CORRUPT, "schema is nested too deeply");
    if (blob_span(b, "node", at, sizeof(struct cn_schema), 8, err) != 0) return -1;
    const struct cn_schema *node = cn_schema_node(b->s, at);
    if (node->type < CN_BOOLEAN || node->type > CN_STRUCT) return err_set(err, ERR_CORRUPT, "schema of unknown type %u", node->type);
    if (node->optional > 1 || node->has_default > 1 || node->has_version > 1) return err_set(err, ERR_CORRUPT, "schema flag that is neither 0 nor 1");
    if (blob_text(b, "schema name", node->name, err) != 0 || blob_text(b, "schema doc", node->doc, err) != 0) return -1;
    if (node->param_count && blob_span(b, "parameters", node->params, (uint64_t)node->param_count * sizeof(struct cn_schema_param), 4, err) != 0) return -1;
    const struct cn_schema_param *p = (const struct cn_schema_param *)(const void *)((const uint8_t *)b->s + node->params);
    for (uint32_t i = 0; i < node->param_count; i++)
        if (blob_text(b, "parameter name", p[i].name, err) != 0 || blob_text(b, "parameter value", p[i].value, err) != 0) return -1;
    if (check_default(b, node, err) != 0) return -1;
    if (node->type == CN_STRUCT && check_fields(b, node, depth, err) != 0) return -1;
    if (node->type == CN_MAP && check_node(b, node->key, depth + 1, err) != 0) return err_wrap(err, "key");
    if ((node->type == CN_MAP || node->type == CN_ARRAY) && check_node(b, node->element, depth + 1, err) != 0) return err_wrap(err, "element");
    return 0;
}

// As cn_sb_finish makes it: converters cache on it, so a wrong one would mix schemas up.
static bool fingerprint_fits(const struct cn_schema_blob *s) {
    uint64_t v, h0 = 0x243f6a8885a308d3ULL, h1 = 0x13198a2e03707344ULL;
    for (uint32_t i = sizeof *s; i < s->size; i += 8) {
        memcpy(&v, (const uint8_t *)s + i, 8);
        h0 = cn_mix_(h0, v);
        h1 = cn_mix_(h1 + 0x9e3779b97f4a7c15ULL, v ^ (v << 31 | v >> 33));
    }
    return s->fingerprint[0] == cn_mix_(h0, s->root) && s->fingerprint[1] == cn_mix_(h1, s->size);
}

int batch_check_schema(const void *p, size_t n, struct err *err) {
    struct blob b = {p, n, 100000};
    if (n < sizeof *b.s || b.s->size > n || b.s->size < sizeof *b.s || b.s->size % 8) return err_set(err, ERR_CORRUPT, "schema of %zu bytes at most says it has %u", n, n < sizeof *b.s ? 0 : b.s->size);
    if (check_node(&b, b.s->root, 0, err) != 0) return -1;
    if (!fingerprint_fits(b.s)) return err_set(err, ERR_CORRUPT, "schema's fingerprint does not fit its content");
    return 0;
}

// ── cells ──

struct under { const struct cn_schema_blob *blob; const struct cn_schema *node; }; // both NULL: without a schema

static int check_cell(struct region *r, const struct cn_cell *c, struct under s, unsigned depth, struct err *err);

static struct under child(struct under s, cn_off at) {
    if (!s.node) return s;
    return (struct under){s.blob, cn_schema_node(s.blob, at)};
}

static int check_struct(struct region *r, const struct cn_cell *c, struct under s, unsigned depth, struct err *err) {
    const struct cn_cell *at = (const struct cn_cell *)(const void *)(r->p + c->u.at);
    if (!s.node) return err_set(err, ERR_CORRUPT, "a struct without a schema: use a map");
    if (c->n != s.node->field_count) return err_set(err, ERR_CORRUPT, "a struct of %u cells under a schema of %u fields", c->n, s.node->field_count);
    const struct cn_schema_field *f = cn_schema_fields(s.blob, s.node);
    for (uint32_t i = 0; i < c->n; i++) {
        if (at[i].type == CN_ABSENT) continue;
        if (check_cell(r, &at[i], child(s, f[i].schema), depth + 1, err) != 0)
            return depth > NAMED_DEPTH ? -1 : err_wrap(err, "field %.*s", (int)(f[i].name.n < 60 ? f[i].name.n : 60), cn_schema_text(s.blob, f[i].name));
    }
    return 0;
}

static int check_many(struct region *r, const struct cn_cell *c, struct under s, unsigned depth, struct err *err) {
    uint64_t count = c->type == CN_MAP ? 2 * (uint64_t)c->n : c->n;
    if (span(r, "cells", c->u.at, count * sizeof *c, 8, err) != 0) return -1;
    if (c->type == CN_STRUCT) return check_struct(r, c, s, depth, err);
    const struct cn_cell *at = (const struct cn_cell *)(const void *)(r->p + c->u.at);
    for (uint64_t i = 0; i < count; i++) {
        bool key = c->type == CN_MAP && i % 2 == 0;
        if (check_cell(r, &at[i], s.node ? child(s, key ? s.node->key : s.node->element) : s, depth + 1, err) != 0)
            return depth > NAMED_DEPTH ? -1 : err_wrap(err, "%s %llu", key ? "key" : "element", (unsigned long long)(c->type == CN_MAP ? i / 2 : i));
    }
    return 0;
}

static int check_int(const struct cn_cell *c, struct err *err) {
    static const struct { int64_t min, max; } ranges[] = {[CN_BOOLEAN] = {0, 1}, [CN_INT8] = {INT8_MIN, INT8_MAX}, [CN_INT16] = {INT16_MIN, INT16_MAX},
        [CN_INT32] = {INT32_MIN, INT32_MAX}, [CN_INT64] = {INT64_MIN, INT64_MAX}};
    if (c->u.i >= ranges[c->type].min && c->u.i <= ranges[c->type].max) return 0;
    return err_set(err, ERR_CORRUPT, "%lld is out of its type's range", (long long)c->u.i);
}

static int check_type(const struct cn_cell *c, struct under s, struct err *err) {
    static const char *const names[] = {"null", "absent", "boolean", "int8", "int16", "int32", "int64", "float32", "float64", "string", "bytes", "array", "map", "struct"};
    if (c->type > CN_STRUCT) return err_set(err, ERR_CORRUPT, "a cell of unknown type %u", c->type);
    if (c->type == CN_ABSENT) return err_set(err, ERR_CORRUPT, "absent: only a struct's field can be");
    if (!s.node) return 0;
    if (c->type == CN_NULL && !s.node->optional) return err_set(err, ERR_CORRUPT, "null under a schema that is not optional");
    if (c->type != CN_NULL && c->type != s.node->type) return err_set(err, ERR_CORRUPT, "%s under a schema of %s", names[c->type], names[s.node->type]);
    return 0;
}

static int check_cell(struct region *r, const struct cn_cell *c, struct under s, unsigned depth, struct err *err) {
    if (depth > MOST_DEPTH) return err_set(err, ERR_CORRUPT, "nested deeper than %d", MOST_DEPTH);
    if (r->budget-- == 0) return err_set(err, ERR_CORRUPT, "cells share others so often that they grow without end");
    if (check_type(c, s, err) != 0) return -1;
    switch (c->type) {
    case CN_NULL: return 0;
    case CN_FLOAT32: return (c->u.f == c->u.f && c->u.f - c->u.f == 0 && (double)(float)c->u.f != c->u.f) ? err_set(err, ERR_CORRUPT, "%g is no float32", c->u.f) : 0;
    case CN_FLOAT64: return 0;
    case CN_STRING: return c->n ? check_text(r, "string", (struct cn_text){c->u.at, c->n}, err) : 0;
    case CN_BYTES: return c->n ? span(r, "bytes", c->u.at, c->n, 1, err) : 0;
    case CN_ARRAY:
    case CN_MAP:
    case CN_STRUCT: return c->n || c->type == CN_STRUCT ? check_many(r, c, s, depth, err) : 0;
    default: return check_int(c, err);
    }
}

// ── the batch ──

static int check_value(struct region *r, const struct cn_batch *b, const struct cn_cell *c, uint16_t schema, struct err *err) {
    if (schema != CN_NO_SCHEMA && schema >= cn_head(b)->schema_count) return err_set(err, ERR_CORRUPT, "schema %u of %u", schema, cn_head(b)->schema_count);
    const struct cn_schema_blob *s = cn_schema_blob_at(b, schema);
    if (c->type == CN_NULL) return 0; // a tombstone, whatever the schema
    return check_cell(r, c, (struct under){s, s ? cn_schema_root(s) : NULL}, 0, err);
}

static int check_headers(struct region *r, const struct cn_batch *b, const struct cn_record *rec, struct err *err) {
    if (!rec->header_count) return 0;
    if (span(r, "headers", rec->headers, (uint64_t)rec->header_count * sizeof(struct cn_header), 8, err) != 0) return -1;
    for (uint32_t i = 0; i < rec->header_count; i++) {
        const struct cn_header *h = cn_headers_of(b, rec) + i;
        if (check_text(r, "name", h->name, err) != 0 || check_value(r, b, &h->value, h->schema, err) != 0) return err_wrap(err, "header %u", i);
    }
    return 0;
}

static int check_record(struct region *r, const struct cn_batch *b, const struct cn_record *rec, struct err *err) {
    uint32_t topics = cn_head(b)->topic_count;
    if (rec->topic >= topics || rec->original_topic >= topics) return err_set(err, ERR_CORRUPT, "topic %u of %u", rec->topic >= topics ? rec->topic : rec->original_topic, topics);
    if (rec->partition < CN_NO_PARTITION) return err_set(err, ERR_CORRUPT, "partition %d", rec->partition);
    if (rec->timestamp != CN_NO_TIMESTAMP && rec->timestamp < 0) return err_set(err, ERR_CORRUPT, "timestamp %lld", (long long)rec->timestamp);
    if (rec->flags & ~(uint32_t)CN_RECORD_DROPPED) return err_set(err, ERR_CORRUPT, "unknown flags %#x", rec->flags);
    if (check_value(r, b, &rec->key, rec->key_schema, err) != 0) return err_wrap(err, "key");
    if (check_value(r, b, &rec->value, rec->value_schema, err) != 0) return err_wrap(err, "value");
    return check_headers(r, b, rec, err);
}

static bool is_object(struct str s) {
    struct json_reader j;
    json_reader_init(&j, s);
    bool ok = json_next(&j) == JSON_OBJECT && json_skip(&j) && json_next(&j) == JSON_END;
    json_reader_done(&j);
    return ok;
}
static int check_position(const struct region *r, const struct cn_position *p, struct err *err) {
    if (check_text(r, "partition", p->partition, err) != 0) return -1;
    if (!is_object(text_at(r, p->partition))) return err_set(err, ERR_CORRUPT, "partition: '%.*s' is no JSON object", STR_FMT(str_first(text_at(r, p->partition), 100)));
    if (!p->offset.at) return 0;
    if (check_text(r, "offset", p->offset, err) != 0) return -1;
    if (!is_object(text_at(r, p->offset))) return err_set(err, ERR_CORRUPT, "offset: '%.*s' is no JSON object", STR_FMT(str_first(text_at(r, p->offset), 100)));
    return 0;
}

static bool topic_name_fits(struct str s) {
    if (s.n == 0 || s.n > 249 || str_eqz(s, ".") || str_eqz(s, "..")) return false;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-')) return false;
    }
    return true;
}

struct array { const char *name; uint32_t count, cap; cn_off at; size_t item; unsigned align; };
static int check_arrays(const struct region *r, const struct cn_batch_head *h, struct err *err) {
    const struct array arrays[] = {
        {"records", h->record_count, h->record_cap, h->records, sizeof(struct cn_record), 8}, {"topics", h->topic_count, h->topic_cap, h->topics, sizeof(struct cn_text), 4},
        {"schemas", h->schema_count, h->schema_cap, h->schemas, sizeof(cn_off), 4}, {"positions", h->position_count, h->position_cap, h->positions, sizeof(struct cn_position), 4}};
    for (size_t i = 0; i < countof(arrays); i++) {
        const struct array *a = &arrays[i];
        if (a->count > a->cap) return err_set(err, ERR_CORRUPT, "%s: %u in room for %u", a->name, a->count, a->cap);
        if (a->cap && span(r, a->name, a->at, (uint64_t)a->cap * a->item, a->align, err) != 0) return -1;
    }
    return 0;
}

static int check_tables(const struct region *r, const struct cn_batch *b, struct err *err) {
    const struct cn_batch_head *h = cn_head(b);
    for (uint32_t i = 0; i < h->topic_count; i++) {
        if (check_text(r, "name", *cn_topic_at(b, i), err) != 0) return err_wrap(err, "topic %u", i);
        struct str name = text_at(r, *cn_topic_at(b, i));
        if (!topic_name_fits(name)) return err_set(err, ERR_CORRUPT, "topic %u: '%.*s' is no topic name", i, STR_FMT(str_first(name, 100)));
    }
    for (uint32_t i = 0; i < h->schema_count; i++) {
        cn_off at = CN_AT(cn_off, b, h->schemas)[i];
        if (span(r, "blob", at, sizeof(struct cn_schema_blob), 8, err) != 0 || batch_check_schema(r->p + at, r->used - at, err) != 0) return err_wrap(err, "schema %u", i);
    }
    for (uint32_t i = 0; i < h->position_count; i++)
        if (check_position(r, cn_position_at(b, i), err) != 0) return err_wrap(err, "position %u", i);
    return 0;
}

int record_batch_check(const struct cn_batch *b, struct err *err) {
    if (b->cap < FIRST || (uintptr_t)b->base % 8) return err_set(err, ERR_CORRUPT, "batch: %u bytes are no region", b->cap);
    const struct cn_batch_head *h = cn_head(b);
    if (h->magic != CN_BATCH_MAGIC) return err_set(err, ERR_CORRUPT, "batch: its head was overwritten (magic %#x)", h->magic);
    if (h->used < FIRST || h->used > b->cap || h->used % 8) return err_set(err, ERR_CORRUPT, "batch: %u bytes used of %u", h->used, b->cap);
    if (h->boundary > CN_BOUNDARY_ABORT) return err_set(err, ERR_CORRUPT, "batch: unknown boundary %u", h->boundary);
    struct region r = {b->base, h->used, 1000000 + (uint64_t)h->used * 4};
    if (check_arrays(&r, h, err) != 0 || check_tables(&r, b, err) != 0) return err_wrap(err, "batch");
    for (uint32_t i = 0; i < h->record_count; i++)
        if (check_record(&r, b, cn_record_at(b, i), err) != 0) return err_wrap(err, "record %u", i);
    return 0;
}
