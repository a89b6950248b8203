// SPDX-License-Identifier: Apache-2.0
// Back-off: the ceiling doubles from min to max with each attempt, the wait is a random part of it (full jitter).
//
// A value; pure but for the random number passed in.
#ifndef RUNTIME_BACKOFF_H
#define RUNTIME_BACKOFF_H

#include <stdint.h>

struct backoff {
    int64_t min_ms, max_ms;
    unsigned attempt; // 0: none yet
};
static inline void backoff_reset(struct backoff *b) { b->attempt = 0; }
// How long to wait now, 1..ceiling; counts the attempt.
int64_t backoff_next(struct backoff *b, uint64_t random);

#endif
