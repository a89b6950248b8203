// SPDX-License-Identifier: Apache-2.0
// The real clock and the manual one.
#include "base/clock.h"

#include <stdatomic.h>
#include <time.h>

static int64_t real_wall_us(struct clock *c) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int64_t real_mono_ns(struct clock *c) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

struct clock clock_real = {.wall_us = real_wall_us, .mono_ns = real_mono_ns};

static int64_t manual_mono_ns(struct clock *c) { return atomic_load(&((struct clock_manual *)c)->now_ns); }

static int64_t manual_wall_us(struct clock *c) { return manual_mono_ns(c) / 1000; }

void clock_manual_init(struct clock_manual *m, int64_t wall_us) {
    m->clock = (struct clock){.wall_us = manual_wall_us, .mono_ns = manual_mono_ns};
    atomic_init(&m->now_ns, wall_us * 1000);
}

void clock_manual_advance(struct clock_manual *m, int64_t ns) { atomic_fetch_add(&m->now_ns, ns); }
