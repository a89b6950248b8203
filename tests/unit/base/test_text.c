// SPDX-License-Identifier: Apache-2.0
#include "base/mem.h"
#include "base/text.h"
#include "test.h"

TEST(valid_utf8_is_told_from_invalid) {
    static const char *const good[] = {"", "plain ascii text of some length", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\xed\x9f\xbf", "\xee\x80\x80", "\xf4\x8f\xbf\xbf", "12345678\xc3\xa9"};
    for (size_t i = 0; i < countof(good); i++) assert_true(utf8_valid(str_of(good[i])));
    static const char *const bad[] = {"\x80", "\xc0\x80", "\xc1\xbf", "\xe0\x80\x80", "\xed\xa0\x80", "\xf0\x80\x80\x80", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "\xc3", "\xe2\x82", "\xf0\x9f\x98", "\xc3(", "\xe2(\xa1"};
    for (size_t i = 0; i < countof(bad); i++) {
        assert_false(utf8_valid(str_of(bad[i])));
        _cleanup_free_ char *after = xasprintf("abcdefghij%s", bad[i]);
        assert_int_equal(utf8_valid_prefix(str_of(after)), 10);
    }
}

// RFC 4648, section 10.
TEST(base64_has_the_published_values_and_reads_back) {
    static const char *const rows[][2] = {{"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}, {"fooba", "Zm9vYmE="}, {"foobar", "Zm9vYmFy"}};
    struct buf b = {0};
    for (size_t i = 0; i < countof(rows); i++) {
        base64_encode(&b, rows[i][0], strlen(rows[i][0]));
        assert_buf(&b, rows[i][1]);
        assert_true(base64_decode(&b, str_of(rows[i][1])));
        assert_buf(&b, rows[i][0]);
        struct str bare = str_of(rows[i][1]);
        while (bare.n && bare.p[bare.n - 1] == '=') bare.n--;
        assert_true(base64_decode(&b, bare));
        assert_buf(&b, rows[i][0]);
    }
    static const char *const bad[] = {"Z", "Zg=", "Zg===", "Zm9v=", "Z=g=", "Zm 9", "====", "Zm9-"};
    for (size_t i = 0; i < countof(bad); i++) {
        assert_false(base64_decode(&b, str_of(bad[i])));
        assert_int_equal(b.n, 0);
    }
    buf_done(&b);
}

TEST(hex_reads_back_and_refuses_the_rest) {
    struct buf b = {0};
    hex_encode(&b, "\x00\x7f\xff", 3);
    assert_buf(&b, "007fff");
    assert_true(hex_decode(&b, STR("DeadBEEF")));
    assert_int_equal(b.n, 4);
    assert_memory_equal(b.p, "\xde\xad\xbe\xef", 4);
    buf_clear(&b);
    assert_false(hex_decode(&b, STR("abc")));
    assert_false(hex_decode(&b, STR("0g")));
    assert_int_equal(b.n, 0);
    buf_done(&b);
}

TEST(sizes_are_read_as_people_write_them) {
    static const struct {
        const char *text;
        int64_t bytes;
    } good[] = {{"0", 0}, {"65536", 65536}, {"16k", 16384}, {"64MiB", 64 << 20}, {"1 GiB", 1 << 30}, {"2Ti", 2ll << 40}, {"1.5 MiB", 3 << 19}, {"10B", 10}, {"-1", -1}, {" 7 K ", 7168}, {"8m", 8 << 20}};
    int64_t v;
    for (size_t i = 0; i < countof(good); i++) {
        assert_true(size_parse(str_of(good[i].text), &v));
        assert_int_equal(v, good[i].bytes);
    }
    static const char *const bad[] = {"", "k", "1kB", "5 MB", "1GB", "1 kk", "1k1", "9999999999TiB", "1..5M", ".5M", "5.M", "ten", "-1k", "1,5M"};
    for (size_t i = 0; i < countof(bad); i++) assert_false(size_parse(str_of(bad[i]), &v));
}

TEST(durations_are_read_as_people_write_them) {
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = {{"250", 250}, {"250ms", 250}, {"10s", 10000}, {"5 min", 300000}, {"5m", 300000}, {"7d", 604800000}, {"1h 30m", 5400000}, {"1h30min", 5400000}, {"1.5s", 1500}, {"2 weeks", 1209600000}, {"-1", -1}, {"1 Hour", 3600000}};
    int64_t v;
    for (size_t i = 0; i < countof(good); i++) {
        assert_true(duration_parse(str_of(good[i].text), &v));
        assert_int_equal(v, good[i].ms);
    }
    static const char *const bad[] = {"", "s", "5x", "1h 30", "5 minutess", "999999999999999d", "-5s", "12:30"};
    for (size_t i = 0; i < countof(bad); i++) assert_false(duration_parse(str_of(bad[i]), &v));
}

TEST(sizes_and_times_print_short) {
    struct buf b = {0};
    static const struct {
        uint64_t bytes;
        const char *text;
    } rows[] = {{0, "0 B"}, {1023, "1023 B"}, {1024, "1 KiB"}, {1536, "1.5 KiB"}, {1048575, "1.0 MiB"}, {3 << 20, "3 MiB"}, {UINT64_MAX, "16 EiB"}};
    for (size_t i = 0; i < countof(rows); i++) {
        size_print(&b, rows[i].bytes);
        assert_buf(&b, rows[i].text);
    }
    time_print(&b, 0);
    assert_buf(&b, "1970-01-01T00:00:00.000Z");
    time_print(&b, 1700000000123456);
    assert_buf(&b, "2023-11-14T22:13:20.123Z");
    time_print(&b, -1);
    assert_buf(&b, "1969-12-31T23:59:59.999Z");
    buf_done(&b);
}
