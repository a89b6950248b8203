// SPDX-License-Identifier: Apache-2.0
// Growable bytes: growth under the limit, numbers in the wire's byte orders, formatted text.
#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

enum { BUF_FIRST = 64 };
#define BUF_MOST (1ull << 36) // no size that is asked for on purpose

static bool turn_bad(struct buf *b) {
    b->bad = true;
    return false;
}

static bool grow(struct buf *b, size_t need) {
    size_t cap = b->cap ? b->cap : BUF_FIRST;
    while (cap < need) cap = cap > SIZE_MAX / 2 ? need : cap * 2;
    if (b->limit && cap > b->limit) cap = b->limit; // need <= limit was checked
    uint8_t *p = realloc(b->p, cap);
    if (!p && cap >= mem_large && cap - need > need / 8) p = realloc(b->p, cap = need + need / 8); // twice as much only spares calls
    if (!p && cap < mem_large) p = xrealloc(b->p, cap);
    if (!p) {
        b->no_memory = true;
        mem_refused();
        return turn_bad(b);
    }
    b->p = p;
    b->cap = cap;
    return true;
}

bool buf_reserve(struct buf *b, size_t more) {
    size_t need;
    if (b->bad) return false;
    if (__builtin_add_overflow(b->n, more, &need) || need > (b->limit ? b->limit : BUF_MOST)) return turn_bad(b);
    return need <= b->cap || grow(b, need);
}

void buf_done(struct buf *b) {
    free(b->p);
    *b = (struct buf){.limit = b->limit};
}

// The terminator lies outside n, and outside the limit too: a full buf still has a text form.
const char *buf_cstr(struct buf *b) {
    if (!b->n) return "";
    if (b->cap == b->n) {
        b->p = xrealloc(b->p, b->n + 1);
        b->cap = b->n + 1;
    }
    b->p[b->n] = 0;
    return (const char *)b->p;
}

void buf_fill(struct buf *b, uint8_t byte, size_t n) {
    if (!buf_reserve(b, n) || !n) return;
    memset(b->p + b->n, byte, n);
    b->n += n;
}

void buf_be16(struct buf *b, uint16_t v) {
    uint8_t p[2];
    put_be16(p, v);
    buf_put(b, p, sizeof(p));
}

void buf_be32(struct buf *b, uint32_t v) {
    uint8_t p[4];
    put_be32(p, v);
    buf_put(b, p, sizeof(p));
}

void buf_be64(struct buf *b, uint64_t v) {
    uint8_t p[8];
    put_be64(p, v);
    buf_put(b, p, sizeof(p));
}

void buf_uvarint(struct buf *b, uint64_t v) {
    uint8_t p[10];
    size_t n = 0;
    while (v >= 0x80) {
        p[n++] = (uint8_t)(v | 0x80);
        v >>= 7;
    }
    p[n++] = (uint8_t)v;
    buf_put(b, p, n);
}

void buf_varint(struct buf *b, int64_t v) { buf_uvarint(b, ((uint64_t)v << 1) ^ (uint64_t)(v >> 63)); }

void buf_vprintf(struct buf *b, const char *fmt, va_list ap) {
    char small[256];
    va_list again;
    va_copy(again, ap);
    int n = vsnprintf(small, sizeof(small), fmt, ap);
    if (n < 0) b->bad = true;
    else if ((size_t)n < sizeof(small)) buf_put(b, small, (size_t)n);
    else {
        char *large = xmalloc((size_t)n + 1);
        vsnprintf(large, (size_t)n + 1, fmt, again);
        buf_put(b, large, (size_t)n);
        free(large);
    }
    va_end(again);
}

void buf_printf(struct buf *b, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    buf_vprintf(b, fmt, ap);
    va_end(ap);
}

// Eight decimal digits of v < 10^8 as eight bytes, the first digit lowest: halves, quarters and eighths side by side in one word.
static uint64_t digits_of_8(uint32_t v) {
    uint64_t fours = v / 10000 | (uint64_t)(v % 10000) << 32;
    uint64_t hundreds = ((fours * 10486) >> 20) & 0x7f0000007f; // 10486 / 2^20 is 1/100 for what is below 10^4
    uint64_t twos = hundreds | (fours - 100 * hundreds) << 16;
    uint64_t tens = ((twos * 103) >> 10) & 0x000f000f000f000f; // 103 / 2^10 is 1/10 for what is below 100
    return tens | (twos - 10 * tens) << 8;
}

static void put_word(uint8_t *p, uint64_t v) {
    if (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__) v = __builtin_bswap64(v);
    memcpy(p, &v, 8);
}

static const uint64_t zeros_8 = 0x3030303030303030;

// Without leading zeros.
static size_t put_head(uint8_t *p, uint32_t v) {
    if (v < 10) return *p = (uint8_t)('0' + v), 1;
    uint64_t digits = digits_of_8(v);
    unsigned skip = (unsigned)__builtin_ctzll(digits) & ~7u; // bits of leading zero digits
    put_word(p, (digits | zeros_8) >> skip);
    return 8 - skip / 8;
}

size_t put_decimal_u64(uint8_t *p, uint64_t v) {
    enum { E8 = 100000000 };
    size_t n;
    if (v < E8) return put_head(p, (uint32_t)v);
    if (v / E8 < E8) n = put_head(p, (uint32_t)(v / E8));
    else {
        n = put_head(p, (uint32_t)(v / E8 / E8));
        put_word(p + n, digits_of_8((uint32_t)(v / E8 % E8)) | zeros_8);
        n += 8;
    }
    put_word(p + n, digits_of_8((uint32_t)(v % E8)) | zeros_8);
    return n + 8;
}

size_t put_decimal(uint8_t *p, int64_t v) {
    if (v >= 0) return put_decimal_u64(p, (uint64_t)v);
    *p = '-';
    return 1 + put_decimal_u64(p + 1, 0 - (uint64_t)v);
}

void buf_u64(struct buf *b, uint64_t v) {
    uint8_t room[DECIMAL_ROOM];
    buf_put(b, room, put_decimal_u64(room, v));
}

void buf_i64(struct buf *b, int64_t v) {
    uint8_t room[DECIMAL_ROOM];
    buf_put(b, room, put_decimal(room, v));
}
