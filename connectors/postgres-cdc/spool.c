/* SPDX-License-Identifier: Apache-2.0 */
#include "spool.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define WRITE_CHUNK (256u << 10)

struct entry { /* before each message */
    uint32_t n;
    uint32_t reserved;
    uint64_t lsn;
};

void spool_init(struct spool *s, struct cn_host *h, int64_t memory) {
    memset(s, 0, sizeof *s);
    s->host = h;
    s->memory = memory;
}

void spool_done(struct spool *s) {
    while (s->list) spool_drop(s, s->list);
}

struct spool_tx *spool_find(struct spool *s, uint32_t xid) {
    for (struct spool_tx *t = s->list; t; t = t->next)
        if (t->xid == xid) return t;
    return NULL;
}

struct spool_tx *spool_tx(struct spool *s, uint32_t xid) {
    struct spool_tx *t = spool_find(s, xid);
    if (t) return t;
    t = calloc(1, sizeof *t);
    if (!t) return NULL;
    t->xid = xid;
    t->fd = -1;
    t->next = s->list;
    s->list = t;
    s->count++;
    return t;
}

void spool_drop(struct spool *s, struct spool_tx *t) {
    for (struct spool_tx **p = &s->list; *p; p = &(*p)->next) {
        if (*p != t) continue;
        *p = t->next;
        s->count--;
        break;
    }
    s->in_memory -= (int64_t)t->mem_n;
    if (t->fd >= 0) {
        close(t->fd);
        s->host->ops->spool_account(s->host, -(int64_t)t->file_n);
    }
    free(t->mem);
    free(t->subs);
    free(t->window);
    free(t);
}

/* ── writing ── */

static int open_file(struct spool *s, struct spool_tx *t, struct pgerr *e) {
    char path[4096];
    const char *dir = s->host->ops->spool_dir(s->host);
    if (!dir) return pgerr_set(e, CN_FAIL_CONFIG, NULL, "no spool folder for transactions in progress");
    snprintf(path, sizeof path, "%s/tx-%u", dir, t->xid);
    t->fd = open(path, O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0600);
    if (t->fd < 0) return pgerr_set(e, CN_FAIL_TRANSIENT, NULL, "spool file %s: %s", path, strerror(errno));
    unlink(path);
    return 0;
}

/* Moves what is in memory to the file. */
static int spill(struct spool *s, struct spool_tx *t, struct pgerr *e) {
    if (t->fd < 0 && open_file(s, t, e) != 0) return -1;
    if (s->host->ops->spool_account(s->host, (int64_t)t->mem_n) != 0)
        return pgerr_set(e, CN_FAIL_CONFIG, "raise spool.max.bytes, or make the application's transactions smaller",
                         "transaction %u in progress does not fit the spool folder", t->xid);
    for (size_t at = 0; at < t->mem_n;) {
        ssize_t w = pwrite(t->fd, t->mem + at, t->mem_n - at, (off_t)(t->file_n + at));
        if (w < 0 && errno == EINTR) continue;
        if (w <= 0) {
            s->host->ops->spool_account(s->host, -(int64_t)t->mem_n);
            return pgerr_set(e, CN_FAIL_TRANSIENT, NULL, "spool file of transaction %u: %s", t->xid, strerror(errno));
        }
        at += (size_t)w;
    }
    t->file_n += t->mem_n;
    s->in_memory -= (int64_t)t->mem_n;
    t->mem_n = 0;
    return 0;
}

static int remember_sub(struct spool_tx *t, uint32_t xid, struct pgerr *e) {
    if (xid == t->xid) return 0;
    for (uint32_t i = t->sub_count; i-- > 0;)
        if (t->subs[i].xid == xid) return 0;
    if (t->sub_count == t->sub_cap) {
        uint32_t cap = t->sub_cap ? t->sub_cap * 2 : 16;
        struct spool_sub *p = realloc(t->subs, cap * sizeof *p);
        if (!p) return pgerr_set(e, CN_FAIL_TRANSIENT, NULL, "out of memory");
        t->subs = p;
        t->sub_cap = cap;
    }
    t->subs[t->sub_count++] = (struct spool_sub){xid, t->file_n + t->mem_n};
    return 0;
}

static int room(struct spool_tx *t, size_t more, struct pgerr *e) {
    size_t cap = t->mem_cap ? t->mem_cap : 4096;
    while (cap < t->mem_n + more) cap *= 2;
    if (cap == t->mem_cap) return 0;
    char *p = realloc(t->mem, cap);
    if (!p) return pgerr_set(e, CN_FAIL_TRANSIENT, NULL, "out of memory");
    t->mem = p;
    t->mem_cap = cap;
    return 0;
}

int spool_append(struct spool *s, struct spool_tx *t, uint32_t xid, uint64_t lsn, const void *p, size_t n, struct pgerr *e) {
    struct entry head = {(uint32_t)n, 0, lsn};
    if (remember_sub(t, xid, e) != 0 || room(t, sizeof head + n, e) != 0) return -1;
    memcpy(t->mem + t->mem_n, &head, sizeof head);
    memcpy(t->mem + t->mem_n + sizeof head, p, n);
    t->mem_n += sizeof head + n;
    s->in_memory += (int64_t)(sizeof head + n);
    if (t->fd >= 0 ? t->mem_n >= WRITE_CHUNK : s->in_memory > s->memory) return spill(s, t, e);
    return 0;
}

/* ── rolling back ── */

static int cut_to(struct spool *s, struct spool_tx *t, uint64_t at, struct pgerr *e) {
    uint64_t keep = at > t->file_n ? at - t->file_n : 0;
    s->in_memory -= (int64_t)(t->mem_n - keep);
    t->mem_n = (size_t)keep;
    if (at >= t->file_n) return 0;
    if (ftruncate(t->fd, (off_t)at) != 0)
        return pgerr_set(e, CN_FAIL_TRANSIENT, NULL, "spool file of transaction %u: %s", t->xid, strerror(errno));
    s->host->ops->spool_account(s->host, -(int64_t)(t->file_n - at));
    t->file_n = at;
    return 0;
}

int spool_cut(struct spool *s, struct spool_tx *t, uint32_t xid, struct pgerr *e) {
    for (uint32_t i = 0; i < t->sub_count; i++) {
        if (t->subs[i].xid != xid) continue;
        t->sub_count = i;
        return cut_to(s, t, t->subs[i].at, e);
    }
    return 0;
}

/* ── reading ── */

/* Bytes [at, at + n) of the transaction, contiguous. */
static const char *bytes_at(struct spool_tx *t, uint64_t at, size_t n, struct pgerr *e) {
    if (at >= t->file_n) return t->mem + (at - t->file_n);
    if (at < t->window_at || at + n > t->window_at + t->window_n) {
        size_t want = n > WRITE_CHUNK ? n : WRITE_CHUNK;
        if (want > t->file_n - at) want = (size_t)(t->file_n - at);
        if (want > t->window_cap) {
            char *p = realloc(t->window, want);
            if (!p) return pgerr_set(e, CN_FAIL_TRANSIENT, NULL, "out of memory"), NULL;
            t->window = p;
            t->window_cap = want;
        }
        t->window_at = at;
        t->window_n = 0;
        while (t->window_n < want) {
            ssize_t r = pread(t->fd, t->window + t->window_n, want - t->window_n, (off_t)(at + t->window_n));
            if (r < 0 && errno == EINTR) continue;
            if (r <= 0) return pgerr_set(e, CN_FAIL_TRANSIENT, NULL, "spool file of transaction %u: %s", t->xid, r ? strerror(errno) : "too short"), NULL;
            t->window_n += (size_t)r;
        }
        if (t->window_n < n) return pgerr_set(e, CN_FAIL_BUG, NULL, "spool file of transaction %u: an entry is cut", t->xid), NULL;
    }
    return t->window + (at - t->window_at);
}

int spool_next(struct spool *s, struct spool_tx *t, uint64_t *ret_lsn, const char **ret, size_t *ret_n, struct pgerr *e) {
    struct entry head;
    (void)s;
    if (t->read_at >= t->file_n + t->mem_n) return 0;
    const char *p = bytes_at(t, t->read_at, sizeof head, e);
    if (!p) return -1;
    memcpy(&head, p, sizeof head);
    p = bytes_at(t, t->read_at, sizeof head + head.n, e);
    if (!p) return -1;
    t->read_at += sizeof head + head.n;
    *ret_lsn = head.lsn;
    *ret = p + sizeof head;
    *ret_n = head.n;
    return 1;
}
