/* SPDX-License-Identifier: Apache-2.0 */
/* One running task: what plugin.c, snapshot.c and stream.c share.
 *
 *   open ─► SNAPSHOT ── every table read ─► STREAM ─► close
 *               └── initial_only ─► DONE       └── nobody polls for a while ─► suspended ─► STREAM
 *
 * One thread. */
#ifndef TASK_H
#define TASK_H

#include "catalog.h"
#include "envelope.h"
#include "position.h"
#include "publication.h"
#include "slot.h"
#include "spool.h"

/* A batch is handed on at the first transaction end past SOFT bytes, and inside a transaction only past HARD ones. */
#define BATCH_SOFT (768u << 10)
#define BATCH_HARD (1536u << 10)

enum phase { PHASE_SNAPSHOT, PHASE_STREAM, PHASE_DONE };

struct relation { /* slot of the open-addressed map by oid; oid 0: free */
    uint32_t oid;
    struct table *table; /* NULL: not captured */
};
struct relations {
    struct relation *slots;
    uint32_t cap, n;
};

/* How the fields of a COPY line belong to a table's columns. */
struct layout {
    uint16_t *columns;     /* those that COPY sends, in order */
    uint32_t count;
    struct text *sent;     /* one a sent column */
    struct text *fields;   /* one a column of the table */
};

struct snapshot {
    char name[64];         /* the exported snapshot */
    uint64_t lsn;          /* what was committed before it is in the rows */
    int temporary;         /* its slot is a temporary one on the replication connection */
    uint32_t next;         /* candidate to read after the current one */
    uint32_t first;        /* the first one, for the marker */
    uint32_t settled;      /* candidates before it are read and all their rows handed on */
    struct table *table;   /* being read */
    uint32_t table_at;     /* its candidate */
    struct layout layout;  /* of `table` */
    int64_t rows, bytes, table_start_us;
    char *pending;         /* the row before the one just read: what comes next decides its marker */
    int pending_n;
    struct table *pending_table; /* `table`, or one that is read to its end; then owned here, with its layout */
    struct layout pending_layout;
    uint32_t pending_at;
    int64_t pending_row, pending_start_us;
    int64_t txid;
    int64_t committed_ms, progress_ms, progress_bytes;
    int64_t uncommitted;   /* bytes handed on since the last boundary */
};

struct stream {
    struct relations relations;
    struct spool spool;
    int in_tx;             /* between BEGIN and COMMIT, also while a spooled transaction is replayed */
    int open;              /* OPEN batches were handed on since the last boundary */
    uint32_t streamed;     /* between STREAM_START and STREAM_STOP: whose */
    struct spool_tx *replay;
    uint64_t replay_lsn, replay_end_lsn; /* of its STREAM_COMMIT */
    int64_t replay_time;
    uint64_t final_lsn;    /* of the transaction: where its commit record starts */
    uint64_t highest_mark; /* of snapshot tables; 0: no change needs to be compared */
    char origin[256];
    uint64_t idle_lsn;     /* from keepalives: everything before it was seen */
    uint64_t flush_lsn;    /* durable in the log */
    uint64_t received;
    int reply_now;         /* the server asked for an answer */
    int flush_moved;
    int shutdown_asked;    /* it asked while we were up to date: it may want to stop */
    int64_t status_ms, idle_ms, heartbeat_ms, polled_ms, metrics_ms;
    int64_t transactions;  /* since the metrics were told */
    struct text *fields, *old_fields; /* PGOUTPUT_MAX_COLUMNS each */
};

struct task {
    struct cn_host *h;
    struct options o;
    const struct conn_ops *ops;
    struct filter *schema_include, *schema_exclude, *table_include, *table_exclude, *column_include, *column_exclude;
    struct filter *message_include, *message_exclude;
    const struct filter **key_tables;
    uint32_t key_table_count;
    struct masks masks;
    struct values values;
    struct catalog catalog;
    struct shape shape;
    struct envelope envelope;
    struct candidates tables;
    char publications[160];
    char partition[600];
    char where[320];
    struct server_state server;
    struct position pos;         /* of what is in the batch under way */
    uint64_t given_lsn, given_commit; /* as of the last COMMIT boundary; 0: none yet */
    struct source_info src;
    struct conn *sql, *repl;
    int64_t sql_used_ms, status_interval_ms;
    int phase;
    struct snapshot snap;
    struct stream st;
};

/* ── task.c ── */
/* What sql statements go over: opened when needed, closed when idle. NULL with e filled. */
struct conn *task_sql(struct task *t, struct pgerr *e);
int task_connect_repl(struct task *t, struct pgerr *e);
/* Says e to the host; returns -1. */
int task_fail(struct task *t, const struct pgerr *e);
/* Adds the position to the batch and makes it a COMMIT. */
void task_commit(struct task *t, struct cn_batch *b);
/* Builds the table from its columns, the catalog's defaults and keys. 0 or -1. */
int task_build_table(struct task *t, struct conn *c, struct table *table, struct pgerr *e);
/* Closes a connection for statements that was not used for a while. */
void task_sql_idle(struct task *t, int64_t now_ms);

/* ── open.c ── */
/* Looks at server, publication and slot, decides what to do with the stored positions, and starts. 0 or -1. */
int task_start(struct task *t, const struct cn_stored_position *stored, uint32_t n, struct pgerr *e);
/* Looks without changing anything. */
int task_check(struct task *t, struct pgerr *e);

/* ── snapshot.c ── */
int snapshot_open(struct task *t, struct pgerr *e);
int snapshot_poll(struct task *t, struct cn_batch *b, uint32_t timeout_ms, struct pgerr *e); /* CN_POLL_* */
void snapshot_close(struct task *t);

/* ── stream.c ── */
int stream_open(struct task *t, struct pgerr *e);  /* starts replication at t->pos.lsn */
int stream_poll(struct task *t, struct cn_batch *b, uint32_t timeout_ms, struct pgerr *e); /* CN_POLL_* */
void stream_committed(struct task *t, uint64_t lsn);
int stream_tick(struct task *t, struct pgerr *e);
void stream_close(struct task *t);

#endif
