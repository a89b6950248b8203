/* SPDX-License-Identifier: Apache-2.0 */
/* The publications: which tables the server sends.
 *
 * In filtered mode the connector keeps two: one for tables whose replica identity lets updates and deletes be published, and
 * one that publishes only inserts and truncates for the others, because a table without an identity in the first would make
 * the application's UPDATE and DELETE fail. In all other modes nothing is altered. */
#ifndef PUBLICATION_H
#define PUBLICATION_H

#include "catalog.h"

struct publication_ask {
    const struct conn_ops *ops;
    struct conn *c;
    struct cn_host *host; /* for warnings */
    const struct options *o;
    struct catalog *catalog;
    const struct filter *schema_include, *schema_exclude, *table_include, *table_exclude;
};

/* Lists the tables in the order a snapshot reads them, makes or checks the publications, and marks the captured tables
   (candidate.published). ret_names is the
   value for publication_names. 0, or -1 with what a user must do. */
int publication_ensure(const struct publication_ask *a, struct candidates *ret_tables, char ret_names[160], struct pgerr *e);
/* Whether the filters select the table; system schemas never. */
int publication_selects(const struct publication_ask *a, const char *schema, const char *id);

#endif
