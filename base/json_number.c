// SPDX-License-Identifier: Apache-2.0
// Numbers as java.lang.Double.toString and Float.toString write them (JDK 19 and later).
//
// Of the decimals that read back as the same value take those with the fewest digits, but at least two; of these the one
// nearest to the value. From 0.001 up to 10^7 plain notation, else d.dddE±n; always one digit after the point.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"

struct decimal {
    char digits[20]; // no leading or trailing zeros but for "0"
    int n;
    int exponent; // value = d.ddd × 10^exponent
};

// What differs between double and float.
struct precision {
    int sure;           // decimals of so many digits all read as different values (DBL_DIG)
    double smallest;    // below it (subnormal) that does not hold
    double exact_limit; // whole numbers up to here have at most so many digits
    bool (*reads_back)(const char *text, double v);
    double (*divide)(double a, double b);
};

static bool reads_back_double(const char *text, double v) { return strtod(text, NULL) == v; }
static bool reads_back_float(const char *text, double v) { return (double)strtof(text, NULL) == v; }
static double divide_double(double a, double b) { return a / b; }
static double divide_float(double a, double b) { return (double)((float)a / (float)b); }

static const struct precision double_precision = {15, 2.2250738585072014e-308, 1e15, reads_back_double, divide_double};
static const struct precision float_precision = {6, 1.1754943508222875e-38, 1e6, reads_back_float, divide_float};

static void strip_zeros(struct decimal *d) {
    while (d->n > 1 && d->digits[d->n - 1] == '0') d->n--;
}

// Most values people store are short decimals: v × 10^k is a whole number for a small k. Its digits are the answer when
// dividing them by 10^k (one correctly rounded operation) gives v again.
static bool decimal_short(const struct precision *p, double v, struct decimal *ret) {
    static const double powers[] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6};
    if (v < 1e-3 || v >= p->exact_limit) return false;
    for (int k = 0; k <= 6; k++) {
        double scaled = v * powers[k];
        if (scaled >= p->exact_limit) return false;
        double whole = rint(scaled);
        if (whole < 1 || p->divide(whole, powers[k]) != v) continue;
        struct buf room = {.p = (uint8_t *)ret->digits, .cap = sizeof(ret->digits), .limit = sizeof(ret->digits)};
        buf_u64(&room, (uint64_t)whole);
        ret->n = (int)room.n;
        ret->exponent = ret->n - 1 - k;
        strip_zeros(ret);
        return true;
    }
    return false;
}

// Reads "d.ddde±x" back into its parts.
static void decimal_of_text(const char *text, struct decimal *ret) {
    ret->n = 0;
    for (; *text != 'e'; text++)
        if (*text != '.') ret->digits[ret->n++] = *text;
    ret->exponent = (int)strtol(text + 1, NULL, 10);
    strip_zeros(ret);
}

// One step away from zero in the last digit of "d.ddde±x"; false when it would carry over the first digit.
static bool step_up(char *text) {
    char *p = strchr(text, 'e');
    while (p-- > text) {
        if (*p == '.') continue;
        if (*p != '9') return ++*p, true;
        *p = '0';
    }
    return false;
}

// The nearest decimal of n digits, if it reads back. Below a power of two values lie half as far apart as above it, so
// there the next decimal up may read back where the nearest does not.
static bool try_digits(const struct precision *p, double v, int n, struct decimal *ret) {
    char text[40];
    int exponent;
    snprintf(text, sizeof(text), "%.*e", n - 1, v);
    bool ok = p->reads_back(text, v);
    if (!ok && frexp(v, &exponent) == 0.5) ok = step_up(text) && p->reads_back(text, v);
    if (ok) decimal_of_text(text, ret);
    return ok;
}

static void decimal_shortest(const struct precision *p, double v, struct decimal *ret) {
    if (decimal_short(p, v, ret)) return;
    int n = v < p->smallest ? 2 : p->sure;
    while (!try_digits(p, v, n, ret)) n++; // ends at 17 and 9 digits
}

static void print_plain(struct buf *out, const struct decimal *d) {
    int whole = d->exponent + 1; // digits before the point
    if (whole <= 0) {
        buf_putz(out, "0.");
        buf_fill(out, '0', (size_t)-whole);
        buf_put(out, d->digits, (size_t)d->n);
        return;
    }
    int have = d->n < whole ? d->n : whole;
    buf_put(out, d->digits, (size_t)have);
    buf_fill(out, '0', (size_t)(whole - have));
    buf_u8(out, '.');
    if (d->n > whole) buf_put(out, d->digits + whole, (size_t)(d->n - whole));
    else buf_u8(out, '0');
}

static void print_scientific(struct buf *out, const struct decimal *d) {
    buf_u8(out, (uint8_t)d->digits[0]);
    buf_u8(out, '.');
    if (d->n > 1) buf_put(out, d->digits + 1, (size_t)d->n - 1);
    else buf_u8(out, '0');
    buf_u8(out, 'E');
    buf_i64(out, d->exponent);
}

static void print_number(struct buf *out, const struct precision *p, double v) {
    if (isnan(v)) return buf_putz(out, "NaN");
    if (signbit(v)) buf_u8(out, '-');
    v = fabs(v);
    if (isinf(v)) return buf_putz(out, "Infinity");
    if (v == 0) return buf_putz(out, "0.0");
    struct decimal d;
    decimal_shortest(p, v, &d);
    if (d.exponent >= -3 && d.exponent < 7) print_plain(out, &d);
    else print_scientific(out, &d);
}

void json_print_double(struct buf *out, double v) { print_number(out, &double_precision, v); }

void json_print_float(struct buf *out, float v) { print_number(out, &float_precision, (double)v); }
