// SPDX-License-Identifier: Apache-2.0
// Histograms with log-linear buckets, groups of metrics made from rows, and the registry that lists the groups.
#include "base/metric.h"

#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/thread.h"

// With n sub-bits values below 2^n have a bucket each; above, every power of two is cut into 2^n.
enum { SUB_BITS = 4, SMALL_BITS = 2, SMALL_OCTAVES = 26 };
#define BUCKETS_OF(bits, octaves) (((octaves) - (bits) + 1) << (bits))
enum { BUCKETS = BUCKETS_OF(SUB_BITS, 63) };
static_assert(SMALL_HISTOGRAM == BUCKETS_OF(SMALL_BITS, SMALL_OCTAVES), "as many buckets as the header says");

struct histogram {
    _Atomic uint64_t buckets[BUCKETS];
};

struct histogram *histogram_new(void) { return xcalloc(1, sizeof(struct histogram)); }

void histogram_free(struct histogram *h) { free(h); }

static size_t bucket_of(uint64_t v, unsigned bits) {
    if (v < 1u << bits) return (size_t)v;
    unsigned octave = 63 - (unsigned)__builtin_clzll(v);
    return ((size_t)(octave - bits + 1) << bits) + ((v >> (octave - bits)) & ((1u << bits) - 1));
}

// The middle of a bucket's range.
static int64_t bucket_value(size_t i, unsigned bits) {
    size_t subs = (size_t)1 << bits;
    if (i < subs) return (int64_t)i;
    unsigned shift = (unsigned)(i / subs) - 1;
    return (int64_t)(((uint64_t)(subs + i % subs) << shift) + ((1ull << shift) >> 1));
}

void histogram_add(struct histogram *h, int64_t v) {
    atomic_fetch_add_explicit(&h->buckets[bucket_of(v < 0 ? 0 : (uint64_t)v, SUB_BITS)], 1, memory_order_relaxed);
}

static uint64_t bucket_count(const struct histogram *h, size_t i) {
    return atomic_load_explicit(&((struct histogram *)(uintptr_t)h)->buckets[i], memory_order_relaxed);
}

uint64_t histogram_count(const struct histogram *h) {
    uint64_t n = 0;
    for (size_t i = 0; i < BUCKETS; i++) n += bucket_count(h, i);
    return n;
}

// Which of n values in order is the quantile.
static uint64_t rank_of(double q, uint64_t n) { return q <= 0 ? 0 : q >= 1 ? n - 1 : (uint64_t)(q * (double)(n - 1)); }

int64_t histogram_quantile(const struct histogram *h, double q) {
    uint64_t n = histogram_count(h), seen = 0;
    size_t last = 0;
    for (size_t i = 0; n && i < BUCKETS && seen <= rank_of(q, n); i++) {
        uint64_t here = bucket_count(h, i);
        if (here) last = i;
        seen += here;
    }
    return bucket_value(last, SUB_BITS);
}

void small_histogram_add(struct small_histogram *h, int64_t v) {
    const uint64_t most = (1ull << SMALL_OCTAVES) - 1;
    uint64_t x = v < 0 ? 0 : (uint64_t)v;
    size_t i = x > most ? SMALL_HISTOGRAM - 1 : bucket_of(x, SMALL_BITS);
    atomic_fetch_add_explicit(&h->buckets[i], 1, memory_order_relaxed);
}

int64_t small_histogram_quantile(const struct small_histogram *h, double q) {
    uint32_t buckets[SMALL_HISTOGRAM];
    uint64_t n = 0, seen = 0;
    size_t last = 0;
    for (size_t i = 0; i < SMALL_HISTOGRAM; i++) n += buckets[i] = atomic_load_explicit(&((struct small_histogram *)(uintptr_t)h)->buckets[i], memory_order_relaxed);
    for (size_t i = 0; n && i < SMALL_HISTOGRAM && seen <= rank_of(q, n); i++) {
        if (buckets[i]) last = i;
        seen += buckets[i];
    }
    return bucket_value(last, SMALL_BITS);
}

void metric_group_init(struct metric_group *g, const char *labels, const struct metric_row *rows, size_t n) {
    *g = (struct metric_group){.labels = xstrdup(labels), .metrics = xcalloc(n, sizeof(struct metric)), .n = n};
    for (size_t i = 0; i < n; i++) {
        g->metrics[i].row = &rows[i];
        if (rows[i].kind == METRIC_HISTOGRAM) g->metrics[i].histogram = histogram_new();
    }
}

void metric_group_done(struct metric_group *g) {
    for (size_t i = 0; i < g->n; i++) histogram_free(g->metrics[i].histogram);
    free(g->metrics);
    free(g->labels);
    *g = (struct metric_group){0};
}

struct metric_registry {
    pthread_mutex_t mutex; // guards groups
    struct metric_group **groups;
    size_t n, cap;
};

struct metric_registry *metric_registry_new(void) {
    struct metric_registry *r = xcalloc(1, sizeof(*r));
    pthread_mutex_init(&r->mutex, NULL);
    return r;
}

void metric_registry_free(struct metric_registry *r) {
    if (!r) return;
    pthread_mutex_destroy(&r->mutex);
    free(r->groups);
    free(r);
}

void metric_registry_add(struct metric_registry *r, struct metric_group *g) {
    LOCK_SCOPE(&r->mutex);
    VEC_PUSH(r->groups, r->n, r->cap, g);
}

void metric_registry_remove(struct metric_registry *r, struct metric_group *g) {
    LOCK_SCOPE(&r->mutex);
    size_t kept = 0;
    for (size_t i = 0; i < r->n; i++)
        if (r->groups[i] != g) r->groups[kept++] = r->groups[i];
    r->n = kept;
}

void metric_registry_each(struct metric_registry *r, void (*each)(void *arg, const struct metric_group *g), void *arg) {
    LOCK_SCOPE(&r->mutex);
    for (size_t i = 0; i < r->n; i++) each(arg, r->groups[i]);
}
