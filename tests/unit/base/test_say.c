// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/say.h"
#include "test.h"
#include "tmpdir.h"

static const char *path;
static int fd = -1;

static void begin(enum say_format format, enum say_level level) {
    path = tmpdir_file(tmpdir_new(), "log", "");
    fd = open(path, O_WRONLY | O_APPEND);
    say_setup(format, level, fd);
}

// What was said so far; the caller frees.
static char *said(void) {
    char *text = tmpdir_read(path);
    close(fd);
    return text;
}

TEST(a_text_line_has_time_level_text_and_fields) {
    begin(SAY_TEXT, SAY_INFO);
    struct say_field fields[] = {{"connector", STR("shop-db")}, {"note", STR("two words")}, {"empty", STR("")}};
    say_fields(SAY_WARN, fields, 3, "lost %d rows", 3);
    _cleanup_free_ char *text = said();
    assert_int_equal(text[4], '-');
    assert_int_equal(text[23], 'Z');
    assert_string_equal(text + 24, " warn  lost 3 rows connector=shop-db note=\"two words\" empty=\"\"\n");
}

TEST(a_value_can_not_forge_a_line) {
    begin(SAY_TEXT, SAY_INFO);
    struct say_field field = {"user", STR("x\n2026-01-01T00:00:00.000Z error forged")};
    say_fields(SAY_INFO, &field, 1, "from \x1b[31m%s", "a\nb");
    _cleanup_free_ char *text = said();
    assert_has(text, "from \\x1b[31ma\\x0ab");
    assert_has(text, "user=\"x\\n2026");
    assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
}

TEST(a_json_line_reads_as_json) {
    begin(SAY_JSON, SAY_DEBUG);
    struct say_field field = {"topic", STR("a\"b\n")};
    say_fields(SAY_DEBUG, &field, 1, "text with \"quotes\"");
    _cleanup_free_ char *text = said();
    struct json_reader r;
    json_reader_init(&r, str_of(text));
    assert_int_equal(json_next(&r), JSON_OBJECT);
    assert_true(json_skip(&r));
    assert_int_equal(json_next(&r), JSON_END);
    json_reader_done(&r);
    assert_has(text, "\"level\":\"debug\",\"message\":\"text with \\\"quotes\\\"\",\"topic\":\"a\\\"b\\n\"}\n");
}

TEST(lines_below_the_level_are_left_out) {
    begin(SAY_TEXT, SAY_WARN);
    say(SAY_INFO, "quiet");
    say(SAY_ERROR, "loud");
    assert_false(say_enabled(SAY_INFO));
    assert_true(say_enabled(SAY_WARN));
    _cleanup_free_ char *text = said();
    assert_null(strstr(text, "quiet"));
    assert_has(text, "loud");
}

TEST(repeats_within_a_second_are_counted) {
    begin(SAY_TEXT, SAY_INFO);
    for (int i = 0; i < 5; i++) say(SAY_WARN, "again and again");
    say(SAY_INFO, "something else");
    say(SAY_INFO, "something else");
    say_flush();
    say_flush();
    _cleanup_free_ char *text = said();
    char *first = strstr(text, "again and again");
    assert_non_null(first);
    assert_null(strstr(first + 1, "again and again"));
    assert_has(first, "warn  last line repeated 4 times\n");
    assert_has(text, "info  last line repeated 1 time\n");
}

TEST(an_error_is_said_with_its_hint) {
    begin(SAY_TEXT, SAY_INFO);
    struct err err;
    err_set(&err, ERR_AUTH, "password refused");
    say_err(SAY_ERROR, &err, "connector %s", "shop-db");
    err_hint(&err, "rotate it");
    say_err(SAY_ERROR, &err, "connector %s", "shop-db");
    _cleanup_free_ char *text = said();
    assert_has(text, " error connector shop-db: password refused\n");
    assert_has(text, " error connector shop-db: password refused (hint: rotate it)\n");
}

TEST(the_journal_is_chosen_only_for_its_own_stream) {
    struct stat st;
    char stream[64];
    begin(SAY_TEXT, SAY_INFO);
    unsetenv("JOURNAL_STREAM");
    assert_int_equal(say_format_auto(fd), SAY_TEXT);
    assert_int_equal(fstat(fd, &st), 0);
    snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)st.st_dev, (unsigned long long)st.st_ino);
    setenv("JOURNAL_STREAM", stream, 1);
    assert_int_equal(say_format_auto(fd), SAY_JOURNAL);
    assert_int_equal(say_format_auto(STDIN_FILENO), SAY_TEXT);
    setenv("JOURNAL_STREAM", "nonsense", 1);
    assert_int_equal(say_format_auto(fd), SAY_TEXT);
    unsetenv("JOURNAL_STREAM");
    free(said());
    say_setup(SAY_JOURNAL, SAY_INFO, -1);
    struct say_field field = {"connector", STR("x")};
    say_fields(SAY_INFO, &field, 1, "no journal here is no reason to fail");
    say_setup(SAY_TEXT, SAY_INFO, STDERR_FILENO);
}
