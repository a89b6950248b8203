// SPDX-License-Identifier: Apache-2.0
#include <ftw.h>
#include <stdlib.h>

#include "base/mem.h"
#include "config/pipeline.h"
#include "test.h"
#include "tmpdir.h"

static struct findings f;
static struct pipeline *p;

static void reset(void) {
    pipeline_free(p);
    findings_done(&f);
    p = NULL;
}

static int parse(const char *text) {
    reset();
    return pipeline_parse("shop.yaml", str_of(text), false, &p, &f);
}

static void assert_parses(const char *text) {
    struct buf out = {0};
    if (!parse(text)) return;
    findings_print(&f, &out);
    fail_msg("%s", buf_cstr(&out));
}

static void assert_says(const char *want) {
    struct buf out = {0};
    assert_null(p);
    findings_print(&f, &out);
    assert_has(buf_cstr(&out), want);
    buf_done(&out);
}

static void assert_error(const char *text, const char *want) {
    assert_int_equal(parse(text), -1);
    assert_says(want);
    reset();
}

static struct connector_config *connector(const char *name) {
    for (size_t i = 0; i < p->n; i++)
        if (!strcmp(p->connectors[i].name, name)) return &p->connectors[i];
    fail_msg("no connector %s", name);
    return NULL;
}

static void assert_prop(const char *name, const char *key, const char *want) {
    const char *got = props_text(&connector(name)->props, key, NULL);
    if (!want) assert_null(got);
    else if (!got) fail_msg("%s has no %s", name, key);
    else assert_string_equal(got, want);
}

// The example of the manual.
static const char shop[] = "pipeline: shop\n"
                           "sources:\n"
                           "  db:\n"
                           "    connector: postgres-cdc\n"
                           "    database: {hostname: db1, dbname: shop, user: connectd, password: \"${file:shop.password}\", sslmode: verify-full}\n"
                           "    topic.prefix: shop\n"
                           "    table.include.list: [public.orders, public.customers]\n"
                           "topics:\n"
                           "  - {match: 'shop\\.public\\.orders', partitions: 4, cleanup.policy: compact}\n"
                           "sinks:\n"
                           "  search:\n"
                           "    connector: http-sink\n"
                           "    url: https://ingest.example/orders\n"
                           "    value.converter: {type: json, schemas.enable: false}\n"
                           "    transforms:\n"
                           "      - {name: unwrap, type: ExtractNewRecordState}\n"
                           "      - {name: slim, type: ReplaceField$Value, exclude: [notes], predicate: {type: TopicNameMatches, pattern: '.*orders'}}\n"
                           "    errors: {tolerance: all}\n";

TEST(a_pipeline_expands_to_connectors_with_connects_options) {
    assert_parses(shop);
    assert_string_equal(p->name, "shop");
    assert_int_equal(p->n, 2);
    struct connector_config *db = connector("shop-db"), *search = connector("shop-search");
    assert_true(db->is_source && db->kind_known && !search->is_source);
    assert_string_equal(db->plugin, "postgres-cdc");
    assert_string_equal(db->pipeline, "shop");
    assert_prop("shop-db", "database.hostname", "db1");
    assert_prop("shop-db", "connector", NULL);
    const struct prop *password = props_get(&db->props, "database.password");
    assert_true(password->secret);
    assert_string_equal(password->at.file, "shop.yaml");
    assert_int_equal(password->at.line, 5);
    assert_int_equal(props_get(&db->props, "table.include.list")->item_count, 2);
    assert_prop("shop-search", "value.converter", "json");
    assert_prop("shop-search", "value.converter.schemas.enable", "false");
    assert_prop("shop-search", "transforms", "unwrap,slim");
    assert_prop("shop-search", "transforms.unwrap.type", "ExtractNewRecordState");
    assert_prop("shop-search", "transforms.unwrap.name", NULL);
    assert_prop("shop-search", "transforms.slim.exclude", "notes");
    assert_prop("shop-search", "transforms.slim.predicate", "slim");
    assert_prop("shop-search", "predicates", "slim");
    assert_prop("shop-search", "predicates.slim.type", "TopicNameMatches");
    assert_prop("shop-search", "predicates.slim.pattern", ".*orders");
    assert_prop("shop-search", "errors.tolerance", "all");
    assert_int_equal(search->at.line, 11);
    reset();
}

TEST(topics_become_creation_rules_of_every_source) {
    assert_parses("pipeline: p\nsources:\n  a: {connector: x}\n  b: {connector: x, topic.creation.groups: own, topic.creation.own.include: o}\n"
                  "topics:\n  - {match: 'a{1,2}', partitions: 4}\n  - {match: '.*', cleanup: {policy: compact}}\n");
    assert_prop("p-a", "topic.creation.groups", "rule1,rule2");
    assert_prop("p-a", "topic.creation.rule1.partitions", "4");
    assert_prop("p-a", "topic.creation.rule2.cleanup.policy", "compact");
    assert_prop("p-b", "topic.creation.groups", "own,rule1,rule2");
    const struct prop *match = props_get(&connector("p-a")->props, "topic.creation.rule1.include");
    assert_int_equal(match->item_count, 1); // its comma does not split it
    assert_string_equal(match->items[0], "a{1,2}");
    assert_error("pipeline: p\nsink: {connector: x, topics: [a]}\ntopics: [{match: x}]\n", "there are no sources");
    assert_error("pipeline: p\nsource: {connector: x}\ntopics: [{partitions: 1}]\n", "shop.yaml:3:10: error: this entry of topics has no `match:`");
    assert_error("pipeline: p\nsource: {connector: x}\ntopics: {match: x}\n", "`topics:` is a list");
    assert_error("pipeline: p\nsource: {connector: x}\ntopics: [x]\n", "an entry of topics is a map");
}

TEST(a_sink_without_topics_reads_those_of_its_pipelines_sources) {
    assert_parses("pipeline: p\nsources: {a: {connector: x}, b: {connector: y}}\nsinks:\n  all: {connector: s}\n  one: {connector: s, topics: [t]}\n  re: {connector: s, topics.regex: t.*}\n");
    assert_true(connector("p-all")->pipeline_topics);
    assert_int_equal(connector("p-all")->source_count, 2);
    assert_string_equal(connector("p-all")->sources[1], "p-b");
    assert_false(connector("p-one")->pipeline_topics);
    assert_false(connector("p-re")->pipeline_topics);
    assert_error("pipeline: p\nsink: {connector: x}\n", "sink p-sink has no topics, and its pipeline has no sources whose topics it could read\n    hint: add `topics:");
}

TEST(the_short_form_is_one_entry) {
    assert_parses("pipeline: p\nsource: {connector: x}\nsink: {connector: y}\n");
    assert_string_equal(p->connectors[0].name, "p-source");
    assert_string_equal(p->connectors[1].name, "p-sink");
    assert_error("pipeline: p\nsource: {connector: x}\nsources: {a: {connector: x}}\n", "`source:` is short for one entry of `sources:`: use one of them");
}

TEST(names_are_checked_and_unique) {
    assert_error("pipeline: p\nsources: {a: {connector: x}}\nsinks: {a: {connector: y}}\n", "shop.yaml:3:9: error: connector p-a is defined twice: it is also in line 2");
    assert_error("pipeline: 'my shop'\nsource: {connector: x}\n", "'my shop' can not be the name of a pipeline\n    hint: a name is made of letters");
    assert_error("pipeline: -p\nsource: {connector: x}\n", "can not be the name");
    assert_error("pipeline: p\nsources: {'a/b': {connector: x}}\n", "'p-a/b' can not be the name of a connector");
    assert_error("sources: {a: {connector: x}}\n", "`pipeline:` is missing\n    hint: name it");
    assert_error("pipeline: [p]\n", "`pipeline:` is a name");
    assert_error("pipeline: p\nsource: {connector: x, name: other}\n", "the connector's name is p-source");
}

TEST(unknown_sections_get_the_nearest_name) {
    assert_error("pipeline: p\nsorces: {a: {connector: x}}\n", "shop.yaml:2:1: error: `sorces:` is unknown at the top of a pipeline file\n    hint: did you mean sources?");
    assert_error("pipeline: p\nerrors: {tolerance: all}\nsource: {connector: x}\n", "a pipeline file has pipeline, sources");
}

TEST(what_has_the_wrong_shape_is_named) {
    assert_error("", "shop.yaml: error: the file is empty");
    assert_error("[a]", "a pipeline file is a map");
    assert_error("pipeline: p\n", "pipeline p has no sources and no sinks");
    assert_error("pipeline: p\nsources: [a]\n", "`sources:` is a map from names to connectors");
    assert_error("pipeline: p\nsources: {db: x}\n", "the options of p-db are a map");
    assert_error("pipeline: p\nsource: {url: x}\n", "shop.yaml:2:1: error: connector p-source has no `connector:` to say which plugin it is");
    assert_error("pipeline: p\nsource: {connector: x, connector.class: y}\n", "options connector.class and connector (line 2) are the same");
}

TEST(all_errors_of_a_file_come_at_once) {
    assert_int_equal(parse("pipeline: p\nsources:\n  a: {url: }\n  b: {connector: x, t: [[1]]}\nsinks:\n  c: {connector: s, transforms: [{name: x}]}\n"), -1);
    assert_int_equal(f.errors, 4); // no value, no connector, a list in a list, no type
    reset();
}

TEST(transforms_come_as_lists_maps_or_in_connects_form) {
    assert_parses("pipeline: p\nsource:\n  connector: x\n  transforms: {b: {type: Two}, a: {type: One, predicate: never, negate: true}}\n  predicates: {never: {type: RecordIsTombstone}}\n");
    assert_prop("p-source", "transforms", "b,a"); // in the order written
    assert_prop("p-source", "transforms.a.predicate", "never");
    assert_prop("p-source", "transforms.a.negate", "true");
    assert_prop("p-source", "predicates", "never");
    assert_prop("p-source", "predicates.never.type", "RecordIsTombstone");
    assert_parses("pipeline: p\nsource:\n  connector: x\n  transforms: a,b\n  transforms.a.type: One\n  transforms.b: {type: Two}\n");
    assert_prop("p-source", "transforms", "a,b");
    assert_prop("p-source", "transforms.b.type", "Two");
    assert_parses("pipeline: p\nsource:\n  connector: x\n  transforms: [a, b]\n  transforms.a.type: One\n  transforms.b: {type: Two}\n");
    assert_prop("p-source", "transforms", "a,b");
    assert_parses("pipeline: p\nsource:\n  connector: x\n  transforms:\n    - {type: Filter}\n    - {type: org.apache.kafka.connect.transforms.Cast$Value, spec: 'a:int8,b:string'}\n");
    assert_prop("p-source", "transforms", "Filter,Cast"); // named after their types
    assert_prop("p-source", "transforms.Cast.spec", "a:int8,b:string");
}

TEST(wrong_transforms_are_named) {
    static const struct {
        const char *list, *want;
    } cases[] = {
        {"[{name: a, type: X}, {name: a, type: Y}]", "transforms has two entries called a\n    hint: give one of them another `name:`"},
        {"[{type: X}, {type: X}]", "transforms has two entries called X"},
        {"[{name: a.b, type: X}]", "'a.b' can not be a name in transforms"},
        {"[{name: a, type: X}, y]", "an entry of transforms is a map with `name:` and `type:`"},
        {"[{name: a}]", "this entry of transforms has no `type:`"},
        {"[{name: a, type: X, predicate: {pattern: x}}]", "this entry of predicates has no `type:`"},
        {"{a: X}", "transforms.a is a map with `type:`"},
    };
    for (size_t i = 0; i < countof(cases); i++) {
        _cleanup_free_ char *text = xasprintf("pipeline: p\nsource:\n  connector: x\n  transforms: %s\n", cases[i].list);
        assert_error(text, cases[i].want);
    }
    assert_error("pipeline: p\nsource:\n  connector: x\n  transforms: [{name: a, type: X, predicate: {type: Y}}]\n  predicates: [z]\n", "use one form");
}

TEST(class_names_of_the_field_are_aliases) {
    static const struct {
        const char *class_name, *name;
        int source;
    } rows[] = {
        {"io.debezium.connector.postgresql.PostgresConnector", "postgres-cdc", 1},
        {"org.apache.kafka.connect.file.FileStreamSourceConnector", "file", 1},
        {"FileStreamSink", "file", 0},
        {"org.apache.kafka.connect.json.JsonConverter", "json", -1},
        {"org.apache.kafka.connect.transforms.ReplaceField$Value", "ReplaceField$Value", -1},
        {"org.apache.kafka.connect.transforms.predicates.TopicNameMatches", "TopicNameMatches", -1},
        {"io.debezium.transforms.ExtractNewRecordState", "ExtractNewRecordState", -1},
        {"io.debezium.transforms.outbox.EventRouter", "EventRouter", -1},
        {"com.example.Mine", "com.example.Mine", -1},
        {"http-sink", "http-sink", -1},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        int source = 7;
        assert_string_equal(pipeline_class_alias(rows[i].class_name, &source), rows[i].name);
        assert_int_equal(source, rows[i].source);
    }
    assert_parses("pipeline: p\nsource: {connector.class: io.debezium.connector.postgresql.PostgresConnector}\n");
    assert_string_equal(p->connectors[0].plugin, "postgres-cdc");
    reset();
}

// ── Connect's JSON ──

static int parse_json(const char *text) {
    reset();
    return pipeline_parse("c.json", str_of(text), true, &p, &f);
}

TEST(connector_json_reads_into_the_same_struct) {
    assert_int_equal(parse_json("{\"name\": \"inventory\", \"config\": {\n  \"connector.class\": \"io.debezium.connector.postgresql.PostgresConnector\",\n"
                                "  \"tasks.max\": 1, \"tombstones.on.delete\": false, \"empty\": null,\n  \"database.password\": \"${file:/s:k}\"}, \"tasks\": [], \"type\": \"source\"}"),
                     0);
    struct connector_config *c = connector("inventory");
    assert_string_equal(c->plugin, "postgres-cdc");
    assert_true(c->is_source && c->kind_known);
    assert_null(c->pipeline);
    assert_null(p->name);
    assert_prop("inventory", "tasks.max", "1");
    assert_prop("inventory", "tombstones.on.delete", "false");
    assert_prop("inventory", "empty", NULL);
    assert_prop("inventory", "name", NULL);
    const struct prop *password = props_get(&c->props, "database.password");
    assert_true(password->secret);
    assert_int_equal(password->at.line, 4);
    assert_int_equal(password->at.column, 24);
    assert_int_equal(password->key_at.column, 3);
    reset();
}

TEST(flat_maps_and_arrays_of_connectors_are_read_too) {
    assert_int_equal(parse_json("[{\"name\":\"a\",\"connector.class\":\"x\",\"topics\":\"t,u\"},{\"config\":{\"connector.class\":\"y\",\"name\":\"b\"},\"name\":\"b\"}]"), 0);
    assert_int_equal(p->n, 2);
    assert_false(connector("a")->is_source); // it has topics
    assert_false(connector("a")->kind_known);
    assert_true(connector("b")->is_source);
    reset();
}

TEST(wrong_connector_json_is_named_with_its_place) {
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"", "c.json:1:1: error: value expected"},
        {"{\"name\":\"a\",\n \"config\": {\"connector.class\": \"x\" \"y\":1}}", "c.json:2:36: error: ',' or '}' expected"},
        {"[1]", "a connector is an object"},
        {"\"x\"", "a connector is an object"},
        {"{\"connector.class\":\"x\"}", "the connector has no name"},
        {"{\"name\":\"a\",\"config\":{}}", "connector a has no connector.class"},
        {"{\"name\":\"a\",\"config\":{\"name\":\"b\",\"connector.class\":\"x\"}}", "the connector has two names: a in line 1, and b"},
        {"{\"name\":\"a b\",\"connector.class\":\"x\"}", "'a b' can not be the name of a connector"},
        {"{\"name\":\"a\",\"connector.class\":\"x\",\n\"k\":1,\n\"k\":2}", "c.json:3:1: error: option k is given twice: it is also in line 2"},
        {"{\"name\":\"a\",\"connector.class\":\"x\",\"k\":{\"l\":[1]}}", "option k is an object or array: options are texts"},
        {"{\"name\":\"a\",\"connector.class\":\"x\",\"\":1}", "an option's name is empty"},
        {"{\"name\":\"a\",\"connector.class\":\"x\",\"k\":\"\\u0000\"}", "NUL"},
        {"{\"name\":\"a\",\"connector.class\":\"x\"} x", "more after the value"},
        {"[{\"name\":\"a\",\"connector.class\":\"x\"},\n{\"name\":\"a\",\"connector.class\":\"x\"}]", "c.json:2:1: error: connector a is defined twice: it is also in line 1"},
        {"{\"name\":5,\"config\":{\"name\":6}}", "a name is a text"},
    };
    for (size_t i = 0; i < countof(cases); i++) {
        assert_int_equal(parse_json(cases[i].text), -1);
        assert_says(cases[i].want);
    }
    reset();
}

TEST(every_cut_of_connector_json_is_an_error) {
    static const char text[] = "[{\"name\": \"a\", \"config\": {\"connector.class\": \"x\", \"n\": -1.5, \"b\": true, \"z\": null}, \"tasks\": [{}]}]";
    for (size_t n = 0; n < sizeof(text) - 1; n++) {
        char *exact = xmemdup(text, n);
        reset();
        assert_int_equal(pipeline_parse("c.json", str_make(exact, n), true, &p, &f), -1);
        free(exact);
    }
    reset();
}

TEST(a_connector_from_rest_takes_the_name_it_is_given) {
    struct connector_config *c;
    assert_int_equal(pipeline_connector_json("shop", STR("{\"connector.class\":\"HttpSink\",\"topics\":\"t\"}"), &c, &f), 0);
    assert_string_equal(c->name, "shop");
    assert_string_equal(c->plugin, "http-sink");
    assert_null(c->file);
    connector_config_free(c);
    assert_int_equal(pipeline_connector_json(NULL, STR("[{\"name\":\"x\",\"connector.class\":\"y\"}]"), &c, &f), 0);
    connector_config_free(c);
    assert_int_equal(pipeline_connector_json("shop", STR("[]"), &c, &f), -1);
    assert_int_equal(pipeline_connector_json(NULL, STR("{\"connector.class\":\"y\"}"), &c, &f), -1);
    assert_null(c);
    reset();
}

// ── copying, comparing, files ──

TEST(a_copy_outlives_its_pipeline_and_equals_it) {
    assert_parses(shop);
    struct connector_config *copy = connector_config_copy(connector("shop-search"));
    assert_true(connector_config_equal(copy, connector("shop-search")));
    assert_false(connector_config_equal(copy, connector("shop-db")));
    reset();
    assert_string_equal(props_get(&copy->props, "url")->at.file, "shop.yaml");
    assert_string_equal(copy->sources[0], "shop-db");
    assert_parses(shop);
    assert_true(connector_config_equal(copy, connector("shop-search")));
    props_set(&copy->props, "url", "http://other");
    assert_false(connector_config_equal(copy, connector("shop-search")));
    connector_config_free(copy);
    reset();
}

TEST(files_are_loaded_by_their_kind) {
    const char *dir = tmpdir_new();
    tmpdir_file(dir, "b.yaml", "pipeline: p\nsource: {connector: x}\n");
    tmpdir_file(dir, "a.json", "{\"name\":\"j\",\"connector.class\":\"x\"}");
    tmpdir_file(dir, "c.yml", "broken: [\n");
    tmpdir_file(dir, ".hidden.yaml", "x");
    tmpdir_file(dir, "notes.txt", "x");
    char **files;
    size_t n;
    struct err err;
    assert_ok(pipeline_files(dir, &files, &n, &err), err);
    assert_int_equal(n, 3);
    assert_has(files[0], "/a.json");
    assert_int_equal(pipeline_load(files[0], &p, &f), 0);
    assert_string_equal(p->connectors[0].name, "j");
    pipeline_free(p);
    assert_int_equal(pipeline_load(files[1], &p, &f), 0);
    uint64_t content = p->content;
    pipeline_free(p);
    assert_int_equal(pipeline_load(files[1], &p, &f), 0);
    assert_true(p->content == content);
    pipeline_free(p);
    assert_int_equal(pipeline_load(files[2], &p, &f), -1);
    assert_null(p);
    assert_int_equal(pipeline_load("/nonexistent.yaml", &p, &f), -1);
    assert_has(f.items[f.n - 1].message, "can not be read: No such file");
    assert_int_equal(pipeline_files("/nonexistent", &files, &n, &err), -1);
    for (size_t i = 0; i < 3; i++) free(files[i]);
    free(files);
    reset();
}

// Every pipeline file of configs/ and connectors/. That their options are right too is for `connectd check` to say.
static int example_count;
static int check_example(const char *path, const struct stat *st, int type, struct FTW *ftw) {
    struct str s = str_of(path);
    if (type != FTW_F || !str_ends(s, STR(".yaml")) || str_ends(s, STR("/connectd.yaml"))) return 0;
    example_count++;
    if (!pipeline_load(path, &p, &f)) {
        pipeline_free(p);
        p = NULL;
        return 0;
    }
    assert_says("no error at all");
    return 1;
}

TEST(the_examples_are_pipelines) {
    nftw(SOURCE_DIR "/configs", check_example, 16, FTW_PHYS);
    nftw(SOURCE_DIR "/connectors", check_example, 16, FTW_PHYS);
    assert_true(example_count >= 2);
    reset();
}
