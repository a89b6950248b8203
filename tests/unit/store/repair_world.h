// SPDX-License-Identifier: Apache-2.0
// Damage made on purpose, and the oracle: the batches as they lay in the files before it.
//
//   make_world ─► damage (one or more) ─► find_damage ─► world_accept … ─► check_all: what is not `lost` is there, byte for byte, and no more
#ifndef STORE_REPAIR_WORLD_H
#define STORE_REPAIR_WORLD_H

#include "fixture.h"
#include "partition.h"
#include "store/repair.h"
#include "store_int.h"
#include "verify.h"

struct piece {                 // a batch
    int64_t base;              // of its segment
    uint64_t position;
    size_t size;
    int64_t first, last;
    uint8_t *bytes;
    bool lost;
};
struct known { int64_t offset; char *text; }; // a committed record: key, value, time, headers
struct world {
    struct fs *fs;
    struct store *s;
    struct piece *pieces;
    size_t n, cap;
    struct known *records;
    size_t record_n, record_cap;
    int64_t log_start, end, stable;
};

// Batches of text: without producer; of two producers whose transactions run through each other, every third aborted and two left open; or
// with keys, compacted. Records of batch n: key k<n % 45>, value "<n>.<i>:0…", timestamp 1700000000000 + 10 n + i, every other with a header.
enum workload { PLAIN, PRODUCERS, COMPACTED, WORKLOADS };
enum { BATCHES = 60, PRODUCER = 7, OTHER = 9 };
struct world make_world(enum workload workload);
void world_done(struct world *w);
struct partition *world_partition(struct world *w); // of topic "t"
// The committed records of a partition that are below `end`, as text. read_bytes: of one read.
struct known *read_committed(struct partition *p, int64_t end, size_t read_bytes, size_t *ret_n);
void known_free(struct known *all, size_t n);
void world_path(int64_t base, const char *suffix, char out[SEGMENT_PATH]);
// Appends one more batch; mark ends a producer's transaction.
int world_send(struct store *s, int64_t id, int32_t sequence, bool txn, enum codec codec, int records, int number,
               struct append_result *ret, struct err *err);
void world_mark(struct store *s, int64_t id, bool commit_txn);
void world_note(struct world *w); // looks at the files again: this is how it should be

enum kind { HEADER, LENGTH, OFFSET, PAYLOAD, ZEROS, CUT_IN, CUT_BEFORE, MISSING, SWAPPED, KINDS };
const char *kind_name(enum kind kind);
void damage(struct world *w, enum kind kind, struct piece *x); // marks what is lost
// Writes bytes over a piece's: fill ≥ 0 that value, else each changed.
void overwrite(struct world *w, const struct piece *x, uint64_t at, size_t n, int fill);
// Of the segment: 0 the first batch, 1 one in the middle, 2 the last.
struct piece *piece_at(struct world *w, int64_t base, int which);
// Of those with batches: the base of 0 the first segment, 1 one in the middle, 2 the last.
int64_t segment_at(struct world *w, int which);
bool is_active(struct world *w, int64_t base);
bool is_lost(const struct world *w, int64_t offset);

void world_kill(struct world *w);  // the disk is as a killed process leaves it, and s is NULL
void world_start(struct world *w);
void kill_and_start(struct world *w);
// A reader finds it, or the check of sealed segments; what is hidden by an open file, the next start. The partition is stopped then.
void find_damage(struct world *w);
const char *world_show(struct world *w);                   // the answer, until the next one
int world_accept(struct world *w, struct err *err);        // its answer: world_answer
const char *world_answer(void);

// The partition serves what is not lost and nothing else (but end markers that were written again), its indexes fit, times are found.
void check_all(struct world *w);
void check_log(struct world *w); // only the batches
// Also after a kill and after clean restarts, and appends go on at the next offset.
void check_and_go_on(struct world *w);

#endif
