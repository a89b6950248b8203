// SPDX-License-Identifier: Apache-2.0
// File operations as a vtable: every byte the log reads or writes goes through one of these, so that tests can fail,
// record or reorder any of them.
//
// Paths are relative to the directory the fs was opened on and contain no "..". A struct fs_file belongs to the fs that
// opened it. All calls are thread-safe as the system calls under them are. Errors carry the operation and the path.
// fs_posix is the real one; tests/lib has a fault-injecting, recording one over it or over memory.
#ifndef BASE_FS_H
#define BASE_FS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/buf.h"
#include "base/err.h"

struct fs_file;
struct fs;

enum fs_open_flags {
    FS_READ = 1,
    FS_WRITE = 2,   // read and write
    FS_CREATE = 4,  // with FS_WRITE: make it if absent
    FS_EXCL = 8,    // with FS_CREATE: fail if present
    FS_TRUNC = 16,
};

struct fs_stat {
    uint64_t size;      // bytes
    uint64_t allocated; // bytes of disk
    bool is_dir;
    int64_t mtime_ms;
};

struct fs_space {
    uint64_t total, available; // bytes
};

struct fs_ops {
    int (*open)(struct fs *, const char *path, int flags, struct fs_file **ret, struct err *);
    int (*close)(struct fs_file *, struct err *); // also frees; an error means a late write error
    // Reads up to n bytes at `at`; returns the count (0 at the end) or -1. Retries EINTR, not short reads.
    int64_t (*pread)(struct fs_file *, void *p, size_t n, uint64_t at, struct err *);
    // Writes all of it or fails; after a failure any part of it may have been written.
    int (*pwritev)(struct fs_file *, const struct iovec *iov, int iovcnt, uint64_t at, struct err *);
    int (*fdatasync)(struct fs_file *, struct err *); // a failure is final: never retried, see promise 4
    int (*truncate)(struct fs_file *, uint64_t size, struct err *);
    // Reserves blocks of [at, at+n); keep_size leaves the file's size alone (FALLOC_FL_KEEP_SIZE).
    int (*allocate)(struct fs_file *, uint64_t at, uint64_t n, bool keep_size, struct err *);
    int (*stat)(struct fs *, const char *path, struct fs_stat *ret, struct err *); // ERR_NOT_FOUND when absent
    int (*fstat)(struct fs_file *, struct fs_stat *ret, struct err *);
    int (*mkdir)(struct fs *, const char *path, struct err *);
    int (*rename)(struct fs *, const char *from, const char *to, struct err *);
    int (*unlink)(struct fs *, const char *path, struct err *); // file or empty directory
    int (*sync_dir)(struct fs *, const char *path, struct err *); // makes creates, renames, unlinks in it durable
    // Calls `each` for every name in the directory (no "." and ".."), in byte order; stops at a non-zero return.
    int (*list)(struct fs *, const char *path, int (*each)(void *arg, const char *name), void *arg, struct err *);
    int (*space)(struct fs *, struct fs_space *ret, struct err *);
    int (*lock)(struct fs *, const char *path, struct err *); // exclusive, held until fs_close; ERR_BUSY names the holder's pid
    // The system's descriptor for sendfile and the like, or -1 when there is none. Stays owned by the file.
    int (*fd)(struct fs_file *);
    void (*close_fs)(struct fs *);
};

struct fs {
    const struct fs_ops *ops;
};

// Opens the directory `root` (must exist) for all later paths. Caller closes with fs_close.
int fs_posix_open(const char *root, struct fs **ret, struct err *err) MUST_USE;
static inline void fs_close(struct fs *fs) { if (fs) fs->ops->close_fs(fs); }

// Helpers over any fs.
int fs_read_all(struct fs *, const char *path, size_t limit, struct buf *ret, struct err *) MUST_USE; // ERR_TOO_LARGE past limit
int fs_pwrite(struct fs *, struct fs_file *, const void *p, size_t n, uint64_t at, struct err *) MUST_USE;
// Writes path.tmp, fdatasync, rename over path, sync_dir of the parent: after return 0 the new content is durable.
int fs_replace(struct fs *, const char *path, const void *p, size_t n, struct err *) MUST_USE;
int fs_mkdirs(struct fs *, const char *path, struct err *) MUST_USE; // with parents, each made durable
int fs_remove_tree(struct fs *, const char *path, struct err *) MUST_USE;
int fs_pread_full(struct fs *, struct fs_file *, void *p, size_t n, uint64_t at, struct err *) MUST_USE; // short read = ERR_CORRUPT

#endif
