// SPDX-License-Identifier: Apache-2.0
#include "alloc_fail.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

// The libraries see it, too, but not under a sanitizer: its runtime, which is one of them, must find memory to start a thread.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define REAL(name) __interceptor_##name
#define SEEN
#else
#define REAL(name) __libc_##name
#define SEEN __attribute__((visibility("default")))
#endif
void *REAL(malloc)(size_t n);
void *REAL(calloc)(size_t count, size_t size);
void *REAL(realloc)(void *p, size_t n);

static _Atomic uint64_t first, times, count, failed;
static _Atomic size_t least;

void alloc_relief(void) { atomic_store(&first, 0); }

void alloc_plan(struct alloc_plan plan) {
    alloc_relief();
    atomic_store(&count, 0);
    atomic_store(&failed, 0);
    atomic_store(&least, plan.least);
    atomic_store(&times, plan.times ? plan.times : 1);
    atomic_store(&first, plan.first);
}

uint64_t alloc_count(void) { return atomic_load(&count); }
uint64_t alloc_failed(void) { return atomic_load(&failed); }

static int fails(size_t n) {
    if (n < atomic_load(&least)) return 0;
    uint64_t i = atomic_fetch_add(&count, 1) + 1, from = atomic_load(&first);
    if (!from || i < from || i - from >= atomic_load(&times)) return 0;
    atomic_fetch_add(&failed, 1);
    errno = ENOMEM;
    return 1;
}

SEEN void *malloc(size_t n) { return fails(n) ? NULL : REAL(malloc)(n); }
SEEN void *calloc(size_t items, size_t size) { return fails(items * size) ? NULL : REAL(calloc)(items, size); }
SEEN void *realloc(void *p, size_t n) { return fails(n) ? NULL : REAL(realloc)(p, n); }
