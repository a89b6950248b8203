// SPDX-License-Identifier: Apache-2.0
#include "cli/record_json.h"

#include "test.h"

static void assert_record(const struct consumed *r, const char *want) {
    struct buf out = {0};
    record_json(r, &out);
    assert_buf(&out, want);
    buf_done(&out);
}

TEST(json_stands_as_json_text_as_a_string_and_bytes_marked) {
    const struct backend_header headers[] = {{STR("h"), STR("1"), false}, {STR("n"), {0}, true}, {STR("b"), STR("\xff"), false}};
    struct consumed r = {.topic = "orders", .partition = 1, .offset = 7, .timestamp = 5, .key = STR("{\"id\":1}"), .value = STR("hello \"you\""),
                         .headers = headers, .header_count = 3};
    assert_record(&r, "{\"topic\":\"orders\",\"partition\":1,\"offset\":7,\"timestamp\":5,\"key\":{\"id\":1},\"value\":\"hello \\\"you\\\"\","
                      "\"headers\":[[\"h\",\"1\"],[\"n\",null],[\"b\",{\"$base64\":\"/w==\"}]]}");
    r = (struct consumed){.topic = "t", .key = STR("\x80"), .value = {0}};
    assert_record(&r, "{\"topic\":\"t\",\"partition\":0,\"offset\":0,\"timestamp\":0,\"key\":{\"$base64\":\"gA==\"},\"value\":null,\"headers\":[]}");
}

TEST(line_ends_inside_json_do_not_break_the_line) {
    struct consumed r = {.topic = "t", .value = STR("{\n  \"a\": \"x\\ny\",\r\n  \"b\": [1,\n2]\n}")};
    assert_record(&r, "{\"topic\":\"t\",\"partition\":0,\"offset\":0,\"timestamp\":0,\"key\":null,\"value\":{  \"a\": \"x\\ny\",  \"b\": [1,2]},\"headers\":[]}");
}

TEST(what_only_begins_like_json_is_a_string) {
    struct consumed r = {.topic = "t", .key = STR(""), .value = STR("{\"a\":1} trailing")};
    assert_record(&r, "{\"topic\":\"t\",\"partition\":0,\"offset\":0,\"timestamp\":0,\"key\":\"\",\"value\":\"{\\\"a\\\":1} trailing\",\"headers\":[]}");
}

TEST(bytes_come_back_from_each_form) {
    static const struct { const char *json, *want; } rows[] = {
        {"{\"v\":\"text\"}", "text"}, {"{\"v\":{\"a\":[1]}}", "{\"a\":[1]}"}, {"{\"v\":{\"$base64\":\"/w==\"}}", "\xff"}, {"{\"v\":\"\"}", ""}, {"{\"v\":12}", "12"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct doc d;
        struct err err;
        struct buf room = {0};
        struct str s;
        assert_ok(doc_parse(&d, str_of(rows[i].json), &err), err);
        assert_ok(record_bytes_of(doc_get(d.root, "v"), &room, &s, &err), err);
        assert_non_null(s.p);
        assert_str(s, rows[i].want);
        assert_ok(record_bytes_of(doc_get(d.root, "absent"), &room, &s, &err), err);
        assert_null(s.p);
        buf_done(&room);
        doc_done(&d);
    }
}
