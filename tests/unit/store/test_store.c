// SPDX-License-Identifier: Apache-2.0
// The store from outside: topics, commits, reads, watches, reopening.
#include <stdio.h>

#include "fixture.h"

TEST(what_was_committed_is_read_back_and_still_there_after_a_clean_restart) {
    struct fs *fs = fs_mem_new();
    struct store *s = fixture_open(fs);
    struct err err;
    fixture_topic(s, "orders", 2, NULL, NULL);
    assert_int_equal(fixture_put(s, "orders", 0, "a", &err), 0);
    assert_int_equal(fixture_put(s, "orders", 0, "b", &err), 1);
    assert_int_equal(fixture_put(s, "orders", 1, "c", &err), 0);
    assert_string_equal(fixture_log(s, "orders", 0, READ_UNCOMMITTED), "0:a 1:b");
    s = fixture_reopen(s, &fs);
    struct recovery_report report;
    store_report(s, &report);
    assert_true(report.was_clean);
    assert_string_equal(fixture_log(s, "orders", 0, READ_UNCOMMITTED), "0:a 1:b");
    assert_string_equal(fixture_log(s, "orders", 1, READ_UNCOMMITTED), "0:c");
    assert_int_equal(fixture_put(s, "orders", 0, "d", &err), 2);
    fixture_close(s);
    fs_close(fs);
}

TEST(what_was_acknowledged_survives_losing_everything_that_was_not_synced) {
    struct fs *fs = fs_mem_new();
    struct store *s = fixture_open(fs);
    struct err err;
    fixture_topic(s, "orders", 1, NULL, NULL);
    for (int i = 0; i < 5; i++) assert_int_equal(fixture_put(s, "orders", 0, "x", &err), i);
    struct fs *copy = fs_mem_clone(fs); // as a kill leaves it
    fixture_close(s);
    fs_close(fs);
    s = fixture_open(copy);
    struct recovery_report report;
    store_report(s, &report);
    assert_false(report.was_clean);
    assert_int_equal(report.frames, 6);
    assert_string_equal(fixture_log(s, "orders", 0, READ_UNCOMMITTED), "0:x 1:x 2:x 3:x 4:x");
    fixture_close(s);
    fs_close(copy);
}

TEST(segments_end_at_their_size_and_reads_go_across_them) {
    struct fs *fs = fs_mem_new();
    struct store *s = fixture_open(fs);
    fixture_topic(s, "small", 1, "segment.bytes", "300");
    fixture_fill(s, "small", 0, 20, 1);
    struct partition_offsets o = fixture_offsets(s, "small", 0);
    assert_int_equal(o.high_watermark, 20);
    assert_true(o.segments > 4);
    const char *all = fixture_log(s, "small", 0, READ_UNCOMMITTED);
    assert_has(all, "0:0 1:1 2:2 3:3");
    assert_has(all, "18:18 19:19");
    s = fixture_reopen(s, &fs);
    assert_has(fixture_log(s, "small", 0, READ_UNCOMMITTED), "18:18 19:19");
    fixture_close(s);
    fs_close(fs);
}

static int32_t epoch_of_last(struct store *s) {
    struct topic *t = topic_get(s, "t");
    struct buf out = {0};
    struct read_result r;
    struct batch_header h;
    struct err err;
    struct read_request q = {.from = fixture_offsets(s, "t", 0).high_watermark - 1, .max_bytes = 1};
    assert_ok(partition_read(topic_partition(t, 0), &q, &out, &r, &err), err);
    assert_int_equal(batch_read_header(out.p, out.n, &h), 0);
    buf_done(&out);
    topic_unref(t);
    return h.leader_epoch;
}

// Bytes that no frame names, as a commit leaves them that was cut before its frame.
static void append_bytes(struct fs *fs, const char *path) {
    struct fs_stat st = {0};
    struct fs_file *f;
    struct err err;
    (void)!fs->ops->stat(fs, path, &st, &err);
    assert_ok(fs->ops->open(fs, path, FS_WRITE | FS_CREATE, &f, &err), err);
    assert_ok(fs_pwrite(fs, f, "never acknowledged", 18, st.size, &err), err);
    fs->ops->close(f, NULL);
}

TEST(each_recovery_that_cuts_begins_a_leader_epoch_of_its_own) {
    struct fs *fs = fs_mem_new();
    struct store *s = fixture_open(fs);
    struct err err;
    fixture_topic(s, "t", 1, NULL, NULL);
    for (int32_t epoch = 0; epoch < 4; epoch++) {
        assert_int_equal(fixture_put(s, "t", 0, "x", &err), epoch);
        assert_int_equal(epoch_of_last(s), epoch);
        struct fs *killed = fs_mem_clone(fs);
        append_bytes(killed, "t-0/00000000000000000000.log");
        fixture_close(s);
        fs_close(fs);
        fs = killed;
        s = fixture_open(fs);
        assert_int_equal(fixture_offsets(s, "t", 0).leader_epoch, epoch + 1);
    }
    fixture_close(s);
    fs_close(fs);
}

static int count_file(void *arg, const char *name) { return ++*(int *)arg, 0; }

// As a segment that was made and taken back leaves it when its removal is lost with the power, behind a clean stop.
TEST(a_segment_begins_where_a_file_that_no_frame_names_is_in_the_way_and_its_bytes_are_kept_aside) {
    struct fs *fs = fs_mem_new();
    struct store *s = fixture_open(fs);
    struct err err;
    int kept = 0;
    fixture_topic(s, "t", 1, "segment.bytes", "150");
    assert_int_equal(fixture_put(s, "t", 0, "first", &err), 0);
    append_bytes(fs, "t-0/00000000000000000001.log");
    assert_int_equal(fixture_put(s, "t", 0, "second, which goes beyond what a segment may hold beside the first", &err), 1);
    assert_int_equal(fixture_offsets(s, "t", 0).segments, 2);
    assert_ok(fs->ops->list(fs, "quarantine", count_file, &kept, &err), err);
    assert_int_equal(kept, 1);
    s = fixture_reopen(s, &fs);
    assert_has(fixture_log(s, "t", 0, READ_UNCOMMITTED), "0:first 1:second");
    fixture_close(s);
    fs_close(fs);
}

static void count_call(void *arg) { ++*(int *)arg; }

TEST(a_watch_fires_once_when_the_high_watermark_passes_it) {
    struct fs *fs = fs_mem_new();
    struct store *s = fixture_open(fs);
    struct err err;
    int calls = 0;
    fixture_topic(s, "orders", 1, NULL, NULL);
    struct topic *t = topic_get(s, "orders");
    struct watch w = {.partition = topic_partition(t, 0), .beyond = 1, .fn = count_call, .arg = &calls};
    partition_watch(&w);
    fixture_put(s, "orders", 0, "a", &err);
    assert_int_equal(calls, 0);
    fixture_put(s, "orders", 0, "b", &err);
    fixture_put(s, "orders", 0, "c", &err);
    assert_int_equal(calls, 1);
    partition_unwatch(&w);
    struct watch late = {.partition = topic_partition(t, 0), .beyond = 1, .fn = count_call, .arg = &calls};
    partition_watch(&late);
    assert_int_equal(calls, 2);
    topic_unref(t);
    fixture_close(s);
    fs_close(fs);
}

TEST(a_closed_segment_keeps_no_disk_space_that_it_does_not_use) {
    struct fs *fs = fs_mem_new();
    struct store *s = fixture_open(fs);
    struct err err;
    struct fs_stat st;
    struct fs_space before, after;
    fixture_topic(s, "t", 1, "segment.bytes", "200000");
    assert_ok(fs->ops->space(fs, &before, &err), err);
    fixture_fill(s, "t", 0, 500, 3000);
    assert_ok(store_checkpoint(s, &err), err);
    assert_ok(fs->ops->space(fs, &after, &err), err);
    struct partition_offsets o = fixture_offsets(s, "t", 0);
    assert_true(o.segments > 7);
    assert_ok(fs->ops->stat(fs, "t-0/00000000000000000000.log", &st, &err), err);
    assert_true(st.size > 100000 && st.allocated <= st.size + 4096);
    assert_true(before.available - after.available < o.bytes + 400000); // the active one may reserve as much again
    fixture_close(s);
    fs_close(fs);
}
