// SPDX-License-Identifier: Apache-2.0
// Connect's Decimal: an unscaled two's complement big-endian integer and a scale, to and from decimal text. Pure.
#ifndef CONVERTERS_DECIMAL_H
#define CONVERTERS_DECIMAL_H

#include "base/buf.h"

// As java.math.BigDecimal.toString writes unscaled × 10^-scale: plain while the exponent is small, else 1.2E+30.
void decimal_print(struct buf *out, const uint8_t *unscaled, size_t n, int32_t scale);

// The shortest unscaled bytes of the JSON number `text` at this scale. False when it is no number, would need more digits
// after the point than scale, has more than 20000 digits, or asks for more than 2000 zeros.
bool decimal_parse(struct buf *out, struct str text, int32_t scale);

#endif
