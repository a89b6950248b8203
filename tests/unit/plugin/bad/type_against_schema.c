/* SPDX-License-Identifier: Apache-2.0 */
/* Breaks: a cell has its schema's type. */
#define VALUE(t, b, record) wrong(b, record)
struct cn_batch;
static void wrong(struct cn_batch *b, unsigned record);
#include "good_source.h"

static void wrong(struct cn_batch *b, unsigned record) {
    struct cn_schema_builder s = {0};
    cn_off root = cn_sb_type(&s, CN_STRING, 0, NULL, 0);
    struct cn_schema_blob *blob = cn_sb_finish(&s, root);
    cn_set_value(b, record, cn_int(CN_INT32, 1), cn_schema_use(b, blob));
    free(blob);
}
