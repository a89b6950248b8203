// SPDX-License-Identifier: Apache-2.0
// Chains opened from a connector's configuration, over batches of several records.
#include <connectd/sdk.h> // before cmocka, whose macro `fail` its inlines would trip over

#include "base/mem.h"
#include "component_host.h"
#include "config/setup.h"
#include "converters/converter.h"
#include "plugin/plugins.h"
#include "test.h"
#include "transforms/transform.h"

// ── a source to configure transforms on, and a transform that fails ──

static int source_open(struct cn_host *h, const struct cn_stored_position *p, uint32_t n, void **ret) { return -1; }
static int source_poll(void *task, struct cn_batch *b, uint32_t ms) { return CN_POLL_IDLE; }
static void source_close(void *task) {}
static const struct cn_source_ops source_ops = {.struct_size = sizeof source_ops, .open = source_open, .poll = source_poll, .close = source_close};

static int picky_open(struct cn_host *h, void **ret) { return *ret = h, 0; }
static int picky_apply(void *self, struct cn_batch *b, uint32_t record) {
    return record == 1 ? cn_fail_recordf(self, record, "leave it out", "record %u is not liked", record) : CN_KEEP;
}
static void picky_close(void *self) {}
static const struct cn_transform_ops picky_ops = {sizeof picky_ops, 0, NULL, picky_open, picky_apply, picky_close};

static int broken_open(struct cn_host *h, void **ret) { return cn_failf(h, CN_FAIL_TRANSIENT, "try later", "the thing is away"); }
static const struct cn_transform_ops broken_ops = {sizeof broken_ops, 0, NULL, broken_open, picky_apply, picky_close};

CN_COMPONENT_PLAIN(nothing, CN_SOURCE, "nothing", NULL, "a source", source_ops);
CN_COMPONENT_PLAIN(picky, CN_TRANSFORM, "Picky", NULL, "fails at the second record", picky_ops);
CN_COMPONENT_PLAIN(broken, CN_TRANSFORM, "Broken", NULL, "does not open", broken_ops);
static const struct cn_component *const ours[] = {&nothing, &picky, &broken};
static const struct cn_plugin plugin = {sizeof plugin, CN_ABI_MAJOR, CN_ABI_MINOR, "test", "1", "a", "MIT", NULL, ours, countof(ours), 0, NULL};

struct fixture {
    struct plugins *plugins;
    struct connector_config *config;
    struct connector_setup *setup;
    struct transform_chain *chain;
    enum cn_fail_class fail_class;
    struct err err;
    struct cn_batch b;
};

// Opens the chain of a connector with these options; its rc.
static int set_up(struct fixture *f, const char *options) {
    const struct cn_plugin *const all[] = {&converters_plugin, &transforms_plugin, &plugin};
    struct findings findings = {0};
    _cleanup_free_ char *json = xasprintf("{\"connector.class\":\"nothing\"%s%s}", *options ? "," : "", options);
    *f = (struct fixture){.plugins = plugins_new()};
    batch_heap(&f->b);
    for (size_t i = 0; i < countof(all); i++) assert_ok(plugins_add_builtin(f->plugins, all[i], &f->err), f->err);
    struct component_lookup lookup = {plugins_lookup, plugins_lookup_each, f->plugins, plugins_lookup_explain};
    if (pipeline_connector_json("c", str_of(json), &f->config, &findings) == 0)
        connector_setup(&(struct setup_input){.config = f->config, .lookup = &lookup}, &f->setup, &findings);
    if (findings.errors) fail_msg("%s", findings.items[0].message);
    findings_done(&findings);
    return transform_chain_open(&(struct transform_params){.setup = f->setup, .connector = "c", .tasks = 1}, &f->chain, &f->fail_class, &f->err);
}

static void tear_down(struct fixture *f) {
    transform_chain_close(f->chain);
    connector_setup_free(f->setup);
    connector_config_free(f->config);
    plugins_free(f->plugins);
    batch_done(&f->b);
}

static uint32_t record_of(struct fixture *f, const char *topic) { return cn_record(&f->b, cn_topic(&f->b, topic, strlen(topic))); }

static void assert_topic(struct fixture *f, uint32_t i, const char *want) {
    struct cn_text t = *cn_topic_at(&f->b, cn_record_at(&f->b, i)->topic);
    assert_str(str_make(cn_bytes_at(&f->b, t.at), t.n), want);
}

static uint32_t apply(struct fixture *f, uint32_t from, struct transform_failure *failure) { return transform_chain_apply(f->chain, &f->b, from, failure); }

#define ROUTE(name, from, to) "\"transforms." name ".type\":\"RegexRouter\",\"transforms." name ".regex\":\"" from "\",\"transforms." name ".replacement\":\"" to "\""

TEST(steps_are_taken_in_the_order_of_the_list) {
    struct fixture f;
    struct transform_failure failure;
    assert_ok(set_up(&f, "\"transforms\":\"two,one\"," ROUTE("one", "b(.*)", "c$1") "," ROUTE("two", "a(.*)", "b$1")), f.err);
    assert_int_equal(transform_chain_steps(f.chain), 2);
    record_of(&f, "ax");
    assert_int_equal(apply(&f, 0, &failure), 1);
    assert_topic(&f, 0, "cx");
    tear_down(&f);
}

TEST(a_predicate_chooses_and_negate_turns_it_around) {
    struct fixture f;
    struct transform_failure failure;
    assert_ok(set_up(&f, "\"transforms\":\"drop,rename\",\"predicates\":\"noise\",\"predicates.noise.type\":\"TopicNameMatches\",\"predicates.noise.pattern\":\"noise.*\","
                         "\"transforms.drop.type\":\"Filter\",\"transforms.drop.predicate\":\"noise\"," ROUTE("rename", "(.*)", "$1-kept")
                         ",\"transforms.rename.predicate\":\"noise\",\"transforms.rename.negate\":\"true\""), f.err);
    record_of(&f, "noise.x");
    record_of(&f, "orders");
    assert_int_equal(apply(&f, 0, &failure), 2);
    assert_true(cn_record_at(&f.b, 0)->flags & CN_RECORD_DROPPED);
    assert_topic(&f, 0, "noise.x"); // what is dropped goes no further
    assert_false(cn_record_at(&f.b, 1)->flags & CN_RECORD_DROPPED);
    assert_topic(&f, 1, "orders-kept");
    tear_down(&f);
}

TEST(a_record_that_fails_is_named_and_the_caller_goes_on_behind_it) {
    struct fixture f;
    struct transform_failure failure = {0};
    assert_ok(set_up(&f, "\"transforms\":\"p,r\",\"transforms.p.type\":\"Picky\"," ROUTE("r", "(.*)", "$1!")), f.err);
    for (int i = 0; i < 3; i++) record_of(&f, "t");
    assert_int_equal(apply(&f, 0, &failure), 1);
    assert_string_equal(failure.alias, "p");
    assert_string_equal(failure.type, "Picky");
    assert_string_equal(failure.failure.text, "record 1 is not liked");
    assert_string_equal(failure.failure.hint, "leave it out");
    assert_int_equal(failure.failure.fail_class, CN_FAIL_RECORD);
    assert_int_equal(failure.failure.record, 1);
    assert_int_equal(apply(&f, 2, &failure), 3);
    assert_topic(&f, 0, "t!");
    assert_topic(&f, 1, "t");
    assert_topic(&f, 2, "t!");
    tear_down(&f);
}

TEST(records_dropped_before_are_passed_over) {
    struct fixture f;
    struct transform_failure failure;
    assert_ok(set_up(&f, "\"transforms\":\"r\"," ROUTE("r", "(.*)", "$1!")), f.err);
    cn_record_at(&f.b, record_of(&f, "t"))->flags |= CN_RECORD_DROPPED;
    assert_int_equal(apply(&f, 0, &failure), 1);
    assert_topic(&f, 0, "t");
    tear_down(&f);
}

TEST(without_transforms_nothing_happens) {
    struct fixture f;
    struct transform_failure failure;
    assert_ok(set_up(&f, ""), f.err);
    record_of(&f, "t");
    assert_int_equal(transform_chain_steps(f.chain), 0);
    assert_int_equal(apply(&f, 0, &failure), 1);
    tear_down(&f);
}

TEST(a_step_that_does_not_open_fails_the_chain_with_its_own_class_and_hint) {
    struct fixture f;
    assert_int_equal(set_up(&f, "\"transforms\":\"r,b\"," ROUTE("r", "(.*)", "$1!") ",\"transforms.b.type\":\"Broken\""), -1);
    assert_string_equal(f.err.msg, "transform b (Broken): the thing is away");
    assert_string_equal(f.err.hint, "try later");
    assert_int_equal(f.fail_class, CN_FAIL_TRANSIENT);
    tear_down(&f);
}

TEST(a_batch_without_room_fails_the_record_and_not_the_process) {
    struct fixture f;
    struct transform_failure failure;
    assert_ok(set_up(&f, "\"transforms\":\"r\"," ROUTE("r", "(.*)", "$1-and-a-rather-long-name-that-does-not-fit-into-what-is-left")), f.err);
    record_of(&f, "t");
    f.b.grow = NULL;
    cn_head(&f.b)->used = f.b.cap;
    assert_int_equal(apply(&f, 0, &failure), 0);
    assert_string_equal(failure.failure.text, "the batch has no room for the record");
    tear_down(&f);
}
