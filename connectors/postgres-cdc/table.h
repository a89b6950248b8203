/* SPDX-License-Identifier: Apache-2.0 */
/* A captured table: its columns with what becomes of their values, its key, topic and schemas.
 *
 * Built from what a RELATION message or the catalog says plus the catalog's defaults and keys; immutable afterwards except
 * for the per-batch caches, which are valid while `seen` equals the batch's number. One thread. */
#ifndef TABLE_H
#define TABLE_H

#include "mask.h"
#include "options.h"
#include "value.h"

struct column {
    char *name;
    uint32_t type;
    int32_t typmod;
    uint8_t optional;         /* may be NULL */
    uint8_t generated;        /* in snapshots only: pgoutput leaves it out */
    char *default_expression; /* NULL: none */
    /* made by table_build */
    struct vtype vt;
    int32_t field;            /* index in the value struct, or -1 */
    const struct mask *mask;  /* applied to the value, never to the key */
    uint8_t has_default;      /* `fallback` is the default and in the schema */
    uint64_t fallback_seen;   /* the batch that holds fallback_cell */
    struct cn_cell fallback_cell;
    char *default_text;
};

struct table {
    uint32_t oid;
    char *schema, *name, *id, *topic; /* id is "schema.name" */
    char identity;                    /* replica identity: d, n, f, i */
    struct column *columns;
    uint32_t count;
    uint32_t fields;                  /* columns that are in the value struct */
    uint8_t has_enums;
    uint16_t *keys;                   /* columns of the key, in its order */
    uint32_t key_count;
    struct cn_schema_blob *key_schema; /* NULL: no key */
    struct cn_schema_blob *value_schema;
    uint64_t snapshot_lsn;            /* changes committed before it are in the snapshot already */
    /* caches of the current batch */
    uint64_t seen;
    uint32_t topic_index;
    uint16_t key_index, value_index;
    cn_off schema_text, name_text;
    /* transaction metadata */
    uint64_t tx_seen;
    uint32_t tx_slot;
};

/* The columns and keys that the catalog knows; names are matched when a RELATION gives the columns. */
struct table_keys {
    char **names;
    uint32_t n;
};

struct shape { /* what every table is built with; borrowed */
    const struct options *o;
    const struct filter *column_include, *column_exclude;
    const struct masks *masks;
    const struct filter **key_tables; /* message.key.columns: one filter a column, on schema.table.column */
    uint32_t key_table_count;
    type_lookup *lookup;
    void *lookup_arg;
    struct values *values;
};

struct table *table_new(uint32_t oid, struct text schema, struct text name, char identity, uint32_t columns);
void table_free(struct table *t);
void column_set_name(struct column *c, struct text name);
/* Fills in everything that follows from the columns. `keys` are the names of the primary key's columns (or of a unique index).
   0, or -1 when memory is short. */
int table_build(struct table *t, const struct shape *s, const struct table_keys *keys);

/* Unsent (unchanged TOAST) and NULL fields: p == table_unsent, p == NULL. */
extern const char table_unsent[];

/* One field a column → one cell a column in row[0..count). `old` fills unsent fields where it has them (may be NULL). `streamed`:
   as pgoutput gave it. 0, or -1 with *ret_bad the column whose text is not of its type. */
int table_row(struct table *t, struct values *v, struct cn_batch *b, uint64_t batch, const struct text *fields, const struct text *old,
              int streamed, struct cn_cell *row, uint32_t *ret_bad);
/* The value struct of a row; the row's cells are masked in it. */
struct cn_cell table_value(const struct table *t, struct cn_batch *b, const struct cn_cell *row);
/* The key struct of a row; CN_NULL without a key. */
struct cn_cell table_key(const struct table *t, struct cn_batch *b, const struct cn_cell *row);
/* Whether the texts of the key columns differ. */
int table_key_differs(const struct table *t, const struct text *a, const struct text *b);

/* "prefix.schema.table" as a valid topic name; the caller frees. */
char *topic_name(const struct options *o, const char *schema, const char *name);

#endif
