/* SPDX-License-Identifier: Apache-2.0 */
/* The replication slot: looking at it, making it, and deciding whether a stored position can be resumed from it.
 *
 * slot_check is pure; the others send one statement each. */
#ifndef SLOT_H
#define SLOT_H

#include "conn.h"
#include "position.h"

struct slot_state {
    int exists;
    char type[16], plugin[64], database[64], wal_status[16];
    int64_t active_pid; /* 0: nobody reads it */
    uint64_t confirmed, restart;
    int failover;
};
struct server_state {
    char sysid[24];
    int64_t timeline;
    uint64_t wal_end;
    int version;
};

/* "16/B374D848" ↔ number: 0 or -1; out has 24 bytes. */
int lsn_parse(const char *text, uint64_t *ret);
const char *lsn_print(uint64_t lsn, char out[24]);

/* On a replication connection. */
int server_look(const struct conn_ops *ops, struct conn *c, struct server_state *ret, struct pgerr *e);
/* On an ordinary connection. */
int slot_look(const struct conn_ops *ops, struct conn *c, const char *name, struct slot_state *ret, struct pgerr *e);
/* On a replication connection, which keeps the exported snapshot until its next statement. */
int slot_create(const struct conn_ops *ops, struct conn *c, const char *name, int temporary, int failover, char ret_snapshot[64],
                uint64_t *ret_lsn, struct pgerr *e);

struct slot_question {
    const char *connector, *slot, *database;
    const struct slot_state *state;
    const struct server_state *server;
    const struct position *position; /* lsn 0: none stored */
};
/* Whether streaming can go on from the position with nothing skipped: 0, or -1 with class and remedy. Without a stored
   position it checks only that an existing slot is one this connector can use. */
int slot_check(const struct slot_question *q, struct pgerr *e);

#endif
