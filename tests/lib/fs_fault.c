// SPDX-License-Identifier: Apache-2.0
// The fault-injecting, recording file system: one mutex, a list of rules, a trace.
#include "fs_fault.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/thread.h"

enum { RULES = 16, OPS = 15 };

struct fs_fault {
    struct fs fs;
    struct fs *inner;
    pthread_mutex_t mutex; // guards all below, and the calls to inner
    struct fs_fault_rule rules[RULES];
    size_t rule_count;
    unsigned counts[OPS];
    void (*_Atomic on_call)(void *arg, enum fs_op op, const char *path);
    void *on_call_arg;
    unsigned open_files, most_open, last_handle;
    bool recording;
    struct fs_trace trace;
};

struct fs_file {
    struct fs_fault *fs;
    struct fs_file *inner;
    unsigned handle;
    char path[];
};

static struct fs_fault *fault_of(struct fs *fs) { return container_of(fs, struct fs_fault, fs); }

// The rule that fires for this call, or NULL. Counts the call.
static const struct fs_fault_rule *fault_next(struct fs_fault *x, enum fs_op op, const char *path) {
    x->counts[__builtin_ctz(op)]++;
    for (size_t i = 0; i < x->rule_count; i++) {
        struct fs_fault_rule *r = &x->rules[i];
        if (!(r->ops & op) || (r->path && !strstr(path, r->path))) continue;
        if (r->skip) {
            r->skip--;
            continue;
        }
        if (!r->forever) r->ops = 0; // used up
        return r;
    }
    return NULL;
}

static void announce(struct fs_fault *x, enum fs_op op, const char *path) {
    void (*fn)(void *arg, enum fs_op op, const char *path) = atomic_load(&x->on_call);
    if (fn) fn(x->on_call_arg, op, path);
}

static int fault_err(const struct fs_fault_rule *r, struct err *err, const char *what, const char *path) {
    return err_sys(err, r->sys, "%s %s (injected)", what, path);
}

static struct fs_event *trace_add(struct fs_fault *x, enum fs_event_kind kind, const char *path) {
    static struct fs_event ignored;
    if (!x->recording) return &ignored;
    vec_reserve((void **)&x->trace.events, &x->trace.cap, x->trace.n + 1, sizeof(struct fs_event));
    struct fs_event *e = &x->trace.events[x->trace.n++];
    *e = (struct fs_event){.kind = kind, .path = xstrdup(path)};
    return e;
}

static void trace_clear(struct fs_trace *t) {
    for (size_t i = 0; i < t->n; i++) {
        free(t->events[i].path);
        free(t->events[i].to);
        free(t->events[i].data);
    }
    free(t->events);
    *t = (struct fs_trace){0};
}

// Calls with the mutex held; `call` runs the inner operation. One shape for all operations without data: fail before,
// or run, then record, then fail after.
#define FAULTY(op, what, path, call, record)                                                                           \
    do {                                                                                                               \
        const struct fs_fault_rule *rule = fault_next(x, op, path);                                                    \
        if (rule && !rule->done) return fault_err(rule, err, what, path);                                              \
        if (call) return -1;                                                                                           \
        record;                                                                                                        \
        if (rule) return fault_err(rule, err, what, path);                                                             \
        return 0;                                                                                                      \
    } while (0)

static int open_inner(struct fs_fault *x, const char *path, int flags, struct fs_file **ret, struct err *err) {
    struct fs_stat st;
    struct fs_file *inner;
    bool existed = !x->inner->ops->stat(x->inner, path, &st, NULL);
    if (x->inner->ops->open(x->inner, path, flags, &inner, err)) return -1;
    struct fs_file *f = xmalloc(sizeof(*f) + strlen(path) + 1);
    *f = (struct fs_file){.fs = x, .inner = inner, .handle = ++x->last_handle};
    memcpy(f->path, path, strlen(path) + 1);
    if (++x->open_files > x->most_open) x->most_open = x->open_files;
    trace_add(x, existed ? FS_EV_OPEN : FS_EV_CREATE, path)->handle = f->handle;
    if (existed && flags & FS_TRUNC) trace_add(x, FS_EV_TRUNCATE, path)->handle = f->handle;
    *ret = f;
    return 0;
}

static int fault_open(struct fs *fs, const char *path, int flags, struct fs_file **ret, struct err *err) {
    struct fs_fault *x = fault_of(fs);
    announce(x, FS_OP_OPEN, path);
    LOCK_SCOPE(&x->mutex);
    const struct fs_fault_rule *rule = fault_next(x, FS_OP_OPEN, path);
    return rule ? fault_err(rule, err, "open", path) : open_inner(x, path, flags, ret, err);
}

static int fault_close(struct fs_file *f, struct err *err) {
    struct fs_fault *x = f->fs;
    announce(x, FS_OP_CLOSE, f->path);
    LOCK_SCOPE(&x->mutex);
    const struct fs_fault_rule *rule = fault_next(x, FS_OP_CLOSE, f->path);
    int failed = x->inner->ops->close(f->inner, err); // the descriptor is gone in any case
    x->open_files--;
    if (rule) failed = fault_err(rule, err, "close", f->path);
    free(f);
    return failed;
}

static int64_t fault_pread(struct fs_file *f, void *p, size_t n, uint64_t at, struct err *err) {
    struct fs_fault *x = f->fs;
    announce(x, FS_OP_READ, f->path);
    LOCK_SCOPE(&x->mutex);
    const struct fs_fault_rule *rule = fault_next(x, FS_OP_READ, f->path);
    if (rule && rule->sys) return fault_err(rule, err, "read", f->path);
    if (rule && rule->short_bytes < n) n = rule->short_bytes;
    return x->inner->ops->pread(f->inner, p, n, at, err);
}

static uint8_t *gather(const struct iovec *iov, int iovcnt, size_t *ret_n) {
    size_t n = 0, at = 0;
    for (int i = 0; i < iovcnt; i++) n += iov[i].iov_len;
    uint8_t *all = xmalloc(n);
    for (int i = 0; i < iovcnt; at += iov[i++].iov_len)
        if (iov[i].iov_len) memcpy(all + at, iov[i].iov_base, iov[i].iov_len);
    *ret_n = n;
    return all;
}

static int write_recorded(struct fs_file *f, uint8_t *data, size_t n, uint64_t at, struct err *err) {
    struct fs_fault *x = f->fs;
    if (!n) return 0;
    if (fs_pwrite(x->inner, f->inner, data, n, at, err)) return -1;
    if (!x->recording) return 0;
    struct fs_event *e = trace_add(x, FS_EV_WRITE, f->path);
    e->handle = f->handle, e->at = at, e->n = n;
    e->data = xmemdup(data, n);
    return 0;
}

static int fault_pwritev(struct fs_file *f, const struct iovec *iov, int iovcnt, uint64_t at, struct err *err) {
    struct fs_fault *x = f->fs;
    size_t n;
    _cleanup_free_ uint8_t *data = gather(iov, iovcnt, &n);
    announce(x, FS_OP_WRITE, f->path);
    LOCK_SCOPE(&x->mutex);
    const struct fs_fault_rule *rule = fault_next(x, FS_OP_WRITE, f->path);
    if (rule && !rule->done && rule->short_bytes < n) n = rule->short_bytes;
    if (write_recorded(f, data, n, at, err)) return -1;
    return rule ? fault_err(rule, err, "write", f->path) : 0;
}

static int fault_fdatasync(struct fs_file *f, struct err *err) {
    struct fs_fault *x = f->fs;
    announce(x, FS_OP_SYNC, f->path);
    LOCK_SCOPE(&x->mutex);
    const struct fs_fault_rule *rule = fault_next(x, FS_OP_SYNC, f->path);
    bool failed = (rule && !rule->done) || x->inner->ops->fdatasync(f->inner, err);
    trace_add(x, failed ? FS_EV_SYNC_FAILED : FS_EV_SYNC, f->path)->handle = f->handle;
    if (rule) return fault_err(rule, err, "fdatasync", f->path);
    return failed ? -1 : 0;
}

static void record_range(struct fs_file *f, enum fs_event_kind kind, uint64_t at, uint64_t n, bool keep_size) {
    struct fs_event *e = trace_add(f->fs, kind, f->path);
    e->handle = f->handle, e->at = at, e->n = n, e->keep_size = keep_size;
}

static int fault_truncate(struct fs_file *f, uint64_t size, struct err *err) {
    struct fs_fault *x = f->fs;
    announce(x, FS_OP_TRUNCATE, f->path);
    LOCK_SCOPE(&x->mutex);
    FAULTY(FS_OP_TRUNCATE, "truncate", f->path, x->inner->ops->truncate(f->inner, size, err),
           record_range(f, FS_EV_TRUNCATE, 0, size, false));
}

static int fault_allocate(struct fs_file *f, uint64_t at, uint64_t n, bool keep_size, struct err *err) {
    struct fs_fault *x = f->fs;
    announce(x, FS_OP_ALLOCATE, f->path);
    LOCK_SCOPE(&x->mutex);
    FAULTY(FS_OP_ALLOCATE, "allocate", f->path, x->inner->ops->allocate(f->inner, at, n, keep_size, err),
           record_range(f, FS_EV_ALLOCATE, at, n, keep_size));
}

static int fault_stat(struct fs *fs, const char *path, struct fs_stat *ret, struct err *err) {
    struct fs_fault *x = fault_of(fs);
    announce(x, FS_OP_STAT, path);
    LOCK_SCOPE(&x->mutex);
    FAULTY(FS_OP_STAT, "stat", path, x->inner->ops->stat(x->inner, path, ret, err), (void)0);
}

static int fault_fstat(struct fs_file *f, struct fs_stat *ret, struct err *err) {
    struct fs_fault *x = f->fs;
    announce(x, FS_OP_STAT, f->path);
    LOCK_SCOPE(&x->mutex);
    FAULTY(FS_OP_STAT, "stat", f->path, x->inner->ops->fstat(f->inner, ret, err), (void)0);
}

static int fault_mkdir(struct fs *fs, const char *path, struct err *err) {
    struct fs_fault *x = fault_of(fs);
    announce(x, FS_OP_MKDIR, path);
    LOCK_SCOPE(&x->mutex);
    FAULTY(FS_OP_MKDIR, "mkdir", path, x->inner->ops->mkdir(x->inner, path, err), trace_add(x, FS_EV_MKDIR, path));
}

static void record_rename(struct fs_fault *x, const char *from, const char *to) {
    if (x->recording) trace_add(x, FS_EV_RENAME, from)->to = xstrdup(to);
}

static int fault_rename(struct fs *fs, const char *from, const char *to, struct err *err) {
    struct fs_fault *x = fault_of(fs);
    announce(x, FS_OP_RENAME, from);
    LOCK_SCOPE(&x->mutex);
    FAULTY(FS_OP_RENAME, "rename", from, x->inner->ops->rename(x->inner, from, to, err), record_rename(x, from, to));
}

static int fault_unlink(struct fs *fs, const char *path, struct err *err) {
    struct fs_fault *x = fault_of(fs);
    announce(x, FS_OP_UNLINK, path);
    LOCK_SCOPE(&x->mutex);
    FAULTY(FS_OP_UNLINK, "unlink", path, x->inner->ops->unlink(x->inner, path, err), trace_add(x, FS_EV_UNLINK, path));
}

static int fault_sync_dir(struct fs *fs, const char *path, struct err *err) {
    struct fs_fault *x = fault_of(fs);
    announce(x, FS_OP_SYNC_DIR, path);
    LOCK_SCOPE(&x->mutex);
    const struct fs_fault_rule *rule = fault_next(x, FS_OP_SYNC_DIR, path);
    bool failed = (rule && !rule->done) || x->inner->ops->sync_dir(x->inner, path, err);
    trace_add(x, failed ? FS_EV_SYNC_DIR_FAILED : FS_EV_SYNC_DIR, path);
    if (rule) return fault_err(rule, err, "fsync directory", path);
    return failed ? -1 : 0;
}

static int fault_list(struct fs *fs, const char *path, int (*each)(void *arg, const char *name), void *arg, struct err *err) {
    struct fs_fault *x = fault_of(fs);
    announce(x, FS_OP_LIST, path);
    pthread_mutex_lock(&x->mutex);
    const struct fs_fault_rule *rule = fault_next(x, FS_OP_LIST, path);
    int sys = rule ? rule->sys : 0;
    pthread_mutex_unlock(&x->mutex); // `each` may call us
    if (sys) return err_sys(err, sys, "list %s (injected)", path);
    return x->inner->ops->list(x->inner, path, each, arg, err);
}

static int fault_space(struct fs *fs, struct fs_space *ret, struct err *err) {
    struct fs_fault *x = fault_of(fs);
    announce(x, FS_OP_SPACE, ".");
    LOCK_SCOPE(&x->mutex);
    FAULTY(FS_OP_SPACE, "statvfs", "", x->inner->ops->space(x->inner, ret, err), (void)0);
}

// Locking makes the file when it is absent.
static int fault_lock(struct fs *fs, const char *path, struct err *err) {
    struct fs_fault *x = fault_of(fs);
    struct fs_stat st;
    announce(x, FS_OP_LOCK, path);
    LOCK_SCOPE(&x->mutex);
    bool existed = !x->inner->ops->stat(x->inner, path, &st, NULL);
    FAULTY(FS_OP_LOCK, "lock", path, x->inner->ops->lock(x->inner, path, err),
           if (!existed) trace_add(x, FS_EV_CREATE, path)->handle = ++x->last_handle);
}

static int fault_fd(struct fs_file *f) { return f->fs->inner->ops->fd(f->inner); }

static void fault_close_fs(struct fs *fs) {
    struct fs_fault *x = fault_of(fs);
    trace_clear(&x->trace);
    fs_close(x->inner);
    pthread_mutex_destroy(&x->mutex);
    free(x);
}

static const struct fs_ops fault_ops = {
    .open = fault_open,
    .close = fault_close,
    .pread = fault_pread,
    .pwritev = fault_pwritev,
    .fdatasync = fault_fdatasync,
    .truncate = fault_truncate,
    .allocate = fault_allocate,
    .stat = fault_stat,
    .fstat = fault_fstat,
    .mkdir = fault_mkdir,
    .rename = fault_rename,
    .unlink = fault_unlink,
    .sync_dir = fault_sync_dir,
    .list = fault_list,
    .space = fault_space,
    .lock = fault_lock,
    .fd = fault_fd,
    .close_fs = fault_close_fs,
};

struct fs *fs_fault_new(struct fs *inner) {
    struct fs_fault *x = xcalloc(1, sizeof(*x));
    x->fs.ops = &fault_ops;
    x->inner = inner;
    pthread_mutex_init(&x->mutex, NULL);
    return &x->fs;
}

void fs_fault_add(struct fs *fs, struct fs_fault_rule rule) {
    struct fs_fault *x = fault_of(fs);
    LOCK_SCOPE(&x->mutex);
    if (x->rule_count == RULES) abort();
    x->rules[x->rule_count++] = rule;
}

void fs_fault_on_call(struct fs *fs, void (*fn)(void *arg, enum fs_op op, const char *path), void *arg) {
    struct fs_fault *x = fault_of(fs);
    if (fn) x->on_call_arg = arg;
    atomic_store(&x->on_call, fn);
}

void fs_fault_clear(struct fs *fs) {
    struct fs_fault *x = fault_of(fs);
    LOCK_SCOPE(&x->mutex);
    x->rule_count = 0;
}

unsigned fs_fault_count(struct fs *fs, unsigned ops) {
    struct fs_fault *x = fault_of(fs);
    unsigned n = 0;
    LOCK_SCOPE(&x->mutex);
    for (unsigned i = 0; i < OPS; i++)
        if (ops >> i & 1) n += x->counts[i];
    return n;
}

unsigned fs_fault_open_files(struct fs *fs) {
    struct fs_fault *x = fault_of(fs);
    LOCK_SCOPE(&x->mutex);
    return x->open_files;
}

unsigned fs_fault_most_open(struct fs *fs) {
    struct fs_fault *x = fault_of(fs);
    LOCK_SCOPE(&x->mutex);
    return x->most_open;
}

void fs_fault_record(struct fs *fs, bool on) {
    struct fs_fault *x = fault_of(fs);
    LOCK_SCOPE(&x->mutex);
    if (on && x->open_files) abort(); // their handles would mean nothing to the trace
    if (on) trace_clear(&x->trace);
    if (on) x->last_handle = 0;
    x->recording = on;
}

void fs_fault_mark(struct fs *fs, const char *fmt, ...) {
    struct fs_fault *x = fault_of(fs);
    char text[256];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    LOCK_SCOPE(&x->mutex);
    trace_add(x, FS_EV_MARK, text);
}

const struct fs_trace *fs_fault_trace(struct fs *fs) { return &fault_of(fs)->trace; }

size_t fs_fault_recorded(struct fs *fs) {
    struct fs_fault *x = fault_of(fs);
    LOCK_SCOPE(&x->mutex);
    return x->trace.n;
}

static const char *event_name(enum fs_event_kind kind) {
    static const char *const names[] = {"open",   "create", "write", "truncate", "allocate", "sync",       "sync-failed",
                                        "mkdir",  "rename", "unlink", "sync-dir", "sync-dir-failed", "mark"};
    return names[kind];
}

void fs_trace_print(const struct fs_trace *t, struct buf *out) {
    for (size_t i = 0; i < t->n; i++) {
        const struct fs_event *e = &t->events[i];
        buf_printf(out, "%4zu %s %s", i, event_name(e->kind), e->path);
        if (e->to) buf_printf(out, " to %s", e->to);
        if (e->n || e->at) buf_printf(out, " [%llu, +%llu)", (unsigned long long)e->at, (unsigned long long)e->n);
        buf_u8(out, '\n');
    }
}
