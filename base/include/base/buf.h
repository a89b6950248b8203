// SPDX-License-Identifier: Apache-2.0
// Growable bytes with a limit and a sticky failure: write straight through, test `bad` once at the end.
//
// Zero-initialised is valid and empty (limit 0 = none). Past its limit, or out of memory for a large growth (MEM_LARGE), a buf
// turns bad, ignores further writes and keeps what it had. One thread at a time.
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/err.h"
#include "base/str.h"

struct buf {
    uint8_t *p;
    size_t n, cap;
    size_t limit; // most bytes it may hold; 0 = no limit
    bool bad;
    bool no_memory; // it is bad for that
};

bool buf_reserve(struct buf *b, size_t more); // room for `more` bytes after n; false when it turned bad
void buf_done(struct buf *b);                 // frees; b is empty and usable again
static inline void buf_clear(struct buf *b) { b->n = 0, b->bad = b->no_memory = false; }
// Why it is bad: NOMEM or TOO_LARGE.
static inline enum err_code buf_fault(const struct buf *b) { return b->no_memory ? ERR_NOMEM : ERR_TOO_LARGE; }
static inline struct str buf_str(const struct buf *b) { return str_make(b->p, b->n); }
const char *buf_cstr(struct buf *b); // terminated view, valid until the next write; "" when empty

static inline void buf_put(struct buf *b, const void *p, size_t n) {
    if ((b->cap - b->n < n || b->bad) && !buf_reserve(b, n)) return;
    if (n) memcpy(b->p + b->n, p, n);
    b->n += n;
}
static inline void buf_puts(struct buf *b, struct str s) { buf_put(b, s.p, s.n); }
static inline void buf_putz(struct buf *b, const char *z) { buf_put(b, z, strlen(z)); }
static inline void buf_u8(struct buf *b, uint8_t v) { buf_put(b, &v, 1); }
void buf_fill(struct buf *b, uint8_t byte, size_t n);
// Big-endian, as Kafka's and PostgreSQL's wire formats.
void buf_be16(struct buf *b, uint16_t v);
void buf_be32(struct buf *b, uint32_t v);
void buf_be64(struct buf *b, uint64_t v);
// Kafka's record varints (zigzag) and compact varints (unsigned).
void buf_varint(struct buf *b, int64_t v);
void buf_uvarint(struct buf *b, uint64_t v);
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_vprintf(struct buf *b, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
// Decimal text.
void buf_i64(struct buf *b, int64_t v);
void buf_u64(struct buf *b, uint64_t v);
// The same at p, of which DECIMAL_ROOM bytes may be written; returns how many count.
enum { DECIMAL_ROOM = 28 };
size_t put_decimal(uint8_t *p, int64_t v);
size_t put_decimal_u64(uint8_t *p, uint64_t v);

// In-place stores and loads at p, big-endian.
static inline void put_be16(uint8_t *p, uint16_t v) { v = __builtin_bswap16(v); memcpy(p, &v, 2); }
static inline void put_be32(uint8_t *p, uint32_t v) { v = __builtin_bswap32(v); memcpy(p, &v, 4); }
static inline void put_be64(uint8_t *p, uint64_t v) { v = __builtin_bswap64(v); memcpy(p, &v, 8); }
static inline uint16_t get_be16(const uint8_t *p) { uint16_t v; memcpy(&v, p, 2); return __builtin_bswap16(v); }
static inline uint32_t get_be32(const uint8_t *p) { uint32_t v; memcpy(&v, p, 4); return __builtin_bswap32(v); }
static inline uint64_t get_be64(const uint8_t *p) { uint64_t v; memcpy(&v, p, 8); return __builtin_bswap64(v); }

#endif
