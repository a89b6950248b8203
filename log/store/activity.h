// SPDX-License-Identifier: Apache-2.0
// What was appended to a partition since the store was opened. Made by its first append, so that an idle one has none; counted by the flusher,
// read by anybody.
#ifndef STORE_ACTIVITY_H
#define STORE_ACTIVITY_H

#include "base/metric.h"
#include "store/store.h"

struct activity {
    _Atomic uint64_t batches, bytes, frames;
    _Atomic int64_t max_us;
    struct small_histogram commit_us;
};

// [flusher] A frame is durable that holds so much of it.
void activity_framed(struct partition *p, size_t batches, uint64_t bytes);
// [flusher] A commit with a batch of it was answered.
void activity_answered(struct partition *p, int64_t us);

#endif
