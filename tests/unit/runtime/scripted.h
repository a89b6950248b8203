// SPDX-License-Identifier: Apache-2.0
// Connectors that do what a test tells them: a source that counts and a sink that settles by script. Linked statically.
//
// One script each for the whole process; reset before every case. Fields marked [live] may be changed while tasks run.
#ifndef SCRIPTED_H
#define SCRIPTED_H

#include <connectd/plugin.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

extern const struct cn_plugin scripted_plugin; // "counting-source", "scripted-sink"

struct source_script {
    _Atomic int64_t limit;      // [live] stops counting there (0: nothing yet)
    int batch;                  // records a poll; 0: 10
    bool no_positions;
    int open_every;             // > 1: of so many batches all but the last say OPEN
    int abort_at;               // the batch that says ABORT instead, once (counted from 1)
    int bad_at;                 // the record that has a struct no converter knows (its value is a map where the string converter…)
    bool done_at_limit;         // CN_POLL_DONE instead of idling
    size_t value_bytes;         // of each value; 0: just the number
    _Atomic int asks_schema;    // [live] 1: open asks for a schema; 2: poll does
    _Atomic int fail_open, fail_poll; // [live] a fail class, consumed by fail_times
    _Atomic int fail_times;     // [live] how often
    _Atomic bool hang;          // [live] poll does not come back until it is false
    // what happened
    _Atomic int opens, closes, polls, ticks, committed_calls;
    _Atomic int64_t committed;  // the highest position committed
    _Atomic int64_t started_at; // position handed to the last open
};
struct sink_script {
    // What becomes of record n (its number, from the value). Called on the task's thread under the script's lock. NULL: all OK.
    int (*verdict)(int64_t number, int attempt); // enum cn_verdict_kind, or -1: settle later
    bool later;                 // settle from a thread of its own, last record first
    bool only_at_flush;         // hold everything until flush
    int64_t retry_after_ms;
    _Atomic int fail_put;       // [live] class, consumed
    _Atomic int64_t start_offset; // what assign answers; -1: core's
    _Atomic bool hang;          // [live] put does not come back
    // what happened
    pthread_mutex_t lock;
    int64_t *numbers;           // every record that was delivered (settled OK), in order of settling
    size_t n, cap;
    int attempts[100000];       // of each number
    _Atomic int opens, closes, puts, flushes, ticks, assigned, revoked;
    _Atomic int64_t most_held;  // records unsettled at once
};
extern struct source_script source_script;
extern struct sink_script sink_script;
void scripts_reset(void);
size_t sink_delivered(void);
void sink_copy(int64_t *to, size_t n); // the first n delivered numbers

#endif
