// SPDX-License-Identifier: Apache-2.0
// Text codecs: UTF-8 checks, base64, hex, sizes and durations as people write them, RFC 3339 times.
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include "base/buf.h"

size_t utf8_valid_prefix(struct str s); // bytes of the longest valid UTF-8 prefix (no surrogates, no overlongs)
size_t utf8_sequence(struct str s);     // length of the valid sequence s begins with, 0 when none
static inline bool utf8_valid(struct str s) { return utf8_valid_prefix(s) == s.n; }
void base64_encode(struct buf *out, const void *p, size_t n);     // with padding
bool base64_decode(struct buf *out, struct str s);                // padding optional; false when malformed
void hex_encode(struct buf *out, const void *p, size_t n);        // lower case
bool hex_decode(struct buf *out, struct str s);
// "64MiB", "16k", "1 GiB", "-1" → bytes (k, Ki, KiB = 1024; kB, MB, GB are refused as ambiguous).
// "250ms", "5 min", "1h 30m", "7d" → ms. A bare number is bytes or ms.
bool size_parse(struct str s, int64_t *ret_bytes);
bool duration_parse(struct str s, int64_t *ret_ms);
void size_print(struct buf *out, uint64_t bytes);      // "1.5 MiB"
void time_print(struct buf *out, int64_t wall_us);     // RFC 3339, UTC, milliseconds

#endif
