// SPDX-License-Identifier: Apache-2.0
// Entries of aborted transactions, opened for each use: they are few.
#include "txnindex.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/cur.h"
#include "base/mem.h"

enum { VERSION = 0, READ_LIMIT = 256 * 1024 * 1024 };

static char *path_of(const char *stem) { return xasprintf("%s.txnindex", stem); }

static void put_entry(struct buf *out, const struct producer_end *e) {
    buf_be16(out, VERSION);
    buf_be64(out, (uint64_t)e->producer_id);
    buf_be64(out, (uint64_t)e->first_offset);
    buf_be64(out, (uint64_t)e->last_offset);
    buf_be64(out, (uint64_t)e->last_stable);
}

static bool take_entry(struct cur *c, struct producer_end *ret) {
    if (!cur_left(c) || cur_be16(c) != VERSION) return false;
    *ret = (struct producer_end){.aborted = true};
    ret->producer_id = (int64_t)cur_be64(c);
    ret->first_offset = (int64_t)cur_be64(c);
    ret->last_offset = (int64_t)cur_be64(c);
    ret->last_stable = (int64_t)cur_be64(c);
    return !c->bad && ret->producer_id >= 0 && ret->first_offset >= 0 && ret->last_offset > ret->first_offset;
}

int txnindex_put(struct fs *fs, const char *stem, uint32_t at, const struct producer_end *end, struct err *err) {
    struct buf b = {0};
    struct fs_file *f;
    _cleanup_free_ char *path = path_of(stem);
    if (fs->ops->open(fs, path, FS_WRITE | FS_CREATE, &f, err) < 0) return -1;
    put_entry(&b, end);
    int failed = fs_pwrite(fs, f, b.p, b.n, (uint64_t)at * TXNINDEX_ENTRY, err);
    if (failed) fs->ops->truncate(f, (uint64_t)at * TXNINDEX_ENTRY, NULL); // part of it may be there
    buf_done(&b);
    return fs->ops->close(f, failed ? NULL : err) || failed ? -1 : 0;
}

static int remove_file(struct fs *fs, const char *path, struct err *err) {
    struct err e = {0};
    if (fs->ops->unlink(fs, path, &e) == 0 || e.code == ERR_NOT_FOUND) return 0;
    if (err) *err = e;
    return -1;
}

int txnindex_replace(struct fs *fs, const char *stem, const struct producer_end *ends, size_t n, struct err *err) {
    struct buf b = {0};
    _cleanup_free_ char *path = path_of(stem);
    for (size_t i = 0; i < n; i++)
        if (ends[i].aborted) put_entry(&b, &ends[i]);
    if (b.bad) {
        buf_done(&b);
        return err_set(err, ERR_NOMEM, "%s: no memory for %zu entries", path, n);
    }
    int failed = b.n ? fs_replace(fs, path, b.p, b.n, err) : remove_file(fs, path, err);
    buf_done(&b);
    return failed;
}

// 1 and an open file; 0 when there is none.
static int open_file(struct fs *fs, const char *path, int flags, struct fs_file **ret, struct err *err) {
    struct err e = {0};
    if (fs->ops->open(fs, path, flags, ret, &e) == 0) return 1;
    if (e.code == ERR_NOT_FOUND) return 0;
    if (err) *err = e;
    return -1;
}

int txnindex_sync(struct fs *fs, const char *stem, struct err *err) {
    struct fs_file *f;
    _cleanup_free_ char *path = path_of(stem);
    int found = open_file(fs, path, FS_WRITE, &f, err);
    if (found <= 0) return found;
    int failed = fs->ops->fdatasync(f, err);
    return fs->ops->close(f, failed ? NULL : err) || failed ? -1 : 0;
}

int txnindex_read(struct fs *fs, const char *stem, struct buf *ret, struct err *err) {
    struct buf bytes = {0};
    struct err e = {0};
    _cleanup_free_ char *path = path_of(stem);
    if (fs_read_all(fs, path, READ_LIMIT, &bytes, &e) < 0) {
        buf_done(&bytes);
        if (e.code == ERR_NOT_FOUND) return 0;
        if (err) *err = e;
        return -1;
    }
    struct cur c = cur_of(bytes.p, bytes.n);
    struct producer_end end;
    while (take_entry(&c, &end)) buf_put(ret, &end, sizeof(end));
    bool whole = cur_done(&c);
    buf_done(&bytes);
    if (ret->bad) return err_set(err, buf_fault(ret), "%s: no memory for its entries", path);
    return whole ? 0 : err_set(err, ERR_CORRUPT, "%s: damaged entry", path);
}

int txnindex_collect(struct fs *fs, const char *stem, int64_t from, int64_t to, struct buf *ret, bool *ret_complete, struct err *err) {
    struct buf all = {0};
    bool complete = false;
    int failed = txnindex_read(fs, stem, &all, err);
    const struct producer_end *e = (const struct producer_end *)(const void *)all.p;
    for (size_t i = 0; !failed && i < all.n / sizeof(*e); i++) {
        if (e[i].last_offset >= from && e[i].first_offset < to) buf_put(ret, &e[i], sizeof(e[i]));
        if (e[i].last_stable >= to) complete = true;
    }
    buf_done(&all);
    if (!failed && ret->bad) failed = err_set(err, buf_fault(ret), "%s.txnindex: no memory for its entries", stem);
    if (!failed) *ret_complete = complete;
    return failed;
}

// ── lists ────────────────────────────────────────────────────────────────────────────────────────────────────────────

static int by_producer(const void *a, const void *b) {
    const struct producer_end *x = a, *y = b;
    if (x->producer_id != y->producer_id) return x->producer_id < y->producer_id ? -1 : 1;
    return (x->first_offset > y->first_offset) - (x->first_offset < y->first_offset);
}

static int by_last(const void *a, const void *b) {
    const struct producer_end *x = a, *y = b;
    return (x->last_offset > y->last_offset) - (x->last_offset < y->last_offset);
}

void txnends_sort(struct producer_end *ends, size_t n) {
    if (n) qsort(ends, n, sizeof(*ends), by_producer);
}

void txnends_sort_by_end(struct producer_end *ends, size_t n) {
    if (n) qsort(ends, n, sizeof(*ends), by_last);
}

const struct producer_end *txnends_at(const struct producer_end *ends, size_t n, const struct batch_header *h) {
    const struct producer_end at = {.producer_id = h->producer_id, .first_offset = h->base_offset};
    size_t lo = 0, hi = n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (by_producer(&ends[mid], &at) <= 0) lo = mid + 1;
        else hi = mid;
    }
    return lo && ends[lo - 1].producer_id == h->producer_id ? &ends[lo - 1] : NULL;
}

bool txnends_have(const struct producer_end *ends, size_t n, const struct batch_header *h) {
    if (!(h->attributes & BATCH_TRANSACTIONAL) || h->attributes & BATCH_CONTROL) return false;
    const struct producer_end *e = txnends_at(ends, n, h);
    return e && e->last_offset > h->base_offset;
}
