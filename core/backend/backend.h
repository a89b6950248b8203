// SPDX-License-Identifier: Apache-2.0
// Where records live: one interface, implemented by the embedded log, by memory (tests) and later by an Apache Kafka cluster.
//
// It speaks encoded records, never batches: each engine owns its builder. One commit carries records, source positions and group offsets
// and becomes durable as a whole. tests/conformance binds all implementations to the contracts below.
//
// Threads: a producer and a consumer are each used by one thread (their task's); the functions on struct backend are thread-safe.
#ifndef BACKEND_BACKEND_H
#define BACKEND_BACKEND_H

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "store/store.h" // struct topic_setting

struct backend;
struct producer;
struct consumer;

struct backend_header { struct str name, value; bool null_value; };
struct backend_record {
    struct str topic;              // must exist or be creatable, see backend_ops.topic_ensure
    int32_t partition;             // -1: murmur2 of the key, or sticky when the key is null
    int64_t timestamp;             // ms
    struct str key, value;         // p NULL = null
    const struct backend_header *headers;
    uint32_t header_count;
    bool value_disposable;         // a large value's memory may be given back (zeroed) while it is copied
};

// Group offsets that become durable with a commit.
// Of the topic with that id; zero: of the one that has the name. A commit leaves out those of a topic that was deleted since it was read.
struct backend_offset { const char *topic; int32_t partition; int64_t offset; struct uuid topic_id; };
// A source position: partition and offset JSON; offset.p NULL deletes.
struct backend_position { struct str partition, offset; };

struct topic_spec { const char *name; int32_t partitions; const struct topic_setting *settings; size_t n; }; // partitions ≤ 0: the default (1)

// A consumed record. Bytes are valid until the next consumer_poll.
struct consumed {
    const char *topic;             // interned, valid as long as the consumer
    int32_t partition;
    int64_t offset, timestamp;
    struct str key, value;
    const struct backend_header *headers;
    uint32_t header_count;
};

struct assigned { const char *topic; int32_t partition; struct uuid topic_id; }; // the topic's name is the consumer's
struct consumer_options {
    const char *group;                             // NULL: no group, no committed offsets (tap, consume)
    const char *const *topics; size_t topic_count; // names, or
    const char *regex;                             // a PCRE2 pattern matched against whole names; topics that appear later are assigned; or
    bool (*wants)(void *arg, const char *topic);   // asked of every topic, again at least every second; any thread
    const char *except;                            // a topic never assigned, or NULL
    uint32_t member, members;                      // this task's index and the number of tasks: partitions are spread over them
    bool from_beginning;                           // auto.offset.reset: where a partition without an offset starts
    bool internal;                                 // also "__…" and Connect's own topics (regex and wants only)
    // Called from consumer_poll on the consumer's thread.
    int (*assigned)(void *arg, const struct assigned *a, int64_t *offset, struct err *err); // may change the offset to start from
    void (*revoked)(void *arg, const char *topic, int32_t partition);
    void *arg;
};

struct topic_info { const char *name; int32_t partitions; bool internal; };
struct partition_info {
    int64_t log_start, high_watermark, last_stable;
    uint64_t bytes;
    uint32_t segments;
    struct partition_activity activity; // since the start; engines that do not count leave zeros
};

typedef void producer_done(void *arg, const struct err *err); // err NULL: durable. From any thread; must not block.

struct backend_ops {
    const char *name; // "embedded", "memory", "kafka"
    void (*close)(struct backend *b);

    // ── topics ──
    // Makes the topic when it is absent (an existing one is left as it is). 0 when it is there afterwards.
    int (*topic_ensure)(struct backend *b, const struct topic_spec *spec, struct err *err);
    int (*topic_delete)(struct backend *b, const char *name, struct err *err);
    // Grows the topic to spec->partitions (≤ 0: as many as there are) and changes settings; a NULL value resets one to its default. ERR_NOT_FOUND;
    // ERR_INVALID names what is wrong, nothing is changed then.
    int (*topic_alter)(struct backend *b, const struct topic_spec *spec, struct err *err);
    // Every setting of the topic that is not the default; stops at non-zero.
    int (*topic_settings)(struct backend *b, const char *name, int (*each)(void *arg, const char *setting, const char *value), void *arg, struct err *err);
    // Nothing below `before` (-1: the high watermark) is served from then on, durably. ERR_OUT_OF_RANGE past the high watermark.
    int (*delete_records)(struct backend *b, const char *topic, int32_t partition, int64_t before, int64_t *ret_log_start, struct err *err);
    int (*topics)(struct backend *b, int (*each)(void *arg, const struct topic_info *t), void *arg, struct err *err);
    int (*partition)(struct backend *b, const char *topic, int32_t partition, struct partition_info *ret, struct err *err); // ERR_NOT_FOUND

    // ── producing ──
    // `id` names a source task ("connect-cluster/shop-db/0"): opening it again fences every earlier producer of that id, whose commits
    // then fail with ERR_FENCED. Transactions an earlier one left open are aborted.
    int (*producer_open)(struct backend *b, const char *id, struct producer **ret, struct err *err);
    // Aborts what is open, waits for what is under way: after it returns no done runs and none will.
    void (*producer_close)(struct producer *p);
    // Adds a record to the producer's open commit, copying it. When the open commit outgrows one frame the engine goes on with a
    // transaction by itself. ERR_TOO_LARGE: the record alone is too large for its topic. ERR_INVALID: it has no key, and the topic is compacted. ERR_AGAIN: wait for earlier commits (back-pressure).
    int (*add)(struct producer *p, const struct backend_record *r, struct err *err);
    size_t (*pending_bytes)(struct producer *p); // added, not yet committed
    // Ends the open commit: its records, `positions` (of `connector`) and group offsets become durable together, then done(NULL). Or done(err):
    // none of it is. Several commits may be under way; they become durable in order, and done is called once for each, in order. The texts
    // are copied. After a retriable error (NOSPACE …) that commit and all later ones fail and are held, unchanged: `retry` sends them again.
    // After any other error the producer is finished: everything under way fails with it.
    void (*commit)(struct producer *p, const char *connector, const struct backend_position *positions, size_t n_positions,
                   const char *group, const struct backend_offset *offsets, size_t n_offsets, producer_done *done, void *arg);
    // Sends the held commits again, in order; done is called again for each. Only when nothing is under way.
    void (*retry)(struct producer *p);
    void (*abort)(struct producer *p); // throws the open commit away; aborts its transaction if there is one. What is under way goes on.

    // ── positions and offsets ──
    // Durable positions of a connector.
    int (*positions)(struct backend *b, const char *connector, int (*each)(void *arg, struct str partition, struct str offset), void *arg, struct err *err);
    int (*offsets)(struct backend *b, const char *group, int (*each)(void *arg, const struct backend_offset *o), void *arg, struct err *err);
    // Sets (offset < 0: deletes) group offsets outside a commit of records. Durable when it returns.
    int (*offsets_set)(struct backend *b, const char *group, const struct backend_offset *offsets, size_t n, struct err *err);
    int (*positions_set)(struct backend *b, const char *connector, const struct backend_position *positions, size_t n, struct err *err);

    // ── consuming: committed records only, below what is durable ──
    int (*consumer_open)(struct backend *b, const struct consumer_options *o, struct consumer **ret, struct err *err);
    void (*consumer_close)(struct consumer *c);
    // Up to about max_bytes of records (at least one when there is one), in order within each partition, waiting at most timeout_ms.
    // Returns the records' count, 0 at time-out or right after `assigned` or `revoked` was called, -1 failed. The array is the consumer's.
    int (*poll)(struct consumer *c, size_t max_bytes, int64_t timeout_ms, const struct consumed **ret, struct err *err);
    int (*wake_fd)(struct consumer *c); // writing 8 bytes (wake_signal) ends a blocking poll early
    int (*seek)(struct consumer *c, const char *topic, int32_t partition, int64_t offset, struct err *err);
    void (*pause)(struct consumer *c, const char *topic, int32_t partition, bool paused);
    // Every assigned partition with its next offset and end; stops at non-zero.
    int (*assignment)(struct consumer *c, int (*each)(void *arg, const char *topic, int32_t partition, int64_t next, int64_t end), void *arg);

    // The record at one offset, to each() once; ERR_NOT_FOUND when it is not there (any more).
    int (*fetch)(struct backend *b, const char *topic, int32_t partition, int64_t offset, void (*each)(void *arg, const struct consumed *r), void *arg, struct err *err);
    // What retention had to delete before `group` had read it, or somebody accepted as damaged (promise 5). One listener, set before consumers open; NULL for none.
    void (*on_lost)(struct backend *b, void (*lost)(void *arg, const char *group, const char *topic, int32_t partition, int64_t first, int64_t last, bool damaged), void *arg);

    // ── maps over compacted topics (core/state): small durable state by key. ERR_CORRUPT: the topic is damaged ──
    int (*map_load)(struct backend *b, const char *topic, int (*each)(void *arg, struct str key, struct str value), void *arg, struct err *err);
    // value.p NULL deletes. Durable when it returns.
    int (*map_put)(struct backend *b, const char *topic, const struct backend_position *entries, size_t n, struct err *err);

    void (*status_json)(struct backend *b, struct json_writer *w); // an object
};

struct backend { const struct backend_ops *ops; };

#endif
