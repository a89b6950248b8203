// SPDX-License-Identifier: Apache-2.0
// Helpers over any fs: whole files, durable replacement, trees.
#include "base/fs.h"

#include <limits.h>
#include <stdio.h>

#include "base/mem.h"

static int read_to_end(struct fs *fs, struct fs_file *f, const char *path, size_t limit, struct buf *out, struct err *err) {
    struct fs_stat st;
    if (fs->ops->fstat(f, &st, err)) return -1;
    uint64_t at = 0;
    for (;;) {
        // One byte past what is expected shows the end without another growth.
        size_t room = at < st.size ? (size_t)(st.size - at) + 1 : 4096;
        if (room - 1 > limit - at) room = (size_t)(limit - at) + 1;
        if (!buf_reserve(out, room)) return err_set(err, buf_fault(out), "read %s: larger than the memory given to it", path);
        int64_t got = fs->ops->pread(f, out->p + out->n, room, at, err);
        if (got <= 0) return (int)got;
        at += (uint64_t)got;
        if (at > limit) return err_set(err, ERR_TOO_LARGE, "read %s: larger than %zu bytes", path, limit);
        out->n += (size_t)got;
    }
}

int fs_read_all(struct fs *fs, const char *path, size_t limit, struct buf *ret, struct err *err) {
    struct fs_file *f;
    if (fs->ops->open(fs, path, FS_READ, &f, err)) return -1;
    size_t before = ret->n;
    int failed = read_to_end(fs, f, path, limit, ret, err);
    if (failed) ret->n = before;
    fs->ops->close(f, NULL);
    return failed;
}

int fs_pwrite(struct fs *fs, struct fs_file *f, const void *p, size_t n, uint64_t at, struct err *err) {
    struct iovec iov = {(void *)(uintptr_t)p, n};
    return fs->ops->pwritev(f, &iov, 1, at, err);
}

int fs_pread_full(struct fs *fs, struct fs_file *f, void *p, size_t n, uint64_t at, struct err *err) {
    for (size_t done = 0; done < n;) {
        int64_t got = fs->ops->pread(f, (char *)p + done, n - done, at + done, err);
        if (got < 0) return -1;
        if (!got) {
            return err_set(err, ERR_CORRUPT, "read %zu bytes at %llu: only %zu are there", n, (unsigned long long)at, done);
        }
        done += (size_t)got;
    }
    return 0;
}

// The folder a path lies in, "." for one without a slash.
static void parent_of(const char *path, char out[PATH_MAX]) {
    const char *slash = strrchr(path, '/');
    snprintf(out, PATH_MAX, "%.*s", slash ? (int)(slash - path) : 1, slash ? path : ".");
}

static int sync_parent(struct fs *fs, const char *path, struct err *err) {
    char parent[PATH_MAX];
    parent_of(path, parent);
    return fs->ops->sync_dir(fs, parent, err);
}

static int write_synced(struct fs *fs, const char *path, const void *p, size_t n, struct err *err) {
    struct fs_file *f;
    if (fs->ops->open(fs, path, FS_WRITE | FS_CREATE | FS_TRUNC, &f, err)) return -1;
    int failed = fs_pwrite(fs, f, p, n, 0, err) || fs->ops->fdatasync(f, err);
    if (fs->ops->close(f, failed ? NULL : err)) failed = 1;
    return failed ? -1 : 0;
}

int fs_replace(struct fs *fs, const char *path, const void *p, size_t n, struct err *err) {
    char tmp[PATH_MAX];
    if (snprintf(tmp, sizeof(tmp), "%s.tmp", path) >= (int)sizeof(tmp))
        return err_set(err, ERR_INVALID, "path %s is too long", path);
    if (write_synced(fs, tmp, p, n, err) || fs->ops->rename(fs, tmp, path, err)) {
        fs->ops->unlink(fs, tmp, NULL);
        return err_wrap(err, "replace %s", path);
    }
    return sync_parent(fs, path, err) ? err_wrap(err, "replace %s", path) : 0;
}

// A folder that is already there is synced too: an earlier run may have made it and then lost power.
static int mkdir_durable(struct fs *fs, const char *path, struct err *err) {
    struct err why = {0};
    if (fs->ops->mkdir(fs, path, &why) && why.code != ERR_EXISTS) {
        if (err) *err = why;
        return -1;
    }
    return sync_parent(fs, path, err);
}

int fs_mkdirs(struct fs *fs, const char *path, struct err *err) {
    char prefix[PATH_MAX];
    if (snprintf(prefix, sizeof(prefix), "%s", path) >= (int)sizeof(prefix))
        return err_set(err, ERR_INVALID, "path %s is too long", path);
    for (char *slash = strchr(prefix, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        if (*prefix && mkdir_durable(fs, prefix, err)) return -1;
        *slash = '/';
    }
    return mkdir_durable(fs, path, err);
}

struct children {
    char **names;
    size_t n, cap;
};

static int keep_name(void *arg, const char *name) {
    struct children *c = arg;
    VEC_PUSH(c->names, c->n, c->cap, xstrdup(name));
    return 0;
}

enum { TREE_DEPTH = 32 };

static int remove_tree(struct fs *fs, const char *path, unsigned depth, struct err *err);

static int remove_children(struct fs *fs, const char *path, unsigned depth, struct err *err) {
    struct children c = {0};
    int failed = fs->ops->list(fs, path, keep_name, &c, err);
    for (size_t i = 0; i < c.n; i++) {
        _cleanup_free_ char *child = xasprintf("%s/%s", path, c.names[i]);
        if (!failed) failed = remove_tree(fs, child, depth + 1, err);
        free(c.names[i]);
    }
    free(c.names);
    return failed;
}

// Unlink first: that takes files, links and empty folders without ever following a link out of the tree.
static int remove_tree(struct fs *fs, const char *path, unsigned depth, struct err *err) {
    struct err why = {0};
    if (depth > TREE_DEPTH) return err_set(err, ERR_INVALID, "remove %s: nested too deeply", path);
    if (!fs->ops->unlink(fs, path, &why) || why.code == ERR_NOT_FOUND) return 0;
    if (why.code == ERR_EXISTS) return remove_children(fs, path, depth, err) ? -1 : fs->ops->unlink(fs, path, err);
    if (err) *err = why;
    return -1;
}

int fs_remove_tree(struct fs *fs, const char *path, struct err *err) { return remove_tree(fs, path, 0, err); }
