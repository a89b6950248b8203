// SPDX-License-Identifier: Apache-2.0
// A partition as it was found: its segments and what is whole of them, its aborted transactions. What salvage.c and accept.c begin with.
#ifndef STORE_INSPECT_H
#define STORE_INSPECT_H

#include "examine.h"
#include "store/repair.h"
#include "store_int.h"

struct inspected {                  // one segment
    struct segment *seg;            // a reference
    struct segment_facts facts;
    struct examined found;
    struct buf ends;                // struct producer_end: its transaction index, as it should be, in order
    uint32_t aborts;                // entries of its transaction index, or ABORTS_UNKNOWN
    char txn_fault[200];            // what is wrong with the transaction index; "" nothing
};
struct inspection {
    struct store *s;
    struct partition *p;
    struct inspected *segs;         // the last is active
    size_t n;
    struct epoch_start *epochs;
    uint32_t epoch_count;
    int64_t log_start, end;
    uint64_t bytes;
    struct err health;              // code NONE: the partition serves
    struct producers *producers;    // a copy, or NULL
    struct buf pending;             // struct pending_abort
};

// ERR_NOT_FOUND: deleted; ERR_AGAIN: changed meanwhile. inspect_done in any case.
int inspect(struct partition *p, struct inspection *ret, struct err *err) MUST_USE;
void inspect_done(struct inspection *x);

struct loss { size_t areas; int64_t offsets; uint64_t bytes, unreadable; };
struct loss inspect_loss(const struct inspection *x);
void inspect_put_loss(const struct loss *l, struct json_writer *w); // the member "lost"
// {"topic":…,"partition":…, begun.
void inspect_begin_json(const struct inspection *x, struct json_writer *w);
// Calls `each` for every whole batch of the partition.
int inspect_each(const struct inspection *x, examine_batch *each, void *arg, struct err *err) MUST_USE;

#endif
