// SPDX-License-Identifier: Apache-2.0
// The bounded cursor through which the syslog parsers read: it never looks past its end, and nothing it does can fail.
//
// A value over borrowed bytes. A parser that finds something else than it hoped for puts a saved copy back.
#ifndef SYSLOG_SCAN_H
#define SYSLOG_SCAN_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct slice { const char *p; uint32_t n; }; // p NULL: absent
struct scan { const char *p, *end; };

static inline struct slice slice_of(const char *from, const char *to) { return (struct slice){from, (uint32_t)(to - from)}; }
static inline struct scan scan_of(const char *p, size_t n) { return (struct scan){p, p + n}; }
static inline struct scan scan_slice(struct slice s) { return scan_of(s.p, s.n); }
static inline size_t scan_left(const struct scan *s) { return (size_t)(s->end - s->p); }
static inline bool scan_done(const struct scan *s) { return s->p == s->end; }
// The byte `ahead` of the cursor, or -1 past the end.
static inline int scan_peek(const struct scan *s, size_t ahead) { return scan_left(s) > ahead ? (unsigned char)s->p[ahead] : -1; }
// Takes the byte if it comes next.
static inline bool scan_char(struct scan *s, char c) {
    if (scan_done(s) || *s->p != c) return false;
    s->p++;
    return true;
}
static inline bool scan_isdigit(int c) { return c >= '0' && c <= '9'; }
static inline bool scan_isalpha(int c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
static inline bool scan_isalnum(int c) { return scan_isdigit(c) || scan_isalpha(c); }
static inline void scan_spaces(struct scan *s) { while (scan_char(s, ' ')) {} }
// Takes up to `max` digits; returns how many, and their value (saturating far above anything that is compared to it).
static inline unsigned scan_digits(struct scan *s, unsigned max, int64_t *ret) {
    int64_t v = 0;
    unsigned n = 0;
    for (; n < max && scan_isdigit(scan_peek(s, 0)); n++, s->p++)
        if (v < INT64_MAX / 10 - 10) v = v * 10 + (*s->p - '0');
    *ret = v;
    return n;
}
// Takes everything up to a space or the end.
static inline struct slice scan_word(struct scan *s) {
    const char *from = s->p, *space = scan_done(s) ? NULL : memchr(from, ' ', scan_left(s));
    s->p = space ? space : s->end;
    return slice_of(from, s->p);
}

#endif
