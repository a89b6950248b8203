// SPDX-License-Identifier: Apache-2.0
#include "transforms/builtin.h" // before cmocka, whose macro `fail` its inlines would trip over

#include "base/mem.h"
#include "component_host.h"
#include "converters/converter.h"
#include "converters/out.h"
#include "test.h"

// A transform over a batch of one record, and the json converter (with schemas) to look at what came out.
struct fixture {
    struct component_host host, json_host;
    const struct cn_transform_ops *ops;
    void *self, *json;
    struct cn_batch b;
    struct cn_out out;
};
#define SETTINGS(...) (const char *const[]){__VA_ARGS__, NULL}

static void set_up(struct fixture *f, const struct cn_component *c, const char *const *settings) {
    static const char *const plain[] = {"schemas.enable=true", NULL};
    *f = (struct fixture){.ops = c->ops, .out = {.reserve = out_heap_reserve}};
    component_host_init(&f->host, c, settings);
    component_host_init(&f->json_host, &converter_json, plain);
    batch_heap(&f->b);
    const struct cn_converter_ops *json = converter_json.ops;
    assert_int_equal(json->open(&f->json_host.host, 0, &f->json), 0);
    assert_int_equal(f->ops->open(&f->host.host, &f->self), 0);
}

static void tear_down(struct fixture *f) {
    const struct cn_converter_ops *json = converter_json.ops;
    f->ops->close(f->self);
    json->close(f->json);
    batch_done(&f->b);
    free(f->out.p);
}

static uint32_t record(struct fixture *f, const char *json_text) {
    const struct cn_converter_ops *json = converter_json.ops;
    uint32_t i = cn_record(&f->b, cn_topic(&f->b, "orders", 6));
    struct cn_cell v;
    uint16_t schema;
    assert_int_equal(json->to_record(f->json, &f->b, NULL, json_text, strlen(json_text), &v, &schema), 0);
    cn_set_value(&f->b, i, v, schema);
    cn_set_key(&f->b, i, v, schema);
    cn_record_at(&f->b, i)->partition = 3;
    cn_record_at(&f->b, i)->offset = 42;
    cn_record_at(&f->b, i)->timestamp = 1700000000123;
    return i;
}

static const char *show(struct fixture *f, struct cn_cell v, uint16_t schema) {
    const struct cn_converter_ops *json = converter_json.ops;
    f->out.n = 0;
    if (json->from_record(f->json, &f->b, NULL, &v, schema, &f->out) != 0) return f->json_host.fail_text;
    out_put(&f->out, "", 1);
    return (const char *)f->out.p;
}
static const char *value(struct fixture *f, uint32_t i) { return show(f, cn_record_at(&f->b, i)->value, cn_record_at(&f->b, i)->value_schema); }
static const char *key(struct fixture *f, uint32_t i) { return show(f, cn_record_at(&f->b, i)->key, cn_record_at(&f->b, i)->key_schema); }
static int apply(struct fixture *f, uint32_t i) { return f->ops->apply(f->self, &f->b, i); }

#define STRUCT_AB                                                                                                      \
    "{\"schema\":{\"type\":\"struct\",\"fields\":[{\"type\":\"int32\",\"optional\":false,\"field\":\"a\"},"             \
    "{\"type\":\"string\",\"optional\":true,\"field\":\"b\"}],\"optional\":true,\"name\":\"n\",\"version\":2},\"payload\":{\"a\":1,\"b\":\"x\"}}"
#define MAP_AB "{\"schema\":null,\"payload\":{\"a\":1,\"b\":\"x\"}}"

TEST(insert_field_adds_what_is_asked_for_to_a_struct_in_connects_order) {
    struct fixture f;
    set_up(&f, &transform_insert_field_value,
           SETTINGS("topic.field=t", "partition.field=p!", "offset.field=o", "timestamp.field=ts?", "static.field=s", "static.value=fix"));
    uint32_t i = record(&f, STRUCT_AB);
    assert_int_equal(apply(&f, i), CN_KEEP);
    assert_string_equal(value(&f, i),
                        "{\"schema\":{\"type\":\"struct\",\"fields\":[{\"type\":\"int32\",\"optional\":false,\"field\":\"a\"},"
                        "{\"type\":\"string\",\"optional\":true,\"field\":\"b\"},{\"type\":\"string\",\"optional\":true,\"field\":\"t\"},"
                        "{\"type\":\"int32\",\"optional\":false,\"field\":\"p\"},{\"type\":\"int64\",\"optional\":true,\"field\":\"o\"},"
                        "{\"type\":\"int64\",\"optional\":true,\"name\":\"org.apache.kafka.connect.data.Timestamp\",\"version\":1,\"field\":\"ts\"},"
                        "{\"type\":\"string\",\"optional\":true,\"field\":\"s\"}],\"optional\":false,\"name\":\"n\",\"version\":2},"
                        "\"payload\":{\"a\":1,\"b\":\"x\",\"t\":\"orders\",\"p\":3,\"o\":42,\"ts\":1700000000123,\"s\":\"fix\"}}");
    assert_string_equal(key(&f, i), STRUCT_AB); // the other half is untouched
    tear_down(&f);
}

TEST(insert_field_writes_into_maps_and_replaces_what_is_there) {
    struct fixture f;
    set_up(&f, &transform_insert_field_value, SETTINGS("topic.field=b", "static.field=s", "static.value=fix"));
    uint32_t i = record(&f, MAP_AB);
    assert_int_equal(apply(&f, i), CN_KEEP);
    assert_string_equal(value(&f, i), "{\"schema\":null,\"payload\":{\"a\":1,\"b\":\"orders\",\"s\":\"fix\"}}");
    tear_down(&f);
}

TEST(insert_field_key_changes_the_key) {
    struct fixture f;
    set_up(&f, &transform_insert_field_key, SETTINGS("topic.field=t"));
    uint32_t i = record(&f, MAP_AB);
    assert_int_equal(apply(&f, i), CN_KEEP);
    assert_string_equal(key(&f, i), "{\"schema\":null,\"payload\":{\"a\":1,\"b\":\"x\",\"t\":\"orders\"}}");
    assert_string_equal(value(&f, i), MAP_AB);
    tear_down(&f);
}

TEST(insert_field_leaves_out_of_a_map_what_the_record_does_not_have) {
    struct fixture f;
    set_up(&f, &transform_insert_field_value, SETTINGS("partition.field=p", "timestamp.field=t"));
    uint32_t i = record(&f, MAP_AB);
    cn_record_at(&f.b, i)->partition = CN_NO_PARTITION;
    cn_record_at(&f.b, i)->timestamp = CN_NO_TIMESTAMP;
    assert_int_equal(apply(&f, i), CN_KEEP);
    assert_string_equal(value(&f, i), MAP_AB);
    tear_down(&f);
}

TEST(insert_field_refuses_a_field_twice_and_values_without_fields) {
    struct fixture f;
    set_up(&f, &transform_insert_field_value, SETTINGS("topic.field=a"));
    uint32_t i = record(&f, STRUCT_AB), k = record(&f, "{\"schema\":null,\"payload\":5}");
    assert_int_equal(apply(&f, i), CN_APPLY_FAILED);
    assert_string_equal(f.host.fail_text, "field a would be there twice");
    assert_int_equal(f.host.fail_class, CN_FAIL_RECORD);
    assert_int_equal(apply(&f, k), CN_APPLY_FAILED);
    assert_has(f.host.fail_text, "only structs and maps");
    tear_down(&f);
}

TEST(a_tombstone_passes_untouched) {
    const struct cn_component *all[] = {&transform_insert_field_value, &transform_replace_field_value};
    for (size_t i = 0; i < countof(all); i++) {
        struct fixture f;
        set_up(&f, all[i], i ? SETTINGS("exclude=a") : SETTINGS("topic.field=t"));
        uint32_t r = cn_record(&f.b, cn_topic(&f.b, "orders", 6));
        assert_int_equal(apply(&f, r), CN_KEEP);
        assert_int_equal(cn_record_at(&f.b, r)->value.type, CN_NULL);
        tear_down(&f);
    }
}

TEST(insert_field_needs_a_field_and_a_value_for_the_static_one) {
    struct component_host h;
    void *self;
    const struct cn_transform_ops *ops = transform_insert_field_value.ops;
    component_host_init(&h, &transform_insert_field_value, NULL);
    assert_int_equal(ops->validate(&h.host), -1);
    assert_string_equal(h.fail_text, "no field to insert");
    component_host_init(&h, &transform_insert_field_value, SETTINGS("static.field=x"));
    assert_int_equal(ops->open(&h.host, &self), -1);
    assert_string_equal(h.fail_text, "no value for the static field x");
    assert_int_equal(h.fail_class, CN_FAIL_CONFIG);
}

TEST(replace_field_excludes_includes_and_renames_in_a_struct) {
    struct fixture f;
    set_up(&f, &transform_replace_field_value, SETTINGS("exclude=a", "renames=b:c"));
    uint32_t i = record(&f, STRUCT_AB);
    assert_int_equal(apply(&f, i), CN_KEEP);
    assert_string_equal(value(&f, i), "{\"schema\":{\"type\":\"struct\",\"fields\":[{\"type\":\"string\",\"optional\":true,\"field\":\"c\"}],"
                                      "\"optional\":false,\"name\":\"n\",\"version\":2},\"payload\":{\"c\":\"x\"}}");
    tear_down(&f);
    set_up(&f, &transform_replace_field_value, SETTINGS("include=a,b", "exclude=b"));
    i = record(&f, STRUCT_AB);
    assert_int_equal(apply(&f, i), CN_KEEP);
    assert_has(value(&f, i), "\"payload\":{\"a\":1}}");
    tear_down(&f);
}

TEST(replace_field_works_on_maps) {
    struct fixture f;
    set_up(&f, &transform_replace_field_value, SETTINGS("include=a,b", "renames=a:z"));
    uint32_t i = record(&f, "{\"schema\":null,\"payload\":{\"a\":1,\"drop\":2,\"b\":[]}}");
    assert_int_equal(apply(&f, i), CN_KEEP);
    assert_string_equal(value(&f, i), "{\"schema\":null,\"payload\":{\"z\":1,\"b\":[]}}");
    tear_down(&f);
}

TEST(a_new_schema_is_built_once_and_used_by_all_records) {
    struct fixture f;
    set_up(&f, &transform_replace_field_value, SETTINGS("exclude=a"));
    for (int n = 0; n < 20; n++) assert_int_equal(apply(&f, record(&f, STRUCT_AB)), CN_KEEP);
    assert_int_equal(cn_head(&f.b)->schema_count, 2); // as it came, as it went
    tear_down(&f);
}

TEST(renames_must_be_pairs) {
    static const char *const bad[] = {"renames=a", "renames=a:", "renames=:b", "renames=a:b:c"};
    for (size_t i = 0; i < countof(bad); i++) {
        struct component_host h;
        const struct cn_transform_ops *ops = transform_replace_field_key.ops;
        component_host_init(&h, &transform_replace_field_key, SETTINGS(bad[i]));
        assert_int_equal(ops->validate(&h.host), -1);
        assert_has(h.fail_text, "is no pair of names");
    }
}

TEST(filter_drops) {
    struct fixture f;
    set_up(&f, &transform_filter, NULL);
    assert_int_equal(apply(&f, record(&f, MAP_AB)), CN_DROP);
    tear_down(&f);
}

static void assert_topic(struct fixture *f, uint32_t i, const char *want) {
    struct cn_text t = *cn_topic_at(&f->b, cn_record_at(&f->b, i)->topic);
    assert_str(str_make(cn_bytes_at(&f->b, t.at), t.n), want);
}

TEST(regex_router_renames_topics_that_match_as_a_whole) {
    struct fixture f;
    set_up(&f, &transform_regex_router, SETTINGS("regex=(ord)(.*)", "replacement=$2-$1"));
    uint32_t i = record(&f, MAP_AB), other = cn_record(&f.b, cn_topic(&f.b, "my-orders", 9)), again = record(&f, MAP_AB);
    assert_int_equal(apply(&f, i), CN_KEEP);
    assert_int_equal(apply(&f, other), CN_KEEP);
    assert_int_equal(apply(&f, again), CN_KEEP);
    assert_topic(&f, i, "ers-ord");
    assert_topic(&f, other, "my-orders");
    assert_topic(&f, again, "ers-ord");
    struct cn_text original = *cn_topic_at(&f.b, cn_record_at(&f.b, i)->original_topic);
    assert_str(str_make(cn_bytes_at(&f.b, original.at), original.n), "orders");
    tear_down(&f);
}

TEST(regex_router_refuses_to_make_an_empty_name) {
    struct fixture f;
    set_up(&f, &transform_regex_router, SETTINGS("regex=orders(x?)", "replacement=$1"));
    uint32_t i = record(&f, MAP_AB);
    assert_int_equal(apply(&f, i), CN_APPLY_FAILED);
    assert_string_equal(f.host.fail_text, "topic orders would get an empty name");
    tear_down(&f);
}

TEST(predicates_answer_by_topic_header_and_tombstone) {
    struct fixture f;
    set_up(&f, &predicate_topic_name_matches, SETTINGS("pattern=ord.*"));
    uint32_t yes = record(&f, MAP_AB), no = cn_record(&f.b, cn_topic(&f.b, "x-orders", 8));
    assert_int_equal(apply(&f, yes), 1);
    assert_int_equal(apply(&f, no), 0);
    assert_int_equal(apply(&f, yes), 1);
    tear_down(&f);

    set_up(&f, &predicate_has_header_key, SETTINGS("name=trace"));
    yes = record(&f, MAP_AB), no = record(&f, MAP_AB);
    cn_header_add(&f.b, yes, "other", cn_null());
    cn_header_add(&f.b, yes, "trace", cn_null());
    cn_header_add(&f.b, no, "trac", cn_null());
    assert_int_equal(apply(&f, yes), 1);
    assert_int_equal(apply(&f, no), 0);
    tear_down(&f);

    set_up(&f, &predicate_record_is_tombstone, NULL);
    no = record(&f, MAP_AB), yes = cn_record(&f.b, 0);
    assert_int_equal(apply(&f, yes), 1);
    assert_int_equal(apply(&f, no), 0);
    tear_down(&f);
}
