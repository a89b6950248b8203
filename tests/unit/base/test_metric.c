// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>

#include "base/mem.h"
#include "base/metric.h"
#include "test.h"

TEST(an_empty_histogram_has_no_quantiles) {
    struct histogram *h = histogram_new();
    assert_int_equal(histogram_count(h), 0);
    assert_int_equal(histogram_quantile(h, 0.5), 0);
    histogram_free(h);
    histogram_free(NULL);
}

TEST(every_value_is_kept_within_a_sixteenth) {
    for (int64_t v = 0; v < (int64_t)4e18; v += v / 8 + 1) {
        struct histogram *h = histogram_new();
        histogram_add(h, v);
        int64_t got = histogram_quantile(h, 0.5), off = got > v ? got - v : v - got;
        assert_true(off * 16 <= v || off == 0);
        histogram_free(h);
    }
    struct histogram *h = histogram_new();
    histogram_add(h, INT64_MAX);
    histogram_add(h, -5); // counts as 0
    assert_int_equal(histogram_quantile(h, 0), 0);
    assert_true(histogram_quantile(h, 1) > INT64_MAX / 16 * 15);
    histogram_free(h);
}

TEST(quantiles_follow_the_distribution) {
    struct histogram *h = histogram_new();
    for (int64_t v = 1; v <= 10000; v++) histogram_add(h, v);
    assert_int_equal(histogram_count(h), 10000);
    static const double qs[] = {0.01, 0.25, 0.5, 0.9, 0.99};
    for (size_t i = 0; i < countof(qs); i++) {
        double want = qs[i] * 10000, got = (double)histogram_quantile(h, qs[i]);
        assert_true(got > want * 15 / 16 - 1 && got < want * 17 / 16 + 1);
    }
    histogram_free(h);
}

TEST(a_small_histogram_is_as_right_as_its_header_says) {
    static const double qs[] = {0.01, 0.5, 0.99, 0.999, 1};
    struct small_histogram h = {0}, one;
    assert_int_equal(small_histogram_quantile(&h, 0.5), 0);
    for (int64_t v = 1; v < 1 << 26; v = v * 3 / 2 + 1) {
        one = (struct small_histogram){0};
        small_histogram_add(&one, v);
        int64_t got = small_histogram_quantile(&one, 0.5), off = got > v ? got - v : v - got;
        assert_true(off * 8 <= v);
    }
    for (int64_t v = 1; v <= 100000; v++) small_histogram_add(&h, v);
    for (size_t i = 0; i < sizeof(qs) / sizeof(qs[0]); i++) {
        double want = qs[i] * 100000, got = (double)small_histogram_quantile(&h, qs[i]);
        assert_true(got > want * 7 / 8 - 1 && got < want * 9 / 8 + 1);
    }
    small_histogram_add(&h, INT64_MAX); // the last bucket
    small_histogram_add(&h, -5);        // counts as 0
    assert_true(small_histogram_quantile(&h, 1) > 50000000);
    assert_int_equal(small_histogram_quantile(&h, 0), 0);
}

static const struct metric_row rows[] = {
    {"records-total", METRIC_COUNTER, "records", "Records."},
    {"bytes-in-flight", METRIC_GAUGE, "bytes", "Bytes."},
    {"put-time-us", METRIC_HISTOGRAM, "us", "Time."},
};

static void collect(void *arg, const struct metric_group *g) { buf_printf(arg, "%s;", g->labels); }

TEST(groups_are_made_from_rows_and_listed_while_registered) {
    struct metric_registry *r = metric_registry_new();
    struct metric_group a, b;
    struct buf seen = {0};
    metric_group_init(&a, "connector=a", rows, countof(rows));
    metric_group_init(&b, "connector=b", rows, countof(rows));
    metric_registry_add(r, &a), metric_registry_add(r, &b);
    metric_add(&a.metrics[0], 3), metric_add(&a.metrics[0], 4), metric_set(&a.metrics[1], 9);
    assert_int_equal(metric_get(&a.metrics[0]), 7);
    assert_int_equal(metric_get(&a.metrics[1]), 9);
    assert_null(a.metrics[0].histogram);
    assert_non_null(a.metrics[2].histogram);
    metric_registry_each(r, collect, &seen);
    assert_buf(&seen, "connector=a;connector=b;");
    metric_registry_remove(r, &a);
    metric_registry_each(r, collect, &seen);
    assert_buf(&seen, "connector=b;");
    metric_group_done(&a), metric_group_done(&b);
    metric_registry_free(r);
    buf_done(&seen);
}
