/* SPDX-License-Identifier: Apache-2.0 */
#include "table.h"

#include "defaults.h"
#include "envelope_schema.h"

const char table_unsent[1] = "";

static char *dup(struct text t) {
    char *p = malloc(t.n + 1);
    if (p) memcpy(p, t.p, t.n), p[t.n] = 0;
    return p;
}

struct table *table_new(uint32_t oid, struct text schema, struct text name, char identity, uint32_t columns) {
    struct table *t = calloc(1, sizeof *t);
    if (!t) return NULL;
    t->oid = oid;
    t->identity = identity;
    t->count = columns;
    t->schema = dup(schema);
    t->name = dup(name);
    t->columns = calloc(columns ? columns : 1, sizeof *t->columns);
    t->keys = calloc(columns ? columns : 1, sizeof *t->keys);
    t->id = t->schema && t->name ? malloc(schema.n + name.n + 2) : NULL;
    if (!t->id || !t->columns || !t->keys) {
        table_free(t);
        return NULL;
    }
    snprintf(t->id, schema.n + name.n + 2, "%s.%s", t->schema, t->name);
    return t;
}

void table_free(struct table *t) {
    if (!t) return;
    for (uint32_t i = 0; t->columns && i < t->count; i++) {
        free(t->columns[i].name);
        free(t->columns[i].default_expression);
        free(t->columns[i].default_text);
    }
    free(t->columns);
    free(t->keys);
    free(t->key_schema);
    free(t->value_schema);
    free(t->schema);
    free(t->name);
    free(t->id);
    free(t->topic);
    free(t);
}

void column_set_name(struct column *c, struct text name) {
    free(c->name);
    c->name = dup(name);
}

char *topic_name(const struct options *o, const char *schema, const char *name) {
    size_t n = strlen(o->prefix) + strlen(schema) + strlen(name) + 2 * strlen(o->topic_delimiter) + 1;
    char *z = malloc(n);
    if (!z) return NULL;
    snprintf(z, n, "%s%s%s%s%s", o->prefix, o->topic_delimiter, schema, *schema ? o->topic_delimiter : "", name);
    char *out = z;
    for (const unsigned char *p = (const unsigned char *)z; *p; p++) { /* a character of many bytes becomes one underscore */
        if ((*p & 0xc0) == 0x80) continue;
        int valid = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') || strchr("._-", *p);
        *out++ = valid ? (char)*p : '_';
    }
    *out = 0;
    if (out - z > 249) z[249] = 0;
    return z;
}

/* ── building ── */

static int32_t max_length(const struct column *c) {
    return (c->type == 1042 || c->type == 1043) && c->typmod > 4 ? c->typmod - 4 : 0;
}

/* Debezium masks what JDBC calls character types, and cuts whatever is text or bytes. */
static int mask_works(const struct mask *m, const struct column *c) {
    if (m->kind == MASK_TRUNCATE) return max_length(c) == 0 || (uint32_t)max_length(c) > m->length;
    return c->vt.conv == CONV_STRING && (!c->vt.schema_name || c->vt.labels) &&
           (c->vt.labels || c->vt.oid == 18 || c->vt.oid == 19 || c->vt.oid == 25 || c->vt.oid == 1042 || c->vt.oid == 1043);
}

/* Adds the parameters a mask leaves in the schema, behind those the type has. */
static void mask_params(struct cn_schema_builder *sb, cn_off node, const struct mask *m) {
    char length[16];
    const char *pairs[2] = {"masked", "true"};
    if (m->kind == MASK_TRUNCATE) {
        snprintf(length, sizeof length, "%u", m->length);
        pairs[0] = "truncateLength";
        pairs[1] = length;
    }
    if (sb->failed || cn_sb_node(sb, node)->param_count) return;
    cn_sb_params(sb, node, pairs, 1);
}

/* Reads the default as a value of the column: whether it has one that can be shown. */
static int resolve_default(struct column *c, struct values *v) {
    char text[4096];
    uint64_t mem[1024];
    struct cn_batch b;
    struct cn_cell cell = cn_null();
    if (!c->default_expression || c->generated) return 0;
    const char *type = c->vt.name;
    if (default_text(c->default_expression, type, c->vt.labels != NULL, text, sizeof text) < 0) return 0;
    cn_batch_init(&b, mem, sizeof mem, NULL, NULL);
    if (value_cell(v, &b, &c->vt, text_of(text), &cell) != 0 || b.failed) return 0;
    if (cell.type == CN_STRUCT || cell.type == CN_ARRAY || cell.type == CN_MAP) return 0; /* schemas hold scalars only */
    c->default_text = strdup(text);
    return c->default_text != NULL;
}

static void add_default(struct cn_schema_builder *sb, cn_off node, const struct column *c, struct values *v) {
    uint64_t mem[1024];
    struct cn_batch b;
    struct cn_cell cell = cn_null();
    if (!c->has_default) return;
    cn_batch_init(&b, mem, sizeof mem, NULL, NULL);
    if (value_cell(v, &b, &c->vt, text_of(c->default_text), &cell) != 0 || b.failed) return;
    int bytes = cell.type == CN_STRING || cell.type == CN_BYTES;
    cn_sb_default(sb, node, cell, bytes ? (const void *)(b.base + cell.u.at) : NULL, cell.n);
}

static cn_off column_schema(struct cn_schema_builder *sb, const struct column *c, const struct mask *m, struct values *v) {
    cn_off node = vtype_schema(sb, &c->vt, c->optional);
    if (m && (m->kind != MASK_TRUNCATE || mask_works(m, c))) mask_params(sb, node, m);
    add_default(sb, node, c, v);
    return node;
}

static int selected(const struct shape *s, const struct table *t, const struct column *c) {
    char id[512];
    if (!s->column_include && !s->column_exclude) return 1;
    snprintf(id, sizeof id, "%s.%s", t->id, c->name);
    return filter_selects(s->column_include, s->column_exclude, id);
}

static void resolve_columns(struct table *t, const struct shape *s) {
    char id[512];
    t->fields = 0;
    for (uint32_t i = 0; i < t->count; i++) {
        struct column *c = &t->columns[i];
        vtype_resolve(&s->o->modes, c->type, c->typmod, s->lookup, s->lookup_arg, &c->vt);
        c->has_default = (uint8_t)resolve_default(c, s->values);
        t->has_enums |= c->vt.labels != NULL;
        c->field = -1;
        if (c->vt.conv == CONV_DROPPED) continue;
        snprintf(id, sizeof id, "%s.%s", t->id, c->name);
        c->mask = masks_find(s->masks, id);
        if (selected(s, t, c)) c->field = (int32_t)t->fields++;
    }
}

static void add_key(struct table *t, uint32_t column) {
    for (uint32_t i = 0; i < t->key_count; i++)
        if (t->keys[i] == column) return;
    if (t->columns[column].vt.conv != CONV_DROPPED) t->keys[t->key_count++] = (uint16_t)column;
}

/* message.key.columns first; without a match there, the primary key or unique index. */
static void resolve_keys(struct table *t, const struct shape *s, const struct table_keys *keys) {
    char id[512];
    t->key_count = 0;
    for (uint32_t k = 0; k < s->key_table_count; k++)
        for (uint32_t i = 0; i < t->count; i++) {
            snprintf(id, sizeof id, "%s.%s", t->id, t->columns[i].name);
            if (filter_match(s->key_tables[k], id)) add_key(t, i);
        }
    if (t->key_count) return;
    for (uint32_t k = 0; k < keys->n; k++)
        for (uint32_t i = 0; i < t->count; i++)
            if (strcmp(keys->names[k], t->columns[i].name) == 0) add_key(t, i);
}

static struct cn_schema_blob *key_schema(const struct table *t, const struct shape *s) {
    struct cn_schema_builder sb = {0};
    char name[1024];
    struct cn_sb_field *f = calloc(t->key_count, sizeof *f);
    if (!f) return NULL;
    for (uint32_t i = 0; i < t->key_count; i++) {
        const struct column *c = &t->columns[t->keys[i]];
        f[i] = (struct cn_sb_field){c->name, column_schema(&sb, c, NULL, s->values)};
    }
    snprintf(name, sizeof name, "%s.Key", t->topic);
    cn_off root = cn_sb_type(&sb, CN_STRUCT, 0, name, 0);
    cn_sb_fields(&sb, root, f, t->key_count);
    free(f);
    return cn_sb_finish(&sb, root);
}

static struct cn_schema_blob *value_schema(const struct table *t, const struct shape *s) {
    struct cn_schema_builder sb = {0};
    char name[1024];
    struct cn_sb_field *f = calloc(t->fields ? t->fields : 1, sizeof *f);
    if (!f) return NULL;
    for (uint32_t i = 0; i < t->count; i++) {
        const struct column *c = &t->columns[i];
        if (c->field >= 0) f[c->field] = (struct cn_sb_field){c->name, column_schema(&sb, c, c->mask, s->values)};
    }
    snprintf(name, sizeof name, "%s.Value", t->topic);
    cn_off row = cn_sb_type(&sb, CN_STRUCT, 1, name, 0);
    cn_sb_fields(&sb, row, f, t->fields);
    free(f);
    snprintf(name, sizeof name, "%s.Envelope", t->topic);
    return cn_sb_finish(&sb, envelope_schema_row(&sb, row, name));
}

int table_build(struct table *t, const struct shape *s, const struct table_keys *keys) {
    t->topic = topic_name(s->o, t->schema, t->name);
    if (!t->topic) return -1;
    resolve_columns(t, s);
    resolve_keys(t, s, keys);
    if (t->key_count && !(t->key_schema = key_schema(t, s))) return -1;
    t->value_schema = value_schema(t, s);
    for (uint32_t i = 0; i < t->count; i++) /* a mask that does not work stays in the schema, as Debezium has it */
        if (t->columns[i].mask && !mask_works(t->columns[i].mask, &t->columns[i])) t->columns[i].mask = NULL;
    return t->value_schema ? 0 : -1;
}

/* ── rows ── */

/* What stands for NULL where the schema does not allow it: the default, else zero. Made once a batch. */
static struct cn_cell fallback(struct column *c, struct values *v, struct cn_batch *b, uint64_t batch) {
    if (c->fallback_seen != batch) {
        c->fallback_cell = cn_null();
        if (!c->has_default || value_cell(v, b, &c->vt, text_of(c->default_text), &c->fallback_cell) != 0)
            c->fallback_cell = value_zero(b, &c->vt);
        c->fallback_seen = batch;
    }
    return c->fallback_cell;
}

int table_row(struct table *t, struct values *v, struct cn_batch *b, uint64_t batch, const struct text *fields, const struct text *old,
              int streamed, struct cn_cell *row, uint32_t *ret_bad) {
    for (uint32_t i = 0; i < t->count; i++) {
        struct column *c = &t->columns[i];
        struct text f = fields[i];
        if (f.p == table_unsent && old && old[i].p != table_unsent) f = old[i];
        if (c->vt.conv == CONV_DROPPED) {
            row[i] = cn_null();
        } else if (f.p == table_unsent) {
            row[i] = value_unsent(v, b, &c->vt);
        } else if (!f.p || (streamed && c->vt.not_streamed)) {
            row[i] = c->optional ? cn_null() : fallback(c, v, b, batch);
        } else if (value_cell(v, b, &c->vt, f, &row[i]) != 0) {
            *ret_bad = i;
            return -1;
        }
    }
    return 0;
}

struct cn_cell table_value(const struct table *t, struct cn_batch *b, const struct cn_cell *row) {
    cn_off at = cn_alloc(b, (size_t)(t->fields ? t->fields : 1) * sizeof(struct cn_cell));
    if (!at) return cn_null();
    if (t->fields == t->count) memcpy(b->base + at, row, t->fields * sizeof *row);
    for (uint32_t i = 0; i < t->count; i++) {
        const struct column *c = &t->columns[i];
        if (c->field < 0) continue;
        if (c->mask && row[i].type != CN_NULL) cn_set(b, at, (uint32_t)c->field, mask_apply(c->mask, b, row[i], max_length(c)));
        else if (t->fields != t->count) cn_set(b, at, (uint32_t)c->field, row[i]);
    }
    return cn_run(CN_STRUCT, at, t->fields);
}

struct cn_cell table_key(const struct table *t, struct cn_batch *b, const struct cn_cell *row) {
    if (!t->key_schema) return cn_null();
    cn_off at = cn_alloc(b, t->key_count * sizeof(struct cn_cell));
    if (!at) return cn_null();
    struct cn_cell *out = cn_cells_at(b, at);
    for (uint32_t i = 0; i < t->key_count; i++) out[i] = row[t->keys[i]];
    return cn_run(CN_STRUCT, at, t->key_count);
}

int table_key_differs(const struct table *t, const struct text *a, const struct text *b) {
    for (uint32_t i = 0; i < t->key_count; i++) {
        struct text x = a[t->keys[i]], y = b[t->keys[i]];
        if (x.p == table_unsent || y.p == table_unsent) continue;
        if ((!x.p) != (!y.p) || (x.p && !text_eq(x, y))) return 1;
    }
    return 0;
}
