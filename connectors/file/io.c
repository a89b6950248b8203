// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io.h"

static int system_create(const char *path, int flags, mode_t mode) {
    int fd;
    do fd = open(path, flags | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW | O_NONBLOCK, mode);
    while (fd < 0 && errno == EINTR);
    return fd;
}

static int system_make_directory(const char *path, mode_t mode) { return mkdir(path, mode); }

static int system_write_at(int fd, const void *p, size_t n, int64_t offset) {
    const char *from = p;
    while (n) {
        ssize_t wrote = pwrite(fd, from, n, (off_t)offset);
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote < 0) return -1;
        from += wrote;
        n -= (size_t)wrote;
        offset += wrote;
    }
    return 0;
}

static int system_sync(int fd) {
    int rc;
    do rc = fdatasync(fd);
    while (rc < 0 && errno == EINTR);
    return rc;
}

static int system_truncate(int fd, int64_t length) {
    int rc;
    do rc = ftruncate(fd, (off_t)length);
    while (rc < 0 && errno == EINTR);
    return rc;
}

// Where the file system does not know RENAME_NOREPLACE, a look before is what there is: names are ours alone, by the journal's lock.
static int system_rename(const char *from, const char *to, int replace) {
    struct stat st;
    if (replace) return rename(from, to);
    if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0) return 0;
    if (errno != EINVAL && errno != ENOSYS) return -1;
    if (lstat(to, &st) == 0) {
        errno = EEXIST;
        return -1;
    }
    return rename(from, to);
}

static int system_sync_directory(const char *path) {
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc;
    if (fd < 0) return -1;
    rc = fsync(fd);
    if (rc < 0 && errno == EINVAL) rc = 0; // some file systems know no sync of directories
    int error = errno;
    close(fd);
    errno = error;
    return rc;
}

const struct file_io file_io_system = {
    system_create, system_make_directory, system_write_at, system_sync, system_truncate, system_rename, system_sync_directory,
};
