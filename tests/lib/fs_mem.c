// SPDX-License-Identifier: Apache-2.0
// The in-memory file system's operations, with the same errors and messages as fs_posix.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/thread.h"
#include "fs_mem_int.h"

struct fs_file {
    struct fs_mem *fs;
    int node;
    bool writable;
    char path[];
};

static int check_path(const char *path, struct err *err) {
    struct str rest = str_of(path), part;
    if (*path == '/') return err_set(err, ERR_INVALID, "path %s is not relative", path);
    while (str_split(&rest, '/', &part))
        if (str_eqz(part, "..")) return err_set(err, ERR_INVALID, "path %s leads out of its root", path);
    return 0;
}

// The node to open, made when flags say so; the errno or 0.
static int node_to_open(struct fs_mem *m, const char *path, int flags, int *ret) {
    char name[256];
    int dir = mem_parent(m, path, name);
    if (dir == MEM_NONE) return ENOENT;
    int node = *name ? mem_entry(m, dir, name) : dir;
    if (node != MEM_NONE && flags & FS_EXCL) return EEXIST;
    if (node == MEM_NONE && !(flags & FS_CREATE)) return ENOENT;
    if (node == MEM_NONE) mem_link(m, dir, name, node = mem_node_new(m, false));
    if (m->nodes[node]->is_dir && flags & FS_WRITE) return EISDIR;
    if (flags & FS_TRUNC) mem_resize(m, node, 0);
    *ret = node;
    return 0;
}

static int mem_open(struct fs *fs, const char *path, int flags, struct fs_file **ret, struct err *err) {
    struct fs_mem *m = mem_of(fs);
    int node;
    if (check_path(path, err)) return -1;
    LOCK_SCOPE(&m->mutex);
    int sys = node_to_open(m, path, flags, &node);
    if (sys) return err_sys(err, sys, "open %s", path);
    m->nodes[node]->opens++;
    struct fs_file *f = xmalloc(sizeof(*f) + strlen(path) + 1);
    *f = (struct fs_file){.fs = m, .node = node, .writable = flags & FS_WRITE};
    memcpy(f->path, path, strlen(path) + 1);
    *ret = f;
    return 0;
}

static int mem_close(struct fs_file *f, struct err *err) {
    struct fs_mem *m = f->fs;
    LOCK_SCOPE(&m->mutex);
    m->nodes[f->node]->opens--;
    mem_node_drop(m, f->node);
    free(f);
    return 0;
}

static int64_t mem_pread(struct fs_file *f, void *p, size_t n, uint64_t at, struct err *err) {
    LOCK_SCOPE(&f->fs->mutex);
    if (f->fs->nodes[f->node]->is_dir) return err_sys(err, EISDIR, "read %s", f->path);
    return (int64_t)mem_read(f->fs, f->node, at, p, n);
}

// Whether the disk has room for the file to reach `end`.
static bool has_space(const struct fs_mem *m, const struct mem_node *n, uint64_t end) {
    struct mem_node grown = {.size = end};
    uint64_t now = mem_allocated(n), then = mem_allocated(&grown);
    return then <= now || m->used - now + then <= m->capacity;
}

static int mem_pwritev(struct fs_file *f, const struct iovec *iov, int iovcnt, uint64_t at, struct err *err) {
    struct fs_mem *m = f->fs;
    uint64_t n = 0;
    LOCK_SCOPE(&m->mutex);
    for (int i = 0; i < iovcnt; i++) n += iov[i].iov_len;
    int sys = !f->writable ? EBADF : n && !has_space(m, m->nodes[f->node], at + n) ? ENOSPC : 0;
    if (sys) return err_sys(err, sys, "write %s at %llu", f->path, (unsigned long long)at);
    for (int i = 0; i < iovcnt; at += iov[i++].iov_len) mem_write(m, f->node, at, iov[i].iov_base, iov[i].iov_len);
    m->nodes[f->node]->mtime_ms = clock_wall_ms(&clock_real);
    return 0;
}

static int mem_fdatasync(struct fs_file *f, struct err *err) { return 0; }

static int mem_truncate(struct fs_file *f, uint64_t size, struct err *err) {
    LOCK_SCOPE(&f->fs->mutex);
    if (!f->writable) return err_sys(err, EINVAL, "truncate %s to %llu", f->path, (unsigned long long)size);
    mem_resize(f->fs, f->node, size);
    return 0;
}

static int mem_allocate(struct fs_file *f, uint64_t at, uint64_t n, bool keep_size, struct err *err) {
    struct mem_node *node = f->fs->nodes[f->node];
    LOCK_SCOPE(&f->fs->mutex);
    if (!n) return 0;
    int sys = !f->writable ? EBADF : !has_space(f->fs, node, at + n) ? ENOSPC : 0;
    if (sys) return err_sys(err, sys, "allocate %llu bytes of %s at %llu", (unsigned long long)n, f->path, (unsigned long long)at);
    uint64_t end = at + n;
    mem_set_extent(f->fs, f->node, !keep_size && node->size < end ? end : node->size, node->reserved < end ? end : node->reserved);
    return 0;
}

static struct fs_stat node_stat(const struct mem_node *n) {
    return (struct fs_stat){.size = n->size, .allocated = mem_allocated(n), .is_dir = n->is_dir, .mtime_ms = n->mtime_ms};
}

static int mem_stat(struct fs *fs, const char *path, struct fs_stat *ret, struct err *err) {
    struct fs_mem *m = mem_of(fs);
    if (check_path(path, err)) return -1;
    LOCK_SCOPE(&m->mutex);
    int node = mem_lookup(m, path);
    if (node == MEM_NONE) return err_sys(err, ENOENT, "stat %s", path);
    *ret = node_stat(m->nodes[node]);
    return 0;
}

static int mem_fstat(struct fs_file *f, struct fs_stat *ret, struct err *err) {
    LOCK_SCOPE(&f->fs->mutex);
    *ret = node_stat(f->fs->nodes[f->node]);
    return 0;
}

static int mem_mkdir(struct fs *fs, const char *path, struct err *err) {
    struct fs_mem *m = mem_of(fs);
    char name[256];
    if (check_path(path, err)) return -1;
    LOCK_SCOPE(&m->mutex);
    int dir = mem_parent(m, path, name);
    if (dir == MEM_NONE) return err_sys(err, ENOENT, "mkdir %s", path);
    if (!*name || mem_entry(m, dir, name) != MEM_NONE) return err_sys(err, EEXIST, "mkdir %s", path);
    mem_link(m, dir, name, mem_node_new(m, true));
    return 0;
}

// What keeps `node` from taking the place of `target`; 0 when nothing does.
static int replace_error(const struct fs_mem *m, int node, int target) {
    if (target == MEM_NONE || target == node) return 0;
    const struct mem_node *t = m->nodes[target];
    if (t->is_dir && !m->nodes[node]->is_dir) return EISDIR;
    if (!t->is_dir && m->nodes[node]->is_dir) return ENOTDIR;
    return t->is_dir && t->entry_count ? ENOTEMPTY : 0;
}

static int mem_rename(struct fs *fs, const char *from, const char *to, struct err *err) {
    struct fs_mem *m = mem_of(fs);
    char old_name[256], new_name[256];
    if (check_path(from, err) || check_path(to, err)) return -1;
    LOCK_SCOPE(&m->mutex);
    int old_dir = mem_parent(m, from, old_name), new_dir = mem_parent(m, to, new_name);
    int node = old_dir == MEM_NONE ? MEM_NONE : mem_entry(m, old_dir, old_name);
    if (node == MEM_NONE || new_dir == MEM_NONE) return err_sys(err, ENOENT, "rename %s to %s", from, to);
    int target = mem_entry(m, new_dir, new_name), sys = replace_error(m, node, target);
    if (sys) return err_sys(err, sys, "rename %s to %s", from, to);
    if (target == node) return 0;
    mem_link(m, new_dir, new_name, node);
    mem_unlink(m, old_dir, old_name);
    return 0;
}

static int mem_unlink_path(struct fs *fs, const char *path, struct err *err) {
    struct fs_mem *m = mem_of(fs);
    char name[256];
    if (check_path(path, err)) return -1;
    LOCK_SCOPE(&m->mutex);
    int dir = mem_parent(m, path, name);
    int node = dir == MEM_NONE || !*name ? MEM_NONE : mem_entry(m, dir, name);
    if (node == MEM_NONE) return err_sys(err, ENOENT, "unlink %s", path);
    if (m->nodes[node]->entry_count) return err_sys(err, ENOTEMPTY, "unlink %s", path);
    mem_unlink(m, dir, name);
    return 0;
}

static int mem_sync_dir(struct fs *fs, const char *path, struct err *err) {
    struct fs_mem *m = mem_of(fs);
    if (check_path(path, err)) return -1;
    LOCK_SCOPE(&m->mutex);
    int node = mem_lookup(m, path);
    if (node == MEM_NONE) return err_sys(err, ENOENT, "open %s", path);
    return m->nodes[node]->is_dir ? 0 : err_sys(err, ENOTDIR, "open %s", path);
}

struct name_list {
    char **names;
    size_t n, cap;
};

static int names_of(struct fs_mem *m, const char *path, struct name_list *ret, struct err *err) {
    LOCK_SCOPE(&m->mutex);
    int node = mem_lookup(m, path);
    if (node == MEM_NONE) return err_sys(err, ENOENT, "open %s", path);
    const struct mem_node *d = m->nodes[node];
    if (!d->is_dir) return err_sys(err, ENOTDIR, "open %s", path);
    for (size_t i = 0; i < d->entry_count; i++) VEC_PUSH(ret->names, ret->n, ret->cap, xstrdup(d->entries[i].name));
    return 0;
}

static int mem_list(struct fs *fs, const char *path, int (*each)(void *arg, const char *name), void *arg, struct err *err) {
    struct name_list all = {0};
    if (check_path(path, err) || names_of(mem_of(fs), path, &all, err)) return -1;
    int result = 0;
    for (size_t i = 0; i < all.n; i++) {
        if (!result) result = each(arg, all.names[i]); // without the mutex: it may call us
        free(all.names[i]);
    }
    free(all.names);
    return result;
}

static int mem_space(struct fs *fs, struct fs_space *ret, struct err *err) {
    struct fs_mem *m = mem_of(fs);
    LOCK_SCOPE(&m->mutex);
    *ret = (struct fs_space){.total = m->capacity, .available = m->used < m->capacity ? m->capacity - m->used : 0};
    return 0;
}

static int mem_lock(struct fs *fs, const char *path, struct err *err) {
    struct fs_mem *m = mem_of(fs);
    struct fs_file *f;
    if (mem_open(fs, path, FS_WRITE | FS_CREATE, &f, err)) return -1;
    mem_close(f, NULL);
    LOCK_SCOPE(&m->mutex);
    for (size_t i = 0; i < m->lock_count; i++) {
        if (strcmp(m->locks[i], path)) continue;
        return err_set(err, ERR_BUSY, "lock %s: held by process %ld", path, (long)getpid());
    }
    VEC_PUSH(m->locks, m->lock_count, m->lock_cap, xstrdup(path));
    return 0;
}

static int mem_fd(struct fs_file *f) { return -1; }

static void mem_close_fs(struct fs *fs) { mem_free(mem_of(fs)); }

static const struct fs_ops mem_ops = {
    .open = mem_open,
    .close = mem_close,
    .pread = mem_pread,
    .pwritev = mem_pwritev,
    .fdatasync = mem_fdatasync,
    .truncate = mem_truncate,
    .allocate = mem_allocate,
    .stat = mem_stat,
    .fstat = mem_fstat,
    .mkdir = mem_mkdir,
    .rename = mem_rename,
    .unlink = mem_unlink_path,
    .sync_dir = mem_sync_dir,
    .list = mem_list,
    .space = mem_space,
    .lock = mem_lock,
    .fd = mem_fd,
    .close_fs = mem_close_fs,
};

struct fs_mem *mem_new(void) {
    struct fs_mem *m = xcalloc(1, sizeof(*m));
    m->fs.ops = &mem_ops;
    m->capacity = 1ull << 40;
    pthread_mutex_init(&m->mutex, NULL);
    m->nodes = NULL;
    mem_node_new(m, true);
    m->nodes[0]->links = 1;
    return m;
}

struct fs *fs_mem_new(void) { return &mem_new()->fs; }

struct fs *fs_mem_clone(struct fs *fs) {
    struct fs_mem *m = mem_of(fs);
    LOCK_SCOPE(&m->mutex);
    return &mem_clone(m)->fs;
}

void fs_mem_set_capacity(struct fs *fs, uint64_t bytes) {
    struct fs_mem *m = mem_of(fs);
    LOCK_SCOPE(&m->mutex);
    m->capacity = bytes;
}

void fs_mem_flip(struct fs *fs, const char *path, uint64_t at, uint8_t mask) {
    struct fs_mem *m = mem_of(fs);
    LOCK_SCOPE(&m->mutex);
    int node = mem_lookup(m, path);
    uint8_t byte;
    if (node == MEM_NONE || mem_read(m, node, at, &byte, 1) != 1) abort();
    byte ^= mask;
    mem_write(m, node, at, &byte, 1);
}

static bool same_bytes(const struct fs_mem *a, int x, const struct fs_mem *b, int y) {
    uint8_t left[MEM_PAGE], right[MEM_PAGE];
    for (uint64_t at = 0; at < a->nodes[x]->size; at += MEM_PAGE) {
        size_t n = mem_read(a, x, at, left, sizeof(left));
        if (mem_read(b, y, at, right, sizeof(right)) != n || memcmp(left, right, n)) return false;
    }
    return true;
}

static bool same_tree(const struct fs_mem *a, int x, const struct fs_mem *b, int y) {
    const struct mem_node *left = a->nodes[x], *right = b->nodes[y];
    if (left->is_dir != right->is_dir || left->size != right->size || left->entry_count != right->entry_count) return false;
    for (size_t i = 0; i < left->entry_count; i++) {
        if (strcmp(left->entries[i].name, right->entries[i].name)) return false;
        if (!same_tree(a, left->entries[i].node, b, right->entries[i].node)) return false;
    }
    return same_bytes(a, x, b, y);
}

bool fs_mem_equal(struct fs *a, struct fs *b) { return same_tree(mem_of(a), 0, mem_of(b), 0); }

static uint64_t mix(uint64_t h, uint64_t value) { return (h ^ value) * 0x9e3779b97f4a7c15U ^ h >> 29; }

// Pages of zeros count as pages that are not there.
static uint64_t hash_tree(const struct fs_mem *m, int node) {
    static const uint8_t zeros[MEM_PAGE];
    const struct mem_node *n = m->nodes[node];
    uint64_t h = mix(n->is_dir, n->size);
    for (size_t i = 0; i < n->page_count; i++)
        if (n->pages[i] && memcmp(n->pages[i]->bytes, zeros, MEM_PAGE) != 0) h = mix(mix(h, i), crc32c(0, n->pages[i]->bytes, MEM_PAGE));
    for (size_t i = 0; i < n->entry_count; i++)
        h = mix(mix(h, crc32c(0, n->entries[i].name, strlen(n->entries[i].name))), hash_tree(m, n->entries[i].node));
    return h;
}

uint64_t fs_mem_hash(struct fs *fs) { return hash_tree(mem_of(fs), 0); }

void fs_mem_unlock(struct fs *fs) {
    struct fs_mem *m = mem_of(fs);
    LOCK_SCOPE(&m->mutex);
    while (m->lock_count) free(m->locks[--m->lock_count]);
}
