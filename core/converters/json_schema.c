// SPDX-License-Identifier: Apache-2.0
// Connect's JSON schema ► blob. Members may come in any order, so an object's members are gathered before it is built.
#include "base/mem.h"
#include "base/text.h"
#include "converters/json_program.h"
#include "converters/json_value.h"

struct schema_parse {
    struct cn_schema_builder sb;
    struct arena texts;
    struct json_cells cells;
    struct err *err;
};

// What an object said; {NULL,0} and zero where it said nothing.
struct members {
    struct str type, name, doc, field;
    struct str fields, items, keys, values, parameters, def; // raw JSON
    bool optional, has_version;
    int64_t version;
};

static int schema_read(struct schema_parse *p, struct str raw, unsigned depth, struct str *ret_field, cn_off *ret);

static int bad_schema(struct schema_parse *p, const char *what) { return err_set(p->err, ERR_INVALID, "schema: %s", what); }

static int member_text(struct schema_parse *p, struct json_reader *r, struct str *ret) {
    enum json_token t = json_next(r);
    if (t == JSON_NULL) return 0;
    if (t != JSON_STRING) return bad_schema(p, "text expected");
    *ret = arena_copy(&p->texts, r->text);
    return 0;
}

static int member_read(struct schema_parse *p, struct json_reader *r, struct members *m) {
    const struct { const char *name; struct str *text, *raw; } rows[] = {
        {"type", &m->type, NULL},      {"name", &m->name, NULL},     {"doc", &m->doc, NULL},
        {"field", &m->field, NULL},    {"fields", NULL, &m->fields}, {"items", NULL, &m->items},
        {"keys", NULL, &m->keys},      {"values", NULL, &m->values}, {"parameters", NULL, &m->parameters},
        {"default", NULL, &m->def},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        if (!str_eqz(r->text, rows[i].name)) continue;
        if (rows[i].text) return member_text(p, r, rows[i].text);
        *rows[i].raw = json_raw_value(r);
        return rows[i].raw->p ? 0 : bad_schema(p, "malformed JSON");
    }
    if (str_eqz(r->text, "optional")) {
        enum json_token t = json_next(r);
        m->optional = t == JSON_TRUE;
        return t == JSON_TRUE || t == JSON_FALSE ? 0 : bad_schema(p, "\"optional\" must be true or false");
    }
    if (str_eqz(r->text, "version")) {
        m->has_version = true;
        if (json_next(r) != JSON_NUMBER || !str_to_i64(r->text, &m->version) || m->version != (int32_t)m->version)
            return bad_schema(p, "\"version\" must be an integer");
        return 0;
    }
    return json_skip(r) ? 0 : bad_schema(p, "malformed JSON");
}

static int members_read(struct schema_parse *p, struct str raw, struct members *m) {
    struct json_reader r;
    json_reader_init(&r, raw);
    int rc = json_next(&r) == JSON_OBJECT ? 0 : bad_schema(p, "object expected");
    enum json_token t = JSON_BAD;
    while (rc == 0 && (t = json_next(&r)) == JSON_KEY) rc = member_read(p, &r, m);
    if (rc == 0 && t != JSON_OBJECT_END) rc = bad_schema(p, "malformed JSON");
    json_reader_done(&r);
    return rc;
}

static struct cn_text keep(struct schema_parse *p, struct str s) {
    return s.n ? cn_sb_text(&p->sb, s.p, s.n) : (struct cn_text){0, 0};
}

static int type_of(struct schema_parse *p, struct str name, uint8_t *ret) {
    for (uint8_t t = CN_BOOLEAN; t <= CN_STRUCT; t++)
        if (str_eqz(name, json_type_name(t))) return *ret = t, 0;
    if (!name.p) return bad_schema(p, "\"type\" is missing");
    return err_set(p->err, ERR_INVALID, "schema: unknown type %.*s", STR_FMT(str_first(name, 60)));
}

// ── struct ──

struct named { struct str name; cn_off schema; };

static int fields_read(struct schema_parse *p, struct str raw, unsigned depth, struct named **ret, size_t *ret_n) {
    struct json_reader r;
    size_t cap = 0;
    json_reader_init(&r, raw);
    int rc = raw.p && json_next(&r) == JSON_ARRAY ? 0 : bad_schema(p, "a struct needs \"fields\"");
    for (struct str item; rc == 0 && (item = json_raw_value(&r)).p;) {
        struct named f = {0};
        rc = schema_read(p, item, depth + 1, &f.name, &f.schema);
        if (rc == 0 && !f.name.p) rc = bad_schema(p, "a struct's field needs \"field\", its name");
        if (rc == 0) VEC_PUSH(*ret, *ret_n, cap, f);
    }
    if (rc == 0 && r.error) rc = bad_schema(p, "malformed JSON");
    json_reader_done(&r);
    return rc;
}

static void fields_put(struct schema_parse *p, cn_off node, const struct named *f, size_t n) {
    cn_off at = cn_sb_alloc_(&p->sb, (n ? n : 1) * sizeof(struct cn_schema_field));
    for (size_t i = 0; i < n && !p->sb.failed; i++) {
        struct cn_text t = cn_sb_text(&p->sb, f[i].name.p, f[i].name.n);
        if (p->sb.failed) return;
        struct cn_schema_field *o = (struct cn_schema_field *)(void *)(p->sb.p + at) + i;
        o->name = t;
        o->schema = f[i].schema;
    }
    if (p->sb.failed) return;
    cn_sb_node(&p->sb, node)->fields = at;
    cn_sb_node(&p->sb, node)->field_count = (uint32_t)n;
}

// ── parameters and default ──

static int params_put(struct schema_parse *p, cn_off node, struct str raw) {
    struct json_reader r;
    const char **pairs = NULL;
    size_t n = 0, cap = 0;
    enum json_token t = JSON_BAD;
    if (!raw.p || str_eqz(raw, "null")) return 0;
    json_reader_init(&r, raw);
    int rc = json_next(&r) == JSON_OBJECT ? 0 : bad_schema(p, "\"parameters\" must be an object");
    while (rc == 0 && (t = json_next(&r)) == JSON_KEY) {
        VEC_PUSH(pairs, n, cap, arena_copy(&p->texts, r.text).p);
        if (json_next(&r) != JSON_STRING) rc = bad_schema(p, "a parameter must be text");
        else VEC_PUSH(pairs, n, cap, arena_copy(&p->texts, r.text).p);
    }
    if (rc == 0 && t != JSON_OBJECT_END) rc = bad_schema(p, "malformed JSON");
    if (rc == 0) cn_sb_params(&p->sb, node, pairs, (uint32_t)(n / 2));
    json_reader_done(&r);
    free(pairs);
    return rc;
}

static int default_put(struct schema_parse *p, cn_off node, struct str raw) {
    struct cn_batch b;
    struct cn_cell c;
    size_t room = raw.n + 1024;
    if (!raw.p || str_eqz(raw, "null")) return 0;
    if (cn_sb_node(&p->sb, node)->type >= CN_ARRAY) return bad_schema(p, "defaults of arrays, maps and structs are not supported");
    _cleanup_free_ void *mem = xmalloc(room);
    cn_batch_init(&b, mem, (uint32_t)room, NULL, NULL);
    const struct cn_schema_blob *unfinished = (const struct cn_schema_blob *)(const void *)p->sb.p;
    if (json_read_typed(&p->cells, &b, unfinished, node, false, raw, &c, p->err) != 0) return err_wrap(p->err, "schema: default");
    bool run = c.type == CN_STRING || c.type == CN_BYTES;
    cn_sb_default(&p->sb, node, c, run ? cn_bytes_at(&b, c.u.at) : NULL, run ? c.n : 0);
    return 0;
}

// ── a node ──

struct children { struct named *fields; size_t n; cn_off key, element; };

static int children_read(struct schema_parse *p, const struct members *m, uint8_t type, unsigned depth, struct children *ret) {
    struct str element = type == CN_ARRAY ? m->items : m->values;
    if (type == CN_STRUCT) return fields_read(p, m->fields, depth, &ret->fields, &ret->n);
    if (type != CN_ARRAY && type != CN_MAP) return 0;
    if (!element.p) return bad_schema(p, type == CN_ARRAY ? "an array needs \"items\"" : "a map needs \"values\"");
    if (schema_read(p, element, depth + 1, NULL, &ret->element) != 0) return -1;
    if (type == CN_ARRAY) return 0;
    return m->keys.p ? schema_read(p, m->keys, depth + 1, NULL, &ret->key) : bad_schema(p, "a map needs \"keys\"");
}

static cn_off node_put(struct schema_parse *p, const struct members *m, uint8_t type, const struct children *ch) {
    cn_off at = cn_sb_type(&p->sb, type, m->optional, NULL, 0);
    struct cn_text name = keep(p, m->name), doc = keep(p, m->doc);
    if (type == CN_STRUCT) fields_put(p, at, ch->fields, ch->n);
    if (p->sb.failed) return 0;
    struct cn_schema *s = cn_sb_node(&p->sb, at);
    s->name = name;
    s->doc = doc;
    s->has_version = m->has_version;
    s->version = (int32_t)m->version;
    s->key = ch->key;
    s->element = ch->element;
    return at;
}

static int schema_read(struct schema_parse *p, struct str raw, unsigned depth, struct str *ret_field, cn_off *ret) {
    struct members m = {0};
    struct children ch = {0};
    uint8_t type = CN_NULL;
    if (depth > JSON_DEPTH) return bad_schema(p, "nested too deep");
    if (members_read(p, raw, &m) != 0 || type_of(p, m.type, &type) != 0) return -1;
    int rc = children_read(p, &m, type, depth, &ch);
    cn_off at = rc == 0 ? node_put(p, &m, type, &ch) : 0;
    free(ch.fields);
    if (rc != 0) return -1;
    if (!at) return bad_schema(p, "larger than 16 MiB");
    if (params_put(p, at, m.parameters) != 0 || p->sb.failed || default_put(p, at, m.def) != 0) return -1;
    if (ret_field) *ret_field = m.field;
    *ret = at;
    return 0;
}

int json_read_schema(struct str text, struct cn_schema_blob **ret, struct err *err) {
    struct schema_parse p = {.err = err};
    cn_off root;
    struct cn_schema_blob *blob = NULL;
    int rc = schema_read(&p, text, 0, NULL, &root);
    if (rc == 0) {
        blob = cn_sb_finish(&p.sb, root);
        if (!blob) rc = bad_schema(&p, "larger than 16 MiB");
    }
    free(p.sb.p);
    arena_done(&p.texts);
    json_cells_done(&p.cells);
    if (rc == 0) *ret = blob;
    return rc;
}
