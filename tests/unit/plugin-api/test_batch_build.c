// SPDX-License-Identifier: Apache-2.0
#include <connectd/build.h>
#include <stdio.h>

#include "build_table.h"
#include "test.h"

static int grow(struct cn_batch *b, uint32_t need) {
    uint32_t *moves = b->owner;
    uint8_t *p = malloc(need + 64);
    memcpy(p, b->base, b->cap);
    memset(b->base, 0xdd, b->cap); // who kept a pointer shall see it
    free(b->base);
    b->base = p;
    b->cap = need + 64;
    ++*moves;
    return 0;
}

TEST(a_batch_keeps_its_content_while_it_moves) {
    struct cn_batch b;
    uint32_t moves = 0;
    cn_batch_init(&b, malloc(256), 256, grow, &moves);
    for (int i = 0; i < 1000; i++) {
        char name[16];
        int n = snprintf(name, sizeof name, "t%d", i % 7);
        uint32_t r = cn_record(&b, cn_topic(&b, name, (size_t)n));
        cn_set_value(&b, r, cn_stringz(&b, name), CN_NO_SCHEMA);
        cn_header_add(&b, r, "a", cn_int(CN_INT32, i));
        cn_header_add(&b, r, "b", cn_stringz(&b, name));
        cn_position(&b, "{}", name);
    }
    assert_int_equal(b.failed, 0);
    assert_true(moves > 10);
    assert_int_equal(cn_count(&b), 1000);
    assert_int_equal(cn_head(&b)->topic_count, 7);
    assert_int_equal(cn_head(&b)->position_count, 1000);
    for (uint32_t i = 0; i < 1000; i++) {
        const struct cn_record *r = cn_record_at(&b, i);
        assert_int_equal(r->offset, i);
        assert_int_equal(r->value.n, 2);
        assert_int_equal(cn_bytes_at(&b, r->value.u.at)[1], '0' + i % 7);
        assert_int_equal(r->header_count, 2);
        assert_int_equal(cn_headers_of(&b, r)[0].value.u.i, i);
    }
    free(b.base);
}

TEST(what_does_not_fit_fails_for_good_and_harms_nothing) {
    uint64_t mem[64];
    struct cn_batch b;
    cn_batch_init(&b, mem, 256, NULL, NULL);
    for (int i = 0; i < 100; i++) {
        uint32_t r = cn_record(&b, cn_topic(&b, "topic", 5));
        cn_set_value(&b, r, cn_bytes(&b, mem, 64), CN_NO_SCHEMA);
        cn_header_add(&b, r, "x", cn_null());
        cn_position(&b, "{}", NULL);
    }
    assert_int_equal(b.failed, 1);
    assert_true(cn_head(&b)->used <= 256);
}

static struct cn_schema_blob *person(const char *field) {
    struct cn_schema_builder s = {0};
    cn_off name = cn_sb_type(&s, CN_STRING, 1, NULL, 0), root = cn_sb_type(&s, CN_STRUCT, 0, "person", 2);
    cn_sb_fields(&s, root, (struct cn_sb_field[]){{field, name}}, 1);
    return cn_sb_finish(&s, root);
}

TEST(equal_schemas_have_equal_fingerprints_and_stand_once_in_a_batch) {
    struct cn_schema_blob *a = person("name"), *b = person("name"), *c = person("mane");
    struct cn_batch batch;
    uint32_t moves = 0;
    assert_memory_equal(a->fingerprint, b->fingerprint, 16);
    assert_memory_not_equal(a->fingerprint, c->fingerprint, 16);
    cn_batch_init(&batch, malloc(256), 256, grow, &moves);
    assert_int_equal(cn_schema_use(&batch, a), 0);
    assert_int_equal(cn_schema_use(&batch, c), 1);
    assert_int_equal(cn_schema_use(&batch, b), 0);
    const struct cn_schema_blob *in = cn_schema_blob_at(&batch, 1);
    assert_memory_equal(cn_schema_text(in, cn_schema_fields(in, cn_schema_root(in))->name), "mane", 4);
    free(a), free(b), free(c), free(batch.base);
}

TEST(the_table_for_other_languages_does_what_the_inlines_do) {
    const struct cn_build *t = cn_build_table();
    struct cn_batch b;
    struct cn_cell c;
    uint32_t moves = 0;
    for (size_t at = 8; at < sizeof *t; at += sizeof(void *)) { // no slot was forgotten
        void *f;
        memcpy(&f, (const char *)t + at, sizeof f);
        assert_non_null(f);
    }
    assert_int_equal(t->struct_size, sizeof *t);
    cn_batch_init(&b, malloc(256), 256, grow, &moves);
    struct cn_schema_builder *s = t->sb_new();
    cn_off i = t->sb_type(s, CN_INT64, 0, NULL, 0), root = t->sb_type(s, CN_STRUCT, 0, "x", 0);
    t->sb_fields(s, root, (struct cn_sb_field[]){{"i", i}}, 1);
    struct cn_schema_blob *blob = t->sb_finish(s, root);
    uint16_t schema = t->schema_use(&b, blob);
    t->schema_free(blob);
    uint32_t r = t->record(&b, t->topic(&b, "t", 1));
    cn_off cells = t->cells(&b, 1);
    c = cn_int(CN_INT64, 42);
    t->set(&b, cells, 0, &c);
    c = cn_run(CN_STRUCT, cells, 1);
    t->set_value(&b, r, &c, schema);
    t->string(&b, "k", 1, &c);
    t->set_key(&b, r, &c, CN_NO_SCHEMA);
    t->set_timestamp(&b, r, 9);
    t->header_add(&b, r, "h", &c);
    t->position(&b, "{}", "{\"a\":1}");
    t->boundary(&b, CN_BOUNDARY_OPEN);
    assert_int_equal(t->count(&b), 1);
    assert_int_equal(t->cells_at(&b, t->record_at(&b, 0)->value.u.at)->u.i, 42);
    assert_int_equal(cn_record_at(&b, 0)->timestamp, 9);
    assert_int_equal(cn_head(&b)->boundary, CN_BOUNDARY_OPEN);
    free(b.base);
}
