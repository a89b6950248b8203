// SPDX-License-Identifier: Apache-2.0
// Where one line ends and the next begins: at LF, with a CR before it taken away. A line above `max` gives its first `max` bytes,
// marked; the rest up to its end is skipped. Pure: no I/O, no allocation.
#ifndef FILE_LINES_H
#define FILE_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct line {
    const char *p;
    size_t n;
    bool truncated;  // longer than max
    bool incomplete; // given without an end of line
};

// Takes the next line from p[0..n), the first `searched` bytes of which are known to hold no end of line. `skipping` tells, and keeps, whether
// the bytes belong to a line that was cut. With `final` the rest is a line even without an end. Returns 1 with *ret pointing into p,
// or 0 when more bytes are needed. *ret_used bytes are done with in either case.
int lines_next(bool *skipping, const char *p, size_t n, size_t searched, uint32_t max, bool final, struct line *ret, size_t *ret_used);

#endif
