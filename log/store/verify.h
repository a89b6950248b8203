// SPDX-License-Identifier: Apache-2.0
// Damage met while the store runs: found, told, and contained in its partition. Any thread, without locks held.
#ifndef STORE_VERIFY_H
#define STORE_VERIFY_H

#include "store_int.h"

// Stops the partition for damage (the first reason wins), says so, and wakes who waits for its records. Never blocks on the flusher.
void partition_damaged(struct store *s, struct partition *p, const char *why);
// Reads the segment's durable bytes. True when they are not what was written, and the partition is stopped for it.
bool segment_is_damaged(struct store *s, struct partition *p, struct segment *g);

// Checks sealed segments, topic after topic, until about `bytes` were read, beginning where the cursor stands; at the end of the log it goes back to the
// start. Returns how many are damaged. One thread.
uint32_t verify_some(struct store *s, struct verify_cursor *at, uint64_t bytes);

#endif
