// SPDX-License-Identifier: Apache-2.0
#include "cli/command.h"

#include <limits.h>
#include <stdlib.h>

#include "base/mem.h"
#include "test.h"

#define ARGV(...) (const char *const[]){"connectd", __VA_ARGS__, NULL}
static int parse(const char *const *argv, struct args *a, struct err *err) {
    int n = 0;
    while (argv[n]) n++;
    return args_parse(n, argv, a, err);
}

static int nothing(const struct args *a) { return 0; }
static const struct cli_option create_options[] = {
    {"partitions", 0, "N", "how many", CLI_NUMBER},
    {"set", 's', "NAME=VALUE", "a setting", CLI_REPEAT},
    {"quiet", 'q', NULL, "say nothing", 0},
    {"verbose", 'v', NULL, "say more", 0},
};
// The table under test: the program's own would change under the cases.
const struct command commands[] = {
    {"run", "[FILE…]", 0, UINT_MAX, "run it", NULL, NULL, 0, "1 failed", NULL, "file", nothing},
    {"topics", "[TOPIC]", 0, 1, "list them", NULL, NULL, 0, NULL, NULL, "topic", nothing},
    {"topics create", "TOPIC", 1, 1, "make one", "More\nabout it.", create_options, countof(create_options), "1 failed; 3 no daemon", "connectd topics create x", NULL, nothing},
    {"offsets get", "NAME", 1, 1, "look", NULL, NULL, 0, NULL, NULL, NULL, nothing},
    {"offsets set", "NAME", 1, 1, "change", NULL, NULL, 0, NULL, NULL, NULL, nothing},
};
const size_t command_count = countof(commands);
const struct cli_option global_options[] = {{"data", 0, "DIR", "the folder", CLI_DIR}, {"json", 0, NULL, "JSON", 0}};
const size_t global_option_count = countof(global_options);

static void assert_refused(const char *const *argv, const char *msg, const char *hint) {
    struct args a;
    struct err err = {0};
    assert_fails(parse(argv, &a, &err), err, ERR_INVALID);
    assert_string_equal(err.msg, msg);
    assert_string_equal(err.hint, hint);
    args_done(&a);
}

TEST(a_command_of_two_words_goes_before_one_of_one) {
    struct args a;
    struct err err;
    assert_ok(parse(ARGV("topics", "create", "orders"), &a, &err), err);
    assert_string_equal(a.command->name, "topics create");
    assert_string_equal(a.words[0], "orders");
    args_done(&a);
    assert_ok(parse(ARGV("topics", "orders"), &a, &err), err);
    assert_string_equal(a.command->name, "topics");
    assert_string_equal(a.words[0], "orders");
    args_done(&a);
}

TEST(options_stand_anywhere_in_any_spelling) {
    struct args a;
    struct err err;
    size_t at = 0;
    assert_ok(parse(ARGV("--data", "/d", "topics", "create", "-qv", "--partitions=4", "-sa=1", "orders", "-s", "b=2", "--json"), &a, &err), err);
    assert_string_equal(arg_text(&a, "data", NULL), "/d");
    assert_int_equal(arg_number(&a, "partitions", 1), 4);
    assert_true(arg_flag(&a, "quiet") && arg_flag(&a, "verbose") && arg_flag(&a, "json"));
    assert_string_equal(arg_next(&a, "set", &at), "a=1");
    assert_string_equal(arg_next(&a, "set", &at), "b=2");
    assert_null(arg_next(&a, "set", &at));
    assert_int_equal(a.n, 1);
    args_done(&a);
}

TEST(behind_two_dashes_everything_is_an_argument) {
    struct args a;
    struct err err;
    assert_ok(parse(ARGV("topics", "--", "--json"), &a, &err), err);
    assert_string_equal(a.words[0], "--json");
    assert_false(arg_flag(&a, "json"));
    args_done(&a);
}

TEST(an_unknown_command_or_option_gets_the_nearest_name) {
    assert_refused(ARGV("topic"), "unknown command 'topic'", "did you mean topics?");
    assert_refused(ARGV("frobnicate"), "unknown command 'frobnicate'", "connectd --help lists the commands");
    assert_refused(ARGV("topics", "create", "x", "--partition", "4"), "topics create: unknown option --partition", "did you mean --partitions?");
    assert_refused(ARGV("topics", "--dta", "x"), "topics: unknown option --dta", "did you mean --data?");
    assert_refused(ARGV("topics", "--xyzzy"), "topics: unknown option --xyzzy", "connectd topics --help lists the options");
    assert_refused(ARGV("run", "-z"), "unknown option -z", "");
}

TEST(a_family_without_its_second_word_names_its_members) {
    assert_refused(ARGV("offsets"), "offsets: one of get, set is missing", "connectd --help lists the commands");
}

TEST(wrong_values_and_counts_are_refused) {
    assert_refused(ARGV("topics", "create", "x", "--partitions", "many"), "--partitions: 'many' is not a number", "");
    assert_refused(ARGV("topics", "create", "x", "--partitions"), "--partitions needs a value: N", "");
    assert_refused(ARGV("topics", "--json=yes"), "--json takes no value", "");
    assert_refused(ARGV("topics", "--data", "a", "--data", "b"), "--data is given twice", "");
    assert_refused(ARGV("topics", "a", "b"), "topics: unexpected argument 'b'", "");
    assert_refused(ARGV("topics", "create"), "topics create: needs TOPIC", "connectd topics create --help");
}

TEST(help_is_asked_for_without_the_arguments_a_command_needs) {
    struct args a;
    struct err err;
    assert_ok(parse(ARGV("topics", "create", "--help"), &a, &err), err);
    assert_true(a.help);
    args_done(&a);
}

TEST(help_shows_options_exit_codes_and_the_example) {
    struct buf out = {0};
    help_command(command_find("topics create"), &out);
    const char *text = buf_cstr(&out);
    assert_has(text, "usage: connectd topics create [OPTION…] TOPIC\n");
    assert_has(text, "  -s, --set NAME=VALUE          a setting (may be repeated)\n");
    assert_has(text, "exit codes\n  0  done\n  1  failed\n  3  no daemon\n  2  wrong command line\n");
    assert_has(text, "example\n  connectd topics create x\n");
    buf_done(&out);
}

TEST(the_manual_and_the_completions_name_every_command) {
    static const char *const shells[] = {"bash", "zsh", "fish"};
    struct buf out = {0};
    help_man(&out);
    assert_has(buf_cstr(&out), ".SS topics create TOPIC\nmake one.\n");
    assert_has(buf_cstr(&out), "\\fB\\-\\-partitions\\fR \\fIN\\fR\n");
    for (size_t i = 0; i < countof(shells); i++) {
        buf_clear(&out);
        assert_int_equal(help_completion(shells[i], &out), 0);
        assert_has(buf_cstr(&out), "partitions");
    }
    assert_int_equal(help_completion("csh", &out), -1);
    buf_done(&out);
}
