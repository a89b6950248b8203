// SPDX-License-Identifier: Apache-2.0
// The walk: cells ► JSON bytes, along the compiled nodes or, without a schema, along the cells themselves.
#include <assert.h>
#include <math.h>

#include "base/mem.h"
#include "converters/decimal.h"
#include "converters/json_program_int.h"

enum { SHORT_TEXT = 118, SHORT_ROOM = 120, MEMO_MOST = 4096 };
static_assert((int)SHORT_ROOM >= (int)DECIMAL_ROOM && SHORT_TEXT + 2 <= SHORT_ROOM, "what render_short writes fits");

struct render {
    const struct json_program *p;
    const struct json_format *f;
    const uint8_t *base;
    struct cn_out *out;
    struct err *err;
    uint64_t batch;
    unsigned depth;
};

static int full(struct render *r) { return err_set(r->err, ERR_TOO_LARGE, "the record grows too large as JSON"); }

#define PUT(r, literal) (out_put((r)->out, literal, sizeof(literal) - 1) ? 0 : full(r))

static struct str bytes_of(const struct render *r, const struct cn_cell *c) { return str_make(r->base + c->u.at, c->n); }
static const struct cn_cell *cells_of(const struct render *r, const struct cn_cell *c) {
    return (const struct cn_cell *)(const void *)(r->base + c->u.at);
}

// ── scalars ──

static int put_quoted(struct render *r, struct str s, bool (*put)(struct cn_out *, struct str)) {
    return out_put(r->out, "\"", 1) && put(r->out, s) && out_put(r->out, "\"", 1) ? 0 : full(r);
}
static bool put_base64(struct cn_out *o, struct str s) { return out_base64(o, s.p, s.n); }

static int render_int(struct render *r, const struct cn_cell *c) { return out_i64(r->out, c->u.i) ? 0 : full(r); }

static int render_bool(struct render *r, const struct cn_cell *c) { return c->u.i ? PUT(r, "true") : PUT(r, "false"); }

static int render_float(struct render *r, const struct cn_cell *c) {
    bool quote = !isfinite(c->u.f); // as Jackson: "NaN", "Infinity"
    if (quote && PUT(r, "\"") != 0) return -1;
    if (!(c->type == CN_FLOAT32 ? out_float(r->out, (float)c->u.f) : out_double(r->out, c->u.f))) return full(r);
    return quote ? PUT(r, "\"") : 0;
}

static int render_decimal(struct render *r, const struct json_node *n, const struct cn_cell *c) {
    struct str s = bytes_of(r, c);
    struct buf text = {0};
    decimal_print(&text, (const uint8_t *)s.p, s.n, n->scale);
    bool ok = out_put(r->out, text.p, text.n);
    buf_done(&text);
    return ok ? 0 : full(r);
}

static int render_scalar(struct render *r, const struct cn_cell *c) {
    switch (c->type) {
    case CN_NULL: return PUT(r, "null");
    case CN_BOOLEAN: return render_bool(r, c);
    case CN_INT8:
    case CN_INT16:
    case CN_INT32:
    case CN_INT64: return render_int(r, c);
    case CN_FLOAT32:
    case CN_FLOAT64: return render_float(r, c);
    case CN_STRING: return put_quoted(r, bytes_of(r, c), out_json_escaped);
    case CN_BYTES: return put_quoted(r, bytes_of(r, c), put_base64);
    default: return err_set(r->err, ERR_INVALID, "value of type %u can not be written as JSON", c->type);
    }
}

static int enter(struct render *r) {
    if (r->depth == JSON_DEPTH * 2) return err_set(r->err, ERR_INVALID, "value nests deeper than %d", JSON_DEPTH * 2);
    r->depth++;
    return 0;
}

// ── along a schema ──

static int render_value(struct render *r, uint32_t node, const struct cn_cell *c);

static int render_null(struct render *r, const struct json_node *n) {
    if (n->has_def && r->f->null_as_default) {
        struct str def = program_text(r->p, n->def);
        return out_put(r->out, def.p, def.n) ? 0 : full(r);
    }
    return n->optional ? PUT(r, "null") : err_set(r->err, ERR_INVALID, "null, but required and without a default");
}

// ,"name": in front of a field, with room behind for a short scalar. A call of memcpy costs more than the copy here, so short ones take a
// fixed number of bytes.
static bool put_prefix(struct cn_out *o, const uint8_t *p, size_t n) {
    if (!out_room(o, n + PREFIX_PAD + SHORT_ROOM)) return out_put(o, p, n); // near the limit
    if (n <= PREFIX_PAD) memcpy(o->p + o->n, p, PREFIX_PAD);
    else memcpy(o->p + o->n, p, n);
    o->n += n;
    return true;
}

// Whole numbers and short text without escapes, where there is room already: most of what records hold. False: the long way.
static inline bool render_short(struct render *r, const struct json_node *n, const struct cn_cell *c) {
    struct cn_out *o = r->out;
    if (c->type != n->type || o->cap - o->n < SHORT_ROOM) return false;
    uint8_t *p = o->p + o->n;
    if (c->type >= CN_INT8 && c->type <= CN_INT64) {
        o->n += put_decimal(p, c->u.i);
        return true;
    }
    struct str s = bytes_of(r, c);
    if (c->type != CN_STRING || s.n > SHORT_TEXT || json_plain_prefix(s.p, s.n) != s.n) return false;
    p[0] = '"';
    memcpy(p + 1, s.p, s.n);
    p[1 + s.n] = '"';
    o->n += s.n + 2;
    return true;
}

static int render_struct(struct render *r, const struct json_node *n, const struct cn_cell *c) {
    const struct cn_cell *cells = cells_of(r, c);
    const struct json_field *fields = r->p->fields + n->first;
    unsigned first = 1;
    if (c->n != n->n) return err_set(r->err, ERR_INVALID, "struct of %u fields where the schema has %u", c->n, n->n);
    if (PUT(r, "{") != 0) return -1;
    for (uint32_t i = 0; i < n->n; i++) {
        if (cells[i].type == CN_ABSENT) continue;
        // The first field's prefix goes without its comma.
        if (!put_prefix(r->out, r->p->texts.p + fields[i].prefix.at + first, fields[i].prefix.n - first)) return full(r);
        first = 0;
        if (!render_short(r, &r->p->nodes[fields[i].node], &cells[i]) && render_value(r, fields[i].node, &cells[i]) != 0)
            return err_wrap(r->err, "%.*s", STR_FMT(str_first(blob_text(r->p, fields[i].name), 100)));
    }
    return PUT(r, "}");
}

static int render_array(struct render *r, const struct json_node *n, const struct cn_cell *c) {
    const struct cn_cell *cells = cells_of(r, c);
    if (PUT(r, "[") != 0) return -1;
    for (uint32_t i = 0; i < c->n; i++) {
        if (i && PUT(r, ",") != 0) return -1;
        if (render_value(r, n->element, &cells[i]) != 0) return err_wrap(r->err, "item %u", i);
    }
    return PUT(r, "]");
}

// With keys of text an object, otherwise an array of [key, value].
static int render_map(struct render *r, const struct json_node *n, const struct cn_cell *c) {
    const struct cn_cell *cells = cells_of(r, c);
    bool object = r->p->nodes[n->key].type == CN_STRING && !r->p->nodes[n->key].optional;
    if ((object ? PUT(r, "{") : PUT(r, "[")) != 0) return -1;
    for (uint32_t i = 0; i < c->n; i++) {
        if (i && PUT(r, ",") != 0) return -1;
        if (!object && PUT(r, "[") != 0) return -1;
        if (render_value(r, n->key, &cells[2 * i]) != 0) return err_wrap(r->err, "key %u", i);
        if ((object ? PUT(r, ":") : PUT(r, ",")) != 0) return -1;
        if (render_value(r, n->element, &cells[2 * i + 1]) != 0) return err_wrap(r->err, "value %u", i);
        if (!object && PUT(r, "]") != 0) return -1;
    }
    return object ? PUT(r, "}") : PUT(r, "]");
}

// Cells that come again in one batch are copied from what they were last time; the root's never do.
static int render_any_struct(struct render *r, const struct json_node *n, const struct cn_cell *c) {
    if (!r->batch || r->depth == 1) return render_struct(r, n, c);
    struct json_memo *m = &r->p->memos[n - r->p->nodes];
    bool again = m->batch == r->batch && m->at == c->u.at;
    if (again && m->text.n) return out_put(r->out, m->text.p, m->text.n) ? 0 : full(r);
    size_t start = r->out->n;
    if (!again) buf_clear(&m->text);
    m->batch = r->batch;
    m->at = c->u.at;
    if (render_struct(r, n, c) != 0) return -1;
    if (again && r->out->n - start <= MEMO_MOST) buf_put(&m->text, r->out->p + start, r->out->n - start);
    return 0;
}

static int render_nested(struct render *r, const struct json_node *n, const struct cn_cell *c) {
    if (enter(r) != 0) return -1;
    int rc = n->type == CN_STRUCT ? render_any_struct(r, n, c) : n->type == CN_ARRAY ? render_array(r, n, c) : render_map(r, n, c);
    r->depth--;
    return rc;
}

static int wrong_type(struct render *r, const struct json_node *n, const struct cn_cell *c) {
    const char *have = json_type_name(c->type);
    return err_set(r->err, ERR_INVALID, "value is %s where the schema says %s", have ? have : "of unknown type", json_type_name(n->type));
}

static int render_value(struct render *r, uint32_t node, const struct cn_cell *c) {
    const struct json_node *n = &r->p->nodes[node];
    if (c->type == CN_NULL || c->type == CN_ABSENT) return render_null(r, n);
    if (c->type != n->type) return wrong_type(r, n, c);
    if (n->type >= CN_ARRAY) return render_nested(r, n, c);
    return n->decimal ? render_decimal(r, n, c) : render_scalar(r, c);
}

// ── without a schema ──

static int render_plain(struct render *r, const struct cn_cell *c);

static int plain_array(struct render *r, const struct cn_cell *c) {
    const struct cn_cell *cells = cells_of(r, c);
    if (PUT(r, "[") != 0) return -1;
    for (uint32_t i = 0; i < c->n; i++) {
        if (i && PUT(r, ",") != 0) return -1;
        if (render_plain(r, &cells[i]) != 0) return err_wrap(r->err, "item %u", i);
    }
    return PUT(r, "]");
}

static bool all_text(const struct cn_cell *pairs, uint32_t n) {
    for (uint32_t i = 0; i < n; i++)
        if (pairs[2 * i].type != CN_STRING) return false;
    return true;
}

static int plain_pair(struct render *r, const struct cn_cell *pair, bool object) {
    if (!object && PUT(r, "[") != 0) return -1;
    if (render_plain(r, &pair[0]) != 0 || (object ? PUT(r, ":") : PUT(r, ",")) != 0) return -1;
    if (render_plain(r, &pair[1]) != 0) {
        if (object) err_wrap(r->err, "%.*s", STR_FMT(str_first(bytes_of(r, &pair[0]), 100)));
        return -1;
    }
    return object ? 0 : PUT(r, "]");
}

static int plain_map(struct render *r, const struct cn_cell *c) {
    const struct cn_cell *cells = cells_of(r, c);
    bool object = all_text(cells, c->n), first = true;
    if ((object ? PUT(r, "{") : PUT(r, "[")) != 0) return -1;
    for (uint32_t i = 0; i < c->n; i++) {
        if (cells[2 * i + 1].type == CN_ABSENT) continue;
        if (!first && PUT(r, ",") != 0) return -1;
        first = false;
        if (plain_pair(r, &cells[2 * i], object) != 0) return -1;
    }
    return object ? PUT(r, "}") : PUT(r, "]");
}

static int render_plain(struct render *r, const struct cn_cell *c) {
    if (c->type == CN_STRUCT) return err_set(r->err, ERR_INVALID, "struct without a schema");
    if (c->type != CN_ARRAY && c->type != CN_MAP) return render_scalar(r, c);
    if (enter(r) != 0) return -1;
    int rc = c->type == CN_ARRAY ? plain_array(r, c) : plain_map(r, c);
    r->depth--;
    return rc;
}

int json_render_node(const struct json_program *p, uint32_t node, const struct json_format *f, const uint8_t *base,
                     const struct cn_cell *value, struct cn_out *out, struct err *err) {
    struct render r = {.p = p, .f = f, .base = base, .out = out, .err = err};
    return render_value(&r, node, value);
}

int json_render(const struct json_program *p, const struct json_format *f, const uint8_t *base, const struct cn_cell *value,
                uint64_t batch, struct cn_out *out, struct err *err) {
    struct render r = {.p = p, .f = f, .base = base, .batch = batch, .out = out, .err = err};
    return p ? render_value(&r, 0, value) : render_plain(&r, value);
}
