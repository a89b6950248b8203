// SPDX-License-Identifier: Apache-2.0
// Time is passed in: the real clock, or a manual one for tests. Thread-safe.
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

struct clock {
    int64_t (*wall_us)(struct clock *);  // microseconds since the Unix epoch
    int64_t (*mono_ns)(struct clock *);  // monotonic nanoseconds, any origin
};
extern struct clock clock_real;

struct clock_manual {
    struct clock clock;
    _Atomic int64_t now_ns; // both clocks read this
};
void clock_manual_init(struct clock_manual *m, int64_t wall_us);
void clock_manual_advance(struct clock_manual *m, int64_t ns);

static inline int64_t clock_wall_ms(struct clock *c) { return c->wall_us(c) / 1000; }
static inline int64_t clock_mono_ms(struct clock *c) { return c->mono_ns(c) / 1000000; }

#endif
