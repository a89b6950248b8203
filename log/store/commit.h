// SPDX-License-Identifier: Apache-2.0
// A commit on its way: what its maker put in, what the flusher adds.
#ifndef STORE_COMMIT_H
#define STORE_COMMIT_H

#include "store_int.h"

struct append {
    struct partition *p;
    struct buf bytes;                // one batch
    struct batch_header h;
    struct batch_marker marker;
    bool is_marker;
    struct producer_end *ended;      // of the group's arena: the transaction this marker ended
    struct append *next_in_range;
};

struct commit {
    struct commit *next;
    struct store *s;
    struct append *appends;
    size_t n, cap, bytes;
    struct append_result *results;   // n
    struct err *error;               // why it was refused, or NULL
    commit_done *done;
    void *arg;
    int64_t queued_ns;
    bool keep;                       // the caller's again when it fails
    struct commit_chain *chain;      // may be NULL; the flusher's to read and write
    bool markers_only, internal_only; // may use more of the reserve
    struct append one;               // room for the usual number
    struct append_result one_result;
};

void commit_refuse(struct commit *c, const struct err *why); // remembers it; the first reason wins
void commit_answer(struct commit *c);                        // calls done and frees
void commit_answer_early(struct commit *c);                  // a planted fault: done before its group is durable

#endif
