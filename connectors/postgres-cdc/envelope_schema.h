/* SPDX-License-Identifier: Apache-2.0 */
/* The schemas around a row: Debezium's envelope, source and transaction blocks, and those of messages, transaction metadata
 * and heartbeats. Field orders are part of the format: the enums name the cells of each struct.
 *
 * Pure; the builders allocate as build.h says. */
#ifndef ENVELOPE_SCHEMA_H
#define ENVELOPE_SCHEMA_H

#include <connectd/build.h>

enum { E_BEFORE, E_AFTER, E_SOURCE, E_TRANSACTION, E_OP, E_TS_MS, E_TS_US, E_TS_NS, E_COUNT };
enum { S_VERSION, S_CONNECTOR, S_NAME, S_TS_MS, S_SNAPSHOT, S_DB, S_SEQUENCE, S_TS_US, S_TS_NS, S_SCHEMA, S_TABLE, S_TXID, S_LSN,
       S_XMIN, S_ORIGIN, S_ORIGIN_LSN, S_COUNT };
enum { M_OP, M_TS_MS, M_SOURCE, M_TRANSACTION, M_MESSAGE, M_COUNT };
enum { X_STATUS, X_ID, X_EVENT_COUNT, X_COLLECTIONS, X_TS_MS, X_COUNT };

/* The envelope named `name` around the row schema `row`, which is before and after. Returns the root. */
cn_off envelope_schema_row(struct cn_schema_builder *sb, cn_off row, const char *name);

/* Whole schemas; the caller frees. `text_content`: whether a message's content is text (binary.handling.mode). */
struct cn_schema_blob *envelope_schema_message_key(void);
struct cn_schema_blob *envelope_schema_message(int text_content);
struct cn_schema_blob *envelope_schema_transaction_key(void);
struct cn_schema_blob *envelope_schema_transaction(void);
struct cn_schema_blob *envelope_schema_heartbeat_key(void);
struct cn_schema_blob *envelope_schema_heartbeat(void);

#endif
