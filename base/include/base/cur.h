// SPDX-License-Identifier: Apache-2.0
// The bounded reader through which every parser goes. Sticky failure: past the end it turns bad, yields zeros and stays put.
//
// A value over borrowed bytes. Parse straight through and test `bad` once; counts read from the input are checked with
// cur_count before anything is allocated for them.
#ifndef BASE_CUR_H
#define BASE_CUR_H

#include "base/buf.h"

struct cur {
    const uint8_t *p;
    const uint8_t *end;
    bool bad;
};

// p may be NULL when n is 0.
static inline struct cur cur_of(const void *p, size_t n) { return (struct cur){(const uint8_t *)p, n ? (const uint8_t *)p + n : (const uint8_t *)p, false}; }
static inline struct cur cur_str(struct str s) { return cur_of(s.p, s.n); }
static inline size_t cur_left(const struct cur *c) { return c->bad ? 0 : (size_t)(c->end - c->p); }
static inline bool cur_done(const struct cur *c) { return !c->bad && c->p == c->end; }
static inline void cur_fail(struct cur *c) { c->bad = true; }

// Takes n bytes: a pointer into the input, or NULL when bad.
static inline const uint8_t *cur_take(struct cur *c, size_t n) {
    if (c->bad || (size_t)(c->end - c->p) < n) { c->bad = true; return NULL; }
    const uint8_t *p = c->p;
    c->p += n;
    return p;
}
static inline uint8_t cur_u8(struct cur *c) { const uint8_t *p = cur_take(c, 1); return p ? *p : 0; }
static inline uint16_t cur_be16(struct cur *c) { const uint8_t *p = cur_take(c, 2); return p ? get_be16(p) : 0; }
static inline uint32_t cur_be32(struct cur *c) { const uint8_t *p = cur_take(c, 4); return p ? get_be32(p) : 0; }
static inline uint64_t cur_be64(struct cur *c) { const uint8_t *p = cur_take(c, 8); return p ? get_be64(p) : 0; }
int64_t cur_varint(struct cur *c);   // zigzag, at most 10 bytes
uint64_t cur_uvarint(struct cur *c); // at most 10 bytes
struct str cur_bytes(struct cur *c, size_t n); // {NULL,0} when bad
struct str cur_cstr(struct cur *c);            // up to and without the NUL; bad when there is none
// A count claimed by the input, each element at least min_size bytes: bad (and 0) when the rest can not hold them.
static inline uint32_t cur_count(struct cur *c, int64_t claimed, size_t min_size) {
    if (claimed < 0 || c->bad || (uint64_t)claimed > cur_left(c) / (min_size ? min_size : 1)) { c->bad = true; return 0; }
    return (uint32_t)claimed;
}

#endif
