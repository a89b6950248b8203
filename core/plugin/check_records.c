// SPDX-License-Identifier: Apache-2.0
#include "plugin/check_records.h"

#include <connectd/build.h>
#include <math.h>

static struct cn_cell map_of(struct cn_batch *b, struct cn_cell key, struct cn_cell value) {
    cn_off at = cn_cells(b, 2);
    cn_set(b, at, 0, key);
    cn_set(b, at, 1, value);
    return cn_run(CN_MAP, at, 1);
}
static struct cn_cell array_of(struct cn_batch *b, struct cn_cell a, struct cn_cell c) {
    cn_off at = cn_cells(b, 2);
    cn_set(b, at, 0, a);
    cn_set(b, at, 1, c);
    return cn_run(CN_ARRAY, at, 2);
}
static struct cn_cell deep(struct cn_batch *b) {
    struct cn_cell c = cn_int(CN_INT64, 1);
    for (int i = 0; i < 30; i++) c = i % 2 ? map_of(b, cn_stringz(b, "k"), c) : array_of(b, c, cn_null());
    return c;
}
static struct cn_cell large(struct cn_batch *b) {
    enum { N = 300000 };
    cn_off at = cn_alloc(b, N);
    if (at) memset(b->base + at, 'x', N);
    return cn_run(CN_STRING, at, N);
}

// {id: int32, note: string?, price: Decimal(2)?, tags: array<string>?, at: Timestamp}
static uint16_t order_schema(struct cn_batch *b) {
    static const char *const scale[] = {"scale", "2"};
    struct cn_schema_builder s = {0};
    cn_off i32 = cn_sb_type(&s, CN_INT32, 0, NULL, 0), text = cn_sb_type(&s, CN_STRING, 1, NULL, 0);
    cn_off price = cn_sb_type(&s, CN_BYTES, 1, "org.apache.kafka.connect.data.Decimal", 1);
    cn_off time = cn_sb_type(&s, CN_INT64, 0, "org.apache.kafka.connect.data.Timestamp", 1);
    cn_off tags = cn_sb_array(&s, text, 1), root = cn_sb_type(&s, CN_STRUCT, 0, "check.order", 1);
    cn_sb_params(&s, price, scale, 1);
    const struct cn_sb_field fields[] = {{"id", i32}, {"note", text}, {"price", price}, {"tags", tags}, {"at", time}};
    cn_sb_fields(&s, root, fields, 5);
    struct cn_schema_blob *blob = cn_sb_finish(&s, root);
    uint16_t schema = blob ? cn_schema_use(b, blob) : CN_NO_SCHEMA;
    free(blob);
    return schema;
}
static struct cn_cell order(struct cn_batch *b) {
    cn_off f = cn_cells(b, 5);
    cn_set(b, f, 0, cn_int(CN_INT32, -7));
    cn_set(b, f, 1, cn_absent());
    cn_set(b, f, 2, cn_bytes(b, "\x30\x39", 2));
    cn_set(b, f, 3, array_of(b, cn_stringz(b, "a \"b\""), cn_null()));
    cn_set(b, f, 4, cn_int(CN_INT64, 1700000000000));
    return cn_run(CN_STRUCT, f, 5);
}

static struct cn_cell value_of(struct cn_batch *b, unsigned shape) {
    switch (shape) {
    case 0: return cn_null(); // a tombstone
    case 1: return cn_stringz(b, "plain text");
    case 2: return cn_stringz(b, "");
    case 3: return cn_bytes(b, "\x00\xff\xfe\x01", 4);
    case 4: return cn_int(CN_INT64, INT64_MIN);
    case 5: return cn_bool(1);
    case 6: return cn_float(CN_FLOAT64, 0.1);
    case 7: return cn_float(CN_FLOAT64, (double)NAN);
    case 8: return cn_run(CN_MAP, cn_cells(b, 0), 0);
    case 9: return array_of(b, cn_int(CN_INT64, 1), cn_stringz(b, "two"));
    case 10: return map_of(b, cn_int(CN_INT32, 5), cn_stringz(b, "keys that are no strings"));
    case 11: return deep(b);
    case 12: return large(b);
    case 13: return cn_stringz(b, "line one\nline two \xe2\x82\xac \"quoted\" \\ \x01");
    case 14:
    case 15: return order(b);
    default: return map_of(b, cn_stringz(b, "n"), cn_int(CN_INT64, (int64_t)shape));
    }
}

uint32_t check_record(struct cn_batch *b, const char *topic, unsigned shape) {
    uint32_t r = cn_record(b, cn_topic(b, topic, strlen(topic)));
    cn_set_value(b, r, value_of(b, shape), shape == 14 || shape == 15 ? order_schema(b) : CN_NO_SCHEMA);
    if (shape % 3 == 0) cn_set_key(b, r, cn_stringz(b, "key"), CN_NO_SCHEMA);
    if (shape == 15) cn_set_key(b, r, order(b), order_schema(b));
    if (shape % 4 == 1) {
        cn_header_add(b, r, "text", cn_stringz(b, "header value"));
        cn_header_add(b, r, "none", cn_null());
    }
    return r;
}
