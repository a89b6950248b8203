// SPDX-License-Identifier: Apache-2.0
// Growable bytes: growth under the limit, numbers in the wire's byte orders, formatted text.
#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

// Growth at or above this may be asked for by outside data and fails softly; below it memory is taken for granted.
enum { BUF_LARGE = 1024 * 1024, BUF_FIRST = 64 };
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
    if (!p && cap < BUF_LARGE) p = xrealloc(b->p, cap); // aborts with a message
    if (!p) return turn_bad(b);
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

static const char digit_pairs[201] =
    "0001020304050607080910111213141516171819202122232425262728293031323334353637383940414243444546474849"
    "5051525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899";

// Writes the digits so that they end at `end`; returns their start.
static char *digits_before(char *end, uint64_t v) {
    while (v >= 100) {
        end -= 2;
        memcpy(end, digit_pairs + v % 100 * 2, 2);
        v /= 100;
    }
    if (v >= 10) return memcpy(end - 2, digit_pairs + v * 2, 2);
    *--end = (char)('0' + v);
    return end;
}

void buf_u64(struct buf *b, uint64_t v) {
    char room[20], *start = digits_before(room + sizeof(room), v);
    buf_put(b, start, (size_t)(room + sizeof(room) - start));
}

void buf_i64(struct buf *b, int64_t v) {
    char room[21], *start = digits_before(room + sizeof(room), v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
    if (v < 0) *--start = '-';
    buf_put(b, start, (size_t)(room + sizeof(room) - start));
}
