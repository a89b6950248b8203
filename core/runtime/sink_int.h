// SPDX-License-Identifier: Apache-2.0
// A sink task's inside, shared by the files that make it up:
//
//   sink_task.c    the loop and the task's life
//   sink_assign.c  partitions: assigned, revoked, found
//   sink_put.c     consumed records ─► converter, transforms ─► put
//   sink_settle.c  verdicts ─► settled records; redelivery of those to be retried
//   sink_dead.c    records that failed for good: errors.tolerance, dead letters
//   sink_commit.c  settled prefixes ─► group offsets and dead letters in one commit
//
// All of it runs on the task's thread but sink_on_settle (any thread) and the commit's answer (the log's), which only write what inbox_lock guards
// and commit_state.
#ifndef RUNTIME_SINK_INT_H
#define RUNTIME_SINK_INT_H

#include <stdio.h>

#include "backend/backend.h"
#include "base/hash.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/say.h"
#include "base/thread.h"
#include "runtime/batch_memory.h"
#include "runtime/codec.h"
#include "runtime/dead_letter.h"
#include "runtime/settled.h"
#include "runtime/task.h"
#include "runtime/task_metrics.h"

enum {
    TICK_MS = 1000,
    READ_BYTES = 1 << 20,
    DEFAULT_IN_FLIGHT = 16 << 20,
    DEFAULT_BATCH = 500,
    FULL_MS = 20,            // with no room left, the sink is asked to flush after this
    RETRY_MIN_MS = 300,      // Connect's first delay
    MOST_BEHIND = 1 << 18,   // records of a partition settled behind one that is not
    MOST_UNCOMMITTED = 1 << 16, // or behind a dead one: then it is time for a commit
    BATCH_MAX = 768 << 20,
};

struct part {
    const char *topic; // the consumer's
    struct uuid topic_id;
    int32_t partition;
    struct settled settled;
    int64_t committed;   // durable, -1 none
    int64_t committing;  // in the commit under way
    int64_t next, end;   // of the consumer, as of the last look
    bool paused;         // waits for its redelivery
    struct backoff backoff;
    int64_t retry_at_ms, retrying_since_ms, retry_offset; // the record the back-off is for
    char retry_why[160];
    bool gone;           // revoked, to be removed
};

struct verdict { // of the inbox; texts in its arena
    const char *topic, *reason;
    int32_t partition;
    uint8_t kind;
    int64_t first, last, retry_after_ms;
};

enum commit_state { COMMIT_NONE, COMMIT_UNDER_WAY, COMMIT_DURABLE, COMMIT_FAILED, COMMIT_HELD };

struct sink {
    struct run *run;
    const struct cn_sink_ops *ops;
    const struct backend_ops *backend_ops;
    const struct connector_options *options;
    void *self;
    struct transform_chain *chain;
    struct codec *codec;
    struct consumer *consumer;
    struct producer *producer;
    struct batch_memory memory;
    char *dead_letters;
    bool dead_letters_made;
    int64_t retry_timeout_ms, flush_ms;

    struct part **parts;
    size_t n, cap;
    struct map by_name;         // "topic/partition" → part
    struct part *last_part;     // of the record looked at last
    bool assigned, revoked;     // the consumer's callbacks came

    pthread_mutex_t inbox_lock; // guards the next five
    struct verdict *inbox;
    size_t inbox_n, inbox_cap;
    struct arena inbox_texts;
    int wake;                   // the consumer's
    struct verdict *taken;      // what take_verdicts works on
    size_t taken_cap;
    struct arena taken_texts;

    _Atomic int commit_state;   // enum commit_state
    struct err commit_err;
    int64_t commit_sent_ns, commit_retry_at_ms, commit_at_ms; // the next one is due
    struct backoff commit_backoff;
    struct backend_offset *offsets;
    size_t offsets_cap;

    int64_t called_ms, full_since_ms, looked_ms;
    bool settled_any;           // a verdict came since the last commit
    bool delivered;             // a record was settled OK
    bool broken;                // the plugin failed: it settles nothing of what it holds any more
    bool paused;
};

static inline int64_t sink_now_ms(const struct sink *s) { return clock_mono_ms(s->run->env->clock); }

// Functions that can fail return 0, or -1 with *f filled: the task ends.

// ── sink_assign.c ──
struct part *sink_part(struct sink *s, const char *topic, int32_t partition); // NULL when it is not assigned
void sink_part_free(struct part *p);
// The consumer's callbacks; arg is the sink.
int sink_on_assigned(void *arg, const struct assigned *a, int64_t *offset, struct err *err);
void sink_on_revoked(void *arg, const char *topic, int32_t partition);
// Opens the partitions that the last poll brought; the first `known` are old.
int sink_take_assigned(struct sink *s, size_t known, struct failure *f);
// Their topics are gone: what the sink still holds of them it may deliver now or forget.
int sink_take_revoked(struct sink *s, struct failure *f);

// ── sink_put.c ──
// Puts what was read, in batches.
int sink_deliver(struct sink *s, const struct consumed *r, size_t n, struct failure *f);

// ── sink_settle.c ──
// [any thread] cn_host.settle: into the inbox.
void sink_on_settle(void *arg, const struct cn_verdict *v, uint32_t n);
// Settles what is in the inbox.
int sink_take_verdicts(struct sink *s, struct failure *f);
// Takes the settled records out of the count of those in flight.
void sink_pass_settled(struct sink *s);
// A record of an open sink was not taken; what errors.tolerance says happens.
int sink_rejected(struct sink *s, struct part *p, int64_t offset, const char *why, struct failure *f);
// The other side let us in.
void sink_accepted(struct sink *s);
// Goes back to the first record to be retried of each partition whose time has come.
int sink_redeliver(struct sink *s, struct failure *f);
// The record that was retried is behind us: the next failure starts anew.
void sink_retry_passed(struct sink *s, struct part *p);
// When the next redelivery is due, or `otherwise` if that comes first.
int64_t sink_next_retry_ms(const struct sink *s, int64_t otherwise);

// ── sink_dead.c ──
struct burial { struct sink *s; struct part *part; const struct cause *cause; int64_t offset; struct failure *f; int rc; };
// From settled_advance: the prefix passes a dead record. arg is a struct burial.
void sink_bury(void *arg, int64_t offset, const char *packed);
// errors.tolerance decides about a record that failed for good. 0: it is dead; -1: the task fails.
int sink_record_failed(struct sink *s, struct part *p, int64_t offset, enum error_stage stage, const char *component, const struct failure *why, bool was_put,
                       struct failure *f);
// The plugin failed as it said.
int sink_plugin_failed(struct sink *s, const char *op, struct failure *f);

// ── sink_commit.c ──
// Of backend_ops.assignment: notes where the consumer stands.
int sink_see_position(void *arg, const char *topic, int32_t partition, int64_t next, int64_t end);
// Looks at the commit under way.
int sink_commit_step(struct sink *s, struct failure *f);
// Moves the prefixes and commits them with the dead letters they passed. Only when no commit is under way.
int sink_commit(struct sink *s, struct failure *f);
int sink_commit_if_due(struct sink *s, struct failure *f);
size_t sink_unanswered(const struct sink *s); // records that the plugin holds
bool sink_is_full(const struct sink *s);
// Asks the plugin to settle what it holds by the deadline.
int sink_flush(struct sink *s, int64_t deadline_ms, struct failure *f);

#endif
