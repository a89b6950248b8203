/* SPDX-License-Identifier: Apache-2.0 */
/* What column.truncate.*, column.mask.with.* and column.mask.hash.* do to a value: rules by regular expression, in the order
 * they were written; a column takes the first that matches.
 *
 * Compiled once at open. Applying allocates in the batch only. */
#ifndef MASK_H
#define MASK_H

#include "filter.h"
#include "options.h"
#include "pgtext.h"

enum mask_kind { MASK_NONE, MASK_TRUNCATE, MASK_STARS, MASK_HASH_V1, MASK_HASH_V2 };

struct mask {
    struct filter *columns;
    uint8_t kind; /* enum mask_kind */
    uint32_t length;
    char algorithm[16]; /* OpenSSL's name */
    const char *salt;
};
struct masks {
    struct mask *rules;
    uint32_t n;
};

/* 0, or -1 with what is wrong in error[0..cap). */
int masks_init(struct masks *m, const struct options *o, char *error, size_t cap);
void masks_done(struct masks *m);
/* The rule for "schema.table.column", or NULL. */
const struct mask *masks_find(const struct masks *m, const char *column);
/* The value as the rule shows it. `max_length` is the column's length in characters, 0 when it has none. */
struct cn_cell mask_apply(const struct mask *m, struct cn_batch *b, struct cn_cell value, int32_t max_length);

#endif
