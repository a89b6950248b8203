/* SPDX-License-Identifier: Apache-2.0 */
/* Decimal numbers of any length: from PostgreSQL's plain text to the unscaled big-endian two's complement that Connect's
 * Decimal and Debezium's VariableScaleDecimal carry; and money.
 *
 * Pure; borrowed runs. */
#ifndef PG_NUMERIC_H
#define PG_NUMERIC_H

#include "pgtext.h"

enum { NUMERIC_OK = 0, NUMERIC_NAN = 1, NUMERIC_PLUS_INFINITY = 2, NUMERIC_MINUS_INFINITY = 3, NUMERIC_BAD = -1 };

/* value = ±whole.fraction, as digits without sign or point. */
struct numeric {
    struct text whole, fraction;
    int negative;
};

/* "-12.340", "NaN", "Infinity". A result other than NUMERIC_OK leaves *ret untouched. */
int numeric_parse(struct text t, struct numeric *ret);
/* "$1,234.11", "-$0.05", "($1.00)": the digits are copied into buf[0..cap), which *ret then borrows. 0 or -1. */
int numeric_parse_money(struct text t, char *buf, size_t cap, struct numeric *ret);
/* The smallest scale ≥ 0 that loses nothing (trailing zeros of the fraction go). */
int32_t numeric_scale(const struct numeric *v);
/* Most bytes numeric_unscaled writes for this value and scale. */
size_t numeric_bound(const struct numeric *v, int32_t scale);
/* value · 10^scale as the shortest big-endian two's complement; its length, or 0 when digits would be lost.
   `out` has numeric_bound bytes. */
size_t numeric_unscaled(const struct numeric *v, int32_t scale, uint8_t *out);

#endif
