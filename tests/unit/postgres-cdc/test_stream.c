// SPDX-License-Identifier: Apache-2.0
// Changes: records, boundaries, what is confirmed and when, streamed transactions, going away and coming back.
#include "task_fixture.h"

#define FAKE(name) static void name##_(void); TEST(name) { fakepq_begin(); name##_(); fakepq_end(); } static void name##_(void)
#define AT 0x1000100

/* A task whose clock moves by hand; it is polled with a time-out of 0 only. */
static struct testhost *streaming_at_rest(const char *option) {
    struct testhost *t = task_with(option, NULL);
    stored_at(t, 0x1000000);
    testhost_time(t, INT64_C(1700000000000000));
    opens(t);
    return t;
}

FAKE(a_transaction_is_one_commit_and_its_end_the_position) {
    struct testhost *t = streaming(NULL, NULL);
    fakepq_stream(wb_xlog(AT, wb_begin(AT + 50, 1000000, 77)));
    orders_relation(AT);
    fakepq_stream(wb_xlog(AT, wb_change('I', 0, 42, 0, NULL, "1|a")));
    fakepq_stream(wb_xlog(AT + 10, wb_change('U', 0, 42, 0, NULL, "1|b")));
    fakepq_stream(wb_xlog(AT + 20, wb_change('D', 0, 42, 'K', "1|N", NULL)));
    fakepq_stream(wb_xlog(AT + 100, wb_commit(AT + 50, AT + 100, 1000000)));
    assert_int_equal(testhost_poll(t, 50), CN_POLL_OK);
    batch_is(t, CN_BOUNDARY_COMMIT, "c 1 - 1,a false 16777472; u 1 - 1,b false 16777482; d 1 1,- - false 16777492; x 1");
    position_has(t, "{\"lsn\":16777572,\"lsn_commit\":16777572,\"txId\":77,\"ts_usec\":946684801000000,\"sysid\":\"7000\",\"timeline\":1,\"slot\":\"connectd_shop_db\"}");
    testhost_free(t);
}
FAKE(many_small_transactions_share_a_batch) {
    struct testhost *t = streaming(NULL, NULL);
    orders_relation(AT);
    insert_tx(AT, 1, "1|a");
    insert_tx(AT + 200, 2, "2|b");
    insert_tx(AT + 400, 3, "3|c");
    assert_int_equal(testhost_poll(t, 50), CN_POLL_OK);
    batch_is(t, CN_BOUNDARY_COMMIT, "c 1 - 1,a false 16777472; c 2 - 2,b false 16777672; c 3 - 3,c false 16777872");
    position_has(t, "\"lsn\":16777972");
    testhost_free(t);
}
FAKE(only_what_is_durable_is_confirmed) {
    struct testhost *t = streaming(NULL, NULL);
    orders_relation(AT);
    insert_tx(AT, 1, "1|a");
    assert_int_equal(testhost_poll(t, 50), CN_POLL_OK);
    assert_int_equal(fakepq_flushed(), 0x1000000); /* what was stored, and nothing that was not told */
    testhost_poll(t, 50);
    assert_int_equal(fakepq_flushed(), 0x1000000);
    testhost_commit(t);
    testhost_poll(t, 50);
    assert_int_equal(fakepq_flushed(), AT + 100);
    assert_true(fakepq_written() >= fakepq_flushed());
    testhost_free(t);
}
FAKE(a_question_of_the_server_is_answered_without_confirming_more) {
    struct testhost *t = streaming(NULL, NULL);
    int before = fakepq_statuses();
    fakepq_stream(wb_xlog(AT, wb_begin(AT + 50, 0, 1)));
    fakepq_stream(wb_keepalive(AT + 5000, 1)); /* inside the transaction */
    assert_int_equal(testhost_poll(t, 20), CN_POLL_IDLE);
    assert_true(fakepq_statuses() > before);
    assert_int_equal(fakepq_flushed(), 0x1000000);
    testhost_free(t);
}
FAKE(wal_without_changes_is_stored_before_it_is_confirmed) {
    struct testhost *t = streaming_at_rest(NULL);
    fakepq_stream(wb_keepalive(0x1800000, 1));
    assert_int_equal(testhost_poll(t, 0), CN_POLL_OK); /* asked for: at once */
    batch_is(t, CN_BOUNDARY_COMMIT, "");
    position_has(t, "\"lsn\":25165824");
    assert_int_equal(fakepq_flushed(), 0x1000000);
    testhost_commit(t);
    testhost_advance(t, 50);
    testhost_poll(t, 0);
    assert_int_equal(fakepq_flushed(), 0x1800000);
    fakepq_stream(wb_keepalive(0x1900000, 0)); /* not asked for: not at once */
    assert_int_equal(testhost_poll(t, 0), CN_POLL_IDLE);
    testhost_advance(t, 60000);
    assert_int_equal(testhost_poll(t, 0), CN_POLL_OK);
    position_has(t, "\"lsn\":26214400");
    testhost_free(t);
}
FAKE(tick_keeps_the_connection_alive) {
    struct testhost *t = streaming_at_rest(NULL);
    testhost_poll(t, 0);
    int before = fakepq_statuses();
    testhost_advance(t, 11000);
    assert_int_equal(testhost_tick(t), 0);
    assert_int_equal(fakepq_statuses(), before + 1);
    testhost_free(t);
}
FAKE(nobody_polling_leaves_the_slot_and_comes_back_where_it_was) {
    struct testhost *t = streaming_at_rest(NULL);
    orders_relation(AT);
    insert_tx(AT, 1, "1|a");
    assert_int_equal(testhost_poll(t, 0), CN_POLL_OK);
    testhost_commit(t);
    testhost_poll(t, 0);
    assert_true(fakepq_open_connections() > 0);
    testhost_advance(t, 31000);
    assert_int_equal(testhost_tick(t), 0);
    assert_int_equal(fakepq_open_connections(), 0);
    assert_int_equal(testhost_tick(t), 0);
    orders_relation(AT + 200);
    insert_tx(AT + 200, 2, "2|b");
    assert_int_equal(testhost_poll(t, 0), CN_POLL_OK);
    batch_is(t, CN_BOUNDARY_COMMIT, "c 2 - 2,b false 16777672");
    assert_has(fakepq_statement("START_REPLICATION"), "LOGICAL 0/1000164");
    testhost_free(t);
}
FAKE(a_move_of_the_key_is_a_delete_and_a_create) {
    struct testhost *t = streaming(NULL, NULL);
    orders_relation(AT);
    fakepq_stream(wb_xlog(AT, wb_begin(AT + 50, 0, 1)));
    fakepq_stream(wb_xlog(AT, wb_change('U', 0, 42, 'K', "1|N", "2|b")));
    fakepq_stream(wb_xlog(AT + 100, wb_commit(AT + 50, AT + 100, 0)));
    assert_int_equal(testhost_poll(t, 50), CN_POLL_OK);
    batch_is(t, CN_BOUNDARY_COMMIT, "d 1 1,- - false 16777472; x 1; c 2 - 2,b false 16777472");
    const struct cn_record *d = cn_record_at(&t->batch, 0), *x = cn_record_at(&t->batch, 1), *c = cn_record_at(&t->batch, 2);
    struct cn_text n = cn_headers_of(&t->batch, d)->name;
    assert_memory_equal(cn_bytes_at(&t->batch, n.at), "__debezium.newkey", n.n);
    assert_int_equal(d->headers, x->headers);
    n = cn_headers_of(&t->batch, c)->name;
    assert_memory_equal(cn_bytes_at(&t->batch, n.at), "__debezium.oldkey", n.n);
    assert_int_equal(c->header_count, 5);
    testhost_free(t);
}
FAKE(unsent_values_come_from_the_old_row_or_are_named) {
    struct testhost *t = streaming(NULL, NULL);
    orders_relation(AT);
    fakepq_stream(wb_xlog(AT, wb_begin(AT + 50, 0, 1)));
    fakepq_stream(wb_xlog(AT, wb_change('U', 0, 42, 0, NULL, "1|U")));
    fakepq_stream(wb_xlog(AT, wb_change('U', 0, 42, 'O', "1|big", "1|U")));
    fakepq_stream(wb_xlog(AT + 100, wb_commit(AT + 50, AT + 100, 0)));
    assert_int_equal(testhost_poll(t, 50), CN_POLL_OK);
    batch_is(t, CN_BOUNDARY_COMMIT, "u 1 - 1,__debezium_unavailable_value false 16777472; u 1 1,big 1,big false 16777472");
    testhost_free(t);
}
FAKE(rows_of_one_lsn_share_their_source_block) {
    struct testhost *t = streaming(NULL, NULL);
    orders_relation(AT);
    fakepq_stream(wb_xlog(AT, wb_begin(AT + 50, 0, 1)));
    fakepq_stream(wb_xlog(AT, wb_change('I', 0, 42, 0, NULL, "1|a")));
    fakepq_stream(wb_xlog(AT, wb_change('I', 0, 42, 0, NULL, "2|b")));
    fakepq_stream(wb_xlog(AT + 1, wb_change('I', 0, 42, 0, NULL, "3|c")));
    fakepq_stream(wb_xlog(AT + 100, wb_commit(AT + 50, AT + 100, 0)));
    assert_int_equal(testhost_poll(t, 50), CN_POLL_OK);
    cn_off at[3];
    for (uint32_t i = 0; i < 3; i++) at[i] = field(t, &cn_record_at(&t->batch, i)->value, 2)->u.at;
    assert_int_equal(at[0], at[1]);
    assert_int_not_equal(at[1], at[2]);
    testhost_free(t);
}
FAKE(tables_that_are_not_selected_move_the_position_only) {
    struct testhost *t = streaming("table.include.list=public.orders", NULL);
    fakepq_stream(wb_xlog(AT, wb_begin(AT + 50, 0, 1)));
    fakepq_stream(wb_xlog(AT, wb_relation(0, 99, "public", "other", 'd', "id:23:1")));
    fakepq_stream(wb_xlog(AT, wb_change('I', 0, 99, 0, NULL, "1")));
    fakepq_stream(wb_xlog(AT + 100, wb_commit(AT + 50, AT + 100, 0)));
    fakepq_stream(wb_keepalive(AT + 100, 1));
    assert_int_equal(testhost_poll(t, 50), CN_POLL_OK);
    batch_is(t, CN_BOUNDARY_COMMIT, "");
    position_has(t, "\"lsn\":16777572");
    testhost_free(t);
}

/* ── large transactions ── */

static void wide_change(char kind, uint64_t lsn, uint32_t xid, int id) {
    char row[2100];
    int n = sprintf(row, "%d|", id);
    memset(row + n, 'x', 2000);
    row[n + 2000] = 0;
    fakepq_stream(wb_xlog(lsn, wb_change(kind, xid, 42, 0, NULL, row)));
}

FAKE(a_transaction_larger_than_a_batch_comes_in_open_pieces) {
    struct testhost *t = streaming(NULL, NULL);
    orders_relation(AT);
    fakepq_stream(wb_xlog(AT, wb_begin(AT + 50, 0, 1)));
    for (int i = 0; i < 2000; i++) wide_change('I', AT, 0, i);
    fakepq_stream(wb_xlog(AT + 100, wb_commit(AT + 50, AT + 100, 0)));
    insert_tx(AT + 200, 2, "9999|after");
    uint32_t rows = 0, open = 0;
    for (;;) {
        assert_int_equal(testhost_poll(t, 50), CN_POLL_OK);
        rows += cn_count(&t->batch);
        assert_true(cn_head(&t->batch)->used < (2u << 20));
        if (cn_head(&t->batch)->boundary == CN_BOUNDARY_COMMIT) break;
        assert_string_equal(batch_position(t), "");
        open++;
    }
    assert_int_equal(rows, 2000); /* the next transaction is not dragged along */
    assert_true(open >= 2);
    position_has(t, "\"lsn\":16777572");
    assert_int_equal(testhost_poll(t, 50), CN_POLL_OK);
    batch_is(t, CN_BOUNDARY_COMMIT, "c 9999 - 9999,after false 16777672");
    testhost_free(t);
}
FAKE(batches_end_at_transactions_however_many_there_are) {
    struct testhost *t = streaming(NULL, NULL);
    orders_relation(AT);
    for (uint32_t tx = 0; tx < 60; tx++) {
        uint64_t lsn = AT + tx * 1000;
        fakepq_stream(wb_xlog(lsn, wb_begin(lsn + 50, 0, tx + 1)));
        for (int i = 0; i < 30; i++) wide_change('I', lsn, 0, i);
        fakepq_stream(wb_xlog(lsn + 100, wb_commit(lsn + 50, lsn + 100, 0)));
    }
    uint32_t rows = 0, batches = 0;
    while (rows < 1800) {
        assert_int_equal(testhost_poll(t, 50), CN_POLL_OK);
        assert_int_equal(cn_head(&t->batch)->boundary, CN_BOUNDARY_COMMIT);
        rows += cn_count(&t->batch);
        batches++;
    }
    assert_true(batches >= 3);
    testhost_free(t);
}
FAKE(what_was_open_is_taken_back_after_coming_back) {
    struct testhost *t = streaming_at_rest(NULL);
    orders_relation(AT);
    insert_tx(AT, 1, "1|a");
    fakepq_stream(wb_xlog(AT + 200, wb_begin(AT + 250, 0, 2)));
    for (int i = 0; i < 1000; i++) wide_change('I', AT + 200, 0, i);
    assert_int_equal(testhost_poll(t, 0), CN_POLL_OK);
    assert_int_equal(cn_head(&t->batch)->boundary, CN_BOUNDARY_OPEN); /* holds the first transaction, too */
    testhost_poll(t, 0);
    testhost_advance(t, 31000);
    testhost_tick(t);
    orders_relation(AT);
    insert_tx(AT, 1, "1|a");
    assert_int_equal(testhost_poll(t, 0), CN_POLL_OK);
    batch_is(t, CN_BOUNDARY_ABORT, "");
    assert_has(fakepq_statement("START_REPLICATION"), "LOGICAL 0/1000000");
    assert_int_equal(testhost_poll(t, 0), CN_POLL_OK);
    batch_is(t, CN_BOUNDARY_COMMIT, "c 1 - 1,a false 16777472");
    testhost_free(t);
}

/* ── streamed transactions ── */

static void streamed(uint64_t lsn, uint32_t top, uint32_t xid, const char *row) {
    fakepq_stream(wb_xlog(lsn, wb_stream_start(top, 0)));
    fakepq_stream(wb_xlog(lsn, wb_change('I', xid, 42, 0, NULL, row)));
    fakepq_stream(wb_xlog(lsn, wb_stream_stop()));
}
static void streamed_relation(uint64_t lsn, uint32_t top) {
    fakepq_stream(wb_xlog(lsn, wb_stream_start(top, 1)));
    fakepq_stream(wb_xlog(lsn, wb_relation(top, 42, "public", "orders", 'd', "id:23:1,note:25:0")));
    fakepq_stream(wb_xlog(lsn, wb_stream_stop()));
}

static void interleaved(const char *memory) {
    struct testhost *t = streaming(memory, NULL);
    streamed_relation(AT, 500);
    streamed(AT, 500, 500, "1|five");
    streamed_relation(AT + 5, 600);
    streamed(AT + 10, 600, 600, "2|six");
    streamed(AT + 20, 500, 501, "3|sub kept");
    streamed(AT + 30, 500, 502, "4|sub undone");
    fakepq_stream(wb_xlog(AT + 35, wb_stream_abort(500, 502)));
    orders_relation(AT + 36);
    insert_tx(AT + 40, 700, "5|plain");
    fakepq_stream(wb_keepalive(AT + 150, 1));
    assert_int_equal(testhost_poll(t, 50), CN_POLL_OK);
    batch_is(t, CN_BOUNDARY_COMMIT, "c 5 - 5,plain false 16777512"); /* nothing of what is not committed */
    streamed(AT + 200, 500, 500, "6|more");
    fakepq_stream(wb_xlog(AT + 300, wb_stream_commit(500, AT + 290, AT + 300, 2000000)));
    fakepq_stream(wb_xlog(AT + 310, wb_stream_abort(600, 600)));
    insert_tx(AT + 400, 701, "7|end");
    assert_int_equal(testhost_poll(t, 50), CN_POLL_OK);
    batch_is(t, CN_BOUNDARY_COMMIT, "c 1 - 1,five false 16777472; c 3 - 3,sub kept false 16777492; c 6 - 6,more false 16777672; c 7 - 7,end false 16777872");
    const struct cn_cell *source = field(t, &cn_record_at(&t->batch, 0)->value, 2);
    assert_int_equal(field(t, source, 11)->u.i, 500); /* txId */
    assert_int_equal(field(t, source, 7)->u.i, 946684802000000);
    position_has(t, "\"lsn\":16777972");
    testhost_free(t);
}
FAKE(streamed_transactions_appear_at_their_commit_only) { interleaved(NULL); }
FAKE(the_same_from_the_spool_folder) { interleaved("spool.memory.bytes=65536"); }

FAKE(a_streamed_transaction_of_many_batches_is_replayed_piece_by_piece) {
    struct testhost *t = streaming("spool.memory.bytes=65536", NULL);
    streamed_relation(AT, 500);
    fakepq_stream(wb_xlog(AT, wb_stream_start(500, 0)));
    for (int i = 0; i < 2000; i++) wide_change('I', AT, 500, i);
    fakepq_stream(wb_xlog(AT, wb_stream_stop()));
    assert_int_equal(testhost_poll(t, 20), CN_POLL_IDLE);
    assert_true(testhost_spooled(t) > 1 << 20);
    fakepq_stream(wb_xlog(AT + 100, wb_stream_commit(500, AT + 50, AT + 100, 0)));
    uint32_t rows = 0;
    for (int boundary = CN_BOUNDARY_OPEN; boundary == CN_BOUNDARY_OPEN; boundary = cn_head(&t->batch)->boundary) {
        assert_int_equal(testhost_poll(t, 50), CN_POLL_OK);
        rows += cn_count(&t->batch);
    }
    assert_int_equal(rows, 2000);
    position_has(t, "\"lsn\":16777572");
    assert_int_equal(testhost_spooled(t), 0);
    testhost_free(t);
}

/* ── other events ── */

FAKE(messages_have_a_topic_of_their_own) {
    struct testhost *t = streaming("message.prefix.exclude.list=noise", NULL);
    fakepq_stream(wb_xlog(AT, wb_message(0, 0, AT, "app", "now")));
    fakepq_stream(wb_xlog(AT + 10, wb_message(0, 0, AT + 10, "noise", "x")));
    assert_int_equal(testhost_poll(t, 50), CN_POLL_OK);
    assert_int_equal(cn_count(&t->batch), 1);
    struct cn_text *topic = cn_topic_at(&t->batch, cn_record_at(&t->batch, 0)->topic);
    assert_memory_equal(cn_bytes_at(&t->batch, topic->at), "p.message", 9);
    position_has(t, "\"lsn\":16777483"); /* behind both, so that a restart repeats neither */
    testhost_free(t);
}
FAKE(truncates_are_left_out_unless_asked_for) {
    struct testhost *t = streaming("skipped.operations=none", NULL);
    orders_relation(AT);
    fakepq_stream(wb_xlog(AT, wb_begin(AT + 50, 0, 1)));
    fakepq_stream(wb_xlog(AT, wb_truncate(0, 0, (const uint32_t[]){42}, 1)));
    fakepq_stream(wb_xlog(AT + 100, wb_commit(AT + 50, AT + 100, 0)));
    assert_int_equal(testhost_poll(t, 50), CN_POLL_OK);
    batch_is(t, CN_BOUNDARY_COMMIT, "t - - - false 16777472");
    testhost_free(t);
}
FAKE(a_new_enum_label_is_looked_up) {
    fakepq_on("FROM pg_catalog.pg_type t WHERE t.oid = 20001", "mood|e|,|0|-1|0|sad,ok");
    fakepq_on("FROM pg_catalog.pg_attribute a", "id|23|-1|t||\\N\nnote|20001|-1|f||\\N");
    struct testhost *t = streaming(NULL, NULL);
    fakepq_stream(wb_xlog(AT, wb_relation(0, 42, "public", "orders", 'd', "id:23:1,note:20001:0")));
    insert_tx(AT, 1, "1|ok");
    assert_int_equal(testhost_poll(t, 50), CN_POLL_OK);
    int before = fakepq_asked("t.oid = 20001");
    fakepq_on("FROM pg_catalog.pg_type t WHERE t.oid = 20001", "mood|e|,|0|-1|0|sad,ok,happy");
    insert_tx(AT + 200, 2, "2|happy");
    insert_tx(AT + 400, 3, "3|happy");
    assert_int_equal(testhost_poll(t, 50), CN_POLL_OK);
    batch_is(t, CN_BOUNDARY_COMMIT, "c 2 - 2,happy false 16777672; c 3 - 3,happy false 16777872");
    assert_int_equal(fakepq_asked("t.oid = 20001"), before + 1);
    testhost_free(t);
}
FAKE(heartbeats_are_written_when_asked_for) {
    struct testhost *t = streaming_at_rest("heartbeat.interval.ms=1000");
    testhost_poll(t, 0);
    testhost_advance(t, 1500);
    assert_int_equal(testhost_poll(t, 0), CN_POLL_OK);
    struct cn_text *topic = cn_topic_at(&t->batch, cn_record_at(&t->batch, 0)->topic);
    assert_memory_equal(cn_bytes_at(&t->batch, topic->at), "__debezium-heartbeat.p", topic->n);
    testhost_free(t);
}

/* ── failures ── */

FAKE(a_server_that_goes_away_is_tried_again) {
    struct testhost *t = streaming(NULL, NULL);
    fakepq_stream_end("57P01", "terminating connection due to administrator command");
    assert_int_equal(testhost_poll(t, 50), CN_POLL_FAILED);
    assert_int_equal(t->failure.fail_class, CN_FAIL_TRANSIENT);
    testhost_free(t);
    assert_int_equal(fakepq_open_connections(), 0);
}
FAKE(a_dropped_publication_says_what_to_do) {
    struct testhost *t = streaming(NULL, NULL);
    fakepq_stream_end("42704", "publication \"connectd_shop_db\" does not exist");
    assert_int_equal(testhost_poll(t, 50), CN_POLL_FAILED);
    assert_int_equal(t->failure.fail_class, CN_FAIL_CONFIG);
    assert_has(t->failure.hint, "connectd offsets reset shop-db");
    testhost_free(t);
}
FAKE(a_row_of_an_unknown_table_is_a_bug_and_names_its_place) {
    struct testhost *t = streaming(NULL, NULL);
    insert_tx(AT, 1, "1|a");
    assert_int_equal(testhost_poll(t, 50), CN_POLL_FAILED);
    assert_int_equal(t->failure.fail_class, CN_FAIL_BUG);
    assert_has(t->failure.text, "0/1000100");
    testhost_free(t);
}
FAKE(rubbish_on_the_wire_is_refused) {
    struct testhost *t = streaming(NULL, NULL);
    struct wb w = {.n = 0};
    wb_bytes(&w, "zzz", 3);
    fakepq_stream(w);
    assert_int_equal(testhost_poll(t, 50), CN_POLL_FAILED);
    assert_int_equal(t->failure.fail_class, CN_FAIL_BUG);
    testhost_free(t);
}
FAKE(a_slot_that_is_busy_is_waited_for_then_tried_again) {
    struct testhost *t = task_with(NULL, NULL);
    stored_at(t, 0x1000000);
    fakepq_fail("START_REPLICATION", "55006", "replication slot \"connectd_shop_db\" is active for PID 1");
    testhost_stop(t); /* else this takes five seconds */
    assert_int_equal(testhost_open(t), -1);
    assert_int_equal(t->failure.fail_class, CN_FAIL_TRANSIENT);
    testhost_free(t);
}
