/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of regular expressions that select tables, columns and message prefixes, as Debezium's *.include.list options:
 * case-insensitive, matching the whole name.
 *
 * Compiled once at open; matching allocates nothing. One thread at a time. */
#ifndef FILTER_H
#define FILTER_H

#include <connectd/option.h>

struct filter;

/* Compiles the list. *ret is NULL for an empty list. 0, or -1 with what is wrong in error[0..cap). */
int filter_new(const struct cn_list *list, struct filter **ret, char *error, size_t cap);
/* The same for one expression. */
int filter_new_one(const char *pattern, struct filter **ret, char *error, size_t cap);
void filter_free(struct filter *f);
/* The index of the first expression that matches the whole name, or -1. A NULL filter matches nothing. */
int filter_rank(const struct filter *f, const char *name);
static inline int filter_match(const struct filter *f, const char *name) { return filter_rank(f, name) >= 0; }
/* The usual pair: in `include` (or that is NULL) and not in `exclude`. */
static inline int filter_selects(const struct filter *include, const struct filter *exclude, const char *name) {
    return (!include || filter_match(include, name)) && !filter_match(exclude, name);
}

#endif
