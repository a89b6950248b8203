// SPDX-License-Identifier: Apache-2.0
// The files a task tails: found by patterns, told apart by identity, followed through rotation until their last byte is read.
//
//   found ──► tracked ──► renamed or deleted: `left`, the descriptor kept ──► read to its end and quiet ──► forgotten
//                │
//                └─ truncated or rewritten: its copy, if one was made, goes on where we were; it starts anew behind that
//
// What was rotated while no task ran is found again by inode in the directory it was in. Positions whose file can not be
// found are kept (a file system may not be mounted yet) until they are old. One a task, on its thread.
#ifndef FILE_TRACK_H
#define FILE_TRACK_H

#include <connectd/plugin.h>

#include "pattern.h"
#include "tailed.h"
#include "watch.h"

struct track_options {
    struct patterns patterns;
    bool start_at_end;           // of files that are there at the connector's first start
    uint32_t max_open;
    int64_t scan_ms, rotate_wait_ms, forget_ms;
};

struct stored {                  // a position that came with the start
    uint64_t device, inode;
    struct place place;
    int64_t at_s;
    char *path;
    bool claimed;                // by a file, or given up
};

struct file_id { uint64_t device, inode; };

enum { TRACK_TABLE = 1024, TRACK_STRAYS = 64, TRACK_DENIED = 64 };

struct track {
    struct cn_host *host;
    struct track_options options;
    struct watch *watch;
    struct tailed **files;
    uint32_t file_count, file_cap, turn, open_count;
    struct tailed *by_inode[TRACK_TABLE], *by_wd[TRACK_TABLE];
    struct stored *stored;
    uint32_t stored_count;
    struct file_id *dropped;     // positions to be deleted with the next batch
    uint32_t dropped_count, dropped_cap;
    bool first_start, started_told; // nothing was stored; the log was told that it has been
    bool first_scan;
    uint64_t scans;
    int64_t scanned_ms, scan_due_ms;
    char *strays[TRACK_STRAYS];  // names that rotated files got lately, in a ring
    uint32_t stray_next;
    uint64_t denied[TRACK_DENIED]; // hashes of paths that were complained of
    uint32_t denied_next;
    bool watches_full, open_full; // told
    bool want_room;               // a file could not be opened for want of descriptors
};

// Takes what positions say. 0, or -1 after cn_host.fail.
int track_open(struct track *t, struct cn_host *h, const struct track_options *o, const struct cn_stored_position *positions, uint32_t n);
void track_close(struct track *t);
int track_fd(const struct track *t);           // readable when there are hints, or -1

// Takes hints, and scans when it is due. Cheap when nothing happened.
void track_look(struct track *t);
// The next file, in turn, that may have something to read and may be read now; its descriptor is open. NULL: none.
struct tailed *track_next(struct track *t);
// What was read of it before is gone: finds the copy, if there is one, and starts anew.
void track_rewritten(struct track *t, struct tailed *f);
// A file that left, was read to its end and is quiet, or NULL: what remains of it is its last line; then track_forget.
struct tailed *track_finished(struct track *t);
void track_forget(struct track *t, struct tailed *f);
// Milliseconds until track_look has something to do by itself.
int64_t track_wait(const struct track *t);

// What to do about a path that may not be read.
const char *track_unreadable_hint(const char *path);
// Adds the positions that changed to the batch.
void track_positions(struct track *t, struct cn_batch *b);

#endif
