// SPDX-License-Identifier: Apache-2.0
// Internal transactions: one atomic end, aborts, fencing, retries, what a crash leaves, what was prepared.
#include "coord/txn.h"

#include <stdio.h>
#include <stdlib.h>

#include "coord/records.h"
#include "base/hash.h"
#include "fixture.h"
#include "partition.h"

// ── helpers ──────────────────────────────────────────────────────────────────────────────────────────────────────────

struct world {
    struct fs *fs;
    struct store *store;
    struct txns *txns;
    struct txns_report report;
    struct topic *a, *b;
};

static void world_open(struct world *w, struct fs *fs) {
    struct err err;
    w->fs = fs;
    w->store = fixture_open(fs);
    assert_ok(txns_open(w->store, &clock_real, 4, &w->txns, &w->report, &err), err);
    if (!(w->a = topic_get(w->store, "a"))) {
        fixture_topic(w->store, "a", 2, NULL, NULL);
        fixture_topic(w->store, "b", 1, NULL, NULL);
        w->a = topic_get(w->store, "a");
    }
    w->b = topic_get(w->store, "b");
}
static void world_close(struct world *w) {
    topic_unref(w->a);
    topic_unref(w->b);
    txns_close(w->txns);
    fixture_close(w->store);
    fs_close(w->fs);
}
// A kill: the same disk under a new store; the old one ends behind its back.
static void world_kill(struct world *w, struct txn *open) {
    struct fs *copy = fs_mem_clone(w->fs);
    txn_close(open);
    world_close(w);
    world_open(w, copy);
}

static struct txn *init(struct world *w, const char *id) {
    struct txn *x;
    struct err err;
    assert_ok(txn_init(w->txns, id, &x, &err), err);
    return x;
}

struct outcome { bool done; struct err err; };
static void finished(void *arg, const struct err *err, const struct append_result *results, size_t n) {
    struct outcome *o = arg;
    if (err) o->err = *err;
    else o->err.code = ERR_NONE;
    o->done = true;
}
// Hands over and waits by an empty commit behind it (one flusher, in order).
static enum err_code submit(struct world *w, struct txn *x, struct commit *c) {
    struct outcome o = {0};
    struct err err;
    txn_submit(x, c, false, finished, &o);
    struct commit *behind = commit_new(w->store);
    (void)!store_commit_wait(w->store, behind, NULL, &err);
    assert_true(o.done);
    return o.err.code;
}

static void add(struct txn *x, struct commit *c, struct partition *p, const char *text) {
    struct buf b = {0};
    struct batch_builder w;
    struct err err;
    batch_begin(&w, &b, CODEC_NONE);
    batch_add(&w, 1700000000000, (struct str){NULL, 0}, str_of(text), NULL, 0);
    txn_stamp(x, &w, p);
    assert_ok(batch_end(&w, &err), err);
    assert_ok(txn_append(x, c, p, &b, &err), err);
}
static void write_text(struct world *w, struct txn *x, struct partition *p, const char *text) {
    struct commit *c = commit_new(w->store);
    add(x, c, p, text);
    assert_int_equal(submit(w, x, c), ERR_NONE);
}
// More than the log has reserved for itself.
static void add_large(struct world *w, struct commit *c, struct partition *p) {
    struct err err;
    char *text = malloc(900001);
    memset(text, 'x', 900000);
    text[900000] = 0;
    for (int i = 0; i < 3; i++) {
        struct buf b = fixture_text(text);
        assert_ok(commit_append(c, p, &b, true, &err), err);
    }
    free(text);
}
static enum err_code end(struct world *w, struct txn *x) {
    struct err err;
    struct commit *c = commit_new(w->store);
    assert_ok(txn_end(x, c, &err), err);
    return submit(w, x, c);
}
static int print(void *arg, const struct txn_state *s) {
    buf_printf(arg, "%s:%d:%s:%u ", s->id, s->epoch, s->status, s->partitions);
    return 0;
}
static void assert_states(struct world *w, const char *want) {
    struct buf b = {0};
    txns_each(w->txns, print, &b);
    assert_buf(&b, want);
    buf_done(&b);
}
static int count(void *arg, const struct open_txn *t) {
    ++*(int *)arg;
    return 0;
}
static int open_on_disk(struct world *w) {
    int n = 0;
    store_open_txns(w->store, count, &n);
    return n;
}

#define PART(w, topic, i) topic_partition((w)->topic, i)

// ── cases ────────────────────────────────────────────────────────────────────────────────────────────────────────────

TEST(a_transaction_over_partitions_is_seen_as_a_whole_at_its_end) {
    struct world w;
    struct err err;
    world_open(&w, fs_mem_new());
    struct txn *x = init(&w, "task");
    assert_states(&w, "task:0:Empty:0 ");
    write_text(&w, x, PART(&w, a, 0), "one");
    write_text(&w, x, PART(&w, b, 0), "two");
    write_text(&w, x, PART(&w, a, 0), "three");
    assert_true(txn_is_open(x));
    assert_states(&w, "task:0:Ongoing:2 ");
    assert_string_equal(fixture_log(w.store, "a", 0, READ_COMMITTED), "");
    struct commit *c = commit_new(w.store); // with what else belongs to it
    struct buf more = fixture_text("position");
    assert_ok(txn_end(x, c, &err), err);
    assert_ok(commit_append(c, PART(&w, a, 1), &more, true, &err), err);
    assert_int_equal(submit(&w, x, c), ERR_NONE);
    assert_false(txn_is_open(x));
    assert_string_equal(fixture_log(w.store, "a", 0, READ_COMMITTED), "0:one 1:three 2:!commit");
    assert_string_equal(fixture_log(w.store, "b", 0, READ_COMMITTED), "0:two 1:!commit");
    assert_string_equal(fixture_log(w.store, "a", 1, READ_COMMITTED), "0:position");
    assert_states(&w, "task:0:CompleteCommit:0 ");
    write_text(&w, x, PART(&w, a, 0), "next"); // sequences go on
    assert_int_equal(end(&w, x), ERR_NONE);
    assert_int_equal(open_on_disk(&w), 0);
    txn_close(x);
    world_close(&w);
}

TEST(an_abort_hides_the_data_and_takes_a_new_epoch) {
    struct world w;
    struct err err;
    world_open(&w, fs_mem_new());
    struct txn *x = init(&w, "task");
    int64_t id = txn_producer_id(x);
    write_text(&w, x, PART(&w, a, 0), "gone");
    assert_ok(txn_abort(x, &err), err);
    assert_int_equal(txn_epoch(x), 1);
    assert_int_equal(txn_producer_id(x), id);
    assert_states(&w, "task:1:CompleteAbort:0 ");
    assert_string_equal(fixture_log(w.store, "a", 0, READ_UNCOMMITTED), "0:gone 1:!abort");
    const char *text = "late"; // of the old epoch: the log itself refuses it
    struct buf late = fixture_batch(id, 0, 1, &text, 1);
    struct commit *c = commit_new(w.store);
    assert_ok(commit_append(c, PART(&w, a, 0), &late, false, &err), err);
    assert_fails(store_commit_wait(w.store, c, NULL, &err), err, ERR_FENCED);
    write_text(&w, x, PART(&w, a, 0), "kept");
    assert_int_equal(end(&w, x), ERR_NONE);
    assert_int_equal(fixture_offsets(w.store, "a", 0).last_stable, 4);
    txn_close(x);
    world_close(&w);
}

TEST(closing_aborts_what_is_open) {
    struct world w;
    world_open(&w, fs_mem_new());
    struct txn *x = init(&w, "task");
    write_text(&w, x, PART(&w, b, 0), "left");
    txn_close(x);
    assert_int_equal(open_on_disk(&w), 0);
    assert_string_equal(fixture_log(w.store, "b", 0, READ_UNCOMMITTED), "0:left 1:!abort");
    world_close(&w);
}

TEST(a_newer_producer_fences_the_older_and_aborts_its_transaction) {
    struct world w;
    struct err err;
    world_open(&w, fs_mem_new());
    struct txn *old = init(&w, "task");
    write_text(&w, old, PART(&w, a, 0), "hung");
    struct txn *x = init(&w, "task");
    assert_int_equal(txn_epoch(x), 1);
    assert_int_equal(open_on_disk(&w), 0);
    struct commit *c = commit_new(w.store); // transactional or plain: nothing passes
    add(old, c, PART(&w, b, 0), "late");
    assert_int_equal(submit(&w, old, c), ERR_FENCED);
    struct buf plain = fixture_text("late");
    c = commit_new(w.store);
    assert_ok(commit_append(c, PART(&w, b, 0), &plain, true, &err), err);
    assert_int_equal(submit(&w, old, c), ERR_FENCED);
    assert_fails(txn_abort(old, &err), err, ERR_FENCED);
    assert_fails(txn_retry(old, &err), err, ERR_FENCED);
    write_text(&w, x, PART(&w, a, 0), "new");
    txn_close(old); // leaves the new one's transaction alone
    assert_int_equal(open_on_disk(&w), 1);
    assert_int_equal(end(&w, x), ERR_NONE);
    assert_string_equal(fixture_log(w.store, "b", 0, READ_UNCOMMITTED), "");
    txn_close(x);
    world_close(&w);
}

TEST(epochs_go_on_after_a_restart) {
    struct world w;
    world_open(&w, fs_mem_new());
    struct txn *x = init(&w, "task");
    int64_t id = txn_producer_id(x);
    txn_close(x);
    txns_close(w.txns);
    topic_unref(w.a);
    topic_unref(w.b);
    fixture_close(w.store);
    struct fs *copy = fs_mem_clone(w.fs);
    fs_close(w.fs);
    world_open(&w, copy);
    assert_states(&w, "task:0:Empty:0 ");
    x = init(&w, "task");
    assert_int_equal(txn_epoch(x), 1);
    assert_int_equal(txn_producer_id(x), id);
    txn_close(x);
    world_close(&w);
}

TEST(what_a_kill_left_open_is_aborted_at_the_next_start) {
    struct world w;
    world_open(&w, fs_mem_new());
    struct txn *x = init(&w, "task");
    write_text(&w, x, PART(&w, a, 0), "half");
    write_text(&w, x, PART(&w, b, 0), "half");
    world_kill(&w, x);
    assert_int_equal(w.report.aborted, 2);
    struct recovery_report shown;
    store_report(w.store, &shown);
    assert_int_equal(shown.transactions_aborted, 2);
    assert_int_equal(open_on_disk(&w), 0);
    assert_string_equal(fixture_log(w.store, "a", 0, READ_UNCOMMITTED), "0:half 1:!abort");
    x = init(&w, "task");
    write_text(&w, x, PART(&w, a, 0), "again");
    assert_int_equal(end(&w, x), ERR_NONE);
    txn_close(x);
    world_close(&w);
}

TEST(after_one_failure_nothing_later_is_accepted_until_it_is_retried) {
    struct world w;
    struct err err;
    world_open(&w, fs_mem_new());
    struct txn *x = init(&w, "task");
    write_text(&w, x, PART(&w, a, 0), "one");
    fs_mem_set_capacity(w.fs, 1); // the disk is full
    struct commit *second = commit_new(w.store), *third = commit_new(w.store);
    commit_keep(second);
    commit_keep(third);
    add(x, second, PART(&w, a, 0), "two");
    add_large(&w, second, PART(&w, a, 1));
    assert_int_equal(submit(&w, x, second), ERR_NOSPACE);
    fs_mem_set_capacity(w.fs, 1ull << 40);
    add(x, third, PART(&w, a, 0), "three");
    assert_int_equal(submit(&w, x, third), ERR_NOSPACE); // its turn has not come
    assert_ok(txn_retry(x, &err), err);
    assert_int_equal(submit(&w, x, second), ERR_NONE);
    assert_int_equal(submit(&w, x, third), ERR_NONE);
    assert_int_equal(end(&w, x), ERR_NONE);
    assert_string_equal(fixture_log(w.store, "a", 0, READ_COMMITTED), "0:one 1:two 2:three 3:!commit");
    txn_close(x);
    world_close(&w);
}

TEST(commits_queued_behind_a_failed_one_fail_with_it) {
    struct world w;
    struct err err;
    struct outcome o[3] = {0};
    world_open(&w, fs_mem_new());
    struct txn *x = init(&w, "task");
    struct commit *gap = commit_new(w.store), *behind = commit_new(w.store), *position = commit_new(w.store);
    struct buf text = fixture_text("position");
    add(x, gap, PART(&w, a, 0), "never handed over");
    commit_free(gap); // so the next has a gap in its sequences
    add(x, behind, PART(&w, a, 0), "after a gap");
    assert_ok(commit_append(position, PART(&w, b, 0), &text, true, &err), err);
    txn_submit(x, behind, false, finished, &o[0]);
    txn_submit(x, position, false, finished, &o[1]);
    assert_ok(store_commit_wait(w.store, commit_new(w.store), NULL, &err), err);
    assert_int_equal(o[0].err.code, ERR_NONE); // nothing known of the producer there yet: any sequence may come
    assert_int_equal(o[1].err.code, ERR_NONE);
    gap = commit_new(w.store), behind = commit_new(w.store), position = commit_new(w.store);
    text = fixture_text("position");
    add(x, gap, PART(&w, a, 0), "never handed over");
    commit_free(gap);
    add(x, behind, PART(&w, a, 0), "after a gap");
    assert_ok(commit_append(position, PART(&w, b, 0), &text, true, &err), err);
    txn_submit(x, behind, false, finished, &o[0]);
    txn_submit(x, position, false, finished, &o[1]);
    assert_ok(store_commit_wait(w.store, commit_new(w.store), NULL, &err), err);
    assert_int_equal(o[0].err.code, ERR_SEQUENCE);
    assert_int_equal(o[1].err.code, ERR_SEQUENCE);
    assert_string_equal(fixture_log(w.store, "b", 0, READ_COMMITTED), "0:position");
    assert_ok(txn_abort(x, &err), err); // good again
    write_text(&w, x, PART(&w, a, 0), "fresh");
    assert_int_equal(end(&w, x), ERR_NONE);
    txn_close(x);
    world_close(&w);
}

TEST(a_failed_end_is_aborted_as_a_whole) {
    struct world w;
    struct err err;
    world_open(&w, fs_mem_new());
    struct txn *x = init(&w, "task");
    write_text(&w, x, PART(&w, a, 0), "one");
    fs_mem_set_capacity(w.fs, 1);
    struct commit *c = commit_new(w.store);
    assert_ok(txn_end(x, c, &err), err);
    add_large(&w, c, PART(&w, a, 1));
    assert_int_equal(submit(&w, x, c), ERR_NOSPACE);
    assert_int_equal(open_on_disk(&w), 1);
    fs_mem_set_capacity(w.fs, 1ull << 40);
    assert_ok(txn_abort(x, &err), err);
    assert_int_equal(open_on_disk(&w), 0);
    assert_string_equal(fixture_log(w.store, "a", 0, READ_UNCOMMITTED), "0:one 1:!abort");
    txn_close(x);
    world_close(&w);
}

TEST(a_topic_deleted_in_mid_transaction_does_not_stop_its_end) {
    struct world w;
    struct err err;
    world_open(&w, fs_mem_new());
    struct txn *x = init(&w, "task");
    write_text(&w, x, PART(&w, a, 0), "one");
    write_text(&w, x, PART(&w, b, 0), "two");
    assert_ok(store_topic_delete(w.store, "b", &err), err);
    assert_int_equal(end(&w, x), ERR_NONE);
    assert_string_equal(fixture_log(w.store, "a", 0, READ_COMMITTED), "0:one 1:!commit");
    txn_close(x);
    world_close(&w);
}

// ── what another coordinator left ────────────────────────────────────────────────────────────────────────────────────

static void put_state(struct world *w, const char *id, int64_t producer_id, enum txn_status status) {
    const int32_t zero = 0;
    const struct txn_topic topics[] = {{STR("a"), &zero, 1}, {STR("b"), &zero, 1}, {STR("no-such-topic"), &zero, 1}};
    struct buf key = {0}, value = {0}, b = {0};
    struct batch_builder build;
    struct err err;
    struct topic *t = topic_get(w->store, TXN_TOPIC);
    struct commit *c = commit_new(w->store);
    txn_key_encode(&key, str_of(id));
    txn_value_encode(&value, &(struct txn_value){.producer_id = producer_id, .previous_id = -1, .next_id = -1, .timeout_ms = 1000, .status = status,
                                                 .topics = topics, .topic_count = 3});
    batch_begin(&build, &b, CODEC_NONE);
    batch_add(&build, 0, buf_str(&key), buf_str(&value), NULL, 0);
    assert_ok(batch_end(&build, &err), err);
    assert_ok(commit_append(c, topic_partition(t, coord_partition(str_of(id), topic_partitions(t))), &b, true, &err), err);
    assert_ok(store_commit_wait(w->store, c, NULL, &err), err);
    topic_unref(t);
    buf_done(&key);
    buf_done(&value);
}

TEST(a_prepared_transaction_is_completed_as_decided_and_an_ongoing_one_is_left) {
    static const enum txn_status decided[] = {TXN_PREPARE_COMMIT, TXN_PREPARE_ABORT, TXN_ONGOING};
    static const char *const want[] = {"0:data 1:!commit", "0:data 1:!abort", "0:data"};
    static const char *const states[] = {"client:0:CompleteCommit:0 own:0:Empty:0 ", "client:0:CompleteAbort:0 own:0:Empty:0 ", "client:0:Ongoing:0 own:0:Empty:0 "};
    for (int i = 0; i < 3; i++) {
        struct world w;
        struct err err;
        const char *text = "data";
        world_open(&w, fs_mem_new());
        struct txn *x = init(&w, "own"); // makes the topic
        struct buf b = fixture_batch(777, 0, 0, &text, 1);
        b.p[22] |= BATCH_TRANSACTIONAL;
        put_be32(b.p + 17, crc32c(0, b.p + 21, b.n - 21));
        struct commit *c = commit_new(w.store);
        assert_ok(commit_append(c, PART(&w, a, 0), &b, false, &err), err);
        assert_ok(store_commit_wait(w.store, c, NULL, &err), err);
        put_state(&w, "client", 777, decided[i]);
        world_kill(&w, x);
        assert_int_equal(w.report.completed, i < 2);
        assert_int_equal(w.report.aborted, 0);
        assert_string_equal(fixture_log(w.store, "a", 0, READ_UNCOMMITTED), want[i]);
        assert_states(&w, states[i]);
        world_close(&w);
    }
}

TEST(when_epochs_run_out_a_new_producer_id_is_taken) {
    struct world w;
    struct err err;
    world_open(&w, fs_mem_new());
    struct txn *x = init(&w, "task");
    int64_t id = txn_producer_id(x);
    txn_close(x);
    struct buf key = {0}, value = {0}, b = {0};
    struct batch_builder build;
    struct topic *t = topic_get(w.store, TXN_TOPIC);
    struct commit *c = commit_new(w.store);
    txn_key_encode(&key, STR("task"));
    txn_value_encode(&value, &(struct txn_value){.producer_id = id, .producer_epoch = INT16_MAX - 1, .previous_id = -1, .next_id = -1, .timeout_ms = 1});
    batch_begin(&build, &b, CODEC_NONE);
    batch_add(&build, 0, buf_str(&key), buf_str(&value), NULL, 0);
    assert_ok(batch_end(&build, &err), err);
    assert_ok(commit_append(c, topic_partition(t, coord_partition(STR("task"), 4)), &b, true, &err), err);
    assert_ok(store_commit_wait(w.store, c, NULL, &err), err);
    topic_unref(t);
    buf_done(&key);
    buf_done(&value);
    world_kill(&w, NULL);
    x = init(&w, "task");
    assert_int_equal(txn_epoch(x), 0);
    assert_true(txn_producer_id(x) > id);
    txn_close(x);
    world_close(&w);
}

// ── damage ───────────────────────────────────────────────────────────────────────────────────────────────────────────

static int32_t state_partition(const char *id) { return coord_partition(str_of(id), 4); }

// A kill, and one bit of what was written of the id is another one.
static void kill_and_damage(struct world *w, struct txn *open, const char *id) {
    char path[128];
    struct fs *copy = fs_mem_clone(w->fs);
    txn_close(open);
    world_close(w);
    snprintf(path, sizeof(path), TXN_TOPIC "-%d/00000000000000000000.log", state_partition(id));
    fs_mem_flip(copy, path, 70, 1);
    world_open(w, copy);
}

TEST(a_damaged_partition_of_states_refuses_its_ids_and_no_others) {
    struct world w;
    struct txn *x;
    struct err err;
    world_open(&w, fs_mem_new());
    assert_int_not_equal(state_partition("task"), state_partition("other"));
    txn_close(init(&w, "task"));
    txn_close(init(&w, "other"));
    assert_ok(store_checkpoint(w.store, &err), err);
    kill_and_damage(&w, NULL, "task");
    assert_int_equal(txns_damage(w.txns)->n, 1);
    assert_fails(txn_init(w.txns, "task", &x, &err), err, ERR_CORRUPT);
    assert_has(err.msg, "transactional id task: " TXN_TOPIC);
    assert_has(err.hint, "`connectd log-repair show " TXN_TOPIC);
    assert_states(&w, "other:0:Empty:0 ");
    x = init(&w, "other");
    write_text(&w, x, PART(&w, a, 0), "one");
    assert_int_equal(end(&w, x), ERR_NONE);
    assert_string_equal(fixture_log(w.store, "a", 0, READ_COMMITTED), "0:one 1:!commit");
    txn_close(x);
    world_close(&w);
}

TEST(what_no_state_tells_of_stays_open_and_the_rest_is_aborted) {
    struct world w;
    struct err err;
    world_open(&w, fs_mem_new());
    struct txn *x = init(&w, "task"), *y = init(&w, "other");
    assert_ok(store_checkpoint(w.store, &err), err);
    write_text(&w, x, PART(&w, a, 0), "one");
    write_text(&w, y, PART(&w, a, 1), "two");
    struct fs *copy = fs_mem_clone(w.fs);
    txn_close(y);
    struct fs *now = w.fs;
    w.fs = copy;
    kill_and_damage(&w, x, "task");
    fs_close(now);
    assert_int_equal(w.report.aborted, 1);
    assert_int_equal(w.report.undecided, 1);
    assert_int_equal(open_on_disk(&w), 1);
    assert_string_equal(fixture_log(w.store, "a", 0, READ_COMMITTED), "");
    assert_string_equal(fixture_log(w.store, "a", 1, READ_UNCOMMITTED), "0:two 1:!abort");
    world_close(&w);
}

TEST(a_producer_whose_state_can_not_be_written_still_lets_readers_go) {
    struct world w;
    struct err err;
    world_open(&w, fs_mem_new());
    struct txn *x = init(&w, "task");
    write_text(&w, x, PART(&w, a, 0), "one");
    struct topic *t = topic_get(w.store, TXN_TOPIC);
    partition_fail(topic_partition(t, state_partition("task")), "a test", -1);
    topic_unref(t);
    assert_int_equal(end(&w, x), ERR_CORRUPT);
    assert_fails(txn_abort(x, &err), err, ERR_CORRUPT);
    assert_int_equal(open_on_disk(&w), 0);
    assert_string_equal(fixture_log(w.store, "a", 0, READ_UNCOMMITTED), "0:one 1:!abort");
    txn_close(x);
    assert_fails(txn_init(w.txns, "task", &x, &err), err, ERR_CORRUPT);
    world_close(&w);
}

TEST(a_partition_that_is_stopped_does_not_keep_the_others_from_their_markers) {
    struct world w;
    struct err err;
    world_open(&w, fs_mem_new());
    struct txn *x = init(&w, "task");
    write_text(&w, x, PART(&w, a, 0), "one");
    write_text(&w, x, PART(&w, a, 1), "two");
    partition_fail(PART(&w, a, 0), "a test", -1);
    assert_int_equal(end(&w, x), ERR_CORRUPT); // all or nothing
    assert_ok(txn_abort(x, &err), err);
    assert_string_equal(fixture_log(w.store, "a", 1, READ_UNCOMMITTED), "0:two 1:!abort");
    write_text(&w, x, PART(&w, a, 1), "three");
    assert_ok(store_checkpoint(w.store, &err), err);
    world_kill(&w, x); // a start can not do more either
    assert_int_equal(w.report.aborted, 1);
    assert_string_equal(fixture_log(w.store, "a", 1, READ_COMMITTED), "0:two 1:!abort 2:three 3:!abort");
    world_close(&w);
}

TEST(what_was_prepared_waits_for_a_partition_that_is_stopped) {
    struct world w;
    struct err err;
    const char *text = "data";
    world_open(&w, fs_mem_new());
    struct txn *x = init(&w, "own"); // makes the topic
    for (int i = 0; i < 2; i++) {
        struct buf b = fixture_batch(777, 0, 0, &text, 1);
        b.p[22] |= BATCH_TRANSACTIONAL;
        put_be32(b.p + 17, crc32c(0, b.p + 21, b.n - 21));
        struct commit *c = commit_new(w.store);
        assert_ok(commit_append(c, i ? PART(&w, b, 0) : PART(&w, a, 0), &b, false, &err), err);
        assert_ok(store_commit_wait(w.store, c, NULL, &err), err);
    }
    put_state(&w, "client", 777, TXN_PREPARE_COMMIT);
    partition_fail(PART(&w, b, 0), "a test", -1);
    assert_ok(store_checkpoint(w.store, &err), err);
    world_kill(&w, x);
    assert_int_equal(w.report.completed, 0);
    assert_int_equal(w.report.aborted, 0);
    assert_states(&w, "client:0:PrepareCommit:0 own:0:Empty:0 ");
    assert_string_equal(fixture_log(w.store, "a", 0, READ_COMMITTED), "");
    world_close(&w);
}
