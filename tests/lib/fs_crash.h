// SPDX-License-Identifier: Apache-2.0
// The disk after a power cut: what a recorded trace guarantees, plus any choice of what it does not.
//
// The model is POSIX at its most adverse. Bytes and sizes of a file are durable once a later fdatasync of that file
// succeeded (and none failed in between); names once a later sync_dir of their folder did. Everything else is pending: each
// pending event may have reached the disk or not, on its own, and of a write any sectors. A rename is atomic.
//
//     struct fs *disk = fs_crash(NULL, fs_fault_trace(fs), upto, fs_keep_random, &seed);
//
// All states of a short window: enumerate the subsets of fs_crash_pending with a keep function of your own.
#ifndef FS_CRASH_H
#define FS_CRASH_H

#include "fs_fault.h"
#include "fs_mem.h"

// What of one pending event reached the disk: of a write the bytes [skip, skip + take), and of those, when `unit` is set, only the
// pieces between multiples of `unit` in the file that `seed` picks; of others all when take > 0. `grow`: the file is as long as if the
// whole write had happened, and shows zeros there, or, of that earlier write, what the blocks held before.
struct fs_keep {
    uint64_t skip, take;
    uint32_t unit;
    uint64_t seed;
    bool grow;
    const struct fs_event *stale;
};
typedef struct fs_keep fs_keep_fn(void *arg, const struct fs_trace *t, size_t event);

// The disk after a cut between events upto-1 and upto. `base` is what the disk (an fs_mem) held when recording began, NULL
// for nothing; it is left alone. The caller closes the result.
struct fs *fs_crash(struct fs *base, const struct fs_trace *t, size_t upto, fs_keep_fn *keep, void *arg);
// The pending events before upto, in order; returns their number, caller frees the array.
size_t fs_crash_pending(struct fs *base, const struct fs_trace *t, size_t upto, size_t **ret);

// What a machine did on which a first process ended before event upto, and a second one went on with the page cache it left. Borrows the
// events; the caller frees the array.
struct fs_trace fs_trace_join(const struct fs_trace *first, size_t upto, const struct fs_trace *second);

fs_keep_fn fs_keep_none;   // nothing pending reached the disk
fs_keep_fn fs_keep_all;    // everything did, as after a kill -9
fs_keep_fn fs_keep_random; // arg: uint64_t seed; half of the events; of writes a run of 512-byte sectors, or any of them

// What ext4 and XFS promise on top: changes of names and sizes go through one log, so that what is lost is a tail of them, and any sync
// carries those before it along. Bytes are on their own, unless the file system writes them before the size that shows them.
struct fs_journalled {
    size_t logged;      // names and sizes changed by events before this one are on the disk
    uint64_t seed;      // for bytes
    uint32_t unit;      // 512 or 4096: what is written whole
    bool ordered;       // ext4's data=ordered, XFS: no size without its bytes; else zeros or old blocks may show (data=writeback)
};
fs_keep_fn fs_keep_journalled; // arg: struct fs_journalled

#endif
