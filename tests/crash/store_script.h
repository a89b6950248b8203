// SPDX-License-Identifier: Apache-2.0
// A seeded script of store operations and the model that says what must be there after each: the oracle of the crash tests.
//
// The model never asks the store, so a parent process can check what a killed child left. Operations are numbered from 0; state n is
// what holds after operations 0 … n-1. They are run in order and take effect in order: after a crash the store must be in one of the
// states from (operations acknowledged) to (operations begun), whole.
#ifndef STORE_SCRIPT_H
#define STORE_SCRIPT_H

#include "fs_fault.h"
#include "store/batch.h"
#include "store/store.h"

enum { SCRIPT_NAMES = 5, SCRIPT_PARTITIONS = 3, SCRIPT_PRODUCERS = 3 };

struct script;
struct script_hooks {
    void (*begun)(void *arg, unsigned op);
    void (*acked)(void *arg, unsigned op);   // from the store's threads too, in order
    // A reader was woken and could see this far, and of committed records that far. May be NULL. From the store's threads too.
    void (*seen)(void *arg, int name, int partition, int64_t end, int64_t stable);
    // A producer id was given: no later one, in whatever process, may be it or below it. May be NULL.
    void (*given)(void *arg, int64_t id);
    // An fs_fault: commits that follow a checkpoint or a cleaning are made in the middle of it, at one of its calls there. May be NULL: one
    // after the other.
    struct fs *between;
    // Closes the store and opens it again. May be NULL: then the script has no such operation in effect.
    int (*reopen)(void *arg, struct store **s, struct err *err);
    // The operation failed: is it to be tried again? May be NULL: then the script stops. With it operations run one at a time, and
    // checkpoints and cleaning may fail.
    bool (*again)(void *arg, unsigned op, const struct err *err);
    void *arg;
};

struct script *script_new(uint64_t seed, unsigned count);
void script_free(struct script *x);
unsigned script_count(const struct script *x);
const char *script_op_text(const struct script *x, unsigned op); // for messages; valid until the next call
// The store options the script needs (small inline threshold, small journal, no threads of its own).
struct store_options script_options(struct fs *fs);
// Runs operations [from, to): commits that follow each other are handed over together. Stops at the first failure (-1). *s changes when
// the script opens the store again, and is NULL when that failed.
int script_run(struct script *x, struct store **s, unsigned from, unsigned to, const struct script_hooks *hooks, struct err *err);
// The first state, not before `from`, in which that much is there: what was seen must stay. `from` when the topic is deleted by then.
unsigned script_seen_state(const struct script *x, unsigned from, int name, int partition, int64_t end, int64_t stable);
// Is the store in state n? If not, *why says what differs.
bool script_matches(const struct script *x, struct store *s, unsigned n, struct buf *why);
// In state n: retries of what idempotent producers sent last are answered as duplicates, and new batches are taken.
bool script_continues(const struct script *x, struct store *s, unsigned n, struct buf *why);

#endif
