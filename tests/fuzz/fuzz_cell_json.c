// SPDX-License-Identifier: Apache-2.0
// JSON to cells and back: what parses is a well-formed batch, and what is written parses to the same text again.
#include <connectd/json.h>

#include "base/mem.h"
#include "plugin/batch_check.h"

static int grow(struct cn_batch *b, uint32_t need) {
    uint32_t cap = b->cap;
    while (cap < need) cap *= 2;
    if (cap > 64u << 20) return -1;
    uint8_t *p = xmalloc(cap); // never in place: a pointer kept over it is found
    memcpy(p, b->base, b->cap);
    free(b->base);
    b->base = p;
    b->cap = cap;
    return 0;
}

// The text as it is written back, 0 when it does not parse.
static int through(const char *text, size_t n, struct cn_json *ret) {
    struct cn_batch b;
    struct cn_cell c;
    struct err err;
    cn_batch_init(&b, xmalloc(256), 256, grow, NULL);
    int ok = cn_json_parse(&b, text, n, &c, NULL, NULL) == 0;
    if (ok) {
        uint32_t r = cn_record(&b, cn_topic(&b, "t", 1));
        cn_set_value(&b, r, c, CN_NO_SCHEMA);
        if (record_batch_check(&b, &err) != 0) abort();
        cn_json_value(ret, &b, &c, CN_NO_SCHEMA);
        if (ret->failed) abort();
    }
    free(b.base);
    return ok;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct cn_json once = {0}, twice = {0};
    char *text = xmemdup(data, size ? size : 1);
    if (through(text, size, &once)) {
        if (!through(once.p, once.n, &twice) || once.n != twice.n || memcmp(once.p, twice.p, once.n) != 0) abort();
    }
    cn_json_done(&once), cn_json_done(&twice);
    free(text);
    return 0;
}
