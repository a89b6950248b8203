// SPDX-License-Identifier: Apache-2.0
// The rows every connector shares.
#include "config/connector_options.h"

#include <connectd/sdk.h>

#include "base/mem.h"

static const char *const tolerances[] = {"none", "all", NULL};
static const char *const boundaries[] = {"poll", "interval", "connector", NULL};
static const char *const supports[] = {"requested", "required", NULL};
static const char *const resets[] = {"earliest", "latest", "none", NULL};
static const char *const header_converters[] = {"simple", "org.apache.kafka.connect.storage.SimpleHeaderConverter", NULL};

#define O struct connector_options

#define COMMON_ROWS                                                                                                          \
    CN_INT("tasks.max", O, tasks_max, "1", 1, 1000, 0, "Common",                                                             \
           "The most tasks to run. A connector that can not use more runs fewer."),                                          \
    CN_STR("key.converter", O, key_converter, NULL, 0, "Converters",                                                         \
           "How keys become bytes: json, string, bytes, or a plugin's converter. By default the worker's. Its own "          \
           "options go below key.converter."),                                                                               \
    CN_STR("value.converter", O, value_converter, NULL, 0, "Converters",                                                     \
           "How values become bytes: json, string, bytes, or a plugin's converter. By default the worker's. Its own "        \
           "options go below value.converter."),                                                                             \
    {"header.converter", CN_OPT_ENUM, CN_OPT_ADVANCED, 0, CN_NOT_BOUND, "simple", 0, 0, header_converters, "Converters",     \
     "How headers become bytes: as text, like Kafka Connect's SimpleHeaderConverter.", NULL},                                \
    {"transforms", CN_OPT_LIST, 0, 0, CN_NOT_BOUND, NULL, 0, 0, NULL, "Transforms",                                          \
     "Names of the transforms, in order. A transform NAME has its type and options below transforms.NAME; in a "             \
     "pipeline file, a list of maps.", NULL},                                                                                \
    {"predicates", CN_OPT_LIST, 0, 0, CN_NOT_BOUND, NULL, 0, 0, NULL, "Transforms",                                          \
     "Names of the predicates that transforms refer to by transforms.NAME.predicate.", NULL},                                \
    CN_ENUM("errors.tolerance", O, errors_tolerance, "none", tolerances, 0, "Errors",                                        \
            "What happens to a record that can not be converted, transformed or delivered: none stops the task at "          \
            "it, all puts it into the dead-letter topic and goes on."),                                                      \
    CN_MS("errors.retry.timeout", O, errors_retry_timeout_ms, "0", -1, INT64_MAX, 0, "Errors",                               \
          "How long a record that the target refuses for now is tried again before it counts as failed. 0: as long "         \
          "as the target says it may succeed; -1: for ever."),                                                               \
    CN_MS("errors.retry.delay.max.ms", O, errors_retry_delay_max_ms, "60s", 1, 86400000, CN_OPT_ADVANCED, "Errors",          \
          "The longest pause between two tries. The first is 300 ms, each next one longer."),                                \
    CN_BOOL("errors.log.enable", O, errors_log_enable, "false", 0, "Errors", "Whether each tolerated error is also logged."), \
    CN_BOOL("errors.log.include.messages", O, errors_log_include_messages, "false", CN_OPT_ADVANCED, "Errors",               \
            "Whether the log lines of errors.log.enable contain the record itself, which may be confidential."),             \
    CN_STR("errors.deadletterqueue.topic.name", O, dead_letter_topic, NULL, 0, "Errors",                                     \
           "The dead-letter topic of errors.tolerance=all. By default the connector's name followed by .dlq."),              \
    CN_BOOL("errors.deadletterqueue.context.headers.enable", O, dead_letter_headers, "true", 0, "Errors",                    \
            "Whether dead letters carry headers that say where the record came from, which stage failed and why."),          \
    CN_IGNORED("errors.deadletterqueue.topic.replication.factor", "one node keeps one copy"),                                \
    CN_MS("restart.delay.max.ms", O, restart_delay_max_ms, "0", 0, 86400000, CN_OPT_ADVANCED, "Errors",                      \
          "The longest pause before a task that failed for a passing reason is started again. The first is a second, "       \
          "each next one twice as long. 0: the worker's."),                                                                  \
    CN_SIZE("spool.max.bytes", O, spool_max_bytes, "0", 0, INT64_MAX, CN_OPT_ADVANCED, "Limits",                             \
            "The most bytes the connector may keep in its private spool folder. 0: the worker's."),                          \
    CN_SIZE("max.bytes.in.flight", O, max_bytes_in_flight, "8MiB", 65536, INT64_MAX, CN_OPT_ADVANCED, "Limits",             \
            "The most bytes of records that a task has polled and not seen durable, or put and not seen settled."),          \
    CN_IGNORED("config.action.reload", "secrets are read again at every start of a connector, and by `connectd reload`"),    \
    CN_IGNORED("tasks.max.enforce", "more tasks than tasks.max are never started"),                                          \
    CN_REFUSED("connector.plugin.version", "one version of a plugin is loaded at a time"),                                   \
    CN_REFUSED("key.converter.plugin.version", "one version of a plugin is loaded at a time"),                               \
    CN_REFUSED("value.converter.plugin.version", "one version of a plugin is loaded at a time")

// What Kafka's clients would have been told; there are none inside.
#define OVERRIDE(prefix)                                                                                                     \
    {prefix, CN_OPT_MAP, CN_OPT_REFUSED, 0, CN_NOT_BOUND, NULL, 0, 0, NULL, NULL,                                            \
     "connectors reach the log without a Kafka client", NULL}

const struct cn_option source_options[] = {
    COMMON_ROWS,
    {"topic.creation.groups", CN_OPT_LIST, 0, 0, CN_MEMBER_(O, topic_groups, struct cn_list), NULL, 0, 0, NULL, "Topics",
     "Groups of topics, in order; the first whose include patterns match a new topic's name gives its partitions and settings "
     "(topic.creation.GROUP.include, .exclude, .partitions, .retention.ms, ...). In a pipeline file, `topics:`.", NULL},
    {"topic.creation.", CN_OPT_MAP, 0, 0, CN_NOT_BOUND, NULL, 0, 0, NULL, "Topics",
     "Partitions and settings of a group of new topics; the group default is for all others.", NULL},
    CN_MS("offset.flush.interval.ms", O, offset_flush_interval_ms, "0", 0, 3600000, CN_OPT_ADVANCED, "Commits",
          "How often positions are committed while there are no records to go with them. 0: the worker's."),
    CN_ENUM("transaction.boundary", O, transaction_boundary, "poll", boundaries, CN_OPT_ADVANCED, "Commits",
            "What one commit holds: the records of a poll, those of an interval, or what the connector says."),
    CN_MS("transaction.boundary.interval.ms", O, transaction_interval_ms, "5s", 1, 3600000, CN_OPT_ADVANCED, "Commits",
          "The interval of transaction.boundary=interval."),
    {"exactly.once.support", CN_OPT_ENUM, CN_OPT_ADVANCED, 0, CN_NOT_BOUND, "requested", 0, 0, supports, "Commits",
     "Records and positions are always committed together; both values mean the same here.", NULL},
    CN_REFUSED("offsets.storage.topic", "positions are kept in the worker's offset topic"),
    OVERRIDE("producer.override."),
    OVERRIDE("admin.override."),
};
const size_t source_option_count = countof(source_options);

const struct cn_option sink_options[] = {
    CN_LIST("topics", O, topics, NULL, 0, "Topics",
            "The topics to read. In a pipeline file by default all topics of the pipeline's sources."),
    CN_REGEX("topics.regex", O, topics_regex, NULL, 0, "Topics",
             "A pattern that the whole name of a topic matches; topics made later are read too. Instead of topics."),
    {"auto.offset.reset", CN_OPT_ENUM, 0, 0, CN_MEMBER_(O, auto_offset_reset, int32_t), "earliest", 0, 0, resets, "Topics",
     "Where a partition without a committed offset is read from. none: the task fails and names it.", "consumer.override.auto.offset.reset"},
    {"max.poll.records", CN_OPT_INT, CN_OPT_ADVANCED, 0, CN_MEMBER_(O, max_poll_records, int64_t), "5000", 1, 1000000, NULL, "Limits",
     "The most records that are put to the sink at once.", "consumer.override.max.poll.records"},
    COMMON_ROWS,
    OVERRIDE("consumer.override."),
    OVERRIDE("producer.override."),
    OVERRIDE("admin.override."),
};
const size_t sink_option_count = countof(sink_options);
