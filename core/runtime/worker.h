// SPDX-License-Identifier: Apache-2.0
// The worker: every connector of this process, started, watched, paused, restarted and stopped.
//
//   control socket, REST ──► worker ──► connector ──► task (a thread each) ──► source_task | sink_task ──► backend
//                               └── keeper (one thread): statuses to the log, hung tasks, work put off
//
// All functions are thread-safe and meant for control threads; those that change something wait until it is true or the
// deadline has passed, and say which. Changes are serialised. Texts go into json_writers; errors name thing, value and way out.
// The worker borrows everything in worker_options until worker_close returns.
#ifndef RUNTIME_WORKER_H
#define RUNTIME_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/json.h"
#include "base/metric.h"

struct backend;
struct findings;      // config/finding.h
struct plugins;       // plugin/plugins.h
struct props;         // config/props.h
struct secret_places; // config/interpolate.h
struct sockets;       // plugin/sockets.h
struct worker;

struct worker_options {                 // zero means the default
    struct backend *backend;            // required
    struct plugins *plugins;            // required
    struct sockets *sockets;            // listening sockets that outlive tasks; NULL: cn_host.listen fails
    struct metric_registry *metrics;    // required
    struct clock *clock;                // clock_real
    const char *id;                     // worker_id in statuses: "127.0.0.1:8083"
    const char *data_dir;               // where crashes are noted (plugin/crash.h); NULL: nothing is suspended
    const char *spool_dir;              // root of the connectors' spool folders; NULL: cn_host.spool_dir fails
    int64_t spool_max_bytes;            // of each connector; 1 GiB
    const struct secret_places *secrets; // NULL: secret references are refused
    const char *key_converter, *value_converter; // the worker's; "json"
    const struct props *worker_props;   // converter options of the worker, or NULL
    int64_t shutdown_ms;                // task.shutdown.graceful.timeout.ms: 5000
    int64_t hang_ms;                    // task.hang.timeout.ms: how long one call of a plugin may take beyond what it was given: 60000
    int64_t flush_interval_ms;          // offset.flush.interval.ms: 5000
    int64_t retry_min_ms, retry_max_ms; // back-off of restarts: 1000, 300000
};

// Loads the durable target states. Starts no connector yet.
int worker_open(const struct worker_options *o, struct worker **ret, struct err *err) MUST_USE;
// Stops every task: sources first (nothing new is polled, what is polled becomes durable), then sinks (flush, commit); tasks that
// are not back by deadline_ms are abandoned and named in the log. Frees everything; an abandoned task's memory stays.
// Returns how many were abandoned.
int worker_close(struct worker *w, int64_t deadline_ms);

// ── pipeline files ──

enum worker_change_kind {
    WORKER_UNCHANGED,
    WORKER_STARTED,   // new
    WORKER_RESTARTED, // with another configuration
    WORKER_REMOVED,   // its file is gone: tasks stopped, offsets kept
    WORKER_REFUSED,   // the file is wrong or a connector could not be made: what ran before still runs
};
struct worker_change {
    enum worker_change_kind kind;
    char *file;
    char *connector; // NULL: the file as a whole
    char *detail;    // REFUSED: the error, one or more lines; else NULL
};
struct worker_report {
    struct worker_change *changes;
    size_t n, cap;
    size_t refused;
};
// Reads the pipeline files and makes the running set equal to them (all of them, also unchanged ones): starts, restarts and stops what
// differs. The file is the unit of failure: one that is wrong keeps its running version; at boot its connectors are shown as FAILED by
// status. Waits until the stopped ones are stopped and the others' tasks are started (their threads run; whether they can connect shows
// in status), at most deadline_ms. Always fills *ret.
void worker_apply(struct worker *w, const char *const *paths, size_t n, int64_t deadline_ms, struct worker_report *ret);
void worker_report_json(const struct worker_report *r, struct json_writer *w); // {"changes":[{"file","connector","change","detail"}],"refused"}
void worker_report_refuse(struct worker_report *r, const char *file, const char *detail); // what could not even be read; says so in the log
void worker_report_done(struct worker_report *r);
const char *worker_change_name(enum worker_change_kind k); // "started"

// ── looking ──

enum worker_health { WORKER_ALL_RUNNING = 0, WORKER_DEGRADED = 1 }; // 1: something is FAILED, RESTARTING or refused
// An object: {"health","connectors":[…],"refused":[{"file","findings":[…]}],"orphaned":[{"name","type","remove"}],"backend":{…}}; a connector is
// {"name","type","connector","plugin","pipeline","file","target","state","trace"?,"tasks":[{"id","state","worker_id","trace"?,"hint"?,
// "blocked"?:{"reason","since"},"progress"?,"hung"?:{"call","seconds","stack":[…]},"restarts","metrics":{…}}]}.
void worker_status_json(struct worker *w, struct json_writer *out);
enum worker_health worker_health(struct worker *w);
// One connector as Kafka Connect's GET /connectors/NAME/status shows it, with the fields above beside. ERR_NOT_FOUND with "did you mean".
int worker_connector_json(struct worker *w, const char *name, struct json_writer *out, struct err *err) MUST_USE;
// 0 when there is such a connector; else ERR_NOT_FOUND with the nearest name as the hint. ret_source may be NULL.
int worker_find(struct worker *w, const char *name, bool *ret_source, struct err *err) MUST_USE;
// Connector names in order; stops at non-zero.
int worker_each(struct worker *w, int (*each)(void *arg, const char *name, bool source), void *arg);
// One line for sd_notify STATUS=: "12 connectors running, 1 failed (shop-db)".
void worker_summary(struct worker *w, char *out, size_t cap);

// ── changing: durable target states ──

// The deadline bounds the wait; ERR_TIMEOUT says what has not happened yet (the target state stays set). All are idempotent.
int worker_pause(struct worker *w, const char *name, int64_t deadline_ms, struct err *err) MUST_USE;
int worker_resume(struct worker *w, const char *name, int64_t deadline_ms, struct err *err) MUST_USE; // from PAUSED or STOPPED
int worker_stop(struct worker *w, const char *name, int64_t deadline_ms, struct err *err) MUST_USE;
// task < 0: the connector and all tasks (only_failed: those that are FAILED).
int worker_restart(struct worker *w, const char *name, int task, bool only_failed, int64_t deadline_ms, struct err *err) MUST_USE;

// ── offsets ──

// {"offsets":[{"partition":{…},"offset":{…}}]}, for a sink {"kafka_topic","kafka_partition"} → {"kafka_offset"}. Also of orphaned names.
int worker_offsets_json(struct worker *w, const char *name, struct json_writer *out, struct err *err) MUST_USE;
// Sets offsets from a body of the same shape (offset null: resets that partition). Only when STOPPED or orphaned, else ERR_BUSY with the
// command that stops it. Writes {"changes":[{"partition","from","to"}]} to `out` (may be NULL); dry_run changes nothing.
int worker_offsets_set(struct worker *w, const char *name, struct str body, bool dry_run, struct json_writer *out, struct err *err) MUST_USE;
// Removes all of them; an orphaned name is forgotten with it.
int worker_offsets_reset(struct worker *w, const char *name, bool dry_run, struct json_writer *out, struct err *err) MUST_USE;

// Topics a connector has written to or is assigned, in name order ("tap" consumes these from their ends).
int worker_topics(struct worker *w, const char *name, int (*each)(void *arg, const char *topic), void *arg, struct err *err) MUST_USE;

#endif
