// SPDX-License-Identifier: Apache-2.0
// Runs of bytes: comparing, splitting, numbers, edit distance, hashing.
#include "base/str.h"

#include <errno.h>
#include <stdlib.h>

#include "base/mem.h"

int str_cmp(struct str a, struct str b) {
    size_t n = a.n < b.n ? a.n : b.n;
    int order = n ? memcmp(a.p, b.p, n) : 0;
    return order ? order : (a.n > b.n) - (a.n < b.n);
}

size_t str_find(struct str s, char c, size_t from) {
    if (from >= s.n) return s.n;
    const char *hit = memchr(s.p + from, c, s.n - from);
    return hit ? (size_t)(hit - s.p) : s.n;
}

static bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

struct str str_trim(struct str s) {
    while (s.n && is_space(s.p[0])) s.p++, s.n--;
    while (s.n && is_space(s.p[s.n - 1])) s.n--;
    return s;
}

bool str_split(struct str *rest, char c, struct str *ret_part) {
    if (!rest->p) return false;
    size_t at = str_find(*rest, c, 0);
    *ret_part = str_first(*rest, at);
    *rest = at == rest->n ? (struct str){NULL, 0} : str_from(*rest, at + 1);
    return true;
}

bool str_to_u64(struct str s, uint64_t *ret) {
    uint64_t v = 0;
    if (!s.n) return false;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9') return false;
        if (__builtin_mul_overflow(v, 10u, &v) || __builtin_add_overflow(v, (uint64_t)(s.p[i] - '0'), &v)) return false;
    }
    *ret = v;
    return true;
}

bool str_to_i64(struct str s, int64_t *ret) {
    bool minus = s.n && s.p[0] == '-';
    if (minus || (s.n && s.p[0] == '+')) s = str_from(s, 1);
    uint64_t v;
    if (!str_to_u64(s, &v) || v > (uint64_t)INT64_MAX + minus) return false;
    *ret = minus ? (int64_t)(0 - v) : (int64_t)v;
    return true;
}

// Only what JSON and people write: digits, point, exponent, sign. Keeps strtod's hex floats and "nan" out.
static bool looks_decimal(struct str s) {
    bool digit = false;
    for (size_t i = 0; i < s.n; i++) {
        if (!s.p[i] || !strchr("0123456789+-.eE", s.p[i])) return false;
        digit |= s.p[i] >= '0' && s.p[i] <= '9';
    }
    return digit;
}

bool str_to_double(struct str s, double *ret) {
    char text[400]; // longer than any double's exact decimal that matters; longer input is refused
    if (s.n >= sizeof(text) || !looks_decimal(s)) return false;
    memcpy(text, s.p, s.n);
    text[s.n] = 0;
    char *end;
    double v = strtod(text, &end);
    if (*end || v > 1.7976931348623157e308 || v < -1.7976931348623157e308) return false;
    *ret = v;
    return true;
}

char *str_dup(struct str s) {
    char *z = xmalloc(s.n + 1);
    if (s.n) memcpy(z, s.p, s.n);
    z[s.n] = 0;
    return z;
}

static char folded(char c) { return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c; }

enum { DISTANCE_MAX = 128 }; // longer names have no useful neighbour; bounds the stack

static unsigned least(unsigned a, unsigned b) { return a < b ? a : b; }

// Optimal string alignment over three rolling rows.
unsigned str_distance(struct str a, struct str b, unsigned limit) {
    if (a.n > DISTANCE_MAX || b.n > DISTANCE_MAX) return limit + 1;
    unsigned rows[3][DISTANCE_MAX + 1];
    unsigned *before = rows[0], *above = rows[1], *row = rows[2];
    for (unsigned j = 0; j <= b.n; j++) above[j] = j;
    for (size_t i = 1; i <= a.n; i++) {
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b.n; j++) {
            char x = folded(a.p[i - 1]), y = folded(b.p[j - 1]);
            unsigned d = least(least(above[j], row[j - 1]) + 1, above[j - 1] + (x != y));
            if (i > 1 && j > 1 && x == folded(b.p[j - 2]) && y == folded(a.p[i - 2])) d = least(d, before[j - 2] + 1);
            row[j] = d;
        }
        unsigned *free_row = before;
        before = above, above = row, row = free_row;
    }
    return least(above[b.n], limit + 1);
}

static uint64_t mix(uint64_t a, uint64_t b) {
    unsigned __int128 m = (unsigned __int128)a * b;
    return (uint64_t)m ^ (uint64_t)(m >> 64);
}

static uint64_t load(const char *p, size_t n) {
    uint64_t v = 0;
    memcpy(&v, p, n);
    return v;
}

// Multiply-and-fold over 16 bytes a step; the constants are odd with well-spread bits.
uint64_t str_hash(struct str s) {
    const uint64_t k0 = 0xa0761d6478bd642full, k1 = 0xe7037ed1a0b428dbull, k2 = 0x8ebc6af09c88c6e3ull;
    uint64_t h = s.n ^ k2;
    while (s.n > 16) {
        h = mix(load(s.p, 8) ^ k0 ^ h, load(s.p + 8, 8) ^ k1);
        s = str_from(s, 16);
    }
    if (s.n == 0) return mix(h ^ k0, k1);
    uint64_t low = load(s.p, s.n < 8 ? s.n : 8), high = s.n > 8 ? load(s.p + 8, s.n - 8) : 0;
    return mix(mix(low ^ k0 ^ h, high ^ k1), k2 ^ h);
}
