// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>

#include "config/interpolate.h"
#include "base/mem.h"
#include "test.h"
#include "tmpdir.h"

static struct secret_places places;

static void assert_text(const char *text, const char *want) {
    struct buf out = {0};
    struct err err;
    assert_ok(interpolate(&places, str_of(text), &out, &err), err);
    assert_buf(&out, want);
    buf_done(&out);
}

static void assert_refused(const char *text, enum err_code code, const char *part) {
    struct buf out = {0};
    struct err err;
    assert_fails(interpolate(&places, str_of(text), &out, &err), err, code);
    assert_has(err.msg, part);
    buf_done(&out);
}

TEST(text_without_references_is_left_alone) {
    static const char *const same[] = {"", "plain", "$", "$$", "${", "${topic}-${timestamp}", "a$b{c:d}", "${a", "$1-$2"};
    for (size_t i = 0; i < countof(same); i++) {
        assert_text(same[i], same[i]);
        assert_false(interpolate_has_reference(str_of(same[i])));
    }
}

TEST(a_doubled_dollar_is_a_literal_one) {
    assert_text("$${env:HOME}", "${env:HOME}");
    assert_text("$$${x}", "$${x}");
    assert_false(interpolate_has_reference(STR("$${env:HOME}")));
    assert_true(interpolate_has_reference(STR("$${env:HOME} ${env:X}")));
}

TEST(environment_variables_are_replaced_anywhere_in_a_text) {
    setenv("TEST_A", "one", 1);
    setenv("TEST_B", "${env:TEST_A}", 1); // what comes in is not looked at again
    assert_text("${env:TEST_A}", "one");
    assert_text("<${env:TEST_A}|${env:TEST_B}>", "<one|${env:TEST_A}>");
    assert_refused("${env:TEST_NONE}", ERR_NOT_FOUND, "${env:TEST_NONE}: environment variable TEST_NONE is not set");
}

TEST(a_secret_file_is_taken_whole_without_its_last_newline) {
    const char *dir = tmpdir_new();
    places = (struct secret_places){.secrets_dir = dir};
    tmpdir_file(dir, "shop.password", "s3cret:}with{ odd\nlines\n");
    tmpdir_file(dir, "dos", "x\r\n");
    tmpdir_file(dir, "empty", "");
    tmpdir_bytes(dir, "nul", "a\0b", 3);
    assert_text("${file:shop.password}", "s3cret:}with{ odd\nlines");
    assert_text("[${file:dos}${file:empty}]", "[x]");
    assert_refused("${file:nul}", ERR_INVALID, "NUL");
    assert_refused("${file:none}", ERR_NOT_FOUND, "${file:none}: open ");
    assert_refused("${file:../etc/passwd}", ERR_INVALID, "'../etc/passwd' is not a file's name");
    assert_refused("${file:..}", ERR_INVALID, "is not a file's name");
    assert_refused("${file:}", ERR_INVALID, "is not a file's name");
    places.secrets_dir = NULL;
    assert_refused("${file:x}", ERR_NOT_FOUND, "there is no secrets folder");
}

TEST(a_key_of_a_properties_file_is_read_as_java_reads_it) {
    const char *path = tmpdir_file(tmpdir_new(), "db.properties",
                                   "# comment\n! too\npassword = s3cret = x\nuser:bob\nblank value here\n  spaced\t:\tv\nesc\\=key=a\\tb\\\\c\nlast=1\nlast=2\nempty=\nwindows=yes\r\n");
    static const struct {
        const char *key, *value;
    } rows[] = {{"password", "s3cret = x"}, {"user", "bob"}, {"blank", "value here"}, {"spaced", "v"}, {"esc=key", "a\tb\\c"}, {"last", "2"}, {"empty", ""}, {"windows", "yes"}};
    for (size_t i = 0; i < countof(rows); i++) {
        _cleanup_free_ char *text = xasprintf("${file:%s:%s}", path, rows[i].key);
        assert_text(text, rows[i].value);
    }
    _cleanup_free_ char *none = xasprintf("${file:%s:none}", path);
    assert_refused(none, ERR_NOT_FOUND, "has no key none");
    assert_refused("${file:/nonexistent/x:k}", ERR_NOT_FOUND, "no such file");
}

TEST(a_directorys_file_is_taken_whole) {
    const char *dir = tmpdir_new();
    tmpdir_file(dir, "token", "abc\n");
    _cleanup_free_ char *text = xasprintf("Bearer ${directory:%s:token}", dir);
    assert_text(text, "Bearer abc");
    _cleanup_free_ char *out = xasprintf("${directory:%s:../x}", dir);
    assert_refused(out, ERR_INVALID, "is not a file's name");
    assert_refused("${directory:relative:x}", ERR_INVALID, "it is written ${directory:/folder:name}");
    _cleanup_free_ char *folder = xasprintf("${directory:%s:%s}", "/", "tmp");
    assert_refused(folder, ERR_INVALID, "is not a file");
}

TEST(credentials_come_from_systemd) {
    const char *dir = tmpdir_new();
    tmpdir_file(dir, "one", "1\n");
    tmpdir_file(dir, "secrets_two", "2\n"); // LoadCredential=secrets:/folder
    places = (struct secret_places){.credentials_dir = dir};
    assert_text("${credential:one}${credential:two}", "12");
    assert_refused("${credential:three}", ERR_NOT_FOUND, "${credential:three}");
    places.secrets_dir = "/nonexistent";
    assert_text("${file:two}", "2"); // the folder as systemd hands it on
    places = (struct secret_places){0};
    unsetenv("CREDENTIALS_DIRECTORY");
    assert_refused("${credential:one}", ERR_NOT_FOUND, "$CREDENTIALS_DIRECTORY is not set");
    setenv("CREDENTIALS_DIRECTORY", dir, 1);
    assert_text("${credential:one}", "1");
    unsetenv("CREDENTIALS_DIRECTORY");
}

TEST(an_unknown_provider_is_named_and_the_escape_is_told) {
    struct err err;
    struct buf out = {0};
    assert_fails(interpolate(&places, STR("${vault:a/b:c}"), &out, &err), err, ERR_INVALID);
    assert_has(err.msg, "there is no provider 'vault'");
    assert_has(err.hint, "$${");
    assert_fails(interpolate_check(STR("x ${vault:y}"), &err), err, ERR_INVALID);
    assert_ok(interpolate_check(STR("x ${env:NOT_THERE} $${vault:y}"), &err), err);
    buf_done(&out);
}

TEST(a_huge_secret_is_refused) {
    const char *dir = tmpdir_new();
    char *text = malloc(100000);
    memset(text, 'x', 99999);
    text[99999] = 0;
    tmpdir_file(dir, "huge", text);
    free(text);
    places = (struct secret_places){.secrets_dir = dir};
    assert_refused("${file:huge}", ERR_TOO_LARGE, "larger than 65536 bytes");
}
