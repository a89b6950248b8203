// SPDX-License-Identifier: Apache-2.0
// Damage met while the store runs: found, told, and contained in its partition. Any thread, without locks held.
#ifndef STORE_VERIFY_H
#define STORE_VERIFY_H

#include "store_int.h"

// Stops the partition for the segment of that base, or -1: the first reason wins. Says so, and how to go on. Never blocks on the flusher.
void partition_stop(struct store *s, struct partition *p, int64_t base, const char *why);
// At the start: looks again at the segment that the partition is stopped for. It serves again when the segment is whole, or gone.
void verify_damaged(struct store *s, struct partition *p);
// After a clean start, which trusts what the files hold: are they there? An empty one is made again; one that is missing stops the partition.
void verify_present(struct store *s, struct partition *p);
// Reads the segment's durable bytes. True when they are not what was written, and the partition is stopped for it.
bool segment_is_damaged(struct store *s, struct partition *p, struct segment *g);
// Somebody met damage in the segment (`err`: ERR_CORRUPT, or ERR_NOT_FOUND for its file), the second time with `again`. True when it is so on the
// disk: then the partition is stopped, and *err says so. False when it may be tried once more, or nothing is known, as after a failed read.
bool verify_met(struct store *s, struct partition *p, struct segment *g, bool again, struct err *err);
// Checks all segments of a partition.
void verify_partition(struct store *s, struct partition *p);

// Allows `bytes` more to be read, and checks segments (of active ones what is durable), topic after topic from where the cursor stands, while anything is allowed. Segments are
// read whole: what that is too much is owed to later calls. At the end of the log the cursor goes back to the start. Returns how many are
// damaged. One thread.
uint32_t verify_some(struct store *s, struct verify_cursor *at, int64_t bytes);
// What verify_bytes allow for so many milliseconds.
void verify_for(struct store *s, struct verify_cursor *at, int64_t ms);

#endif
