// SPDX-License-Identifier: Apache-2.0
#include "converters/decimal.h"

#include "base/mem.h"
#include "base/text.h"
#include "test.h"

struct row { const char *hex; int32_t scale; const char *text; };

// As java.math.BigDecimal(new BigInteger(bytes), scale).toString().
static const struct row rows[] = {
    {"00", 0, "0"},
    {"00", 3, "0.000"},
    {"00", 8, "0E-8"},
    {"00", -2, "0E+2"},
    {"7b", 0, "123"},
    {"7b", 2, "1.23"},
    {"7b", 3, "0.123"},
    {"7b", 5, "0.00123"},
    {"01", 6, "0.000001"},
    {"01", 7, "1E-7"},
    {"7b", 9, "1.23E-7"},
    {"7b", -3, "1.23E+5"},
    {"ff", 0, "-1"},
    {"85", 2, "-1.23"},
    {"8000000000000000", 0, "-9223372036854775808"},
    {"7fffffffffffffff", 4, "922337203685477.5807"},
    {"00ffffffffffffffff", 0, "18446744073709551615"},
    {"ff0000000000000000", 0, "-18446744073709551616"},
    {"0f4b53b8e8e1d3d2b2a1", 10, "7222503587633.0376442529"},
};

TEST(prints_as_javas_big_decimal) {
    for (size_t i = 0; i < countof(rows); i++) {
        struct buf raw = {0}, text = {0};
        assert_true(hex_decode(&raw, str_of(rows[i].hex)));
        decimal_print(&text, raw.p, raw.n, rows[i].scale);
        assert_buf(&text, rows[i].text);
        buf_done(&raw);
        buf_done(&text);
    }
}

TEST(reads_back_what_it_printed) {
    for (size_t i = 0; i < countof(rows); i++) {
        struct buf raw = {0}, hex = {0};
        assert_true(decimal_parse(&raw, str_of(rows[i].text), rows[i].scale));
        hex_encode(&hex, raw.p, raw.n);
        assert_buf(&hex, rows[i].hex);
        buf_done(&raw);
        buf_done(&hex);
    }
}

TEST(a_random_integer_of_any_length_survives_the_round_trip) {
    uint64_t seed = 42;
    for (int i = 0; i < 2000; i++) {
        uint8_t p[64];
        size_t n = 1 + test_random(&seed) % sizeof p;
        for (size_t k = 0; k < n; k++) p[k] = (uint8_t)test_random(&seed);
        while (n > 1 && ((p[0] == 0 && !(p[1] & 0x80)) || (p[0] == 0xff && p[1] & 0x80))) p[0] ^= 0x55;
        struct buf text = {0}, raw = {0};
        int32_t scale = (int32_t)(test_random(&seed) % 40);
        decimal_print(&text, p, n, scale);
        assert_true(decimal_parse(&raw, buf_str(&text), scale));
        assert_int_equal(raw.n, n);
        assert_memory_equal(raw.p, p, n);
        buf_done(&text);
        buf_done(&raw);
    }
}

TEST(digits_beyond_the_scale_and_other_texts_are_refused) {
    static const char *const bad[] = {"1.234", "", "-", ".", "1e", "1e99999999", "1e2001", "1x", "0x10", "1.2.3"};
    for (size_t i = 0; i < countof(bad); i++) {
        struct buf raw = {0};
        assert_false(decimal_parse(&raw, str_of(bad[i]), 2));
        buf_done(&raw);
    }
}

TEST(trailing_zeros_and_exponents_are_rescaled) {
    struct buf raw = {0}, hex = {0};
    assert_true(decimal_parse(&raw, STR("1.50000"), 2));
    hex_encode(&hex, raw.p, raw.n);
    assert_buf(&hex, "0096");
    buf_clear(&raw);
    assert_true(decimal_parse(&raw, STR("15E-1"), 2));
    hex_encode(&hex, raw.p, raw.n);
    assert_buf(&hex, "0096");
    buf_clear(&raw);
    assert_true(decimal_parse(&raw, STR("1E+2"), 0));
    hex_encode(&hex, raw.p, raw.n);
    assert_buf(&hex, "64");
    buf_done(&raw);
    buf_done(&hex);
}
