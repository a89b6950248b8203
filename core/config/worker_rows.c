// SPDX-License-Identifier: Apache-2.0
// The daemon's options. Their order is that of connectd.yaml.
#include <connectd/sdk.h>

#include "base/mem.h"
#include "config/worker_config.h"

static const char *const codecs[] = {"none", "gzip", "snappy", "lz4", "zstd", NULL}; // in the order of their numbers
static const char *const levels[] = {"error", "warn", "info", "debug", NULL};
static const char *const formats[] = {"auto", "text", "json", "journal", NULL};

#define W struct worker_config
#define LATER(name, what) CN_REFUSED(name, what " in this version")

const struct cn_option worker_rows[] = {
    CN_STR("data.dir", W, data_dir, "/var/lib/connectd", 0, "Folders",
           "Where the log, positions and states are kept. One daemon at a time uses it; the log needs a local file system that "
           "honours fsync."),
    CN_STR("spool.dir", W, spool_dir, "spool", CN_OPT_ADVANCED, "Folders",
          "Private folders of connectors that spill to disk. A relative path is below data.dir."),
    CN_LIST("plugin.path", W, plugin_path, "/usr/lib/connectd/plugins, /usr/local/lib/connectd/plugins", 0, "Folders",
            "Folders searched for plugins (*.so), in this order."),
    CN_STR("pipelines.dir", W, pipelines_dir, "/etc/connectd/pipelines.d", 0, "Folders",
           "Folder of the pipeline files (*.yaml, *.yml, and connector *.json)."),
    CN_STR("secrets.dir", W, secrets_dir, "/etc/connectd/secrets", 0, "Folders", "Where ${file:NAME} looks for NAME."),

    CN_STR("control.socket", W, control_socket, "/run/connectd/control.sock", 0, "Control",
           "The Unix socket that `connectd status` and the other commands talk to."),
    CN_STR("control.group", W, control_group, "connectd", 0, "Control",
          "Members of this group may use the control socket, beside the daemon's user and root."),

    CN_STR("key.converter", W, key_converter, "json", 0, "Converters",
           "How connectors that say nothing write and read keys: json, string, bytes, or a plugin's converter. Its options go "
           "below key.converter."),
    CN_STR("value.converter", W, value_converter, "json", 0, "Converters",
           "How connectors that say nothing write and read values. Its options go below value.converter."),
    {"key.converter.", CN_OPT_MAP, 0, 0, CN_NOT_BOUND, NULL, 0, 0, NULL, "Converters",
          "Options of the key converter, for example schemas.enable.", NULL},
    {"value.converter.", CN_OPT_MAP, 0, 0, CN_NOT_BOUND, NULL, 0, 0, NULL, "Converters", "Options of the value converter.", NULL},

    CN_MS("task.shutdown.graceful.timeout.ms", W, shutdown_ms, "5s", 0, 3600000, 0, "Tasks",
          "How long all tasks together may take to stop. What is not back then is abandoned and named in the log."),
    CN_MS("task.hang.timeout.ms", W, hang_ms, "60s", 1000, 86400000, 0, "Tasks",
          "How much longer than it was given a plugin's call may take before its task is reported as hung, with its stack."),
    CN_MS("offset.flush.interval.ms", W, offset_flush_interval_ms, "5s", 10, 3600000, 0, "Tasks",
          "How often positions without records, and sinks' offsets, are committed."),
    CN_MS("restart.delay.max.ms", W, restart_delay_max_ms, "5min", 1000, 86400000, 0, "Tasks",
          "The longest pause before a task that failed for a passing reason is started again. The first is a second, each next "
          "one twice as long."),
    CN_SIZE("spool.max.bytes", W, spool_max_bytes, "1GiB", 0, INT64_MAX, 0, "Tasks",
          "The most bytes a connector may keep in its spool folder."),
    CN_STR("worker.id", W, worker_id, "127.0.0.1:8083", CN_OPT_ADVANCED, "Tasks", "What statuses call this worker."),

    CN_MS("log.retention.ms", W, retention_ms, "7d", -1, INT64_MAX, 0, "Log",
          "How long records are kept; -1 for ever. A topic's retention.ms goes before it."),
    CN_SIZE("log.retention.bytes", W, retention_bytes, "-1", -1, INT64_MAX, 0, "Log",
          "The most bytes a partition keeps; -1 for no limit. A topic's retention.bytes goes before it."),
    CN_SIZE("log.segment.bytes", W, segment_bytes, "256MiB", 1048576, INT32_MAX, 0, "Log",
          "The size at which a segment file is closed and the next one begun."),
    CN_MS("log.roll.ms", W, segment_ms, "7d", 1000, INT64_MAX, CN_OPT_ADVANCED, "Log",
          "The age at which a segment is closed even if it is not full."),
    CN_SIZE("message.max.bytes", W, max_message_bytes, "64MiB", 1024, INT32_MAX, 0, "Log",
          "The largest batch a topic takes. A topic's max.message.bytes goes before it."),
    CN_INT("num.partitions", W, default_partitions, "1", 1, 10000, 0, "Log",
          "Partitions of topics for which nobody says otherwise."),
    CN_SIZE("log.index.interval.bytes", W, index_interval_bytes, "4k", 512, INT32_MAX, CN_OPT_ADVANCED, "Log",
          "Bytes between two entries of a segment's index."),
    CN_MS("log.cleaner.delete.retention.ms", W, delete_retention_ms, "1d", 0, INT64_MAX, CN_OPT_ADVANCED, "Log",
          "How long compaction keeps tombstones."),
    CN_SIZE("log.cleaner.dedupe.buffer.size", W, dedupe_bytes, "32MiB", 1048576, 17179869184, CN_OPT_ADVANCED, "Log",
          "Memory for the keys of the topic that is being compacted, 30 bytes each. Keys that do not fit wait for its next round. Kafka's "
          "default is 128 MiB."),

    CN_SIZE("log.commit.max.bytes", W, commit_max_bytes, "16MiB", 1048576, 1073741824, CN_OPT_ADVANCED, "Durability",
            "The largest commit that becomes durable as one frame. Larger ones become a transaction."),
    CN_SIZE("log.commit.inline.max.bytes", W, commit_inline_max_bytes, "256KiB", 0, 16777216, CN_OPT_ADVANCED, "Durability",
            "Up to this size a partition's part of a commit is written into the journal; larger parts are synced in their "
            "segment."),
    CN_SIZE("log.commit.queue.bytes", W, commit_queue_bytes, "64MiB", 1048576, INT64_MAX, CN_OPT_ADVANCED, "Durability",
          "The most bytes of commits that wait for the journal; writers block past it."),
    CN_SIZE("log.journal.bytes", W, journal_bytes, "64MiB", 33554432, 17179869184, CN_OPT_ADVANCED, "Durability",
            "The size of the commit journal, taken at the first start. At least twice log.commit.max.bytes."),
    CN_MS("log.checkpoint.interval.ms", W, checkpoint_interval_ms, "1s", 10, 3600000, CN_OPT_ADVANCED, "Durability",
          "How soon after the last change an idle log is checkpointed."),
    CN_SIZE("log.total.bytes", W, total_bytes, "0", 0, INT64_MAX, 0, "Log",
            "The most bytes of all topics together; 0: 80 % of the file system. Past it the oldest segments go, those that a sink has not read yet "
            "last (they are counted, and leave a gap record in its dead-letter topic); when none may go, sources wait."),
    CN_SIZE("log.reserve.bytes", W, reserve_bytes, "16MiB", 1048576, INT64_MAX, CN_OPT_ADVANCED, "Durability",
            "Disk space kept for markers, checkpoints and recovery. When less is free, writes are refused until there is more."),
    CN_SIZE("log.verify.bytes.per.second", W, verify_bytes, "4MiB", 0, INT64_MAX, CN_OPT_ADVANCED, "Durability",
            "How fast closed segments are read again and held against their checksums, round after round; 0: not at all. What is damaged stops its "
            "partition."),
    CN_SIZE("log.quarantine.max.bytes", W, quarantine_max_bytes, "64MiB", 0, INT64_MAX, CN_OPT_ADVANCED, "Durability",
            "The most bytes kept of what recovery cut off above the durable end; the oldest go first."),

    CN_INT("offsets.topic.num.partitions", W, offsets_partitions, "8", 1, 1000, CN_OPT_ADVANCED, "Producers and groups",
          "Partitions of __consumer_offsets, set when it is made."),
    CN_INT("transaction.state.log.num.partitions", W, transactions_partitions, "8", 1, 1000, CN_OPT_ADVANCED, "Producers and groups",
          "Partitions of __transaction_state, set when it is made."),

    CN_ENUM("producer.compression.type", W, producer_compression, "lz4", codecs, 0, "Producers and groups",
            "How connectors' batches are compressed in topics whose compression.type leaves it to producers. Kafka's default is none."),
    CN_ENUM("log.level", W, say_level, "info", levels, 0, "Messages", "The least important messages that are written."),
    CN_ENUM("log.format", W, say_format, "auto", formats, 0, "Messages",
          "auto: to the journal under systemd, else text. json: one object a line."),

    LATER("backend", "records are kept in the embedded log"),
    LATER("bootstrap.servers", "records are kept in the embedded log; an Apache Kafka cluster can not be used"),
    LATER("listeners", "the log is not served to Kafka clients, and there is no REST interface"),
    LATER("rest.port", "there is no REST interface"),
    LATER("rest.host.name", "there is no REST interface"),
    LATER("admin.listeners", "there is no REST interface"),
    LATER("metrics.listener", "metrics are shown by `connectd status`, not served"),
    LATER("listener.allow.unauthenticated", "nothing listens but the control socket"),
    LATER("isolation", "plugins run inside the daemon"),
    LATER("group.id", "producers' identities begin with connect-cluster"),
    LATER("config.storage.topic", "states are kept in connect-configs"),
    LATER("offset.storage.topic", "positions are kept in connect-offsets"),
    LATER("status.storage.topic", "statuses are kept in connect-status"),
    CN_REFUSED("log.retention.total.bytes", "it is called log.total.bytes"),
    LATER("log.retention.check.interval.ms", "how often old segments are looked for is fixed"),
    LATER("log.cleaner.backoff.ms", "how often compaction looks for work is fixed"),
    LATER("transaction.max.timeout.ms", "the log is not served to Kafka clients, and connectd's own transactions have no timeout,"),
    LATER("producer.id.expiration.ms", "how long an idle producer's sequence is remembered is fixed"),
    LATER("offsets.retention.ms", "groups' offsets are kept until they are removed"),
    CN_REFUSED("config.providers",
          "secrets are written ${env:...}, ${file:...}, ${directory:...} or ${credential:...}, without configuring providers"),
    CN_REFUSED("offset.storage.file.filename", "positions are kept in the log, with the records"),
    CN_IGNORED("config.storage.replication.factor", "one node keeps one copy"),
    CN_IGNORED("offset.storage.replication.factor", "one node keeps one copy"),
    CN_IGNORED("status.storage.replication.factor", "one node keeps one copy"),
    CN_IGNORED("exactly.once.source.support", "records and positions are always committed together"),
    CN_IGNORED("plugin.discovery", "plugins are found by scanning plugin.path"),
};
const size_t worker_row_count = countof(worker_rows);
