// SPDX-License-Identifier: Apache-2.0
// Writing and bounded reading belong together: what buf writes, cur reads, cut at every byte.
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/cur.h"
#include "base/mem.h"
#include "test.h"

TEST(a_buf_grows_up_to_its_limit_and_then_turns_bad_for_good) {
    struct buf b = {.limit = 100};
    for (int i = 0; i < 10; i++) buf_put(&b, "0123456789", 10);
    assert_false(b.bad);
    assert_int_equal(b.n, 100);
    buf_u8(&b, 'x');
    assert_true(b.bad);
    assert_int_equal(b.n, 100);
    buf_put(&b, "", 0);
    assert_int_equal(b.n, 100);
    assert_int_equal(strlen(buf_cstr(&b)), 100); // the terminator needs no room under the limit
    buf_clear(&b);
    buf_putz(&b, "again");
    assert_buf(&b, "again");
    buf_done(&b);
}

TEST(a_write_that_does_not_fit_changes_nothing) {
    struct buf b = {.limit = 8};
    buf_putz(&b, "12345");
    buf_putz(&b, "6789");
    assert_true(b.bad);
    assert_str(buf_str(&b), "12345");
    buf_u8(&b, '6'); // would fit, but the failure is sticky
    assert_str(buf_str(&b), "12345");
    assert_false(buf_reserve(&b, 1));
    struct buf huge = {0};
    assert_false(buf_reserve(&huge, SIZE_MAX));
    assert_true(huge.bad);
    buf_done(&b);
}

TEST(an_empty_buf_is_an_empty_text) {
    struct buf b = {0};
    assert_string_equal(buf_cstr(&b), "");
    assert_true(buf_str(&b).n == 0);
    buf_done(&b);
}

static void assert_decimal(struct buf *b, uint64_t v) {
    char want[32];
    snprintf(want, sizeof(want), "%llu", (unsigned long long)v);
    buf_clear(b);
    buf_u64(b, v);
    assert_str(buf_str(b), want);
}

TEST(decimal_texts_are_exact_at_the_ends_of_their_ranges) {
    struct buf b = {0};
    buf_i64(&b, INT64_MIN), buf_u8(&b, ' ');
    buf_i64(&b, INT64_MAX), buf_u8(&b, ' ');
    buf_u64(&b, UINT64_MAX), buf_u8(&b, ' ');
    buf_i64(&b, 0), buf_u8(&b, ' '), buf_i64(&b, -1), buf_u8(&b, ' '), buf_i64(&b, 10), buf_u8(&b, ' '), buf_u64(&b, 100);
    assert_buf(&b, "-9223372036854775808 9223372036854775807 18446744073709551615 0 -1 10 100");
    for (uint64_t v = 1; v; v = v > UINT64_MAX / 7 ? 0 : v * 7) assert_decimal(&b, v);
    for (uint64_t v = 10, n = 1; n < 20; v *= 10, n++) assert_decimal(&b, v - 1), assert_decimal(&b, v), assert_decimal(&b, v + 1), assert_decimal(&b, v / 2 * 3);
    for (uint64_t v = 0; v < 200000; v++) assert_decimal(&b, v), assert_decimal(&b, v * 99999989);
    buf_done(&b);
}

TEST(printf_takes_texts_of_any_length) {
    struct buf b = {0};
    char lengthy[1000];
    memset(lengthy, 'y', sizeof(lengthy) - 1);
    lengthy[sizeof(lengthy) - 1] = 0;
    buf_printf(&b, "%s|%d", lengthy, 5);
    assert_int_equal(b.n, 1001);
    assert_memory_equal(b.p + 998, "y|5", 3);
    buf_fill(&b, 'z', 3);
    assert_memory_equal(b.p + 1001, "zzz", 3);
    buf_done(&b);
}

static const int64_t varints[] = {0,  -1,  1,      63,        -64,      64,        -65,       8191,      8192,
                                  -8193, 1 << 20, INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN};

TEST(varints_have_kafkas_bytes) {
    struct buf b = {0};
    buf_varint(&b, 0), buf_varint(&b, -1), buf_varint(&b, 1), buf_varint(&b, 63), buf_varint(&b, -64), buf_varint(&b, 64);
    assert_memory_equal(b.p, "\x00\x01\x02\x7e\x7f\x80\x01", 7);
    buf_clear(&b);
    buf_uvarint(&b, 300), buf_uvarint(&b, UINT64_MAX);
    assert_memory_equal(b.p, "\xac\x02\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12);
    buf_done(&b);
}

TEST(varints_read_back_and_every_cut_is_noticed) {
    struct buf b = {0};
    for (size_t i = 0; i < countof(varints); i++) {
        buf_clear(&b);
        buf_varint(&b, varints[i]);
        struct cur c = cur_str(buf_str(&b));
        assert_true(cur_varint(&c) == varints[i] && cur_done(&c));
        for (size_t cut = 0; cut < b.n; cut++) {
            struct cur part = cur_of(b.p, cut);
            assert_int_equal(cur_varint(&part), 0);
            assert_true(part.bad);
        }
    }
    buf_done(&b);
}

TEST(a_varint_of_more_than_64_bits_is_bad) {
    struct cur c = cur_of("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10);
    cur_uvarint(&c);
    assert_true(c.bad);
    c = cur_of("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11);
    cur_uvarint(&c);
    assert_true(c.bad);
    c = cur_of("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00", 10); // long form of zero is legal
    assert_true(cur_uvarint(&c) == 0 && cur_done(&c));
}

static void read_all_fields(struct cur *c) {
    cur_u8(c), cur_be16(c), cur_be32(c), cur_be64(c), cur_cstr(c), cur_bytes(c, 3);
}

TEST(fixed_fields_read_back_and_every_cut_is_noticed) {
    struct buf b = {0};
    buf_u8(&b, 0xab), buf_be16(&b, 0x1234), buf_be32(&b, 0x89abcdef), buf_be64(&b, 0x0123456789abcdefull);
    buf_put(&b, "text", 5), buf_putz(&b, "xyz");
    struct cur c = cur_str(buf_str(&b));
    assert_int_equal(cur_u8(&c), 0xab);
    assert_int_equal(cur_be16(&c), 0x1234);
    assert_int_equal(cur_be32(&c), 0x89abcdef);
    assert_true(cur_be64(&c) == 0x0123456789abcdefull);
    assert_str(cur_cstr(&c), "text");
    assert_str(cur_bytes(&c, 3), "xyz");
    assert_true(cur_done(&c));
    for (size_t cut = 0; cut < b.n; cut++) {
        uint8_t *exact = xmemdup(b.p, cut); // so that a sanitizer sees a read past the end
        struct cur part = cur_of(exact, cut);
        read_all_fields(&part);
        assert_true(part.bad && !cur_done(&part) && cur_left(&part) == 0);
        free(exact);
    }
    buf_done(&b);
}

TEST(a_bad_cursor_stays_put_and_yields_zeros) {
    struct cur c = cur_of("\x01\x02", 2);
    cur_be32(&c);
    assert_true(c.bad);
    assert_int_equal(cur_u8(&c), 0);
    assert_null(cur_bytes(&c, 0).p);
    assert_null(cur_cstr(&c).p);
    c = cur_of("ab", 2);
    assert_null(cur_cstr(&c).p); // no NUL
    assert_true(c.bad);
}

TEST(a_claimed_count_must_fit_what_is_left) {
    struct cur c = cur_of("12345678", 8);
    assert_int_equal(cur_count(&c, 4, 2), 4);
    assert_int_equal(cur_count(&c, 8, 0), 8);
    assert_false(c.bad);
    assert_int_equal(cur_count(&c, 5, 2), 0);
    assert_true(c.bad);
    c = cur_of("1", 1);
    assert_int_equal(cur_count(&c, -1, 1), 0);
    assert_true(c.bad);
}
