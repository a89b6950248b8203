// SPDX-License-Identifier: Apache-2.0
// Beginning: what is refused, with which class and remedy; what is made; what is resumed.
#include "task_fixture.h"

#define SLOT "FROM pg_catalog.pg_replication_slots"
#define FAKE(name) static void name##_(void); TEST(name) { fakepq_begin(); name##_(); fakepq_end(); } static void name##_(void)

FAKE(a_server_that_is_down_is_tried_again) {
    fakepq_refuse(-1, "", "connection refused");
    open_fails(task_with(NULL, NULL), CN_FAIL_TRANSIENT, "connecting to db1:5432/shop: connection refused", NULL);
}
FAKE(a_wrong_password_is_an_auth_failure) {
    fakepq_refuse(-1, "28P01", "password authentication failed");
    open_fails(task_with(NULL, NULL), CN_FAIL_AUTH, "password authentication failed", NULL);
}
FAKE(a_role_without_replication_is_a_configuration_failure) {
    fakepq_refuse(1, "42501", "must be superuser or replication role to start walsender");
    open_fails(task_with(NULL, NULL), CN_FAIL_CONFIG, "replication role", NULL);
}
FAKE(a_database_that_is_not_there_is_a_configuration_failure) {
    fakepq_refuse(-1, "3D000", "database \"shop\" does not exist");
    open_fails(task_with(NULL, NULL), CN_FAIL_CONFIG, "does not exist", NULL);
}
FAKE(a_server_starting_up_is_tried_again) {
    fakepq_refuse(-1, "57P03", "the database system is starting up");
    open_fails(task_with(NULL, NULL), CN_FAIL_TRANSIENT, "starting up", NULL);
}
FAKE(a_wrong_wal_level_names_the_command) {
    fakepq_on("SHOW wal_level", "replica");
    open_fails(task_with(NULL, NULL), CN_FAIL_CONFIG, "has wal_level replica", "ALTER SYSTEM SET wal_level = logical");
    assert_int_equal(fakepq_asked("CREATE"), 0);
}
FAKE(an_old_server_is_refused) {
    fakepq_version(90624);
    open_fails(task_with(NULL, NULL), CN_FAIL_CONFIG, "needs 10 or later", NULL);
}
FAKE(no_right_to_make_the_publication_names_the_statement) {
    fakepq_fail("CREATE PUBLICATION", "42501", "must be owner of table orders");
    open_fails(task_with(NULL, NULL), CN_FAIL_CONFIG, "role connectd may not make publication connectd_shop_db: must be owner of table orders",
               "CREATE PUBLICATION \"connectd_shop_db\" FOR TABLE \"public\".\"orders\"");
    assert_int_equal(fakepq_asked("CREATE_REPLICATION_SLOT"), 0);
}
FAKE(no_free_slot_says_what_to_raise) {
    fakepq_fail("CREATE_REPLICATION_SLOT", "53400", "all replication slots are in use");
    open_fails(task_with(NULL, NULL), CN_FAIL_CONFIG, "creating replication slot connectd_shop_db", "max_replication_slots");
}
FAKE(a_filter_that_selects_nothing_is_refused) {
    open_fails(task_with("table.include.list=public.nosuch", NULL), CN_FAIL_CONFIG, "select no table of database shop", "schema.table");
    assert_int_equal(fakepq_asked("PUBLICATION \""), 0);
}

FAKE(the_first_start_makes_publication_then_slot) {
    struct testhost *t = task_with(NULL, NULL);
    opens(t);
    assert_string_equal(fakepq_statement("CREATE PUBLICATION"), "CREATE PUBLICATION \"connectd_shop_db\" FOR TABLE \"public\".\"orders\" WITH (publish = "
                        "'insert, update, delete, truncate', publish_via_partition_root = false)");
    assert_has(fakepq_statement("CREATE_REPLICATION_SLOT"), "\"connectd_shop_db\" LOGICAL pgoutput EXPORT_SNAPSHOT");
    testhost_free(t);
    assert_int_equal(fakepq_open_connections(), 0);
}
FAKE(a_table_without_replica_identity_gets_inserts_only) {
    fakepq_on("c.relpersistence = 'p'", "42|public|orders|r|d|t|f|3|8192\n43|public|nokey|r|d|f|f|3|8192");
    struct testhost *t = task_with(NULL, NULL);
    opens(t);
    assert_has(fakepq_statement("\"connectd_shop_db_inserts\" FOR TABLE"), "FOR TABLE \"public\".\"nokey\" WITH (publish = 'insert, truncate'");
    assert_null(strstr(fakepq_statement("CREATE PUBLICATION \"connectd_shop_db\" "), "nokey"));
    assert_true(testhost_logged(t, "table public.nokey has no usable replica identity: only its inserts are captured"));
    testhost_free(t);
}
FAKE(a_publication_that_is_right_already_needs_no_right) {
    fakepq_on("FROM pg_catalog.pg_publication WHERE", "f|t|t|t|t|f");
    fakepq_on("_inserts'", "");
    fakepq_on("r.prrelid FROM", "42");
    fakepq_fail("ALTER PUBLICATION", "42501", "must be owner");
    struct testhost *t = task_with(NULL, NULL);
    opens(t);
    testhost_free(t);
}
FAKE(a_publication_with_other_tables_is_set) {
    fakepq_on("FROM pg_catalog.pg_publication WHERE", "f|t|t|t|t|f");
    fakepq_on("_inserts'", "");
    fakepq_on("r.prrelid FROM", "41\n43");
    struct testhost *t = task_with(NULL, NULL);
    opens(t);
    assert_string_equal(fakepq_statement("ALTER PUBLICATION"), "ALTER PUBLICATION \"connectd_shop_db\" SET TABLE \"public\".\"orders\"");
    testhost_free(t);
}
FAKE(a_disabled_publication_must_exist) {
    open_fails(task_with("publication.autocreate.mode=disabled", "publication.name=pub"), CN_FAIL_CONFIG, "publication pub does not exist",
               "CREATE PUBLICATION \"pub\" FOR TABLE \"public\".\"orders\"");
    assert_int_equal(fakepq_asked("CREATE "), 0);
}
FAKE(all_tables_is_never_made) {
    open_fails(task_with("publication.autocreate.mode=all_tables", NULL), CN_FAIL_CONFIG, "does not exist", "makes UPDATE and DELETE fail");
}
FAKE(a_publication_that_lacks_selected_tables_is_refused) {
    fakepq_on("FROM pg_catalog.pg_publication WHERE", "f|t|t|t|t|f");
    fakepq_on("pg_publication_tables", "public|other|\\N|\\N");
    open_fails(task_with("publication.autocreate.mode=disabled", "table.include.list=public.orders"), CN_FAIL_CONFIG, "lacks tables that table.include.list selects: public.orders",
               "ADD TABLE public.orders");
}

FAKE(a_stored_position_is_resumed_without_a_snapshot) {
    struct testhost *t = streaming(NULL, NULL);
    assert_has(fakepq_statement("START_REPLICATION"), "START_REPLICATION SLOT \"connectd_shop_db\" LOGICAL 0/1000000 (proto_version '2', publication_names '\"connectd_shop_db\"'");
    assert_has(fakepq_statement("START_REPLICATION"), "streaming 'on'");
    assert_int_equal(fakepq_asked("CREATE_REPLICATION_SLOT"), 0);
    assert_int_equal(fakepq_asked("COPY"), 0);
    testhost_free(t);
}
FAKE(a_server_before_14_is_asked_for_version_one) {
    fakepq_version(130000);
    struct testhost *t = streaming(NULL, NULL);
    assert_has(fakepq_statement("START_REPLICATION"), "proto_version '1'");
    assert_null(strstr(fakepq_statement("START_REPLICATION"), "streaming"));
    testhost_free(t);
}
FAKE(a_slot_that_is_gone_is_lost_data) {
    struct testhost *t = task_with(NULL, NULL);
    stored_at(t, 0x1000000);
    fakepq_on(SLOT, "");
    open_fails(t, CN_FAIL_LOST_DATA, "replication slot connectd_shop_db is gone", "connectd offsets reset shop-db");
    assert_int_equal(fakepq_asked("CREATE"), 0);
}
FAKE(a_slot_that_was_made_anew_is_lost_data) {
    struct testhost *t = task_with(NULL, NULL);
    stored_at(t, 0xffffff);
    open_fails(t, CN_FAIL_LOST_DATA, "made anew or read by somebody else", NULL);
}
FAKE(an_invalidated_slot_is_lost_data) {
    struct testhost *t = task_with(NULL, NULL);
    stored_at(t, 0x1000000);
    fakepq_on(SLOT, "logical|pgoutput|shop|\\N|0/1000000|\\N|lost|f");
    open_fails(t, CN_FAIL_LOST_DATA, "invalidated", NULL);
}
FAKE(a_server_behind_the_position_is_lost_data) {
    struct testhost *t = task_with(NULL, NULL);
    stored_at(t, 0x3000000);
    open_fails(t, CN_FAIL_LOST_DATA, "ahead of the server's WAL", NULL);
}
FAKE(when_needed_reads_again_what_is_lost) {
    struct testhost *t = task_with("snapshot.mode=when_needed", NULL);
    stored_at(t, 0xffffff);
    opens(t);
    assert_true(testhost_logged(t, "reading all rows again"));
    assert_int_equal(fakepq_asked("pg_drop_replication_slot('connectd_shop_db')"), 1);
    assert_int_equal(fakepq_asked("CREATE_REPLICATION_SLOT \"connectd_shop_db\" LOGICAL"), 1);
    testhost_free(t);
}
FAKE(a_damaged_position_is_refused_before_anything_is_dialled) {
    struct testhost *t = task_with(NULL, NULL);
    testhost_position(t, "{\"server\":\"p\"}", "{\"file\":1}");
    fakepq_refuse(-1, "", "down");
    open_fails(t, CN_FAIL_CONFIG, "the stored position of {\"server\":\"p\"} has no field \"lsn\"", "connectd offsets");
}
FAKE(a_slot_without_a_position_gets_a_snapshot_of_its_own) {
    fakepq_on(SLOT, "logical|pgoutput|shop|\\N|0/900000|0/F00000|reserved|f");
    struct testhost *t = task_with(NULL, NULL);
    opens(t);
    assert_has(fakepq_statement("CREATE_REPLICATION_SLOT"), "_snap\" TEMPORARY LOGICAL");
    testhost_free(t);
}
FAKE(check_looks_and_changes_nothing) {
    struct testhost *t = task_with(NULL, NULL);
    assert_int_equal(testhost_check(t), 0);
    assert_int_equal(fakepq_asked("CREATE"), 0);
    assert_int_equal(fakepq_asked("ALTER"), 0);
    assert_int_equal(fakepq_asked("START_REPLICATION"), 0);
    assert_true(testhost_logged(t, "1 tables selected"));
    testhost_free(t);
    fakepq_on("SHOW wal_level", "replica");
    t = task_with(NULL, NULL);
    assert_int_equal(testhost_check(t), -1);
    assert_has(t->failure.text, "wal_level");
    testhost_free(t);
    assert_int_equal(fakepq_open_connections(), 0);
}
