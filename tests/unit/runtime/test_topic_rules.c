// SPDX-License-Identifier: Apache-2.0
#include "test.h"

#include "base/mem.h"
#include "runtime/topic_rules.h"

static const char *setting(const struct topic_spec *s, const char *name) {
    for (size_t i = 0; i < s->n; i++)
        if (strcmp(s->settings[i].name, name) == 0) return s->settings[i].value;
    return "";
}

static struct topic_rules *make(const char *const *groups, uint32_t n, const char *const *names, const char *const *values, uint32_t pairs) {
    struct connector_options o = {.topic_groups = {n, groups}, .topic_creation = {pairs, names, values}};
    struct topic_rules *r;
    struct err err;
    assert_ok(topic_rules_new(&o, &r, &err), err);
    return r;
}

TEST(without_rules_a_topic_takes_records_of_64_mebibytes) {
    (void)state;
    struct topic_spec s;
    struct topic_rules *r = make(NULL, 0, NULL, NULL, 0);
    topic_rules_spec(r, "any", &s);
    assert_true(s.partitions <= 0);
    assert_string_equal(setting(&s, "max.message.bytes"), "67108864");
    topic_rules_free(r);
}

TEST(the_first_group_that_includes_and_does_not_exclude_wins) {
    (void)state;
    const char *groups[] = {"hot", "all"};
    const char *names[] = {"hot.include", "hot.exclude", "hot.partitions", "all.include", "all.partitions", "all.cleanup.policy", "default.partitions"};
    const char *values[] = {"shop\\..*, crm\\..*", "shop\\.tmp", "8", "shop\\..*", "2", "compact", "3"};
    struct topic_spec s;
    struct topic_rules *r = make(groups, 2, names, values, 7);
    topic_rules_spec(r, "shop.orders", &s);
    assert_int_equal(s.partitions, 8);
    topic_rules_spec(r, "crm.people", &s);
    assert_int_equal(s.partitions, 8);
    topic_rules_spec(r, "shop.tmp", &s); // excluded from the first
    assert_int_equal(s.partitions, 2);
    assert_string_equal(setting(&s, "cleanup.policy"), "compact");
    topic_rules_spec(r, "myshop.orders", &s); // a pattern matches whole names
    assert_int_equal(s.partitions, 3);
    topic_rules_free(r);
}

TEST(the_commas_of_a_pattern_do_not_end_it) {
    (void)state;
    const char *groups[] = {"g"}, *names[] = {"g.include", "g.partitions"}, *values[] = {"a{1,2}b, c[x,y], (d,e)f\\,g,h", "7"};
    const char *in[] = {"ab", "aab", "cx", "c,", "cy", "d,ef,g", "h"}, *out[] = {"aaab", "a{1", "2}b", "cz", "d", "ef", "g"};
    struct topic_spec s;
    struct topic_rules *r = make(groups, 1, names, values, 2);
    for (size_t i = 0; i < countof(in); i++) {
        topic_rules_spec(r, in[i], &s);
        assert_int_equal(s.partitions, 7);
        topic_rules_spec(r, out[i], &s);
        assert_true(s.partitions <= 0);
    }
    topic_rules_free(r);
}

TEST(a_group_without_partitions_takes_the_defaults) {
    (void)state;
    const char *groups[] = {"g"}, *names[] = {"g.include", "g.max.message.bytes", "default.partitions"}, *values[] = {".*", "1000", "5"};
    struct topic_spec s;
    struct topic_rules *r = make(groups, 1, names, values, 3);
    topic_rules_spec(r, "x", &s);
    assert_int_equal(s.partitions, 5);
    assert_string_equal(setting(&s, "max.message.bytes"), "1000");
    topic_rules_free(r);
}

static void assert_refused(const char *const *groups, uint32_t n, const char *name, const char *value, const char *part) {
    struct connector_options o = {.topic_groups = {n, groups}, .topic_creation = {1, &name, &value}};
    struct topic_rules *r;
    struct err err;
    assert_fails(topic_rules_new(&o, &r, &err), err, ERR_INVALID);
    assert_has(err.msg, part);
}

TEST(wrong_rules_are_named) {
    (void)state;
    const char *groups[] = {"g"};
    assert_refused(groups, 1, "g.partitions", "4", "group g has no topic.creation.g.include");
    assert_refused(groups, 1, "g.include", "a(b", "pattern a(b");
    assert_refused(NULL, 0, "default.partitions", "0", "topic.creation.default.partitions");
    assert_refused(NULL, 0, "default.partitions", "many", "'many'");
}
