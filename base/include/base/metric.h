// SPDX-License-Identifier: Apache-2.0
// Counters, gauges and histograms from static rows with their documentation, gathered in a registry. Thread-safe, lock-free to update.
#ifndef BASE_METRIC_H
#define BASE_METRIC_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/str.h"

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };
struct metric_row {
    const char *name; // kebab-case, as Kafka's: "source-record-write-total"
    enum metric_kind kind;
    const char *unit; // "records", "bytes", "us"
    const char *doc;
};
struct metric {
    const struct metric_row *row;
    _Atomic int64_t value; // counter, gauge
    struct histogram *histogram;
};
// Log-linear buckets over int64 ≥ 0, relative error < 1/16.
struct histogram;
struct histogram *histogram_new(void);
void histogram_free(struct histogram *h);
void histogram_add(struct histogram *h, int64_t v);
int64_t histogram_quantile(const struct histogram *h, double q); // 0 when empty
uint64_t histogram_count(const struct histogram *h);

// The same for where there are thousands: 400 bytes to embed, all zero when empty. Relative error < 1/8, 2^26 and more are one bucket.
enum { SMALL_HISTOGRAM = 100 };
struct small_histogram { _Atomic uint32_t buckets[SMALL_HISTOGRAM]; };
void small_histogram_add(struct small_histogram *h, int64_t v);
int64_t small_histogram_quantile(const struct small_histogram *h, double q);

// A group of metrics with labels (`connector=shop-db,task=0`), made from rows; freed as one.
struct metric_group { char *labels; struct metric *metrics; size_t n; };
void metric_group_init(struct metric_group *g, const char *labels, const struct metric_row *rows, size_t n);
void metric_group_done(struct metric_group *g);

// Lists the groups for status and metrics pages. A group is removed before it is done; `each` runs under the registry's
// lock and must not add or remove.
struct metric_registry;
struct metric_registry *metric_registry_new(void);
void metric_registry_free(struct metric_registry *r);
void metric_registry_add(struct metric_registry *r, struct metric_group *g);
void metric_registry_remove(struct metric_registry *r, struct metric_group *g);
void metric_registry_each(struct metric_registry *r, void (*each)(void *arg, const struct metric_group *g), void *arg);

static inline void metric_add(struct metric *m, int64_t v) { atomic_fetch_add_explicit(&m->value, v, memory_order_relaxed); }
static inline void metric_set(struct metric *m, int64_t v) { atomic_store_explicit(&m->value, v, memory_order_relaxed); }
static inline int64_t metric_get(const struct metric *m) { return atomic_load_explicit(&((struct metric *)(uintptr_t)m)->value, memory_order_relaxed); }

#endif
