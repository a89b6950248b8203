// SPDX-License-Identifier: Apache-2.0
// Producers and transactions through the store: duplicates, fencing, isolation, aborts, markers.
#include <errno.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>

#include "fixture.h"
#include "fs_crash.h"

static int send(struct store *s, int partition, int64_t id, int16_t epoch, int32_t sequence, bool txn, const char *text, struct append_result *ret, struct err *err) {
    struct batch_builder b;
    struct buf out = {0};
    batch_begin(&b, &out, CODEC_NONE);
    b.producer_id = id, b.producer_epoch = epoch, b.base_sequence = sequence;
    if (txn) b.attributes |= BATCH_TRANSACTIONAL;
    batch_add(&b, 1, (struct str){NULL, 0}, str_of(text), NULL, 0);
    assert_ok(batch_end(&b, err), *err);
    struct topic *t = topic_get(s, "t");
    struct commit *c = commit_new(s);
    assert_ok(commit_append(c, topic_partition(t, partition), &out, true, err), *err);
    topic_unref(t);
    return store_commit_wait(s, c, ret, err);
}

static int mark(struct store *s, int partition, int64_t id, int16_t epoch, bool commit_txn, struct err *err) {
    struct topic *t = topic_get(s, "t");
    struct commit *c = commit_new(s);
    assert_ok(commit_marker(c, topic_partition(t, partition), id, epoch, commit_txn, 0, err), *err);
    topic_unref(t);
    return store_commit_wait(s, c, NULL, err);
}

static const char *aborted(struct store *s, int partition) {
    static struct buf text;
    struct aborted_txn *all;
    size_t n;
    struct err err;
    struct topic *t = topic_get(s, "t");
    struct partition_offsets o = fixture_offsets(s, "t", partition);
    buf_clear(&text);
    assert_ok(partition_aborted(topic_partition(t, partition), o.log_start, o.last_stable, &all, &n, &err), err);
    for (size_t i = 0; i < n; i++) buf_printf(&text, "%lld@%lld ", (long long)all[i].producer_id, (long long)all[i].first_offset);
    free(all);
    topic_unref(t);
    return buf_cstr(&text);
}

TEST(the_same_batch_again_is_a_duplicate_with_its_first_offset_also_after_a_restart) {
    struct fs *fs = fs_mem_new();
    struct store *s = fixture_open(fs);
    struct append_result r;
    struct err err;
    fixture_topic(s, "t", 1, NULL, NULL);
    assert_ok(send(s, 0, 5, 0, 0, false, "a", &r, &err), err);
    assert_ok(send(s, 0, 5, 0, 1, false, "b", &r, &err), err);
    for (int round = 0; round < 2; round++) {
        assert_ok(send(s, 0, 5, 0, 0, false, "a", &r, &err), err);
        assert_true(r.duplicate);
        assert_int_equal(r.base_offset, 0);
        assert_fails(send(s, 0, 5, 0, 7, false, "gap", &r, &err), err, ERR_SEQUENCE);
        s = fixture_reopen(s, &fs);
    }
    assert_ok(send(s, 0, 5, 1, 0, false, "c", &r, &err), err);
    assert_fails(send(s, 0, 5, 0, 2, false, "old", &r, &err), err, ERR_FENCED);
    assert_string_equal(fixture_log(s, "t", 0, READ_UNCOMMITTED), "0:a 1:b 2:c");
    fixture_close(s);
    fs_close(fs);
}

TEST(a_commit_with_one_wrong_sequence_leaves_no_trace_of_the_others) {
    struct fs *fs = fs_mem_new();
    struct store *s = fixture_open(fs);
    struct append_result r;
    struct err err;
    const char *texts[] = {"x"};
    fixture_topic(s, "t", 2, NULL, NULL);
    assert_ok(send(s, 1, 5, 0, 0, false, "a", &r, &err), err);
    struct topic *t = topic_get(s, "t");
    struct commit *c = commit_new(s);
    struct buf plain = fixture_text("plain"), first = fixture_batch(6, 0, 0, texts, 1), wrong = fixture_batch(5, 0, 9, texts, 1);
    assert_ok(commit_append(c, topic_partition(t, 0), &plain, true, &err), err);
    assert_ok(commit_append(c, topic_partition(t, 0), &first, true, &err), err);
    assert_ok(commit_append(c, topic_partition(t, 1), &wrong, true, &err), err);
    assert_fails(store_commit_wait(s, c, NULL, &err), err, ERR_SEQUENCE);
    topic_unref(t);
    assert_string_equal(fixture_log(s, "t", 0, READ_UNCOMMITTED), "");
    assert_ok(send(s, 0, 6, 0, 0, false, "new", &r, &err), err);
    assert_false(r.duplicate); // producer 6 was never heard of
    assert_int_equal(r.base_offset, 0);
    fixture_close(s);
    fs_close(fs);
}

TEST(readers_of_committed_records_stop_at_the_oldest_open_transaction) {
    struct fs *fs = fs_mem_new();
    struct store *s = fixture_open(fs);
    struct append_result r;
    struct err err;
    fixture_topic(s, "t", 1, NULL, NULL);
    fixture_put(s, "t", 0, "plain", &err);
    assert_ok(send(s, 0, 5, 0, 0, true, "in txn", &r, &err), err);
    fixture_put(s, "t", 0, "after", &err);
    assert_ok(send(s, 0, 6, 0, 0, true, "other txn", &r, &err), err);
    assert_int_equal(fixture_offsets(s, "t", 0).last_stable, 1);
    assert_string_equal(fixture_log(s, "t", 0, READ_COMMITTED), "0:plain");
    assert_fails(send(s, 0, 5, 0, 1, false, "outside", &r, &err), err, ERR_TXN_STATE);
    assert_ok(mark(s, 0, 5, 0, true, &err), err);
    assert_int_equal(fixture_offsets(s, "t", 0).last_stable, 3);
    assert_string_equal(fixture_log(s, "t", 0, READ_COMMITTED), "0:plain 1:in txn 2:after");
    assert_ok(mark(s, 0, 6, 0, false, &err), err);
    assert_int_equal(fixture_offsets(s, "t", 0).last_stable, 6);
    assert_string_equal(aborted(s, 0), "6@3 ");
    s = fixture_reopen(s, &fs);
    assert_string_equal(aborted(s, 0), "6@3 ");
    assert_string_equal(fixture_log(s, "t", 0, READ_UNCOMMITTED), "0:plain 1:in txn 2:after 3:other txn 4:!commit 5:!abort");
    fixture_close(s);
    fs_close(fs);
}

static int note_open(void *arg, const struct open_txn *t) {
    buf_printf(arg, "%s-%d:%lld@%lld ", partition_topic(t->partition), partition_index(t->partition), (long long)t->producer_id, (long long)t->first_offset);
    return 0;
}

TEST(open_transactions_are_known_after_a_crash_and_can_be_ended) {
    struct fs *fs = fs_mem_new();
    struct store *s = fixture_open(fs);
    struct append_result r;
    struct buf open = {0};
    struct err err;
    fixture_topic(s, "t", 2, NULL, NULL);
    fixture_put(s, "t", 1, "x", &err);
    assert_ok(send(s, 1, 5, 3, 0, true, "left open", &r, &err), err);
    assert_ok(send(s, 0, 9, 0, 0, true, "committed", &r, &err), err);
    assert_ok(mark(s, 0, 9, 0, true, &err), err);
    struct fs *copy = fs_mem_clone(fs);
    fixture_close(s);
    fs_close(fs);
    s = fixture_open(copy);
    assert_int_equal(store_open_txns(s, note_open, &open), 0);
    assert_buf(&open, "t-1:5@1 ");
    assert_int_equal(fixture_offsets(s, "t", 1).last_stable, 1);
    assert_fails(mark(s, 1, 5, 2, false, &err), err, ERR_FENCED);
    assert_ok(mark(s, 1, 5, 4, false, &err), err);
    assert_int_equal(fixture_offsets(s, "t", 1).last_stable, 3);
    assert_string_equal(aborted(s, 1), "5@1 ");
    assert_int_equal(store_open_txns(s, note_open, &open), 0);
    assert_buf(&open, "");
    buf_done(&open);
    fixture_close(s);
    fs_close(copy);
}

TEST(an_abort_that_the_transaction_index_can_not_take_yet_is_known_all_the_same) {
    struct fs *inner = fs_mem_new(), *fs = fs_fault_new(inner);
    struct store *s = fixture_open(fs);
    struct append_result r;
    struct err err;
    fixture_topic(s, "t", 1, NULL, NULL);
    fs_fault_add(fs, (struct fs_fault_rule){.ops = FS_OP_OPEN | FS_OP_WRITE, .path = ".txnindex", .sys = 28, .forever = true});
    assert_ok(send(s, 0, 5, 0, 0, true, "x", &r, &err), err);
    assert_ok(mark(s, 0, 5, 0, false, &err), err);
    assert_int_not_equal(store_checkpoint(s, &err), 0);
    fs_fault_clear(fs);
    assert_ok(send(s, 0, 6, 0, 0, true, "y", &r, &err), err);
    assert_ok(mark(s, 0, 6, 0, false, &err), err);
    assert_string_equal(aborted(s, 0), "5@0 6@2 ");
    assert_ok(store_checkpoint(s, &err), err);
    assert_string_equal(aborted(s, 0), "5@0 6@2 ");
    fixture_close(s);
    fs_close(fs);
}

TEST(transactions_over_several_segments_keep_their_aborts) {
    struct fs *fs = fs_mem_new();
    struct store *s = fixture_open(fs);
    struct append_result r;
    struct err err;
    char text[16];
    fixture_topic(s, "t", 1, "segment.bytes", "400");
    for (int i = 0; i < 30; i++) {
        snprintf(text, sizeof(text), "%d", i);
        assert_ok(send(s, 0, 5, 0, i, true, text, &r, &err), err);
        if (i % 4 == 3) assert_ok(mark(s, 0, 5, 0, i % 8 == 3, &err), err);
    }
    assert_ok(mark(s, 0, 5, 0, false, &err), err);
    assert_true(fixture_offsets(s, "t", 0).segments > 5);
    assert_string_equal(aborted(s, 0), "5@5 5@15 5@25 5@35 ");
    struct fs *copy = fs_mem_clone(fs);
    fixture_close(s);
    fs_close(fs);
    s = fixture_open(copy);
    assert_string_equal(aborted(s, 0), "5@5 5@15 5@25 5@35 ");
    fixture_close(s);
    fs_close(copy);
}

// A reader that comes in the middle of a group's publication: the first partition's first segment of it is in the list, its second one, with the
// marker, is not.
struct look {
    struct partition *p;
    sem_t queued, ended;
    int64_t stable;
    size_t known;
};

static void wait_queued(void *arg, const struct err *err, const struct append_result *results, size_t n) { sem_wait(&((struct look *)arg)->queued); }
static void note_ended(void *arg, const struct err *err, const struct append_result *results, size_t n) { sem_post(&((struct look *)arg)->ended); }

static void look(void *arg, enum fs_op op, const char *path) {
    struct look *l = arg;
    struct partition_offsets o;
    struct aborted_txn *all;
    struct err err;
    if (op != FS_OP_OPEN || strcmp(path, "t-1/00000000000000000000.txnindex") != 0) return;
    partition_offsets(l->p, &o);
    assert_int_equal(o.high_watermark, 2);
    assert_ok(partition_aborted(l->p, 0, o.last_stable, &all, &l->known, &err), err);
    l->stable = o.last_stable;
    free(all);
}

// A text, or the end of that producer's transaction.
static void start(struct store *s, struct partition *p, const char *text, int64_t id, commit_done *done, void *arg) {
    struct commit *c = commit_new(s);
    struct buf batch = {0};
    struct err err;
    if (text) batch = fixture_text(text);
    assert_ok(text ? commit_append(c, p, &batch, true, &err) : commit_marker(c, p, id, 0, false, 0, &err), err);
    store_commit(s, c, false, done, arg);
}

TEST(who_reads_while_a_group_that_goes_across_two_segments_is_published_is_not_shown_what_it_aborted) {
    struct fs *fs = fs_fault_new(fs_mem_new());
    struct store *s = fixture_open(fs);
    struct look l = {.stable = -1};
    struct append_result r;
    struct err err;
    fixture_topic(s, "t", 2, "segment.bytes", "210");
    assert_ok(send(s, 0, 5, 0, 0, true, "gone", &r, &err), err);
    assert_ok(send(s, 1, 6, 0, 0, true, "gone, too", &r, &err), err);
    struct topic *t = topic_get(s, "t");
    struct partition *beside = topic_partition(t, 1);
    l.p = topic_partition(t, 0);
    sem_init(&l.queued, 0, 0);
    sem_init(&l.ended, 0, 0);
    fixture_topic(s, "u", 1, NULL, NULL);
    struct topic *u = topic_get(s, "u");
    start(s, topic_partition(u, 0), "holds the flusher up", 0, wait_queued, &l);
    start(s, l.p, "fills the segment", 0, note_ended, &l);
    start(s, beside, NULL, 6, note_ended, &l);
    start(s, l.p, NULL, 5, note_ended, &l);
    fs_fault_on_call(fs, look, &l);
    sem_post(&l.queued);
    for (int i = 0; i < 3; i++) sem_wait(&l.ended);
    fs_fault_on_call(fs, NULL, NULL);
    assert_int_equal(fixture_offsets(s, "t", 0).segments, 2);
    assert_int_not_equal(l.stable, -1);
    if (l.stable > 0) assert_int_equal(l.known, 1);
    assert_string_equal(aborted(s, 0), "5@0 ");
    topic_unref(t);
    topic_unref(u);
    fixture_close(s);
    sem_destroy(&l.queued);
    sem_destroy(&l.ended);
    fs_close(fs);
}

// The entry is in the page cache, which calls it clean since the sync failed; a restart sees it there, and must not leave it at that.
TEST(an_aborted_transaction_whose_index_could_not_be_synced_is_still_known_after_a_restart_and_a_power_cut) {
    struct fs *memory = fs_mem_new(), *fs = fs_fault_new(memory);
    struct append_result r;
    struct err err;
    fs_fault_record(fs, true);
    struct store *s = fixture_open(fs);
    fixture_topic(s, "t", 1, NULL, NULL);
    assert_ok(send(s, 0, 5, 0, 0, true, "gone", &r, &err), err);
    assert_ok(mark(s, 0, 5, 0, false, &err), err);
    fs_fault_add(fs, (struct fs_fault_rule){.ops = FS_OP_SYNC, .path = ".txnindex", .sys = EIO});
    assert_int_not_equal(store_checkpoint(s, &err), 0);
    assert_fails(store_close(s, &err), err, ERR_STOPPED);

    struct fs *again = fs_fault_new(fs_mem_clone(memory));
    fs_fault_record(again, true);
    s = fixture_open(again);
    assert_string_equal(aborted(s, 0), "5@0 ");
    fixture_close(s);
    struct fs_trace all = fs_trace_join(fs_fault_trace(fs), fs_fault_trace(fs)->n, fs_fault_trace(again));
    struct fs *disk = fs_crash(NULL, &all, all.n, fs_keep_none, NULL);
    free(all.events);
    fs_close(again);
    fs_close(fs);
    s = fixture_open(disk);
    assert_string_equal(aborted(s, 0), "5@0 ");
    fixture_close(s);
    fs_close(disk);
}
