/* SPDX-License-Identifier: Apache-2.0 */
#include "publication.h"

struct publication {
    int exists, all_tables, inserts, updates, deletes, truncates, via_root;
};

int publication_selects(const struct publication_ask *a, const char *schema, const char *id) {
    return filter_selects(a->schema_include, a->schema_exclude, schema) && filter_selects(a->table_include, a->table_exclude, id);
}

static int no_memory(struct pgerr *e) { return pgerr_set(e, CN_FAIL_TRANSIENT, NULL, "out of memory"); }

static int query(const struct publication_ask *a, char *sql, struct rows **ret, struct pgerr *e) {
    int bad = sql ? a->ops->query(a->c, sql, ret, e) : no_memory(e);
    free(sql);
    return bad;
}

static int look(const struct publication_ask *a, const char *name, struct publication *ret, struct pgerr *e) {
    struct rows *r;
    int version = a->ops->version(a->c);
    char *literal = sql_literal(name);
    memset(ret, 0, sizeof *ret);
    char *sql = literal ? sql_printf("SELECT puballtables, pubinsert, pubupdate, pubdelete, %s, %s FROM pg_catalog.pg_publication "
                                     "WHERE pubname = %s", version >= 110000 ? "pubtruncate" : "false",
                                     version >= 130000 ? "pubviaroot" : "false", literal) : NULL;
    free(literal);
    if (query(a, sql, &r, e) != 0) return -1;
    int *flags[] = {&ret->all_tables, &ret->inserts, &ret->updates, &ret->deletes, &ret->truncates, &ret->via_root};
    ret->exists = a->ops->rows_count(r) > 0;
    for (uint32_t i = 0; ret->exists && i < 6; i++) *flags[i] = *a->ops->rows_get(r, 0, i) == 't';
    a->ops->rows_free(r);
    return 0;
}

/* ── wanted lists as SQL ── */

enum part { PART_MAIN, PART_INSERTS };

static int in_part(const struct candidate *t, int part) { return t->published && (t->usable ? PART_MAIN : PART_INSERTS) == part; }

/* "a"."b", "c"."d": the tables of a part; NULL when memory is short, "" when there are none. */
static char *table_list(const struct candidates *l, int part) {
    size_t cap = 16, n = 0;
    for (uint32_t i = 0; i < l->n; i++) cap += strlen(l->items[i].id) * 2 + 16;
    char *out = malloc(cap);
    if (!out) return NULL;
    out[0] = 0;
    for (uint32_t i = 0; i < l->n; i++) {
        if (!in_part(&l->items[i], part)) continue;
        char *schema = sql_identifier(l->items[i].schema), *name = sql_identifier(l->items[i].name);
        if (schema && name) n += (size_t)snprintf(out + n, cap - n, "%s%s.%s", n ? ", " : "", schema, name);
        free(schema);
        free(name);
    }
    return out;
}

/* The operations that are published: all that make records, and always truncate, which costs nothing. */
static void publish_list(const struct publication_ask *a, int part, char out[64]) {
    uint32_t skip = a->o->skip_ops;
    int n = snprintf(out, 64, "%s%s%s%s", skip & OP_CREATE ? "" : "insert, ", part == PART_MAIN && !(skip & OP_UPDATE) ? "update, " : "",
                     part == PART_MAIN && !(skip & OP_DELETE) ? "delete, " : "", a->ops->version(a->c) >= 110000 ? "truncate, " : "");
    if (n) out[n - 2] = 0;
}

static char *with_clause(const struct publication_ask *a, int part) {
    char publish[64];
    publish_list(a, part, publish);
    if (a->ops->version(a->c) < 130000) return sql_printf("publish = '%s'", publish);
    return sql_printf("publish = '%s', publish_via_partition_root = %s", publish, a->o->via_root ? "true" : "false");
}

/* Our own right is not enough: says what somebody who has it must run. */
static int denied(const struct publication_ask *a, const char *name, const char *sql, struct pgerr *e) {
    char hint[900], text[sizeof e->text];
    if (!pgerr_is(e, "42501")) {
        pgerr_wrap(e, "publication %s", name);
        return -1;
    }
    snprintf(text, sizeof text, "%s", e->text);
    snprintf(hint, sizeof hint, "let the owner of the tables run: %.800s", sql);
    return pgerr_set(e, CN_FAIL_CONFIG, hint, "role %s may not make publication %s: %s", a->o->user, name, text);
}

/* Runs a statement, which it frees. */
static int run(const struct publication_ask *a, const char *name, char *sql, struct pgerr *e) {
    if (!sql) return no_memory(e);
    int bad = a->ops->query(a->c, sql, NULL, e) != 0 && denied(a, name, sql, e) != 0;
    free(sql);
    return bad ? -1 : 0;
}

/* ── filtered ── */

static int by_oid(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* How the tables of a publication differ from those wanted. */
static int compare_tables(const struct publication_ask *a, const char *name, const struct candidates *l, int part, int *ret_missing,
                          int *ret_extra, struct pgerr *e) {
    struct rows *r;
    char *literal = sql_literal(name);
    char *sql = literal ? sql_printf("SELECT r.prrelid FROM pg_catalog.pg_publication_rel r JOIN pg_catalog.pg_publication p "
                                     "ON p.oid = r.prpubid WHERE p.pubname = %s", literal) : NULL;
    free(literal);
    if (query(a, sql, &r, e) != 0) return -1;
    uint32_t have = a->ops->rows_count(r), wanted = 0, found = 0;
    uint32_t *oids = calloc(have + 1, sizeof *oids);
    for (uint32_t k = 0; oids && k < have; k++) oids[k] = (uint32_t)strtoul(a->ops->rows_get(r, k, 0), NULL, 10);
    a->ops->rows_free(r);
    if (!oids) return no_memory(e);
    qsort(oids, have, sizeof *oids, by_oid);
    for (uint32_t i = 0; i < l->n; i++) {
        if (!in_part(&l->items[i], part)) continue;
        wanted++;
        found += bsearch(&l->items[i].oid, oids, have, sizeof *oids, by_oid) != NULL;
    }
    free(oids);
    *ret_missing = found < wanted;
    *ret_extra = have > found;
    return 0;
}

static int same_settings(const struct publication_ask *a, const struct publication *p, int part) {
    uint32_t skip = a->o->skip_ops;
    int version = a->ops->version(a->c);
    return p->inserts == !(skip & OP_CREATE) && p->updates == (part == PART_MAIN && !(skip & OP_UPDATE)) &&
           p->deletes == (part == PART_MAIN && !(skip & OP_DELETE)) && p->truncates == (version >= 110000) &&
           (version < 130000 || p->via_root == a->o->via_root);
}

static int create(const struct publication_ask *a, const char *name, int part, const char *tables, struct pgerr *e) {
    char *with = with_clause(a, part);
    if (!with) return no_memory(e);
    char *sql = sql_printf("CREATE PUBLICATION \"%s\"%s%s WITH (%s)", name, *tables ? " FOR TABLE " : "", tables, with);
    free(with);
    return run(a, name, sql, e);
}

static int drop_all_tables(const struct publication_ask *a, const char *name, struct pgerr *e) {
    char *sql = sql_printf(
        "DO $$DECLARE t text; BEGIN FOR t IN SELECT r.prrelid::regclass::text FROM pg_catalog.pg_publication_rel r "
        "JOIN pg_catalog.pg_publication p ON p.oid = r.prpubid WHERE p.pubname = '%s' "
        "LOOP EXECUTE 'ALTER PUBLICATION \"%s\" DROP TABLE ' || t; END LOOP; END$$", name, name);
    return run(a, name, sql, e);
}

static int alter(const struct publication_ask *a, const char *name, const struct publication *p, int part, const char *tables, int differs,
                 struct pgerr *e) {
    if (differs && !*tables && drop_all_tables(a, name, e) != 0) return -1;
    if (differs && *tables && run(a, name, sql_printf("ALTER PUBLICATION \"%s\" SET TABLE %s", name, tables), e) != 0) return -1;
    if (same_settings(a, p, part)) return 0;
    char *with = with_clause(a, part);
    if (!with) return no_memory(e);
    char *sql = sql_printf("ALTER PUBLICATION \"%s\" SET (%s)", name, with);
    free(with);
    return run(a, name, sql, e);
}

/* Makes one publication equal to what is wanted. *ret_exists: whether it is there afterwards. */
static int sync_part(const struct publication_ask *a, const char *name, const struct candidates *l, int part, int *ret_exists, struct pgerr *e) {
    struct publication p;
    int missing = 0, extra = 0, bad;
    if (look(a, name, &p, e) != 0) return -1;
    char *tables = table_list(l, part);
    if (!tables) return no_memory(e);
    *ret_exists = 1;
    if (!p.exists) {
        *ret_exists = part == PART_MAIN || *tables;
        bad = *ret_exists && create(a, name, part, tables, e) != 0;
    } else if (p.all_tables) {
        bad = 0;
    } else {
        bad = compare_tables(a, name, l, part, &missing, &extra, e) != 0;
        if (!bad && (missing || extra || !same_settings(a, &p, part))) {
            bad = alter(a, name, &p, part, tables, missing || extra, e) != 0;
            if (bad && !missing && e->fail_class == CN_FAIL_CONFIG) { /* it sends more than is needed: no harm */
                cn_log(a->host, CN_LOG_WARN, "%s; going on with the publication as it is", e->text);
                bad = 0;
            }
        }
    }
    free(tables);
    return bad ? -1 : 0;
}

static void warn_inserts(const struct publication_ask *a, const struct candidates *l) {
    for (uint32_t i = 0; i < l->n; i++) {
        const struct candidate *t = &l->items[i];
        if (in_part(t, PART_INSERTS))
            cn_log(a->host, CN_LOG_WARN, "table %s has no usable replica identity: only its inserts are captured, because publishing its "
                   "updates and deletes would make them fail in the application; to capture them run ALTER TABLE %s REPLICA IDENTITY FULL "
                   "(or add a primary key) and restart the connector", t->id, t->id);
    }
}

static int select_tables(const struct publication_ask *a, struct candidates *l, struct pgerr *e) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < l->n; i++) {
        struct candidate *t = &l->items[i];
        t->published = (uint8_t)publication_selects(a, t->schema, t->id);
        n += t->published;
    }
    if (n || (!a->table_include && !a->schema_include)) return 0;
    return pgerr_set(e, CN_FAIL_CONFIG, "names are matched whole, as schema.table; tables in system schemas are never captured",
                     "table.include.list and schema.include.list select no table of database %s", a->o->dbname);
}

static int filtered(const struct publication_ask *a, struct candidates *l, char names[160], struct pgerr *e) {
    int main_exists, inserts_exists;
    if (select_tables(a, l, e) != 0) return -1;
    if (sync_part(a, a->o->publication_inserts, l, PART_INSERTS, &inserts_exists, e) != 0) return -1;
    if (sync_part(a, a->o->publication, l, PART_MAIN, &main_exists, e) != 0) return -1;
    warn_inserts(a, l);
    snprintf(names, 160, inserts_exists ? "\"%s\",\"%s\"" : "\"%s\"", a->o->publication, a->o->publication_inserts);
    return 0;
}

/* ── somebody else's ── */

static int absent(const struct publication_ask *a, const struct candidates *l, struct pgerr *e) {
    char hint[900];
    char *tables = table_list(l, PART_MAIN);
    if (a->o->publication_mode == PUBLICATION_ALL_TABLES)
        snprintf(hint, sizeof hint, "use publication.autocreate.mode: filtered. A publication FOR ALL TABLES makes UPDATE and DELETE fail on "
                 "every table without a replica identity, also on future ones, so connectd does not make one");
    else
        snprintf(hint, sizeof hint, "let the owner of the tables run: CREATE PUBLICATION \"%s\" FOR TABLE %.700s; or use "
                 "publication.autocreate.mode: filtered", a->o->publication, tables && *tables ? tables : "…");
    free(tables);
    return pgerr_set(e, CN_FAIL_CONFIG, hint, "publication %s does not exist", a->o->publication);
}

static struct candidate *candidate_of(struct candidates *l, const char *schema, const char *name) {
    for (uint32_t i = 0; i < l->n; i++)
        if (strcmp(l->items[i].schema, schema) == 0 && strcmp(l->items[i].name, name) == 0) return &l->items[i];
    return NULL;
}

/* What the publication really sends; column lists and row filters come with PostgreSQL 15. */
static int mark_published(const struct publication_ask *a, struct candidates *l, struct pgerr *e) {
    struct rows *r;
    int lists = a->ops->version(a->c) >= 150000;
    char *literal = sql_literal(a->o->publication);
    char *sql = literal ? sql_printf("SELECT schemaname, tablename, %s FROM pg_catalog.pg_publication_tables WHERE pubname = %s",
                                     lists ? "array_to_string(ARRAY(SELECT quote_ident(n) FROM unnest(attnames) n), ','), rowfilter"
                                           : "NULL, NULL", literal) : NULL;
    free(literal);
    for (uint32_t i = 0; i < l->n; i++) l->items[i].published = 0;
    if (query(a, sql, &r, e) != 0) return -1;
    for (uint32_t i = 0; i < a->ops->rows_count(r); i++) {
        struct candidate *t = candidate_of(l, a->ops->rows_get(r, i, 0), a->ops->rows_get(r, i, 1));
        const char *columns = a->ops->rows_get(r, i, 2), *filter = a->ops->rows_get(r, i, 3);
        if (!t) continue;
        t->published = 1;
        t->columns = columns ? strdup(columns) : NULL;
        t->filter = filter ? strdup(filter) : NULL;
    }
    a->ops->rows_free(r);
    return 0;
}

static int lacking(const struct publication_ask *a, const struct candidates *l, struct pgerr *e) {
    char list[512] = "", hint[900];
    size_t n = 0;
    for (uint32_t i = 0; i < l->n && n < sizeof list - 1; i++) {
        const struct candidate *t = &l->items[i];
        if (!t->published && publication_selects(a, t->schema, t->id))
            n += (size_t)snprintf(list + n, sizeof list - n, "%s%s", n ? ", " : "", t->id);
    }
    if (!n || (!a->table_include && !a->schema_include)) return 0;
    snprintf(hint, sizeof hint, "let their owner run: ALTER PUBLICATION \"%s\" ADD TABLE %s; or take them out of table.include.list",
             a->o->publication, list);
    return pgerr_set(e, CN_FAIL_CONFIG, hint, "publication %s lacks tables that table.include.list selects: %s", a->o->publication, list);
}

static void warn_operations(const struct publication_ask *a, const struct publication *p) {
    const struct { int published; uint32_t bit; const char *what; } ops[] = {
        {p->inserts, OP_CREATE, "inserts"}, {p->updates, OP_UPDATE, "updates"}, {p->deletes, OP_DELETE, "deletes"}};
    for (size_t i = 0; i < 3; i++)
        if (!ops[i].published && !(a->o->skip_ops & ops[i].bit))
            cn_log(a->host, CN_LOG_WARN, "publication %s does not publish %s: they are not captured", a->o->publication, ops[i].what);
}

static int foreign(const struct publication_ask *a, struct candidates *l, char names[160], struct pgerr *e) {
    struct publication p;
    if (look(a, a->o->publication, &p, e) != 0) return -1;
    if (!p.exists) {
        if (select_tables(a, l, e) != 0) return -1;
        return absent(a, l, e);
    }
    if (mark_published(a, l, e) != 0 || lacking(a, l, e) != 0) return -1;
    warn_operations(a, &p);
    for (uint32_t i = 0; i < l->n; i++) {
        struct candidate *t = &l->items[i];
        t->published = t->published && publication_selects(a, t->schema, t->id);
        if (t->published && !t->usable && (p.updates || p.deletes))
            cn_log(a->host, CN_LOG_WARN, "table %s has no usable replica identity but is in publication %s: its updates and deletes fail in "
                   "the application", t->id, a->o->publication);
    }
    snprintf(names, 160, "\"%s\"", a->o->publication);
    return 0;
}

static int without_tables(const struct publication_ask *a, struct candidates *l, char names[160], struct pgerr *e) {
    struct publication p;
    for (uint32_t i = 0; i < l->n; i++) l->items[i].published = 0;
    if (look(a, a->o->publication, &p, e) != 0) return -1;
    if (!p.exists && create(a, a->o->publication, PART_MAIN, "", e) != 0) return -1;
    snprintf(names, 160, "\"%s\"", a->o->publication);
    return 0;
}

static int by_rank(const void *a, const void *b) {
    const struct candidate *x = a, *y = b;
    return x->rank != y->rank ? (x->rank > y->rank) - (x->rank < y->rank) : strcmp(x->id, y->id);
}

static void order(const struct publication_ask *a, struct candidates *l) {
    if (!a->table_include) return;
    for (uint32_t i = 0; i < l->n; i++) l->items[i].rank = filter_rank(a->table_include, l->items[i].id);
    qsort(l->items, l->n, sizeof *l->items, by_rank);
}

int publication_ensure(const struct publication_ask *a, struct candidates *ret, char names[160], struct pgerr *e) {
    if (catalog_tables(a->catalog, a->c, ret, e) != 0) return -1;
    int bad;
    switch (a->o->publication_mode) {
    case PUBLICATION_FILTERED: bad = filtered(a, ret, names, e); break;
    case PUBLICATION_NO_TABLES: bad = without_tables(a, ret, names, e); break;
    default: bad = foreign(a, ret, names, e);
    }
    if (bad) candidates_free(ret);
    else order(a, ret);
    return bad;
}
