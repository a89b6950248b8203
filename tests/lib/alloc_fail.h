// SPDX-License-Identifier: Apache-2.0
// Memory that fails by plan: in a program that uses this, malloc, calloc and realloc of all its parts, libraries too, come here first.
//
// Under a sanitizer they go on to its allocator (C++'s new does not come here then), else to the C library's. Counts over all threads.
#ifndef ALLOC_FAIL_H
#define ALLOC_FAIL_H

#include <stddef.h>
#include <stdint.h>

struct alloc_plan {
    uint64_t first; // the first one to fail, counted from 1; 0 none
    uint64_t times; // how many fail from there on; 0: one
    size_t least;   // only those of at least so many bytes count
};
void alloc_plan(struct alloc_plan plan); // begins to count anew
void alloc_relief(void);                 // nothing fails any more; goes on counting
uint64_t alloc_count(void);
uint64_t alloc_failed(void);             // how many of them failed

#endif
