// SPDX-License-Identifier: Apache-2.0
// Any bytes as the text of a value of some type (bytes 0 and 1 choose type and modes), as a COPY line, and as a DEFAULT: what is
// built lies in the batch, which has any size (byte 2), and is read whole.
#include <stdlib.h>

#include <connectd/json.h>

#include "copytext.h"
#include "defaults.h"
#include "value.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint32_t oids[] = {16,   17,   20,   21,   23,   25,   26,   600,  700,  701,  790,  1042, 1082,  1083,  1114,  1184,
                                1186, 1266, 1560, 1562, 1700, 2950, 3802, 1007, 1009, 1231, 1001, 1115, 20001, 20002, 20003, 20004};
static const char *const names[] = {"hstore", "geometry", "vector", "sparsevec"};

static const struct pg_type *lookup(void *arg, uint32_t oid) {
    struct pg_type *t = arg;
    if (oid < 20001 || oid > 20004) return NULL;
    *t = (struct pg_type){.oid = oid, .kind = 'b', .name = (char *)(uintptr_t)names[oid - 20001], .base_typmod = -1};
    return t;
}

static void value(const uint8_t *data, size_t size) {
    struct type_modes m = {.decimal = data[1] % 3, .time = data[1] % 6, .interval = data[1] & 1, .binary = data[1] % 4, .hstore = data[1] & 1, .money_digits = data[1] % 5};
    uint32_t cap = 256 + (uint32_t)data[2] * 64;
    uint64_t *memory = malloc(cap);
    char *text = malloc(size - 3 + 1);
    struct values v;
    struct vtype t;
    struct pg_type type;
    struct cn_batch b;
    struct cn_cell c = cn_null();
    struct cn_schema_builder sb = {0};
    struct cn_json j = {.limit = 1 << 20};
    memcpy(text, data + 3, size - 3);
    values_init(&v, "gone", "6ef9a9b9fd6a8d1f6b3bb8e7ee2bb6bb");
    cn_batch_init(&b, memory, cap, NULL, NULL);
    vtype_resolve(&m, oids[data[0] % 32], data[1] & 0x40 ? (10 << 16 | 2) + 4 : -1, lookup, &type, &t);
    int bad = value_cell(&v, &b, &t, (struct text){text, size - 3}, &c) != 0 || b.failed;
    cn_off root = vtype_schema(&sb, &t, 1);
    struct cn_schema_blob *blob = cn_sb_finish(&sb, root);
    if (!bad && blob) {
        cn_json_cell(&j, &b, &c, blob, cn_schema_root(blob));
        if (j.failed && j.n < 1 << 19) abort();
    }
    cn_json_done(&j);
    free(blob);
    values_done(&v);
    free(text);
    free(memory);
}

static void line(const uint8_t *data, size_t size) {
    char *copy = malloc(size ? size : 1);
    struct text f[9];
    memcpy(copy, data, size);
    volatile unsigned sum = 0;
    if (copytext_split(copy, size, f, 1 + data[0] % 8) == 0)
        for (int i = 0; i < 1 + data[0] % 8; i++)
            for (size_t k = 0; k < f[i].n; k++) sum += (uint8_t)f[i].p[k];
    free(copy);
}

static void expression(const uint8_t *data, size_t size) {
    static const char *const types[] = {"int4", "text", "bool", "timestamp", "mood", "bytea"};
    char *z = malloc(size + 1), out[64];
    memcpy(z, data, size);
    z[size] = 0;
    int64_t n = default_text(z, types[data[1] % 6], data[1] % 6 == 4, out, sizeof out);
    if (n >= (int64_t)sizeof out) abort();
    free(z);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 3) return 0;
    value(data, size);
    line(data, size);
    expression(data, size);
    return 0;
}
