// SPDX-License-Identifier: Apache-2.0
// The `.txnindex` of one segment: the transactions whose ABORT marker lies in it, Kafka's file, absent while there is none.
//
//   34-byte entries {int16 version 0, int64 producer id, int64 first offset, int64 last offset (the marker's), int64 last stable offset}
//
// Rebuilt from the segment and the producer snapshot before it. Appending: one thread; reading: any.
#ifndef STORE_TXNINDEX_H
#define STORE_TXNINDEX_H

#include "base/fs.h"
#include "producers.h"

enum { TXNINDEX_ENTRY = 34 };

// Writes entry number `at`, which is the next one, over whatever a failed write or a crash left there. `stem` is the segment's path
// without ".log". Call once the marker is durable.
int txnindex_put(struct fs *fs, const char *stem, uint32_t at, const struct producer_end *end, struct err *err) MUST_USE;
// The file becomes exactly these (n = 0: no file), synced.
int txnindex_replace(struct fs *fs, const char *stem, const struct producer_end *ends, size_t n, struct err *err) MUST_USE;
int txnindex_sync(struct fs *fs, const char *stem, struct err *err) MUST_USE; // fine when there is no file
// All entries, in order, appended to *ret (a buf of struct producer_end). 0 also when there is no file; ERR_CORRUPT.
int txnindex_read(struct fs *fs, const char *stem, struct buf *ret, struct err *err) MUST_USE;
// Appends to *ret those that overlap [from, to) (a buf of struct producer_end). *ret_complete: no later segment can hold another.
int txnindex_collect(struct fs *fs, const char *stem, int64_t from, int64_t to, struct buf *ret, bool *ret_complete, struct err *err) MUST_USE;

// Lists of ends: by producer and first offset, or by last offset.
void txnends_sort(struct producer_end *ends, size_t n);
void txnends_sort_by_end(struct producer_end *ends, size_t n);
// Of a list that txnends_sort sorted: the last one of the batch's producer that begins at or before the batch, or NULL.
const struct producer_end *txnends_at(const struct producer_end *ends, size_t n, const struct batch_header *h);
// Whether the batch holds records of one of them.
bool txnends_have(const struct producer_end *ends, size_t n, const struct batch_header *h);

#endif
