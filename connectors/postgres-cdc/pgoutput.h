/* SPDX-License-Identifier: Apache-2.0 */
/* The pgoutput messages, bytes → structs: protocol versions 1 and 2, text tuples.
 *
 * Pure; everything borrows from the message. A tuple is not materialised: the reader hands it on as a cursor, and
 * pgoutput_column takes it column by column. */
#ifndef PGOUTPUT_H
#define PGOUTPUT_H

#include "pgtext.h"

enum pgoutput_kind {
    PGOUTPUT_BEGIN = 'B', PGOUTPUT_COMMIT = 'C', PGOUTPUT_ORIGIN = 'O', PGOUTPUT_RELATION = 'R', PGOUTPUT_TYPE = 'Y',
    PGOUTPUT_INSERT = 'I', PGOUTPUT_UPDATE = 'U', PGOUTPUT_DELETE = 'D', PGOUTPUT_TRUNCATE = 'T', PGOUTPUT_MESSAGE = 'M',
    PGOUTPUT_STREAM_START = 'S', PGOUTPUT_STREAM_STOP = 'E', PGOUTPUT_STREAM_COMMIT = 'c', PGOUTPUT_STREAM_ABORT = 'A'
};

enum { COLUMN_NULL = 'n', COLUMN_UNCHANGED = 'u', COLUMN_TEXT = 't', COLUMN_BINARY = 'b' };

#define PGOUTPUT_MAX_COLUMNS 1664 /* PostgreSQL's own limit of a tuple */

struct tuple { /* not present: w.p == NULL */
    struct wire w;
    uint32_t columns;
};

struct pgoutput {
    uint8_t kind;           /* enum pgoutput_kind */
    uint8_t flags;          /* MESSAGE: 1 transactional. TRUNCATE: 1 cascade, 2 restart identity. STREAM_START: first */
    uint8_t identity;       /* RELATION: d, n, f, i. UPDATE, DELETE: K or O of the old tuple, 0 without one */
    uint32_t xid;           /* BEGIN, STREAM_*; inside a stream: of the change (it may be a subtransaction) */
    uint32_t subxid;        /* STREAM_ABORT */
    uint32_t relation;      /* RELATION, INSERT, UPDATE, DELETE */
    uint32_t count;         /* RELATION: columns. TRUNCATE: relations */
    uint64_t lsn, end_lsn;  /* BEGIN: final. COMMIT, STREAM_COMMIT: commit and end. ORIGIN, MESSAGE: lsn */
    int64_t time;           /* microseconds since 1970 */
    struct text schema, name; /* RELATION. ORIGIN: name. MESSAGE: name is the prefix */
    struct text content;    /* MESSAGE */
    struct tuple old, fresh;
    struct wire rest;       /* RELATION: the columns. TRUNCATE: the relation ids */
};

struct relation_column {
    uint8_t key; /* part of the replica identity */
    struct text name;
    uint32_t type;
    int32_t typmod;
};

/* Decodes one message; `streamed` tells whether it stands between STREAM_START and STREAM_STOP, where changes carry a
   transaction id. 0, or -1 with *ret_error saying what is wrong (static text). Tuples are checked whole. */
int pgoutput_decode(const void *p, size_t n, int streamed, struct pgoutput *ret, const char **ret_error);
/* The next column of a RELATION. 0, or -1. */
int pgoutput_relation_column(struct pgoutput *m, struct relation_column *ret);
/* The next relation id of a TRUNCATE; 0 when there is none. */
uint32_t pgoutput_truncated(struct pgoutput *m);

/* The next column of a tuple that pgoutput_decode has checked: its kind, and for TEXT and BINARY the bytes. */
static inline uint8_t pgoutput_column(struct tuple *t, struct text *ret) {
    uint8_t kind = *t->w.p++;
    if (kind == COLUMN_TEXT || kind == COLUMN_BINARY) {
        uint32_t n;
        memcpy(&n, t->w.p, 4);
        n = __builtin_bswap32(n);
        ret->p = (const char *)t->w.p + 4;
        ret->n = n;
        t->w.p += 4 + n;
    }
    return kind;
}

/* PostgreSQL's clock starts in 2000. */
#define PGOUTPUT_EPOCH_US INT64_C(946684800000000)

#endif
