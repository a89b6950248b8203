/* SPDX-License-Identifier: Apache-2.0 */
/* The stored position: how far the slot has been read, and during a snapshot which tables are done.
 *
 *   partition {"server":"<topic.prefix>"}
 *   offset    {"lsn":123,"lsn_commit":123,"txId":5,"ts_usec":…,"sysid":"…","timeline":1,"slot":"…"}
 *             … "snapshot":true,"snapshot_tables":{"public.a":100,"public.b":100}
 *
 * "lsn" is the end of the last transaction that is in the log: streaming from there repeats and skips nothing. The number
 * behind a table is the LSN its rows were read at: what was committed before is in them. The map stays until every table is
 * read and the stream has passed the highest of those numbers. Pure. */
#ifndef POSITION_H
#define POSITION_H

#include <connectd/sdk.h>

struct table_mark {
    char *id; /* "schema.table" */
    uint64_t lsn;
};
struct position {
    uint64_t lsn;         /* 0: none stored */
    uint64_t last_commit; /* 0: none */
    int64_t txid;         /* -1: none */
    int64_t ts_us;
    char sysid[24], slot[64];
    int64_t timeline;
    int snapshot;         /* 1: not all tables are read yet */
    struct table_mark *marks;
    uint32_t mark_count, mark_cap;
};

void position_init(struct position *p);
void position_done(struct position *p);
/* Reads the offset stored for this prefix, if there is one: 1 found, 0 none, -1 it is not ours or damaged (*ret_error, static). */
int position_read(struct position *p, const char *prefix, const struct cn_stored_position *stored, uint32_t n, const char **ret_error);
/* {"server":prefix} into out[0..cap): the text, or NULL when it does not fit. */
const char *position_partition(const char *prefix, char *out, size_t cap);
/* The offset as JSON; the caller frees. NULL when memory is short. */
char *position_offset(const struct position *p);
/* 0 or -1 when memory is short. */
int position_mark(struct position *p, const char *id, uint64_t lsn);
/* The LSN a table was read at, 0 when it has no mark. */
uint64_t position_marked(const struct position *p, const char *id);
void position_clear_marks(struct position *p);
/* The "lsn" of an offset as `committed` gives it: 0 or -1. */
int position_offset_lsn(const char *offset, uint64_t *ret);

#endif
