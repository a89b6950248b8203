// SPDX-License-Identifier: Apache-2.0
// The list of registered cases, shared by test.c and test_main.c.
#ifndef TEST_INT_H
#define TEST_INT_H

#include "test.h"

enum { TEST_MOST = 512 };
extern struct test_list {
    struct CMUnitTest cases[TEST_MOST];
    size_t n;
} test_list;

#endif
