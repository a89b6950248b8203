// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdlib.h>

#include "base/err.h"
#include "test.h"

static int fail_sys(struct err *err, int sys) { return err_sys(err, sys, "open %s", "/var/lib/x"); }

TEST(an_error_says_what_and_gains_context_on_its_way_up) {
    struct err err = {0};
    assert_int_equal(err_set(&err, ERR_CORRUPT, "crc %08x, expected %08x", 1u, 2u), -1);
    assert_int_equal(err_wrap(&err, "segment %020d.log", 42), -1);
    assert_int_equal(err_wrap(&err, "topic %s", "orders"), -1);
    assert_string_equal(err.msg, "topic orders: segment 00000000000000000042.log: crc 00000001, expected 00000002");
    assert_int_equal(err.code, ERR_CORRUPT);
    assert_int_equal(err_class_of(err.code), ERR_CLASS_FATAL);
    assert_false(err_retriable(&err));
}

TEST(a_hint_is_kept_apart_and_goes_with_a_new_error) {
    struct err err = {0};
    err_set(&err, ERR_NOSPACE, "full");
    err_hint(&err, "free %d MiB", 5);
    assert_string_equal(err.hint, "free 5 MiB");
    assert_true(err_retriable(&err));
    err_set(&err, ERR_INVALID, "other");
    assert_string_equal(err.hint, "");
}

TEST(an_error_can_be_rewritten_from_its_own_text) {
    struct err err = {0};
    err_set(&err, ERR_INVALID, "inner");
    err_set(&err, ERR_NOT_FOUND, "outer of %s", err.msg);
    assert_string_equal(err.msg, "outer of inner");
}

TEST(system_errors_map_to_codes_and_keep_errno) {
    static const struct {
        int sys;
        enum err_code code;
        const char *text;
    } rows[] = {
        {ENOENT, ERR_NOT_FOUND, "open /var/lib/x: no such file or directory"},
        {ENOSPC, ERR_NOSPACE, "open /var/lib/x: no space left on device"},
        {EACCES, ERR_DENIED, "open /var/lib/x: permission denied"},
        {ECONNREFUSED, ERR_NETWORK, "open /var/lib/x: connection refused"},
        {EIO, ERR_IO, "open /var/lib/x: input/output error"},
        {ENOTEMPTY, ERR_EXISTS, "open /var/lib/x: directory not empty"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct err err = {0};
        assert_fails(fail_sys(&err, rows[i].sys), err, rows[i].code);
        assert_string_equal(err.msg, rows[i].text);
        assert_int_equal(err.sys, rows[i].sys);
    }
}

TEST(long_messages_are_cut_but_terminated_and_keep_the_reason) {
    struct err err = {0};
    char path[2000];
    memset(path, 'a', sizeof(path) - 1);
    path[sizeof(path) - 1] = 0;
    err_sys(&err, ENOSPC, "write %s", path);
    assert_int_equal(strlen(err.msg), sizeof(err.msg) - 1);
    assert_has(err.msg, ": no space left on device");
    for (int i = 0; i < 3; i++) err_wrap(&err, "%s", path);
    assert_int_equal(strlen(err.msg), sizeof(err.msg) - 1);
    err_hint(&err, "%s", path);
    assert_int_equal(strlen(err.hint), sizeof(err.hint) - 1);
}

TEST(without_an_err_the_calls_still_fail) {
    assert_int_equal(err_set(NULL, ERR_IO, "x"), -1);
    assert_int_equal(err_sys(NULL, EIO, "x"), -1);
    assert_int_equal(err_wrap(NULL, "x"), -1);
    assert_int_equal(err_hint(NULL, "x"), -1);
}

TEST(every_code_has_a_name_a_text_and_a_class) {
    for (int c = 0; c < ERR_CODE_COUNT; c++) {
        assert_true(strlen(err_name((enum err_code)c)) > 1);
        assert_true(strlen(err_text((enum err_code)c)) > 1);
    }
    assert_string_equal(err_name(ERR_TXN_STATE), "TXN_STATE");
    assert_string_equal(err_name((enum err_code)999), "UNKNOWN");
    assert_int_equal(err_class_of((enum err_code)999), ERR_CLASS_FATAL);
}
