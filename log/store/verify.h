// SPDX-License-Identifier: Apache-2.0
// Damage met while the store runs: found, told, and contained in its partition. Any thread, without locks held.
#ifndef STORE_VERIFY_H
#define STORE_VERIFY_H

#include "store_int.h"

// At the start: looks again at the segment that the partition is stopped for. It serves again when the segment is whole, or gone.
void verify_damaged(struct store *s, struct partition *p);
// Reads the segment's durable bytes. True when they are not what was written, and the partition is stopped for it.
bool segment_is_damaged(struct store *s, struct partition *p, struct segment *g);

// Allows `bytes` more to be read, and checks sealed segments, topic after topic from where the cursor stands, while anything is allowed. Segments are
// read whole: what that is too much is owed to later calls. At the end of the log the cursor goes back to the start. Returns how many are
// damaged. One thread.
uint32_t verify_some(struct store *s, struct verify_cursor *at, int64_t bytes);
// What verify_bytes allow for so many milliseconds.
void verify_for(struct store *s, struct verify_cursor *at, int64_t ms);

#endif
