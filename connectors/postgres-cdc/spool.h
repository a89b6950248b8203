/* SPDX-License-Identifier: Apache-2.0 */
/* Transactions that the server streams before they commit: kept message by message, first in memory, then in the host's spool
 * folder, until their end is known.
 *
 *   one transaction   ── file ──────────────────┬── memory ──┐      an entry: length, LSN, the message
 *                     0                      file_n        file_n + mem_n
 *   subtransactions   [xid, offset of its first message] in order of appearance
 *
 * Rolling back a subtransaction cuts everything from its first message on: whatever follows belongs to it or to its own
 * subtransactions, because the server reports the end of one before its parent goes on. Files are unlinked as soon as they are
 * open, so nothing is left behind. One thread. */
#ifndef SPOOL_H
#define SPOOL_H

#include "conn.h"

struct spool_sub { uint32_t xid; uint64_t at; };

struct spool_tx {
    struct spool_tx *next;
    uint32_t xid;
    char *mem;
    size_t mem_n, mem_cap;
    int fd;             /* -1: all in memory */
    uint64_t file_n;
    struct spool_sub *subs;
    uint32_t sub_count, sub_cap;
    /* reading */
    uint64_t read_at;
    char *window;       /* of the file: window_n bytes from window_at */
    size_t window_n, window_cap;
    uint64_t window_at;
};

struct spool {
    struct cn_host *host;
    int64_t memory;     /* most bytes in memory */
    int64_t in_memory;
    struct spool_tx *list;
    uint32_t count;
};

void spool_init(struct spool *s, struct cn_host *h, int64_t memory);
void spool_done(struct spool *s);
/* The transaction, or NULL. */
struct spool_tx *spool_find(struct spool *s, uint32_t xid);
/* The same, made when it is new; NULL when memory is short. */
struct spool_tx *spool_tx(struct spool *s, uint32_t xid);
/* Keeps a message of (sub)transaction `xid`. 0 or -1. */
int spool_append(struct spool *s, struct spool_tx *t, uint32_t xid, uint64_t lsn, const void *p, size_t n, struct pgerr *e);
/* Forgets what subtransaction `xid` did. One that did nothing is fine. 0 or -1. */
int spool_cut(struct spool *s, struct spool_tx *t, uint32_t xid, struct pgerr *e);
/* Forgets the transaction and frees it. */
void spool_drop(struct spool *s, struct spool_tx *t);
/* The next message from the beginning on: 1 and the message (valid until the next call), 0 at the end, -1 failed. */
int spool_next(struct spool *s, struct spool_tx *t, uint64_t *ret_lsn, const char **ret, size_t *ret_n, struct pgerr *e);

#endif
