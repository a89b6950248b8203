// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "lines.h"

// The longest prefix of p[0..max) that does not end inside a UTF-8 sequence; p[max] is readable.
static size_t cut_at(const char *p, size_t max) {
    size_t n = max;
    while (n && max - n < 3 && ((unsigned char)p[n] & 0xc0) == 0x80) n--;
    return n && ((unsigned char)p[n] & 0xc0) == 0x80 ? max : n;
}

int lines_next(bool *skipping, const char *p, size_t n, size_t searched, uint32_t max, bool final, struct line *ret, size_t *ret_used) {
    size_t start = 0;
    if (*skipping) {
        const char *end = n ? memchr(p, '\n', n) : NULL;
        *skipping = !end && !final;
        start = end ? (size_t)(end - p) + 1 : n;
        searched = 0;
    }
    *ret_used = start;
    if (start == n) return 0;
    const char *from = p + start, *end = n - start > searched ? memchr(from + searched, '\n', n - start - searched) : NULL;
    size_t length = end ? (size_t)(end - from) : n - start;
    if (!end && !final && length <= max) return 0;
    *ret_used = start + length + (end != NULL);
    *ret = (struct line){from, length, false, !end};
    if (end && length && from[length - 1] == '\r') ret->n = --length;
    if (length > max) {
        *ret = (struct line){from, cut_at(from, max), true, false};
        *skipping = !end && !final;
    }
    return 1;
}
