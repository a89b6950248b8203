// SPDX-License-Identifier: Apache-2.0
// The region of a task's batches: one block, used again and again, that grows as records need it.
//
// One thread. The struct must not move while a batch over it is in use.
#ifndef RUNTIME_BATCH_MEMORY_H
#define RUNTIME_BATCH_MEMORY_H

#include <connectd/build.h>
#include <stdbool.h>

struct batch_memory {
    void *p;
    uint32_t cap, max; // max: bytes it may grow to
    uint64_t refusals;  // of memory to this thread, as the batch began
    struct cn_batch batch;
};
void batch_memory_init(struct batch_memory *m, uint32_t max);
void batch_memory_done(struct batch_memory *m);
// An empty batch.
struct cn_batch *batch_memory_reset(struct batch_memory *m);
// Whether anything was refused for want of memory since: then a failure is nobody's fault.
bool batch_memory_starved(const struct batch_memory *m);
// The batch is not needed any more: what an unusually large one took is given back.
void batch_memory_trim(struct batch_memory *m);

#endif
