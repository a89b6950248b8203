// SPDX-License-Identifier: Apache-2.0
#include "converters/converter.h"

#include <math.h>
#include <stdio.h>

#include "base/mem.h"
#include "component_host.h"
#include "converters/out.h"
#include "test.h"

#define WITH_SCHEMAS (const char *const[]){"schemas.enable=true", NULL}

struct fixture {
    struct component_host host;
    const struct cn_converter_ops *ops;
    void *self;
    struct cn_batch b;
    struct cn_out out;
};

static void set_up(struct fixture *f, const char *const *settings) {
    *f = (struct fixture){.ops = converter_json.ops, .out = {.reserve = out_heap_reserve}};
    component_host_init(&f->host, &converter_json, settings);
    batch_heap(&f->b);
    assert_int_equal(f->ops->open(&f->host.host, 0, &f->self), 0);
}

static void tear_down(struct fixture *f) {
    f->ops->close(f->self);
    batch_done(&f->b);
    free(f->out.p);
}

// The JSON of a value; "" when it is null on the wire.
static const char *render(struct fixture *f, struct cn_cell v, uint16_t schema) {
    f->out.n = 0;
    int rc = f->ops->from_record(f->self, &f->b, NULL, &v, schema, &f->out);
    if (rc < 0) return f->host.fail_text;
    assert_true(out_put(&f->out, "", 1));
    return (const char *)f->out.p;
}

static int parse(struct fixture *f, const char *text, struct cn_cell *v, uint16_t *schema) {
    return f->ops->to_record(f->self, &f->b, NULL, text, strlen(text), v, schema);
}

static uint16_t use(struct fixture *f, struct cn_schema_builder *s, cn_off root) {
    struct cn_schema_blob *blob = cn_sb_finish(s, root);
    assert_non_null(blob);
    uint16_t i = cn_schema_use(&f->b, blob);
    free(blob);
    return i;
}

// { id int32 required default 7, note string optional, extra float64 optional }
static uint16_t order_schema(struct fixture *f) {
    struct cn_schema_builder s = {0};
    cn_off id = cn_sb_type(&s, CN_INT32, 0, NULL, 0), note = cn_sb_type(&s, CN_STRING, 1, NULL, 0);
    cn_off extra = cn_sb_type(&s, CN_FLOAT64, 1, NULL, 0), root = cn_sb_type(&s, CN_STRUCT, 0, "shop.Order", 3);
    cn_sb_default(&s, id, cn_int(CN_INT32, 7), NULL, 0);
    cn_sb_fields(&s, root, (struct cn_sb_field[]){{"id", id}, {"note", note}, {"ex\"tra", extra}}, 3);
    return use(f, &s, root);
}

static struct cn_cell order(struct fixture *f, struct cn_cell id, struct cn_cell note, struct cn_cell extra) {
    cn_off at = cn_cells(&f->b, 3);
    cn_set(&f->b, at, 0, id);
    cn_set(&f->b, at, 1, note);
    cn_set(&f->b, at, 2, extra);
    return cn_run(CN_STRUCT, at, 3);
}

TEST(a_struct_becomes_an_object_in_its_schemas_order) {
    struct fixture f;
    set_up(&f, NULL);
    uint16_t schema = order_schema(&f);
    struct cn_cell v = order(&f, cn_int(CN_INT32, 42), cn_stringz(&f.b, "a\n\"b\" ü"), cn_float(CN_FLOAT64, 1.5));
    assert_string_equal(render(&f, v, schema), "{\"id\":42,\"note\":\"a\\n\\\"b\\\" ü\",\"ex\\\"tra\":1.5}");
    tear_down(&f);
}

// { before Order optional, after Order optional }
static uint16_t change_schema(struct fixture *f) {
    struct cn_schema_builder s = {0};
    cn_off fields[2];
    for (int i = 0; i < 2; i++) {
        cn_off id = cn_sb_type(&s, CN_INT32, 0, NULL, 0), note = cn_sb_type(&s, CN_STRING, 1, NULL, 0), extra = cn_sb_type(&s, CN_FLOAT64, 1, NULL, 0);
        fields[i] = cn_sb_type(&s, CN_STRUCT, 1, "shop.Order", 3);
        cn_sb_fields(&s, fields[i], (struct cn_sb_field[]){{"id", id}, {"note", note}, {"extra", extra}}, 3);
    }
    cn_off root = cn_sb_type(&s, CN_STRUCT, 0, "shop.Change", 2);
    cn_sb_fields(&s, root, (struct cn_sb_field[]){{"before", fields[0]}, {"after", fields[1]}}, 2);
    return use(f, &s, root);
}

static struct cn_cell change(struct fixture *f, struct cn_cell before, struct cn_cell after) {
    cn_off at = cn_cells(&f->b, 2);
    cn_set(&f->b, at, 0, before);
    cn_set(&f->b, at, 1, after);
    return cn_run(CN_STRUCT, at, 2);
}

TEST(a_struct_that_records_of_a_batch_share_is_written_the_same_each_time_and_never_after_the_batch) {
    struct fixture f;
    set_up(&f, NULL);
    uint16_t schema = change_schema(&f);
    struct cn_cell shared = order(&f, cn_int(CN_INT32, 1), cn_stringz(&f.b, "one"), cn_null());
    f.ops->batch(f.self, &f.b);
    for (int i = 0; i < 5; i++) {
        char want[160];
        struct cn_cell own = order(&f, cn_int(CN_INT32, i), cn_null(), cn_null());
        snprintf(want, sizeof(want), "{\"before\":{\"id\":1,\"note\":\"one\",\"extra\":null},\"after\":{\"id\":%d,\"note\":null,\"extra\":null}}", i);
        assert_string_equal(render(&f, change(&f, shared, own), schema), want);
    }
    // The same cells hold something else in the next batch.
    cn_set(&f.b, shared.u.at, 0, cn_int(CN_INT32, 2));
    f.ops->batch(f.self, &f.b);
    for (int i = 0; i < 3; i++)
        assert_string_equal(render(&f, change(&f, shared, cn_null()), schema), "{\"before\":{\"id\":2,\"note\":\"one\",\"extra\":null},\"after\":null}");
    tear_down(&f);
}

TEST(an_absent_field_is_left_out_also_at_the_front) {
    struct fixture f;
    set_up(&f, NULL);
    uint16_t schema = order_schema(&f);
    assert_string_equal(render(&f, order(&f, cn_absent(), cn_null(), cn_absent()), schema), "{\"note\":null}");
    assert_string_equal(render(&f, order(&f, cn_absent(), cn_absent(), cn_absent()), schema), "{}");
    tear_down(&f);
}

TEST(a_null_value_is_null_on_the_wire) {
    struct fixture f;
    set_up(&f, NULL);
    struct cn_cell v = cn_null();
    assert_int_equal(f.ops->from_record(f.self, &f.b, NULL, &v, CN_NO_SCHEMA, &f.out), 1);
    assert_int_equal(f.ops->to_record(f.self, &f.b, NULL, NULL, 0, &v, &(uint16_t){0}), 0);
    assert_int_equal(v.type, CN_NULL);
    tear_down(&f);
}

TEST(a_null_in_a_required_field_is_refused_by_name) {
    struct fixture f;
    set_up(&f, NULL);
    uint16_t schema = order_schema(&f);
    assert_string_equal(render(&f, order(&f, cn_null(), cn_null(), cn_null()), schema), "json: id: null, but required and without a default");
    assert_int_equal(f.host.fail_class, CN_FAIL_RECORD);
    tear_down(&f);
}

TEST(a_null_takes_the_default_when_asked_to) {
    struct fixture f;
    set_up(&f, (const char *const[]){"replace.null.with.default=true", NULL});
    uint16_t schema = order_schema(&f);
    assert_string_equal(render(&f, order(&f, cn_null(), cn_null(), cn_null()), schema), "{\"id\":7,\"note\":null,\"ex\\\"tra\":null}");
    tear_down(&f);
}

TEST(a_value_of_another_type_than_its_schema_is_refused) {
    struct fixture f;
    set_up(&f, NULL);
    uint16_t schema = order_schema(&f);
    assert_has(render(&f, order(&f, cn_stringz(&f.b, "x"), cn_null(), cn_null()), schema), "id: value is string where the schema says int32");
    struct cn_cell two = cn_run(CN_STRUCT, cn_cells(&f.b, 2), 2);
    assert_has(render(&f, two, schema), "struct of 2 fields where the schema has 3");
    tear_down(&f);
}

TEST(the_envelope_carries_the_schema_as_connect_writes_it) {
    struct fixture f;
    set_up(&f, WITH_SCHEMAS);
    uint16_t schema = order_schema(&f);
    assert_string_equal(render(&f, order(&f, cn_int(CN_INT32, 1), cn_null(), cn_null()), schema),
                        "{\"schema\":{\"type\":\"struct\",\"fields\":[{\"type\":\"int32\",\"optional\":false,\"default\":7,\"field\":\"id\"},"
                        "{\"type\":\"string\",\"optional\":true,\"field\":\"note\"},{\"type\":\"double\",\"optional\":true,\"field\":\"ex\\\"tra\"}],"
                        "\"optional\":false,\"name\":\"shop.Order\",\"version\":3},\"payload\":{\"id\":1,\"note\":null,\"ex\\\"tra\":null}}");
    assert_string_equal(render(&f, cn_bool(1), CN_NO_SCHEMA), "{\"schema\":null,\"payload\":true}");
    tear_down(&f);
}

TEST(debeziums_envelopes_survive_the_round_trip_byte_for_byte) {
    struct fixture f;
    char *line = NULL;
    size_t cap = 0, lines = 0;
    FILE *in = fopen(SAMPLES, "r");
    assert_non_null(in);
    set_up(&f, WITH_SCHEMAS);
    for (ssize_t n; (n = getline(&line, &cap, in)) > 0; lines++) {
        struct cn_cell v;
        uint16_t schema;
        line[n - 1] = 0;
        if (parse(&f, line, &v, &schema) != 0) fail_msg("line %zu: %s", lines + 1, f.host.fail_text);
        assert_string_equal(render(&f, v, schema), line);
    }
    assert_true(lines > 10);
    fclose(in);
    free(line);
    tear_down(&f);
}

TEST(not_a_number_and_infinities_are_quoted) {
    struct fixture f;
    set_up(&f, NULL);
    assert_string_equal(render(&f, cn_float(CN_FLOAT64, NAN), CN_NO_SCHEMA), "\"NaN\"");
    assert_string_equal(render(&f, cn_float(CN_FLOAT32, (double)-INFINITY), CN_NO_SCHEMA), "\"-Infinity\"");
    assert_string_equal(render(&f, cn_float(CN_FLOAT32, (double)3.4f), CN_NO_SCHEMA), "3.4");
    assert_string_equal(render(&f, cn_float(CN_FLOAT64, 1e21), CN_NO_SCHEMA), "1.0E21");
    tear_down(&f);
}

TEST(bytes_are_base64) {
    struct fixture f;
    set_up(&f, NULL);
    assert_string_equal(render(&f, cn_bytes(&f.b, "\xff\x00\x01", 3), CN_NO_SCHEMA), "\"/wAB\"");
    assert_string_equal(render(&f, cn_bytes(&f.b, "a", 1), CN_NO_SCHEMA), "\"YQ==\"");
    tear_down(&f);
}

static uint16_t decimal_schema(struct fixture *f) {
    struct cn_schema_builder s = {0};
    cn_off root = cn_sb_type(&s, CN_BYTES, 1, "org.apache.kafka.connect.data.Decimal", 1);
    cn_sb_params(&s, root, (const char *const[]){"scale", "2"}, 1);
    return use(f, &s, root);
}

TEST(a_decimal_is_base64_or_a_number_as_chosen) {
    struct fixture f;
    set_up(&f, NULL);
    assert_string_equal(render(&f, cn_bytes(&f.b, "\x7b", 1), decimal_schema(&f)), "\"ew==\"");
    tear_down(&f);
    set_up(&f, (const char *const[]){"decimal.format=numeric", NULL});
    assert_string_equal(render(&f, cn_bytes(&f.b, "\x7b", 1), decimal_schema(&f)), "1.23");
    tear_down(&f);
}

TEST(a_decimal_is_read_from_either_form) {
    struct fixture f;
    static const char *const payloads[] = {"1.23", "\"ew==\""};
    set_up(&f, WITH_SCHEMAS);
    for (size_t i = 0; i < countof(payloads); i++) {
        struct cn_cell v;
        uint16_t schema;
        char text[400];
        snprintf(text, sizeof text,
                 "{\"schema\":{\"type\":\"bytes\",\"optional\":false,\"name\":\"org.apache.kafka.connect.data.Decimal\",\"version\":1,"
                 "\"parameters\":{\"scale\":\"2\"}},\"payload\":%s}", payloads[i]);
        assert_int_equal(parse(&f, text, &v, &schema), 0);
        assert_int_equal(v.n, 1);
        assert_int_equal(*cn_bytes_at(&f.b, v.u.at), 0x7b);
    }
    tear_down(&f);
}

TEST(schemaless_json_survives_the_round_trip) {
    struct fixture f;
    static const char *const texts[] = {
        "{\"a\":1,\"b\":[true,false,null,\"x\",-5,1.5,{}],\"c\":{\"d\":[]}}", "\"text\"", "12", "null", "[]", "9223372036854775807", "\"\\u0001\"",
    };
    set_up(&f, NULL);
    for (size_t i = 0; i < countof(texts); i++) {
        struct cn_cell v;
        uint16_t schema;
        assert_int_equal(parse(&f, texts[i], &v, &schema), 0);
        assert_int_equal(schema, CN_NO_SCHEMA);
        assert_string_equal(render(&f, v, schema), v.type == CN_NULL ? "" : texts[i]);
    }
    tear_down(&f);
}

TEST(every_cut_of_a_document_is_refused_with_the_byte) {
    struct fixture f;
    static const char whole[] = "{\"a\":[1,true,\"x\\u00e9\",{\"b\":null}],\"c\":1.5e3}";
    set_up(&f, NULL);
    for (size_t n = 0; n < sizeof whole - 1; n++) {
        struct cn_cell v;
        uint16_t schema;
        assert_int_equal(f.ops->to_record(f.self, &f.b, NULL, whole, n, &v, &schema), -1);
        assert_has(f.host.fail_text, "json: not JSON at byte ");
        assert_int_equal(f.host.fail_class, CN_FAIL_RECORD);
    }
    tear_down(&f);
}

TEST(every_cut_of_an_envelope_is_refused) {
    struct fixture f;
    static const char whole[] = "{\"schema\":{\"type\":\"struct\",\"fields\":[{\"type\":\"int32\",\"optional\":false,\"field\":\"id\"}],"
                                "\"optional\":false},\"payload\":{\"id\":5}}";
    set_up(&f, WITH_SCHEMAS);
    for (size_t n = 0; n < sizeof whole - 1; n++) {
        struct cn_cell v;
        uint16_t schema;
        assert_int_equal(f.ops->to_record(f.self, &f.b, NULL, whole, n, &v, &schema), -1);
    }
    tear_down(&f);
}

TEST(an_integer_beyond_64_bits_is_refused_and_never_rounded) {
    struct fixture f;
    struct cn_cell v;
    uint16_t schema;
    set_up(&f, NULL);
    assert_int_equal(parse(&f, "{\"n\":18446744073709551615}", &v, &schema), -1);
    assert_has(f.host.fail_text, "number 18446744073709551615 does not fit 64 bits");
    assert_has(f.host.fail_hint, "string or bytes converter");
    tear_down(&f);
}

TEST(plain_json_where_an_envelope_is_expected_says_what_to_set) {
    struct fixture f;
    struct cn_cell v;
    uint16_t schema;
    set_up(&f, WITH_SCHEMAS);
    assert_int_equal(parse(&f, "{\"id\":1}", &v, &schema), -1);
    assert_has(f.host.fail_hint, "schemas.enable=false");
    tear_down(&f);
}

TEST(the_payload_may_come_before_the_schema_and_fields_in_any_order) {
    struct fixture f;
    struct cn_cell v;
    uint16_t schema;
    set_up(&f, WITH_SCHEMAS);
    assert_int_equal(parse(&f, "{\"payload\":{\"b\":\"x\",\"a\":1},\"schema\":{\"fields\":[{\"field\":\"a\",\"type\":\"int8\"},"
                               "{\"field\":\"b\",\"optional\":true,\"type\":\"string\"}],\"type\":\"struct\"}}", &v, &schema), 0);
    assert_has(render(&f, v, schema), "\"payload\":{\"a\":1,\"b\":\"x\"}}");
    tear_down(&f);
}

TEST(what_does_not_fit_its_schema_is_refused) {
    struct fixture f;
    static const struct { const char *schema, *payload, *text; } rows[] = {
        {"{\"type\":\"int8\"}", "128", "not a valid int8"},
        {"{\"type\":\"int32\"}", "1.0", "not a valid int32"},
        {"{\"type\":\"int32\"}", "null", "null or missing, but required"},
        {"{\"type\":\"boolean\"}", "1", "not a valid boolean"},
        {"{\"type\":\"bytes\"}", "\"*\"", "not a valid bytes"},
        {"{\"type\":\"uuid\"}", "1", "unknown type uuid"},
        {"{\"optional\":true}", "1", "\"type\" is missing"},
        {"{\"type\":\"array\"}", "[]", "an array needs \"items\""},
        {"{\"type\":\"struct\",\"fields\":[{\"type\":\"int8\",\"field\":\"a\"}]}", "{}", "a: null or missing"},
        {"{\"type\":\"struct\",\"fields\":[]}", "{\"z\":1}", "field z is not in the schema"},
        {"{\"type\":\"array\",\"items\":{\"type\":\"int8\"}}", "[1,\"x\"]", "item 1: not a valid int8"},
    };
    set_up(&f, WITH_SCHEMAS);
    for (size_t i = 0; i < countof(rows); i++) {
        struct cn_cell v;
        uint16_t schema;
        char text[300];
        snprintf(text, sizeof text, "{\"schema\":%s,\"payload\":%s}", rows[i].schema, rows[i].payload);
        assert_int_equal(parse(&f, text, &v, &schema), -1);
        assert_has(f.host.fail_text, rows[i].text);
    }
    tear_down(&f);
}

TEST(a_map_with_text_keys_is_an_object_and_others_are_pairs) {
    struct fixture f;
    struct cn_cell v;
    uint16_t schema;
    set_up(&f, WITH_SCHEMAS);
    static const char object[] = "{\"schema\":{\"type\":\"map\",\"keys\":{\"type\":\"string\",\"optional\":false},"
                                 "\"values\":{\"type\":\"int32\",\"optional\":true},\"optional\":false},\"payload\":{\"a\":1,\"b\":null}}";
    static const char pairs[] = "{\"schema\":{\"type\":\"map\",\"keys\":{\"type\":\"int32\",\"optional\":false},"
                                "\"values\":{\"type\":\"string\",\"optional\":false},\"optional\":false},\"payload\":[[1,\"x\"],[2,\"y\"]]}";
    assert_int_equal(parse(&f, object, &v, &schema), 0);
    assert_string_equal(render(&f, v, schema), object);
    assert_int_equal(parse(&f, pairs, &v, &schema), 0);
    assert_string_equal(render(&f, v, schema), pairs);
    tear_down(&f);
}

TEST(a_schema_that_changes_under_one_fingerprint_is_noticed) {
    struct fixture f;
    set_up(&f, NULL);
    uint16_t schema = order_schema(&f);
    render(&f, order(&f, cn_int(CN_INT32, 1), cn_null(), cn_null()), schema);
    // The same fingerprint at another address over other content: only a comparison of the bytes can tell.
    struct cn_schema_builder s = {0};
    cn_off root = cn_sb_type(&s, CN_BOOLEAN, 0, NULL, 0);
    struct cn_schema_blob *other = cn_sb_finish(&s, root);
    memcpy(other->fingerprint, cn_schema_blob_at(&f.b, schema)->fingerprint, sizeof other->fingerprint);
    uint16_t second = cn_schema_use(&f.b, other);
    free(other);
    assert_int_not_equal(second, schema);
    assert_string_equal(render(&f, cn_bool(1), second), "true");
    tear_down(&f);
}

TEST(more_schemas_than_the_cache_holds_still_convert) {
    struct fixture f;
    set_up(&f, (const char *const[]){"schemas.cache.size=2", "schemas.enable=true", NULL});
    for (int round = 0; round < 2; round++)
        for (int i = 1; i <= 5; i++) {
            struct cn_schema_builder s = {0};
            cn_off root = cn_sb_type(&s, CN_INT32, 0, "v", i);
            char want[100];
            snprintf(want, sizeof want, "\"version\":%d},\"payload\":%d}", i, i);
            const char *got = render(&f, cn_int(CN_INT32, i), use(&f, &s, root));
            assert_has(got, want);
            struct cn_cell v;
            uint16_t schema;
            _cleanup_free_ char *copy = xstrdup(got);
            assert_int_equal(parse(&f, copy, &v, &schema), 0);
            assert_int_equal(v.u.i, i);
        }
    tear_down(&f);
}

TEST(a_value_that_contains_itself_is_refused) {
    struct fixture f;
    set_up(&f, NULL);
    cn_off at = cn_cells(&f.b, 1);
    cn_set(&f.b, at, 0, cn_run(CN_ARRAY, at, 1));
    assert_has(render(&f, cn_run(CN_ARRAY, at, 1), CN_NO_SCHEMA), "nests deeper");
    tear_down(&f);
}

static int reserve_to_100(struct cn_out *o, size_t more) { return o->n + more <= 100 ? (o->cap >= o->n + more ? 0 : (o->p = xrealloc(o->p, 100), o->cap = 100, 0)) : -1; }

TEST(a_value_past_the_record_limit_is_refused) {
    struct fixture f;
    char text[300];
    set_up(&f, NULL);
    f.out.reserve = reserve_to_100;
    memset(text, 'x', sizeof text);
    struct cn_cell fits = cn_string(&f.b, text, 98), large = cn_string(&f.b, text, 99);
    assert_int_equal(f.ops->from_record(f.self, &f.b, NULL, &fits, CN_NO_SCHEMA, &f.out), 0);
    assert_int_equal(f.out.n, 100);
    f.out.n = 0;
    assert_int_equal(f.ops->from_record(f.self, &f.b, NULL, &large, CN_NO_SCHEMA, &f.out), -1);
    assert_has(f.host.fail_text, "too large");
    tear_down(&f);
}

TEST(text_full_of_control_characters_grows_as_far_as_it_must) {
    struct fixture f;
    char text[5000];
    set_up(&f, NULL);
    memset(text, 1, sizeof text);
    assert_int_equal(strlen(render(&f, cn_string(&f.b, text, sizeof text), CN_NO_SCHEMA)), 2 + 6 * sizeof text);
    tear_down(&f);
}
