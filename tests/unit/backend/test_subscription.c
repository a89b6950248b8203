// SPDX-License-Identifier: Apache-2.0
#include "test.h"

#include "backend/subscription.h"

TEST(names_and_patterns_match_whole_topics) {
    (void)state;
    struct subscription s;
    struct err err;
    const char *names[] = {"a", "b.c"};
    assert_ok(subscription_init(&s, &(struct consumer_options){.topics = names, .topic_count = 2}, &err), err);
    assert_true(subscription_has_topic(&s, "b.c"));
    assert_false(subscription_has_topic(&s, "b"));
    subscription_done(&s);
    assert_ok(subscription_init(&s, &(struct consumer_options){.regex = "a|b\\..*"}, &err), err);
    assert_true(subscription_has_topic(&s, "a"));
    assert_true(subscription_has_topic(&s, "b.c"));
    assert_false(subscription_has_topic(&s, "ab"));
    assert_false(subscription_has_topic(&s, "xb.c"));
    subscription_done(&s);
}

TEST(a_pattern_for_everything_leaves_internal_topics_and_the_exception_out) {
    (void)state;
    struct subscription s;
    struct err err;
    assert_ok(subscription_init(&s, &(struct consumer_options){.regex = ".*", .except = "t.dlq"}, &err), err);
    assert_true(subscription_has_topic(&s, "t"));
    assert_false(subscription_has_topic(&s, "t.dlq"));
    assert_false(subscription_has_topic(&s, "__consumer_offsets"));
    assert_false(subscription_has_topic(&s, "connect-offsets"));
    assert_false(subscription_has_topic(&s, "connect-status"));
    subscription_done(&s);
    assert_ok(subscription_init(&s, &(struct consumer_options){.regex = ".*", .internal = true}, &err), err);
    assert_true(subscription_has_topic(&s, "__consumer_offsets"));
    assert_true(subscription_has_topic(&s, "connect-offsets"));
    subscription_done(&s);
}

TEST(every_partition_belongs_to_exactly_one_member) {
    (void)state;
    struct err err;
    const char *topics[] = {"a", "b", "a.much.longer.name", ""};
    for (uint32_t members = 1; members <= 7; members++)
        for (size_t t = 0; t < 4; t++)
            for (int32_t p = 0; p < 50; p++) {
                int owners = 0;
                for (uint32_t m = 0; m < members; m++) {
                    struct subscription s;
                    assert_ok(subscription_init(&s, &(struct consumer_options){.regex = ".*", .member = m, .members = members}, &err), err);
                    owners += subscription_has_partition(&s, topics[t], p);
                    subscription_done(&s);
                }
                assert_int_equal(owners, 1);
            }
}

TEST(keys_go_where_java_sends_them) {
    (void)state;
    assert_int_equal(partition_for(STR("21"), 1000, 5), (-973932308 & 0x7fffffff) % 1000);
    assert_int_equal(partition_for(STR("foobar"), 1000, 5), (-790332482 & 0x7fffffff) % 1000);
    assert_int_equal(partition_for((struct str){0}, 4, 5), 1); // no key: the sticky one
}
