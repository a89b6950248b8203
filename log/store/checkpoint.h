// SPDX-License-Identifier: Apache-2.0
// The two checkpoint slots: each a file with an image of the catalogue, changes to it, and the journal position from which it continues.
//
//   image ‖ changes ‖ changes …      a partition that changes name is as the last of them says; a new image begins the slot again
//
// Both get the same, one after the other, each written in place and synced: one is whole at any time. The higher generation whose
// checksum holds counts. Journal frames are kept until both slots lie past them, so that one damaged slot costs nothing.
//
//   0 magic "CNCKPT" 8 | 8 CRC-32C 4, over 12.. | 12 version 4 | 16 generation 8 | 24 journal id 16 | 40 position 8 | 48 sequence 8
//   56 length of the edits 8 | 64 edits (edit.h)
// Changes have magic "CNCHNG" and, instead of the version, the CRC of what stands before them; each has the generation after that one's.
// Where that ends lies what an earlier, longer slot left.
#ifndef STORE_CHECKPOINT_H
#define STORE_CHECKPOINT_H

#include "base/fs.h"
#include "base/hash.h"

enum { CHECKPOINT_HEADER = 64, CHECKPOINT_SLOTS = 2 };

// What is in a slot; all zero: not known.
struct checkpoint_chain {
    uint64_t image, end; // bytes
    uint32_t crc;        // of the last part
};

struct checkpoint {
    uint64_t generation;
    struct uuid journal;
    uint64_t position, seq;     // of the first frame that is not in the image
    struct checkpoint_chain chain; // when it was read
};

// `image` was begun with checkpoint_begin; the header is filled here. Written in place and synced; the file is made
// if it is not there (then the caller syncs the folder).
void checkpoint_begin(struct buf *image);
int checkpoint_write(struct fs *fs, unsigned slot, const struct checkpoint *c, struct buf *image, struct err *err) MUST_USE;
// After a write and after an add.
void checkpoint_wrote(struct checkpoint_chain *x, const struct buf *image);
void checkpoint_added(struct checkpoint_chain *x, const struct buf *changes);
// Puts changes behind what is there; begun with checkpoint_begin, too.
int checkpoint_add(struct fs *fs, unsigned slot, const struct checkpoint *c, const struct checkpoint_chain *x, struct buf *changes, struct err *err) MUST_USE;
// Writes a slot as it is read, and syncs it: what a process wrote before it was killed may be in the page cache only.
int checkpoint_settle(struct fs *fs, unsigned slot, struct err *err) MUST_USE;
// Appends the edits of image and changes to `image`. ERR_NOT_FOUND, ERR_CORRUPT, ERR_UNSUPPORTED.
int checkpoint_read(struct fs *fs, unsigned slot, struct checkpoint *ret, struct buf *image, struct err *err) MUST_USE;

#endif
