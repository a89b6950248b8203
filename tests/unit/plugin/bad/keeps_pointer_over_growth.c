/* SPDX-License-Identifier: Apache-2.0 */
/* Breaks: a pointer into a batch ends with the next call that allocates in it. */
#define VALUE(t, b, record) stale(b, record)
struct cn_batch;
static void stale(struct cn_batch *b, unsigned record);
#include "good_source.h"

static void stale(struct cn_batch *b, unsigned record) {
    struct cn_record *r = cn_record_at(b, record);
    r->value = cn_bytes(b, b->base, 0);
    cn_alloc(b, 1 << 16); /* the region moves */
    r->value = cn_int(CN_INT64, 1);
}
