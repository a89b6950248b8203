// SPDX-License-Identifier: Apache-2.0
// Rows: markers, boundaries, marks, and going on after a crash.
#include "task_fixture.h"

#define FAKE(name) static void name##_(void); TEST(name) { fakepq_begin(); name##_(); fakepq_end(); } static void name##_(void)
#define THREE "41|public|a|r|d|t|f|3|8192\n42|public|b|r|d|t|f|3|8192\n43|public|c|r|d|t|f|3|8192"

static void three_tables(void) {
    fakepq_on("c.relpersistence = 'p'", THREE);
    fakepq_on("WHERE c.oid = 41", "public|a|d");
    fakepq_on("WHERE c.oid = 42", "public|b|d");
    fakepq_on("WHERE c.oid = 43", "public|c|d");
}

FAKE(one_row_alone_is_the_last) {
    fakepq_copy("COPY \"public\".\"orders\" (\"id\", \"note\") TO STDOUT", "1\tabc\n");
    struct testhost *t = task_with(NULL, NULL);
    opens(t);
    assert_int_equal(testhost_poll(t, 100), CN_POLL_OK);
    batch_is(t, CN_BOUNDARY_COMMIT, "r 1 - 1,abc last 16777216");
    position_has(t, "{\"lsn\":16777216,");
    assert_null(strstr(batch_position(t), "snapshot"));
    testhost_free(t);
}
FAKE(first_middle_and_last_rows_say_so) {
    three_tables();
    fakepq_copy("\"public\".\"a\"", "1\tx\n2\t\\N\n3\ty\n");
    fakepq_copy("\"public\".\"b\"", "4\tz\n");
    fakepq_copy("\"public\".\"c\"", "5\tv\n6\tw\n");
    struct testhost *t = task_with(NULL, NULL);
    opens(t);
    assert_int_equal(testhost_poll(t, 100), CN_POLL_OK);
    batch_is(t, CN_BOUNDARY_COMMIT, "r 1 - 1,x first 16777216; r 2 - 2,- true 16777216; r 3 - 3,y last_in_data_collection 16777216; "
             "r 4 - 4,z last_in_data_collection 16777216; r 5 - 5,v first_in_data_collection 16777216; r 6 - 6,w last 16777216");
    testhost_free(t);
}
FAKE(an_empty_last_table_leaves_the_marker_to_the_row_before) {
    three_tables();
    fakepq_copy("\"public\".\"b\"", "4\tz\n5\tq\n");
    struct testhost *t = task_with(NULL, NULL);
    opens(t);
    assert_int_equal(testhost_poll(t, 100), CN_POLL_OK);
    batch_is(t, CN_BOUNDARY_COMMIT, "r 4 - 4,z first_in_data_collection 16777216; r 5 - 5,q last 16777216");
    testhost_free(t);
}
FAKE(no_rows_at_all_still_give_a_position) {
    struct testhost *t = task_with(NULL, NULL);
    opens(t);
    assert_int_equal(testhost_poll(t, 100), CN_POLL_OK);
    batch_is(t, CN_BOUNDARY_COMMIT, "");
    position_has(t, "\"lsn\":16777216");
    assert_int_equal(testhost_poll(t, 0), CN_POLL_IDLE);
    assert_has(fakepq_statement("START_REPLICATION"), "LOGICAL 0/1000000");
    testhost_free(t);
}
FAKE(each_table_is_read_in_a_transaction_of_its_own) {
    three_tables();
    struct testhost *t = task_with(NULL, NULL);
    opens(t);
    testhost_poll(t, 100);
    assert_int_equal(fakepq_asked("SET TRANSACTION SNAPSHOT '00000003-00000001-1'"), 3);
    assert_int_equal(fakepq_asked("COMMIT"), 3);
    testhost_free(t);
}
FAKE(partitioned_tables_and_generated_columns_are_selected) {
    fakepq_on("c.relpersistence = 'p'", "42|public|orders|p|d|t|t|3|8192");
    struct testhost *t = task_with(NULL, NULL);
    opens(t);
    testhost_poll(t, 100);
    assert_has(fakepq_statement("COPY"), "COPY (SELECT \"id\", \"note\" FROM \"public\".\"orders\") TO STDOUT");
    testhost_free(t);
    fakepq_on("c.relpersistence = 'p'", "42|public|orders|r|d|t|f|3|8192");
    fakepq_on("FROM pg_catalog.pg_attribute a", "id|23|-1|t||\\N\nnote|25|-1|f|s|lower(x)");
    t = task_with(NULL, NULL);
    opens(t);
    testhost_poll(t, 100);
    assert_has(fakepq_statement("COPY"), "COPY (SELECT");
    testhost_free(t);
}
FAKE(no_right_to_read_names_the_grant) {
    fakepq_fail("COPY", "42501", "permission denied for table orders");
    struct testhost *t = task_with(NULL, NULL);
    opens(t);
    assert_int_equal(testhost_poll(t, 100), CN_POLL_FAILED);
    assert_int_equal(t->failure.fail_class, CN_FAIL_CONFIG);
    assert_has(t->failure.text, "snapshot of table public.orders: permission denied");
    assert_has(t->failure.hint, "GRANT SELECT ON \"public\".\"orders\" TO \"connectd\"");
    testhost_free(t);
}
FAKE(a_value_that_cannot_be_shown_names_table_and_column) {
    fakepq_on("FROM pg_catalog.pg_attribute a", "id|23|-1|t||\\N\nprice|1700|655366|f||\\N");
    fakepq_copy("COPY", "1\tNaN\n");
    struct testhost *t = task_with(NULL, NULL);
    opens(t);
    assert_int_equal(testhost_poll(t, 100), CN_POLL_FAILED);
    assert_int_equal(t->failure.fail_class, CN_FAIL_CONFIG);
    assert_has(t->failure.text, "table public.orders, column price");
    assert_has(t->failure.hint, "decimal.handling.mode");
    testhost_free(t);
}

/* Rows of 1 KiB, so that tables end past the size at which they are committed. */
static char *many_rows(int first, int n) {
    char *out = malloc((size_t)n * 1100), *p = out;
    for (int i = 0; i < n; i++) p += sprintf(p, "%d\t%01000d\n", first + i, i);
    return out;
}

FAKE(tables_are_committed_when_all_their_rows_are_out_and_a_restart_reads_only_the_others) {
    three_tables();
    char *a = many_rows(1, 1500), *b = many_rows(2000, 1500);
    fakepq_copy("\"public\".\"a\"", a);
    fakepq_copy("\"public\".\"b\"", b);
    fakepq_copy("\"public\".\"c\"", "9000\tx\n");
    struct testhost *t = task_with(NULL, NULL);
    opens(t);
    int rows = 0;
    for (;;) { /* OPEN pieces, then the boundary behind table a */
        assert_int_equal(testhost_poll(t, 100), CN_POLL_OK);
        rows += (int)cn_count(&t->batch);
        if (cn_head(&t->batch)->boundary == CN_BOUNDARY_COMMIT) break;
        assert_string_equal(batch_position(t), "");
    }
    assert_int_equal(rows, 1500); /* nothing of table b is in it */
    position_has(t, "\"snapshot\":true,\"snapshot_tables\":{\"public.a\":16777216}");
    testhost_commit(t);
    testhost_poll(t, 100); /* some of table b, then a crash */
    testhost_close(t);
    /* Again: the slot is there, a temporary one exports a later snapshot. */
    fakepq_on("FROM pg_catalog.pg_replication_slots", "logical|pgoutput|shop|\\N|0/1000000|0/F00000|reserved|f");
    fakepq_on("CREATE_REPLICATION_SLOT", "slot|0/1500000|00000004-00000001-1|pgoutput");
    fakepq_copy("\"public\".\"b\"", "2000\tnew\n");
    int before = fakepq_asked("COPY \"public\".\"a\"");
    opens(t);
    assert_int_equal(testhost_poll(t, 100), CN_POLL_OK);
    assert_int_equal(fakepq_asked("COPY \"public\".\"a\""), before);
    batch_is(t, CN_BOUNDARY_COMMIT, "r 2000 - 2000,new last_in_data_collection 22020096; r 9000 - 9000,x last 22020096");
    position_has(t, "\"lsn\":16777216,");
    position_has(t, "{\"public.a\":16777216,\"public.b\":22020096,\"public.c\":22020096}");
    testhost_commit(t);
    /* The stream begins at the slot: changes of b before its rows were read are in them; those of a are not. */
    fakepq_stream(wb_xlog(0x1100000, wb_begin(0x1100050, 0, 801)));
    fakepq_stream(wb_xlog(0x1100000, wb_relation(0, 41, "public", "a", 'd', "id:23:1,note:25:0")));
    fakepq_stream(wb_xlog(0x1100000, wb_relation(0, 42, "public", "b", 'd', "id:23:1,note:25:0")));
    fakepq_stream(wb_xlog(0x1100000, wb_change('I', 0, 41, 0, NULL, "7001|a")));
    fakepq_stream(wb_xlog(0x1100000, wb_change('I', 0, 42, 0, NULL, "7002|b")));
    fakepq_stream(wb_xlog(0x1100100, wb_commit(0x1100050, 0x1100100, 0)));
    assert_int_equal(testhost_poll(t, 50), CN_POLL_OK);
    batch_is(t, CN_BOUNDARY_COMMIT, "c 7001 - 7001,a false 17825792");
    position_has(t, "snapshot_tables");
    /* Past the highest mark everything counts, and the marks go. */
    fakepq_stream(wb_xlog(0x1600000, wb_begin(0x1600050, 0, 802)));
    fakepq_stream(wb_xlog(0x1600000, wb_change('I', 0, 42, 0, NULL, "7003|b")));
    fakepq_stream(wb_xlog(0x1600100, wb_commit(0x1600050, 0x1600100, 0)));
    assert_int_equal(testhost_poll(t, 50), CN_POLL_OK);
    batch_is(t, CN_BOUNDARY_COMMIT, "c 7003 - 7003,b false 23068672");
    assert_null(strstr(batch_position(t), "snapshot_tables"));
    testhost_free(t);
    free(a);
    free(b);
}
FAKE(initial_only_ends_and_leaves_no_slot) {
    fakepq_copy("COPY", "1\ta\n");
    struct testhost *t = task_with("snapshot.mode=initial_only", NULL);
    opens(t);
    assert_has(fakepq_statement("CREATE_REPLICATION_SLOT"), "TEMPORARY");
    assert_int_equal(testhost_poll(t, 100), CN_POLL_OK);
    batch_is(t, CN_BOUNDARY_COMMIT, "r 1 - 1,a last 16777216");
    testhost_commit(t);
    assert_int_equal(testhost_poll(t, 100), CN_POLL_DONE);
    testhost_close(t);
    opens(t);
    assert_int_equal(testhost_poll(t, 100), CN_POLL_DONE);
    testhost_free(t);
}
FAKE(an_initial_only_snapshot_goes_on_after_a_crash) {
    three_tables();
    struct testhost *t = task_with("snapshot.mode=initial_only", NULL);
    testhost_position(t, "{\"server\":\"p\"}", "{\"lsn\":100,\"sysid\":\"7000\",\"snapshot\":true,\"snapshot_tables\":{\"public.a\":100}}");
    opens(t);
    assert_int_equal(testhost_poll(t, 100), CN_POLL_OK);
    assert_int_equal(fakepq_asked("COPY \"public\".\"a\""), 0);
    assert_int_equal(fakepq_asked("COPY \"public\".\"b\""), 1);
    assert_int_equal(testhost_poll(t, 100), CN_POLL_DONE);
    testhost_free(t);
}
FAKE(no_data_streams_at_once_and_stores_where_it_began) {
    struct testhost *t = task_with("snapshot.mode=no_data", NULL);
    opens(t);
    assert_int_equal(testhost_poll(t, 100), CN_POLL_OK);
    batch_is(t, CN_BOUNDARY_COMMIT, "");
    position_has(t, "\"lsn\":16777216");
    assert_int_equal(fakepq_asked("COPY"), 0);
    testhost_free(t);
}
