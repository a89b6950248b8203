// SPDX-License-Identifier: Apache-2.0
// Writing into a cn_out: reserve, then append. All return false once the host refuses to grow it (the record limit).
//
// base's formatters write onto a buf; out_format lends them the reserved room of the cn_out, so nothing is copied twice.
#ifndef CONVERTERS_OUT_H
#define CONVERTERS_OUT_H

#include <connectd/plugin.h>

#include "base/buf.h"
#include "base/json.h"

static inline bool out_room(struct cn_out *o, size_t more) { return o->cap - o->n >= more || o->reserve(o, more) == 0; }

static inline bool out_put(struct cn_out *o, const void *p, size_t n) {
    if (!out_room(o, n)) return false;
    if (n) memcpy(o->p + o->n, p, n);
    o->n += n;
    return true;
}

// The room behind o->n as a buf that can not grow: what does not fit makes it bad and writes nothing beyond.
static inline struct buf out_lend(const struct cn_out *o) {
    size_t room = o->cap - o->n;
    return (struct buf){.p = o->p + o->n, .cap = room, .limit = room ? room : 1};
}
// Takes what was written into the lent room; false when it did not fit.
static inline bool out_take(struct cn_out *o, const struct buf *lent) {
    if (lent->bad) return false;
    o->n += lent->n;
    return true;
}

static inline bool out_i64(struct cn_out *o, int64_t v) {
    if (!out_room(o, DECIMAL_ROOM)) return false;
    o->n += put_decimal(o->p + o->n, v);
    return true;
}

// A cn_out on the heap: start from {.reserve = out_heap_reserve}, free(3) its p.
int out_heap_reserve(struct cn_out *o, size_t more);

// The characters of a JSON string, escaped, without quotes.
bool out_json_escaped(struct cn_out *o, struct str s);
// As java.lang.Double.toString, Float.toString.
bool out_double(struct cn_out *o, double v);
bool out_float(struct cn_out *o, float v);
bool out_base64(struct cn_out *o, const void *p, size_t n);

#endif
