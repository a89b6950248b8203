// SPDX-License-Identifier: Apache-2.0
// Named points where a test may kill the process, and named faults it may plant. Nothing of it is compiled without CN_TEST_POINTS.
//
//     CONNECTD_KILL_AT=commit-framed:3    SIGKILL at the third time that point is reached (":1" when left out)
//     CONNECTD_MUTANT=ack-before-sync     the code behaves as if somebody had made that mistake (tests prove that they would notice)
//
// Thread-safe. Both variables are read once, at the first use.
#ifndef BASE_TESTPOINT_H
#define BASE_TESTPOINT_H

#include <stdbool.h>

#ifdef CN_TEST_POINTS
void testpoint_reached(const char *name);
bool testpoint_mutant(const char *name);
#define TEST_POINT(name) testpoint_reached(name)
#define MUTANT(name) testpoint_mutant(name)
#else
#define TEST_POINT(name) ((void)0)
#define MUTANT(name) false
#endif

#endif
