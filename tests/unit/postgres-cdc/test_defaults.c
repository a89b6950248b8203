// SPDX-License-Identifier: Apache-2.0
#include "test.h"

#include "defaults.h"

static void default_is(const char *expression, const char *type, int is_enum, const char *want) {
    char out[256];
    int64_t n = default_text(expression, type, is_enum, out, sizeof out);
    if (!want) assert_int_equal(n, -1);
    else {
        assert_int_equal(n, strlen(want));
        assert_string_equal(out, want);
    }
}

TEST(literals_are_taken_with_and_without_a_cast) {
    default_is("7", "int4", 0, "7");
    default_is("'-1'::integer", "int4", 0, "-1");
    default_is("'abc'::text", "text", 0, "abc");
    default_is("'it''s'::character varying", "varchar", 0, "it's");
    default_is("''::text", "text", 0, "");
    default_is("true", "bool", 0, "t");
    default_is("false", "bool", 0, "f");
    default_is("'{\"d\": 1}'::jsonb", "jsonb", 0, "{\"d\": 1}");
    default_is("'2020-01-01'::date", "date", 0, "2020-01-01");
    default_is("'2020-01-01'::timestamp without time zone", "timestamp", 0, "2020-01-01 00:00:00");
    default_is("B'101'::\"bit\"", "bit", 0, "101");
    default_is("0.5", "numeric", 0, "0.5");
}

TEST(generated_values_give_the_types_placeholder) {
    default_is("nextval('t_id_seq'::regclass)", "int4", 0, "0");
    default_is("now()", "timestamptz", 0, "1970-01-01 00:00:00+00");
    default_is("CURRENT_TIMESTAMP", "timestamp", 0, "1970-01-01 00:00:00");
    default_is("CURRENT_DATE", "date", 0, "1970-01-01");
    default_is("gen_random_uuid()", "uuid", 0, "00000000-0000-0000-0000-000000000000");
    default_is("(now() AT TIME ZONE 'utc'::text)", "timestamp", 0, "1970-01-01 00:00:00");
    default_is("public.my_default()", "text", 0, "");
}

TEST(what_is_no_constant_has_no_default) {
    default_is("NULL::character varying", "varchar", 0, NULL);
    default_is("'x'::bytea", "bytea", 0, NULL);
    default_is("ARRAY[1, 2]", "_int4", 0, NULL);
    default_is("'open", "text", 0, NULL);
    default_is("'5'::positive", "positive", 0, NULL);
}

TEST(enums_name_their_type) {
    default_is("'ok'::mood", "mood", 1, "ok");
    default_is("'ok'::other.mood", "mood", 1, "ok");
    default_is("'ok'::\"Mood\"", "Mood", 1, "ok");
    default_is("'ok'::text", "mood", 1, NULL);
    default_is("pick()", "mood", 1, NULL);
}

TEST(a_default_longer_than_the_room_is_left_out) {
    char out[4];
    assert_int_equal(default_text("'abcd'::text", "text", 0, out, sizeof out), -1);
    assert_int_equal(default_text("'abc'::text", "text", 0, out, sizeof out), 3);
}
