// SPDX-License-Identifier: Apache-2.0
// The commit journal: one preallocated, zero-filled file that is used as a ring of frames.
//
//   file: | header 4096 | area: frame | frame | … |      a position counts bytes since the journal was made; lap = position / area
//
//            tail                 head
//   … free … ▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓ … free …               [tail, head): frames that recovery may still need
//
// A frame that does not fit before the end of the area begins the next lap. Frame n+1 is written only after frame n is synced,
// so a valid frame with a higher sequence than the first one missing proves damage, and not a torn write.
// One thread writes (the flusher); the tail is moved by the checkpointer.
#ifndef STORE_JOURNAL_H
#define STORE_JOURNAL_H

#include <stdatomic.h>

#include "base/fs.h"
#include "frame.h"

#define JOURNAL_NAME "journal"
enum { JOURNAL_HEADER = 4096, JOURNAL_MIN = 256 * 1024 };

struct journal {
    struct fs *fs;
    struct fs_file *file;
    struct uuid id;
    uint64_t area;
    uint64_t head, seq;     // position and sequence of the next frame
    _Atomic uint64_t tail;
    uint64_t frames, bytes; // written since open
};

// Makes the file (replacing one), written with zeros and synced; the caller syncs the folder.
int journal_create(struct fs *fs, uint64_t bytes, struct err *err) MUST_USE;
// ERR_NOT_FOUND, ERR_CORRUPT, ERR_UNSUPPORTED. head, seq and tail are the caller's to set (from a checkpoint).
int journal_open(struct fs *fs, struct journal **ret, struct err *err) MUST_USE;
void journal_close(struct journal *j);

// Would a frame of n bytes (frame_bytes) fit without touching [tail, head)?
bool journal_fits(const struct journal *j, uint64_t n);
// Share of the area in use, in percent.
unsigned journal_used(const struct journal *j);
// The largest frame worth writing: a quarter of the area.
static inline uint64_t journal_frame_max(const struct journal *j) { return j->area / 4; }
// Writes `frame` (begun with frame_begin, records put; finished here) and the data as the next frame and syncs it. Failure leaves
// an unknown state on disk: the caller stops. The caller saw to the room: a frame that does not fit is refused, never written over others.
int journal_append(struct journal *j, struct buf *frame, const struct iovec *data, int data_count, int64_t time_ms, struct err *err) MUST_USE;

// What journal_read found.
struct journal_frame {
    struct frame frame;
    uint64_t position;      // where it begins, in the ring
    uint64_t data_at;       // where its data begins, in the file
    struct cur records;     // borrowed from the buf given to journal_read
    uint64_t next;          // position after it
};
// Reads the frame `seq` expected at `position`: 1 found, 0 there is none (the end), -1 error.
int journal_read(struct journal *j, uint64_t position, uint64_t seq, struct buf *bytes, struct journal_frame *ret, struct err *err) MUST_USE;
// Writes bytes [position, next) that were read as they are, and syncs them: a frame written before a kill may be in the page cache only.
int journal_settle(struct journal *j, uint64_t position, uint64_t next, struct err *err) MUST_USE;
// Looks through the whole area for a frame with a sequence above `seq` (the first missing one). ERR_CORRUPT names it.
int journal_check_end(struct journal *j, uint64_t seq, struct err *err) MUST_USE;

#endif
