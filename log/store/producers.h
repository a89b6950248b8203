// SPDX-License-Identifier: Apache-2.0
// The idempotent and transactional producers of one partition: sequences, epochs, duplicates, open transactions, last stable offset.
//
//   check (reads only) ──► offsets assigned ──► apply (remembers what it replaced) ──► frame durable: framed() forgets the old
//                                                      └── commit failed: undo(mark) ──► exactly as before
//
// Rules are Kafka's (ProducerAppendInfo): the last five batches of a producer are remembered, the same first and last sequence again is
// a duplicate; a sequence continues by one, wrapping after INT32_MAX; a new epoch begins at 0; an unknown producer may begin anywhere.
// No locks: one thread at a time (the flusher, or under the partition's lock). Offsets are those of the header, already assigned.
#ifndef STORE_PRODUCERS_H
#define STORE_PRODUCERS_H

#include "base/buf.h"
#include "base/err.h"
#include "store/batch.h"

enum { PRODUCER_BATCHES = 5 };
#define PRODUCER_EXPIRE_MS (24 * 3600 * 1000LL)

struct producer_batch {
    int64_t last_offset, timestamp; // of the batch
    int32_t last_sequence, delta;   // base offset is last_offset - delta, first sequence last_sequence - delta (wrapping)
};
struct producer_state {
    int64_t id;
    int64_t seen_ms;                // wall clock of the last apply or load: what expiry counts from
    int64_t last_timestamp;         // of the last batch or marker
    int64_t txn_first;              // first offset of the open transaction, -1 none
    uint64_t txn_bytes;             // of the open transaction, since the state was loaded
    int32_t coordinator_epoch;      // of the last marker, -1 none
    int16_t epoch;
    uint16_t batch_count;
    struct producer_batch batches[PRODUCER_BATCHES]; // oldest first
};

struct producers;
struct producers *producers_new(void);
void producers_free(struct producers *p);
void producers_reset(struct producers *p); // empty again
struct producers *producers_copy(const struct producers *p); // for another thread; without the undo log

// What an end marker says (batch_marker_read); NULL where a data batch is meant.
struct batch_marker;

// May this batch be appended? 0 yes; 1 it is a duplicate, *ret_original is the batch as first appended; -1 ERR_SEQUENCE, ERR_FENCED
// or ERR_TXN_STATE. A batch without a producer id is always 0. Changes nothing.
int producers_check(const struct producers *p, const struct batch_header *h, const struct batch_marker *marker,
                    struct producer_batch *ret_original, struct err *err) MUST_USE;

// A transaction that a marker just ended (only those that had data in this partition).
struct producer_end {
    int64_t producer_id, first_offset, last_offset; // last_offset: the marker's
    int64_t last_stable;                            // once it is gone
    bool aborted;                                   // then it belongs into the transaction index
};
// Takes the batch at h->base_offset into the state, whether or not a check would allow it (replay). Returns true and fills *ret_end
// when it ended a transaction.
bool producers_apply(struct producers *p, const struct batch_header *h, const struct batch_marker *marker, int64_t now_ms, struct producer_end *ret_end);

// Undo: mark, apply…, then either undo back to the mark or (durable) framed, after which earlier marks are void.
size_t producers_mark(const struct producers *p);
void producers_undo(struct producers *p, size_t mark);
void producers_framed(struct producers *p);

// The first offset that is not stable: of the oldest open transaction, else `end`. Callers clamp to the log start offset.
int64_t producers_last_stable(const struct producers *p, int64_t end);
// Open transactions in order of their first offset; stops at non-zero.
int producers_each_open(const struct producers *p, int (*each)(void *arg, const struct producer_state *s), void *arg);
// Every producer, in no order; stops at non-zero.
int producers_each(const struct producers *p, int (*each)(void *arg, const struct producer_state *s), void *arg);
const struct producer_state *producers_get(const struct producers *p, int64_t id); // NULL unknown; valid until the next change
size_t producers_count(const struct producers *p);

// Forgets producers unseen for ttl_ms without an open transaction, then the longest unseen down to `max` (0 = 65536). Not while
// an undo may follow: call it right after producers_framed.
void producers_expire(struct producers *p, int64_t now_ms, int64_t ttl_ms, size_t max);

// Kafka's .snapshot file (ProducerSnapshot, version 1). A producer with several remembered batches has one row for each, oldest
// first: Kafka takes the last row of an id, we take all.
void producers_snapshot(const struct producers *p, struct buf *out);
// Replaces the state. ERR_CORRUPT (state untouched) when the checksum or layout is wrong; ERR_UNSUPPORTED version.
int producers_load(struct producers *p, const void *bytes, size_t n, int64_t now_ms, struct err *err) MUST_USE;

#endif
