// SPDX-License-Identifier: Apache-2.0
// The durable, partitioned log: topics, atomic commits over partitions, reads below the durable end.
//
//   writers ── commit ──► queue ──► flusher (one thread) ── segments' page cache ── journal frame ── fdatasync
//                                        │                                                      │
//                                        └── offsets assigned, producers checked                ▼
//   readers ◄── bytes below the high watermark ◄──────────────────────────── high watermark moves, done() called
//
// One flusher thread owns everything about appending: it takes queued commits, takes room, assigns offsets, checks producer
// state, writes segments, writes one journal frame for the whole group, syncs it, and only then moves high watermarks and
// answers. So a commit is atomic over its partitions, and nothing that a power cut could take back is ever seen.
// A checkpointer syncs segments behind and lets journal space go; a cleaner runs retention and the rewrite of compacted topics.
//
// All functions are thread-safe unless they say otherwise. Topics and partitions are handles with a reference count; a
// deleted topic's handle stays valid and answers ERR_NOT_FOUND. The store never logs: it reports through store_options.event.
// Knows nothing of sockets, plugins, groups. All file operations go through base/fs.
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/hash.h"
#include "base/json.h"

struct store;
struct topic;
struct partition;
struct commit;

// ── opening ──────────────────────────────────────────────────────────────────────────────────────────────────────────

struct store_progress {       // of recovery
    const char *what;         // "journal", "segments", "indexes"
    uint64_t done, total;     // bytes
};

enum store_event_kind { STORE_EVENT_INFO, STORE_EVENT_WARN, STORE_EVENT_FATAL };

struct topic_setting;
struct store_options {        // zero means the default
    struct fs *fs;            // borrowed until store_close; required
    struct clock *clock;      // borrowed; default clock_real
    uint64_t journal_bytes;   // 64 MiB; preallocated and zero-filled at creation
    uint64_t commit_max_bytes;// 16 MiB: a larger commit is refused with ERR_TOO_LARGE (use a transaction); one batch alone may be larger
    uint64_t group_max_bytes; // 16 MiB: how much the flusher gathers into one frame
    uint32_t inline_max_bytes;// 256 KiB a partition and commit; larger batches are synced in their segment, the frame points
    uint64_t reserve_bytes;   // 16 MiB kept free for markers, checkpoints and recovery: appends are refused below it
    uint64_t total_bytes;     // of all segments: past it the oldest sealed ones go, then appends are refused; 80 % of the file system
    size_t dedupe_bytes;      // 32 MiB: memory for the keys of a compaction; those that do not fit wait for its next round
    uint64_t verify_bytes;    // a second, of segments read again and held against their checksums; 0 none
    uint64_t quarantine_bytes;// 64 MiB: what recovery cut is kept up to here, oldest go
    uint64_t queue_bytes;     // 64 MiB of commits waiting; store_commit blocks (or ERR_AGAIN) past it
    int64_t checkpoint_ms;    // 1000 after the last change when idle; also when a quarter of the journal is used
    // What topics that say nothing get instead of the settings' own defaults. Borrowed until store_close. Changing them changes every such topic.
    const struct topic_setting *topic_defaults;
    size_t topic_default_count;
    bool cleaner_off;         // tests: no retention, no rewriting; and a start looks at every partition, as nobody would later
    uint32_t open_files;      // segment files kept open; half of RLIMIT_NOFILE, at most 16384
    // What happened, one line of text each; from any thread. May be NULL.
    void (*event)(void *arg, enum store_event_kind kind, const char *text);
    void (*progress)(void *arg, const struct store_progress *p); // during store_open, at most every 100 ms. May be NULL.
    void *arg;
};

struct recovery_report {
    bool was_clean;           // clean-shutdown marker found
    uint64_t frames, frame_bytes;
    uint32_t partitions, partitions_failed;
    uint32_t partitions_checked; // those that the journal names
    uint32_t partitions_left; // the others, looked through after the start: how many still; what is found there adds to what is below
    uint64_t restored_bytes;  // rewritten from the journal
    uint64_t cut_bytes;       // above the durable end, moved to quarantine
    uint32_t files_removed;   // of no segment
    uint32_t indexes_rebuilt, transactions_aborted, folders_set_aside;
    int64_t took_ms;          // all of it, and of that:
    int64_t catalogue_ms, journal_ms, partitions_ms, folders_ms, checkpoint_ms;
};

// Opens (or, in an empty directory, creates) a store and recovers it by promise 4; on return 0 everything shown is durable.
// ERR_BUSY: another process holds the lock (names its pid). ERR_CORRUPT: journal or checkpoint missing or damaged beside data:
// refuses rather than start empty. ERR_UNSUPPORTED: a newer format.
int store_open(const struct store_options *o, struct store **ret, struct err *err) MUST_USE;
// Drains the queue, checkpoints, writes the clean marker, frees. All handles must be released before. Returns the first failure of the end.
int store_close(struct store *s, struct err *err);
void store_report(struct store *s, struct recovery_report *ret);
// Adds to the report what the coordinator aborted of what the recovery left open, and says so. Once, before anybody is served.
void store_report_aborted(struct store *s, uint32_t transactions);
const char *store_cluster_id(struct store *s);
// 0 while healthy. After a failed sync or journal write the store is stopped: every write answers ERR_STOPPED with the cause; reads of
// what is durable go on.
int store_health(struct store *s, struct err *err);
// An object: bytes, batches, syncs, latencies, open files, the partitions that failed, the busiest ones, report.
void store_status_json(struct store *s, struct json_writer *w);

// ── topics ───────────────────────────────────────────────────────────────────────────────────────────────────────────

// Settings by Kafka's names ("cleanup.policy", "retention.ms", "segment.bytes", "max.message.bytes", "compression.type" …), as text.
struct topic_setting { const char *name, *value; };

// Durable when it returns 0. ERR_EXISTS when there; ERR_INVALID names the setting or the name rule ([a-zA-Z0-9._-]{1,249}, not "." or "..").
int store_topic_create(struct store *s, const char *name, int32_t partitions, const struct topic_setting *settings, size_t n, struct err *err) MUST_USE;
int store_topic_delete(struct store *s, const char *name, struct err *err) MUST_USE;
// Grows the topic to `partitions` (≤ 0: as many as there are) and changes settings; a NULL value resets one to the default. ERR_INVALID: nothing is changed.
int store_topic_alter(struct store *s, const char *name, int32_t partitions, const struct topic_setting *settings, size_t n, struct err *err) MUST_USE;
// Calls `each` for every topic in name order with a borrowed handle; stops at non-zero.
int store_topics(struct store *s, int (*each)(void *arg, struct topic *t), void *arg);

struct topic *topic_get(struct store *s, const char *name); // a reference, or NULL
void topic_unref(struct topic *t);
const char *topic_name(const struct topic *t);
struct uuid topic_id(const struct topic *t);
int32_t topic_partitions(const struct topic *t);
bool topic_internal(const struct topic *t); // name starts with "__"
bool topic_compacted(const struct topic *t); // by cleanup.policy: compaction drops records without a key
// Effective value of a setting as text, and whether it was set on the topic (else default); NULL for an unknown name.
const char *topic_setting_get(const struct topic *t, const char *name, bool *ret_set);
// What the topic's compression.<codec>.level says, 0 for a codec (enum codec) without levels.
int topic_level(const struct topic *t, int codec);
// Every known setting: name, default, doc.
struct topic_setting_row { const char *name, *type, *def, *doc; };
const struct topic_setting_row *topic_setting_rows(size_t *ret_n);

struct partition *topic_partition(struct topic *t, int32_t index); // borrowed: lives as long as the topic's handle; NULL out of range

// ── partitions ───────────────────────────────────────────────────────────────────────────────────────────────────────

struct partition_offsets {
    int64_t log_start, high_watermark, last_stable; // all durable
    uint64_t bytes;                                 // of its segments
    uint32_t segments;
    int32_t leader_epoch;
};
void partition_offsets(struct partition *p, struct partition_offsets *ret);
// What was appended since the store was opened; all zero when nothing was.
struct partition_activity {
    uint64_t batches, bytes;
    uint64_t syncs;                          // of the journal, with something of this partition
    int64_t p50_us, p99_us, p999_us, max_us; // from store_commit to done, of commits with a batch for it
};
void partition_activity(struct partition *p, struct partition_activity *ret);
void activity_json(const struct partition_activity *a, struct json_writer *w); // as members of the object at hand
const char *partition_topic(const struct partition *p);
int32_t partition_index(const struct partition *p);
// 0 while it serves; else why it is stopped (damage below the durable end) and how to go on.
int partition_health(struct partition *p, struct err *err);

enum isolation { READ_UNCOMMITTED, READ_COMMITTED };

struct read_request {
    int64_t from;        // the batch that contains it, or the next later one, is the first returned
    size_t max_bytes;    // at least one whole batch is returned even when larger
    enum isolation isolation; // bounds the end at the high watermark or the last stable offset
};
struct read_result {
    int64_t high_watermark, last_stable, log_start;
    // Appended to `out`: whole batches, the stored bytes unchanged. n = 0: nothing there yet.
    size_t n;
    int64_t next;        // offset after the last batch returned, or `from`
};
// ERR_OUT_OF_RANGE when from < log start or > high watermark; ERR_CORRUPT when a stored batch fails its checks.
int partition_read(struct partition *p, const struct read_request *r, struct buf *out, struct read_result *ret, struct err *err) MUST_USE;
// Aborted transactions that overlap [from, to): {producer id, first offset} pairs appended, in order.
struct aborted_txn { int64_t producer_id, first_offset; };
int partition_aborted(struct partition *p, int64_t from, int64_t to, struct aborted_txn **ret, size_t *ret_n, struct err *err) MUST_USE;
// First offset whose timestamp is ≥ ts; -1 when there is none below the high watermark. ts -1: the record with the largest timestamp.
int partition_offset_for_time(struct partition *p, int64_t ts, int64_t *ret_offset, int64_t *ret_ts, struct err *err) MUST_USE;
// Durable when it returns: nothing below `before` is served any more (whole segments are freed behind).
int partition_delete_before(struct partition *p, int64_t before, struct err *err) MUST_USE;

// A long poll: calls fn once, from the flusher, when the high watermark or last stable offset passes `beyond`, or the topic is deleted
// or stops. At once (on the caller's thread) when it already did. fn must not block. The watch is the caller's memory.
struct watch {
    struct partition *partition;
    int64_t beyond;
    enum isolation isolation;
    void (*fn)(void *arg);
    void *arg;
    struct watch *next, **link; // the store's
};
void partition_watch(struct watch *w);
void partition_unwatch(struct watch *w); // after it returns fn is not running and will not run; fine when it already fired

// ── commits ──────────────────────────────────────────────────────────────────────────────────────────────────────────

struct append_result {
    int64_t base_offset;   // of the original batch when it was a duplicate
    int64_t append_time;   // ms; -1 unless the topic stamps log append time
    bool duplicate;
};

struct commit *commit_new(struct store *s);
// Adds a batch (v2 bytes; base offset and leader epoch are patched by the store) for a partition. Checks header arithmetic and CRC here, on
// the caller's thread (trusted: skip the CRC, for batches this process has just built), and that a compacted topic's records have keys (trusted:
// the caller has). Takes *bytes (its content moves into the commit; the
// buf is empty afterwards). A batch of another codec than the topic's compression.type is written anew, here too. Batches for one partition keep their order. Errors: ERR_CORRUPT, ERR_TOO_LARGE (max.message.bytes), ERR_INVALID.
int commit_append(struct commit *c, struct partition *p, struct buf *bytes, bool trusted, struct err *err) MUST_USE;
// Adds a transaction's end marker (COMMIT or ABORT) for producer id and epoch.
int commit_marker(struct commit *c, struct partition *p, int64_t producer_id, int16_t producer_epoch, bool commit_txn, int32_t coordinator_epoch, struct err *err) MUST_USE;
// Commits of one chain stand or fall in their order: once one failed, every later one of the chain fails with the same error, also those
// that were queued before it was known (one refused at once, by store_commit itself, does not count). Only the flusher writes it. The caller's memory, zero at first, lives until all its commits are done.
struct commit_chain { bool failed; struct err err; };
void commit_set_chain(struct commit *c, struct commit_chain *chain);
size_t commit_bytes(const struct commit *c);
size_t commit_appends(const struct commit *c);

// Hands the commit to the flusher; from here it is the store's. `done` is called exactly once, from the flusher (or, when refused at once, on
// this thread): err NULL means everything is durable and results[i] belongs to the i-th append; otherwise nothing of it was or will be
// appended. Errors: NOSPACE (retriable), SEQUENCE, FENCED, TXN_STATE, TOO_LARGE, STOPPED, NOT_FOUND. `done` must not block or call the store's
// blocking functions. results are valid during the call. Blocks while the queue is full, unless `nowait` (then ERR_AGAIN).
typedef void commit_done(void *arg, const struct err *err, const struct append_result *results, size_t n);
void store_commit(struct store *s, struct commit *c, bool nowait, commit_done *done, void *arg);
void commit_free(struct commit *c); // of one never handed over, or kept and failed
// A commit that fails is not freed: from its done on it is the caller's again, unchanged, to be handed over again or freed.
void commit_keep(struct commit *c);
// The same, waiting. results (may be NULL) has room for commit_appends(c) entries.
int store_commit_wait(struct store *s, struct commit *c, struct append_result *results, struct err *err) MUST_USE;
// One record, stamped now, in a commit of its own: durable when it returns 0; *ret_offset (may be NULL) is where it stands. value.p NULL is a
// tombstone. Threads that append at the same time share a sync; one thread with many records builds a batch of them (store/batch.h).
int partition_append(struct partition *p, struct str key, struct str value, int64_t *ret_offset, struct err *err) MUST_USE;

// ── producers and transactions ───────────────────────────────────────────────────────────────────────────────────────

// A producer id never used before and never again; durable before it is returned.
int store_producer_id(struct store *s, int64_t *ret, struct err *err) MUST_USE;
// Every open transaction of the store, as of the durable end: recovery's leftovers right after store_open.
struct open_txn { struct partition *partition; int64_t producer_id; int16_t producer_epoch; int64_t first_offset; uint64_t bytes; };
int store_open_txns(struct store *s, int (*each)(void *arg, const struct open_txn *t), void *arg);

// ── retention's guests ───────────────────────────────────────────────────────────────────────────────────────────────

// The lowest offset somebody of ours still has to read (promise 5): retention by time stops there until the topic's byte budget
// (retention.bytes, or log.total.bytes) is passed; then it deletes and calls `lost` with the range. INT64_MAX releases. What
// partition_delete_before deletes is not waited for. Who is within a day of losing something is told of by an event, and in the status. Who accepts
// damage calls `lost`, too (`damaged`, store/repair.h).
void partition_hold(struct partition *p, const char *holder, int64_t lowest);
void store_on_lost(struct store *s,
                   void (*lost)(void *arg, struct partition *p, const char *holder, int64_t first, int64_t last, bool damaged), void *arg);

// Runs one round of retention and rewriting now, on the caller's thread (tests, `log.cleaner` by hand).
int store_clean(struct store *s, struct err *err) MUST_USE;
// Takes a checkpoint now.
int store_checkpoint(struct store *s, struct err *err) MUST_USE;

#endif
