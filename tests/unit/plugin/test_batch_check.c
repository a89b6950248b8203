// SPDX-License-Identifier: Apache-2.0
#include "plugin/batch_check.h"

#include <connectd/build.h>

#include "base/mem.h"
#include "plugin/check_records.h"
#include "test.h"

static uint64_t memory[1 << 17];
static struct cn_batch full_batch(void) {
    struct cn_batch b;
    memset(memory, 0, sizeof memory);
    cn_batch_init(&b, memory, sizeof memory, NULL, NULL);
    for (unsigned shape = 0; shape < CHECK_SHAPES + 2; shape++) check_record(&b, "topic.a", shape);
    cn_position(&b, "{\"a\":1}", "{\"b\":[1,2]}");
    cn_position(&b, "{}", NULL);
    assert_int_equal(b.failed, 0);
    return b;
}

TEST(what_the_inlines_build_is_well_formed) {
    struct cn_batch b = full_batch();
    struct err err;
    assert_ok(record_batch_check(&b, &err), err);
}

TEST(every_broken_rule_is_named) {
    struct err err;
    struct cn_batch b;
    struct cn_record *r;
#define BREAKS(set, want)                                                                                              \
    b = full_batch();                                                                                                  \
    r = cn_record_at(&b, 1);                                                                                           \
    set;                                                                                                               \
    assert_fails(record_batch_check(&b, &err), err, ERR_CORRUPT);                                                             \
    assert_has(err.msg, want)
    BREAKS(cn_head(&b)->magic = 1, "head was overwritten");
    BREAKS(cn_head(&b)->used = b.cap + 8, "used of");
    BREAKS(cn_head(&b)->used = 7, "used of");
    BREAKS(cn_head(&b)->boundary = 3, "unknown boundary 3");
    BREAKS(cn_head(&b)->records = 4, "records: ");
    BREAKS(cn_head(&b)->record_count = 1000, "records: 1000 in room for");
    BREAKS(cn_head(&b)->topics = cn_head(&b)->used, "topics: ");
    BREAKS(cn_topic_at(&b, 0)->n = 0, "is no topic name");
    BREAKS(b.base[cn_topic_at(&b, 0)->at] = '/', "is no topic name");
    BREAKS(r->topic = 9, "record 1: topic 9 of 1");
    BREAKS(r->original_topic = 9, "record 1: topic 9 of 1");
    BREAKS(r->partition = -2, "record 1: partition -2");
    BREAKS(r->timestamp = -5, "record 1: timestamp -5");
    BREAKS(r->flags = 2, "unknown flags");
    BREAKS(r->value_schema = 77, "record 1: value: schema 77 of");
    BREAKS(r->value.type = 99, "a cell of unknown type 99");
    BREAKS(r->value.type = CN_ABSENT, "absent: only a struct's field");
    BREAKS(r->value.type = CN_STRUCT, "record 1: value:");
    BREAKS(r->value.u.at = UINT32_MAX, "outside of the batch");
    BREAKS(r->value.u.at = 8, "outside of the batch");
    BREAKS(r->value.n = UINT32_MAX, "outside of the batch");
    BREAKS(r->value = cn_int(CN_INT8, 128), "128 is out of its type's range");
    BREAKS(r->value = cn_bool(7); r->value.u.i = 7, "out of its type's range");
    BREAKS(r->value = cn_float(CN_FLOAT32, 0.1), "is no float32");
    BREAKS(b.base[r->value.u.at] = 0xff, "string: is not UTF-8");
    BREAKS(r->headers = 3, "record 1: headers: ");
    BREAKS(cn_headers_of(&b, r)[0].name.n = 1u << 30, "record 1: header 0: name: ");
    BREAKS(cn_position_at(&b, 0)->partition.n = 6, "position 0: partition: '{\"a\":1' is no JSON object");
    BREAKS(cn_position_at(&b, 0)->offset.n = 1, "position 0: offset: '{' is no JSON object");
#undef BREAKS
}

TEST(a_cell_that_holds_itself_is_found_out) {
    struct cn_batch b = full_batch();
    struct err err;
    cn_off at = cn_cells(&b, 2);
    cn_set(&b, at, 0, cn_run(CN_ARRAY, at, 2));
    cn_set_value(&b, 0, cn_run(CN_ARRAY, at, 2), CN_NO_SCHEMA);
    assert_fails(record_batch_check(&b, &err), err, ERR_CORRUPT);
    assert_has(err.msg, "nested deeper than 64");
    b = full_batch();
    cn_off level = cn_cells(&b, 2); // 2^40 visits of 80 cells
    for (int i = 0; i < 40; i++) {
        cn_off up = cn_cells(&b, 2);
        cn_set(&b, up, 0, cn_run(CN_ARRAY, level, 2));
        cn_set(&b, up, 1, cn_run(CN_ARRAY, level, 2));
        level = up;
    }
    cn_set_value(&b, 0, cn_run(CN_ARRAY, level, 2), CN_NO_SCHEMA);
    assert_fails(record_batch_check(&b, &err), err, ERR_CORRUPT);
    assert_has(err.msg, "grow without end");
}

// Any flipped bit is either harmless or found; the checker itself stays within the region (sanitizers watch).
TEST(any_flipped_bit_is_survived) {
    struct cn_batch b = full_batch();
    uint32_t used = cn_head(&b)->used;
    _cleanup_free_ uint8_t *copy = xmemdup(memory, used);
    uint64_t seed = 42;
    unsigned found = 0;
    for (int i = 0; i < 20000; i++) {
        uint64_t *exact = aligned_alloc(8, used);
        memcpy(exact, copy, used);
        for (uint64_t flips = test_random(&seed) % 3 + 1; flips--;) {
            uint64_t bit = test_random(&seed) % (4096 * 8); // where heads, records and tables lie
            ((uint8_t *)exact)[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        struct cn_batch cut = {.base = (uint8_t *)exact, .cap = used};
        struct err err;
        found += record_batch_check(&cut, &err) != 0;
        free(exact);
        if (i % 20 && used > 100000) i += 19; // the large value makes copies slow
    }
    assert_true(found > 100);
}

TEST(schemas_are_checked_whole) {
    struct cn_schema_builder s = {0};
    struct err err;
    cn_off i = cn_sb_type(&s, CN_INT64, 0, NULL, 0), list = cn_sb_array(&s, i, 1), root = cn_sb_type(&s, CN_STRUCT, 0, "x", 1);
    cn_sb_fields(&s, root, (struct cn_sb_field[]){{"i", i}, {"list", list}}, 2);
    cn_sb_default(&s, i, cn_int(CN_INT64, 5), NULL, 0);
    struct cn_schema_blob *b = cn_sb_finish(&s, root);
    size_t n = b->size;
    assert_ok(batch_check_schema(b, n, &err), err);
    for (size_t cut = 0; cut < n; cut++) {
        void *copy = xmemdup(b, cut ? cut : 1);
        assert_fails(batch_check_schema(copy, cut, &err), err, ERR_CORRUPT);
        free(copy);
    }
    for (size_t bit = 0; bit < n * 8; bit++) { // the fingerprint sees what nothing else does
        uint8_t *copy = xmemdup(b, n);
        copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_fails(batch_check_schema(copy, n, &err), err, ERR_CORRUPT);
        free(copy);
    }
    free(b);
}
