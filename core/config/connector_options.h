// SPDX-License-Identifier: Apache-2.0
// The options every connector has beside its plugin's own: Kafka Connect's names, defaults and documentation.
#ifndef CONFIG_CONNECTOR_OPTIONS_H
#define CONFIG_CONNECTOR_OPTIONS_H

#include "config/options.h"

enum errors_tolerance { TOLERATE_NONE, TOLERATE_ALL };
enum offset_reset { RESET_EARLIEST, RESET_LATEST, RESET_NONE };

// As the rows bind it. Texts belong to the values they were bound from.
struct connector_options {
    int64_t tasks_max;
    const char *key_converter, *value_converter; // NULL: the worker's
    int32_t errors_tolerance; // enum errors_tolerance
    int64_t errors_retry_timeout_ms, errors_retry_delay_max_ms;
    uint8_t errors_log_enable, errors_log_include_messages;
    const char *dead_letter_topic; // NULL: <connector>.dlq when errors.tolerance is all
    uint8_t dead_letter_headers;
    int64_t max_bytes_in_flight;
    int64_t spool_max_bytes;      // 0: the worker's
    int64_t restart_delay_max_ms; // 0: the worker's
    // sources
    int64_t offset_flush_interval_ms; // 0: the worker's
    int64_t transaction_interval_ms;
    int32_t transaction_boundary; // 0 poll, 1 interval, 2 connector
    struct cn_list topic_groups;
    struct cn_pairs topic_creation; // every topic.creation.GROUP.* key without the prefix, values as Kafka writes them
    // sinks
    int64_t max_poll_records;
    struct cn_list topics;
    const char *topics_regex;
    int32_t auto_offset_reset; // enum offset_reset
};

extern const struct cn_option source_options[], sink_options[];
extern const size_t source_option_count, sink_option_count;

#endif
