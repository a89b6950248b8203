// SPDX-License-Identifier: Apache-2.0
// A borrowed run of bytes, (pointer, length), not terminated. A value: copy it freely; it never owns what it points to.
#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct str {
    const char *p;
    size_t n;
};

#define STR(literal) ((struct str){"" literal, sizeof(literal) - 1})
#define STR_FMT(s) (int)(s).n, (s).p // for "%.*s"; callers bound n

static inline struct str str_of(const char *z) { return (struct str){z, z ? strlen(z) : 0}; }
static inline struct str str_make(const void *p, size_t n) { return (struct str){(const char *)p, n}; }
static inline bool str_eq(struct str a, struct str b) { return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0); }
static inline bool str_eqz(struct str a, const char *z) { return str_eq(a, str_of(z)); }
static inline bool str_starts(struct str s, struct str prefix) { return s.n >= prefix.n && memcmp(s.p, prefix.p, prefix.n) == 0; }
static inline bool str_ends(struct str s, struct str suffix) { return s.n >= suffix.n && memcmp(s.p + s.n - suffix.n, suffix.p, suffix.n) == 0; }
// Byte order, shorter first when one is a prefix of the other: <0, 0, >0.
int str_cmp(struct str a, struct str b);
// First index of byte c at or after `from`, or s.n.
size_t str_find(struct str s, char c, size_t from);
struct str str_trim(struct str s); // without leading and trailing ASCII white space
static inline struct str str_from(struct str s, size_t at) { return at >= s.n ? (struct str){s.p + s.n, 0} : (struct str){s.p + at, s.n - at}; }
static inline struct str str_first(struct str s, size_t n) { return (struct str){s.p, n < s.n ? n : s.n}; }
// Cuts the part before the first `c` off *rest and returns it; at the last part *rest becomes {NULL,0}. False when *rest.p is NULL.
bool str_split(struct str *rest, char c, struct str *ret_part);
// Whole string as a decimal number in range; false (output untouched) otherwise.
bool str_to_i64(struct str s, int64_t *ret);
bool str_to_u64(struct str s, uint64_t *ret);
bool str_to_double(struct str s, double *ret);
// A terminated copy on the heap, caller frees.
char *str_dup(struct str s);
// Edit distance (Damerau-Levenshtein, ASCII case folded), for "did you mean"; at most `limit` + 1.
unsigned str_distance(struct str a, struct str b, unsigned limit);
uint64_t str_hash(struct str s); // fast, not stable between versions: never stored

#endif
