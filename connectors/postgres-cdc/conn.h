/* SPDX-License-Identifier: Apache-2.0 */
/* A connection to the server: queries, COPY out, and the replication stream, behind a vtable so that tests can script it.
 *
 * Every wait also watches the host's wake descriptor and gives up when the task is wanted back; nothing blocks longer than
 * its deadline. Failures fill a struct pgerr, which carries the class connectd acts on; nothing here logs. One thread. */
#ifndef CONN_H
#define CONN_H

#include <connectd/sdk.h>

#include "pgtext.h"

struct pgerr {
    int fail_class;    /* enum cn_fail_class; 0: none */
    char sqlstate[6];  /* "" when the server did not say one */
    char text[1024];
    char hint[1024];   /* may be empty */
};
/* Fills and returns -1. hint may be NULL. */
int pgerr_set(struct pgerr *e, int fail_class, const char *hint, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* Puts context before the text ("table public.orders: …"). */
void pgerr_wrap(struct pgerr *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static inline int pgerr_is(const struct pgerr *e, const char *sqlstate) { return strcmp(e->sqlstate, sqlstate) == 0; }
/* The class for an SQLSTATE as connecting or querying met it. */
int pgerr_class(const char *sqlstate, int connecting);

struct conn_params {
    const char *const *names, *const *values; /* libpq's, NULL-terminated, in pairs */
    const char *where;                        /* "db1:5432/shop", for errors */
    int64_t connect_ms, query_ms;             /* 0 = for ever */
    struct cn_host *host;
};

struct conn;
struct rows; /* a result: text values */

struct conn_ops {
    struct conn *(*open)(const struct conn_params *p, struct pgerr *e);                    /* NULL: failed */
    void (*close)(struct conn *c);                                                         /* NULL is fine */
    int (*version)(struct conn *c);                                                        /* 150004 */
    /* One statement (also of the replication protocol). *ret may be NULL; else rows_free it. 0 or -1. */
    int (*query)(struct conn *c, const char *sql, struct rows **ret, struct pgerr *e);
    /* A statement that starts COPY out or the replication stream. 0 or -1. */
    int (*copy_start)(struct conn *c, const char *sql, struct pgerr *e);
    /* A whole CopyData message without waiting: > 0 its length in *ret (free with copy_free), 0 none yet, -1 the end, -2 failed. */
    int (*copy_read)(struct conn *c, char **ret, struct pgerr *e);
    void (*copy_free)(struct conn *c, char *message);
    /* Sends one CopyData message without waiting for room longer than the socket takes. 0 or -1. */
    int (*copy_write)(struct conn *c, const void *p, size_t n, struct pgerr *e);
    int (*socket)(struct conn *c);
    uint32_t (*rows_count)(const struct rows *r);
    /* The value, or NULL for SQL NULL; valid until rows_free. */
    const char *(*rows_get)(const struct rows *r, uint32_t row, uint32_t column);
    void (*rows_free)(struct rows *r);
};

extern const struct conn_ops conn_libpq;

/* Waits until `fd` is readable or deadline_ms (monotonic; INT64_MAX: none) has passed: 1 readable, 0 not, -1 the task is
   wanted back (host wake). */
int conn_wait(struct cn_host *h, int fd, int for_write, int64_t deadline_ms);

#endif
