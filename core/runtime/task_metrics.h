// SPDX-License-Identifier: Apache-2.0
// What tasks count, by Kafka Connect's metric names. Rows and the indexes into them; updates are lock-free.
#ifndef RUNTIME_TASK_METRICS_H
#define RUNTIME_TASK_METRICS_H

#include "base/metric.h"

// index, name, kind, unit, doc
#define TASK_METRICS_COMMON(X)                                                                                                              \
    X(OFFSET_COMMIT_TIME, "offset-commit-time-us", HISTOGRAM, "us", "from handing a commit to the log until it is durable")                  \
    X(BATCH_SIZE, "batch-size", HISTOGRAM, "records", "records in a batch")                                                                  \
    X(RECORD_FAILURES, "total-record-failures", COUNTER, "records", "records that failed for good, dead letters among them")                 \
    X(RECORD_ERRORS, "total-record-errors", COUNTER, "records", "records that failed, also those that a retry delivered")                    \
    X(RECORDS_SKIPPED, "total-records-skipped", COUNTER, "records", "records that went to the dead-letter topic instead")                    \
    X(RETRIES, "total-retries", COUNTER, "", "records put again and commits sent again")                                                     \
    X(ERRORS_LOGGED, "total-errors-logged", COUNTER, "", "errors written to the log by errors.log.enable")                                    \
    X(DEAD_LETTERS, "deadletterqueue-produce-requests", COUNTER, "records", "dead letters written")                                          \
    X(DEAD_LETTER_FAILURES, "deadletterqueue-produce-failures", COUNTER, "records", "dead letters that could not be written")                \
    X(LAST_ERROR, "last-error-timestamp", GAUGE, "ms", "when a record failed last, since 1970")                                              \
    X(RESTARTS, "task-restarts-total", COUNTER, "", "how often the task was started again after a failure")

#define SOURCE_METRICS(X)                                                                                                                   \
    TASK_METRICS_COMMON(X)                                                                                                                  \
    X(POLL_TOTAL, "source-record-poll-total", COUNTER, "records", "records the connector polled")                                            \
    X(WRITE_TOTAL, "source-record-write-total", COUNTER, "records", "records durable in the log")                                            \
    X(SOURCE_BYTES, "source-byte-total", COUNTER, "bytes", "bytes of keys and values durable in the log")                                    \
    X(SOURCE_ACTIVE, "source-record-active-count", GAUGE, "records", "records polled and not durable yet")                                   \
    X(POLL_TIME, "poll-batch-time-us", HISTOGRAM, "us", "time of a poll that gave records")                                                  \
    X(TRANSACTION_SIZE, "transaction-size", HISTOGRAM, "records", "records in a commit")                                                     \
    X(FILTERED_TOTAL, "source-record-filtered-total", COUNTER, "records", "records that transforms took out")

#define SINK_METRICS(X)                                                                                                                     \
    TASK_METRICS_COMMON(X)                                                                                                                  \
    X(READ_TOTAL, "sink-record-read-total", COUNTER, "records", "records read from the log")                                                 \
    X(SEND_TOTAL, "sink-record-send-total", COUNTER, "records", "records put to the connector")                                              \
    X(SINK_BYTES, "sink-byte-total", COUNTER, "bytes", "bytes of keys and values put to the connector")                                      \
    X(SINK_ACTIVE, "sink-record-active-count", GAUGE, "records", "records put and not settled yet")                                          \
    X(LAG_MAX, "sink-record-lag-max", GAUGE, "records", "how far the partition furthest behind is from its end")                              \
    X(PARTITIONS, "partition-count", GAUGE, "", "partitions assigned")                                                                       \
    X(COMMIT_SEQ, "offset-commit-seq-no", GAUGE, "", "number of the last offset commit")                                                     \
    X(COMMIT_DONE, "offset-commit-completion-total", COUNTER, "", "offset commits that became durable")                                      \
    X(COMMIT_SKIP, "offset-commit-skip-total", COUNTER, "", "offset commits that failed and were sent again")                                \
    X(PUT_TIME, "put-batch-time-us", HISTOGRAM, "us", "time of a put")

#define TASK_METRIC_ENUM(index, name, kind, unit, doc) M_##index,
enum source_metric { SOURCE_METRICS(TASK_METRIC_ENUM) SOURCE_METRIC_COUNT };
#undef TASK_METRIC_ENUM
#define TASK_METRIC_ENUM(index, name, kind, unit, doc) MS_##index,
enum sink_metric { SINK_METRICS(TASK_METRIC_ENUM) SINK_METRIC_COUNT };
#undef TASK_METRIC_ENUM

extern const struct metric_row source_metric_rows[SOURCE_METRIC_COUNT], sink_metric_rows[SINK_METRIC_COUNT];

#endif
