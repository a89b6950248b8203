/* SPDX-License-Identifier: Apache-2.0 */
/* Splitting of PostgreSQL's composite texts: arrays "{1,NULL,"a b"}" and hstore "\"k\"=>\"v\", \"n\"=>NULL".
 *
 * Pure. A reader walks items one by one; unescaped bytes go into a scratch area of the caller's that is at least as long as
 * the whole text, so nothing is allocated. */
#ifndef PG_ARRAY_H
#define PG_ARRAY_H

#include "pgtext.h"

enum { ITEM_END = 0, ITEM_VALUE = 1, ITEM_NULL = 2, ITEM_NESTED = 3, ITEM_BAD = -1 };

struct array_reader {
    const char *p, *end;
    char *scratch; /* for unescaping, as long as the text */
    char delimiter;
    int first;
};

/* "{…}" or "[1:2]={…}". 0, or -1 when the text does not begin like an array. */
int array_open(struct array_reader *r, struct text t, char delimiter, char *scratch);
/* ITEM_*; VALUE fills *ret (valid until the scratch is reused by a new reader), NESTED is skipped whole. After END or BAD the
   reader must not be used. END only at the closing brace with nothing behind it. */
int array_next(struct array_reader *r, struct text *ret);

struct hstore_reader {
    const char *p, *end;
    char *scratch;
    int first;
};
void hstore_open(struct hstore_reader *r, struct text t, char *scratch);
/* ITEM_VALUE: key and value; ITEM_NULL: key with a null value; ITEM_END; ITEM_BAD. */
int hstore_next(struct hstore_reader *r, struct text *ret_key, struct text *ret_value);

#endif
