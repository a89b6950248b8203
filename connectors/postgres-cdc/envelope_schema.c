/* SPDX-License-Identifier: Apache-2.0 */
#include "envelope_schema.h"

struct plain { const char *name; uint8_t type, optional; };

static cn_off plain_struct(struct cn_schema_builder *sb, const char *name, int version, int optional, const struct plain *f, uint32_t n) {
    struct cn_sb_field fields[16];
    for (uint32_t i = 0; i < n; i++) fields[i] = (struct cn_sb_field){f[i].name, cn_sb_type(sb, f[i].type, f[i].optional, NULL, 0)};
    cn_off at = cn_sb_type(sb, CN_STRUCT, optional, name, version);
    cn_sb_fields(sb, at, fields, n);
    return at;
}

static cn_off snapshot_marker(struct cn_schema_builder *sb) {
    const char *pairs[] = {"allowed", "true,first,first_in_data_collection,last_in_data_collection,last,false,incremental"};
    cn_off at = cn_sb_type(sb, CN_STRING, 1, "io.debezium.data.Enum", 1);
    struct cn_cell text = {0};
    text.type = CN_STRING;
    cn_sb_params(sb, at, pairs, 1);
    cn_sb_default(sb, at, text, "false", 5);
    return at;
}

static cn_off source(struct cn_schema_builder *sb) {
    static const struct plain f[S_COUNT] = {
        [S_VERSION] = {"version", CN_STRING, 0},     [S_CONNECTOR] = {"connector", CN_STRING, 0}, [S_NAME] = {"name", CN_STRING, 0},
        [S_TS_MS] = {"ts_ms", CN_INT64, 0},          [S_SNAPSHOT] = {"snapshot", CN_STRING, 1},   [S_DB] = {"db", CN_STRING, 0},
        [S_SEQUENCE] = {"sequence", CN_STRING, 1},   [S_TS_US] = {"ts_us", CN_INT64, 1},          [S_TS_NS] = {"ts_ns", CN_INT64, 1},
        [S_SCHEMA] = {"schema", CN_STRING, 0},       [S_TABLE] = {"table", CN_STRING, 0},         [S_TXID] = {"txId", CN_INT64, 1},
        [S_LSN] = {"lsn", CN_INT64, 1},              [S_XMIN] = {"xmin", CN_INT64, 1},            [S_ORIGIN] = {"origin", CN_STRING, 1},
        [S_ORIGIN_LSN] = {"origin_lsn", CN_INT64, 1}};
    struct cn_sb_field fields[S_COUNT];
    for (uint32_t i = 0; i < S_COUNT; i++)
        fields[i] = (struct cn_sb_field){f[i].name, i == S_SNAPSHOT ? snapshot_marker(sb) : cn_sb_type(sb, f[i].type, f[i].optional, NULL, 0)};
    cn_off at = cn_sb_type(sb, CN_STRUCT, 0, "io.debezium.connector.postgresql.Source", 1);
    cn_sb_fields(sb, at, fields, S_COUNT);
    return at;
}

static cn_off transaction_block(struct cn_schema_builder *sb) {
    static const struct plain f[] = {{"id", CN_STRING, 0}, {"total_order", CN_INT64, 0}, {"data_collection_order", CN_INT64, 0}};
    return plain_struct(sb, "event.block", 1, 1, f, 3);
}

cn_off envelope_schema_row(struct cn_schema_builder *sb, cn_off row, const char *name) {
    struct cn_sb_field f[E_COUNT] = {
        [E_BEFORE] = {"before", row},
        [E_AFTER] = {"after", row},
        [E_SOURCE] = {"source", source(sb)},
        [E_TRANSACTION] = {"transaction", transaction_block(sb)},
        [E_OP] = {"op", cn_sb_type(sb, CN_STRING, 0, NULL, 0)},
        [E_TS_MS] = {"ts_ms", cn_sb_type(sb, CN_INT64, 1, NULL, 0)},
        [E_TS_US] = {"ts_us", cn_sb_type(sb, CN_INT64, 1, NULL, 0)},
        [E_TS_NS] = {"ts_ns", cn_sb_type(sb, CN_INT64, 1, NULL, 0)},
    };
    cn_off at = cn_sb_type(sb, CN_STRUCT, 0, name, 2);
    cn_sb_fields(sb, at, f, E_COUNT);
    return at;
}

static struct cn_schema_blob *whole(const char *name, const struct plain *f, uint32_t n) {
    struct cn_schema_builder sb = {0};
    return cn_sb_finish(&sb, plain_struct(&sb, name, 1, 0, f, n));
}

struct cn_schema_blob *envelope_schema_message_key(void) {
    static const struct plain f[] = {{"prefix", CN_STRING, 1}};
    return whole("io.debezium.connector.postgresql.MessageKey", f, 1);
}

struct cn_schema_blob *envelope_schema_message(int text_content) {
    struct cn_schema_builder sb = {0};
    const struct plain block[] = {{"prefix", CN_STRING, 1}, {"content", text_content ? CN_STRING : CN_BYTES, 1}};
    struct cn_sb_field f[M_COUNT] = {
        [M_OP] = {"op", cn_sb_type(&sb, CN_STRING, 0, NULL, 0)},
        [M_TS_MS] = {"ts_ms", cn_sb_type(&sb, CN_INT64, 1, NULL, 0)},
        [M_SOURCE] = {"source", source(&sb)},
        [M_TRANSACTION] = {"transaction", transaction_block(&sb)},
        [M_MESSAGE] = {"message", plain_struct(&sb, "io.debezium.connector.postgresql.Message", 1, 0, block, 2)},
    };
    cn_off at = cn_sb_type(&sb, CN_STRUCT, 0, "io.debezium.connector.postgresql.MessageValue", 1);
    cn_sb_fields(&sb, at, f, M_COUNT);
    return cn_sb_finish(&sb, at);
}

struct cn_schema_blob *envelope_schema_transaction_key(void) {
    static const struct plain f[] = {{"id", CN_STRING, 0}};
    return whole("io.debezium.connector.common.TransactionMetadataKey", f, 1);
}

struct cn_schema_blob *envelope_schema_transaction(void) {
    static const struct plain collection[] = {{"data_collection", CN_STRING, 0}, {"event_count", CN_INT64, 0}};
    struct cn_schema_builder sb = {0};
    cn_off per_table = plain_struct(&sb, "event.collection", 1, 1, collection, 2);
    struct cn_sb_field f[X_COUNT] = {
        [X_STATUS] = {"status", cn_sb_type(&sb, CN_STRING, 0, NULL, 0)},
        [X_ID] = {"id", cn_sb_type(&sb, CN_STRING, 0, NULL, 0)},
        [X_EVENT_COUNT] = {"event_count", cn_sb_type(&sb, CN_INT64, 1, NULL, 0)},
        [X_COLLECTIONS] = {"data_collections", cn_sb_array(&sb, per_table, 1)},
        [X_TS_MS] = {"ts_ms", cn_sb_type(&sb, CN_INT64, 0, NULL, 0)},
    };
    cn_off at = cn_sb_type(&sb, CN_STRUCT, 0, "io.debezium.connector.common.TransactionMetadataValue", 1);
    cn_sb_fields(&sb, at, f, X_COUNT);
    return cn_sb_finish(&sb, at);
}

struct cn_schema_blob *envelope_schema_heartbeat_key(void) {
    static const struct plain f[] = {{"serverName", CN_STRING, 0}};
    return whole("io.debezium.connector.common.ServerNameKey", f, 1);
}

struct cn_schema_blob *envelope_schema_heartbeat(void) {
    static const struct plain f[] = {{"ts_ms", CN_INT64, 0}};
    return whole("io.debezium.connector.common.Heartbeat", f, 1);
}
