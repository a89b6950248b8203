// SPDX-License-Identifier: Apache-2.0
#include "options.h"
#include "testhost.h"

#include "test.h" // last: cmocka makes a macro of `fail`

const struct cn_plugin *connectd_plugin_v1(void);

/* Validates the base options with these added. */
static struct testhost *with(const char *a, const char *b) {
    const char *options[] = {"database.hostname=h", "database.user=u", "database.dbname=d", "topic.prefix=p", a ? a : b, a ? b : NULL, NULL};
    return testhost_new(connectd_plugin_v1(), NULL, options);
}
static void refused(const char *a, const char *b, const char *part) {
    struct testhost *t = with(a, b);
    assert_int_equal(testhost_validate(t), -1);
    assert_has(t->failure.text, part);
    testhost_free(t);
}
static void accepted(const char *a, const char *b) {
    struct testhost *t = with(a, b);
    if (testhost_validate(t) != 0) fail_msg("%s", t->failure.text);
    testhost_free(t);
}

TEST(the_table_is_whole) {
    for (uint32_t i = 0; i < POSTGRES_OPTION_COUNT; i++) {
        assert_non_null(postgres_options[i].name);
        assert_non_null(postgres_options[i].doc);
        for (uint32_t k = 0; k < i; k++) assert_string_not_equal(postgres_options[i].name, postgres_options[k].name);
    }
}

TEST(names_and_defaults_are_debeziums) {
    static const char *const same[][2] = {
        {"database.port", "5432"}, {"decimal.handling.mode", "precise"}, {"time.precision.mode", "adaptive"}, {"tombstones.on.delete", "true"},
        {"skipped.operations", "t"}, {"snapshot.mode", "initial"}, {"binary.handling.mode", "bytes"}, {"interval.handling.mode", "numeric"},
        {"hstore.handling.mode", "json"}, {"money.fraction.digits", "2"}, {"unavailable.value.placeholder", "__debezium_unavailable_value"},
        {"provide.transaction.metadata", "false"}, {"extended.headers.enabled", "true"}, {"include.unknown.datatypes", "false"},
        {"heartbeat.interval.ms", "0"}, {"database.sslmode", "prefer"}, {"topic.delimiter", "."}, {"topic.transaction", "transaction"}};
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
        uint32_t k = 0;
        while (k < POSTGRES_OPTION_COUNT && strcmp(postgres_options[k].name, same[i][0]) != 0) k++;
        assert_true(k < POSTGRES_OPTION_COUNT);
        assert_string_equal(postgres_options[k].def, same[i][1]);
    }
}

TEST(a_plain_configuration_is_accepted) {
    accepted(NULL, NULL);
    accepted("plugin.name=pgoutput", "slot.name=my_slot_1");
    accepted("table.include.list=public.(a|b), other\\..*", "column.exclude.list=public.a.x");
    accepted("message.key.columns=public.a:id,x;(.*).b:y", "skipped.operations=none");
    accepted("column.truncate.to.4.chars=public.a.x", "column.mask.with.3.chars=public.a.y,public.a.z");
    accepted("column.mask.hash.v2.SHA-256.with.salt.abc=public.a.x", NULL);
    accepted("publication.autocreate.mode=all_tables", NULL);
}

TEST(wrong_values_name_option_and_value) {
    refused("plugin.name=decoderbufs", NULL, "plugin.name: decoderbufs");
    refused("compatibility.mode=lossless", NULL, "compatibility.mode: lossless is not supported yet");
    refused("slot.drop.on.stop=true", NULL, "slot.drop.on.stop: true");
    refused("slot.name=My-Slot", NULL, "slot.name: \"My-Slot\"");
    refused("publication.name=a\"b", NULL, "publication.name");
    refused("table.include.list=public.(", NULL, "table.include.list: regular expression \"public.(\"");
    refused("table.include.list=a", "table.exclude.list=b", "table.include.list and table.exclude.list are both set");
    refused("message.key.columns=public.a", NULL, "message.key.columns: \"public.a\" names no column");
    refused("skipped.operations=x", NULL, "skipped.operations: x is no operation");
    refused("column.truncate.to.many.chars=a.b.c", NULL, "column.truncate.to.many.chars");
    refused("column.mask.hash.NOSUCH.with.salt.x=a.b.c", NULL, "column.mask.hash.");
    refused("snapshot.mode=custom", NULL, "snapshot.mode");
    refused("signal.data.collection=public.s", NULL, "signal.data.collection");
}

TEST(slot_names_follow_from_the_connectors) {
    char out[64];
    options_slot_name("shop-db", out);
    assert_string_equal(out, "connectd_shop_db");
    options_slot_name("Größe.1", out);
    assert_string_equal(out, "connectd_gr____e_1");
    options_slot_name("a-very-long-name-of-a-connector-that-goes-on-and-on-beyond-what-a-slot-may-have", out);
    assert_int_equal(strlen(out), 63);
}
