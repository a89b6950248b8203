// SPDX-License-Identifier: Apache-2.0
// Any bytes into the json converter, plain and as an envelope; what it accepts it must write, and read again.
#include "base/mem.h"
#include "converters/json_program.h"
#include "converters/json_value.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int grow(struct cn_batch *b, uint32_t need) {
    uint32_t cap = b->cap;
    if (need > 64u << 20) return -1;
    while (cap < need) cap *= 2;
    b->base = xrealloc(b->base, cap);
    b->cap = cap;
    return 0;
}

static void round_trip(struct json_cells *cells, struct cn_batch *b, const struct cn_schema_blob *blob, struct cn_cell v) {
    struct json_format f = {.decimal = JSON_DECIMAL_NUMERIC};
    struct err err = {0};
    struct cn_cell again;
    struct cn_out out = {.reserve = out_heap_reserve};
    struct json_program *p = blob ? json_program_new(blob, &f, &err) : NULL;
    if (blob && !p) return;
    if (json_render(p, &f, b->base, &v, 0, &out, &err) == 0) {
        struct str text = str_make(out.p, out.n);
        if ((blob ? json_read_typed(cells, b, blob, blob->root, false, text, &again, &err) : json_read_plain(cells, b, text, &again, &err)) != 0) abort();
        if (p && json_program_envelope(p).n == 0) abort();
    }
    json_program_free(p);
    free(out.p);
}

// The first line is a schema, the rest a value; without a line end it is a value alone.
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct json_cells cells = {0};
    struct cn_batch b;
    struct cn_cell v;
    struct err err = {0};
    struct str text = str_make(data, size);
    size_t end = str_find(text, '\n', 0);
    struct cn_schema_blob *blob = NULL;
    cn_batch_init(&b, xmalloc(256), 256, grow, NULL);
    if (json_read_plain(&cells, &b, text, &v, &err) == 0) round_trip(&cells, &b, NULL, v);
    if (end < size && json_read_schema(str_first(text, end), &blob, &err) == 0) {
        struct json_format f = {0};
        if (json_read_typed(&cells, &b, blob, blob->root, false, str_from(text, end + 1), &v, &err) == 0) round_trip(&cells, &b, blob, v);
        json_program_free(json_program_new(blob, &f, &err));
    }
    free(blob);
    free(b.base);
    json_cells_done(&cells);
    return 0;
}
