// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>

#include "position.h"

#include "test.h" // last: cmocka makes a macro of `fail`

TEST(a_position_goes_there_and_back) {
    struct position p, q;
    const char *why = "";
    char partition[64];
    position_init(&p);
    position_init(&q);
    p.lsn = 0x1234567890;
    p.last_commit = 0x1234567800;
    p.txid = 77;
    p.ts_us = 1700000000000000;
    p.timeline = 3;
    p.snapshot = 1;
    strcpy(p.sysid, "7123456789012345678");
    strcpy(p.slot, "connectd_shop");
    assert_int_equal(position_mark(&p, "public.a", 100), 0);
    assert_int_equal(position_mark(&p, "we \"ird\\.t\n", 200), 0);
    char *json = position_offset(&p);
    assert_non_null(json);
    assert_string_equal(position_partition("shop", partition, sizeof partition), "{\"server\":\"shop\"}");
    struct cn_stored_position stored[] = {{"{\"server\":\"other\"}", "{\"lsn\":1}"}, {partition, json}};
    assert_int_equal(position_read(&q, "shop", stored, 2, &why), 1);
    assert_true(q.lsn == p.lsn && q.last_commit == p.last_commit && q.txid == 77 && q.ts_us == p.ts_us && q.timeline == 3 && q.snapshot == 1);
    assert_string_equal(q.sysid, p.sysid);
    assert_string_equal(q.slot, p.slot);
    assert_int_equal(q.mark_count, 2);
    assert_int_equal(position_marked(&q, "public.a"), 100);
    assert_int_equal(position_marked(&q, "we \"ird\\.t\n"), 200);
    assert_int_equal(position_marked(&q, "public.b"), 0);
    uint64_t lsn;
    assert_int_equal(position_offset_lsn(json, &lsn), 0);
    assert_int_equal(lsn, p.lsn);
    free(json);
    position_done(&p);
    position_done(&q);
}

TEST(a_position_of_another_prefix_is_none) {
    struct position p;
    const char *why = "";
    struct cn_stored_position stored = {"{\"server\":\"other\"}", "{\"lsn\":1}"};
    position_init(&p);
    assert_int_equal(position_read(&p, "shop", &stored, 1, &why), 0);
    assert_int_equal(position_read(&p, "shop", NULL, 0, &why), 0);
    position_done(&p);
}

TEST(a_damaged_position_is_refused) {
    static const char *const bad[] = {"{}", "{\"lsn\":\"x\"}", "{\"lsn\":0}", "[1]", "", "{\"lsn\":1,\"snapshot_tables\":{\"a\"}}",
                                      "{\"lsn\":1,\"snapshot_tables\":{\"a\":}}", "{\"lsn\":1,\"snapshot_tables\":[1]}", "{\"lsn\":1,\"snapshot_tables\":{\"a\":1"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct position p;
        const char *why = NULL;
        struct cn_stored_position stored = {"{\"server\":\"shop\"}", bad[i]};
        position_init(&p);
        assert_int_equal(position_read(&p, "shop", &stored, 1, &why), -1);
        assert_non_null(why);
        position_done(&p);
    }
}
