// SPDX-License-Identifier: Apache-2.0
// Checkpoints: segments are synced behind the journal, the catalogue's image goes into a slot, journal space is free again.
//
//   capture (flusher, between groups: image, journal position, list of unsynced segments)
//     ─► sync those segments and their indexes ─► write and sync one slot, then the other ─► journal tail = the position captured
//
// Taken a second after the last change, when a quarter of the journal was filled since the last one, when too many files are open, at
// close, and when asked.
#ifndef STORE_CHECKPOINTER_H
#define STORE_CHECKPOINTER_H

#include "store_int.h"

void checkpointer_init(struct checkpointer *c);
void checkpointer_done(struct checkpointer *c);
int checkpointer_start(struct store *s, struct err *err) MUST_USE;
void checkpointer_stop(struct store *s);
void checkpointer_changed(struct store *s);                     // a frame was written
void checkpointer_hurry(struct store *s);                       // somebody waits for journal space
// [flusher] While more segment files are open than may be: does its part of the next checkpoint for the dirty segment that is so longest and lets it
// go; all but the newest. Failure stops the store.
int checkpointer_spill(struct store *s, struct err *err) MUST_USE;
bool checkpointer_failed(struct store *s, struct err *ret);     // the last attempt
int checkpointer_run(struct store *s, struct err *err) MUST_USE; // one now, on this thread
// A durable checkpoint lies past everything that frames said of the partition so far; one now, if none does.
int checkpointer_past(struct store *s, const struct partition *p, struct err *err) MUST_USE;

#endif
