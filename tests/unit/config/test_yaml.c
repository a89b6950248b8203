// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include <stdlib.h>

#include "config/yaml.h"
#include "test.h"

static struct yaml y;
static struct props props;
static struct findings f;

static void reset(void) {
    yaml_done(&y);
    props_done(&props);
    findings_done(&f);
}

static bool typed(const char *key) { return !strcmp(key, "value.converter"); }

static int flatten(const char *text) {
    reset();
    if (yaml_parse(&y, "t.yaml", str_of(text), &f)) return -1;
    return y.root ? yaml_flatten(y.root, "", typed, &props, &f) : 0;
}

// The options as "key=value;" in order; lists as [a|b].
static void assert_flat(const char *text, const char *want) {
    struct buf out = {0};
    if (flatten(text)) {
        findings_print(&f, &out);
        fail_msg("%s", buf_cstr(&out));
    }
    for (size_t i = 0; i < props.n; i++) {
        const struct prop *p = &props.items[i];
        buf_printf(&out, "%s=", p->key);
        if (!p->is_list) buf_putz(&out, p->value);
        for (size_t k = 0; k < p->item_count; k++) buf_printf(&out, "%s%s", k ? "|" : "[", p->items[k]);
        buf_putz(&out, p->is_list ? "];" : ";");
    }
    assert_buf(&out, want);
    buf_done(&out);
    reset();
}

static void assert_error(const char *text, const char *want) {
    struct buf out = {0};
    assert_int_equal(flatten(text), -1);
    findings_print(&f, &out);
    assert_has(buf_cstr(&out), want);
    buf_done(&out);
    reset();
}

TEST(maps_and_dots_are_the_same) {
    assert_flat("errors: {tolerance: all}", "errors.tolerance=all;");
    assert_flat("errors.tolerance: all", "errors.tolerance=all;");
    assert_flat("a:\n  b:\n    c: 1\n    d.e: 2\nf: 3\n", "a.b.c=1;a.b.d.e=2;f=3;");
}

TEST(scalars_stay_as_written) {
    assert_flat("a: no\nb: 0123\nc: 12:30\nd: ~\ne: 1e3\nf: '5'\ng: \"\"\nh: |\n  two\n  lines\n", "a=no;b=0123;c=12:30;d=~;e=1e3;f=5;g=;h=two\nlines\n;");
}

TEST(items_of_a_list_keep_their_commas) { assert_flat("a: ['x,y', z]\nb: []\n", "a=[x,y|z];b=];"); }

TEST(a_key_that_is_value_and_prefix_takes_its_value_as_type) {
    assert_flat("value.converter: {type: json, schemas.enable: false}", "value.converter=json;value.converter.schemas.enable=false;");
    assert_flat("value: {converter: {schemas: {enable: true}, type: avro}}", "value.converter=avro;value.converter.schemas.enable=true;");
    assert_flat("value.converter: json", "value.converter=json;");
    assert_flat("other: {type: x}", "other.type=x;");
}

TEST(the_same_option_twice_in_any_spelling_names_both_places) {
    assert_error("errors.tolerance: all\nerrors:\n  tolerance: none\n", "t.yaml:3:3: error: option errors.tolerance is given twice: it is also in line 1, column 1\n    hint: ");
    assert_error("a: 1\nb: 2\na: 3\n", "t.yaml:3:1: error: a is given twice: it is also in line 1\n");
    assert_error("value.converter: json\nvalue: {converter: {type: avro}}\n", "option value.converter is given twice: it is also in line 1");
    assert_error("a: [1]\nx: {}\na.b: 1\na: 2\n", "a is given twice");
}

TEST(every_error_of_a_file_is_named_in_one_run) {
    reset();
    assert_int_equal(flatten("a:\nb: [[1]]\nc..d: 1\ne: ok\n"), -1);
    assert_int_equal(f.errors, 3);
    assert_has(f.items[0].message, "option a has no value");
    assert_has(f.items[1].message, "its item 1 is a list");
    assert_has(f.items[2].message, "'c..d' can not be an option's name");
    assert_int_equal(f.items[1].line, 2);
    assert_int_equal(f.items[1].column, 5);
    assert_non_null(props_get(&props, "e"));
    reset();
}

TEST(places_are_those_of_the_value_and_of_its_key) {
    assert_int_equal(flatten("database:\n  hostname:   db1\n"), 0);
    const struct prop *p = props_get(&props, "database.hostname");
    assert_string_equal(p->at.file, "t.yaml");
    assert_int_equal(p->at.line, 2);
    assert_int_equal(p->at.column, 15);
    assert_int_equal(p->key_at.column, 3);
    reset();
}

TEST(malformed_text_names_its_line) {
    assert_error("a: 1\nb: [1, 2\nc: 3\n", "t.yaml:3:");
    assert_error("a:\n\t- 1\n", "YAML indents with spaces, not with tabs");
    assert_error("a: 'x\n", "t.yaml:");
    assert_error("a: \xff\n", "t.yaml: error: invalid leading UTF-8 octet at byte 3");
    assert_error("? [a]\n: b\n", "a key is a text");
    assert_error("a: \"x\\0y\"\n", "NUL");
    assert_error("\"a\\0b\": 1\n", "NUL");
    assert_error("'': 1\n", "empty key");
    assert_error("a: 1\n---\nb: 2\n", "a second document begins here");
    assert_error("a: !!int 5\n", "tag tag:yaml.org,2002:int is not supported");
    assert_error("a: &x {b: 1}\nc:\n  <<: *x\n", "merge keys");
    assert_error(".a: 1\n", "can not be an option's name");
    assert_error("a b: 1\n", "can not be an option's name");
}

TEST(an_empty_file_is_no_tree) {
    assert_int_equal(flatten("# nothing\n"), 0);
    assert_null(y.root);
    assert_int_equal(flatten(""), 0);
    assert_null(y.root);
    reset();
}

TEST(aliases_repeat_what_was_anchored_before) {
    assert_flat("a: &x {k: 1}\nb: *x\nc: [&t one, *t]\n", "a.k=1;b.k=1;c=[one|one];");
    assert_error("a: *x\n", "alias *x has no anchor before it");
    assert_error("a: &x [*x]\n", "alias *x has no anchor before it"); // a cycle
}

TEST(a_billion_laughs_are_cut_short) {
    struct buf text = {0};
    buf_putz(&text, "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for (int i = 1; i < 12; i++) {
        buf_printf(&text, "a%d: &a%d [", i, i);
        for (int k = 0; k < 10; k++) buf_printf(&text, "*a%d%s", i - 1, k < 9 ? ", " : "]\n");
    }
    assert_error(buf_cstr(&text), "more than 100000 values");
    buf_done(&text);
}

TEST(depth_size_and_name_length_are_bounded) {
    struct buf text = {0};
    for (int i = 0; i < 40; i++) buf_putz(&text, "{a: ");
    assert_error(buf_cstr(&text), "nested more than 32 deep");
    buf_clear(&text);
    buf_putz(&text, "a: ");
    buf_fill(&text, '[', 100000);
    assert_error(buf_cstr(&text), "nested more than 32 deep");
    buf_clear(&text);
    buf_fill(&text, 'k', 300), buf_putz(&text, ":\n  "), buf_fill(&text, 'k', 300), buf_putz(&text, ": 1\n");
    assert_error(buf_cstr(&text), "longer than 512 characters");
    buf_clear(&text);
    buf_putz(&text, "a: "), buf_fill(&text, 'x', 1024 * 1024);
    assert_error(buf_cstr(&text), "larger than 1048576 bytes");
    buf_done(&text);
}

TEST(every_cut_of_a_file_is_handled) {
    static const char text[] = "pipeline: shop\nsources:\n  db: {connector: x, list: [a, 'b,c'], k: \"\\u00e9\"}\n# end\nmore: &a |\n  text\nlast: *a\n";
    for (size_t n = 0; n < sizeof(text); n++) {
        char *exact = malloc(n ? n : 1);
        memcpy(exact, text, n);
        reset();
        if (!yaml_parse(&y, "t", str_make(exact, n), &f) && y.root && y.root->kind == YAML_MAP) (void)!yaml_flatten(y.root, "", NULL, &props, &f);
        free(exact);
    }
    reset();
}

TEST(members_are_found_by_key) {
    assert_int_equal(flatten("a: {b: 1}\nc: [1]\n"), 0);
    assert_str(yaml_get(yaml_get(y.root, "a"), "b")->text, "1");
    assert_null(yaml_get(y.root, "x"));
    assert_null(yaml_get(yaml_get(y.root, "c"), "x"));
    assert_null(yaml_get(NULL, "x"));
    reset();
}
