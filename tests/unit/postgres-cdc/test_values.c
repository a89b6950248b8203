// SPDX-License-Identifier: Apache-2.0
// What becomes of each type's text, in every mode: rows of (type, typmod, text, JSON).
#include <connectd/json.h>

#include "value.h"

#include "test.h" // last: cmocka makes a macro of `fail`

static const struct type_modes plain = {.money_digits = 2};

static const struct pg_type catalog[] = {
    {.oid = 20001, .kind = 'e', .name = (char *)(uintptr_t) "mood", .labels = (char *)(uintptr_t) "sad,ok,happy", .base_typmod = -1},
    {.oid = 20002, .kind = 'd', .name = (char *)(uintptr_t) "positive", .base = 23, .base_typmod = -1},
    {.oid = 20003, .kind = 'd', .name = (char *)(uintptr_t) "price", .base = 1700, .base_typmod = (10 << 16 | 2) + 4},
    {.oid = 20004, .kind = 'b', .name = (char *)(uintptr_t) "_mood", .element = 20001, .delimiter = ',', .base_typmod = -1},
    {.oid = 20005, .kind = 'b', .name = (char *)(uintptr_t) "_positive", .element = 20002, .delimiter = ',', .base_typmod = -1},
    {.oid = 20006, .kind = 'b', .name = (char *)(uintptr_t) "hstore", .base_typmod = -1},
    {.oid = 20007, .kind = 'b', .name = (char *)(uintptr_t) "citext", .base_typmod = -1},
    {.oid = 20008, .kind = 'b', .name = (char *)(uintptr_t) "geometry", .base_typmod = -1},
    {.oid = 20009, .kind = 'b', .name = (char *)(uintptr_t) "vector", .base_typmod = -1},
    {.oid = 20010, .kind = 'b', .name = (char *)(uintptr_t) "sparsevec", .base_typmod = -1},
    {.oid = 20011, .kind = 'c', .name = (char *)(uintptr_t) "pair", .base_typmod = -1},
};
static const struct pg_type *lookup(void *arg, uint32_t oid) {
    (void)arg;
    for (size_t i = 0; i < sizeof catalog / sizeof catalog[0]; i++)
        if (catalog[i].oid == oid) return &catalog[i];
    return NULL;
}

/* "!" when the text is refused, "-" when the type is dropped. */
static void value_is(const struct type_modes *m, uint32_t oid, int32_t typmod, const char *text, const char *want) {
    static uint64_t memory[8192];
    struct values v;
    struct vtype t;
    struct cn_batch b;
    struct cn_cell c = cn_null();
    struct cn_schema_builder sb = {0};
    struct cn_json j = {0};
    assert_int_equal(values_init(&v, "placeholder", "6ef9a9b9fd6a8d1f6b3bb8e7ee2bb6bb"), 0);
    cn_batch_init(&b, memory, sizeof memory, NULL, NULL);
    vtype_resolve(m, oid, typmod, lookup, NULL, &t);
    cn_off node = vtype_schema(&sb, &t, 1);
    if (t.conv == CONV_DROPPED) {
        assert_string_equal("-", want);
        assert_int_equal(node, 0);
        values_done(&v);
        return;
    }
    struct cn_schema_blob *blob = cn_sb_finish(&sb, node);
    assert_non_null(blob);
    if (value_cell(&v, &b, &t, text_of(text), &c) != 0) cn_json_z(&j, "!");
    else cn_json_cell(&j, &b, &c, blob, cn_schema_root(blob));
    assert_false(b.failed);
    assert_false(j.failed);
    cn_json_char(&j, 0);
    assert_string_equal(j.p, want);
    cn_json_done(&j);
    free(blob);
    values_done(&v);
}

struct row { uint32_t oid; int32_t typmod; const char *text, *want; };
static void rows_are(const struct type_modes *m, const struct row *r, size_t n) {
    for (size_t i = 0; i < n; i++) value_is(m, r[i].oid, r[i].typmod, r[i].text, r[i].want);
}
#define ROWS(m, ...) rows_are(m, (const struct row[]){__VA_ARGS__}, sizeof((const struct row[]){__VA_ARGS__}) / sizeof(struct row))
#define NUMERIC(p, s) (((p) << 16 | (s)) + 4)

TEST(scalars_in_the_default_modes) {
    ROWS(&plain, {16, -1, "t", "true"}, {16, -1, "f", "false"}, {16, -1, "x", "!"}, {21, -1, "-32768", "-32768"},
         {23, -1, "2147483647", "2147483647"}, {20, -1, "-9223372036854775808", "-9223372036854775808"}, {20, -1, "9223372036854775808", "!"},
         {26, -1, "4294967295", "4294967295"}, {23, -1, "", "!"}, {23, -1, "1x", "!"}, {25, -1, "a\"b", "\"a\\\"b\""}, {1042, 9, "ab   ", "\"ab   \""},
         {2950, -1, "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "\"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11\""}, {869, -1, "10.1.2.3/8", "\"10.1.2.3/8\""},
         {17, -1, "\\x00ff10", "\"AP8Q\""}, {17, -1, "\\x", "\"\""}, {17, -1, "00ff", "!"}, {17, -1, "\\x0", "!"});
}

TEST(floats_are_read_exactly) {
    ROWS(&plain, {700, -1, "1.5", "1.5"}, {700, -1, "0.1", "0.1"}, {700, -1, "-Infinity", "\"-Infinity\""}, {701, -1, "NaN", "\"NaN\""},
         {701, -1, "0.1", "0.1"}, {701, -1, "2.25", "2.25"}, {701, -1, "-0", "-0.0"}, {701, -1, "1e+20", "1e+20"}, {701, -1, "1.7976931348623157e+308", "1.7976931348623157e+308"},
         {701, -1, "123456789012345", "123456789012345.0"}, {701, -1, "0.30000000000000004", "0.30000000000000004"}, {701, -1, "abc", "!"}, {701, -1, "", "!"});
    uint64_t seed = 3;
    struct values v;
    assert_int_equal(values_init(&v, "", ""), 0);
    for (int i = 0; i < 100000; i++) { /* the quick way gives what strtod gives */
        char text[64];
        double d;
        int whole = (int)(test_random(&seed) % 8) + 1, frac = (int)(test_random(&seed) % 8);
        snprintf(text, sizeof text, "%s%.*llu.%0*llu", test_random(&seed) % 2 ? "-" : "", whole, (unsigned long long)(test_random(&seed) % 100000000), frac + 1,
                 (unsigned long long)(test_random(&seed) % 10));
        assert_int_equal(value_double(&v, text_of(text), &d), 0);
        assert_true(d == strtod(text, NULL));
    }
    values_done(&v);
}

TEST(decimals_by_mode) {
    struct type_modes s = plain, d = plain;
    s.decimal = DECIMAL_STRING;
    d.decimal = DECIMAL_DOUBLE;
    ROWS(&plain, {1700, NUMERIC(12, 3), "123.456", "\"AeJA\""}, {1700, NUMERIC(20, 0), "98765432109876543210", "\"BVqlTTjlJn7q\""},
         {1700, -1, "3.14159", "{\"scale\":5,\"value\":\"BMsv\"}"}, {1700, -1, "100", "{\"scale\":0,\"value\":\"ZA==\"}"},
         {1700, -1, "1.500", "{\"scale\":1,\"value\":\"Dw==\"}"}, {1700, -1, "0.000", "{\"scale\":0,\"value\":\"AA==\"}"},
         {1700, NUMERIC(5, 2), "NaN", "!"}, {1700, -1, "Infinity", "!"}, {20003, -1, "9.99", "\"A+c=\""},
         {1700, ((3 << 16) | (0x800 - 2)) + 4, "12300", "\"MAw=\""}, {790, -1, "$12.34", "\"BNI=\""}, {790, -1, "-$0.05", "\"+w==\""});
    ROWS(&s, {1700, NUMERIC(12, 3), "123.400", "\"123.400\""}, {1700, -1, "NaN", "\"NAN\""}, {1700, -1, "-Infinity", "\"NEGATIVE_INFINITY\""},
         {790, -1, "$1,234.56", "\"1234.56\""}, {790, -1, "-$0.05", "\"-0.05\""});
    ROWS(&d, {1700, NUMERIC(12, 3), "123.456", "123.456"}, {1700, -1, "NaN", "\"NaN\""}, {790, -1, "-$0.05", "-0.05"});
}

TEST(money_is_rounded_half_up_to_its_digits) {
    struct type_modes m = plain;
    m.money_digits = 1;
    ROWS(&m, {790, -1, "$12.34", "\"ew==\""}, {790, -1, "$12.35", "\"fA==\""}, {790, -1, "$9.95", "\"ZA==\""}, {790, -1, "$0.05", "\"AQ==\""});
    m.money_digits = 4;
    ROWS(&m, {790, -1, "$12.34", "\"AeII\""});
    m.money_digits = 0;
    ROWS(&m, {790, -1, "$99.50", "\"ZA==\""});
}

TEST(bits_are_little_endian_without_leading_zeros) {
    ROWS(&plain, {1560, 1, "1", "true"}, {1560, 1, "0", "false"}, {1560, 8, "10100101", "\"pQ==\""}, {1562, 20, "101", "\"BQ==\""},
         {1560, 16, "0000000100000010", "\"AgE=\""}, {1560, 8, "00000000", "\"\""}, {1562, -1, "11111111", "\"/w==\""}, {1560, 8, "2", "\"\""});
}

TEST(times_in_the_adaptive_mode) {
    ROWS(&plain, {1082, -1, "2024-02-29", "19782"}, {1083, -1, "13:14:15.123456", "47655123456"}, {1083, 3, "13:14:15.123", "47655123"},
         {1083, 0, "13:14:15", "47655000"}, {1083, -1, "24:00:00", "86400000000"}, {1114, -1, "2024-02-29 13:14:15.123456", "1709212455123456"},
         {1114, 3, "2024-02-29 13:14:15.123", "1709212455123"}, {1114, 0, "1969-12-31 23:59:59", "-1000"}, {1114, -1, "infinity", "9223372036825200000"},
         {1114, -1, "-infinity", "-9223372036832400000"}, {1114, 3, "infinity", "9223372036825200"},
         {1184, -1, "2024-02-29 11:14:15.123456+00", "\"2024-02-29T11:14:15.123456Z\""}, {1184, 3, "2024-02-29 11:14:15.1+00", "\"2024-02-29T11:14:15.100Z\""},
         {1184, 0, "2024-02-29 11:14:15+00", "\"2024-02-29T11:14:15Z\""}, {1184, -1, "1970-01-01 00:00:00+00", "\"1970-01-01T00:00:00.000000Z\""},
         {1184, -1, "21016-11-04 05:51:30+00", "\"+21016-11-04T05:51:30.000000Z\""}, {1184, -1, "infinity", "\"infinity\""},
         {1266, -1, "13:14:15.5+02", "\"11:14:15.5Z\""}, {1186, -1, "1 year 2 mons 3 days 04:05:06.789", "37091106789000"},
         {1114, -1, "294276-12-31 23:59:59", "!"}, {1082, -1, "infinity", "-2147472692"}, {1082, -1, "2024-02-30x", "!"});
}

TEST(times_in_the_other_modes) {
    struct type_modes m = plain;
    m.time = TIME_CONNECT;
    ROWS(&m, {1083, -1, "13:14:15.123456", "47655123"}, {1114, -1, "1969-12-31 23:59:59.999999", "-1"}, {1082, -1, "1970-01-02", "1"});
    m.time = TIME_ISOSTRING;
    ROWS(&m, {1082, -1, "2024-02-29", "\"2024-02-29Z\""}, {1083, -1, "13:14:15.5", "\"13:14:15.5Z\""}, {1083, -1, "24:00:00", "\"00:00:00Z\""},
         {1114, 3, "2024-02-29 13:14:15", "\"2024-02-29T13:14:15Z\""}, {1114, -1, "infinity", "\"+294247-01-10T04:00:25.2Z\""});
    m.time = TIME_ADAPTIVE_MICROS;
    ROWS(&m, {1083, 0, "13:14:15", "47655000000"}, {1114, 3, "1970-01-01 00:00:00.001", "1"});
    m.time = TIME_MICROS;
    ROWS(&m, {1083, 0, "00:00:01", "1000000"}, {1114, 0, "1970-01-01 00:00:01", "1000000"});
    m.time = TIME_NANOS;
    ROWS(&m, {1083, 0, "00:00:01", "1000000000"}, {1114, 0, "1970-01-01 00:00:01", "1000000000"}, {1114, 0, "infinity", "9223372036854775807"});
    m.interval = INTERVAL_STRING;
    ROWS(&m, {1186, -1, "-1 days +00:00:00.5", "\"P0Y0M-1DT0H0M0.5S\""});
}

TEST(binary_modes) {
    struct type_modes m = plain;
    m.binary = BINARY_BASE64;
    ROWS(&m, {17, -1, "\\xfbff10", "\"+/8Q\""}, {17, -1, "\\xfb", "\"+w==\""});
    m.binary = BINARY_BASE64_URL;
    ROWS(&m, {17, -1, "\\xfbff10", "\"-_8Q\""});
    m.binary = BINARY_HEX;
    ROWS(&m, {17, -1, "\\x00ff10", "\"00ff10\""});
    m.include_unknown = 1;
    ROWS(&m, {3615, -1, "'fat'", "\"2766617427\""});
}

TEST(arrays_are_one_dimensional) {
    ROWS(&plain, {1007, -1, "{1,2,NULL,3}", "[1,2,null,3]"}, {1007, -1, "{}", "[]"}, {1007, -1, "{{1,2},{3,4}}", "[null,null]"},
         {1009, -1, "{a,\"b c\",NULL,\"d\\\"q\"}", "[\"a\",\"b c\",null,\"d\\\"q\"]"}, {1231, NUMERIC(10, 2), "{1.10,2.25}", "[\"bg==\",\"AOE=\"]"},
         {1115, -1, "{\"2024-01-01 00:00:00\"}", "[1704067200000000]"}, {1001, -1, "{\"\\\\x00ff\"}", "[\"AP8=\"]"}, {1007, -1, "{1,x}", "!"},
         {1007, -1, "1", "!"}, {20004, -1, "{ok,sad}", "[\"ok\",\"sad\"]"}, {20005, -1, "{1}", "-"}, {1003, -1, "{a}", "-"}, {791, -1, "{$1}", "-"});
}

TEST(types_of_extensions_and_users) {
    struct type_modes map = plain, unknown = plain;
    map.hstore = HSTORE_MAP;
    unknown.include_unknown = 1;
    ROWS(&plain, {20001, -1, "ok", "\"ok\""}, {20002, -1, "5", "5"}, {20006, -1, "\"a\"=>\"1\", \"b\"=>NULL", "\"{\\\"a\\\":\\\"1\\\",\\\"b\\\":null}\""},
         {20006, -1, "x", "!"}, {20007, -1, "Case", "\"Case\""}, {20009, -1, "[1,2.5]", "[1.0,2.5]"}, {20009, -1, "[]", "[]"},
         {20010, -1, "{1:0.5,3:2}/5", "{\"dimensions\":5,\"vector\":[[1,0.5],[3,2.0]]}"},
         {20008, -1, "0101000020E6100000000000000000F83F00000000000004C0", "{\"wkb\":\"AQEAACDmEAAAAAAAAAAA+D8AAAAAAAAEwA==\",\"srid\":4326}"},
         {600, -1, "(1.5,-2.5)", "{\"x\":1.5,\"y\":-2.5,\"wkb\":\"AQEAAAAAAAAAAAD4PwAAAAAAAATA\",\"srid\":null}"}, {600, -1, "(1.5)", "!"},
         {20011, -1, "(1,2)", "-"}, {99999, -1, "x", "-"}, {3615, -1, "'a'", "-"});
    ROWS(&map, {20006, -1, "\"a\"=>\"1\", \"b\"=>NULL", "{\"a\":\"1\",\"b\":null}"});
    ROWS(&unknown, {20011, -1, "(1,2)", "\"KDEsMik=\""}, {99999, -1, "x", "\"eA==\""});
}

static void cell_is(struct cn_batch *b, const struct vtype *t, struct cn_cell c, const char *want) {
    struct cn_schema_builder sb = {0};
    struct cn_json j = {0};
    cn_off root = vtype_schema(&sb, t, 1);
    struct cn_schema_blob *blob = cn_sb_finish(&sb, root);
    cn_json_cell(&j, b, &c, blob, cn_schema_root(blob));
    cn_json_char(&j, 0);
    assert_string_equal(j.p, want);
    cn_json_done(&j);
    free(blob);
}

TEST(what_stands_for_null_and_for_unsent_values) {
    static uint64_t memory[8192];
    static const struct { uint32_t oid; int32_t typmod; const char *zero, *unsent; } cases[] = {
        {25, -1, "\"\"", "\"gone\""}, {23, -1, "0", "null"}, {16, -1, "false", "null"}, {1700, NUMERIC(10, 2), "\"AA==\"", "null"},
        {1700, -1, "{\"scale\":0,\"value\":\"AA==\"}", "null"}, {17, -1, "\"\"", "\"Z29uZQ==\""}, {1184, -1, "\"1970-01-01T00:00:00Z\"", "null"},
        {3802, -1, "\"\"", "\"gone\""}, {1007, -1, "[]", "[103,111,110,101]"}, {1009, -1, "[]", "[\"gone\"]"}, {1016, -1, "[]", "[103,111,110,101]"},
        {2951, -1, "[]", "[\"6ef9a9b9-fd6a-3d1f-ab3b-b8e7ee2bb6bb\"]"}, {1001, -1, "[]", "[\"Z29uZQ==\"]"}, {1231, -1, "[]", "null"},
        {20006, -1, "\"{}\"", "\"{\\\"gone\\\":\\\"gone\\\"}\""}, {600, -1, "{\"x\":0.0,\"y\":0.0,\"wkb\":\"AQEAAAAAAAAAAAAAAAAAAAAAAAAA\",\"srid\":null}", "null"}};
    struct values v;
    assert_int_equal(values_init(&v, "gone", "6ef9a9b9fd6a8d1f6b3bb8e7ee2bb6bb"), 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct cn_batch b;
        struct vtype t;
        cn_batch_init(&b, memory, sizeof memory, NULL, NULL);
        vtype_resolve(&plain, cases[i].oid, cases[i].typmod, lookup, NULL, &t);
        cell_is(&b, &t, value_zero(&b, &t), cases[i].zero);
        cell_is(&b, &t, value_unsent(&v, &b, &t), cases[i].unsent);
    }
    values_done(&v);
}

TEST(texts_cut_anywhere_stay_within_their_bytes) {
    static uint64_t memory[8192];
    static const struct { uint32_t oid; const char *text; } cases[] = {
        {1700, "-123456789012345678901234567890.12345"}, {790, "-$1,234,567.89"}, {17, "\\x00ff10ab"}, {1184, "0044-03-15 12:00:00.5+00 BC"}, {600, "(1.5e10,-2.5)"},
        {20006, "\"a\"=>\"1\", \"b\"=>NULL"}, {20008, "0101000020E6100000000000000000F83F00000000000004C0"}, {20009, "[1,2.5,3]"}, {20010, "{1:0.5,3:2}/5"},
        {1009, "{a,\"b c\",NULL,{x}}"}, {1562, "10101010101"}, {1186, "1 year 2 mons 3 days 04:05:06.789"}};
    struct values v;
    assert_int_equal(values_init(&v, "gone", ""), 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (size_t n = 0; n <= strlen(cases[i].text); n++) {
            struct cn_batch b;
            struct vtype t;
            struct cn_cell c;
            char *exact = malloc(n ? n : 1);
            memcpy(exact, cases[i].text, n);
            cn_batch_init(&b, memory, sizeof memory, NULL, NULL);
            vtype_resolve(&plain, cases[i].oid, -1, lookup, NULL, &t);
            value_cell(&v, &b, &t, (struct text){exact, n}, &c);
            assert_false(b.failed);
            free(exact);
        }
    values_done(&v);
}

TEST(a_batch_too_small_fails_and_nothing_is_written_behind_it) {
    struct values v;
    struct vtype t;
    assert_int_equal(values_init(&v, "gone", ""), 0);
    vtype_resolve(&plain, 1009, -1, lookup, NULL, &t);
    for (uint32_t cap = 256; cap < 512; cap += 8) {
        uint64_t *memory = malloc(cap);
        struct cn_batch b;
        struct cn_cell c;
        cn_batch_init(&b, memory, cap, NULL, NULL);
        value_cell(&v, &b, &t, text_of("{aaaaaaaaaaaaaaaaaaaaaaa,bbbbbbbbbbbbbbbbbbbbbbbbbbb,cccccccccccccccccccccccccc,d,e,f}"), &c);
        free(memory);
    }
    values_done(&v);
}
