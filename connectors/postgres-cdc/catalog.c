/* SPDX-License-Identifier: Apache-2.0 */
#include "catalog.h"

/* ── SQL text ── */

static char *quoted(const char *text, char quote) {
    char *out = malloc(strlen(text) * 2 + 3), *p = out;
    if (!out) return NULL;
    *p++ = quote;
    for (; *text; text++) {
        if (*text == quote) *p++ = quote;
        *p++ = *text;
    }
    *p++ = quote;
    *p = 0;
    return out;
}

char *sql_identifier(const char *text) { return quoted(text, '"'); }

char *sql_literal(const char *text) {
    char *plain = quoted(text, '\'');
    if (!plain || !strchr(text, '\\')) return plain;
    /* E'…' whatever standard_conforming_strings says */
    char *out = malloc(strlen(plain) * 2 + 2), *p = out;
    if (out) {
        *p++ = 'E';
        for (const char *s = plain; *s; s++) {
            if (*s == '\\') *p++ = '\\';
            *p++ = *s;
        }
        *p = 0;
    }
    free(plain);
    return out;
}

char *sql_printf(const char *fmt, ...) {
    char *out = NULL;
    va_list ap;
    va_start(ap, fmt);
    if (vasprintf(&out, fmt, ap) < 0) out = NULL;
    va_end(ap);
    return out;
}

static int no_memory(struct pgerr *e) { return pgerr_set(e, CN_FAIL_TRANSIENT, NULL, "out of memory"); }

/* ── the type cache ── */

void catalog_init(struct catalog *k, const struct conn_ops *ops) {
    memset(k, 0, sizeof *k);
    k->ops = ops;
}

static void type_free(struct pg_type *t) {
    if (!t) return;
    free(t->name);
    free(t->labels);
    free(t);
}

void catalog_done(struct catalog *k) {
    for (uint32_t i = 0; i < k->type_count; i++) type_free(k->types[i]);
    free(k->types);
    memset(k, 0, sizeof *k);
}

const struct pg_type *catalog_type(void *arg, uint32_t oid) {
    const struct catalog *k = arg;
    for (uint32_t i = 0; i < k->type_count; i++)
        if (k->types[i]->oid == oid) return k->types[i];
    return NULL;
}

static int type_add(struct catalog *k, struct pg_type *t) {
    for (uint32_t i = 0; i < k->type_count; i++) {
        if (k->types[i]->oid != t->oid) continue;
        type_free(k->types[i]);
        k->types[i] = t;
        return 0;
    }
    if (k->type_count == k->type_cap) {
        uint32_t cap = k->type_cap ? k->type_cap * 2 : 32;
        struct pg_type **p = realloc(k->types, cap * sizeof *p);
        if (!p) return -1;
        k->types = p;
        k->type_cap = cap;
    }
    k->types[k->type_count++] = t;
    return 0;
}

static uint32_t oid_of(const char *text) { return text ? (uint32_t)strtoul(text, NULL, 10) : 0; }

/* One type from pg_type; *ret is its row in the cache, or NULL when there is no such type. */
static int type_load(struct catalog *k, struct conn *c, uint32_t oid, const struct pg_type **ret, struct pgerr *e) {
    struct rows *r;
    char *sql = sql_printf("SELECT t.typname, t.typtype, t.typdelim, t.typbasetype, t.typtypmod, t.typelem, "
                           "(SELECT string_agg(l.enumlabel, ',' ORDER BY l.enumsortorder) FROM pg_catalog.pg_enum l WHERE l.enumtypid = t.oid) "
                           "FROM pg_catalog.pg_type t WHERE t.oid = %u", oid);
    *ret = NULL;
    if (!sql) return no_memory(e);
    int bad = k->ops->query(c, sql, &r, e);
    free(sql);
    if (bad) return -1;
    if (k->ops->rows_count(r)) {
        const char *labels = k->ops->rows_get(r, 0, 6), *name = k->ops->rows_get(r, 0, 0), *mod = k->ops->rows_get(r, 0, 4);
        struct pg_type *t = calloc(1, sizeof *t);
        if (t) {
            t->oid = oid;
            t->name = strdup(name ? name : "");
            t->kind = *k->ops->rows_get(r, 0, 1);
            t->delimiter = *k->ops->rows_get(r, 0, 2);
            t->base = oid_of(k->ops->rows_get(r, 0, 3));
            t->base_typmod = mod ? (int32_t)strtol(mod, NULL, 10) : -1;
            t->element = oid_of(k->ops->rows_get(r, 0, 5));
            t->labels = labels ? strdup(labels) : NULL;
        }
        if (!t || !t->name || type_add(k, t) != 0) {
            type_free(t);
            bad = no_memory(e);
        } else {
            *ret = t;
        }
    }
    k->ops->rows_free(r);
    return bad;
}

/* The type and what it is made of: bases of domains, elements of arrays. */
static int type_need(struct catalog *k, struct conn *c, uint32_t oid, int refresh_enums, struct pgerr *e) {
    for (int depth = 0; oid && depth < 32; depth++) {
        if (type_is_builtin(oid)) return 0;
        const struct pg_type *t = catalog_type(k, oid);
        if ((!t || (refresh_enums && t->kind == 'e')) && type_load(k, c, oid, &t, e) != 0) return -1;
        if (!t) return 0;
        oid = t->kind == 'd' ? t->base : t->element;
    }
    return 0;
}

int catalog_need_types(struct catalog *k, struct conn *c, const struct table *t, int refresh_enums, struct pgerr *e) {
    for (uint32_t i = 0; i < t->count; i++)
        if (type_need(k, c, t->columns[i].type, refresh_enums, e) != 0) return -1;
    return 0;
}

/* ── tables ── */

static int by_id(const void *a, const void *b) {
    return strcmp(((const struct candidate *)a)->id, ((const struct candidate *)b)->id);
}

void candidates_free(struct candidates *l) {
    for (uint32_t i = 0; i < l->n; i++) {
        free(l->items[i].schema);
        free(l->items[i].name);
        free(l->items[i].id);
        free(l->items[i].columns);
        free(l->items[i].filter);
    }
    free(l->items);
    memset(l, 0, sizeof *l);
}

static int take_candidate(struct catalog *k, const struct rows *r, uint32_t row, struct candidate *t) {
    t->oid = oid_of(k->ops->rows_get(r, row, 0));
    t->schema = strdup(k->ops->rows_get(r, row, 1));
    t->name = strdup(k->ops->rows_get(r, row, 2));
    t->kind = *k->ops->rows_get(r, row, 3);
    t->identity = *k->ops->rows_get(r, row, 4);
    t->usable = *k->ops->rows_get(r, row, 5) == 't';
    t->children = *k->ops->rows_get(r, row, 6) == 't';
    t->rows = strtod(k->ops->rows_get(r, row, 7), NULL);
    t->bytes = strtod(k->ops->rows_get(r, row, 8), NULL);
    t->id = t->schema && t->name ? sql_printf("%s.%s", t->schema, t->name) : NULL;
    return t->id ? 0 : -1;
}

int catalog_tables(struct catalog *k, struct conn *c, struct candidates *ret, struct pgerr *e) {
    static const char sql[] =
        "SELECT c.oid, n.nspname, c.relname, c.relkind, c.relreplident, "
        "CASE c.relreplident WHEN 'f' THEN true WHEN 'n' THEN false "
        "WHEN 'd' THEN EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid AND i.indisprimary AND i.indisvalid) "
        "ELSE EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid AND i.indisreplident AND i.indisvalid) END, "
        "EXISTS (SELECT FROM pg_catalog.pg_inherits h WHERE h.inhparent = c.oid), c.reltuples, c.relpages::float8 * 8192 "
        "FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
        "WHERE c.relkind IN ('r', 'p') AND c.relpersistence = 'p' "
        "AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'";
    struct rows *r;
    memset(ret, 0, sizeof *ret);
    if (k->ops->query(c, sql, &r, e) != 0) return -1;
    uint32_t n = k->ops->rows_count(r);
    ret->items = calloc(n ? n : 1, sizeof *ret->items);
    int bad = !ret->items;
    for (uint32_t i = 0; !bad && i < n; i++, ret->n++) bad = take_candidate(k, r, i, &ret->items[ret->n]) != 0;
    k->ops->rows_free(r);
    if (bad) return candidates_free(ret), no_memory(e);
    qsort(ret->items, ret->n, sizeof *ret->items, by_id);
    return 0;
}

static void take_column(struct catalog *k, const struct rows *r, uint32_t row, struct column *c) {
    const char *def = k->ops->rows_get(r, row, 5), *mod = k->ops->rows_get(r, row, 2), *generated = k->ops->rows_get(r, row, 4);
    column_set_name(c, text_of(k->ops->rows_get(r, row, 0)));
    c->type = oid_of(k->ops->rows_get(r, row, 1));
    c->typmod = mod ? (int32_t)strtol(mod, NULL, 10) : -1;
    c->optional = *k->ops->rows_get(r, row, 3) != 't';
    c->generated = generated && *generated;
    c->default_expression = def && !c->generated ? strdup(def) : NULL;
}

int catalog_table(struct catalog *k, struct conn *c, uint32_t oid, struct table **ret, struct pgerr *e) {
    struct rows *r = NULL, *head = NULL;
    char *sql = sql_printf("SELECT n.nspname, c.relname, c.relreplident FROM pg_catalog.pg_class c "
                           "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = %u", oid);
    *ret = NULL;
    int bad = sql ? k->ops->query(c, sql, &head, e) : no_memory(e);
    free(sql);
    if (bad) return -1;
    sql = sql_printf("SELECT a.attname, a.atttypid, a.atttypmod, a.attnotnull OR (t.typtype = 'd' AND t.typnotnull), %s, "
                     "pg_catalog.pg_get_expr(d.adbin, d.adrelid) FROM pg_catalog.pg_attribute a "
                     "JOIN pg_catalog.pg_type t ON t.oid = a.atttypid "
                     "LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum "
                     "WHERE a.attrelid = %u AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
                     k->ops->version(c) >= 120000 ? "a.attgenerated" : "''", oid);
    bad = sql ? k->ops->query(c, sql, &r, e) : no_memory(e);
    free(sql);
    if (!bad && k->ops->rows_count(head)) {
        uint32_t n = k->ops->rows_count(r);
        struct table *t = table_new(oid, text_of(k->ops->rows_get(head, 0, 0)), text_of(k->ops->rows_get(head, 0, 1)),
                                    *k->ops->rows_get(head, 0, 2), n);
        for (uint32_t i = 0; t && i < n; i++) take_column(k, r, i, &t->columns[i]);
        *ret = t;
        if (!t) bad = no_memory(e);
    }
    if (r) k->ops->rows_free(r);
    k->ops->rows_free(head);
    return bad;
}

void table_keys_free(struct table_keys *keys) {
    for (uint32_t i = 0; i < keys->n; i++) free(keys->names[i]);
    free(keys->names);
    memset(keys, 0, sizeof *keys);
}

int catalog_keys(struct catalog *k, struct conn *c, uint32_t oid, struct table_keys *ret, struct pgerr *e) {
    struct rows *r;
    memset(ret, 0, sizeof *ret);
    char *sql = sql_printf(
        "SELECT a.attname FROM (SELECT i.indrelid, i.indkey, i.%s AS keys FROM pg_catalog.pg_index i "
        "JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid WHERE i.indrelid = %u AND i.indisunique "
        "AND NOT (0 = ANY (i.indkey::int2[])) ORDER BY NOT i.indisprimary, x.relname LIMIT 1) p, "
        "generate_series(0, p.keys - 1) pos JOIN pg_catalog.pg_attribute a ON true "
        "WHERE a.attrelid = p.indrelid AND a.attnum = p.indkey[pos] ORDER BY pos",
        k->ops->version(c) >= 110000 ? "indnkeyatts" : "indnatts", oid);
    int bad = sql ? k->ops->query(c, sql, &r, e) : no_memory(e);
    free(sql);
    if (bad) return -1;
    uint32_t n = k->ops->rows_count(r);
    ret->names = calloc(n ? n : 1, sizeof *ret->names);
    for (uint32_t i = 0; ret->names && i < n; i++, ret->n++) ret->names[i] = strdup(k->ops->rows_get(r, i, 0));
    k->ops->rows_free(r);
    return ret->names ? 0 : no_memory(e);
}
