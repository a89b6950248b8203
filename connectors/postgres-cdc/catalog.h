/* SPDX-License-Identifier: Apache-2.0 */
/* What the connector reads from the server's catalogs: which tables there are, their columns, keys and types.
 *
 * Plain SELECTs over pg_catalog; nothing is written and no lock beyond reading them is taken. Types are cached by oid for the
 * life of the task. One thread. */
#ifndef CATALOG_H
#define CATALOG_H

#include "conn.h"
#include "table.h"

struct catalog {
    const struct conn_ops *ops;
    struct pg_type **types;
    uint32_t type_count, type_cap;
};

void catalog_init(struct catalog *k, const struct conn_ops *ops);
void catalog_done(struct catalog *k);
/* type_lookup over the cache (arg: the catalog). */
const struct pg_type *catalog_type(void *catalog, uint32_t oid);

struct candidate { /* a table that could be captured */
    uint32_t oid;
    char *schema, *name, *id;
    char kind;        /* r table, p partitioned */
    char identity;    /* d, n, f, i */
    uint8_t usable;   /* its replica identity lets UPDATE and DELETE be published */
    uint8_t children; /* has inheritance children or partitions, so that COPY of the name alone is not all */
    double rows, bytes; /* estimates, for progress; -1 unknown */
    /* of a publication made by somebody else */
    char *columns;    /* "a","b": the published columns, or NULL: all */
    char *filter;     /* its WHERE, or NULL */
    uint8_t published;
    int32_t rank;     /* of the expression in table.include.list that selects it: tables are read in that order */
};
struct candidates {
    struct candidate *items;
    uint32_t n;
};

/* All permanent tables outside of the system schemas, in the order of their ids. */
int catalog_tables(struct catalog *k, struct conn *c, struct candidates *ret, struct pgerr *e);
void candidates_free(struct candidates *l);

/* The table with its columns (not built). *ret is NULL when it is gone. */
int catalog_table(struct catalog *k, struct conn *c, uint32_t oid, struct table **ret, struct pgerr *e);
/* The key's column names; table_keys_free it. */
int catalog_keys(struct catalog *k, struct conn *c, uint32_t oid, struct table_keys *ret, struct pgerr *e);
void table_keys_free(struct table_keys *keys);
/* Makes sure that every type the columns use is in the cache; `refresh_enums` reads enums again. */
int catalog_need_types(struct catalog *k, struct conn *c, const struct table *t, int refresh_enums, struct pgerr *e);

/* A value as an SQL literal ('…'), an identifier ("…"): malloc'ed. */
char *sql_literal(const char *text);
char *sql_identifier(const char *text);
/* printf into malloc'ed memory; NULL when short. */
char *sql_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
