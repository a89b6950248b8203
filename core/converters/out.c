// SPDX-License-Identifier: Apache-2.0
#include "converters/out.h"

#include "base/mem.h"
#include "base/text.h"

int out_heap_reserve(struct cn_out *o, size_t more) {
    if (more > SIZE_MAX / 4 - o->n) return -1;
    size_t cap = o->cap ? o->cap : 256;
    while (cap < o->n + more) cap *= 2;
    void *p = mem_realloc(o->p, cap);
    if (!p) return -1;
    o->p = p;
    o->cap = cap;
    return 0;
}

// Most text needs no escape, so a little more than its length is asked for first; text full of control characters comes
// to six times as much in the end. Near the limit the bare length may still fit.
bool out_json_escaped(struct cn_out *o, struct str s) {
    for (size_t want = s.n + s.n / 16 + 8;; want *= 2) {
        if (!out_room(o, want) && !out_room(o, s.n)) return false;
        struct buf room = out_lend(o);
        json_escape(&room, s);
        if (out_take(o, &room)) return true;
        if (o->cap - o->n < want) return false; // it was near the limit and did not fit
    }
}

bool out_double(struct cn_out *o, double v) {
    if (!out_room(o, 40)) return false;
    struct buf room = out_lend(o);
    json_print_double(&room, v);
    return out_take(o, &room);
}

bool out_float(struct cn_out *o, float v) {
    if (!out_room(o, 40)) return false;
    struct buf room = out_lend(o);
    json_print_float(&room, v);
    return out_take(o, &room);
}

bool out_base64(struct cn_out *o, const void *p, size_t n) {
    if (!out_room(o, n / 3 * 4 + 8)) return false;
    struct buf room = out_lend(o);
    base64_encode(&room, p, n);
    return out_take(o, &room);
}
