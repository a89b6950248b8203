// SPDX-License-Identifier: Apache-2.0
// Counting what is appended, partition by partition.
#include "activity.h"

#include "partition.h"
#include "base/mem.h"

static void add(_Atomic uint64_t *to, uint64_t n) { atomic_fetch_add_explicit(to, n, memory_order_relaxed); }

void activity_framed(struct partition *p, size_t batches, uint64_t bytes) {
    struct activity *a = atomic_load_explicit(&p->activity, memory_order_relaxed);
    if (!a) {
        a = xcalloc(1, sizeof(*a));
        atomic_store_explicit(&p->activity, a, memory_order_release);
    }
    add(&a->batches, batches);
    add(&a->bytes, bytes);
    add(&a->frames, 1);
}

void activity_answered(struct partition *p, int64_t us) {
    struct activity *a = atomic_load_explicit(&p->activity, memory_order_relaxed);
    if (!a) return; // duplicates only
    small_histogram_add(&a->commit_us, us);
    if (us > atomic_load_explicit(&a->max_us, memory_order_relaxed)) atomic_store_explicit(&a->max_us, us, memory_order_relaxed);
}

// A bucket's middle may lie above everything that is in it.
static int64_t quantile(const struct activity *a, double q, int64_t max) {
    int64_t us = small_histogram_quantile(&a->commit_us, q);
    return us > max ? max : us;
}

void partition_activity(struct partition *p, struct partition_activity *ret) {
    struct activity *a = atomic_load_explicit(&p->activity, memory_order_acquire);
    *ret = (struct partition_activity){0};
    if (!a) return;
    int64_t max = atomic_load_explicit(&a->max_us, memory_order_relaxed);
    *ret = (struct partition_activity){
        .batches = atomic_load_explicit(&a->batches, memory_order_relaxed),
        .bytes = atomic_load_explicit(&a->bytes, memory_order_relaxed),
        .syncs = atomic_load_explicit(&a->frames, memory_order_relaxed),
        .p50_us = quantile(a, 0.5, max),
        .p99_us = quantile(a, 0.99, max),
        .p999_us = quantile(a, 0.999, max),
        .max_us = max,
    };
}
