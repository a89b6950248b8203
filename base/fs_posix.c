// SPDX-License-Identifier: Apache-2.0
// The real file system: system calls relative to a root directory's descriptor.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/thread.h"

enum { FILE_MODE = 0640, DIR_MODE = 0750 };

struct fs_posix {
    struct fs fs;
    int root;
    pthread_mutex_t mutex; // guards locks
    int *locks;            // descriptors that hold a lock until close_fs
    size_t lock_count, lock_cap;
};

struct fs_file {
    int fd;
    char path[]; // for messages
};

static struct fs_posix *posix_of(struct fs *fs) { return container_of(fs, struct fs_posix, fs); }

// The root itself may be named "" or ".".
static const char *at_root(const char *path) { return *path ? path : "."; }

// A path from a damaged catalogue must not lead out of the data folder.
static int check_inside(const char *path, struct err *err) {
    struct str rest = str_of(path), part;
    if (*path == '/') return err_set(err, ERR_INVALID, "path %s is not relative", path);
    while (str_split(&rest, '/', &part))
        if (str_eqz(part, "..")) return err_set(err, ERR_INVALID, "path %s leads out of its root", path);
    return 0;
}

static int open_at(struct fs *fs, const char *path, int flags, struct err *err) {
    if (check_inside(path, err)) return -1;
    int fd;
    do fd = openat(posix_of(fs)->root, at_root(path), flags | O_CLOEXEC, FILE_MODE);
    while (fd < 0 && errno == EINTR);
    return fd < 0 ? err_sys(err, errno, "open %s", path) : fd;
}

static int system_flags(int flags) {
    return (flags & FS_WRITE ? O_RDWR : O_RDONLY) | (flags & FS_CREATE ? O_CREAT : 0) | (flags & FS_EXCL ? O_EXCL : 0) |
           (flags & FS_TRUNC ? O_TRUNC : 0);
}

static int posix_open(struct fs *fs, const char *path, int flags, struct fs_file **ret, struct err *err) {
    int fd = open_at(fs, path, system_flags(flags), err);
    if (fd < 0) return -1;
    struct fs_file *f = xmalloc(sizeof(*f) + strlen(path) + 1);
    f->fd = fd;
    memcpy(f->path, path, strlen(path) + 1);
    *ret = f;
    return 0;
}

static int posix_close(struct fs_file *f, struct err *err) {
    // The descriptor is gone whatever close says, EINTR included; only write errors matter.
    int failed = close(f->fd) && errno != EINTR ? err_sys(err, errno, "close %s", f->path) : 0;
    free(f);
    return failed;
}

static int64_t posix_pread(struct fs_file *f, void *p, size_t n, uint64_t at, struct err *err) {
    ssize_t got;
    do got = pread(f->fd, p, n, (off_t)at);
    while (got < 0 && errno == EINTR);
    return got < 0 ? err_sys(err, errno, "read %zu bytes of %s at %llu", n, f->path, (unsigned long long)at) : got;
}

// Copies the rest of iov, from byte `skip` of its first element, into `part`.
static int iov_rest(struct iovec *part, int room, const struct iovec *iov, int iovcnt, size_t skip) {
    int n = iovcnt < room ? iovcnt : room;
    memcpy(part, iov, (size_t)n * sizeof(*part));
    part[0].iov_base = (char *)part[0].iov_base + skip;
    part[0].iov_len -= skip;
    return n;
}

static int posix_pwritev(struct fs_file *f, const struct iovec *iov, int iovcnt, uint64_t at, struct err *err) {
    size_t skip = 0; // bytes of *iov already written
    for (;;) {
        while (iovcnt && skip >= iov->iov_len) skip -= iov->iov_len, iov++, iovcnt--;
        if (!iovcnt) return 0;
        struct iovec part[IOV_MAX];
        int n = iov_rest(part, countof(part), iov, iovcnt, skip);
        // The kernel has a shorter way for one run of bytes: a tenth less for a small one.
        ssize_t put = n == 1 ? pwrite(f->fd, part->iov_base, part->iov_len, (off_t)at) : pwritev(f->fd, part, n, (off_t)at);
        if (put < 0 && errno == EINTR) continue;
        if (put <= 0) return err_sys(err, put ? errno : EIO, "write %s at %llu", f->path, (unsigned long long)at);
        skip += (size_t)put;
        at += (uint64_t)put;
    }
}

static int posix_fdatasync(struct fs_file *f, struct err *err) {
    int failed;
    // EINTR is no verdict on the data (an error stays pending for the next call); everything else is final.
    do failed = fdatasync(f->fd);
    while (failed && errno == EINTR);
    return failed ? err_sys(err, errno, "fdatasync %s", f->path) : 0;
}

static int posix_truncate(struct fs_file *f, uint64_t size, struct err *err) {
    int failed;
    do failed = ftruncate(f->fd, (off_t)size);
    while (failed && errno == EINTR);
    return failed ? err_sys(err, errno, "truncate %s to %llu", f->path, (unsigned long long)size) : 0;
}

static int posix_allocate(struct fs_file *f, uint64_t at, uint64_t n, bool keep_size, struct err *err) {
    int failed;
    if (!n) return 0; // the system call refuses an empty range
    do failed = fallocate(f->fd, keep_size ? FALLOC_FL_KEEP_SIZE : 0, (off_t)at, (off_t)n);
    while (failed && errno == EINTR);
    if (!failed) return 0;
    return err_sys(err, errno, "allocate %llu bytes of %s at %llu", (unsigned long long)n, f->path, (unsigned long long)at);
}

static struct fs_stat stat_of(const struct stat *st) {
    return (struct fs_stat){
        .size = (uint64_t)st->st_size,
        .allocated = (uint64_t)st->st_blocks * 512,
        .is_dir = S_ISDIR(st->st_mode),
        .mtime_ms = (int64_t)st->st_mtim.tv_sec * 1000 + st->st_mtim.tv_nsec / 1000000,
    };
}

static int posix_stat(struct fs *fs, const char *path, struct fs_stat *ret, struct err *err) {
    struct stat st;
    if (check_inside(path, err)) return -1;
    if (fstatat(posix_of(fs)->root, at_root(path), &st, 0)) return err_sys(err, errno, "stat %s", path);
    *ret = stat_of(&st);
    return 0;
}

static int posix_fstat(struct fs_file *f, struct fs_stat *ret, struct err *err) {
    struct stat st;
    if (fstat(f->fd, &st)) return err_sys(err, errno, "stat %s", f->path);
    *ret = stat_of(&st);
    return 0;
}

static int posix_mkdir(struct fs *fs, const char *path, struct err *err) {
    if (check_inside(path, err)) return -1;
    return mkdirat(posix_of(fs)->root, path, DIR_MODE) ? err_sys(err, errno, "mkdir %s", path) : 0;
}

static int posix_rename(struct fs *fs, const char *from, const char *to, struct err *err) {
    int root = posix_of(fs)->root;
    if (check_inside(from, err) || check_inside(to, err)) return -1;
    return renameat(root, from, root, to) ? err_sys(err, errno, "rename %s to %s", from, to) : 0;
}

static int posix_unlink(struct fs *fs, const char *path, struct err *err) {
    int root = posix_of(fs)->root;
    if (check_inside(path, err)) return -1;
    if (!unlinkat(root, path, 0)) return 0;
    if (errno == EISDIR && !unlinkat(root, path, AT_REMOVEDIR)) return 0;
    return err_sys(err, errno, "unlink %s", path);
}

static int posix_sync_dir(struct fs *fs, const char *path, struct err *err) {
    _cleanup_close_ int fd = open_at(fs, path, O_RDONLY | O_DIRECTORY, err);
    if (fd < 0) return -1;
    return fsync(fd) ? err_sys(err, errno, "fsync directory %s", at_root(path)) : 0;
}

struct names {
    char **items;
    size_t n, cap;
};

static int compare_names(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static int read_names(DIR *dir, const char *path, struct names *names, struct err *err) {
    for (;;) {
        errno = 0;
        struct dirent *d = readdir(dir);
        if (!d) return errno ? err_sys(err, errno, "list %s", path) : 0;
        if (!strcmp(d->d_name, ".") || !strcmp(d->d_name, "..")) continue;
        VEC_PUSH(names->items, names->n, names->cap, xstrdup(d->d_name));
    }
}

static int posix_list(struct fs *fs, const char *path, int (*each)(void *arg, const char *name), void *arg, struct err *err) {
    struct names names = {0};
    int fd = open_at(fs, path, O_RDONLY | O_DIRECTORY, err);
    if (fd < 0) return -1;
    DIR *dir = fdopendir(fd);
    if (!dir) {
        close(fd);
        return err_sys(err, errno, "list %s", path);
    }
    int result = read_names(dir, path, &names, err);
    closedir(dir);
    if (names.n) qsort(names.items, names.n, sizeof(*names.items), compare_names);
    for (size_t i = 0; i < names.n; i++) {
        if (!result) result = each(arg, names.items[i]);
        free(names.items[i]);
    }
    free(names.items);
    return result;
}

static int posix_space(struct fs *fs, struct fs_space *ret, struct err *err) {
    struct statvfs v;
    if (fstatvfs(posix_of(fs)->root, &v)) return err_sys(err, errno, "statvfs");
    *ret = (struct fs_space){.total = (uint64_t)v.f_blocks * v.f_frsize, .available = (uint64_t)v.f_bavail * v.f_frsize};
    return 0;
}

// Says who holds the lock: the file contains the holder's pid.
static int lock_busy(int fd, const char *path, struct err *err) {
    char pid[24] = "";
    ssize_t n = pread(fd, pid, sizeof(pid) - 1, 0);
    struct str holder = str_trim(str_make(pid, n > 0 ? (size_t)n : 0));
    if (!holder.n) return err_set(err, ERR_BUSY, "lock %s: held by another process", path);
    return err_set(err, ERR_BUSY, "lock %s: held by process %.*s", path, STR_FMT(holder));
}

static int lock_take(int fd, const char *path, struct err *err) {
    int failed;
    do failed = flock(fd, LOCK_EX | LOCK_NB);
    while (failed && errno == EINTR);
    if (failed) return errno == EWOULDBLOCK ? lock_busy(fd, path, err) : err_sys(err, errno, "lock %s", path);
    char pid[24];
    int n = snprintf(pid, sizeof(pid), "%ld\n", (long)getpid());
    if (ftruncate(fd, 0) || pwrite(fd, pid, (size_t)n, 0) != n) return err_sys(err, errno, "write pid to %s", path);
    return 0;
}

static int posix_lock(struct fs *fs, const char *path, struct err *err) {
    struct fs_posix *p = posix_of(fs);
    int fd = open_at(fs, path, O_RDWR | O_CREAT, err);
    if (fd < 0) return -1;
    if (lock_take(fd, path, err)) {
        close(fd);
        return -1;
    }
    LOCK_SCOPE(&p->mutex);
    VEC_PUSH(p->locks, p->lock_count, p->lock_cap, fd);
    return 0;
}

static int posix_fd(struct fs_file *f) { return f->fd; }

static void posix_close_fs(struct fs *fs) {
    struct fs_posix *p = posix_of(fs);
    for (size_t i = 0; i < p->lock_count; i++) close(p->locks[i]);
    free(p->locks);
    pthread_mutex_destroy(&p->mutex);
    close(p->root);
    free(p);
}

static const struct fs_ops posix_ops = {
    .open = posix_open,
    .close = posix_close,
    .pread = posix_pread,
    .pwritev = posix_pwritev,
    .fdatasync = posix_fdatasync,
    .truncate = posix_truncate,
    .allocate = posix_allocate,
    .stat = posix_stat,
    .fstat = posix_fstat,
    .mkdir = posix_mkdir,
    .rename = posix_rename,
    .unlink = posix_unlink,
    .sync_dir = posix_sync_dir,
    .list = posix_list,
    .space = posix_space,
    .lock = posix_lock,
    .fd = posix_fd,
    .close_fs = posix_close_fs,
};

int fs_posix_open(const char *root, struct fs **ret, struct err *err) {
    int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return err_sys(err, errno, "open directory %s", root);
    struct fs_posix *p = xcalloc(1, sizeof(*p));
    p->fs.ops = &posix_ops;
    p->root = fd;
    pthread_mutex_init(&p->mutex, NULL);
    *ret = &p->fs;
    return 0;
}
