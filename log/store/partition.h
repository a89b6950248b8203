// SPDX-License-Identifier: Apache-2.0
// A topic and its partitions as the store holds them.
//
// What readers see of a partition (list of segments, offsets, watches) is guarded by its lock and changed by the flusher alone,
// which therefore reads it without. `tail` is the flusher's: where the group at work has got to. Opening and recovery are
// single-threaded and need no lock. Sizes matter: there may be ten thousand idle ones.
#ifndef STORE_PARTITION_H
#define STORE_PARTITION_H

#include "activity.h"
#include "segment.h"
#include "settings.h"
#include "store/store.h"
#include "txnindex.h"

struct range;

// Where the group at work stands; equal to the framed state between groups.
struct tail {
    struct segment *seg;     // the active one, or one this group began
    int64_t next;            // next offset
    uint64_t size;           // of seg
    int64_t max_ts;
    struct range *range;     // of this group in seg, or NULL
    size_t commit_bytes;     // of the commit at work, until its room is taken
    size_t mark;             // producers_mark at the start of the group
    bool touched;            // in the group's list
    struct partition *next_touched;
};

struct hold {
    struct hold *next;
    int64_t lowest;
    // The cleaner's (risk.c): how much was unread when, how fast that grows in bytes a millisecond, since when `lowest` has not moved, when its
    // holder was warned.
    int64_t sampled_ms, moved_ms, told_ms, seen;
    uint64_t unread;
    double growth;
    bool known;
    char holder[];
};
struct pending_abort { int64_t base; struct producer_end end; }; // base: of the segment with the marker
struct epoch_start { int32_t epoch; int64_t first; };
// Damage that somebody accepted, since the partition was made.
struct losses {
    uint32_t gaps;
    int64_t offsets;         // at most: where a rewrite left gaps, not every one of them was a record
    uint64_t bytes;
    int64_t at_ms;           // when it was last
};
// Where a read that ended at `offset` stopped: the next one begins there.
struct read_hint { const struct segment *seg; int64_t offset; uint64_t position; };
enum { READ_HINTS = 3 };
struct read_hints {
    struct read_hint at[READ_HINTS];
    uint8_t next;
};

void losses_json(const struct losses *l, struct json_writer *w); // an object

struct partition { // there may be ten thousand: 304 bytes
    struct topic *topic;
    uint32_t id;
    int32_t index;
    _Atomic int32_t epoch;            // leader epoch of new batches; the flusher's, rises before the first batch of it
    uint32_t epoch_count;
    struct epoch_start *epochs;       // the flusher's
    atomic_bool unsettled;            // left for later by the start (settle.h)
    bool changed;                     // the flusher's: in the catalogue's list of what the next checkpoint has to tell
    bool gone;                        // the topic was deleted; this and the following are guarded by `lock`, as far as `tail`
    pthread_mutex_t lock;
    struct segment **segs;            // by base offset; the last is active
    uint32_t seg_count, seg_cap;
    int64_t log_start, hw, lso;       // durable; hw is also the next offset between groups
    uint64_t bytes;
    struct watch *watches;
    struct hold *holds;
    struct read_hints *hints;         // NULL until somebody read
    _Atomic(struct activity *) activity; // NULL until something is appended; the flusher's to make
    int64_t compacted;                // below it compaction has left no key twice
    int64_t next_horizon;             // when the next tombstone or marker below it may go, -1 none
    _Atomic(char *) failed;           // why it is stopped, or NULL; set by anybody, under the lock, and taken back by the flusher
    int64_t damaged;                  // base of the segment that it is stopped for, -1 none
    struct losses *losses;            // what was accepted as lost, or NULL
    struct pending_abort *aborts;     // durable, but not yet in a .txnindex file
    size_t abort_count, abort_cap;
    struct tail tail;                 // the flusher's
    struct producers *producers;      // the flusher's; NULL until one came
};

static inline struct segment *partition_active(const struct partition *p) { return p->segs[p->seg_count - 1]; }

struct topic {
    struct store *store;
    atomic_uint refs;
    uint32_t id;
    struct uuid uuid;
    char *name;
    bool told_times;                             // the cleaner's: that records are dated absurdly
    _Atomic(struct settings *) settings;
    _Atomic int32_t count;                       // partitions
    _Atomic(struct partition **) partitions;
    struct partition ***retired;                 // earlier arrays, a reader may hold one
    size_t retired_count, retired_cap;
    pthread_rwlock_t folders;                    // to read: see partition_enter; to write: before its folders lose their names
};

struct topic *topic_new(struct store *s, uint32_t id, struct uuid uuid, struct str name, struct settings *settings);
struct topic *topic_ref(struct topic *t);
static inline struct settings *topic_settings(const struct topic *t) { return atomic_load_explicit(&((struct topic *)(uintptr_t)t)->settings, memory_order_acquire); }
void topic_set_settings(struct topic *t, struct settings *settings);
struct partition *partition_new(struct topic *t, uint32_t id, int32_t index);
struct partition *partition_new_empty(struct topic *t, uint32_t id, int32_t index); // with its first segment
// Others see it from here on. The caller keeps anybody else from growing the topic meanwhile.
void topic_add_partition(struct topic *t, struct partition *p);

// [opening] Nothing is known of it but its name, as if it were new.
void partition_forget(struct partition *p);

void partition_folder(const struct partition *p, char out[SEGMENT_PATH]);
// Until partition_leave the names in its folder stand for its own files: for those that work on files by name on a thread of their own, for a
// moment each. False when the topic was deleted: another of its name may be there by now.
bool partition_enter(struct partition *p);
void partition_leave(struct partition *p);
// The list; under the lock once others see the partition. Takes the reference.
void partition_push_segment(struct partition *p, struct segment *g);
// Index of the segment that contains `offset` or is the next to, given offset ≥ the first base; the first one below that.
size_t partition_find_segment(const struct partition *p, int64_t offset);
void partition_fail(struct partition *p, const char *why, int64_t damaged); // stops it (first reason wins), for a segment or -1; takes the lock
void partition_serve_again(struct partition *p); // it is not stopped any more; the flusher, or while the store is opened; takes the lock
void partition_add_losses(struct partition *p, const struct losses *more); // takes the lock
// 0 while it serves; NOT_FOUND: deleted; CORRUPT: why it is stopped, and how to go on. The flusher, or with the lock.
int partition_serves(const struct partition *p, struct err *err) MUST_USE;
void partition_set_epoch(struct partition *p, int32_t epoch, int64_t first);
// LSO as of the framed state.
int64_t partition_stable(const struct partition *p, int64_t end);
// Fires those watches whose time has come (all when `all`); called by the flusher without the lock.
void partition_fire(struct store *s, struct partition *p, bool all);

#endif
