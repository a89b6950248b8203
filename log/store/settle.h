// SPDX-License-Identifier: Apache-2.0
// What an unclean stop may have left in partitions that no frame after the checkpoint names.
//
//   start: only marked ─┬─► before anything is written to one (flusher) ─────┐
//                       └─► the cleaner looks through all, right afterwards ─┴─► as recovery: cut into quarantine, strays removed, or stopped
//
// Such a partition ends where the checkpoint says, and everything below was synced then. What may lie above it is of the one commit that was
// under way and never framed, or of a rewrite that was not; nobody is shown any of it. So a start need not look at ten thousand folders.
#ifndef STORE_SETTLE_H
#define STORE_SETTLE_H

#include "store_int.h"

// [flusher, or while it does not run] Sees to one, if that is still to be done. Another error than of the disk (no descriptor) leaves it to be done.
int settle_partition(struct store *s, struct partition *p, struct err *err) MUST_USE;
// Sees to all that are left; from any other thread, or while the flusher does not run. The first failure is returned, the others are tried.
int settle_all(struct store *s, struct err *err) MUST_USE;
void settle_done(struct store *s, struct partition *p); // [flusher] nothing of it is left to do, or it is gone
uint32_t settle_left(struct store *s); // how many there are still

#endif
