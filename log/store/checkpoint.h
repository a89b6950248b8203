// SPDX-License-Identifier: Apache-2.0
// The two checkpoint slots: each a file with an image of the catalogue and the journal position from which it continues.
//
// Both get the same, one after the other, each rewritten in place and synced: one is whole at any time. The higher generation whose
// checksum holds counts. Journal frames are kept until both slots lie past them, so that one damaged slot costs nothing.
//
//   0 magic "CNCKPT" 8 | 8 CRC-32C 4, over 12.. | 12 version 4 | 16 generation 8 | 24 journal id 16 | 40 position 8 | 48 sequence 8
//   56 length of the image 8 | 64 image: edits (edit.h)
#ifndef STORE_CHECKPOINT_H
#define STORE_CHECKPOINT_H

#include "base/fs.h"
#include "base/hash.h"

enum { CHECKPOINT_HEADER = 64, CHECKPOINT_SLOTS = 2 };

struct checkpoint {
    uint64_t generation;
    struct uuid journal;
    uint64_t position, seq;     // of the first frame that is not in the image
};

// `image` was begun with checkpoint_begin; the header is filled here. Written in place and synced; the file is made
// if it is not there (then the caller syncs the folder).
void checkpoint_begin(struct buf *image);
int checkpoint_write(struct fs *fs, unsigned slot, const struct checkpoint *c, struct buf *image, struct err *err) MUST_USE;
// Writes a slot that was read as it is, and syncs it: the page cache may hold it alone, and the other one is going to be written over.
int checkpoint_settle(struct fs *fs, unsigned slot, struct err *err) MUST_USE;
// Appends the image's edits to `image`. ERR_NOT_FOUND, ERR_CORRUPT, ERR_UNSUPPORTED.
int checkpoint_read(struct fs *fs, unsigned slot, struct checkpoint *ret, struct buf *image, struct err *err) MUST_USE;

#endif
