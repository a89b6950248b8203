// SPDX-License-Identifier: Apache-2.0
// JSON ► cells. Items of a container gather on the scratch stack and move into the batch when it closes.
#include "converters/json_value.h"

#include <math.h>

#include "base/mem.h"
#include "base/text.h"
#include "converters/decimal.h"
#include "converters/json_program.h"

struct parse {
    struct json_reader in;
    struct json_cells *s;
    struct cn_batch *b;
    const struct cn_schema_blob *blob;
    bool null_as_default;
    struct err *err;
};

void json_cells_done(struct json_cells *s) {
    free(s->stack);
    *s = (struct json_cells){0};
}

static int malformed(struct parse *p) {
    return err_set(p->err, ERR_INVALID, "not JSON at byte %zu: %s", p->in.at, p->in.error ? p->in.error : "unexpected token");
}

static size_t push(struct parse *p, struct cn_cell c) {
    VEC_PUSH(p->s->stack, p->s->n, p->s->cap, c);
    return p->s->n - 1;
}

// Takes the cells above `from` off the stack into the batch.
static struct cn_cell pop(struct parse *p, size_t from, uint8_t type, uint32_t n) {
    size_t count = p->s->n - from;
    cn_off at = cn_cells(p->b, (uint32_t)count);
    if (at && count) memcpy(p->b->base + at, p->s->stack + from, count * sizeof(struct cn_cell));
    p->s->n = from;
    return cn_run(type, at, n);
}

static struct cn_cell text_cell(struct parse *p) { return cn_string(p->b, p->in.text.p, p->in.text.n); }

// ── without a schema ──

static int plain_value(struct parse *p, enum json_token t, struct cn_cell *ret);

static int plain_number(struct parse *p, struct cn_cell *ret) {
    struct str s = p->in.text;
    int64_t i;
    double d;
    if (str_to_i64(s, &i)) {
        *ret = cn_int(CN_INT64, i);
        return 0;
    }
    bool whole = !memchr(s.p, '.', s.n) && !memchr(s.p, 'e', s.n) && !memchr(s.p, 'E', s.n);
    if (whole || !str_to_double(s, &d) || !isfinite(d)) {
        err_set(p->err, ERR_OUT_OF_RANGE, "number %.*s does not fit 64 bits", STR_FMT(str_first(s, 60)));
        return err_hint(p->err, "use the string or bytes converter, or a schema with a Decimal");
    }
    *ret = cn_float(CN_FLOAT64, d);
    return 0;
}

static int plain_array(struct parse *p, struct cn_cell *ret) {
    size_t from = p->s->n;
    for (enum json_token t = json_next(&p->in); t != JSON_ARRAY_END; t = json_next(&p->in)) {
        struct cn_cell item;
        if (plain_value(p, t, &item) != 0) return -1;
        push(p, item);
    }
    *ret = pop(p, from, CN_ARRAY, (uint32_t)(p->s->n - from));
    return 0;
}

static int plain_object(struct parse *p, struct cn_cell *ret) {
    size_t from = p->s->n;
    enum json_token t;
    while ((t = json_next(&p->in)) == JSON_KEY) {
        struct cn_cell value;
        push(p, text_cell(p));
        if (plain_value(p, json_next(&p->in), &value) != 0) return -1;
        push(p, value);
    }
    if (t != JSON_OBJECT_END) return malformed(p);
    *ret = pop(p, from, CN_MAP, (uint32_t)((p->s->n - from) / 2));
    return 0;
}

static int plain_value(struct parse *p, enum json_token t, struct cn_cell *ret) {
    switch (t) {
    case JSON_OBJECT: return plain_object(p, ret);
    case JSON_ARRAY: return plain_array(p, ret);
    case JSON_STRING: return *ret = text_cell(p), 0;
    case JSON_NUMBER: return plain_number(p, ret);
    case JSON_TRUE: return *ret = cn_bool(1), 0;
    case JSON_FALSE: return *ret = cn_bool(0), 0;
    case JSON_NULL: return *ret = cn_null(), 0;
    default: return malformed(p);
    }
}

// ── along a schema ──

enum { UNSEEN = 255 };

static int typed_value(struct parse *p, const struct cn_schema *s, enum json_token t, struct cn_cell *ret);

static struct str node_text(const struct parse *p, struct cn_text t) { return str_make(cn_schema_text(p->blob, t), t.n); }

static int mismatch(struct parse *p, const struct cn_schema *s) {
    return err_set(p->err, ERR_INVALID, "not a valid %s at byte %zu", json_type_name(s->type), p->in.at);
}

static int typed_null(struct parse *p, const struct cn_schema *s, struct cn_cell *ret) {
    *ret = cn_null();
    if (s->has_default && p->null_as_default && s->def.type != CN_NULL) {
        *ret = s->def;
        if (s->def.type == CN_STRING || s->def.type == CN_BYTES)
            *ret = cn_run(s->def.type, cn_text(p->b, (const uint8_t *)p->blob + s->def.u.at, s->def.n).at, s->def.n);
        return 0;
    }
    return s->optional ? 0 : err_set(p->err, ERR_INVALID, "null or missing, but required");
}

static int typed_int(struct parse *p, const struct cn_schema *s, enum json_token t, struct cn_cell *ret) {
    static const int64_t max[] = {[CN_INT8] = INT8_MAX, [CN_INT16] = INT16_MAX, [CN_INT32] = INT32_MAX, [CN_INT64] = INT64_MAX};
    int64_t v;
    if (t != JSON_NUMBER || !str_to_i64(p->in.text, &v) || v > max[s->type] || v < -max[s->type] - 1) return mismatch(p, s);
    *ret = cn_int(s->type, v);
    return 0;
}

static int typed_float(struct parse *p, const struct cn_schema *s, enum json_token t, struct cn_cell *ret) {
    static const struct { const char *text; double v; } words[] = {{"NaN", NAN}, {"Infinity", INFINITY}, {"-Infinity", -INFINITY}};
    double v;
    if (t == JSON_NUMBER && str_to_double(p->in.text, &v)) {
        *ret = cn_float(s->type, s->type == CN_FLOAT32 ? (double)(float)v : v);
        return 0;
    }
    for (size_t i = 0; t == JSON_STRING && i < countof(words); i++)
        if (str_eqz(p->in.text, words[i].text)) return *ret = cn_float(s->type, words[i].v), 0;
    return mismatch(p, s);
}

static int decimal_scale_of(const struct parse *p, const struct cn_schema *s, int32_t *ret) {
    const struct cn_schema_param *params = (const struct cn_schema_param *)(const void *)((const uint8_t *)p->blob + s->params);
    int64_t v;
    for (uint32_t i = 0; i < s->param_count; i++)
        if (str_eq(node_text(p, params[i].name), STR("scale")) && str_to_i64(node_text(p, params[i].value), &v))
            return *ret = (int32_t)v, 0;
    return -1;
}

// Base64 text; a Decimal also as a number.
static int typed_bytes(struct parse *p, const struct cn_schema *s, enum json_token t, struct cn_cell *ret) {
    struct buf bytes = {0};
    int32_t scale;
    bool decimal = str_eq(node_text(p, s->name), STR("org.apache.kafka.connect.data.Decimal"));
    bool ok = t == JSON_STRING   ? base64_decode(&bytes, p->in.text)
              : t == JSON_NUMBER ? decimal && decimal_scale_of(p, s, &scale) == 0 && decimal_parse(&bytes, p->in.text, scale)
                                 : false;
    if (ok) *ret = cn_bytes(p->b, bytes.p, bytes.n);
    buf_done(&bytes);
    return ok ? 0 : mismatch(p, s);
}

static int typed_array(struct parse *p, const struct cn_schema *s, enum json_token t, struct cn_cell *ret) {
    size_t from = p->s->n;
    if (t != JSON_ARRAY) return mismatch(p, s);
    for (t = json_next(&p->in); t != JSON_ARRAY_END; t = json_next(&p->in)) {
        struct cn_cell item;
        if (typed_value(p, cn_schema_node(p->blob, s->element), t, &item) != 0) return err_wrap(p->err, "item %zu", p->s->n - from);
        push(p, item);
    }
    *ret = pop(p, from, CN_ARRAY, (uint32_t)(p->s->n - from));
    return 0;
}

static int object_pairs(struct parse *p, const struct cn_schema *s) {
    enum json_token t;
    while ((t = json_next(&p->in)) == JSON_KEY) {
        struct cn_cell value;
        push(p, text_cell(p));
        if (typed_value(p, cn_schema_node(p->blob, s->element), json_next(&p->in), &value) != 0) return -1;
        push(p, value);
    }
    return t == JSON_OBJECT_END ? 0 : malformed(p);
}

static int array_pairs(struct parse *p, const struct cn_schema *s) {
    enum json_token t;
    while ((t = json_next(&p->in)) == JSON_ARRAY) {
        struct cn_cell key, value;
        if (typed_value(p, cn_schema_node(p->blob, s->key), json_next(&p->in), &key) != 0) return -1;
        push(p, key);
        if (typed_value(p, cn_schema_node(p->blob, s->element), json_next(&p->in), &value) != 0) return -1;
        push(p, value);
        if (json_next(&p->in) != JSON_ARRAY_END) return mismatch(p, s);
    }
    return t == JSON_ARRAY_END ? 0 : mismatch(p, s);
}

static int typed_map(struct parse *p, const struct cn_schema *s, enum json_token t, struct cn_cell *ret) {
    size_t from = p->s->n;
    const struct cn_schema *key = cn_schema_node(p->blob, s->key);
    bool object = key->type == CN_STRING && !key->optional;
    if (t != (object ? JSON_OBJECT : JSON_ARRAY)) return mismatch(p, s);
    if ((object ? object_pairs(p, s) : array_pairs(p, s)) != 0) return -1;
    *ret = pop(p, from, CN_MAP, (uint32_t)((p->s->n - from) / 2));
    return 0;
}

// Fields mostly come in the schema's order, so the search starts behind the last one found.
static int64_t field_index(const struct parse *p, const struct cn_schema *s, uint32_t hint) {
    const struct cn_schema_field *fields = cn_schema_fields(p->blob, s);
    for (uint32_t i = 0; i < s->field_count; i++) {
        uint32_t at = (hint + i) % s->field_count;
        if (str_eq(node_text(p, fields[at].name), p->in.text)) return at;
    }
    return -1;
}

static int typed_field(struct parse *p, const struct cn_schema *s, size_t from, uint32_t *hint) {
    struct cn_cell value;
    int64_t i = field_index(p, s, *hint);
    if (i < 0) return err_set(p->err, ERR_INVALID, "field %.*s is not in the schema", STR_FMT(str_first(p->in.text, 100)));
    struct cn_schema_field f = cn_schema_fields(p->blob, s)[i];
    if (typed_value(p, cn_schema_node(p->blob, f.schema), json_next(&p->in), &value) != 0)
        return err_wrap(p->err, "%.*s", STR_FMT(str_first(node_text(p, f.name), 100)));
    p->s->stack[from + (size_t)i] = value;
    *hint = (uint32_t)i + 1;
    return 0;
}

static int typed_struct(struct parse *p, const struct cn_schema *s, enum json_token t, struct cn_cell *ret) {
    size_t from = p->s->n;
    uint32_t hint = 0;
    if (t != JSON_OBJECT) return mismatch(p, s);
    for (uint32_t i = 0; i < s->field_count; i++) push(p, (struct cn_cell){.type = UNSEEN});
    while ((t = json_next(&p->in)) == JSON_KEY)
        if (typed_field(p, s, from, &hint) != 0) return -1;
    if (t != JSON_OBJECT_END) return malformed(p);
    for (uint32_t i = 0; i < s->field_count; i++) {
        struct cn_schema_field f = cn_schema_fields(p->blob, s)[i];
        if (p->s->stack[from + i].type != UNSEEN) continue;
        if (typed_null(p, cn_schema_node(p->blob, f.schema), &p->s->stack[from + i]) != 0)
            return err_wrap(p->err, "%.*s", STR_FMT(str_first(node_text(p, f.name), 100)));
    }
    *ret = pop(p, from, CN_STRUCT, s->field_count);
    return 0;
}

static int typed_scalar(struct parse *p, const struct cn_schema *s, enum json_token t, struct cn_cell *ret) {
    if (s->type == CN_BOOLEAN && (t == JSON_TRUE || t == JSON_FALSE)) return *ret = cn_bool(t == JSON_TRUE), 0;
    if (s->type == CN_STRING && t == JSON_STRING) return *ret = text_cell(p), 0;
    return mismatch(p, s);
}

static int typed_value(struct parse *p, const struct cn_schema *s, enum json_token t, struct cn_cell *ret) {
    if (t == JSON_BAD) return malformed(p);
    if (t == JSON_NULL) return typed_null(p, s, ret);
    switch (s->type) {
    case CN_INT8:
    case CN_INT16:
    case CN_INT32:
    case CN_INT64: return typed_int(p, s, t, ret);
    case CN_FLOAT32:
    case CN_FLOAT64: return typed_float(p, s, t, ret);
    case CN_BYTES: return typed_bytes(p, s, t, ret);
    case CN_ARRAY: return typed_array(p, s, t, ret);
    case CN_MAP: return typed_map(p, s, t, ret);
    case CN_STRUCT: return typed_struct(p, s, t, ret);
    default: return typed_scalar(p, s, t, ret);
    }
}

// ── entry ──

static int finish(struct parse *p, int rc) {
    if (rc == 0 && json_next(&p->in) != JSON_END) rc = malformed(p);
    if (rc == 0 && p->b->failed) rc = err_set(p->err, ERR_TOO_LARGE, "the batch has no room for the value");
    json_reader_done(&p->in);
    p->s->n = 0;
    return rc;
}

int json_read_plain(struct json_cells *s, struct cn_batch *b, struct str text, struct cn_cell *ret, struct err *err) {
    struct parse p = {.s = s, .b = b, .err = err};
    json_reader_init(&p.in, text);
    struct cn_cell value;
    int rc = finish(&p, plain_value(&p, json_next(&p.in), &value));
    if (rc == 0) *ret = value;
    return rc;
}

int json_read_typed(struct json_cells *s, struct cn_batch *b, const struct cn_schema_blob *blob, cn_off node, bool null_as_default,
                    struct str text, struct cn_cell *ret, struct err *err) {
    struct parse p = {.s = s, .b = b, .blob = blob, .null_as_default = null_as_default, .err = err};
    json_reader_init(&p.in, text);
    struct cn_cell value;
    int rc = finish(&p, typed_value(&p, cn_schema_node(blob, node), json_next(&p.in), &value));
    if (rc == 0) *ret = value;
    return rc;
}
