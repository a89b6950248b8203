// SPDX-License-Identifier: Apache-2.0
#include <connectd/json.h>
#include <math.h>

#include "test.h"

static int grow(struct cn_batch *b, uint32_t need) {
    uint32_t cap = b->cap * 2;
    while (cap < need) cap *= 2;
    b->base = realloc(b->base, cap);
    b->cap = cap;
    return b->base ? 0 : -1;
}
static struct cn_batch new_batch(void) {
    struct cn_batch b;
    cn_batch_init(&b, malloc(256), 256, grow, NULL);
    return b;
}
#define SHOWS(j, want)                                                                                                 \
    do {                                                                                                               \
        assert_int_equal((j).failed, 0);                                                                               \
        cn_json_char(&(j), '\0');                                                                                      \
        assert_string_equal((j).p, want);                                                                              \
        cn_json_done(&(j));                                                                                            \
    } while (0)

static void round_trip(const char *text, const char *want) {
    struct cn_batch b = new_batch();
    struct cn_cell c;
    const char *error = "";
    size_t at;
    struct cn_json j = {0};
    if (cn_json_parse(&b, text, strlen(text), &c, &error, &at) != 0) fail_msg("%s: %s at %zu", text, error, at);
    cn_json_value(&j, &b, &c, CN_NO_SCHEMA);
    SHOWS(j, want);
    free(b.base);
}

TEST(what_is_parsed_is_written_back) {
    static const char *const same[] = {"null", "true", "false", "0", "-9223372036854775808", "9223372036854775807", "1.5", "\"\"", "[]", "{}",
        "[1,[2,[3]],{\"a\":{}}]", "{\"a\":1,\"b\":[true,false,null],\"\":\"x\"}", "\"\xc3\xa9\xf0\x9f\x98\x80\"", "\"tab\\tquote\\\"back\\\\\\u0001\""};
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) round_trip(same[i], same[i]);
    round_trip(" [ 1 , 2 ] ", "[1,2]");
    round_trip("\"\\u00e9\\ud83d\\ude00\\/\"", "\"\xc3\xa9\xf0\x9f\x98\x80/\"");
    round_trip("9223372036854775808", "9.223372036854776e+18");
    round_trip("-0", "0");
    round_trip("1e2", "100.0");
}

TEST(malformed_json_is_refused_with_its_reason) {
    static const struct { const char *text, *error; } wrong[] = {
        {"", "unexpected end"}, {"[1,", "unexpected end"}, {"{\"a\"}", "expected ':'"}, {"{a:1}", "expected a key"}, {"[1 2]", "expected ','"},
        {"01", "malformed number"}, {"1.", "malformed number"}, {"1e", "malformed number"}, {"-", "malformed number"}, {"nul", "no JSON value"},
        {"\"a", "without an end"}, {"\"\\x\"", "malformed escape"}, {"\"\\ud800\"", "malformed escape"}, {"\"\\u12\"", "malformed escape"},
        {"\"a\nb\"", "control character"}, {"\"\xff\"", "not UTF-8"}, {"\"\xc0\xaf\"", "not UTF-8"}, {"\"\xed\xa0\x80\"", "not UTF-8"}, {"1 2", "more than one"}};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct cn_batch b = new_batch();
        struct cn_cell c;
        const char *error = NULL;
        assert_int_equal(cn_json_parse(&b, wrong[i].text, strlen(wrong[i].text), &c, &error, NULL), -1);
        assert_has(error, wrong[i].error);
        free(b.base);
    }
}

TEST(json_cut_at_every_byte_is_refused) {
    const char *doc = "{\"a\":[1.5e3,true,null],\"b\":\"\\ud83d\\ude00\\n\xc3\xa9\",\"c\":{\"d\":[]}}";
    for (size_t cut = 0; cut < strlen(doc); cut++) {
        struct cn_batch b = new_batch();
        struct cn_cell c;
        char *copy = malloc(cut ? cut : 1);
        memcpy(copy, doc, cut);
        assert_int_equal(cn_json_parse(&b, copy, cut, &c, NULL, NULL), -1);
        free(copy), free(b.base);
    }
}

TEST(nesting_is_bounded_both_ways) {
    char deep[200];
    struct cn_batch b = new_batch();
    struct cn_cell c;
    const char *error = "";
    memset(deep, '[', 100), memset(deep + 100, ']', 100);
    assert_int_equal(cn_json_parse(&b, deep, 200, &c, &error, NULL), -1);
    assert_has(error, "nested");
    assert_int_equal(cn_json_parse(&b, deep + 36, 128, &c, &error, NULL), 0);
    for (int i = 0; i < 2; i++) { // once more around: 65 and 66 levels
        cn_off at = cn_cells(&b, 1);
        cn_set(&b, at, 0, c);
        c = cn_run(CN_ARRAY, at, 1);
    }
    struct cn_json j = {0};
    cn_json_value(&j, &b, &c, CN_NO_SCHEMA);
    cn_json_base64(&j, "x", 1); // what comes behind does not change why
    assert_int_equal(j.failed, 2);
    cn_json_done(&j);
    free(b.base);
}

TEST(numbers_read_back_as_they_were) {
    struct cn_json j = {0};
    const double values[] = {1.0, 0.1, 1e22, 1.7976931348623157e308, 5e-324, -3.25, 0.30000000000000004, 123456789012345680.0};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        cn_json_clear(&j);
        cn_json_float(&j, values[i], 0);
        cn_json_char(&j, '\0');
        assert_true(strtod(j.p, NULL) == values[i]);
    }
    cn_json_clear(&j);
    cn_json_float(&j, 0.1f, 1), cn_json_char(&j, ' ');
    cn_json_float(&j, 1.0, 0), cn_json_char(&j, ' ');
    cn_json_float(&j, NAN, 0), cn_json_float(&j, -INFINITY, 0);
    SHOWS(j, "0.1 1.0 \"NaN\"\"-Infinity\"");
}

TEST(bytes_are_base64) {
    struct cn_json j = {0};
    cn_json_base64(&j, "", 0), cn_json_base64(&j, "f", 1), cn_json_base64(&j, "fo", 2), cn_json_base64(&j, "foo", 3), cn_json_base64(&j, "foob", 4);
    SHOWS(j, "\"\"\"Zg==\"\"Zm8=\"\"Zm9v\"\"Zm9vYg==\"");
}

TEST(decimals_are_numbers_when_asked) {
    static const struct { unsigned char p[3]; size_t n; long scale; const char *want; } cases[] = {
        {{0x30, 0x39}, 2, 2, "123.45"}, {{0xff, 0x85}, 2, 2, "-1.23"}, {{0x30, 0x39}, 2, 7, "0.0012345"}, {{0x30, 0x39}, 2, -2, "1234500"},
        {{0}, 1, 2, "0.00"}, {{0}, 0, 0, "0"}, {{0}, 1, -3, "0"}, {{0x80}, 1, 0, "-128"}, {{0x00, 0x80}, 2, 0, "128"}, {{0xff}, 1, 0, "-1"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct cn_json j = {0};
        cn_json_decimal(&j, cases[i].p, cases[i].n, cases[i].scale);
        SHOWS(j, cases[i].want);
    }
}

TEST(strings_that_are_not_utf_8_still_make_valid_json) {
    struct cn_json j = {0};
    cn_json_string(&j, "a\xff\xc3", 3);
    SHOWS(j, "\"a\xef\xbf\xbd\xef\xbf\xbd\"");
}

TEST(a_limit_stops_the_writer_for_good) {
    struct cn_json j = {.limit = 10};
    cn_json_stringz(&j, "12345678");
    assert_int_equal(j.failed, 0);
    cn_json_char(&j, 'x');
    cn_json_char(&j, 'y');
    assert_int_equal(j.failed, 1);
    assert_int_equal(j.n, 10);
    cn_json_done(&j);
}

static struct cn_schema_blob *order_schema(void) {
    static const char *const scale[] = {"scale", "2"};
    struct cn_schema_builder s = {0};
    cn_off i = cn_sb_type(&s, CN_INT64, 0, NULL, 0), t = cn_sb_type(&s, CN_STRING, 1, NULL, 0);
    cn_off d = cn_sb_type(&s, CN_BYTES, 1, CN_DECIMAL_NAME, 1), tags = cn_sb_array(&s, t, 1), counts = cn_sb_map(&s, i, t, 1);
    cn_off root = cn_sb_type(&s, CN_STRUCT, 0, "order", 0);
    cn_sb_params(&s, d, scale, 1);
    cn_sb_fields(&s, root, (struct cn_sb_field[]){{"id", i}, {"note", t}, {"price", d}, {"tags", tags}, {"counts", counts}}, 5);
    return cn_sb_finish(&s, root);
}

TEST(a_struct_is_written_by_its_schema_and_absent_fields_are_left_out) {
    struct cn_batch b = new_batch();
    struct cn_schema_blob *blob = order_schema();
    uint16_t schema = cn_schema_use(&b, blob);
    uint32_t r = cn_record(&b, cn_topic(&b, "orders", 6));
    cn_off f = cn_cells(&b, 5), tags = cn_cells(&b, 2), counts = cn_cells(&b, 2);
    cn_set(&b, f, 0, cn_int(CN_INT64, 7));
    cn_set(&b, f, 1, cn_absent());
    cn_set(&b, f, 2, cn_bytes(&b, "\x30\x39", 2));
    cn_set(&b, tags, 0, cn_stringz(&b, "a"));
    cn_set(&b, f, 3, cn_run(CN_ARRAY, tags, 2));
    cn_set(&b, counts, 0, cn_int(CN_INT64, 1));
    cn_set(&b, counts, 1, cn_stringz(&b, "one"));
    cn_set(&b, f, 4, cn_run(CN_MAP, counts, 1));
    cn_set_key(&b, r, cn_stringz(&b, "k"), CN_NO_SCHEMA);
    cn_set_value(&b, r, cn_run(CN_STRUCT, f, 5), schema);
    cn_header_add(&b, r, "h", cn_int(CN_INT32, 1));
    cn_record_at(&b, r)->timestamp = 5;
    struct cn_json j = {.decimals = 1}, k = {0};
    cn_json_record(&j, &b, cn_record_at(&b, r));
    SHOWS(j, "{\"topic\":\"orders\",\"partition\":null,\"offset\":0,\"timestamp\":5,\"key\":\"k\","
             "\"value\":{\"id\":7,\"price\":123.45,\"tags\":[\"a\",null],\"counts\":[[1,\"one\"]]},\"headers\":[[\"h\",1]]}");
    cn_json_value(&k, &b, &cn_record_at(&b, r)->value, schema);
    SHOWS(k, "{\"id\":7,\"price\":\"MDk=\",\"tags\":[\"a\",null],\"counts\":[[1,\"one\"]]}");
    free(blob), free(b.base);
}
