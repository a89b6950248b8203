// SPDX-License-Identifier: Apache-2.0
// The cleaner: retention by time and size, and keep-latest rewriting of compacted topics, one round at a time.
//
// It decides on its own thread from what the lock shows, asks the flusher to frame the change of a partition's list, and only then
// removes files. Nothing goes that a durable checkpoint does not lie past.
#ifndef STORE_CLEANER_H
#define STORE_CLEANER_H

#include "store_int.h"

void cleaner_init(struct cleaner *c);
void cleaner_done(struct cleaner *c);
int cleaner_start(struct store *s, struct err *err) MUST_USE;
void cleaner_stop(struct store *s);
void cleaner_hurry(struct store *s); // a round soon
bool cleaner_is_over(void *store);   // it is being stopped
// [flusher] A segment has ended: a round soon, when it is compacted and much of it is new.
void cleaner_rolled(struct store *s, const struct partition *p);

// retention.c: a record's time where it is sane, else when it was appended. Of a segment: of its newest record, `now` while that is not known.
int64_t time_or_append(int64_t timestamp, int64_t appended);
int64_t segment_dated(const struct segment *g, int64_t now);
// One partition.
int retain_partition(struct store *s, struct partition *p, struct err *err) MUST_USE;
// The partition's oldest sealed segment, where cleanup.policy lets it go and no open transaction reaches into it: false when there is none.
struct oldest {
    int64_t at_ms;   // when it was sealed
    bool awaited;    // somebody of ours still has to read it
};
bool retain_oldest(struct partition *p, struct oldest *ret);
// Deletes it; those who waited for it are told.
int retain_drop_oldest(struct store *s, struct partition *p, struct err *err) MUST_USE;
// budget.c: the whole log.
void budget_init(struct store *s);
int budget_keep(struct store *s, struct err *err) MUST_USE;
// [flusher] So many bytes more: a round soon, when they are too many.
void budget_add(struct store *s, uint64_t bytes);
// NOSPACE while the log is full and nothing may go.
int budget_check(struct store *s, struct err *err) MUST_USE;
// compact.c: one partition, when enough of it is new.
int compact_partition(struct store *s, struct partition *p, struct err *err) MUST_USE;
// Ends the active segment if it holds anything: flusher.
int partition_roll_now(struct store *s, struct partition *p, struct err *err) MUST_USE;

#endif
