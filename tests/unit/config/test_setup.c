// SPDX-License-Identifier: Apache-2.0
// A connector against the tables of everything it names, and `check` over files.
#include <connectd/sdk.h>
#include <stdlib.h>

#include "base/mem.h"
#include "config/check.h"
#include "test.h"
#include "tmpdir.h"

struct sink_opts {
    const char *url, *token;
};
static const struct cn_option sink_rows[] = {
    CN_STR("url", struct sink_opts, url, NULL, CN_OPT_REQUIRED, "Connection", "Where to send."),
    CN_STR("auth.token", struct sink_opts, token, NULL, CN_OPT_SECRET, "Connection", "Who we are."),
};
struct source_opts {
    const char *hostname;
};
static const struct cn_option source_rows[] = {
    CN_STR("database.hostname", struct source_opts, hostname, "localhost", 0, "Connection", "The server."),
};
struct json_opts {
    uint8_t schemas;
};
static const struct cn_option json_rows[] = {
    CN_BOOL("schemas.enable", struct json_opts, schemas, "false", 0, "Json", "Whether the schema goes with each value."),
};
struct slim_opts {
    struct cn_list exclude;
};
static const struct cn_option slim_rows[] = {
    CN_LIST("exclude", struct slim_opts, exclude, NULL, 0, "Fields", "Fields to leave out."),
};
struct match_opts {
    const char *pattern;
};
static const struct cn_option match_rows[] = {
    CN_REGEX("pattern", struct match_opts, pattern, NULL, CN_OPT_REQUIRED, "Match", "The topics."),
};

#define COMPONENT_OF(component_kind, component_name, component_aliases, component_rows)                                                                 \
    {.struct_size = sizeof(struct cn_component), .kind = component_kind, .name = component_name, .aliases = component_aliases, .options = component_rows, \
     .option_count = countof(component_rows), .option_size = sizeof(struct cn_option)}

static const struct cn_component components[] = {
    COMPONENT_OF(CN_SOURCE, "postgres-cdc", NULL, source_rows),
    COMPONENT_OF(CN_SINK, "http-sink", "webhook", sink_rows),
    COMPONENT_OF(CN_CONVERTER, "json", NULL, json_rows),
    COMPONENT_OF(CN_CONVERTER, "string", NULL, slim_rows),
    COMPONENT_OF(CN_TRANSFORM, "ReplaceField$Value", NULL, slim_rows),
    COMPONENT_OF(CN_TRANSFORM, "Cast", NULL, slim_rows),
    COMPONENT_OF(CN_PREDICATE, "TopicNameMatches", NULL, match_rows),
};

static const struct cn_component *find_component(void *arg, enum cn_kind kind, const char *name) {
    for (size_t i = 0; i < countof(components); i++) {
        const struct cn_component *c = &components[i];
        if (c->kind == (uint32_t)kind && (!strcmp(c->name, name) || (c->aliases && !strcmp(c->aliases, name)))) return c;
    }
    return NULL;
}

static void each_component(void *arg, enum cn_kind kind, void (*name)(void *to, const char *name), void *to) {
    for (size_t i = 0; i < countof(components); i++)
        if (components[i].kind == (uint32_t)kind) name(to, components[i].name);
}

static const struct component_lookup lookup = {find_component, each_component, NULL};
static const struct secret_places no_places;
static struct findings f;
static struct pipeline *p;
static struct connector_setup *s;
static struct props worker_props;

static void reset(void) {
    connector_setup_free(s);
    pipeline_free(p);
    findings_done(&f);
    props_done(&worker_props);
    s = NULL;
    p = NULL;
}

static int setup_at(size_t i) {
    struct setup_input in = {.config = &p->connectors[i], .lookup = &lookup, .secrets = &no_places, .worker_props = &worker_props, .default_value_converter = "json"};
    connector_setup_free(s);
    return connector_setup(&in, &s, &f);
}

// The only connector of a pipeline file, set up.
static int setup(const char *text) {
    pipeline_free(p);
    findings_done(&f);
    p = NULL;
    struct buf out = {0};
    if (pipeline_parse("t.yaml", str_of(text), false, &p, &f)) {
        findings_print(&f, &out);
        fail_msg("%s", buf_cstr(&out));
    }
    return setup_at(0);
}

static void assert_says(const char *want) {
    struct buf out = {0};
    findings_print(&f, &out);
    assert_has(buf_cstr(&out), want);
    buf_done(&out);
}

static void assert_error(const char *text, const char *want) {
    assert_int_equal(setup(text), -1);
    assert_says(want);
    reset();
}

static void assert_sets_up(const char *text) {
    struct buf out = {0};
    if (!setup(text)) return;
    findings_print(&f, &out);
    fail_msg("%s", buf_cstr(&out));
}

#define SINK "pipeline: p\nsink:\n  connector: http-sink\n  url: http://x\n  topics: [t]\n"
#define SOURCE "pipeline: p\nsource:\n  connector: postgres-cdc\n"

TEST(a_sink_is_resolved_with_its_converters_transforms_and_predicates) {
    assert_sets_up(SINK "  tasks.max: 3\n  errors: {tolerance: all}\n  value.converter: {type: json, schemas.enable: true}\n  key.converter: org.apache.kafka.connect.storage.StringConverter\n"
                        "  transforms:\n    - {name: slim, type: ReplaceField$Value, exclude: [a, b], predicate: {type: TopicNameMatches, pattern: t.*}, negate: true}\n"
                        "    - {name: cast, type: org.apache.kafka.connect.transforms.Cast$Key}\n");
    struct sink_opts o;
    assert_false(s->is_source);
    option_values_bind(s->connector.values, &o);
    assert_string_equal(o.url, "http://x");
    assert_null(o.token);
    assert_int_equal(s->options.tasks_max, 3);
    assert_int_equal(s->options.errors_tolerance, TOLERATE_ALL);
    assert_string_equal(s->options.value_converter, "json");
    assert_int_equal(s->options.topics.n, 1);
    assert_int_equal(s->options.auto_offset_reset, RESET_EARLIEST);
    assert_string_equal(s->key_converter.component->name, "string");
    assert_int_equal(option_values_get(s->value_converter.values, "schemas.enable")->i, 1);
    assert_int_equal(s->transform_count, 2);
    assert_string_equal(s->transforms[0].alias, "slim");
    assert_int_equal(option_values_get(s->transforms[0].values, "exclude")->list.n, 2);
    assert_int_equal(s->transforms[0].predicate, 0);
    assert_true(s->transforms[0].negate);
    assert_null(s->transforms[0].variant); // ReplaceField$Value is a component by that name
    assert_string_equal(s->transforms[1].component->name, "Cast");
    assert_string_equal(s->transforms[1].variant, "Key");
    assert_int_equal(s->transforms[1].predicate, -1);
    assert_string_equal(option_values_get(s->predicates[0].values, "pattern")->text, "t.*");
    reset();
}

TEST(the_workers_converter_brings_its_options) {
    props_set(&worker_props, "value.converter.schemas.enable", "true");
    assert_sets_up(SINK);
    assert_int_equal(option_values_get(s->value_converter.values, "schemas.enable")->i, 1);
    assert_sets_up(SINK "  value.converter: json\n"); // its own: the worker's options do not apply
    assert_int_equal(option_values_get(s->value_converter.values, "schemas.enable")->i, 0);
    assert_sets_up(SINK "  value.converter.schemas.enable: false\n"); // goes before the worker's
    assert_int_equal(option_values_get(s->value_converter.values, "schemas.enable")->i, 0);
    reset();
}

TEST(unknown_components_get_the_nearest_name_or_the_right_place) {
    assert_error("pipeline: p\nsink: {connector: htp-sink, topics: [t]}\n", "t.yaml:2:1: error: no sink is called htp-sink\n    hint: did you mean http-sink?");
    assert_error("pipeline: p\nsource: {connector: http-sink}\n", "no source is called http-sink\n    hint: http-sink is a sink: put it under `sinks:`");
    assert_error("pipeline: p\nsource: {connector: xyzzy-quux}\n", "hint: `connectd plugins` lists what there is");
    assert_error(SINK "  value.converter: jsn\n", "t.yaml:6:20: error: no converter is called jsn\n    hint: did you mean json?");
    assert_error(SINK "  transforms: [{name: a, type: ReplaceFeld$Value}]\n", "no transform is called ReplaceFeld$Value\n    hint: did you mean ReplaceField$Value?");
}

TEST(what_an_unknown_component_was_given_is_not_called_unknown) {
    assert_int_equal(setup("pipeline: p\nsink: {connector: htp-sink, topics: [t], whatever: 1}\n"), -1);
    assert_int_equal(f.errors, 1);
    assert_int_equal(setup(SINK "  transforms: [{name: a, type: None, whatever: 1}]\n"), -1);
    assert_int_equal(f.errors, 1);
    reset();
}

TEST(unknown_options_are_named_wherever_they_stand) {
    assert_error(SINK "  ulr: x\n", "t.yaml:6:3: error: option ulr is unknown\n    hint: did you mean url?");
    assert_error(SINK "  errors: {tolerence: all}\n", "option errors.tolerence is unknown\n    hint: did you mean errors.tolerance?");
    assert_error(SINK "  value.converter: {type: json, schema.enable: true}\n", "hint: did you mean value.converter.schemas.enable?");
    assert_error(SINK "  transforms: [{name: a, type: Cast, exclud: x}]\n", "option transforms.a.exclud is unknown\n    hint: did you mean transforms.a.exclude?");
    assert_error(SINK "  transforms: a\n  transforms.a.type: Cast\n  transforms.b.type: Cast\n", "t.yaml:8:3: error: option transforms.b.type: transforms does not name b");
    assert_error(SINK "  transforms: a\n", "option transforms.a.type is missing: transform a has no type");
    assert_error(SINK "  transforms: a,a\n  transforms.a.type: Cast\n", "option transforms names a twice");
    assert_error(SINK "  transforms: [{name: a, type: Cast, predicate: none}]\n", "option transforms.a.predicate: predicates has no none");
    assert_error(SINK "  transforms: [{name: a, type: Cast, negate: maybe}]\n", "option transforms.a.negate: 'maybe' is not true or false");
    assert_error(SINK "  producer.override.acks: all\n", "option producer.override.acks is not supported: connectors reach the log without a Kafka client");
    assert_sets_up(SINK "  consumer.override.auto.offset.reset: latest\n");
    assert_int_equal(s->options.auto_offset_reset, RESET_LATEST);
    reset();
}

TEST(a_sinks_topics_are_given_in_one_way_and_are_not_its_dead_letters) {
    assert_error("pipeline: p\nsink: {connector: http-sink, url: x, topics: [t], topics.regex: t.*}\n", "topics and topics.regex (line 2) are both given: use one");
    assert_error("pipeline: p\nsink: {connector: http-sink, url: x, topics: []}\n", "topics is empty");
    assert_error(SINK "  errors.deadletterqueue.topic.name: t\n", "the dead-letter topic t is among the topics");
    assert_error(SINK "  topics.regx: t\n", "option topics.regx is unknown");
}

TEST(topic_creation_is_checked_and_written_as_kafka_does) {
    assert_sets_up(SOURCE "topics:\n  - {match: 'a\\..*', partitions: 4, retention.ms: 7d, cleanup.policy: Compact, replication.factor: 3}\n");
    struct cn_pairs pairs = s->options.topic_creation;
    const char *want[][2] = {{"rule1.include", "a\\..*"}, {"rule1.partitions", "4"}, {"rule1.retention.ms", "604800000"}, {"rule1.cleanup.policy", "compact"}};
    assert_int_equal(pairs.n, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_string_equal(pairs.names[i], want[i][0]);
        assert_string_equal(pairs.values[i], want[i][1]);
    }
    assert_says("warning: option topic.creation.rule1.replication.factor has no effect here: one node keeps one copy");
    assert_error(SOURCE "topics: [{match: 'a(', partitions: 4}]\n", "t.yaml:4:18: error: option topic.creation.rule1.include: 'a(' is not a regular expression");
    assert_error(SOURCE "topics: [{match: a, partitons: 4}]\n", "there is no topic setting partitons\n    hint: did you mean partitions?");
    assert_error(SOURCE "topics: [{match: a, retention.mss: 4}]\n", "hint: did you mean retention.ms?");
    assert_error(SOURCE "topics: [{match: a, partitions: 0}]\n", "'0' is not a number of partitions");
    assert_error(SOURCE "topics: [{match: a, cleanup.policy: shred}]\n", "'shred' is not one of delete, compact");
    assert_error(SOURCE "topics: [{match: a, compression.gzip.level: 0}]\n", "compression.gzip.level: '0' is not one of -1, 1, 2");
    assert_error(SOURCE "topics: [{match: a, compression.zstd.level: 23}]\n", "compression.zstd.level: 23 is out of range: -131072 to 22");
    assert_error(SOURCE "  topic.creation.x.partitions: 2\n", "topic.creation.groups has no group x");
    assert_error(SOURCE "  topic.creation.groups: x\n", "topic.creation.x.include is missing");
    assert_sets_up(SOURCE "  topic.creation.default.partitions: -1\n");
    reset();
}

TEST(connector_json_learns_its_kind_from_the_plugin) {
    findings_done(&f);
    assert_int_equal(pipeline_parse("c.json", STR("{\"name\":\"a\",\"connector.class\":\"webhook\",\"topics\":\"t\",\"url\":\"x\"}"), true, &p, &f), 0);
    assert_int_equal(setup_at(0), 0);
    assert_false(s->is_source);
    reset();
    // No topics, so it was guessed to be a source; it is a sink whose topics are missing.
    assert_int_equal(pipeline_parse("c.json", STR("{\"name\":\"a\",\"connector.class\":\"webhook\",\"url\":\"x\"}"), true, &p, &f), 0);
    assert_int_equal(setup_at(0), -1);
    assert_says("sink a needs topics or topics.regex");
    reset();
}

TEST(after_errors_a_setup_still_redacts) {
    assert_int_equal(setup(SINK "  auth.token: hunter2\n  ulr: x\n"), -1);
    struct buf out = {0};
    struct json_writer w = json_to(&out);
    options_json(&p->connectors[0].props, s->scopes, s->scope_count, &w);
    assert_has(buf_cstr(&out), "\"auth.token\":\"[hidden]\"");
    assert_has(buf_cstr(&out), "\"url\":\"http://x\"");
    assert_null(strstr(buf_cstr(&out), "hunter2"));
    buf_done(&out);
    reset();
}

// ── check ──

static int seen;
static void count_right(void *arg, const struct connector_config *c, const struct connector_setup *setup_of, struct findings *to) {
    seen++;
    if (!strcmp(c->name, "b-source")) findings_error(to, c->at, NULL, "the plugin objects");
}

TEST(check_names_every_error_of_every_file_in_order) {
    const char *dir = tmpdir_new();
    tmpdir_file(dir, "b.yaml", "pipeline: b\nsource: {connector: postgres-cdc}\nsink: {connector: http-sink, ulr: x}\n");
    tmpdir_file(dir, "a.yaml", "pipeline: a\nsource: {connector: postgres-cdc, database.hostname: \"${env:NOT_THERE}\"}\n");
    tmpdir_file(dir, "c.yaml", "pipeline: [\n");
    const char *again = tmpdir_file(tmpdir_new(), "again.yaml", "pipeline: b\nsource: {connector: postgres-cdc}\n");
    const char *files[] = {dir, again, "/nonexistent.yaml"};
    struct check_input in = {.files = files, .n = 3, .lookup = &lookup};
    seen = 0;
    check_files(&in, &f, count_right, NULL);
    assert_int_equal(seen, 3); // a-source, b-source twice
    assert_int_equal(f.errors, 7);
    assert_says("b.yaml:2:1: error: the plugin objects\n");
    assert_says("b.yaml:3:30: error: option ulr is unknown");
    assert_says("b.yaml:3:1: error: option url is required by sink http-sink");
    assert_says("again.yaml:2:1: error: connector b-source is also defined in ");
    assert_says("/nonexistent.yaml: error: can not be read");
    assert_says("c.yaml:");
    in.secrets = &no_places; // now references must resolve too
    findings_done(&f);
    check_files(&in, &f, NULL, NULL);
    assert_says("a.yaml:2:54: error: option database.hostname: ${env:NOT_THERE}: environment variable NOT_THERE is not set");
    reset();
}
