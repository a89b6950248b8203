// SPDX-License-Identifier: Apache-2.0
// The same for each of many by several threads: for what waits for the disk, where the file system then commits once for all that wait.
#ifndef STORE_MANY_H
#define STORE_MANY_H

#include <stddef.h>

#include "base/err.h"

// Calls one(arg, i) for every i below n, from this thread and, where there are enough, from some others. After the first failure, which
// is returned, no more are begun.
int many(size_t n, int (*one)(void *arg, size_t i, struct err *err), void *arg, struct err *err) MUST_USE;

#endif
