// SPDX-License-Identifier: Apache-2.0
#include "transforms/pattern.h"

#include "base/mem.h"
#include "test.h"

struct row { const char *regex, *replacement, *text, *want; };

TEST(replacements_are_javas) {
    static const struct row rows[] = {
        {"(.*)", "$1_copy", "orders", "orders_copy"},
        {"a(.)(.)", "$2$1", "axy", "yx"},
        {"(?<db>\\w+)\\.(?<table>\\w+)", "${table}-${db}", "shop.orders", "orders-shop"},
        {"(x)", "$12", "x", "x2"}, // one group: $1 and a 2
        {"(x)", "\\$1 \\\\", "x", "$1 \\"},
        {"(a)|(b)", "[$1][$2]", "b", "[][b]"},
        {".*", "$0!", "whole", "whole!"},
        {"shop-(.*)", "neu_$1_ü", "shop-ä", "neu_ä_ü"},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct err err;
        struct buf out = {0};
        struct pattern *p = pattern_new(rows[i].regex, &err);
        assert_non_null(p);
        struct replacement *r = replacement_new(p, rows[i].replacement, &err);
        assert_non_null(r);
        assert_int_equal(pattern_matches(p, str_of(rows[i].text), &err), 1);
        replacement_expand(r, p, str_of(rows[i].text), &out);
        assert_buf(&out, rows[i].want);
        buf_done(&out);
        replacement_free(r);
        pattern_free(p);
    }
}

TEST(a_pattern_matches_only_whole_texts) {
    struct err err;
    struct pattern *p = pattern_new("ab+", &err);
    assert_int_equal(pattern_matches(p, STR("abb"), &err), 1);
    assert_int_equal(pattern_matches(p, STR("abbc"), &err), 0);
    assert_int_equal(pattern_matches(p, STR("xab"), &err), 0);
    assert_int_equal(pattern_matches(p, STR(""), &err), 0);
    pattern_free(p);
}

TEST(wrong_patterns_and_replacements_say_what_is_wrong) {
    static const struct { const char *text, *want; } rows[] = {
        {"$", "$ must be followed by a group"}, {"$x", "$ must be followed by a group"}, {"$2", "no group 2, the pattern has 1"},
        {"${a", "${ without }"},                {"${nope}", "no group is named nope"},   {"a\\", "\\ at the end"},
    };
    struct err err;
    assert_null(pattern_new("a(b", &err));
    assert_has(err.msg, "pattern 'a(b' is wrong at character 4");
    struct pattern *p = pattern_new("(a)", &err);
    for (size_t i = 0; i < countof(rows); i++) {
        assert_null(replacement_new(p, rows[i].text, &err));
        assert_has(err.msg, rows[i].want);
    }
    pattern_free(p);
}

TEST(a_pattern_that_back_tracks_without_end_fails_instead_of_hanging) {
    struct err err;
    struct pattern *p = pattern_new("(a+)+(a+)+(a+)+\\W", &err);
    char text[2000];
    memset(text, 'a', sizeof text);
    assert_int_equal(pattern_matches(p, str_make(text, sizeof text), &err), -1);
    assert_has(err.msg, "matching 'aaa");
    pattern_free(p);
}
