// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include <stdlib.h>

#include "base/map.h"
#include "base/mem.h"
#include "test.h"

static int freed;
static void count_free(void *p) { freed++, free(p); }

TEST(what_was_put_is_found_replaced_and_removed) {
    struct map m = {0};
    int one = 1, two = 2;
    assert_null(map_get(&m, STR("a")));
    assert_null(map_remove(&m, STR("a")));
    assert_null(map_put(&m, STR("a"), &one));
    assert_ptr_equal(map_get(&m, STR("a")), &one);
    assert_ptr_equal(map_put(&m, STR("a"), &two), &one);
    assert_int_equal(m.n, 1);
    assert_null(map_put(&m, STR(""), &one)); // the empty key is a key
    assert_ptr_equal(map_get(&m, STR("")), &one);
    assert_ptr_equal(map_remove(&m, STR("a")), &two);
    assert_null(map_get(&m, STR("a")));
    map_done(&m, NULL);
}

TEST(keys_are_copied) {
    struct map m = {0};
    char key[] = "key";
    map_put(&m, str_of(key), key);
    key[0] = 'x';
    assert_non_null(map_get(&m, STR("key")));
    map_done(&m, NULL);
}

// Against a plain array, over a random history: removal must not lose what was pushed aside by others.
TEST(a_random_history_agrees_with_a_plain_array) {
    enum { KEYS = 500 };
    struct map m = {0};
    static char present[KEYS];
    uint64_t seed = 1;
    size_t count = 0;
    for (int step = 0; step < 50000; step++) {
        uint64_t k = test_random(&seed) % KEYS;
        char key[16];
        snprintf(key, sizeof(key), "key-%d", (int)k);
        if (test_random(&seed) % 2) {
            assert_int_equal(map_put(&m, str_of(key), &present[k]) != NULL, present[k]);
            count += !present[k], present[k] = 1;
        } else {
            assert_ptr_equal(map_remove(&m, str_of(key)), present[k] ? &present[k] : NULL);
            count -= (size_t)present[k], present[k] = 0;
        }
        assert_int_equal(m.n, count);
    }
    for (int k = 0; k < KEYS; k++) {
        char key[16];
        snprintf(key, sizeof(key), "key-%d", k);
        assert_ptr_equal(map_get(&m, str_of(key)), present[k] ? &present[k] : NULL);
    }
    map_done(&m, NULL);
}

TEST(iteration_and_sorting_meet_every_entry_once) {
    struct map m = {0};
    for (int i = 0; i < 100; i++) {
        char key[16];
        snprintf(key, sizeof(key), "%03d", 99 - i);
        map_put(&m, str_of(key), xstrdup(key));
    }
    size_t at = 0, n = 0;
    while (map_next(&m, &at)) n++;
    assert_int_equal(n, 100);
    struct map_entry **all = map_sorted(&m);
    for (int i = 0; i < 100; i++) assert_int_equal(strtol(all[i]->key.p, NULL, 10), i);
    free(all);
    freed = 0;
    map_done(&m, count_free);
    assert_int_equal(freed, 100);
    assert_int_equal(m.n, 0);
    struct map empty = {0};
    free(map_sorted(&empty));
}
