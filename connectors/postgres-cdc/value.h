/* SPDX-License-Identifier: Apache-2.0 */
/* Text values of PostgreSQL → cells, as a struct vtype says.
 *
 * Cells and their bytes go into the batch; nothing is kept. A value that cannot be read gives -1 and leaves rubbish in the
 * batch only. One struct values serves one task; it holds a growing scratch area and what stands for unsent values. */
#ifndef VALUE_H
#define VALUE_H

#include <locale.h>

#include "types.h"

struct values {
    char *scratch; /* for unescaping arrays */
    size_t scratch_cap;
    locale_t c;    /* numbers are read in the C locale, whatever the process has */
    struct text placeholder;      /* unavailable.value.placeholder */
    char placeholder_uuid[37];    /* its name-based UUID, for uuid[] */
};

/* 0, or -1 when memory is short. The placeholder is borrowed until values_done. */
int values_init(struct values *v, const char *placeholder, const char *placeholder_md5);
void values_done(struct values *v);

/* 0, or -1: the text is not of that type. */
int value_cell(struct values *v, struct cn_batch *b, const struct vtype *t, struct text text, struct cn_cell *ret);
/* What stands for NULL in a column that is NOT NULL and has no default: zero, empty, the epoch. */
struct cn_cell value_zero(struct cn_batch *b, const struct vtype *t);
/* What stands for a TOASTed value that did not change and was not sent. */
struct cn_cell value_unsent(struct values *v, struct cn_batch *b, const struct vtype *t);

/* A double as strtod reads it in the C locale, quickly where the text allows. 0 or -1. */
int value_double(struct values *v, struct text t, double *ret);

#endif
