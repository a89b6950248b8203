// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>

#include "base/mem.h"
#include "base/str.h"
#include "test.h"

TEST(strings_order_by_bytes_and_shorter_first) {
    assert_true(str_cmp(STR("a"), STR("b")) < 0);
    assert_true(str_cmp(STR("ab"), STR("a")) > 0);
    assert_true(str_cmp(STR("\xff"), STR("a")) > 0);
    assert_int_equal(str_cmp(STR("same"), STR("same")), 0);
    assert_int_equal(str_cmp(STR(""), (struct str){NULL, 0}), 0);
    assert_true(str_eqz(STR("x"), "x") && !str_eqz(STR("x"), "xy") && str_eq((struct str){NULL, 0}, STR("")));
}

TEST(find_starts_where_it_is_told) {
    assert_int_equal(str_find(STR("a.b.c"), '.', 0), 1);
    assert_int_equal(str_find(STR("a.b.c"), '.', 2), 3);
    assert_int_equal(str_find(STR("a.b.c"), '.', 4), 5);
    assert_int_equal(str_find(STR("abc"), 'a', 99), 3);
}

TEST(trim_takes_white_space_off_both_ends_only) {
    assert_str(str_trim(STR(" \t a b \r\n")), "a b");
    assert_str(str_trim(STR("   ")), "");
    assert_str(str_trim(STR("x")), "x");
}

TEST(split_gives_every_part_empty_ones_too) {
    struct str rest = STR("a,,b,"), part;
    const char *want[] = {"a", "", "b", ""};
    for (int i = 0; i < 4; i++) {
        assert_true(str_split(&rest, ',', &part));
        assert_str(part, want[i]);
    }
    assert_false(str_split(&rest, ',', &part));
    rest = STR("");
    assert_true(str_split(&rest, ',', &part) && part.n == 0);
    assert_false(str_split(&rest, ',', &part));
}

TEST(whole_numbers_in_range_are_read_and_nothing_else) {
    int64_t i = 7;
    uint64_t u = 7;
    assert_true(str_to_i64(STR("-9223372036854775808"), &i) && i == INT64_MIN);
    assert_true(str_to_i64(STR("9223372036854775807"), &i) && i == INT64_MAX);
    assert_true(str_to_i64(STR("+5"), &i) && i == 5);
    assert_true(str_to_u64(STR("18446744073709551615"), &u) && u == UINT64_MAX);
    static const char *const bad[] = {"", "-", "+", " 1", "1 ", "0x1", "9223372036854775808", "-9223372036854775809", "1.0", "--1"};
    for (size_t k = 0; k < countof(bad); k++) {
        i = 42;
        assert_false(str_to_i64(str_of(bad[k]), &i));
        assert_int_equal(i, 42);
    }
    assert_false(str_to_u64(STR("18446744073709551616"), &u));
    assert_false(str_to_u64(STR("-1"), &u));
}

TEST(decimal_numbers_are_read_without_strtod_surprises) {
    double d = 0;
    assert_true(str_to_double(STR("1.5e3"), &d) && d == 1500);
    assert_true(str_to_double(STR("-0.25"), &d) && d == -0.25);
    static const char *const bad[] = {"", "nan", "inf", "0x10", "1e999", "1.5x", " 1", "e5", "1e", "."};
    for (size_t k = 0; k < countof(bad); k++) assert_false(str_to_double(str_of(bad[k]), &d));
    assert_false(str_to_double(str_make("1\0002", 3), &d));
}

TEST(distance_counts_edits_and_swaps_and_stops_at_the_limit) {
    assert_int_equal(str_distance(STR("hostname"), STR("hostname"), 3), 0);
    assert_int_equal(str_distance(STR("hostnmae"), STR("hostname"), 3), 1);
    assert_int_equal(str_distance(STR("hostnme"), STR("hostname"), 3), 1);
    assert_int_equal(str_distance(STR("HostName"), STR("hostname"), 3), 0);
    assert_int_equal(str_distance(STR("kitten"), STR("sitting"), 5), 3);
    assert_int_equal(str_distance(STR("abc"), STR(""), 5), 3);
    assert_int_equal(str_distance(STR("abcdef"), STR("uvwxyz"), 2), 3);
    char lengthy[300];
    memset(lengthy, 'x', sizeof(lengthy));
    assert_int_equal(str_distance(str_make(lengthy, 300), STR("x"), 4), 5);
}

TEST(hashes_of_different_strings_differ_and_every_length_counts) {
    char text[80];
    uint64_t seen[80];
    memset(text, 0, sizeof(text));
    for (size_t n = 0; n < 80; n++) {
        seen[n] = str_hash(str_make(text, n));
        for (size_t k = 0; k < n; k++) assert_true(seen[k] != seen[n]);
    }
    for (size_t n = 1; n < 80; n++) {
        for (size_t at = 0; at < n; at++) {
            text[at] = 1;
            assert_true(str_hash(str_make(text, n)) != seen[n]);
            text[at] = 0;
        }
    }
}

TEST(a_copy_is_terminated) {
    _cleanup_free_ char *z = str_dup(str_first(STR("hello world"), 5));
    assert_string_equal(z, "hello");
    _cleanup_free_ char *empty = str_dup((struct str){NULL, 0});
    assert_string_equal(empty, "");
}
