// SPDX-License-Identifier: Apache-2.0
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/mem.h"
#include "test.h"

// ── writer ──

TEST(the_writer_puts_commas_and_brackets) {
    struct buf b = {0};
    struct json_writer w = json_to(&b);
    json_object(&w);
    json_kz(&w, "a", "x");
    json_kz(&w, "n", NULL);
    json_key(&w, STR("list"));
    json_array(&w);
    json_i64(&w, -1), json_u64(&w, 2), json_bool(&w, true), json_null(&w), json_double(&w, 1.5), json_raw(&w, STR("{}"));
    json_array(&w), json_array_end(&w);
    json_object(&w), json_object_end(&w);
    json_array_end(&w);
    json_ks(&w, "s", STR("y")), json_ki(&w, "i", 7), json_kb(&w, "b", false);
    json_object_end(&w);
    assert_buf(&b, "{\"a\":\"x\",\"n\":null,\"list\":[-1,2,true,null,1.5,{},[],{}],\"s\":\"y\",\"i\":7,\"b\":false}");
    buf_done(&b);
}

TEST(bytes_that_are_no_text_stand_as_base64) {
    struct buf b = {0};
    struct json_writer w = json_to(&b);
    json_array(&w);
    json_bytes(&w, STR("\xc3\xa4\"")), json_bytes(&w, STR("")), json_bytes(&w, STR("\xff")), json_bytes(&w, (struct str){NULL, 0});
    json_array_end(&w);
    assert_buf(&b, "[\"\xc3\xa4\\\"\",\"\",{\"$base64\":\"/w==\"},null]");
    buf_done(&b);
}

TEST(the_writer_reaches_its_full_depth) {
    struct buf b = {0};
    struct json_writer w = json_to(&b);
    for (int i = 0; i < 64; i++) json_array(&w);
    json_i64(&w, 1), json_i64(&w, 2);
    for (int i = 0; i < 64; i++) json_array_end(&w);
    assert_int_equal(b.n, 64 + 3 + 64);
    buf_done(&b);
}

TEST(strings_are_escaped_as_jackson_does) {
    struct buf b = {0};
    json_escape(&b, STR("plain \"q\" back\\slash \b\t\n\f\r \x01\x1f / \x7f"));
    assert_buf(&b, "plain \\\"q\\\" back\\\\slash \\b\\t\\n\\f\\r \\u0001\\u001F / \x7f");
    json_escape(&b, STR("h\xc3\xa9llo \xe2\x82\xac \xf0\x9f\x98\x80"));
    assert_buf(&b, "h\xc3\xa9llo \xe2\x82\xac \xf0\x9f\x98\x80");
    json_escape(&b, STR("a\xff\xc3(\xed\xa0\x80z"));
    assert_buf(&b, "a\xef\xbf\xbd\xef\xbf\xbd(\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdz");
    json_escape(&b, (struct str){NULL, 0});
    assert_buf(&b, "");
    buf_done(&b);
}

// Every special byte at every position of a run, so that the eight-at-a-time scan can not step over one.
TEST(no_special_byte_hides_from_the_fast_scan) {
    struct buf b = {0};
    for (int c = 0; c < 256; c++) {
        for (size_t at = 0; at < 20; at++) {
            char text[20];
            memset(text, 'x', sizeof(text));
            text[at] = (char)c;
            json_escape(&b, str_make(text, sizeof(text)));
            bool plain = c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
            assert_int_equal(plain, b.n == 20);
            assert_memory_equal(b.p, "xxxxxxxxxxxxxxxxxxxx", at);
            assert_memory_equal(b.p + b.n - (19 - at), "xxxxxxxxxxxxxxxxxxxx", 19 - at);
            buf_clear(&b);
        }
    }
    buf_done(&b);
}

// ── numbers ──

static void assert_double(double v, const char *want) {
    struct buf b = {0};
    json_print_double(&b, v);
    assert_buf(&b, want);
    buf_done(&b);
}

static void assert_float(float v, const char *want) {
    struct buf b = {0};
    json_print_float(&b, v);
    assert_buf(&b, want);
    buf_done(&b);
}

TEST(doubles_print_as_java_prints_them) {
    assert_double(0, "0.0");
    assert_double(-0.0, "-0.0");
    assert_double(1, "1.0");
    assert_double(1.5, "1.5");
    assert_double(100, "100.0");
    assert_double(-12345.678, "-12345.678");
    assert_double(9999999, "9999999.0");
    assert_double(1e7, "1.0E7");
    assert_double(12345678.9, "1.23456789E7");
    assert_double(0.001, "0.001");
    assert_double(0.00099, "9.9E-4");
    assert_double(1e-5, "1.0E-5");
    assert_double(0.1, "0.1");
    assert_double(0.1 + 0.2, "0.30000000000000004");
    assert_double(1 / 3.0, "0.3333333333333333");
    assert_double(2e23, "2.0E23");
    assert_double(1e23, "1.0E23");
    assert_double(4.9e-324, "4.9E-324");
    assert_double(1e-323, "9.9E-324");
    assert_double(2.2250738585072014e-308, "2.2250738585072014E-308");
    assert_double(2.2250738585072009e-308, "2.225073858507201E-308");
    assert_double(DBL_MAX, "1.7976931348623157E308");
    assert_double(9007199254740993.0, "9.007199254740992E15");
    assert_double(0x1p-44, "5.684341886080802E-14"); // a power of two: its nearest 16 digits do not read back
    assert_double(NAN, "NaN");
    assert_double(-INFINITY, "-Infinity");
}

TEST(floats_print_as_java_prints_them) {
    assert_float(0.1f, "0.1");
    assert_float(1.0f, "1.0");
    assert_float(3.4028235e38f, "3.4028235E38");
    assert_float(1.4e-45f, "1.4E-45");
    assert_float(1.17549435e-38f, "1.1754944E-38");
    assert_float(16777216.0f, "1.6777216E7");
    assert_float(33554432.0f, "3.3554432E7");
    assert_float(0.33333334f, "0.33333334");
    assert_float(2e10f, "2.0E10");
    assert_float(123456.7f, "123456.7");
    assert_float(8.5899346e9f, "8.589935E9");
}

TEST(json_shows_what_is_no_number_as_text) {
    struct buf b = {0};
    struct json_writer w = json_to(&b);
    json_array(&w), json_double(&w, NAN), json_double(&w, INFINITY), json_double(&w, -2), json_array_end(&w);
    assert_buf(&b, "[\"NaN\",\"Infinity\",-2.0]");
    buf_done(&b);
}

// Fewest digits: no shorter decimal reads back. `%.*e` of one digit less, nearest or one step off, must read differently.
static void assert_shortest(double v) {
    struct buf b = {0};
    json_print_double(&b, v);
    double back = strtod(buf_cstr(&b), NULL);
    assert_true(back == v);
    int digits = 0, trailing = 0;
    for (const char *p = buf_cstr(&b); *p && *p != 'E'; p++) {
        if (*p < '0' || *p > '9' || (*p == '0' && !digits)) continue;
        digits++;
        trailing = *p == '0' ? trailing + 1 : 0;
    }
    digits -= trailing;
    if (digits > 2) {
        char shorter[40];
        snprintf(shorter, sizeof(shorter), "%.*e", digits - 2, v);
        assert_true(strtod(shorter, NULL) != v);
    }
    buf_done(&b);
}

TEST(random_doubles_read_back_from_the_fewest_digits) {
    uint64_t seed = 11;
    for (int i = 0; i < 20000; i++) {
        uint64_t bits = test_random(&seed);
        double v;
        memcpy(&v, &bits, sizeof(v));
        if (isfinite(v)) assert_shortest(v);
        assert_shortest((double)(int64_t)(bits >> 40) / 1000);
        assert_shortest((double)(bits >> 12));
        assert_shortest(ldexp(1, (int)(bits % 2000) - 1000));
    }
}

TEST(random_floats_read_back) {
    uint64_t seed = 12;
    struct buf b = {0};
    for (int i = 0; i < 50000; i++) {
        uint32_t bits = (uint32_t)test_random(&seed);
        float v;
        memcpy(&v, &bits, sizeof(v));
        if (!isfinite(v)) continue;
        json_print_float(&b, v);
        assert_true(strtof(buf_cstr(&b), NULL) == v);
        assert_true(b.n <= 16);
        buf_clear(&b);
    }
    buf_done(&b);
}

// ── reader ──

// The tokens of a text as one line: {, }, [, ], k(ey), s(tring), n(umber), t, f, 0, ! for bad, $ for the end.
static void trace(struct str in, struct buf *out) {
    struct json_reader r;
    json_reader_init(&r, in);
    for (;;) {
        enum json_token t = json_next(&r);
        buf_u8(out, (uint8_t)"$!{}[]ksntf0"[t]);
        if (t == JSON_KEY || t == JSON_STRING || t == JSON_NUMBER) buf_printf(out, "(%.*s)", STR_FMT(r.text));
        if (t == JSON_BAD) assert_non_null(r.error);
        if (t == JSON_END || t == JSON_BAD) break;
    }
    assert_int_equal(json_next(&r), out->p[out->n - 1] == '!' ? JSON_BAD : JSON_END); // both are for good
    json_reader_done(&r);
}

static void assert_tokens(const char *in, const char *want) {
    struct buf b = {0};
    trace(str_of(in), &b);
    assert_buf(&b, want);
    buf_done(&b);
}

TEST(the_reader_gives_tokens_in_order) {
    assert_tokens(" {\"a\" : [1, -2.5e+3 ,true,false,null,\"x\"], \"b\":{}, \"c\":[]} ",
                  "{k(a)[n(1)n(-2.5e+3)tf0s(x)]k(b){}k(c)[]}$");
    assert_tokens("5", "n(5)$");
    assert_tokens("\"\"", "s()$");
    assert_tokens("[[[]]]", "[[[]]]$");
    assert_tokens("0", "n(0)$");
    assert_tokens("-0.0E-7", "n(-0.0E-7)$");
}

TEST(escapes_become_characters) {
    assert_tokens("\"a\\n\\t\\\"\\\\\\/\\b\\f\\r\"", "s(a\n\t\"\\/\b\f\r)$");
    assert_tokens("\"\\u0041\\u00e9\\u20ac\\ud83d\\ude00\"", "s(A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80)$");
    assert_tokens("\"\\ud83d\"", "s(\xef\xbf\xbd)$");
    assert_tokens("\"\\ud83dx\\ude00\"", "s(\xef\xbf\xbdx\xef\xbf\xbd)$");
    assert_tokens("\"\\ud83d\\u0041\"", "s(\xef\xbf\xbd" "A)$");
    assert_tokens("{\"k\\u0065y\":1}", "{k(key)n(1)}$");
}

TEST(what_is_not_json_is_refused) {
    static const char *const bad[] = {
        "",        " ",      "{",       "}",       "[",      "]",        "[1",      "[1,",      "[1,]",     "[,1]",   "{\"a\"}", "{\"a\":}",
        "{\"a\":1,}", "{a:1}", "{1:1}", "{\"a\" 1}", "tru",  "nul",      "truex",   "01",       "1.",       ".5",     "-",       "+1",
        "1e",      "1e+",    "0x1",     "1 2",     "\"",     "\"a",      "\"\\\"",  "\"\\x\"",  "\"\\u12\"", "\"\\u12g4\"", "\"\n\"",  "'a'",
        "[1}",     "{\"a\":1]", "[1 2]", "NaN",    "\"\xff\"", "\"\xc3(\"", "//x\n1", "{\"a\":1 \"b\":2}", "\"\\ud83d\\uZZZZ\"", "\xef\xbb\xbf" "1",
    };
    for (size_t i = 0; i < countof(bad); i++) {
        struct buf b = {0};
        trace(str_of(bad[i]), &b);
        assert_int_equal(b.p[b.n - 1], '!');
        buf_done(&b);
    }
}

TEST(every_cut_of_a_document_is_bad_and_stays_inside) {
    static const char text[] = "{\"key\": [1.5e3, \"a\\u00e9\\n\", true, null, {\"x\": \"\xe2\x82\xac\"}], \"z\": false}";
    for (size_t cut = 0; cut < sizeof(text) - 1; cut++) {
        char *exact = xmemdup(text, cut);
        struct buf b = {0};
        trace(str_make(exact, cut), &b);
        assert_int_equal(b.p[b.n - 1], '!');
        buf_done(&b);
        free(exact);
    }
}

TEST(nesting_ends_at_64) {
    char text[200];
    memset(text, '[', 65);
    struct json_reader r;
    json_reader_init(&r, str_make(text, 65));
    for (int i = 0; i < 64; i++) assert_int_equal(json_next(&r), JSON_ARRAY);
    assert_int_equal(json_next(&r), JSON_BAD);
    assert_has(r.error, "64");
    json_reader_done(&r);
    memset(text + 64, ']', 64);
    struct buf b = {0};
    trace(str_make(text, 128), &b);
    assert_int_equal(b.p[b.n - 1], '$');
    buf_done(&b);
}

TEST(values_are_skipped_whole) {
    struct json_reader r;
    json_reader_init(&r, STR("{\"a\":[1,{\"b\":2}],\"c\":3,\"d\":{\"e\":{}},\"f\":[4]}"));
    assert_int_equal(json_next(&r), JSON_OBJECT);
    assert_int_equal(json_next(&r), JSON_KEY);
    assert_true(json_skip(&r)); // a's array
    assert_int_equal(json_next(&r), JSON_KEY);
    assert_str(r.text, "c");
    assert_true(json_skip(&r)); // 3
    assert_int_equal(json_next(&r), JSON_KEY);
    assert_int_equal(json_next(&r), JSON_OBJECT);
    assert_true(json_skip(&r)); // after the bracket
    assert_int_equal(json_next(&r), JSON_KEY);
    assert_str(r.text, "f");
    assert_true(json_skip(&r));
    assert_int_equal(json_next(&r), JSON_OBJECT_END);
    assert_int_equal(json_next(&r), JSON_END);
    json_reader_done(&r);
    json_reader_init(&r, STR("{\"a\":[1,}"));
    json_next(&r), json_next(&r);
    assert_false(json_skip(&r));
    json_reader_done(&r);
}

TEST(raw_values_are_the_bytes_as_they_stand) {
    struct json_reader r;
    json_reader_init(&r, STR("{\"a\": {\"x\" : [1, 2]} , \"b\":\"\\n\"}"));
    json_next(&r), json_next(&r);
    assert_str(json_raw_value(&r), "{\"x\" : [1, 2]}");
    json_next(&r);
    assert_str(json_raw_value(&r), "\"\\n\"");
    assert_int_equal(json_next(&r), JSON_OBJECT_END);
    json_reader_done(&r);
    json_reader_init(&r, STR("[ 1 ,[2], {\"c\":3} ]"));
    json_next(&r);
    assert_str(json_raw_value(&r), "1");
    assert_str(json_raw_value(&r), "[2]");
    assert_str(json_raw_value(&r), "{\"c\":3}");
    assert_null(json_raw_value(&r).p);
    assert_null(r.error);
    assert_int_equal(json_next(&r), JSON_END);
    json_reader_done(&r);
    json_reader_init(&r, STR("[1,x]"));
    json_next(&r), json_raw_value(&r);
    assert_null(json_raw_value(&r).p);
    assert_non_null(r.error);
    json_reader_done(&r);
    json_reader_init(&r, STR("[]"));
    json_next(&r);
    assert_null(json_raw_value(&r).p);
    assert_int_equal(json_next(&r), JSON_END);
    json_reader_done(&r);
}

// What the writer writes, the reader reads; whatever bytes the text has.
TEST(any_text_survives_the_round_trip) {
    uint64_t seed = 3;
    struct buf b = {0};
    for (int round = 0; round < 2000; round++) {
        char text[40];
        size_t n = test_random(&seed) % sizeof(text);
        for (size_t i = 0; i < n; i++) text[i] = (char)(test_random(&seed) % 128);
        struct json_writer w = json_to(&b);
        json_string(&w, str_make(text, n));
        struct json_reader r;
        json_reader_init(&r, buf_str(&b));
        assert_int_equal(json_next(&r), JSON_STRING);
        assert_true(str_eq(r.text, str_make(text, n)));
        json_reader_done(&r);
        buf_clear(&b);
    }
    buf_done(&b);
}
