// SPDX-License-Identifier: Apache-2.0
#include "slot.h"

#include "test.h" // last: cmocka makes a macro of `fail`

static const struct slot_state good = {.exists = 1, .type = "logical", .plugin = "pgoutput", .database = "shop", .wal_status = "reserved", .confirmed = 100};
static const struct server_state server = {.sysid = "7", .timeline = 1, .wal_end = 1000, .version = 150000};

/* The class, 0 when it may go on. */
static int check(struct slot_state s, uint64_t lsn, const char *sysid, const char *text) {
    struct pgerr e = {0};
    struct position p;
    position_init(&p);
    p.lsn = lsn;
    strcpy(p.sysid, sysid);
    struct slot_question q = {"shop-db", "connectd_shop_db", "shop", &s, &server, &p};
    int r = slot_check(&q, &e);
    position_done(&p);
    if (r == 0) return 0;
    assert_has(e.text, text);
    if (e.fail_class == CN_FAIL_LOST_DATA) assert_has(e.hint, "connectd offsets reset shop-db");
    return e.fail_class;
}

TEST(a_slot_at_or_behind_the_position_is_resumed) {
    assert_int_equal(check(good, 100, "7", ""), 0);
    assert_int_equal(check(good, 500, "7", ""), 0);
    assert_int_equal(check(good, 0, "", ""), 0);
    struct slot_state none = {0};
    assert_int_equal(check(none, 0, "", ""), 0);
}

TEST(going_on_is_refused_where_it_would_skip_changes) {
    struct slot_state s = good;
    assert_int_equal(check(s, 99, "7", "made anew or read by somebody else"), CN_FAIL_LOST_DATA);
    assert_int_equal(check(s, 1001, "7", "ahead of the server's WAL at 0/3E8"), CN_FAIL_LOST_DATA);
    assert_int_equal(check(s, 500, "8", "is of server 8, but this is server 7"), CN_FAIL_LOST_DATA);
    strcpy(s.wal_status, "lost");
    assert_int_equal(check(s, 500, "7", "invalidated"), CN_FAIL_LOST_DATA);
    struct slot_state none = {0};
    assert_int_equal(check(none, 500, "7", "is gone"), CN_FAIL_LOST_DATA);
}

TEST(a_slot_of_another_make_is_a_mistake_of_the_user) {
    struct slot_state s = good;
    strcpy(s.plugin, "wal2json");
    assert_int_equal(check(s, 0, "", "wal2json"), CN_FAIL_CONFIG);
    s = good;
    strcpy(s.type, "physical");
    s.plugin[0] = 0;
    assert_int_equal(check(s, 0, "", "physical slot with plugin (none)"), CN_FAIL_CONFIG);
    s = good;
    strcpy(s.database, "other");
    assert_int_equal(check(s, 500, "7", "belongs to database other, not shop"), CN_FAIL_CONFIG);
}

TEST(a_slot_in_use_is_waited_for) {
    struct slot_state s = good;
    s.active_pid = 4711;
    assert_int_equal(check(s, 500, "7", "in use by server process 4711"), CN_FAIL_TRANSIENT);
}

TEST(lsns_go_there_and_back) {
    uint64_t v;
    char out[24];
    assert_int_equal(lsn_parse("16/B374D848", &v), 0);
    assert_int_equal(v, 0x16B374D848);
    assert_string_equal(lsn_print(v, out), "16/B374D848");
    assert_int_equal(lsn_parse("0/0", &v), 0);
    assert_int_equal(lsn_parse("FFFFFFFF/FFFFFFFF", &v), 0);
    assert_int_equal(lsn_parse("1/100000000", &v), -1);
    assert_int_equal(lsn_parse("16", &v), -1);
    assert_int_equal(lsn_parse("/1", &v), -1);
    assert_int_equal(lsn_parse("1/", &v), -1);
    assert_int_equal(lsn_parse(NULL, &v), -1);
}
