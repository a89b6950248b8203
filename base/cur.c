// SPDX-License-Identifier: Apache-2.0
// The bounded reader's larger reads: varints, runs, C strings.
#include "base/cur.h"

uint64_t cur_uvarint(struct cur *c) {
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        uint8_t byte = cur_u8(c);
        if (c->bad) return 0;
        if (shift == 63 && byte > 1) break; // more than 64 bits
        v |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) return v;
    }
    c->bad = true;
    return 0;
}

int64_t cur_varint(struct cur *c) {
    uint64_t v = cur_uvarint(c);
    return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

struct str cur_bytes(struct cur *c, size_t n) {
    const uint8_t *p = cur_take(c, n);
    return p ? str_make(p, n) : (struct str){NULL, 0};
}

struct str cur_cstr(struct cur *c) {
    const uint8_t *nul = cur_left(c) ? memchr(c->p, 0, cur_left(c)) : NULL;
    if (!nul) {
        c->bad = true;
        return (struct str){NULL, 0};
    }
    struct str s = str_make(c->p, (size_t)(nul - c->p));
    c->p = nul + 1;
    return s;
}
