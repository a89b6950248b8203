// SPDX-License-Identifier: Apache-2.0
#include <connectd/sdk.h>
#include <stdlib.h>

#include "base/mem.h"
#include "config/options.h"
#include "test.h"

struct all {
    const char *text, *secret, *pattern;
    uint8_t flag;
    int64_t count, bytes, ms;
    double ratio;
    struct cn_list list;
    int32_t mode;
    struct cn_pairs headers;
};
static const char *const modes[] = {"none", "some-of-it", NULL};
static const struct cn_option rows[] = {
    CN_STR("database.hostname", struct all, text, NULL, CN_OPT_REQUIRED, "Connection", "Host name or address of the server."),
    CN_STR("database.password", struct all, secret, NULL, CN_OPT_SECRET, "Connection", "The password."),
    CN_INT("database.port", struct all, count, "5432", 1, 65535, 0, "Connection", "Port of the server."),
    CN_BOOL("gzip", struct all, flag, "false", 0, "Body", "Whether to compress."),
    CN_SIZE("max.bytes", struct all, bytes, "1MiB", 1024, 1 << 30, CN_OPT_ADVANCED, "Body", "The most bytes."),
    CN_MS("timeout.ms", struct all, ms, "30s", -1, INT64_MAX, 0, "Body", "How long."),
    CN_DOUBLE("ratio", struct all, ratio, "0.5", 0, 1, 0, "Body", "A share | of it."),
    {"table.include.list", CN_OPT_LIST, 0, 0, offsetof(struct all, list), NULL, 0, 0, NULL, "Tables", "The tables.", "table.whitelist, tables"},
    CN_ENUM("snapshot.mode", struct all, mode, "none", modes, 0, "Tables", "What to read first."),
    CN_STR("snapshot.mode.detail", struct all, pattern, NULL, 0, "Tables", "More about it."),
    CN_REGEX("pattern", struct all, pattern, NULL, 0, "Tables", "A pattern."),
    CN_PAIRS("http.header.", struct all, headers, 0, "Body", "Headers to send."),
    CN_REFUSED("binary.mode", "only base64 is written; leave it out"),
    CN_IGNORED("poll.interval.ms", "records are waited for, not polled"),
};
static const struct option_scope scope = {"", rows, countof(rows), "connector test"};

static struct props props;
static struct findings f;
static struct option_values *values;
static struct all all;

static void reset(void) {
    props_done(&props);
    findings_done(&f);
    option_values_free(values);
    values = NULL;
}

// "k=v" texts; a line each, so that places can be told.
static void give(const char *const *pairs, size_t n) {
    reset();
    for (size_t i = 0; i < n; i++) {
        struct str rest = str_of(pairs[i]), key;
        str_split(&rest, '=', &key);
        props_add(&props, key, rest, (struct place){"t.yaml", (int)i + 1, 5});
    }
}

static int read_all(const struct secret_places *secrets) {
    int failed = options_read(&(struct option_read){.scope = &scope, .props = &props, .secrets = secrets, .at = {"t.yaml", 0, 0}}, &f, &values);
    memset(&all, 0xff, sizeof(all));
    option_values_bind(values, &all);
    return failed;
}

#define GIVE(...)                                                                                                      \
    do {                                                                                                               \
        const char *const pairs[] = {__VA_ARGS__};                                                                     \
        give(pairs, countof(pairs));                                                                                   \
    } while (0)

static void assert_says(const char *want) {
    struct buf out = {0};
    findings_print(&f, &out);
    assert_has(buf_cstr(&out), want);
    buf_done(&out);
}

TEST(defaults_fill_what_is_not_given) {
    GIVE("database.hostname=db1");
    assert_int_equal(read_all(NULL), 0);
    assert_string_equal(all.text, "db1");
    assert_null(all.secret);
    assert_int_equal(all.count, 5432);
    assert_int_equal(all.flag, 0);
    assert_int_equal(all.bytes, 1 << 20);
    assert_int_equal(all.ms, 30000);
    assert_true(all.ratio == 0.5);
    assert_int_equal(all.list.n, 0);
    assert_int_equal(all.mode, 0);
    assert_int_equal(all.headers.n, 0);
    assert_int_equal(option_values_get(values, "database.hostname")->set, 1);
    assert_int_equal(option_values_get(values, "database.port")->set, 0);
    assert_int_equal(option_values_get(values, "pattern")->type, 0);
    assert_null(option_values_get(values, "none"));
    reset();
}

TEST(texts_become_typed_values) {
    GIVE("database.hostname=h", "database.port= 1 ", "gzip=TRUE", "max.bytes=64k", "timeout.ms=5 min", "ratio=0.25", "tables=a, b,,c",
         "snapshot.mode=Some-Of-It", "pattern=a{1,2}", "http.header.X-One=1", "http.header.X-Two=2");
    assert_int_equal(read_all(NULL), 0);
    assert_int_equal(all.count, 1);
    assert_int_equal(all.flag, 1);
    assert_int_equal(all.bytes, 65536);
    assert_int_equal(all.ms, 300000);
    assert_true(all.ratio == 0.25);
    assert_int_equal(all.list.n, 3);
    assert_string_equal(all.list.items[2], "c");
    assert_int_equal(all.mode, 1);
    assert_string_equal(option_values_get(values, "snapshot.mode")->text, "some-of-it");
    assert_string_equal(all.pattern, "a{1,2}");
    assert_int_equal(all.headers.n, 2);
    assert_string_equal(all.headers.names[1], "X-Two");
    assert_string_equal(all.headers.values[1], "2");
    reset();
}

TEST(a_sequence_keeps_items_with_commas) {
    struct str items[] = {STR("public.a{1,2}"), STR("b")};
    GIVE("database.hostname=h");
    props_add_list(&props, STR("table.include.list"), items, 2, (struct place){"t.yaml", 2, 1});
    assert_int_equal(read_all(NULL), 0);
    assert_int_equal(all.list.n, 2);
    assert_string_equal(all.list.items[0], "public.a{1,2}");
    props_add_list(&props, STR("gzip"), items, 2, (struct place){"t.yaml", 3, 1});
    option_values_free(values);
    assert_int_equal(read_all(NULL), -1);
    assert_says("t.yaml:3:1: error: option gzip takes one true or false, not a list");
    reset();
}

TEST(wrong_values_are_named_with_their_place_and_a_way_out) {
    static const struct {
        const char *pair, *want;
    } cases[] = {
        {"database.port=0", "t.yaml:2:5: error: option database.port: 0 is out of range: 1 to 65535"},
        {"database.port=12x", "option database.port: '12x' is not a whole number"},
        {"gzip=no", "option gzip: 'no' is not true or false"},
        {"max.bytes=5MB", "option max.bytes: '5MB' is not a size such as 65536, 64k or 16MiB\n    hint: kB and MB mean"},
        {"max.bytes=1k1", "is not a size"},
        {"timeout.ms=-2", "option timeout.ms: -2 is below -1"},
        {"timeout.ms=soon", "is not a duration such as 250ms"},
        {"ratio=1.5", "option ratio: 1.5 is out of range: 0 to 1"},
        {"ratio=nan", "option ratio: 'nan' is not a number"},
        {"snapshot.mode=nome", "option snapshot.mode: 'nome' is not one of none, some-of-it\n    hint: did you mean none?"},
        {"pattern=a(b", "option pattern: 'a(b' is not a regular expression: missing closing parenthesis at character 3"},
        {"binary.mode=hex", "option binary.mode is not supported: only base64 is written; leave it out"},
        {"max.bytes=${vault:x}", "there is no provider 'vault'"},
    };
    for (size_t i = 0; i < countof(cases); i++) {
        GIVE("database.hostname=h", cases[i].pair);
        assert_int_equal(read_all(NULL), -1);
        assert_int_equal(f.errors, 1);
        assert_says(cases[i].want);
    }
    reset();
}

TEST(what_is_missing_is_named_with_what_it_is) {
    GIVE("gzip=true");
    assert_int_equal(read_all(NULL), -1);
    assert_says("t.yaml: error: option database.hostname is required by connector test\n    hint: Host name or address of the server.");
    reset();
}

TEST(an_option_without_effect_is_a_warning) {
    GIVE("database.hostname=h", "poll.interval.ms=500");
    assert_int_equal(read_all(NULL), 0);
    assert_says("warning: option poll.interval.ms has no effect here: records are waited for, not polled");
    reset();
}

TEST(an_alias_is_the_same_option) {
    GIVE("database.hostname=h", "table.whitelist=a", "table.include.list=b");
    assert_int_equal(read_all(NULL), -1);
    assert_says("t.yaml:3:5: error: options table.include.list and table.whitelist (line 2) are the same");
    reset();
}

TEST(a_key_that_is_value_and_prefix_takes_type_in_map_form) {
    GIVE("database.hostname=h", "snapshot.mode.type=some-of-it", "snapshot.mode.detail=x");
    assert_int_equal(read_all(NULL), 0);
    assert_int_equal(all.mode, 1);
    GIVE("database.hostname=h", "snapshot.mode.type=none", "snapshot.mode=none");
    assert_int_equal(read_all(NULL), -1);
    assert_null(options_find(&scope, "gzip.type")); // has nothing below
    reset();
}

TEST(unknown_keys_get_the_nearest_name) {
    static const struct {
        const char *key, *hint;
    } cases[] = {
        {"database.hostnme=x", "option database.hostnme is unknown\n    hint: did you mean database.hostname?"},
        {"hostname=x", "hint: did you mean database.hostname?"},
        {"table.include.lst=x", "hint: did you mean table.include.list?"},
        {"gzip.level=x", "option gzip.level is unknown"},
        {"http.headr.X=1", "option http.headr.X is unknown"},
    };
    for (size_t i = 0; i < countof(cases); i++) {
        GIVE(cases[i].key);
        options_unknown(&props, &scope, 1, &f);
        assert_int_equal(f.errors, 1);
        assert_says(cases[i].hint);
    }
    GIVE("tables=x", "http.header.A=b", "binary.mode=x", "snapshot.mode.type=none");
    options_unknown(&props, &scope, 1, &f);
    assert_int_equal(f.errors, 0);
    reset();
}

TEST(keys_below_another_prefix_belong_to_another_scope) {
    struct option_scope below = {"transforms.x.", rows, countof(rows), NULL};
    assert_ptr_equal(options_find(&below, "transforms.x.gzip"), &rows[3]);
    assert_null(options_find(&below, "gzip"));
    GIVE("transforms.x.gzp=true", "gzip=true");
    options_unknown(&props, (struct option_scope[]){scope, below}, 2, &f);
    assert_int_equal(f.errors, 1);
    assert_says("option transforms.x.gzp is unknown\n    hint: did you mean transforms.x.gzip?");
    reset();
}

// ── secrets ──

static const struct secret_places no_places;

TEST(references_are_resolved_before_typing) {
    setenv("TEST_PORT", "6000", 1);
    setenv("TEST_LIST", "x,y", 1);
    GIVE("database.hostname=db-${env:TEST_PORT}", "database.port=${env:TEST_PORT}", "tables=a,${env:TEST_LIST}", "http.header.A=$${x}");
    assert_int_equal(read_all(&no_places), 0);
    assert_string_equal(all.text, "db-6000");
    assert_int_equal(all.count, 6000);
    assert_int_equal(all.list.n, 2); // a secret's comma does not split
    assert_string_equal(all.list.items[1], "x,y");
    assert_string_equal(all.headers.values[0], "${x}");
    reset();
}

TEST(without_secrets_a_reference_only_has_to_be_well_formed) {
    GIVE("database.hostname=${file:host}", "database.port=${env:NOT_THERE}", "tables=${file:x}");
    assert_int_equal(read_all(NULL), 0);
    assert_string_equal(all.text, "${file:host}");
    assert_int_equal(all.count, 0);
    assert_int_equal(option_values_get(values, "database.port")->set, 1);
    GIVE("database.hostname=${env:NOT_THERE}");
    assert_int_equal(read_all(&no_places), -1);
    assert_says("option database.hostname: ${env:NOT_THERE}: environment variable NOT_THERE is not set");
    reset();
}

TEST(an_error_never_repeats_a_secret) {
    setenv("TEST_SECRET", "hunter2", 1);
    GIVE("database.hostname=h", "database.port=${env:TEST_SECRET}", "gzip=${env:TEST_SECRET}", "snapshot.mode=${env:TEST_SECRET}", "pattern=(${env:TEST_SECRET}",
         "max.bytes=${env:TEST_SECRET}");
    assert_int_equal(read_all(&no_places), -1);
    assert_int_equal(f.errors, 5);
    struct buf out = {0};
    findings_print(&f, &out);
    assert_null(strstr(buf_cstr(&out), "hunter2"));
    assert_says("option database.port: its value is not a whole number");
    buf_done(&out);
    reset();
}

TEST(an_out_of_range_secret_is_not_repeated_either) {
    setenv("TEST_SECRET", "424242", 1);
    GIVE("database.hostname=h", "database.port=${env:TEST_SECRET}");
    assert_int_equal(read_all(&no_places), -1);
    assert_says("option database.port: its value is out of range: 1 to 65535");
    reset();
}

TEST(shown_configurations_hide_what_is_secret) {
    GIVE("database.hostname=h", "database.password=hunter2", "gzip=${file:x}", "unknown.token=abc", "http.header.Authorization=Bearer abc", "plain=1");
    struct buf out = {0};
    struct json_writer w = json_to(&out);
    options_json(&props, &scope, 1, &w);
    assert_buf(&out, "{\"database.hostname\":\"h\",\"database.password\":\"[hidden]\",\"gzip\":\"${file:x}\",\"unknown.token\":\"[hidden]\","
                     "\"http.header.Authorization\":\"[hidden]\",\"plain\":\"1\"}");
    props_set(&props, "database.password", "${env:X}"); // a reference says where, not what
    w = json_to(&out);
    options_json(&props, &scope, 1, &w);
    assert_has(buf_cstr(&out), "\"database.password\":\"${env:X}\"");
    props_set(&props, "database.password", "abc${env:X}"); // half a secret is one
    buf_clear(&out);
    w = json_to(&out);
    options_json(&props, &scope, 1, &w);
    assert_has(buf_cstr(&out), "\"database.password\":\"[hidden]\"");
    buf_done(&out);
    reset();
}

// ── renderings ──

TEST(help_is_grouped_and_says_type_default_and_meaning) {
    struct buf out = {0};
    options_help(&scope, false, &out);
    const char *text = buf_cstr(&out);
    assert_has(text, "Connection\n  database.hostname  (text, required)\n      Host name or address of the server.\n");
    assert_has(text, "  database.port  (number, 1 to 65535, default 5432)\n");
    assert_has(text, "  database.password  (text, secret)\n");
    assert_has(text, "\nTables\n  table.include.list  (list)\n");
    assert_has(text, "  snapshot.mode  (one of none, some-of-it, default none)\n");
    assert_has(text, "  http.header.*  (options)\n");
    assert_has(text, "  timeout.ms  (duration, at least -1, default 30s)\n");
    assert_null(strstr(text, "max.bytes")); // advanced
    assert_null(strstr(text, "binary.mode"));
    buf_clear(&out);
    options_help(&scope, true, &out);
    assert_has(buf_cstr(&out), "  max.bytes  (size, 1 KiB to 1 GiB, default 1MiB)\n");
    buf_done(&out);
}

TEST(long_texts_wrap_at_100_columns) {
    struct buf out = {0};
    options_wrap(&out, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb ccccccc", 2, "# ");
    assert_buf(&out, "  # aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\n  # ccccccc\n");
    buf_done(&out);
}

TEST(a_manual_table_escapes_its_bars) {
    struct buf out = {0};
    options_markdown(&scope, &out);
    assert_has(buf_cstr(&out), "| `ratio` | decimal number, 0 to 1 | `0.5` | A share \\| of it. |\n");
    assert_has(buf_cstr(&out), "| `database.hostname` | text | **required** | Host name or address of the server. |\n");
    assert_has(buf_cstr(&out), "| `database.password` | text | | The password. Secret. |\n");
    buf_done(&out);
}

static void assert_json(struct buf *b) {
    struct json_reader r;
    json_reader_init(&r, buf_str(b));
    json_next(&r);
    assert_true(json_skip(&r));
    assert_int_equal(json_next(&r), JSON_END);
    json_reader_done(&r);
}

TEST(a_json_schema_describes_every_offered_option) {
    struct buf out = {0};
    struct json_writer w = json_to(&out);
    json_object(&w);
    options_json_schema(&scope, &w);
    json_object_end(&w);
    assert_json(&out);
    const char *text = buf_cstr(&out);
    assert_has(text, "\"database.port\":{\"type\":[\"integer\",\"string\"],\"minimum\":1,\"maximum\":65535,\"description\":\"Port of the server.\",\"default\":\"5432\"}");
    assert_has(text, "\"table.include.list\":{\"type\":[\"array\",\"string\"],\"items\":{\"type\":\"string\"},");
    assert_has(text, "\"http.header\":{\"type\":\"object\",");
    assert_has(text, "\"database.password\":{\"type\":\"string\",\"description\":\"The password.\",\"writeOnly\":true}");
    assert_null(strstr(text, "binary.mode"));
    buf_done(&out);
}

TEST(config_keys_have_connects_shape) {
    struct buf out = {0};
    struct json_writer w = json_to(&out);
    options_config_keys(&scope, &w);
    assert_json(&out);
    const char *text = buf_cstr(&out);
    assert_has(text, "{\"name\":\"database.hostname\",\"type\":\"STRING\",\"required\":true,\"default_value\":null,\"importance\":\"HIGH\","
                     "\"documentation\":\"Host name or address of the server.\",\"group\":\"Connection\",\"width\":\"MEDIUM\","
                     "\"display_name\":\"database.hostname\",\"dependents\":[],\"order\":1}");
    assert_has(text, "\"name\":\"database.password\",\"type\":\"PASSWORD\"");
    assert_has(text, "\"name\":\"database.port\",\"type\":\"INT\",\"required\":false,\"default_value\":\"5432\"");
    assert_has(text, "\"name\":\"max.bytes\",\"type\":\"LONG\",\"required\":false,\"default_value\":\"1048576\",\"importance\":\"LOW\"");
    assert_has(text, "\"name\":\"timeout.ms\",\"type\":\"LONG\",\"required\":false,\"default_value\":\"30000\"");
    assert_has(text, "\"name\":\"table.include.list\",\"type\":\"LIST\"");
    buf_done(&out);
}

TEST(a_row_of_an_unknown_type_is_reported_not_guessed) {
    struct cn_option odd = {.name = "odd", .type = 99, .at = CN_NOT_BOUND};
    struct cn_option_value v;
    struct arena texts = {0};
    struct err err;
    assert_fails(option_parse(&odd, "x", &v, &texts, &err), err, ERR_INTERNAL);
    assert_string_equal(option_type_text(&odd), "unknown");
    arena_done(&texts);
}
