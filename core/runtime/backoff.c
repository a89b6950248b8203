// SPDX-License-Identifier: Apache-2.0
#include "runtime/backoff.h"

int64_t backoff_next(struct backoff *b, uint64_t random) {
    int64_t ceiling = b->min_ms < 1 ? 1 : b->min_ms;
    for (unsigned i = 0; i < b->attempt && ceiling < b->max_ms; i++) ceiling *= 2;
    if (b->max_ms > 0 && ceiling > b->max_ms) ceiling = b->max_ms;
    if (b->attempt < 62) b->attempt++;
    return 1 + (int64_t)(random % (uint64_t)ceiling);
}
