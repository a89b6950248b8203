// SPDX-License-Identifier: Apache-2.0
// What a sink was given of one partition and what became of it: the prefix that may be committed.
//
//   offsets      ... 40 41 42 │ 43 44 45 46 47 │ 48 ...
//                  settled    │ O  .  O  D  .  │ not put yet          O ok   D dead (to the dead letters)   . outstanding   R retry
//                         prefix = 43       end = 48
//
// Records enter in offset order (gaps are normal: control records, compaction). Verdicts come in any order. The prefix moves
// over settled records only; dead ones are handed out as the prefix passes them, so that a dead letter and the offset beyond
// it can become durable in one commit. Pure: no locks, no clock; one thread.
#ifndef RUNTIME_SETTLED_H
#define RUNTIME_SETTLED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum settle_state { SETTLE_OUTSTANDING, SETTLE_OK, SETTLE_RETRY, SETTLE_DEAD };

struct settle_entry {
    int64_t offset;
    uint32_t bytes;
    uint8_t state;   // enum settle_state
    bool put;        // given to the sink since the last redelivery began
    char *reason;    // DEAD: owned; else NULL
};

struct settled {
    struct settle_entry *entries; // a ring of a power of two, in offset order
    size_t head, n, cap;
    int64_t prefix;               // everything below is settled
    int64_t end;                  // offset after the last record put
    size_t outstanding;           // entries not OK or DEAD
    size_t bytes;                 // of those given to the sink and not answered
    size_t retries;               // entries in state RETRY
    size_t unanswered;            // given to the sink, no verdict yet
};

void settled_init(struct settled *s, int64_t from); // the next offset to be put
void settled_done(struct settled *s);

// A record is about to be put. False: it is settled already (redelivery) and must not be put again. Offsets below the prefix are
// settled; new ones only rise.
bool settled_put(struct settled *s, int64_t offset, uint32_t bytes);
// It was not put after all (the batch could not be made): as before settled_put.
void settled_unput(struct settled *s, int64_t offset);
// A record that will not be put: dropped by a transform (OK) or dead on the way (DEAD, with a reason).
void settled_skip(struct settled *s, int64_t offset, enum settle_state state, const char *reason);
// A verdict on the unanswered records in first..last; state OK, RETRY or DEAD (reason is copied). Returns how many it settled: verdicts
// on records that are not unanswered change nothing.
size_t settled_mark(struct settled *s, int64_t first, int64_t last, enum settle_state state, const char *reason);
bool settled_is_put(const struct settled *s, int64_t offset); // given to the sink and unanswered
// The sink forgets what it holds (put failed, partitions revoked): every unanswered record becomes RETRY.
void settled_forget(struct settled *s);
// True when records wait to be put again and the sink holds none of this partition any more.
bool settled_wants_redelivery(const struct settled *s);
// Begins it: every RETRY record is outstanding again. Returns the lowest offset to be put; settled_put then tells which.
int64_t settled_redeliver(struct settled *s);
// Moves the prefix over what is OK at once, up to the first dead or open record: memory is held for those behind it only.
void settled_pass(struct settled *s);
// Moves the prefix over what is settled. Calls dead(offset, reason) for each dead record it passes. `next` is the offset the partition will
// be read from next: with nothing outstanding the prefix is that. Returns the prefix.
int64_t settled_advance(struct settled *s, int64_t next, void (*dead)(void *arg, int64_t offset, const char *reason), void *arg);
// The first record that holds the prefix back, or -1.
int64_t settled_first_open(const struct settled *s);

#endif
