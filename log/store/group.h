// SPDX-License-Identifier: Apache-2.0
// One group of commits that becomes one frame.
//
//   group_begin ─► group_add … ─► group_write ─► group_publish          all on the flusher's thread
//                                     └ failed ─► group_undo: every partition is as before
//
// Adding takes room first (segment tail on disk), then checks producers, then assigns offsets; a commit that is refused leaves no
// trace but the room. Nothing reaches a file before group_write, except that a new segment is made where one ends.
#ifndef STORE_GROUP_H
#define STORE_GROUP_H

#include "commit.h"

// Consecutive bytes of this group in one segment.
struct range {
    struct partition *p;
    struct segment *seg;
    uint64_t position, size;
    int64_t first, end, max_ts;
    uint32_t crc_before, crc;
    struct append *first_append, **last_append;
    size_t appends;
    bool written;
};
struct step {            // in order: a range, or the begin of a segment
    struct range *range;
    struct partition *rolled;
    struct segment *next;
    const struct range *ended; // this group's range in the segment before, or NULL
    struct edit edit;    // EDIT_ROLL
};
struct group {
    struct store *s;
    struct arena arena;
    struct step *steps;
    size_t step_count, step_cap;
    struct partition *touched;
    struct save *saves;
    size_t save_count, save_cap;
    uint64_t inline_bytes;       // at most, of the frame's data
    bool pointed;                // all ranges are synced in their segments
    bool wrote;                  // a frame went out
    int64_t now_ms;
    struct buf frame;
    struct iovec *iov;
    size_t iov_count, iov_cap;
};

void group_begin(struct group *g);
void group_done(struct group *g); // frees its memory
enum group_verdict { GROUP_TAKEN, GROUP_REFUSED, GROUP_FULL };
// FULL: the frame would get too large; write this group first.
enum group_verdict group_add(struct group *g, struct commit *c, struct err *err);
// Ends the active segment with this group, if it holds anything.
int partition_roll(struct group *g, struct partition *p, struct err *err) MUST_USE;
enum group_result { GROUP_DONE, GROUP_FAILED, GROUP_STOP };
// Makes all of it durable. FAILED: nothing of it is, and group_undo must follow; STOP: the state on disk is unknown.
enum group_result group_write(struct group *g, struct err *err);
int group_undo(struct group *g, struct err *err) MUST_USE; // failure: stop
void group_abandon(struct group *g); // the store stops: its memory only
void group_publish(struct group *g);
// What to answer for a failure that was undone: a code that says "again".
void group_retriable(struct err *err);

// Keeps the segment's file open (seg->file.open is it, until the next call) and in the list of what the next checkpoint syncs. Where more
// files are open than may be, those longest in the list are synced now and let go.
int dirty_add(struct store *s, struct partition *p, struct segment *seg, struct err *err) MUST_USE;

#endif
