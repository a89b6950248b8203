// SPDX-License-Identifier: Apache-2.0
// What of a segment file is what was written: its batches one by one, and the damaged areas between them. Reads only; one thread.
//
//   file: | batch | batch | ▒▒▒ area ▒▒▒ | batch | … |      an area: bytes, and the offsets that may have lain in them
//
// A batch is whole when its header makes sense, its checksum is right, and its offset and leader epoch belong into the segment. Behind damage the
// walk goes on where the damaged header says that its batch ends, or its records do, if the log goes on there; else at the next whole batch. Of those
// that follow each other, islands, the ones whose offsets rise and that are most bytes together are the log (island.h). The checksum of the whole
// file has the last word: when it is wrong though no batch is, or damage can not explain what is there, then the file is another one, and no batch
// of it counts. Where a single changed byte explains both the file's checksum and the damaged batch, nothing is lost.
#ifndef STORE_EXAMINE_H
#define STORE_EXAMINE_H

#include "partition.h"

struct segment_facts {              // what the catalogue knows
    struct fs *fs;                  // borrowed, as the rest
    char path[SEGMENT_PATH];        // of the log file
    int64_t base, end;              // offsets
    uint64_t size;                  // durable bytes
    uint32_t crc;
    int64_t max_ts;
    bool sealed, sparse;            // sparse: rewritten, offsets may be missing
    const struct epoch_start *epochs;
    uint32_t epoch_count;
};

struct bad_area {
    uint64_t position, size;        // of the durable bytes; the file may end before
    int64_t first, end;             // offsets
    char why[200];
};
// One byte was changed and nothing else: both checksums say which, and what it was. It is read as it was written.
struct mended { uint64_t position; uint8_t mask; };
struct examined {
    bool missing;                   // there is no file
    struct mended mended;           // mask 0: none
    uint64_t file_size;
    uint64_t unreadable;            // bytes that the disk did not give: it may do so another time
    struct bad_area *areas;         // in order; none, and nothing mended: every durable byte is right
    size_t n, cap;
    uint64_t batches, records;      // outside of them
};
void examined_done(struct examined *e);
uint64_t examined_bytes(const struct examined *e);   // of all areas
int64_t examined_offsets(const struct examined *e);

// Looks at the whole file. Damage is a result, not a failure: -1 is for what says nothing of the bytes (no memory, no permission).
int examine_segment(const struct segment_facts *f, struct examined *ret, struct err *err) MUST_USE;
// Calls `each` for every batch outside of the areas, in order; stops at non-zero and returns it. ERR_AGAIN: the file changed since.
typedef int examine_batch(void *arg, const uint8_t *p, const struct batch_header *h, struct err *err);
int examine_each(const struct segment_facts *f, const struct examined *e, examine_batch *each, void *arg, struct err *err) MUST_USE;

#endif
