// SPDX-License-Identifier: Apache-2.0
// cmocka with registration: TEST(a_sentence) { ... } is all a test file needs, main comes from the library.
//
// `./test_x part_of_a_name` runs the cases whose names contain it; `-l` lists them. A case that must not run here calls
// skip(). Cases run in the order in which the file defines them.
#ifndef TEST_H
#define TEST_H

// cmocka.h needs these four before it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

void test_register(const char *name, CMUnitTestFunction run);

#define TEST(name)                                                                                                     \
    static void name(void **state);                                                                                    \
    __attribute__((constructor)) static void register_##name(void) { test_register(#name, name); }                     \
    static void name(void **state)

// The call succeeded; else the case fails with the error's text. `err` is the struct err given to the call.
#define assert_ok(call, err) test_ok((call) == 0, #call, &(err), __FILE__, __LINE__)
// The call failed with this code.
#define assert_fails(call, err, want) test_fails((call) != 0, #call, &(err), want, __FILE__, __LINE__)
// A struct str has exactly this text.
#define assert_str(s, want) test_str((s), str_of(want), __FILE__, __LINE__)
// A terminated text contains this part.
#define assert_has(text, part) test_has((text), (part), __FILE__, __LINE__)
// A buf has exactly this text; clears it.
#define assert_buf(b, want) test_buf((b), (want), __FILE__, __LINE__)

void test_ok(bool ok, const char *call, const struct err *err, const char *file, int line);
void test_fails(bool failed, const char *call, const struct err *err, enum err_code want, const char *file, int line);
void test_str(struct str got, struct str want, const char *file, int line);
void test_has(const char *text, const char *part, const char *file, int line);
void test_buf(struct buf *b, const char *want, const char *file, int line);

// A small generator for property tests: the same seed gives the same run.
uint64_t test_random(uint64_t *seed);

#endif
