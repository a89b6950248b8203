// SPDX-License-Identifier: Apache-2.0
// connectd.yaml: the daemon's own options as one table, bound into one struct.
//
// Only a wrong connectd.yaml stops the start; every wrong line of it is named. A missing file is an empty one.
#ifndef CONFIG_WORKER_CONFIG_H
#define CONFIG_WORKER_CONFIG_H

#include "config/options.h"

struct worker_config {
    // folders and files
    const char *data_dir, *spool_dir, *secrets_dir, *pipelines_dir, *control_socket, *control_group;
    struct cn_list plugin_path;
    // converters
    const char *key_converter, *value_converter;
    // tasks
    int64_t shutdown_ms, hang_ms, offset_flush_interval_ms, restart_delay_max_ms, spool_max_bytes;
    const char *worker_id;
    // internal topics
    const char *group_id, *config_topic, *offset_topic, *status_topic;
    // the log
    int64_t commit_max_bytes, commit_inline_max_bytes, commit_linger_ms;
    int64_t journal_bytes, checkpoint_interval_ms, reserve_bytes, quarantine_max_bytes;
    int64_t segment_bytes, segment_ms, retention_ms, retention_bytes, retention_check_ms, max_message_bytes, index_interval_bytes;
    int64_t total_max_bytes;
    int64_t default_partitions;
    int64_t delete_retention_ms, cleaner_interval_ms;
    int64_t transaction_max_timeout_ms, producer_id_expiration_ms;
    int64_t offsets_retention_ms, offsets_partitions, transactions_partitions;
    // log lines
    int32_t say_level;  // 0 error, 1 warn, 2 info, 3 debug
    int32_t say_format; // 0 auto, 1 text, 2 json, 3 journal
    // what the texts above live in
    struct option_values *values;
    struct props props; // as written, for converters' own options
};

extern const struct cn_option worker_rows[];
extern const size_t worker_row_count;

// Reads path (absent: all defaults) and, over it, `overrides` (command line; may be NULL). -1 when findings has errors.
int worker_config_load(const char *path, const struct props *overrides, struct worker_config **ret, struct findings *f) MUST_USE;
void worker_config_free(struct worker_config *c);
// The whole /etc/connectd/connectd.yaml: every option, commented out, with its default and documentation.
void worker_config_print(struct buf *out);

#endif
