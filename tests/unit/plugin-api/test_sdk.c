// SPDX-License-Identifier: Apache-2.0
#include <connectd/sdk.h>
#include <stdlib.h>

#include "test.h"

TEST(a_position_is_read_back_as_it_was_written) {
    struct cn_pos w;
    char text[200], s[32];
    int64_t v;
    int b;
    cn_pos_begin(&w, text, sizeof text);
    cn_pos_int(&w, "lsn", INT64_MIN);
    cn_pos_str(&w, "file", "a\"\\\n\x01z");
    cn_pos_bool(&w, "snapshot", 1);
    cn_pos_strn(&w, "empty", "", 0);
    assert_string_equal(cn_pos_end(&w), "{\"lsn\":-9223372036854775808,\"file\":\"a\\\"\\\\\\u000a\\u0001z\",\"snapshot\":true,\"empty\":\"\"}");
    assert_int_equal(cn_pos_get_int(text, "lsn", &v), 0);
    assert_true(v == INT64_MIN);
    assert_int_equal(cn_pos_get_str(text, "file", s, sizeof s), 6);
    assert_string_equal(s, "a\"\\\n\x01z");
    assert_int_equal(cn_pos_get_bool(text, "snapshot", &b), 0);
    assert_int_equal(b, 1);
    assert_int_equal(cn_pos_get_str(text, "empty", s, sizeof s), 0);
}

TEST(a_position_that_does_not_fit_is_refused) {
    char text[16];
    for (size_t cap = 1; cap <= sizeof text; cap++) {
        struct cn_pos w;
        cn_pos_begin(&w, text, cap);
        cn_pos_int(&w, "abcdef", 12); // {"abcdef":12} is 13 bytes and its end
        assert_int_equal(cn_pos_end(&w) != NULL, cap >= 14);
    }
}

TEST(fields_of_positions_written_by_others_are_found) {
    const char *json = " { \"a\" : {\"x\":[1,\"}\\\"\"], \"n\":1} , \"n\" : \"12\", \"u\":\"\\u00e9\\ud83d\\ude00\\/\", \"big\":9223372036854775807 } ";
    int64_t v;
    char s[16];
    assert_int_equal(cn_pos_get_int(json, "n", &v), 0);
    assert_int_equal(v, 12);
    assert_int_equal(cn_pos_get_int(json, "big", &v), 0);
    assert_true(v == INT64_MAX);
    assert_int_equal(cn_pos_get_str(json, "u", s, sizeof s), 7);
    assert_string_equal(s, "\xc3\xa9\xf0\x9f\x98\x80/");
    assert_int_equal(cn_pos_get_str(json, "u", s, 7), -1);
    assert_null(cn_pos_find(json, "x"));
}

TEST(wrong_numbers_are_no_numbers) {
    static const char *const wrong[] = {"{\"n\":1.5}", "{\"n\":1e3}", "{\"n\":9223372036854775808}", "{\"n\":-9223372036854775809}", "{\"n\":\"1x\"}",
                                        "{\"n\":null}", "{\"n\":}", "[1]", "", "{", "{\"n\"", "{\"n\":", "{\"n\":99999999999999999999999}"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        int64_t v = 7;
        assert_int_equal(cn_pos_get_int(wrong[i], "n", &v), -1);
        assert_int_equal(v, 7);
    }
    assert_int_equal(cn_pos_get_int(NULL, "n", &(int64_t){0}), -1);
}

TEST(a_position_cut_at_every_byte_is_read_without_leaving_it) {
    const char *json = "{\"a\":{\"x\":[1,\"}\\\"\"]},\"s\":\"\\ud83d\\ude00\\n\",\"n\":-12,\"t\":true}";
    size_t n = strlen(json);
    for (size_t cut = 0; cut < n; cut++) {
        char *copy = malloc(cut + 1), s[64];
        int64_t v;
        int b;
        memcpy(copy, json, cut);
        copy[cut] = 0;
        cn_pos_get_str(copy, "s", s, sizeof s);
        cn_pos_get_int(copy, "n", &v);
        cn_pos_get_bool(copy, "t", &b);
        cn_pos_get_int(copy, "none", &v);
        free(copy);
    }
}

struct opts {
    const char *url;
    int64_t timeout, size, count;
    double ratio;
    uint8_t gzip;
    int32_t mode;
    struct cn_list list;
    struct cn_pairs headers;
};
static const char *const modes[] = {"array", "lines", NULL};
static const struct cn_option rows[] = {
    CN_STR("url", struct opts, url, NULL, CN_OPT_REQUIRED, "G", "d"),
    CN_MS("timeout", struct opts, timeout, "30s", 1, 600000, 0, "G", "d"),
    CN_SIZE("size", struct opts, size, "1MiB", 0, 0, 0, "G", "d"),
    CN_INT("count", struct opts, count, "3", 1, 5, 0, "G", "d"),
    CN_DOUBLE("ratio", struct opts, ratio, "0.5", 0, 1, 0, "G", "d"),
    CN_BOOL("gzip", struct opts, gzip, "true", 0, "G", "d"),
    CN_ENUM("mode", struct opts, mode, "lines", modes, 0, "G", "d"),
    CN_LIST("list", struct opts, list, NULL, 0, "G", "d"),
    CN_PAIRS("header.", struct opts, headers, 0, "G", "d"),
    CN_REFUSED("old", "not here"),
};

static int failed_class;
static char failed_text[256];
static void fake_fail(struct cn_host *h, int c, const char *text, const char *hint, uint32_t record) {
    (void)h, (void)hint, (void)record;
    failed_class = c;
    snprintf(failed_text, sizeof failed_text, "%s", text);
}
static int fake_config(struct cn_host *h, const char *option, struct cn_option_value *ret) {
    static const char *const items[] = {"a", "b"};
    (void)h;
    if (strcmp(option, "url") == 0) *ret = (struct cn_option_value){.type = CN_OPT_STRING, .text = "http://x"};
    else if (strcmp(option, "timeout") == 0) *ret = (struct cn_option_value){.type = CN_OPT_MS, .i = 30000};
    else if (strcmp(option, "ratio") == 0) *ret = (struct cn_option_value){.type = CN_OPT_DOUBLE, .f = 0.25};
    else if (strcmp(option, "gzip") == 0) *ret = (struct cn_option_value){.type = CN_OPT_BOOL, .i = 1};
    else if (strcmp(option, "mode") == 0) *ret = (struct cn_option_value){.type = CN_OPT_ENUM, .choice = 1};
    else if (strcmp(option, "list") == 0) *ret = (struct cn_option_value){.type = CN_OPT_LIST, .list = {2, items}};
    else if (strcmp(option, "header.") == 0) *ret = (struct cn_option_value){.type = CN_OPT_MAP, .pairs = {2, items, items}};
    else if (strcmp(option, "count") == 0) return -1;
    else memset(ret, 0, sizeof *ret);
    return 0;
}
static const struct cn_host_ops fake_ops = {.struct_size = sizeof(struct cn_host_ops), .config = fake_config, .fail = fake_fail};

TEST(options_are_bound_into_the_plugins_own_struct) {
    struct cn_host h = {&fake_ops};
    struct opts o;
    memset(&o, 0x55, sizeof o);
    assert_int_equal(cn_options_bind(&h, rows, 3, &o), 0);
    assert_string_equal(o.url, "http://x");
    assert_int_equal(o.timeout, 30000);
    assert_int_equal(o.size, 0); // neither set nor defaulted
    assert_int_equal(cn_options_bind(&h, rows + 4, 6, &o), 0);
    assert_true(o.ratio == 0.25);
    assert_int_equal(o.gzip, 1);
    assert_int_equal(o.mode, 1);
    assert_int_equal(o.list.n, 2);
    assert_string_equal(o.headers.values[1], "b");
}

TEST(binding_a_row_the_host_does_not_know_is_the_plugins_bug) {
    struct cn_host h = {&fake_ops};
    struct opts o;
    assert_int_equal(CN_BIND(&h, rows, &o), -1);
    assert_int_equal(failed_class, CN_FAIL_BUG);
    assert_has(failed_text, "option count");
}

TEST(failures_are_formatted_and_return_minus_one) {
    struct cn_host h = {&fake_ops};
    assert_int_equal(cn_failf(&h, CN_FAIL_AUTH, NULL, "user %s: %d", "x", 401), -1);
    assert_int_equal(failed_class, CN_FAIL_AUTH);
    assert_string_equal(failed_text, "user x: 401");
}
