/* SPDX-License-Identifier: Apache-2.0 */
/* A borrowed run of bytes, and the bounded cursors that every parser of this connector reads through.
 *
 * Nothing here allocates. A reader never leaves its run; what does not fit sets `bad`, after which reads give zeroes, so a
 * parser reads straight through and tests once. */
#ifndef PG_TEXT_H
#define PG_TEXT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct text {
    const char *p;
    size_t n;
};
#define TEXT(z) ((struct text){z, sizeof(z) - 1})
static inline struct text text_of(const char *z) { return (struct text){z, strlen(z)}; }
static inline int text_is(struct text t, const char *z) { return t.n == strlen(z) && memcmp(t.p, z, t.n) == 0; }
static inline int text_eq(struct text a, struct text b) { return a.n == b.n && memcmp(a.p, b.p, a.n) == 0; }

/* Big-endian reading, as the replication protocol writes. */
struct wire {
    const uint8_t *p, *end;
    int bad;
};
static inline struct wire wire_of(const void *p, size_t n) {
    return (struct wire){(const uint8_t *)p, (const uint8_t *)p + n, 0};
}
static inline const uint8_t *wire_take(struct wire *w, size_t n) {
    if ((size_t)(w->end - w->p) < n) {
        w->bad = 1;
        w->p = w->end;
        return NULL;
    }
    w->p += n;
    return w->p - n;
}
static inline uint64_t wire_be(struct wire *w, size_t n) {
    const uint8_t *p = wire_take(w, n);
    uint64_t v = 0;
    for (size_t i = 0; p && i < n; i++) v = v << 8 | p[i];
    return v;
}
static inline uint8_t wire_u8(struct wire *w) { return (uint8_t)wire_be(w, 1); }
static inline uint16_t wire_u16(struct wire *w) {
    const uint8_t *p = wire_take(w, 2);
    uint16_t v = 0;
    if (p) memcpy(&v, p, 2);
    return __builtin_bswap16(v);
}
static inline uint32_t wire_u32(struct wire *w) {
    const uint8_t *p = wire_take(w, 4);
    uint32_t v = 0;
    if (p) memcpy(&v, p, 4);
    return __builtin_bswap32(v);
}
static inline uint64_t wire_u64(struct wire *w) {
    const uint8_t *p = wire_take(w, 8);
    uint64_t v = 0;
    if (p) memcpy(&v, p, 8);
    return __builtin_bswap64(v);
}
/* A NUL-terminated string; empty and bad when no NUL follows. */
static inline struct text wire_string(struct wire *w) {
    const uint8_t *nul = memchr(w->p, 0, (size_t)(w->end - w->p));
    struct text t = {"", 0};
    if (!nul) {
        w->bad = 1;
        w->p = w->end;
        return t;
    }
    t.p = (const char *)w->p;
    t.n = (size_t)(nul - w->p);
    w->p = nul + 1;
    return t;
}

/* Decimal digits at *s (at most `max` of them); returns how many, 0 when there are none. */
static inline unsigned digits(const char **s, const char *end, unsigned max, int64_t *ret) {
    const char *p = *s;
    int64_t v = 0;
    unsigned n = 0;
    while (p < end && n < max && (unsigned char)(*p - '0') < 10) {
        v = v * 10 + (*p++ - '0');
        n++;
    }
    *s = p;
    *ret = v;
    return n;
}

/* A whole signed decimal integer of at most 64 bits: 0, or -1. */
static inline int parse_int(struct text t, int64_t *ret) {
    const char *p = t.p, *end = t.p + t.n;
    int negative = p < end && *p == '-';
    uint64_t v = 0;
    p += negative || (p < end && *p == '+');
    if (p == end || end - p > 19) return -1;
    for (; p < end; p++) {
        unsigned d = (unsigned char)(*p - '0');
        if (d > 9) return -1;
        v = v * 10 + d;
    }
    if (v > (uint64_t)INT64_MAX + (uint64_t)negative) return -1;
    *ret = negative ? (int64_t)(0 - v) : (int64_t)v;
    return 0;
}

#endif
