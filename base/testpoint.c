// SPDX-License-Identifier: Apache-2.0
// Kill points and planted faults by environment variable.
#include "base/testpoint.h"

#ifdef CN_TEST_POINTS
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static struct {
    char kill_at[64];
    _Atomic long left; // times the point is still passed
    const char *mutant;
} points;

static void read_environment(void) {
    const char *at = getenv("CONNECTD_KILL_AT"), *colon = at ? strchr(at, ':') : NULL;
    size_t n = !at ? 0 : colon ? (size_t)(colon - at) : strlen(at);
    if (n < sizeof(points.kill_at)) memcpy(points.kill_at, at ? at : "", n);
    points.left = colon ? strtol(colon + 1, NULL, 10) : 1;
    points.mutant = getenv("CONNECTD_MUTANT");
}

static void read_once(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, read_environment);
}

void testpoint_reached(const char *name) {
    read_once();
    if (strcmp(points.kill_at, name) != 0) return;
    if (atomic_fetch_sub(&points.left, 1) == 1) raise(SIGKILL);
}

bool testpoint_mutant(const char *name) {
    read_once();
    return points.mutant && !strcmp(points.mutant, name);
}
#else
typedef int testpoint_is_empty_without_test_points;
#endif
