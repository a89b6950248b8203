/* SPDX-License-Identifier: Apache-2.0 */
/* Every option of the connector: the rows (names, defaults and documentation as Debezium has them) and the struct they are
 * bound to.
 *
 * Values belong to the host until close. options_bind also checks what rows cannot say, so that validate and open agree. */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <connectd/sdk.h>

#include "filter.h"
#include "types.h"

enum snapshot_mode { SNAPSHOT_INITIAL, SNAPSHOT_ALWAYS, SNAPSHOT_INITIAL_ONLY, SNAPSHOT_NO_DATA, SNAPSHOT_NEVER, SNAPSHOT_WHEN_NEEDED };
enum publication_mode { PUBLICATION_FILTERED, PUBLICATION_ALL_TABLES, PUBLICATION_DISABLED, PUBLICATION_NO_TABLES };

struct options {
    /* connection */
    const char *hostname, *user, *password, *dbname, *sslmode, *sslcert, *sslkey, *sslpassword, *sslrootcert;
    int64_t port, query_timeout_ms, connect_timeout_ms;
    uint8_t tcp_keepalive;
    /* slot and publication */
    const char *plugin_name, *slot_name, *publication_name;
    uint8_t slot_failover, slot_drop_on_stop, via_root, read_only;
    int32_t publication_mode; /* enum publication_mode */
    int64_t status_interval_ms;
    /* selection */
    struct cn_list schema_include, schema_exclude, table_include, table_exclude, column_include, column_exclude;
    struct cn_list message_include, message_exclude, skipped;
    /* shape */
    const char *prefix, *topic_delimiter, *topic_transaction, *heartbeat_prefix, *heartbeat_name, *placeholder, *message_key_columns;
    const char *name_adjustment, *field_adjustment;
    int32_t compatibility; /* 0 debezium, 1 lossless */
    uint8_t tombstones, transaction_metadata, extended_headers, skip_unchanged;
    struct type_modes modes;
    struct cn_pairs truncate, mask, mask_hash;
    /* snapshot and flow */
    int32_t snapshot_mode; /* enum snapshot_mode */
    int64_t snapshot_lock_timeout_ms, heartbeat_ms, spool_memory;

    /* derived by options_bind */
    char slot[64], publication[64], publication_inserts[64];
    uint32_t skip_ops; /* bits of OP_* */
};

enum { OP_CREATE = 1, OP_UPDATE = 2, OP_DELETE = 4, OP_TRUNCATE = 8 };

#define POSTGRES_OPTION_COUNT 123
extern const struct cn_option postgres_options[POSTGRES_OPTION_COUNT];

/* Reads and checks all options: 0, or -1 after cn_host.fail. Does not dial. */
int options_bind(struct cn_host *h, struct options *o);
/* A slot name of the connector's name: lower case letters, digits and underscores, at most 63. */
void options_slot_name(const char *connector, char out[64]);

#endif
