// SPDX-License-Identifier: Apache-2.0
#include "cli/doc.h"

#include "test.h"

TEST(a_text_becomes_a_tree_and_a_text_again) {
    static const char text[] = "{\"a\":{\"b\":[1,-2.5e3,\"x\\ny\",true,false,null]},\"c\":\"\"}";
    struct doc d;
    struct err err;
    struct buf out = {0};
    struct json_writer w = json_to(&out);
    assert_ok(doc_parse(&d, str_of(text), &err), err);
    doc_write(d.root, &w);
    assert_buf(&out, text);
    buf_done(&out);
    doc_done(&d);
}

TEST(members_are_found_by_name_and_path_and_missing_ones_are_harmless) {
    struct doc d;
    struct err err;
    assert_ok(doc_parse(&d, STR("{\"a\":{\"b\":7},\"s\":\"t\",\"yes\":true,\"list\":[1,2]}"), &err), err);
    assert_int_equal(doc_int(doc_get(d.root, "a"), "b", 0), 7);
    assert_str(doc_at(d.root, "a.b")->text, "7");
    assert_null(doc_at(d.root, "a.x.b"));
    assert_string_equal(doc_text(d.root, "s", ""), "t");
    assert_string_equal(doc_text(d.root, "none", "otherwise"), "otherwise");
    assert_true(doc_true(d.root, "yes"));
    assert_false(doc_true(NULL, "yes"));
    assert_int_equal(doc_count(doc_get(d.root, "list")), 2);
    assert_int_equal(doc_count(NULL), 0);
    doc_done(&d);
}

TEST(every_cut_of_a_text_is_refused) {
    static const char text[] = "{\"a\":[1,true,{\"b\":\"\\u00e9\"}]}";
    for (size_t n = 0; n < sizeof text - 1; n++) {
        struct doc d;
        struct err err;
        assert_fails(doc_parse(&d, str_make(text, n), &err), err, ERR_INVALID);
    }
}

TEST(a_second_value_behind_the_first_is_refused) {
    struct doc d;
    struct err err;
    assert_fails(doc_parse(&d, STR("{} {}"), &err), err, ERR_INVALID);
}
