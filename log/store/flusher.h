// SPDX-License-Identifier: Apache-2.0
// The flusher's thread: takes commits, makes groups of them, answers; and runs calls between groups.
#ifndef STORE_FLUSHER_H
#define STORE_FLUSHER_H

#include "store_int.h"

void flusher_init(struct flusher *f);
void flusher_done(struct flusher *f);
int flusher_start(struct store *s, struct err *err) MUST_USE;
void flusher_stop(struct store *s); // drains the queue and joins
void flusher_wake(struct store *s); // room in the journal, or the store stopped
// Writes one frame of edits and syncs it: for calls with `frames`. Failure to write stops the store. p: the partition that all of them are
// about, NULL when they concern more.
int flusher_frame(struct store *s, struct partition *p, const struct edit *edits, size_t n, struct err *err) MUST_USE;

#endif
