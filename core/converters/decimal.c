// SPDX-License-Identifier: Apache-2.0
#include "converters/decimal.h"

#include <stdlib.h>

#include "base/mem.h"

// Both ways are quadratic in the digits, so what a JSON text may ask for is bounded; PostgreSQL's longest numeric (147,455
// digits) still prints, in a fraction of a second.
enum { DIGITS_MAX = 20000, ZEROS_MAX = 2000, LIMB = 1000000000, LIMB_DIGITS = 9 };

static void negate(uint8_t *p, size_t n) {
    unsigned carry = 1;
    for (size_t i = n; i-- > 0;) {
        carry += (uint8_t)~p[i];
        p[i] = (uint8_t)carry;
        carry >>= 8;
    }
}

// ── bytes to text ──

// A big-endian magnitude as 32-bit words, most significant first; caller frees.
static uint32_t *words_of(const uint8_t *p, size_t n, size_t *ret_n) {
    uint32_t *w = xcalloc(n / 4 + 1, sizeof(*w));
    *ret_n = (n + 3) / 4;
    for (size_t i = 0; i < n; i++) w[*ret_n - 1 - i / 4] |= (uint32_t)p[n - 1 - i] << 8 * (i % 4);
    return w;
}

// Divides by 10^9 in place and returns the remainder.
static uint32_t divide_limb(uint32_t *w, size_t n) {
    uint64_t rest = 0;
    for (size_t i = 0; i < n; i++) {
        uint64_t v = rest << 32 | w[i];
        w[i] = (uint32_t)(v / LIMB);
        rest = v % LIMB;
    }
    return (uint32_t)rest;
}

// The decimal digits of a big-endian magnitude, "0" for zero. Written from the end.
static void magnitude_digits(struct buf *out, const uint8_t *p, size_t n) {
    size_t room = n * 5 / 2 + 2 * LIMB_DIGITS, at = room, words;
    _cleanup_free_ char *text = xmalloc(room);
    _cleanup_free_ uint32_t *w = words_of(p, n, &words);
    for (size_t from = 0; from < words || at == room;) {
        uint32_t limb = divide_limb(w + from, words - from);
        for (int i = 0; i < LIMB_DIGITS; i++, limb /= 10) text[--at] = (char)('0' + limb % 10);
        while (from < words && !w[from]) from++;
    }
    while (at < room - 1 && text[at] == '0') at++;
    buf_put(out, text + at, room - at);
}

static void small_digits(struct buf *out, const uint8_t *p, size_t n, bool *ret_negative) {
    int64_t v = n && p[0] & 0x80 ? -1 : 0;
    for (size_t i = 0; i < n; i++) v = (int64_t)((uint64_t)v << 8 | p[i]);
    *ret_negative = v < 0;
    buf_u64(out, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
}

static void unscaled_digits(struct buf *out, const uint8_t *unscaled, size_t n, bool *ret_negative) {
    if (n <= 8) {
        small_digits(out, unscaled, n, ret_negative);
        return;
    }
    _cleanup_free_ uint8_t *copy = xmemdup(unscaled, n);
    *ret_negative = copy[0] & 0x80;
    if (*ret_negative) negate(copy, n);
    magnitude_digits(out, copy, n);
}

static void put_plain(struct buf *out, struct str digits, int32_t scale) {
    int64_t whole = (int64_t)digits.n - scale; // digits before the point
    if (whole <= 0) {
        buf_putz(out, "0.");
        buf_fill(out, '0', (size_t)-whole);
        buf_puts(out, digits);
        return;
    }
    buf_puts(out, str_first(digits, (size_t)whole));
    if (scale > 0) {
        buf_u8(out, '.');
        buf_puts(out, str_from(digits, (size_t)whole));
    }
}

static void put_scientific(struct buf *out, struct str digits, int64_t exponent) {
    buf_u8(out, (uint8_t)digits.p[0]);
    if (digits.n > 1) {
        buf_u8(out, '.');
        buf_puts(out, str_from(digits, 1));
    }
    buf_putz(out, exponent < 0 ? "E" : "E+");
    buf_i64(out, exponent);
}

void decimal_print(struct buf *out, const uint8_t *unscaled, size_t n, int32_t scale) {
    struct buf digits = {0};
    bool negative;
    unscaled_digits(&digits, unscaled, n, &negative);
    if (negative) buf_u8(out, '-');
    int64_t exponent = (int64_t)digits.n - 1 - scale;
    if (scale >= 0 && exponent >= -6) put_plain(out, buf_str(&digits), scale);
    else put_scientific(out, buf_str(&digits), exponent);
    buf_done(&digits);
}

// ── text to bytes ──

struct number {
    bool negative;
    struct buf digits; // without the point
    int64_t scale;     // digits after the point, less the exponent
};

static bool number_read(struct str s, struct number *ret) {
    size_t i = 0;
    bool point = false;
    if (s.n && s.p[0] == '-') ret->negative = true, i++;
    for (; i < s.n && ((s.p[i] >= '0' && s.p[i] <= '9') || (s.p[i] == '.' && !point)); i++) {
        if (s.p[i] == '.') {
            point = true;
            continue;
        }
        buf_u8(&ret->digits, (uint8_t)s.p[i]);
        ret->scale += point;
    }
    if (!ret->digits.n) return false;
    if (i == s.n) return true;
    int64_t exponent;
    struct str tail = str_from(s, i + 1);
    if ((s.p[i] | 0x20) != 'e') return false;
    if (tail.n > 1 && tail.p[0] == '+') tail = str_from(tail, 1);
    if (!str_to_i64(tail, &exponent) || exponent > DIGITS_MAX || exponent < -DIGITS_MAX) return false;
    ret->scale -= exponent;
    return true;
}

// Appends zeros (not many: 1e19000 is a small text) or takes trailing ones away until the digits stand at this scale.
static bool number_rescale(struct number *v, int64_t scale) {
    while (v->scale > scale && v->digits.n > 1 && v->digits.p[v->digits.n - 1] == '0') v->digits.n--, v->scale--;
    if (v->digits.n == 1 && v->digits.p[0] == '0') return true;
    if (v->scale > scale || scale - v->scale > ZEROS_MAX) return false;
    buf_fill(&v->digits, '0', (size_t)(scale - v->scale));
    return true;
}

// Multiplies the words (least significant first) and adds; *n grows by the carry.
static void multiply_add(uint32_t *w, size_t *n, uint32_t by, uint32_t add) {
    uint64_t carry = add;
    for (size_t i = 0; i < *n; i++) {
        carry += (uint64_t)w[i] * by;
        w[i] = (uint32_t)carry;
        carry >>= 32;
    }
    if (carry) w[(*n)++] = (uint32_t)carry;
}

// The magnitude as big-endian bytes with a zero byte in front; caller frees.
static uint8_t *magnitude_of(struct str digits, size_t *ret_n) {
    static const uint32_t powers[] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000, LIMB};
    _cleanup_free_ uint32_t *w = xcalloc(digits.n / LIMB_DIGITS + 2, sizeof(*w));
    size_t n = 0;
    for (size_t at = 0; at < digits.n;) {
        uint32_t limb = 0, k = 0;
        for (; k < LIMB_DIGITS && at < digits.n; k++) limb = limb * 10 + (uint32_t)(digits.p[at++] - '0');
        multiply_add(w, &n, powers[k], limb);
    }
    uint8_t *p = xcalloc(n * 4 + 1, 1);
    for (size_t i = 0; i < n; i++) put_be32(p + 1 + 4 * (n - 1 - i), w[i]);
    *ret_n = n * 4 + 1;
    return p;
}

// The shortest two's complement form: one sign bit in front.
static void put_shortest(struct buf *out, const uint8_t *p, size_t n) {
    while (n > 1 && ((p[0] == 0 && !(p[1] & 0x80)) || (p[0] == 0xff && p[1] & 0x80))) p++, n--;
    buf_put(out, p, n);
}

bool decimal_parse(struct buf *out, struct str text, int32_t scale) {
    struct number v = {.digits = {.limit = DIGITS_MAX}};
    bool ok = number_read(text, &v) && number_rescale(&v, scale) && !v.digits.bad;
    if (ok) {
        size_t n;
        _cleanup_free_ uint8_t *p = magnitude_of(buf_str(&v.digits), &n);
        if (v.negative) negate(p, n);
        put_shortest(out, p, n);
    }
    buf_done(&v.digits);
    return ok;
}
