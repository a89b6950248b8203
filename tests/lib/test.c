// SPDX-License-Identifier: Apache-2.0
// The registry of cases and the assertions that know our types.
#include "test.h"

#include <stdio.h>

#include "test_int.h"

struct test_list test_list;

void test_register(const char *name, CMUnitTestFunction run) {
    assert_true(test_list.n < TEST_MOST);
    test_list.cases[test_list.n++] = (struct CMUnitTest){.name = name, .test_func = run};
}

void test_ok(bool ok, const char *call, const struct err *err, const char *file, int line) {
    if (ok) return;
    print_error("%s failed: %s (%s)\n", call, err->msg, err_name(err->code));
    _fail(file, line);
}

void test_fails(bool failed, const char *call, const struct err *err, enum err_code want, const char *file, int line) {
    if (failed && err->code == want) return;
    if (!failed) print_error("%s succeeded, expected %s\n", call, err_name(want));
    else print_error("%s failed with %s (%s), expected %s\n", call, err_name(err->code), err->msg, err_name(want));
    _fail(file, line);
}

void test_str(struct str got, struct str want, const char *file, int line) {
    if (str_eq(got, want)) return;
    print_error("\"%.*s\" != \"%.*s\"\n", STR_FMT(got), STR_FMT(want));
    _fail(file, line);
}

void test_has(const char *text, const char *part, const char *file, int line) {
    if (strstr(text, part)) return;
    print_error("\"%s\" does not contain \"%s\"\n", text, part);
    _fail(file, line);
}

void test_buf(struct buf *b, const char *want, const char *file, int line) {
    test_str(buf_str(b), str_of(want), file, line);
    buf_clear(b);
}

// splitmix64
uint64_t test_random(uint64_t *seed) {
    uint64_t z = *seed += 0x9e3779b97f4a7c15ull;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}
