// SPDX-License-Identifier: Apache-2.0
#include "test.h"

#include <stdlib.h>

#include <stdio.h>

#include "pgnumeric.h"

static void hex_of(const char *text, int32_t scale, const char *want) {
    struct numeric v;
    uint8_t out[256];
    char hex[512] = "";
    assert_int_equal(numeric_parse(text_of(text), &v), NUMERIC_OK);
    assert_true(numeric_bound(&v, scale) <= sizeof out);
    size_t n = numeric_unscaled(&v, scale, out);
    assert_true(n <= numeric_bound(&v, scale));
    for (size_t i = 0; i < n; i++) sprintf(hex + i * 2, "%02x", out[i]);
    assert_string_equal(hex, want);
}

TEST(unscaled_numbers_are_the_shortest_twos_complement) {
    hex_of("0", 0, "00");
    hex_of("0.00", 2, "00");
    hex_of("-0", 0, "00");
    hex_of("1", 0, "01");
    hex_of("127", 0, "7f");
    hex_of("128", 0, "0080");
    hex_of("-128", 0, "80");
    hex_of("-129", 0, "ff7f");
    hex_of("-1", 0, "ff");
    hex_of("255", 0, "00ff");
    hex_of("256", 0, "0100");
    hex_of("-256", 0, "ff00");
    hex_of("123.456", 3, "01e240");
    hex_of("123.456", 5, "00bc6100");
    hex_of("98765432109876543210", 0, "055aa54d38e5267eea");
    hex_of("-999999999.999", 3, "ff172b5af001");
    hex_of("999999999.999", 3, "00e8d4a50fff");
    hex_of("340282366920938463463374607431768211456", 0, "0100000000000000000000000000000000");
    hex_of("-170141183460469231731687303715884105728", 0, "80000000000000000000000000000000");
    hex_of("170141183460469231731687303715884105728", 0, "0080000000000000000000000000000000");
}

/* Against 64-bit arithmetic: the length is the shortest, and the bytes give the number back. */
TEST(random_numbers_go_there_and_back) {
    uint64_t seed = 11;
    for (int i = 0; i < 100000; i++) {
        int64_t value = (int64_t)test_random(&seed) >> test_random(&seed) % 64;
        char text[32];
        uint8_t out[64];
        struct numeric v;
        snprintf(text, sizeof text, "%lld", (long long)value);
        assert_int_equal(numeric_parse(text_of(text), &v), NUMERIC_OK);
        size_t n = numeric_unscaled(&v, 0, out);
        int64_t back = out[0] & 0x80 ? -1 : 0;
        for (size_t k = 0; k < n; k++) back = (int64_t)((uint64_t)back << 8 | out[k]);
        assert_int_equal(back, value);
        assert_true(n == 1 || !((out[0] == 0 && !(out[1] & 0x80)) || (out[0] == 0xff && (out[1] & 0x80))));
    }
}

TEST(digits_that_would_be_lost_are_refused) {
    struct numeric v;
    uint8_t out[64];
    assert_int_equal(numeric_parse(text_of("1.25"), &v), NUMERIC_OK);
    assert_int_equal(numeric_unscaled(&v, 1, out), 0);
    assert_int_equal(numeric_scale(&v), 2);
    assert_int_equal(numeric_parse(text_of("1.2500"), &v), NUMERIC_OK);
    assert_int_equal(numeric_scale(&v), 2);
    assert_int_equal(numeric_parse(text_of("100"), &v), NUMERIC_OK);
    assert_int_equal(numeric_scale(&v), 0);
}

TEST(what_is_no_number_has_a_name_or_is_bad) {
    struct numeric v;
    assert_int_equal(numeric_parse(text_of("NaN"), &v), NUMERIC_NAN);
    assert_int_equal(numeric_parse(text_of("Infinity"), &v), NUMERIC_PLUS_INFINITY);
    assert_int_equal(numeric_parse(text_of("-Infinity"), &v), NUMERIC_MINUS_INFINITY);
    assert_int_equal(numeric_parse(text_of(""), &v), NUMERIC_BAD);
    assert_int_equal(numeric_parse(text_of("-"), &v), NUMERIC_BAD);
    assert_int_equal(numeric_parse(text_of("."), &v), NUMERIC_BAD);
    assert_int_equal(numeric_parse(text_of("1e5"), &v), NUMERIC_BAD);
    assert_int_equal(numeric_parse(text_of("1.2.3"), &v), NUMERIC_BAD);
}

TEST(a_number_of_a_hundred_thousand_digits_is_no_trouble) {
    size_t n = 100000;
    char *text = malloc(n);
    memset(text, '9', n);
    struct numeric v;
    assert_int_equal(numeric_parse((struct text){text, n}, &v), NUMERIC_OK);
    uint8_t *out = malloc(numeric_bound(&v, 0));
    size_t len = numeric_unscaled(&v, 0, out);
    assert_in_range(len, 41524, 41525);
    free(out);
    free(text);
}

TEST(money_is_read_in_several_dresses) {
    static const struct { const char *text, *whole, *fraction; int negative; } cases[] = {
        {"$12.34", "12", "34", 0}, {"-$0.05", "", "05", 1}, {"($1,234.11)", "1234", "11", 1}, {"12.34", "12", "34", 0}, {"$0.00", "", "00", 0}};
    char buf[64];
    struct numeric v;
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(numeric_parse_money(text_of(cases[i].text), buf, sizeof buf, &v), 0);
        assert_true(text_is(v.whole, cases[i].whole));
        assert_true(text_is(v.fraction, cases[i].fraction));
        assert_int_equal(v.negative, cases[i].negative);
    }
    assert_int_equal(numeric_parse_money(text_of("$"), buf, sizeof buf, &v), -1);
}
