// SPDX-License-Identifier: Apache-2.0
// The compiler: schema blob ► nodes, fields and texts; and from them the schema's own JSON for the envelope.
#include "base/mem.h"
#include "converters/json_program_int.h"

const char *json_type_name(unsigned type) {
    static const char *const names[] = {
        [CN_BOOLEAN] = "boolean", [CN_INT8] = "int8",      [CN_INT16] = "int16",   [CN_INT32] = "int32",
        [CN_INT64] = "int64",     [CN_FLOAT32] = "float",  [CN_FLOAT64] = "double", [CN_STRING] = "string",
        [CN_BYTES] = "bytes",     [CN_ARRAY] = "array",    [CN_MAP] = "map",       [CN_STRUCT] = "struct",
    };
    return type < countof(names) ? names[type] : NULL;
}

static const struct cn_schema_param *params_of(const struct cn_schema_blob *b, const struct cn_schema *s) {
    return (const struct cn_schema_param *)(const void *)((const uint8_t *)b + s->params);
}

static const struct cn_schema *schema_of(const struct json_program *p, uint32_t node) {
    return cn_schema_node(p->blob, p->nodes[node].schema);
}

// ── compiling ──

struct compiler {
    struct json_program *p;
    const struct json_format *format;
    struct err *err;
};

static int64_t compile_node(struct compiler *c, cn_off at, unsigned depth);

static int compile_scale(struct compiler *c, uint32_t node) {
    const struct cn_schema *s = schema_of(c->p, node);
    for (uint32_t i = 0; i < s->param_count; i++) {
        struct cn_schema_param param = params_of(c->p->blob, s)[i];
        int64_t scale;
        if (!str_eq(blob_text(c->p, param.name), STR("scale"))) continue;
        if (!str_to_i64(blob_text(c->p, param.value), &scale) || scale < -100000 || scale > 100000) break;
        c->p->nodes[node].scale = (int32_t)scale;
        return 0;
    }
    return err_set(c->err, ERR_INVALID, "schema Decimal without a valid parameter \"scale\"");
}

static int compile_decimal(struct compiler *c, uint32_t node) {
    const struct cn_schema *s = schema_of(c->p, node);
    if (s->type != CN_BYTES || !str_eq(blob_text(c->p, s->name), STR("org.apache.kafka.connect.data.Decimal"))) return 0;
    c->p->nodes[node].decimal = c->format->decimal == JSON_DECIMAL_NUMERIC;
    return compile_scale(c, node);
}

// ,"name":
static struct span keep_prefix(struct json_program *p, struct str name) {
    uint32_t at = (uint32_t)p->texts.n;
    buf_putz(&p->texts, ",\"");
    json_escape(&p->texts, name);
    buf_putz(&p->texts, "\":");
    return (struct span){at, (uint32_t)p->texts.n - at};
}

static int compile_fields(struct compiler *c, uint32_t node, unsigned depth) {
    struct json_program *p = c->p;
    const struct cn_schema *s = schema_of(p, node);
    size_t first = p->field_count;
    p->nodes[node].first = (uint32_t)first;
    p->nodes[node].n = s->field_count;
    p->field_count += s->field_count;
    vec_reserve((void **)&p->fields, &p->field_cap, p->field_count, sizeof(p->fields[0]));
    for (uint32_t i = 0; i < s->field_count; i++) {
        struct cn_schema_field f = cn_schema_fields(p->blob, s)[i];
        int64_t child = compile_node(c, f.schema, depth + 1);
        if (child < 0) return err_wrap(c->err, "%.*s", STR_FMT(str_first(blob_text(p, f.name), 100)));
        p->fields[first + i] = (struct json_field){keep_prefix(p, blob_text(p, f.name)), (uint32_t)child, f.name};
    }
    return 0;
}

static int compile_child(struct compiler *c, cn_off at, unsigned depth, uint32_t *ret) {
    int64_t child = compile_node(c, at, depth + 1);
    if (child < 0) return -1;
    *ret = (uint32_t)child;
    return 0;
}

static int compile_children(struct compiler *c, uint32_t node, unsigned depth) {
    struct json_program *p = c->p;
    const struct cn_schema *s = schema_of(p, node);
    uint32_t element = 0, key = 0;
    if (s->type == CN_STRUCT) return compile_fields(c, node, depth);
    if (s->type != CN_ARRAY && s->type != CN_MAP) return 0;
    if (compile_child(c, s->element, depth, &element) != 0) return -1;
    if (s->type == CN_MAP && compile_child(c, s->key, depth, &key) != 0) return -1;
    p->nodes[node].element = element;
    p->nodes[node].key = key;
    return 0;
}

// The default's cells stand in the blob, so the blob is the base they are rendered from.
static int compile_default(struct compiler *c, uint32_t node) {
    struct json_program *p = c->p;
    const struct cn_schema *s = schema_of(p, node);
    struct cn_out out = {.reserve = out_heap_reserve};
    if (!s->has_default || s->def.type == CN_NULL) return 0;
    int rc = json_render_node(p, node, c->format, (const uint8_t *)p->blob, &s->def, &out, c->err);
    if (rc == 0) {
        p->nodes[node].has_def = true;
        p->nodes[node].def = (struct span){(uint32_t)p->texts.n, (uint32_t)out.n};
        buf_put(&p->texts, out.p, out.n);
    } else {
        err_wrap(c->err, "default");
    }
    free(out.p);
    return rc;
}

// Index of the node, or -1.
static int64_t compile_node(struct compiler *c, cn_off at, unsigned depth) {
    struct json_program *p = c->p;
    if (depth > JSON_DEPTH) return err_set(c->err, ERR_INVALID, "schema nests deeper than %d", JSON_DEPTH);
    if (at < sizeof(struct cn_schema_blob) || at > p->blob->size - sizeof(struct cn_schema))
        return err_set(c->err, ERR_INVALID, "schema refers to a node outside itself");
    const struct cn_schema *s = cn_schema_node(p->blob, at);
    if (!json_type_name(s->type)) return err_set(c->err, ERR_INVALID, "schema of unknown type %u", s->type);
    uint32_t node = (uint32_t)p->node_count;
    struct json_node fresh = {.type = s->type, .optional = s->optional, .schema = at};
    VEC_PUSH(p->nodes, p->node_count, p->node_cap, fresh);
    if (compile_decimal(c, node) != 0 || compile_children(c, node, depth) != 0 || compile_default(c, node) != 0) return -1;
    return node;
}

struct json_program *json_program_new(const struct cn_schema_blob *blob, const struct json_format *f, struct err *err) {
    if (blob->size < sizeof(*blob) + sizeof(struct cn_schema)) {
        err_set(err, ERR_INVALID, "schema of %u bytes", blob->size);
        return NULL;
    }
    struct json_program *p = xcalloc(1, sizeof(*p));
    p->blob = xmemdup(blob, blob->size);
    struct compiler c = {p, f, err};
    if (compile_node(&c, blob->root, 0) >= 0 && buf_reserve(&p->texts, PREFIX_PAD)) {
        memset(p->texts.p + p->texts.n, 0, PREFIX_PAD);
        p->memos = xcalloc(p->node_count, sizeof(*p->memos));
        return p;
    }
    json_program_free(p);
    return NULL;
}

void json_program_free(struct json_program *p) {
    if (!p) return;
    for (size_t i = 0; p->memos && i < p->node_count; i++) buf_done(&p->memos[i].text);
    free(p->memos);
    free(p->blob);
    free(p->nodes);
    free(p->fields);
    buf_done(&p->texts);
    buf_done(&p->envelope);
    free(p);
}

bool json_program_is(const struct json_program *p, const struct cn_schema_blob *blob) {
    return p->blob->size == blob->size && memcmp(p->blob, blob, blob->size) == 0;
}

// ── the schema itself as JSON, its members in the order Connect writes them ──

static void write_node(const struct json_program *p, struct json_writer *w, uint32_t node, const struct json_field *field);

static void write_children(const struct json_program *p, struct json_writer *w, const struct json_node *n) {
    if (n->type == CN_STRUCT) {
        json_key(w, STR("fields"));
        json_array(w);
        for (uint32_t i = 0; i < n->n; i++) write_node(p, w, p->fields[n->first + i].node, &p->fields[n->first + i]);
        json_array_end(w);
    }
    if (n->type == CN_MAP) {
        json_key(w, STR("keys"));
        write_node(p, w, n->key, NULL);
    }
    if (n->type == CN_MAP || n->type == CN_ARRAY) {
        json_key(w, n->type == CN_MAP ? STR("values") : STR("items"));
        write_node(p, w, n->element, NULL);
    }
}

static void write_params(const struct json_program *p, struct json_writer *w, const struct cn_schema *s) {
    if (!s->param_count) return;
    json_key(w, STR("parameters"));
    json_object(w);
    for (uint32_t i = 0; i < s->param_count; i++) {
        struct cn_schema_param param = params_of(p->blob, s)[i];
        json_key(w, blob_text(p, param.name));
        json_string(w, blob_text(p, param.value));
    }
    json_object_end(w);
}

static void write_node(const struct json_program *p, struct json_writer *w, uint32_t node, const struct json_field *field) {
    const struct json_node *n = &p->nodes[node];
    const struct cn_schema *s = cn_schema_node(p->blob, n->schema);
    json_object(w);
    json_kz(w, "type", json_type_name(n->type));
    write_children(p, w, n);
    json_kb(w, "optional", n->optional);
    if (s->name.n) json_ks(w, "name", blob_text(p, s->name));
    if (s->has_version) json_ki(w, "version", s->version);
    if (s->doc.n) json_ks(w, "doc", blob_text(p, s->doc));
    write_params(p, w, s);
    if (n->has_def) {
        json_key(w, STR("default"));
        json_raw(w, program_text(p, n->def));
    }
    if (field) json_ks(w, "field", blob_text(p, field->name));
    json_object_end(w);
}

struct str json_program_envelope(struct json_program *p) {
    if (!p->envelope.n) {
        struct json_writer w = json_to(&p->envelope);
        buf_putz(&p->envelope, "{\"schema\":");
        write_node(p, &w, 0, NULL);
        buf_putz(&p->envelope, ",\"payload\":");
    }
    return buf_str(&p->envelope);
}
