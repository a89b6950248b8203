// SPDX-License-Identifier: Apache-2.0
#include <connectd/sdk.h>

#include "option_text.h"
#include "test.h"

struct opts { const char *s; uint8_t b; int64_t i, size, ms; double d; struct cn_list l; int32_t e; struct cn_pairs p; const char *secret; };
static const char *const choices[] = {"none", "all", NULL};
static const struct cn_option rows[] = {
    CN_STR("name", struct opts, s, NULL, CN_OPT_REQUIRED, "G", "d"), CN_BOOL("on", struct opts, b, "true", 0, "G", "d"),
    CN_INT("count", struct opts, i, "3", 1, 10, 0, "G", "d"), CN_SIZE("size", struct opts, size, "64k", 0, 0, 0, "G", "d"),
    CN_MS("wait", struct opts, ms, "5 min", 0, 0, 0, "G", "d"), CN_DOUBLE("ratio", struct opts, d, "0.5", 0, 1, 0, "G", "d"),
    CN_LIST("list", struct opts, l, NULL, 0, "G", "d"), CN_ENUM("tolerance", struct opts, e, "none", choices, 0, "G", "d"),
    CN_PAIRS("header.", struct opts, p, 0, "G", "d"), CN_REFUSED("old.way", "use name"),
    {"port", CN_OPT_INT, CN_OPT_SECRET, 0, CN_NOT_BOUND, NULL, 1, 9, NULL, "G", "d", "tcp.port, p"},
};
#define COUNT (sizeof rows / sizeof rows[0])

TEST(texts_become_values_and_defaults_fill_the_rest) {
    struct option_set s;
    option_set_init(&s, rows, COUNT);
    assert_int_equal(option_set_pair(&s, "name=a=b"), 0);
    assert_int_equal(option_set_pair(&s, "on=FALSE"), 0);
    assert_int_equal(option_set_pair(&s, "size=2MiB"), 0);
    assert_int_equal(option_set_pair(&s, "list= a, b ,,c"), 0);
    assert_int_equal(option_set_pair(&s, "tolerance=ALL"), 0);
    assert_int_equal(option_set_pair(&s, "header.X-A=1"), 0);
    assert_int_equal(option_set_pair(&s, "header.X-B="), 0);
    assert_int_equal(option_set_pair(&s, "tcp.port=7"), 0);
    assert_int_equal(option_set_finish(&s), 0);
    assert_string_equal(option_set_get(&s, "name")->text, "a=b");
    assert_int_equal(option_set_get(&s, "on")->i, 0);
    assert_int_equal(option_set_get(&s, "on")->set, 1);
    assert_int_equal(option_set_get(&s, "count")->i, 3);
    assert_int_equal(option_set_get(&s, "count")->set, 0);
    assert_int_equal(option_set_get(&s, "size")->i, 2 << 20);
    assert_int_equal(option_set_get(&s, "wait")->i, 300000);
    assert_int_equal(option_set_get(&s, "list")->list.n, 3);
    assert_string_equal(option_set_get(&s, "list")->list.items[1], "b");
    assert_int_equal(option_set_get(&s, "tolerance")->choice, 1);
    assert_int_equal(option_set_get(&s, "header.")->pairs.n, 2);
    assert_string_equal(option_set_get(&s, "header.")->pairs.names[1], "X-B");
    assert_int_equal(option_set_get(&s, "port")->i, 7);
    assert_null(option_set_get(&s, "none"));
    option_set_done(&s);
}

TEST(wrong_options_are_named_with_their_fault) {
    static const struct { const char *pair, *want; } wrong[] = {
        {"nam=x", "did you mean name?"}, {"count=x", "'x' is not a whole number"}, {"count=11", "out of range 1..10"}, {"on=yes", "true or false"},
        {"size=1kB", "is not a size"}, {"size=99999999999t", "is not a size"}, {"wait=5 fortnights", "is not a duration"}, {"ratio=2", "out of range"},
        {"ratio=x", "not a number"}, {"tolerance=some", "one of none, all"}, {"old.way=1", "not supported: use name"}, {"novalue", "not key=value"},
        {"port=abc", "the value is not a whole number"}, {"header.=x", "unknown"}};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct option_set s;
        option_set_init(&s, rows, COUNT);
        assert_int_equal(option_set_pair(&s, wrong[i].pair), -1);
        assert_has(s.error, wrong[i].want);
        option_set_done(&s);
    }
}

TEST(a_required_option_must_be_set) {
    struct option_set s;
    option_set_init(&s, rows, COUNT);
    assert_int_equal(option_set_finish(&s), -1);
    assert_has(s.error, "option name: required");
    option_set_done(&s);
}
