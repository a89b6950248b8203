// SPDX-License-Identifier: Apache-2.0
// Reads the committed records of a partition one by one: below the last stable offset, without control batches and aborted data.
//
// A struct scan is used by one thread. It holds a reference on nothing: the topic's handle must outlive it.
#ifndef STORE_SCAN_H
#define STORE_SCAN_H

#include "store/batch.h"
#include "store/store.h"

struct scan {
    struct partition *partition;
    int64_t next;               // the first offset not yet handed out
    size_t read_bytes;          // of one read, 0 = 1 MiB
    size_t max_batch;           // bytes a batch may expand to, 0 = 256 MiB
    // Inner.
    struct buf bytes, scratch;
    size_t at;                  // of the next batch in bytes
    int64_t last;               // last offset of the current batch
    bool in_batch;
    struct record_iter it;
    struct aborted_txn *aborted; // of what is in `bytes`
    size_t aborted_n;
    int64_t from;               // records before it are skipped
};
void scan_init(struct scan *s, struct partition *p, int64_t from); // below the log start: from the log start
void scan_done(struct scan *s);
// 1 a record (its bytes are valid until the next call), 0 nothing more there now (call again later), -1 failed.
int scan_next(struct scan *s, struct record *ret, struct err *err) MUST_USE;

#endif
