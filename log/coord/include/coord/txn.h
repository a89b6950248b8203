// SPDX-License-Identifier: Apache-2.0
// Transactional producers of our own: one for each source task, fenced by epochs, ended by one atomic commit.
//
//   txn_init ──► { plain commits │ txn_append … txn_append, txn_end } … ──► txn_close
//                     every commit of a producer goes through txn_submit
//
// State is kept in Kafka's records in __transaction_state. Because a commit is atomic over partitions, the end of a transaction needs no
// two phases: markers in all its partitions, the caller's positions and offsets, and the state record CompleteCommit are one commit.
// Internal transactions have no timeout; those that a crash left open are aborted by txns_open. A partition of states that could not be
// loaded refuses its transactional ids (coord/damage.h), and what no other partition knows of stays open: nobody can say how it ended.
// Markers do not wait for a partition that is stopped, of data or of states: the others' readers would wait, too.
//
// A producer's commits stand or fall in their order: once one failed, all later ones fail with the same error, until txn_retry (the
// failed ones are handed over again, in their order), txn_abort or txn_close. txn_init of the same id fences the former producer: whatever it submits later fails with ERR_FENCED.
// struct txns is thread-safe, a struct txn is used by one thread.
#ifndef COORD_TXN_H
#define COORD_TXN_H

#include "coord/damage.h"
#include "store/batch.h"
#include "store/store.h"

struct txns;
struct txns_report { uint32_t aborted, completed, undecided; }; // left open and ended now; prepared and completed; left open for want of a state
// Loads the states, completes what was prepared, aborts what was left open. Before any listener opens. Borrows store and clock.
// partitions: of the topic when it is made, 0 = 50.
int txns_open(struct store *s, struct clock *clock, int32_t partitions, struct txns **ret, struct txns_report *ret_report, struct err *err) MUST_USE;
void txns_close(struct txns *t); // all producers are closed before
const struct damage *txns_damage(const struct txns *t); // the partitions that could not be loaded
// Every transactional id with its state; stops at non-zero.
struct txn_state { const char *id; int64_t producer_id; int16_t epoch; const char *status; uint32_t partitions; uint64_t bytes; int64_t start_ms; };
int txns_each(struct txns *t, int (*each)(void *arg, const struct txn_state *s), void *arg);

struct txn;
// A producer with a new epoch (a new producer id when epochs run out), durable; aborts what its predecessor left open.
int txn_init(struct txns *t, const char *id, struct txn **ret, struct err *err) MUST_USE;
// Waits for what was submitted, aborts what is open, frees. Durable unless the store is stopped.
void txn_close(struct txn *x);
int64_t txn_producer_id(const struct txn *x);
int16_t txn_epoch(const struct txn *x);
bool txn_is_open(const struct txn *x);
uint64_t txn_bytes(const struct txn *x); // appended to the open transaction

// Before batch_end: makes the batch one of the open transaction in p, with the next sequence (count: records it will have).
void txn_stamp(struct txn *x, struct batch_builder *b, struct partition *p);
// Adds a stamped batch to the commit. Takes *bytes.
int txn_append(struct txn *x, struct commit *c, struct partition *p, struct buf *bytes, struct err *err) MUST_USE;
// Adds the end of the open transaction: a marker in each of its partitions and the state record. The caller may add more, then
// txn_submit. The next txn_append begins a new transaction. Nothing when none is open.
int txn_end(struct txn *x, struct commit *c, struct err *err) MUST_USE;
// Hands a commit (transactional or plain) to the store, unless fenced or failed; done as of store_commit, also in its threads. A kept commit
// (commit_keep) that fails, here or in the store, stays the caller's.
void txn_submit(struct txn *x, struct commit *c, bool nowait, commit_done *done, void *arg);
// After a retriable failure: waits for what was submitted, then takes commits again. The caller hands over all that failed (commit_keep),
// in their order and unchanged, before anything new. ERR_FENCED.
int txn_retry(struct txn *x, struct err *err) MUST_USE;
// Waits for what was submitted and aborts the open transaction with a new epoch; the producer is good again. Durable when it returns 0.
int txn_abort(struct txn *x, struct err *err) MUST_USE;

#endif
