// SPDX-License-Identifier: Apache-2.0
// UTF-8, base64, hex, and sizes, durations and times as people write them.
#include "base/text.h"

#include <time.h>

#include "base/mem.h"

static bool is_tail(uint8_t b) { return (b & 0xc0) == 0x80; }

// Unicode 15, table 3-7: the second byte's range depends on the first.
static bool second_ok(uint8_t a, uint8_t b) {
    switch (a) {
    case 0xe0: return b >= 0xa0 && b <= 0xbf;
    case 0xed: return b >= 0x80 && b <= 0x9f;
    case 0xf0: return b >= 0x90 && b <= 0xbf;
    case 0xf4: return b >= 0x80 && b <= 0x8f;
    default: return is_tail(b);
    }
}

size_t utf8_sequence(struct str s) {
    const uint8_t *p = (const uint8_t *)s.p;
    if (!s.n) return 0;
    if (p[0] < 0x80) return 1;
    size_t n = p[0] >= 0xc2 && p[0] <= 0xdf ? 2 : p[0] >= 0xe0 && p[0] <= 0xef ? 3 : p[0] >= 0xf0 && p[0] <= 0xf4 ? 4 : 0;
    if (!n || s.n < n || !second_ok(p[0], p[1])) return 0;
    for (size_t i = 2; i < n; i++)
        if (!is_tail(p[i])) return 0;
    return n;
}

static size_t ascii_prefix(const char *p, size_t n) {
    size_t i = 0;
    for (uint64_t v; i + 8 <= n; i += 8) {
        memcpy(&v, p + i, 8);
        if (v & 0x8080808080808080ull) break;
    }
    while (i < n && !(p[i] & 0x80)) i++;
    return i;
}

size_t utf8_valid_prefix(struct str s) {
    size_t at = 0;
    while (at < s.n) {
        at += ascii_prefix(s.p + at, s.n - at);
        if (at == s.n) break;
        size_t n = utf8_sequence(str_from(s, at));
        if (!n) break;
        at += n;
    }
    return at;
}

static const char digits64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_encode(struct buf *out, const void *p, size_t n) {
    const uint8_t *b = p;
    if (!buf_reserve(out, (n + 2) / 3 * 4)) return;
    for (; n >= 3; n -= 3, b += 3) {
        char four[4] = {digits64[b[0] >> 2], digits64[(b[0] & 3) << 4 | b[1] >> 4],
                        digits64[(b[1] & 15) << 2 | b[2] >> 6], digits64[b[2] & 63]};
        buf_put(out, four, 4);
    }
    if (!n) return;
    uint8_t second = n == 2 ? b[1] : 0;
    char four[4] = {digits64[b[0] >> 2], digits64[(b[0] & 3) << 4 | second >> 4],
                    n == 2 ? digits64[(second & 15) << 2] : '=', '='};
    buf_put(out, four, 4);
}

static int value64(char c) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

// Padding, when there is any, completes the last four.
static bool strip_padding(struct str *s) {
    size_t whole = s->n;
    while (s->n && whole - s->n < 2 && s->p[s->n - 1] == '=') s->n--;
    return s->n == whole || whole % 4 == 0;
}

bool base64_decode(struct buf *out, struct str s) {
    size_t before = out->n, have = 0;
    uint32_t bits = 0;
    if (!strip_padding(&s) || s.n % 4 == 1) return false;
    for (size_t i = 0; i < s.n; i++) {
        int v = value64(s.p[i]);
        if (v < 0) {
            out->n = before;
            return false;
        }
        bits = bits << 6 | (uint32_t)v;
        have += 6;
        if (have >= 8) buf_u8(out, (uint8_t)(bits >> (have -= 8)));
    }
    return !out->bad;
}

void hex_encode(struct buf *out, const void *p, size_t n) {
    const uint8_t *b = p;
    if (!buf_reserve(out, n * 2)) return;
    for (size_t i = 0; i < n; i++) {
        buf_u8(out, (uint8_t)"0123456789abcdef"[b[i] >> 4]);
        buf_u8(out, (uint8_t)"0123456789abcdef"[b[i] & 15]);
    }
}

static int hex_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool hex_decode(struct buf *out, struct str s) {
    size_t before = out->n;
    if (s.n % 2) return false;
    for (size_t i = 0; i < s.n; i += 2) {
        int high = hex_value(s.p[i]), low = hex_value(s.p[i + 1]);
        if (high < 0 || low < 0) {
            out->n = before;
            return false;
        }
        buf_u8(out, (uint8_t)(high << 4 | low));
    }
    return !out->bad;
}

struct unit {
    const char *name;
    int64_t factor;
};

static const struct unit size_units[] = {
    {"b", 1},
    {"k", 1 << 10}, {"ki", 1 << 10}, {"kib", 1 << 10},
    {"m", 1 << 20}, {"mi", 1 << 20}, {"mib", 1 << 20},
    {"g", 1 << 30}, {"gi", 1 << 30}, {"gib", 1 << 30},
    {"t", 1ll << 40}, {"ti", 1ll << 40}, {"tib", 1ll << 40},
};

static const struct unit time_units[] = {
    {"ms", 1}, {"msec", 1},
    {"s", 1000}, {"sec", 1000}, {"second", 1000}, {"seconds", 1000},
    {"m", 60000}, {"min", 60000}, {"minute", 60000}, {"minutes", 60000},
    {"h", 3600000}, {"hr", 3600000}, {"hour", 3600000}, {"hours", 3600000},
    {"d", 86400000}, {"day", 86400000}, {"days", 86400000},
    {"w", 604800000}, {"week", 604800000}, {"weeks", 604800000},
};

static int64_t unit_factor(const struct unit *units, size_t count, struct str name) {
    for (size_t i = 0; i < count; i++)
        if (str_eqz(name, units[i].name)) return units[i].factor;
    return 0;
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static size_t span(struct str s, bool (*in)(char)) {
    size_t n = 0;
    while (n < s.n && in(s.p[n])) n++;
    return n;
}

static bool is_number_char(char c) { return is_digit(c) || c == '.'; }
static bool is_letter(char c) { return (c | 0x20) >= 'a' && (c | 0x20) <= 'z'; }

// "1.5" times 1024, exact for whole numbers; false past int64.
static bool scale(struct str number, int64_t factor, int64_t *ret) {
    int64_t whole;
    double v;
    if (str_to_i64(number, &whole)) return !__builtin_mul_overflow(whole, factor, ret);
    if (!is_digit(number.p[0]) || !is_digit(number.p[number.n - 1]) || !str_to_double(number, &v)) return false;
    v *= (double)factor;
    if (v >= 9.2e18) return false;
    *ret = (int64_t)v;
    return true;
}

// Takes "12 min" off the front of *s and adds it to *total.
static bool take_quantity(struct str *s, const struct unit *units, size_t count, int64_t *total) {
    struct str number = str_first(*s, span(*s, is_number_char));
    struct str rest = str_trim(str_from(*s, number.n));
    struct str name = str_first(rest, span(rest, is_letter));
    char lower[8] = "";
    if (!number.n || !name.n || name.n >= sizeof(lower)) return false;
    for (size_t i = 0; i < name.n; i++) lower[i] = (char)(name.p[i] | 0x20);
    int64_t factor = unit_factor(units, count, str_make(lower, name.n)), v;
    if (!factor || !scale(number, factor, &v)) return false;
    *s = str_trim(str_from(rest, name.n));
    return !__builtin_add_overflow(*total, v, total);
}

bool size_parse(struct str s, int64_t *ret_bytes) {
    int64_t total = 0;
    s = str_trim(s);
    if (str_to_i64(s, ret_bytes)) return true;
    if (!take_quantity(&s, size_units, countof(size_units), &total) || s.n) return false;
    *ret_bytes = total;
    return true;
}

bool duration_parse(struct str s, int64_t *ret_ms) {
    int64_t total = 0;
    s = str_trim(s);
    if (str_to_i64(s, ret_ms)) return true;
    do
        if (!take_quantity(&s, time_units, countof(time_units), &total)) return false;
    while (s.n);
    *ret_ms = total;
    return true;
}

void size_print(struct buf *out, uint64_t bytes) {
    static const char *const names[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    unsigned unit = 0;
    double v = (double)bytes;
    while (v >= 1023.95 && unit + 1 < countof(names)) v /= 1024, unit++; // would be shown as 1024.0
    if (unit == 0 || v == (double)(uint64_t)v) buf_printf(out, "%.0f %s", v, names[unit]);
    else buf_printf(out, "%.1f %s", v, names[unit]);
}

void time_print(struct buf *out, int64_t wall_us) {
    int64_t second = wall_us / 1000000, us = wall_us % 1000000;
    if (us < 0) us += 1000000, second--;
    time_t t = (time_t)second;
    struct tm tm;
    char text[64];
    if (!gmtime_r(&t, &tm)) memset(&tm, 0, sizeof(tm)); // past year 2^31
    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
    buf_printf(out, "%s.%03dZ", text, (int)(us / 1000));
}
