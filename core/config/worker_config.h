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
    // converters of connectors that name none; their own options stand in `props`
    const char *key_converter, *value_converter;
    // tasks
    const char *worker_id;
    int64_t shutdown_ms, hang_ms, offset_flush_interval_ms, restart_delay_max_ms, spool_max_bytes;
    // commits
    int64_t commit_max_bytes, commit_inline_max_bytes, commit_queue_bytes;
    int64_t journal_bytes, checkpoint_interval_ms, reserve_bytes, quarantine_max_bytes, total_bytes, verify_bytes, dedupe_bytes;
    // topics, where they say nothing
    int64_t segment_bytes, segment_ms, retention_ms, retention_bytes, max_message_bytes, index_interval_bytes, delete_retention_ms;
    int64_t default_partitions;
    int32_t producer_compression; // by Kafka's number
    // partitions of topics of connectd's own
    int64_t offsets_partitions, transactions_partitions;
    // log lines
    int32_t say_level;  // enum worker_say_level
    int32_t say_format; // enum worker_say_format
    // what the texts above live in
    struct option_values *values;
    struct props props; // as written, overrides included
    char *file, *spool_path;
};
enum worker_say_level { WORKER_SAY_ERROR, WORKER_SAY_WARN, WORKER_SAY_INFO, WORKER_SAY_DEBUG };
enum worker_say_format { WORKER_SAY_AUTO, WORKER_SAY_TEXT, WORKER_SAY_JSON, WORKER_SAY_JOURNAL };

extern const struct cn_option worker_rows[];
extern const size_t worker_row_count;

// Reads path (NULL or absent: all defaults) and, over it, `overrides` (command line; may be NULL). -1 when findings has errors.
int worker_config_load(const char *path, const struct props *overrides, struct worker_config **ret, struct findings *f) MUST_USE;
void worker_config_free(struct worker_config *c);
// The whole /etc/connectd/connectd.yaml: every option, commented out, with its default and documentation.
void worker_config_print(struct buf *out);

#endif
