/* SPDX-License-Identifier: Apache-2.0 */
#include "options.h"

#include <ctype.h>
#include <strings.h>

#define O struct options
#define CONNECTION "Connection"
#define SLOT "Replication slot and publication"
#define SELECTION "What is captured"
#define SHAPE "Shape of records"
#define SNAPSHOT "Snapshot"
#define FLOW "Flow"

static const char *const compatibility_modes[] = {"debezium", "lossless", NULL};
static const char *const publication_modes[] = {"filtered", "all_tables", "disabled", "no_tables", NULL};
static const char *const snapshot_modes[] = {"initial", "always", "initial_only", "no_data", "never", "when_needed", NULL};
static const char *const decimal_modes[] = {"precise", "double", "string", NULL};
static const char *const time_modes[] = {"adaptive", "adaptive_time_microseconds", "connect", "isostring", "microseconds",
                                         "nanoseconds", NULL};
static const char *const interval_modes[] = {"numeric", "string", NULL};
static const char *const binary_modes[] = {"bytes", "base64", "base64-url-safe", "hex", NULL};
static const char *const hstore_modes[] = {"json", "map", NULL};

const struct cn_option postgres_options[POSTGRES_OPTION_COUNT] = {
    CN_STR("database.hostname", O, hostname, NULL, CN_OPT_REQUIRED, CONNECTION,
           "Host name or address of the server; a path is the folder of its Unix socket."),
    CN_INT("database.port", O, port, "5432", 1, 65535, 0, CONNECTION, "Port of the server."),
    CN_STR("database.user", O, user, NULL, CN_OPT_REQUIRED, CONNECTION,
           "Role to connect as; it needs LOGIN and REPLICATION, CONNECT on the database and SELECT on the captured tables."),
    CN_STR("database.password", O, password, NULL, CN_OPT_SECRET, CONNECTION, "Password of the role."),
    CN_STR("database.dbname", O, dbname, NULL, CN_OPT_REQUIRED, CONNECTION, "Database to capture."),
    CN_STR("database.sslmode", O, sslmode, "prefer", 0, CONNECTION,
           "disable, allow, prefer, require, verify-ca or verify-full, as libpq's sslmode."),
    CN_STR("database.sslcert", O, sslcert, NULL, 0, CONNECTION, "File of the client certificate."),
    CN_STR("database.sslkey", O, sslkey, NULL, 0, CONNECTION, "File of the client certificate's key."),
    CN_STR("database.sslpassword", O, sslpassword, NULL, CN_OPT_SECRET, CONNECTION, "Password of that key."),
    CN_STR("database.sslrootcert", O, sslrootcert, NULL, 0, CONNECTION, "File of the authorities a server certificate is checked with."),
    CN_BOOL("database.tcpKeepAlive", O, tcp_keepalive, "true", CN_OPT_ADVANCED, CONNECTION, "Whether idle connections are probed."),
    CN_MS("database.query.timeout.ms", O, query_timeout_ms, "600000", 0, INT32_MAX, CN_OPT_ADVANCED, CONNECTION,
          "How long a catalog query may take; 0 for ever."),
    CN_MS("connection.validation.timeout.ms", O, connect_timeout_ms, "30000", 100, 600000, CN_OPT_ADVANCED, CONNECTION,
          "How long connecting may take."),

    CN_STR("plugin.name", O, plugin_name, "pgoutput", 0, SLOT, "The logical decoding plugin: only pgoutput, which every server has."),
    CN_STR("slot.name", O, slot_name, NULL, 0, SLOT,
           "Name of the replication slot, made when it is not there. Default: connectd_ and the connector's name."),
    CN_BOOL("slot.failover", O, slot_failover, "false", CN_OPT_ADVANCED, SLOT,
            "Makes the slot one that PostgreSQL 17 and later synchronise to standbys; below 17 without effect."),
    CN_BOOL("slot.drop.on.stop", O, slot_drop_on_stop, "false", CN_OPT_ADVANCED, SLOT,
            "Only false: without its slot a connector cannot resume. Remove a slot by hand when it is no longer needed."),
    CN_STR("publication.name", O, publication_name, NULL, 0, SLOT,
           "Name of the publication. Default: connectd_ and the connector's name (Debezium: dbz_publication)."),
    CN_ENUM("publication.autocreate.mode", O, publication_mode, "filtered", publication_modes, 0, SLOT,
            "filtered: made for the selected tables and kept equal to them. disabled: made by somebody else. no_tables: made "
            "without tables, for messages. all_tables is only accepted when the publication is there already. Default filtered "
            "(Debezium: all_tables)."),
    CN_BOOL("publish.via.partition.root", O, via_root, "false", 0, SLOT,
            "Whether changes of partitions are published as changes of the partitioned table."),
    CN_MS("status.update.interval.ms", O, status_interval_ms, "10000", 100, 60000, CN_OPT_ADVANCED, SLOT,
          "How often the server is told the confirmed position while nothing else is sent."),
    CN_BOOL("read.only", O, read_only, "false", CN_OPT_ADVANCED, SLOT,
            "Never creates or alters a publication (as publication.autocreate.mode: disabled)."),

    CN_LIST("schema.include.list", O, schema_include, NULL, 0, SELECTION, "Regular expressions of schemas to capture."),
    CN_LIST("schema.exclude.list", O, schema_exclude, NULL, 0, SELECTION, "Regular expressions of schemas to leave out."),
    CN_LIST("table.include.list", O, table_include, NULL, 0, SELECTION, "Regular expressions of tables (schema.table) to capture."),
    CN_LIST("table.exclude.list", O, table_exclude, NULL, 0, SELECTION, "Regular expressions of tables to leave out."),
    CN_LIST("column.include.list", O, column_include, NULL, 0, SELECTION,
            "Regular expressions of columns (schema.table.column) to put into values."),
    CN_LIST("column.exclude.list", O, column_exclude, NULL, 0, SELECTION, "Regular expressions of columns to leave out of values."),
    CN_LIST("message.prefix.include.list", O, message_include, NULL, 0, SELECTION,
            "Regular expressions of the prefixes of logical decoding messages to capture."),
    CN_LIST("message.prefix.exclude.list", O, message_exclude, NULL, 0, SELECTION, "Regular expressions of prefixes to leave out."),
    CN_LIST("skipped.operations", O, skipped, "t", 0, SELECTION, "c, u, d and t, or none: operations that make no records."),
    CN_BOOL("skip.messages.without.change", O, skip_unchanged, "false", 0, SELECTION,
            "Leaves out updates that changed no captured column; only seen where the replica identity is FULL."),

    CN_STR("topic.prefix", O, prefix, NULL, CN_OPT_REQUIRED, SHAPE, "First part of topic and schema names, and source.name in records."),
    CN_STR("topic.delimiter", O, topic_delimiter, ".", CN_OPT_ADVANCED, SHAPE, "What stands between the parts of a topic's name."),
    CN_STR("topic.transaction", O, topic_transaction, "transaction", CN_OPT_ADVANCED, SHAPE,
           "Last part of the topic of transaction metadata."),
    CN_ENUM("compatibility.mode", O, compatibility, "debezium", compatibility_modes, 0, SHAPE,
            "debezium: records as Debezium writes them, its losses included. lossless is not supported yet."),
    CN_BOOL("tombstones.on.delete", O, tombstones, "true", 0, SHAPE, "Whether a delete is followed by a record without value."),
    CN_BOOL("provide.transaction.metadata", O, transaction_metadata, "false", 0, SHAPE,
            "Adds the transaction block to records, and BEGIN and END records to a topic of their own."),
    CN_BOOL("extended.headers.enabled", O, extended_headers, "true", 0, SHAPE, "Adds the __debezium.context.* headers."),
    CN_STR("message.key.columns", O, message_key_columns, NULL, 0, SHAPE,
           "Other keys than the primary: regex:column,column; regex:column. The regex is of schema.table."),
    CN_ENUM("decimal.handling.mode", O, modes.decimal, "precise", decimal_modes, 0, SHAPE, "How numeric and money are shown."),
    CN_ENUM("time.precision.mode", O, modes.time, "adaptive", time_modes, 0, SHAPE, "How date, time and timestamp are shown."),
    CN_ENUM("interval.handling.mode", O, modes.interval, "numeric", interval_modes, 0, SHAPE,
            "interval as microseconds or as ISO 8601 text."),
    CN_ENUM("binary.handling.mode", O, modes.binary, "bytes", binary_modes, 0, SHAPE, "How bytea is shown."),
    CN_ENUM("hstore.handling.mode", O, modes.hstore, "json", hstore_modes, 0, SHAPE, "How hstore is shown."),
    CN_INT("money.fraction.digits", O, modes.money_digits, "2", 0, 16, 0, SHAPE, "Digits behind the point of money."),
    CN_BOOL("include.unknown.datatypes", O, modes.include_unknown, "false", 0, SHAPE,
            "Shows types without a mapping as the bytes of their text instead of leaving the column out."),
    CN_STR("unavailable.value.placeholder", O, placeholder, "__debezium_unavailable_value", 0, SHAPE,
           "Stands for a large value that did not change and was not sent."),
    CN_PAIRS("column.truncate.to.", O, truncate, 0, SHAPE, "column.truncate.to.N.chars: regular expressions of columns cut after N characters."),
    CN_PAIRS("column.mask.with.", O, mask, 0, SHAPE, "column.mask.with.N.chars: text columns shown as N asterisks."),
    CN_PAIRS("column.mask.hash.", O, mask_hash, 0, SHAPE,
             "column.mask.hash.[v2.]ALGORITHM.with.salt.SALT: text columns shown as their salted hash."),
    CN_STR("schema.name.adjustment.mode", O, name_adjustment, "none", CN_OPT_ADVANCED, SHAPE, "Only none: schema names are kept."),
    CN_STR("field.name.adjustment.mode", O, field_adjustment, "none", CN_OPT_ADVANCED, SHAPE, "Only none: field names are kept."),

    CN_ENUM("snapshot.mode", O, snapshot_mode, "initial", snapshot_modes, 0, SNAPSHOT,
            "initial: rows first, when no position is stored. always: at every start. initial_only: rows, then done. no_data: only "
            "changes from now on. when_needed: again when the slot was lost."),
    CN_MS("snapshot.lock.timeout.ms", O, snapshot_lock_timeout_ms, "10000", 0, INT32_MAX, CN_OPT_ADVANCED, SNAPSHOT,
          "How long reading a table may wait for an exclusive lock that somebody else holds."),

    CN_MS("heartbeat.interval.ms", O, heartbeat_ms, "0", 0, INT64_MAX, 0, FLOW,
          "How often a heartbeat record is written; 0 never. Not needed to keep the slot moving."),
    CN_STR("topic.heartbeat.prefix", O, heartbeat_prefix, "__debezium-heartbeat", CN_OPT_ADVANCED, FLOW,
           "First part of the heartbeat topic's name."),
    CN_STR("topic.heartbeat.name", O, heartbeat_name, NULL, CN_OPT_ADVANCED, FLOW, "Whole name of the heartbeat topic."),
    CN_SIZE("spool.memory.bytes", O, spool_memory, "16MiB", 65536, INT64_C(1) << 40, CN_OPT_ADVANCED, FLOW,
            "How much of transactions in progress is kept in memory before it goes to the spool folder."),

    /* Known in the field, not here. */
    CN_REFUSED("signal.data.collection", "signals and incremental snapshots are not supported yet: restart with snapshot.mode always to read rows again"),
    CN_REFUSED("heartbeat.action.query", "not supported: the slot moves on with the server's keepalives, nothing need be written"),
    CN_REFUSED("converters", "custom converters are Java: use transforms"),
    CN_REFUSED("post.processors", "post processors are Java: use transforms"),
    CN_REFUSED("snapshot.select.statement.overrides", "not supported yet: select columns with column.include.list, rows with a publication's WHERE"),
    CN_REFUSED("snapshot.include.collection.list", "not supported yet: run a second connector for tables that need no rows"),
    CN_REFUSED("snapshot.mode.custom.name", "custom snapshotters are Java: use one of the built-in snapshot.mode values"),
    CN_REFUSED("replica.identity.autoset.values", "connectd does not alter tables: run ALTER TABLE … REPLICA IDENTITY yourself"),
    CN_REFUSED("column.propagate.source.type", "not supported yet: source types are not put into schema parameters"),
    CN_REFUSED("datatype.propagate.source.type", "not supported yet: source types are not put into schema parameters"),
    CN_REFUSED("slot.stream.params", "not supported: the stream's parameters follow from the server's version"),
    CN_REFUSED("topic.naming.strategy", "naming strategies are Java: rename topics with the RegexRouter transform"),
    CN_REFUSED("database.initial.statements", "not supported: set defaults with ALTER ROLE … SET"),
    CN_REFUSED("database.connection.factory.class", "connection factories are Java"),
    CN_REFUSED("database.sslfactory", "socket factories are Java: use database.sslmode and its files"),
    CN_REFUSED("offset.mismatch.strategy", "a position the slot no longer has is always refused; see snapshot.mode when_needed"),
    CN_REFUSED("include.schema.comments", "not supported yet"),
    CN_REFUSED("transaction.metadata.factory", "factories are Java"),
    CN_REFUSED("sourceinfo.struct.maker", "makers are Java"),
    CN_REFUSED("snapshot.tables.order.by.row.count", "not supported yet: tables are read in the order of their names"),
    CN_IGNORED("tasks.max", "a slot has one reader, so there is one task"),
    CN_IGNORED("max.batch.size", "batches are bounded in bytes by connectd"),
    CN_IGNORED("max.queue.size", "queues are bounded in bytes by connectd"),
    CN_IGNORED("max.queue.size.in.bytes", "queues are bounded in bytes by connectd"),
    CN_IGNORED("poll.interval.ms", "changes are handed on as they arrive"),
    CN_IGNORED("poll.dispatch.interval.ms", "changes are handed on as they arrive"),
    CN_IGNORED("queue.provider.type", "there is no queue between reading and writing"),
    CN_IGNORED("slot.max.retries", "connectd restarts a task for ever while an error is transient"),
    CN_IGNORED("slot.retry.delay.ms", "connectd restarts tasks with its own back-off"),
    CN_IGNORED("errors.max.retries", "connectd restarts a task for ever while an error is transient"),
    CN_IGNORED("retriable.restart.connector.wait.ms", "connectd restarts tasks with its own back-off"),
    CN_IGNORED("snapshot.fetch.size", "rows are read with COPY, which streams"),
    CN_IGNORED("query.fetch.size", "rows are read with COPY, which streams"),
    CN_IGNORED("snapshot.max.threads", "one COPY at a time"),
    CN_IGNORED("legacy.snapshot.max.threads", "one COPY at a time"),
    CN_IGNORED("snapshot.isolation.mode", "the slot's exported snapshot is always used"),
    CN_IGNORED("snapshot.locking.mode", "only the ACCESS SHARE lock of reading is taken"),
    CN_IGNORED("snapshot.query.mode", "select_all is what COPY does"),
    CN_IGNORED("snapshot.delay.ms", "start the connector later instead"),
    CN_IGNORED("streaming.delay.ms", "streaming begins when the snapshot is done"),
    CN_IGNORED("incremental.snapshot.chunk.size", "there are no incremental snapshots yet"),
    CN_IGNORED("incremental.snapshot.watermarking.strategy", "there are no incremental snapshots yet"),
    CN_IGNORED("incremental.snapshot.allow.schema.changes", "there are no incremental snapshots yet"),
    CN_IGNORED("signal.enabled.channels", "there are no signals yet"),
    CN_IGNORED("signal.poll.interval.ms", "there are no signals yet"),
    CN_IGNORED("notification.enabled.channels", "progress is shown by connectd status"),
    CN_IGNORED("lsn.flush.mode", "the position is confirmed when it is durable, also from keepalives"),
    CN_IGNORED("lsn.flush.timeout.ms", "confirming does not wait"),
    CN_IGNORED("lsn.flush.timeout.action", "confirming does not wait"),
    CN_IGNORED("flush.lsn.source", "the position is confirmed when it is durable"),
    CN_IGNORED("xmin.fetch.interval.ms", "source.xmin is always null"),
    CN_IGNORED("schema.refresh.mode", "schemas follow the stream's relation messages"),
    CN_IGNORED("topic.cache.size", "topic names are kept with their tables"),
    CN_IGNORED("event.processing.failure.handling.mode", "a record that cannot be made stops the task, as fail does"),
    CN_IGNORED("event.converting.failure.handling.mode", "a record that cannot be made stops the task, as fail does"),
    CN_IGNORED("table.ignore.builtin", "system tables are never captured"),
    CN_IGNORED("include.schema.changes", "PostgreSQL has no schema change topic"),
    CN_IGNORED("guardrail.collections.max", "there is no limit of tables"),
    CN_IGNORED("guardrail.collections.limit.action", "there is no limit of tables"),
    CN_IGNORED("custom.metric.tags", "metrics carry connector and task"),
    CN_IGNORED("statistics.metrics.enabled", "metrics are always on"),
    CN_IGNORED("advanced.metrics.enable", "metrics are always on"),
    CN_IGNORED("executor.shutdown.timeout.ms", "connectd's own shutdown timeout counts"),
    CN_IGNORED("create.slot.command.timeout", "creating a slot waits for running transactions, as long as it takes"),
};

void options_slot_name(const char *connector, char out[64]) {
    size_t n = (size_t)snprintf(out, 64, "connectd_%s", connector);
    if (n > 63) n = 63;
    for (size_t i = 0; i < n; i++) {
        out[i] = (char)tolower((unsigned char)out[i]);
        if (!isdigit((unsigned char)out[i]) && !(out[i] >= 'a' && out[i] <= 'z')) out[i] = '_';
    }
}

static int valid_slot_name(const char *z) {
    size_t n = strlen(z);
    for (size_t i = 0; i < n; i++)
        if (!isdigit((unsigned char)z[i]) && !(z[i] >= 'a' && z[i] <= 'z') && z[i] != '_') return 0;
    return n > 0 && n < 64;
}

/* Options of which only one value is supported. */
static int check_fixed(struct cn_host *h, const struct options *o) {
    const struct { const char *name, *value, *want, *hint; } fixed[] = {
        {"plugin.name", o->plugin_name, "pgoutput", "leave the option out: pgoutput needs nothing installed on the server"},
        {"schema.name.adjustment.mode", o->name_adjustment, "none", "names are kept as they are"},
        {"field.name.adjustment.mode", o->field_adjustment, "none", "names are kept as they are"},
        {"slot.drop.on.stop", o->slot_drop_on_stop ? "true" : "false", "false",
         "a restart would lose changes; drop the slot by hand when the connector is gone"},
        {"compatibility.mode", o->compatibility ? "lossless" : "debezium", "debezium", "use debezium"},
    };
    for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++)
        if (strcasecmp(fixed[i].value, fixed[i].want) != 0)
            return cn_failf(h, CN_FAIL_CONFIG, fixed[i].hint, "%s: %s is not supported yet, only %s", fixed[i].name, fixed[i].value, fixed[i].want);
    return 0;
}

static int check_pairs(struct cn_host *h, const struct options *o) {
    const struct { const char *what; const struct cn_list *in, *out; } pairs[] = {
        {"schema", &o->schema_include, &o->schema_exclude},
        {"table", &o->table_include, &o->table_exclude},
        {"column", &o->column_include, &o->column_exclude},
        {"message.prefix", &o->message_include, &o->message_exclude},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
        if (pairs[i].in->n && pairs[i].out->n)
            return cn_failf(h, CN_FAIL_CONFIG, "use one of the two", "%s.include.list and %s.exclude.list are both set", pairs[i].what,
                            pairs[i].what);
    return 0;
}

static int bind_skipped(struct cn_host *h, struct options *o) {
    static const struct { const char *name; uint32_t bit; } ops[] = {
        {"c", OP_CREATE}, {"u", OP_UPDATE}, {"d", OP_DELETE}, {"t", OP_TRUNCATE}, {"none", 0}};
    o->skip_ops = 0;
    for (uint32_t i = 0; i < o->skipped.n; i++) {
        const char *name = o->skipped.items[i];
        size_t k = 0;
        while (*name == ' ') name++;
        while (k < 5 && strcasecmp(ops[k].name, name) != 0) k++;
        if (k == 5) return cn_failf(h, CN_FAIL_CONFIG, "use c, u, d, t or none", "skipped.operations: %s is no operation", name);
        o->skip_ops |= ops[k].bit;
    }
    return 0;
}

static int bind_names(struct cn_host *h, struct options *o) {
    options_slot_name(h->ops->connector_name(h), o->slot);
    snprintf(o->publication, sizeof o->publication, "%s", o->slot);
    if (o->slot_name) {
        if (!valid_slot_name(o->slot_name))
            return cn_failf(h, CN_FAIL_CONFIG, "use lower case letters, digits and underscores, at most 63",
                            "slot.name: \"%s\" is no name of a slot", o->slot_name);
        snprintf(o->slot, sizeof o->slot, "%s", o->slot_name);
    }
    if (o->publication_name) {
        if (!*o->publication_name || strlen(o->publication_name) > 55 || strpbrk(o->publication_name, "\"'\\"))
            return cn_failf(h, CN_FAIL_CONFIG, NULL, "publication.name: \"%s\" must have 1 to 55 bytes and no quotes", o->publication_name);
        snprintf(o->publication, sizeof o->publication, "%s", o->publication_name);
    }
    o->publication[55] = 0;
    snprintf(o->publication_inserts, sizeof o->publication_inserts, "%.55s_inserts", o->publication);
    return 0;
}

int options_bind(struct cn_host *h, struct options *o) {
    memset(o, 0, sizeof *o);
    if (cn_options_bind(h, postgres_options, POSTGRES_OPTION_COUNT, o) != 0) return -1;
    if (check_fixed(h, o) != 0 || check_pairs(h, o) != 0 || bind_skipped(h, o) != 0 || bind_names(h, o) != 0) return -1;
    if (!*o->prefix) return cn_failf(h, CN_FAIL_CONFIG, NULL, "topic.prefix: is empty");
    if (o->read_only) o->publication_mode = PUBLICATION_DISABLED;
    return 0;
}
