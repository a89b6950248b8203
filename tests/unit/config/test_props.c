// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include <stdlib.h>

#include "config/props.h"
#include "test.h"

static const struct place nowhere;

TEST(options_are_kept_in_order_and_found_by_key) {
    struct props p = {0};
    char key[16];
    for (int i = 0; i < 100; i++) {
        snprintf(key, sizeof(key), "k%d", 99 - i);
        props_add(&p, str_of(key), str_of(key), nowhere);
    }
    assert_string_equal(p.items[0].key, "k99");
    assert_string_equal(props_get(&p, "k42")->value, "k42");
    assert_string_equal(props_text(&p, "none", "otherwise"), "otherwise");
    props_remove(&p, "k50");
    props_remove(&p, "k50");
    assert_null(props_get(&p, "k50"));
    assert_string_equal(props_get(&p, "k0")->value, "k0"); // those behind moved up
    assert_int_equal(p.n, 99);
    props_done(&p);
}

TEST(setting_replaces_a_list_by_a_text) {
    struct props p = {0};
    struct str items[] = {STR("a,b"), STR("c")};
    struct prop *list = props_add_list(&p, STR("l"), items, 2, nowhere);
    assert_string_equal(list->value, "a,b,c");
    props_set(&p, "l", props_text(&p, "l", NULL)); // its own text
    assert_false(props_get(&p, "l")->is_list);
    assert_string_equal(props_get(&p, "l")->value, "a,b,c");
    props_set(&p, "new", "x");
    assert_string_equal(props_text(&p, "new", NULL), "x");
    props_done(&p);
}

TEST(a_secret_reference_marks_its_option) {
    struct props p = {0};
    struct str items[] = {STR("plain"), STR("${env:X}")};
    assert_true(props_add(&p, STR("a"), STR("x ${file:y} z"), nowhere)->secret);
    assert_false(props_add(&p, STR("b"), STR("${topic}-${timestamp}"), nowhere)->secret);
    assert_false(props_add(&p, STR("c"), STR("$${env:X}"), nowhere)->secret);
    assert_true(props_add_list(&p, STR("d"), items, 2, nowhere)->secret);
    props_done(&p);
}

TEST(equality_ignores_order_and_places_but_not_list_items) {
    struct props a = {0}, b = {0};
    struct str one[] = {STR("x,y")}, two[] = {STR("x"), STR("y")};
    props_add(&a, STR("k"), STR("1"), nowhere), props_add_list(&a, STR("l"), one, 1, nowhere);
    props_add_list(&b, STR("l"), one, 1, (struct place){"f", 3, 4}), props_add(&b, STR("k"), STR("1"), nowhere);
    assert_true(props_equal(&a, &b));
    props_remove(&b, "l");
    assert_false(props_equal(&a, &b));
    props_add_list(&b, STR("l"), two, 2, nowhere); // the same text, but two items
    assert_false(props_equal(&a, &b));
    props_done(&b);
    props_copy(&b, &a);
    assert_true(props_equal(&a, &b));
    props_set(&b, "k", "2");
    props_copy(&b, &a); // keeps what is there
    assert_string_equal(props_text(&b, "k", NULL), "2");
    props_done(&a), props_done(&b);
}

TEST(findings_sort_by_place_and_print_for_people_and_programs) {
    struct findings f = {0};
    struct buf out = {0};
    struct err err;
    assert_ok(findings_result(&f, &err), err);
    findings_warn(&f, (struct place){"b.yaml", 1, 1}, NULL, "odd");
    findings_error(&f, (struct place){"a.yaml", 9, 2}, "x", "second");
    findings_error(&f, (struct place){"a.yaml", 2, 7}, "url", "option %s is unknown", "ulr");
    findings_hint(&f, "did you mean %s?", "url");
    findings_error(&f, (struct place){NULL, 0, 0}, NULL, "no file");
    findings_sort(&f);
    findings_print(&f, &out);
    assert_buf(&out, "error: no file\na.yaml:2:7: error: option ulr is unknown\n    hint: did you mean url?\na.yaml:9:2: error: second\nb.yaml:1:1: warning: odd\n");
    struct json_writer w = json_to(&out);
    findings_json(&f, &w);
    assert_has(buf_cstr(&out), "{\"level\":\"error\",\"file\":\"a.yaml\",\"line\":2,\"column\":7,\"option\":\"url\",\"message\":\"option ulr is unknown\",\"hint\":\"did you mean url?\"}");
    assert_fails(findings_result(&f, &err), err, ERR_INVALID);
    assert_string_equal(err.msg, "no file (and 2 more)");
    findings_done(&f);
    findings_error(&f, (struct place){"a.yaml", 2, 7}, NULL, "wrong");
    findings_hint(&f, "do right");
    assert_fails(findings_result(&f, &err), err, ERR_INVALID);
    assert_string_equal(err.msg, "a.yaml:2:7: wrong");
    assert_string_equal(err.hint, "do right");
    findings_done(&f);
    buf_done(&out);
}
