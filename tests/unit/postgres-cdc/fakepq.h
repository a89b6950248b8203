// SPDX-License-Identifier: Apache-2.0
// A scripted PostgreSQL behind conn.h: answers by what a statement contains, a stream by what was put into it.
//
//   fakepq_begin();                                   a healthy server with one table, public.orders (id, note), and no slot
//   fakepq_on("SHOW wal_level", "replica");           rows: lines of fields, '|' between; \N null; the latest rule wins
//   fakepq_fail("CREATE_REPLICATION_SLOT", "42501", "permission denied");
//   fakepq_stream(wb_xlog(100, wb_begin(…)));         what START_REPLICATION sends
//   fakepq_end();
//
// One test at a time; sets postgres_conn_ops.
#ifndef FAKEPQ_H
#define FAKEPQ_H

#include "conn.h"
#include "wire_build.h"

void fakepq_begin(void);
void fakepq_end(void);
void fakepq_version(int version);
void fakepq_on(const char *part, const char *rows);
void fakepq_fail(const char *part, const char *sqlstate, const char *text);
void fakepq_heal(const char *part); // takes back fakepq_fail
// A COPY whose statement contains this part gives these lines ("1\tab\n2\tcd\n"), then ends.
void fakepq_copy(const char *part, const char *lines);
// Connecting fails: replication 0, 1, or -1 for both. sqlstate "" is a network failure; NULL heals.
void fakepq_refuse(int replication, const char *sqlstate, const char *text);
// The stream.
void fakepq_stream(struct wb message);
void fakepq_stream_end(const char *sqlstate, const char *text); // NULL sqlstate: a plain end
// How often a statement containing this part was sent.
int fakepq_asked(const char *part);
// The last statement that contains it, or "".
const char *fakepq_statement(const char *part);
// Statuses that were sent: how many, and the latest one's positions.
int fakepq_statuses(void);
uint64_t fakepq_written(void);
uint64_t fakepq_flushed(void);
int fakepq_open_connections(void);

#endif
