/* SPDX-License-Identifier: Apache-2.0 */
#include "pgnumeric.h"

static int special(struct text t) {
    if (text_is(t, "NaN")) return NUMERIC_NAN;
    if (text_is(t, "Infinity")) return NUMERIC_PLUS_INFINITY;
    if (text_is(t, "-Infinity")) return NUMERIC_MINUS_INFINITY;
    return NUMERIC_BAD;
}

static struct text take_digits(const char **s, const char *end) {
    struct text t = {*s, 0};
    while (*s < end && (unsigned char)(**s - '0') < 10) ++*s;
    t.n = (size_t)(*s - t.p);
    return t;
}

int numeric_parse(struct text t, struct numeric *ret) {
    const char *s = t.p, *end = t.p + t.n;
    struct numeric v = {{"", 0}, {"", 0}, 0};
    if (s < end && (*s == '-' || *s == '+')) v.negative = *s++ == '-';
    v.whole = take_digits(&s, end);
    if (s < end && *s == '.') {
        s++;
        v.fraction = take_digits(&s, end);
    }
    if (s != end || (!v.whole.n && !v.fraction.n)) return special(t);
    while (v.whole.n && *v.whole.p == '0') v.whole.p++, v.whole.n--;
    *ret = v;
    return NUMERIC_OK;
}

int numeric_parse_money(struct text t, char *buf, size_t cap, struct numeric *ret) {
    size_t n = 0;
    int negative = t.n && (*t.p == '-' || *t.p == '(');
    for (size_t i = 0; i < t.n; i++) {
        char c = t.p[i];
        if ((unsigned char)(c - '0') > 9 && c != '.') continue;
        if (n == cap) return -1;
        buf[n++] = c;
    }
    if (numeric_parse((struct text){buf, n}, ret) != NUMERIC_OK) return -1;
    ret->negative = negative;
    return 0;
}

int32_t numeric_scale(const struct numeric *v) {
    size_t n = v->fraction.n;
    while (n && v->fraction.p[n - 1] == '0') n--;
    return (int32_t)n;
}

size_t numeric_bound(const struct numeric *v, int32_t scale) {
    /* log256(10) < 0.4153; one byte for the sign, 8 for whole words. */
    return (v->whole.n + (size_t)(scale > 0 ? scale : 0)) * 5 / 12 + 17;
}

/* The digits of value · 10^scale one after the other, so that nothing is copied. */
struct digit_source {
    const struct numeric *v;
    size_t at, n;
};
static unsigned next_digit(struct digit_source *d) {
    size_t i = d->at++;
    if (i < d->v->whole.n) return (unsigned)(d->v->whole.p[i] - '0');
    i -= d->v->whole.n;
    return i < d->v->fraction.n ? (unsigned)(d->v->fraction.p[i] - '0') : 0;
}

/* Little-endian 32-bit words in `out`: words = words · mul + add. */
static size_t words_mul_add(uint8_t *out, size_t words, uint32_t mul, uint32_t add) {
    uint64_t carry = add;
    for (size_t i = 0; i < words; i++) {
        uint32_t w;
        memcpy(&w, out + i * 4, 4);
        carry += (uint64_t)w * mul;
        w = (uint32_t)carry;
        memcpy(out + i * 4, &w, 4);
        carry >>= 32;
    }
    if (carry) {
        uint32_t w = (uint32_t)carry;
        memcpy(out + words * 4, &w, 4);
        words++;
    }
    return words;
}

/* Magnitude in little-endian bytes (n of them) → shortest big-endian two's complement in place. */
static size_t finish(uint8_t *out, size_t n, int negative) {
    while (n > 1 && out[n - 1] == 0) n--;
    if (negative) {
        unsigned carry = 1;
        for (size_t i = 0; i < n; i++) {
            carry += (uint8_t)~out[i];
            out[i] = (uint8_t)carry;
            carry >>= 8;
        }
    }
    int zero = 1;
    for (size_t i = 0; i < n; i++) zero &= out[i] == 0;
    if (!zero && (out[n - 1] >> 7 != 0) != (negative != 0)) out[n++] = negative ? 0xff : 0;
    while (n > 1 && out[n - 1] == (negative && !zero ? 0xff : 0) && (out[n - 2] >> 7 != 0) == (negative && !zero)) n--;
    for (size_t i = 0; i < n / 2; i++) {
        uint8_t b = out[i];
        out[i] = out[n - 1 - i];
        out[n - 1 - i] = b;
    }
    return n;
}

size_t numeric_unscaled(const struct numeric *v, int32_t scale, uint8_t *out) {
    if (scale < 0 || numeric_scale(v) > scale) return 0;
    struct digit_source d = {v, 0, v->whole.n + (size_t)scale};
    size_t words = 0;
    if (d.n <= 18) { /* the common case: one machine word */
        uint64_t value = 0;
        while (d.at < d.n) value = value * 10 + next_digit(&d);
        memcpy(out, &value, 8);
        return finish(out, 8, v->negative);
    }
    while (d.at < d.n) {
        uint32_t chunk = 0, mul = 1;
        for (int i = 0; i < 9 && d.at < d.n; i++, mul *= 10) chunk = chunk * 10 + next_digit(&d);
        words = words_mul_add(out, words, mul, chunk);
    }
    if (!words) memset(out, 0, 4), words = 1;
    return finish(out, words * 4, v->negative);
}
