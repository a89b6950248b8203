// SPDX-License-Identifier: Apache-2.0
#include "test.h"

#include "runtime/backoff.h"

TEST(the_ceiling_doubles_up_to_its_limit) {
    (void)state;
    struct backoff b = {.min_ms = 1000, .max_ms = 300000};
    int64_t ceiling = 1000;
    for (int i = 0; i < 100; i++) {
        struct backoff at = b;
        assert_int_equal(backoff_next(&at, (uint64_t)ceiling - 1), ceiling); // the largest wait of this attempt
        assert_int_equal(backoff_next(&b, 0), 1);                           // and the smallest
        ceiling = ceiling * 2 > 300000 ? 300000 : ceiling * 2;
    }
}

TEST(a_reset_starts_over) {
    (void)state;
    struct backoff b = {.min_ms = 10, .max_ms = 1000};
    for (int i = 0; i < 20; i++) backoff_next(&b, 0);
    backoff_reset(&b);
    assert_int_equal(backoff_next(&b, 9), 10);
    assert_int_equal(backoff_next(&b, 19), 20);
}

TEST(a_wait_is_never_longer_than_the_limit_even_when_the_minimum_is) {
    (void)state;
    struct backoff b = {.min_ms = 500, .max_ms = 100};
    for (uint64_t r = 0; r < 1000; r++) assert_true(backoff_next(&b, r) <= 100);
}
