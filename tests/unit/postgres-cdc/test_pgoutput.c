// SPDX-License-Identifier: Apache-2.0
#include "test.h"

#include <stdlib.h>

#include "pgoutput.h"
#include "wire_build.h"

static struct pgoutput decoded(const struct wb *w, int streamed) {
    struct pgoutput m;
    const char *why = "";
    if (pgoutput_decode(w->p, w->n, streamed, &m, &why) != 0) fail_msg("%s", why);
    return m;
}

TEST(begin_and_commit_carry_lsns_times_and_the_transaction) {
    struct wb w = wb_begin(0x1234567800000010, 5000000, 77);
    struct pgoutput m = decoded(&w, 0);
    assert_int_equal(m.kind, 'B');
    assert_int_equal(m.lsn, 0x1234567800000010);
    assert_int_equal(m.time, PGOUTPUT_EPOCH_US + 5000000);
    assert_int_equal(m.xid, 77);
    w = wb_commit(100, 200, 7);
    m = decoded(&w, 0);
    assert_int_equal(m.lsn, 100);
    assert_int_equal(m.end_lsn, 200);
}

TEST(a_relation_lists_its_columns) {
    struct wb w = wb_relation(0, 42, "public", "orders", 'd', "id:23:1,note:25:0,amount:1700:0");
    struct pgoutput m = decoded(&w, 0);
    struct relation_column c;
    assert_int_equal(m.relation, 42);
    assert_true(text_is(m.schema, "public") && text_is(m.name, "orders"));
    assert_int_equal(m.identity, 'd');
    assert_int_equal(m.count, 3);
    assert_int_equal(pgoutput_relation_column(&m, &c), 0);
    assert_true(c.key && text_is(c.name, "id") && c.type == 23 && c.typmod == -1);
    assert_int_equal(pgoutput_relation_column(&m, &c), 0);
    assert_true(!c.key && text_is(c.name, "note"));
    assert_int_equal(pgoutput_relation_column(&m, &c), 0);
    assert_int_equal(pgoutput_relation_column(&m, &c), -1);
}

static void tuple_is(struct tuple t, const char *want) {
    char out[256] = "";
    for (uint32_t i = 0; i < t.columns; i++) {
        struct text v;
        uint8_t kind = pgoutput_column(&t, &v);
        if (i) strcat(out, "|");
        if (kind == COLUMN_TEXT) strncat(out, v.p, v.n);
        else strcat(out, kind == COLUMN_NULL ? "N" : "U");
    }
    assert_string_equal(out, want);
}

TEST(changes_carry_their_tuples) {
    struct wb w = wb_change('I', 0, 42, 0, NULL, "1|abc|N");
    struct pgoutput m = decoded(&w, 0);
    assert_int_equal(m.relation, 42);
    assert_null(m.old.w.p);
    tuple_is(m.fresh, "1|abc|N");
    w = wb_change('U', 0, 42, 0, NULL, "1|U|x");
    m = decoded(&w, 0);
    tuple_is(m.fresh, "1|U|x");
    assert_null(m.old.w.p);
    w = wb_change('U', 0, 42, 'K', "1|N|N", "2|b|c");
    m = decoded(&w, 0);
    assert_int_equal(m.identity, 'K');
    tuple_is(m.old, "1|N|N");
    tuple_is(m.fresh, "2|b|c");
    w = wb_change('D', 0, 42, 'O', "1|b|c", NULL);
    m = decoded(&w, 0);
    tuple_is(m.old, "1|b|c");
    assert_null(m.fresh.w.p);
}

TEST(streamed_changes_carry_their_transaction) {
    struct wb w = wb_change('I', 900, 42, 0, NULL, "1");
    struct pgoutput m = decoded(&w, 1);
    assert_int_equal(m.xid, 900);
    tuple_is(m.fresh, "1");
    w = wb_stream_start(900, 1);
    assert_int_equal(decoded(&w, 0).xid, 900);
    w = wb_stream_commit(900, 10, 20, 0);
    m = decoded(&w, 0);
    assert_true(m.xid == 900 && m.lsn == 10 && m.end_lsn == 20);
    w = wb_stream_abort(900, 901);
    m = decoded(&w, 0);
    assert_true(m.xid == 900 && m.subxid == 901);
}

TEST(truncates_messages_and_origins_are_read) {
    struct wb w = wb_truncate(0, 3, (const uint32_t[]){5, 6}, 2);
    struct pgoutput m = decoded(&w, 0);
    assert_int_equal(m.flags, 3);
    assert_int_equal(pgoutput_truncated(&m), 5);
    assert_int_equal(pgoutput_truncated(&m), 6);
    assert_int_equal(pgoutput_truncated(&m), 0);
    w = wb_message(0, 1, 77, "app", "hello");
    m = decoded(&w, 0);
    assert_true(m.flags == 1 && m.lsn == 77 && text_is(m.name, "app") && text_is(m.content, "hello"));
    w = wb_origin(99, "there");
    m = decoded(&w, 0);
    assert_true(m.lsn == 99 && text_is(m.name, "there"));
}

TEST(every_message_cut_anywhere_is_refused) {
    const struct wb all[] = {wb_begin(1, 2, 3), wb_commit(1, 2, 3), wb_relation(0, 42, "s", "t", 'd', "a:23:1,b:25:0"),
                             wb_change('I', 0, 42, 0, NULL, "1|abc|N|U"), wb_change('U', 0, 42, 'O', "1|x", "2|y"),
                             wb_change('D', 0, 42, 'K', "1|N", NULL), wb_truncate(0, 0, (const uint32_t[]){5, 6}, 2),
                             wb_message(0, 0, 7, "p", "content"), wb_origin(9, "o"), wb_stream_start(1, 1), wb_stream_commit(1, 2, 3, 4),
                             wb_stream_abort(1, 2)};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        for (size_t n = 0; n < all[i].n; n++) {
            uint8_t *exact = malloc(n ? n : 1);
            struct pgoutput m;
            const char *why = NULL;
            memcpy(exact, all[i].p, n);
            assert_int_equal(pgoutput_decode(exact, n, 0, &m, &why), -1);
            assert_non_null(why);
            free(exact);
        }
}

TEST(bytes_behind_the_end_and_unknown_kinds_are_refused) {
    struct pgoutput m;
    const char *why;
    struct wb w = wb_begin(1, 2, 3);
    wb_u8(&w, 0);
    assert_int_equal(pgoutput_decode(w.p, w.n, 0, &m, &why), -1);
    assert_has(why, "behind its end");
    assert_int_equal(pgoutput_decode("Zabc", 4, 0, &m, &why), -1);
    assert_has(why, "unknown kind");
    w = wb_change('I', 0, 42, 0, NULL, "1");
    w.p[5] = 'X'; /* instead of N */
    assert_int_equal(pgoutput_decode(w.p, w.n, 0, &m, &why), -1);
}

TEST(a_count_larger_than_the_message_is_refused) {
    struct pgoutput m;
    const char *why;
    struct wb w = {.n = 0};
    wb_u8(&w, 'T');
    wb_u32(&w, 0x40000001);
    wb_u8(&w, 0);
    assert_int_equal(pgoutput_decode(w.p, w.n, 0, &m, &why), -1);
    w.n = 0;
    wb_u8(&w, 'I');
    wb_u32(&w, 1);
    wb_u8(&w, 'N');
    wb_u16(&w, 65535);
    assert_int_equal(pgoutput_decode(w.p, w.n, 0, &m, &why), -1);
}
