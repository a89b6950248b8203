// SPDX-License-Identifier: Apache-2.0
// The system calls through which the sink changes anything on disk, as a table, so that tests can fail or stop at each of them.
//
// Each returns what the call of its name returns, with errno; interrupted calls are repeated inside. Stateless; any thread.
#ifndef FILE_IO_H
#define FILE_IO_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct file_io {
    int (*create)(const char *path, int flags, mode_t mode);             // open(2) with O_CREAT
    int (*make_directory)(const char *path, mode_t mode);                // mkdir(2)
    int (*write_at)(int fd, const void *p, size_t n, int64_t offset);    // all of it: 0 or -1; some of it may have been written
    int (*sync)(int fd);                                                 // fdatasync(2)
    int (*truncate)(int fd, int64_t length);
    int (*rename)(const char *from, const char *to, int replace);        // without `replace`: -1 and EEXIST when `to` exists
    int (*sync_directory)(const char *path);
};

extern const struct file_io file_io_system;

#endif
