// SPDX-License-Identifier: Apache-2.0
// A file system over another one that fails chosen calls and records what changed the disk, in order.
//
// Thread-safe; calls are passed on one at a time, so that the recorded order is the real one. The trace is what fs_crash.h
// builds the disk after a power cut from.
#ifndef FS_FAULT_H
#define FS_FAULT_H

#include "base/fs.h"

// One bit an operation, for rules and counts.
enum fs_op {
    FS_OP_OPEN = 1 << 0,
    FS_OP_CLOSE = 1 << 1,
    FS_OP_READ = 1 << 2,
    FS_OP_WRITE = 1 << 3,
    FS_OP_SYNC = 1 << 4,
    FS_OP_TRUNCATE = 1 << 5,
    FS_OP_ALLOCATE = 1 << 6,
    FS_OP_STAT = 1 << 7, // stat and fstat
    FS_OP_MKDIR = 1 << 8,
    FS_OP_RENAME = 1 << 9,
    FS_OP_UNLINK = 1 << 10,
    FS_OP_SYNC_DIR = 1 << 11,
    FS_OP_LIST = 1 << 12,
    FS_OP_SPACE = 1 << 13,
    FS_OP_LOCK = 1 << 14,
    FS_OP_MUTATING = FS_OP_WRITE | FS_OP_SYNC | FS_OP_TRUNCATE | FS_OP_ALLOCATE | FS_OP_MKDIR | FS_OP_RENAME | FS_OP_UNLINK | FS_OP_SYNC_DIR,
    FS_OP_ALL = (1 << 15) - 1,
};

struct fs_fault_rule {
    unsigned ops;       // fs_op bits it applies to
    const char *path;   // only paths that contain this; NULL = all
    unsigned skip;      // so many matching calls succeed first
    bool forever;       // then every one fails; else only one
    int sys;            // the errno; 0 on FS_OP_READ makes the read short instead
    size_t short_bytes; // a write does so many bytes before it fails, a short read gives so many
    bool done;          // the call takes effect, and fails all the same
};

// Takes `inner`, which fs_close closes too.
struct fs *fs_fault_new(struct fs *inner);
void fs_fault_add(struct fs *fs, struct fs_fault_rule rule); // the first rule that fires wins; at most 16
void fs_fault_clear(struct fs *fs);
// Called before each operation, on its thread and without any lock: it may wait there, or do something in between. NULL: no more. `arg`
// must live while operations are under way.
void fs_fault_on_call(struct fs *fs, void (*fn)(void *arg, enum fs_op op, const char *path), void *arg);
// Calls of these operations so far (rules or not): run once, then fail each of them in turn.
unsigned fs_fault_count(struct fs *fs, unsigned ops);
unsigned fs_fault_open_files(struct fs *fs); // for "every path closes its files"
unsigned fs_fault_most_open(struct fs *fs);  // at any time so far

enum fs_event_kind {
    FS_EV_OPEN,     // an existing file got a handle
    FS_EV_CREATE,   // a new file got a handle
    FS_EV_WRITE,    // handle: data at `at`
    FS_EV_TRUNCATE, // handle: to size `n`
    FS_EV_ALLOCATE, // handle: `n` bytes at `at`
    FS_EV_SYNC,     // handle: fdatasync succeeded
    FS_EV_SYNC_FAILED, // what was not synced before it never will be: the page cache may call it clean
    FS_EV_MKDIR,
    FS_EV_RENAME,   // path to `to`
    FS_EV_UNLINK,
    FS_EV_SYNC_DIR,
    FS_EV_SYNC_DIR_FAILED,
    FS_EV_MARK,     // text in `path`
};
struct fs_event {
    enum fs_event_kind kind;
    unsigned handle; // 1, 2, ... in the order of opens
    char *path, *to;
    uint64_t at, n;
    uint8_t *data;
    bool keep_size;
};
struct fs_trace {
    struct fs_event *events;
    size_t n, cap;
};

void fs_fault_record(struct fs *fs, bool on); // off at first; switching on empties the trace. No file may be open then.
void fs_fault_mark(struct fs *fs, const char *fmt, ...) __attribute__((format(printf, 2, 3))); // "acked 17"
const struct fs_trace *fs_fault_trace(struct fs *fs); // valid while nothing is recorded
size_t fs_fault_recorded(struct fs *fs);             // how many events the trace has by now; any time
void fs_trace_print(const struct fs_trace *t, struct buf *out); // a line an event, for messages of failed tests

#endif
