// SPDX-License-Identifier: Apache-2.0
#include "base/mem.h"
#include "component_host.h"
#include "converters/converter.h"
#include "converters/out.h"
#include "test.h"

struct fixture {
    struct component_host host;
    const struct cn_converter_ops *ops;
    void *self;
    struct cn_batch b;
    struct cn_out out;
};

static void set_up(struct fixture *f, const struct cn_component *c) {
    *f = (struct fixture){.ops = c->ops, .out = {.reserve = out_heap_reserve}};
    component_host_init(&f->host, c, NULL);
    batch_heap(&f->b);
    assert_int_equal(f->ops->open(&f->host.host, 0, &f->self), 0);
}

static void tear_down(struct fixture *f) {
    f->ops->close(f->self);
    batch_done(&f->b);
    free(f->out.p);
}

static struct str write_value(struct fixture *f, struct cn_cell v) {
    f->out.n = 0;
    assert_int_equal(f->ops->from_record(f->self, &f->b, NULL, &v, CN_NO_SCHEMA, &f->out), 0);
    return str_make(f->out.p, f->out.n);
}

TEST(string_writes_text_as_it_is_and_scalars_as_java_prints_them) {
    struct fixture f;
    set_up(&f, &converter_string);
    assert_str(write_value(&f, cn_stringz(&f.b, "a\"b\n")), "a\"b\n");
    assert_str(write_value(&f, cn_int(CN_INT64, -5)), "-5");
    assert_str(write_value(&f, cn_bool(1)), "true");
    assert_str(write_value(&f, cn_float(CN_FLOAT64, 1e10)), "1.0E10");
    tear_down(&f);
}

TEST(string_writes_structured_values_as_json) {
    struct fixture f;
    set_up(&f, &converter_string);
    cn_off at = cn_cells(&f.b, 2);
    cn_set(&f.b, at, 0, cn_stringz(&f.b, "k"));
    cn_set(&f.b, at, 1, cn_int(CN_INT64, 1));
    assert_str(write_value(&f, cn_run(CN_MAP, at, 1)), "{\"k\":1}");
    tear_down(&f);
}

TEST(string_refuses_bytes_that_are_not_utf8_and_names_the_byte) {
    struct fixture f;
    struct cn_cell v;
    uint16_t schema;
    set_up(&f, &converter_string);
    assert_int_equal(f.ops->to_record(f.self, &f.b, NULL, "ab\xff", 3, &v, &schema), -1);
    assert_string_equal(f.host.fail_text, "string: not UTF-8 at byte 2 of 3");
    assert_int_equal(f.ops->to_record(f.self, &f.b, NULL, "äb", 3, &v, &schema), 0);
    assert_int_equal(v.type, CN_STRING);
    tear_down(&f);
}

TEST(bytes_pass_through_and_structured_values_are_refused) {
    struct fixture f;
    struct cn_cell v, map = cn_run(CN_MAP, 0, 0);
    uint16_t schema;
    set_up(&f, &converter_bytes);
    assert_int_equal(f.ops->to_record(f.self, &f.b, NULL, "\x00\xff", 2, &v, &schema), 0);
    assert_int_equal(v.type, CN_BYTES);
    assert_memory_equal(write_value(&f, v).p, "\x00\xff", 2);
    assert_int_equal(f.ops->from_record(f.self, &f.b, NULL, &map, CN_NO_SCHEMA, &f.out), -1);
    assert_string_equal(f.host.fail_text, "bytes: value is map, not bytes");
    tear_down(&f);
}

TEST(empty_is_not_null_and_null_is_not_empty) {
    const struct cn_component *all[] = {&converter_string, &converter_bytes};
    for (size_t i = 0; i < countof(all); i++) {
        struct fixture f;
        struct cn_cell v;
        uint16_t schema;
        set_up(&f, all[i]);
        assert_int_equal(f.ops->to_record(f.self, &f.b, NULL, "", 0, &v, &schema), 0);
        assert_int_not_equal(v.type, CN_NULL);
        assert_int_equal(write_value(&f, v).n, 0);
        assert_int_equal(f.ops->to_record(f.self, &f.b, NULL, NULL, 0, &v, &schema), 0);
        assert_int_equal(v.type, CN_NULL);
        assert_int_equal(f.ops->from_record(f.self, &f.b, NULL, &v, CN_NO_SCHEMA, &f.out), 1);
        tear_down(&f);
    }
}
