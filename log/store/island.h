// SPDX-License-Identifier: Apache-2.0
// Islands of whole batches in a damaged file, and which of them belong together. Pure.
//
// Not every whole batch is where it belongs: a block that was written to the wrong place holds whole batches of elsewhere, and a record may hold
// one. Offsets rise along the file, so the islands whose offsets rise and that are most bytes together are the log; the others are damage.
#ifndef STORE_ISLAND_H
#define STORE_ISLAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct island {                   // batches that follow each other without a gap
    uint64_t position, end;       // bytes [position, end)
    int64_t first, next;          // offsets [first, next)
    uint64_t batches, records;
    uint64_t agree, contradict;   // entries of the index that name its batches, or name others in its bytes
    int64_t max_ts;
    bool alone;                   // ends with its first batch, whatever follows
    bool doubted;                 // not to be chosen
    bool chosen;
};
// Sets `chosen`. They come in the order of their positions. Where no offset may be missing, not `sparse`, two side by side contradict each other.
void islands_choose(struct island *islands, size_t n, bool sparse);

#endif
