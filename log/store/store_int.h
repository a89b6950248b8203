// SPDX-License-Identifier: Apache-2.0
// The store as its own files see it.
//
// Threads: the flusher (flusher.c) is the only one that changes the catalogue and appends; the checkpointer and the cleaner ask it to by
// store_call. Locks: docs/locking.md.
#ifndef STORE_STORE_INT_H
#define STORE_STORE_INT_H

#include "base/map.h"
#include "base/mem.h"
#include "base/metric.h"
#include "base/testpoint.h"
#include "base/thread.h"
#include "checkpoint.h"
#include "edit.h"
#include "journal.h"
#include "partition.h"
#include "store/batch.h"

struct commit;

// A deleted topic whose folders are not all gone yet.
struct grave {
    struct grave *next;
    uint32_t topic;
    struct uuid uuid;
    int32_t count;
    char name[];
};

struct catalogue {
    pthread_mutex_t lock;     // guards topics (lookups by name); changed by the flusher
    struct map topics;        // name → struct topic, one reference each
    uint32_t next_topic, next_partition;
    int64_t next_producer;    // the first id that no durable block contains
    struct grave *graves;
    // What differs from the last checkpoint; the flusher's.
    struct partition **changed; // a reference to its topic each
    size_t changed_count, changed_cap;
    atomic_bool reshaped;     // by any thread: and more than those differs
};

// Work for the flusher's thread between two groups: see store_call.
struct call {
    struct call *next;
    int (*run)(struct store *s, void *arg, struct err *err);
    void *arg;
    bool frames;              // writes frames: waits for room in the journal
    bool done;
    int result;
    struct err *err;
};

struct flusher {
    pthread_t thread;
    pthread_mutex_t lock;     // guards all below
    pthread_cond_t work, room, answered;
    struct commit *first, **last;
    size_t bytes;
    struct call *calls, **calls_last;
    bool closing, running;
};

// A segment written since the last checkpoint, its file kept open until it is synced.
struct dirty {
    struct partition *p;
    struct segment *seg;
    struct open_file *file;
    bool sealed, txn;         // as of the capture: seal its index; sync its transaction index
    bool folder;              // and its folder
};

struct checkpointer {
    pthread_t thread;
    pthread_mutex_t round;    // one checkpoint at a time; before any other lock
    pthread_mutex_t lock;     // guards all below
    pthread_cond_t wake;
    bool running, closing, wanted;
    struct err failure;       // of the last attempt, code NONE when it succeeded
    struct checkpoint_chain chain; // what both slots hold; under `round`
    _Atomic int64_t changed_ms; // monotonic time of the last frame; 0: nothing since the last checkpoint
};

// Where the check of sealed segments stands.
struct verify_cursor {
    char topic[256];
    int32_t partition;
    int64_t base;
    int64_t allowance;        // bytes that may be read; negative: owed
    uint64_t rounds;          // through the whole log
};

// Compaction had no room, and is not tried again before then (monotonic).
struct crowded { bool waits; int64_t until_ms; };

struct cleaner {
    struct verify_cursor verified;
    struct crowded crowded[2]; // of topics, of internal ones
    char told[512];            // the last failure that was told,
    int64_t told_ms;           // and when
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool running, closing, hurry;
    pthread_mutex_t round;    // one round at a time
};

struct budget {
    uint64_t limit;           // bytes of all segments
    uint64_t segment_most;    // a segment ends at this size, whatever its topic says
    _Atomic uint64_t bytes;   // as of the cleaner's last round, and what was appended since
    atomic_bool full;         // beyond the limit, and nothing may go
};

struct lost_fn { void (*fn)(void *arg, struct partition *p, const char *holder, int64_t first, int64_t last, bool damaged); void *arg; };

struct store {
    struct store_options o;
    struct fs *fs;
    struct clock *clock;
    struct files files;
    struct journal *journal;
    struct catalogue catalogue;
    struct flusher flusher;
    struct checkpointer checkpointer;
    struct cleaner cleaner;
    struct budget budget;
    pthread_mutex_t admin;            // one create, delete, grow, configure at a time; guards producer_*
    pthread_mutex_t repair;           // one acceptance of a loss at a time
    int64_t producer_next, producer_end; // what is left of the current block of producer ids
    struct uuid cluster;
    char cluster_id[23];
    int32_t node;
    bool made;                        // by this process, just now
    // The flusher's.
    struct dirty *dirty;
    size_t dirty_count, dirty_cap;
    uint64_t checkpoint_generation, checkpoint_seq; // of the newest durable one
    uint32_t indexes_made;            // anew, for want of usable files
    unsigned slot_good;               // the checkpointer's: a slot that is whole
    uint64_t captured_at;             // journal position of the last capture
    // Shared.
    pthread_mutex_t state;            // guards all below
    bool stopped;
    struct err stopped_why;
    pthread_cond_t fired;
    struct watch *firing;
    pthread_t firing_thread;
    struct lost_fn lost;
    struct recovery_report report;
    struct risk *risks;               // what is about to be lost, as of the cleaner's last round
    size_t risk_count;
    atomic_bool partition_failed;     // somebody stopped a partition: the flusher fires its watches
    atomic_bool is_stopped;           // the same as stopped, to look at without the lock
    atomic_uint unsettled;            // partitions
    struct histogram *commit_us, *sync_us;
    _Atomic uint64_t commits, batches, bytes_appended, groups, checkpoints, quarantined, quarantine_dropped;
    uint64_t quarantine_number;
};

void store_event(struct store *s, enum store_event_kind kind, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
// Fail stop: no write is accepted any more. The first reason wins. Any thread.
void store_stop(struct store *s, const struct err *why);
// ERR_STOPPED with the reason when stopped.
int store_check_running(struct store *s, struct err *err) MUST_USE;

// Runs fn on the flusher's thread between two groups and waits for its result. Not from the flusher's thread.
int store_call(struct store *s, int (*fn)(struct store *s, void *arg, struct err *err), void *arg, bool frames, struct err *err) MUST_USE;

#endif
