// SPDX-License-Identifier: Apache-2.0
// Partitions that a start leaves for later: what a commit that was never framed left in them is seen to all the same.
#include <stdio.h>

#include "fixture.h"
#include "partition.h"
#include "store_int.h"

enum { PARTITIONS = 40, PUTS = 3 };

// A store whose partitions all hold PUTS records, as a kill leaves it after one more was put into partition 0. The caller closes it.
static struct fs *killed_store(void) {
    struct fs *fs = fs_mem_new(), *copy;
    struct store *s = fixture_open(fs);
    struct err err;
    fixture_topic(s, "t", PARTITIONS, "retention.ms", "-1");
    for (int32_t p = 0; p < PARTITIONS; p++)
        for (int i = 0; i < PUTS; i++) assert_int_equal(fixture_put(s, "t", p, "text", &err), i);
    assert_ok(store_checkpoint(s, &err), err);
    assert_int_equal(fixture_put(s, "t", 0, "text", &err), PUTS);
    copy = fs_mem_clone(fs);
    fixture_close(s);
    fs_close(fs);
    return copy;
}

// With a cleaner, which looks at nothing in the first second by itself.
static struct store *open_later(struct fs *fs) {
    struct store_options o = fixture_options(fs);
    struct store *s;
    struct err err;
    o.cleaner_off = false;
    assert_ok(store_open(&o, &s, &err), err);
    return s;
}

static struct fs_file *open_file(struct fs *fs, const char *path, int flags) {
    struct fs_file *f;
    struct err err;
    assert_ok(fs->ops->open(fs, path, flags, &f, &err), err);
    return f;
}

static uint64_t size_of(struct fs *fs, const char *path) {
    struct fs_stat st;
    return fs->ops->stat(fs, path, &st, NULL) ? UINT64_MAX : st.size;
}

static void path_of(int32_t partition, const char *name, char out[64]) { snprintf(out, 64, "t-%d/%s", partition, name); }

// What the commit under way had written: bytes behind the end, and the files of a segment that it began.
static void leave_behind(struct fs *fs, int32_t partition) {
    static const char text[] = "bytes of a commit that was never framed";
    static const char *const names[] = {"00000000000000000000.log", "00000000000000000009.log", "00000000000000000009.index", "00000000000000000000.1.cleaned.log"};
    char path[64];
    struct err err;
    for (size_t i = 0; i < countof(names); i++) {
        path_of(partition, names[i], path);
        struct fs_file *f = open_file(fs, path, FS_WRITE | FS_CREATE);
        uint64_t at = i ? 0 : size_of(fs, path);
        assert_ok(fs_pwrite(fs, f, text, sizeof(text), at, &err), err);
        fs->ops->close(f, NULL);
    }
}

static bool is_clear(struct fs *fs, int32_t partition, uint64_t size) {
    char path[64];
    path_of(partition, "00000000000000000000.log", path);
    if (size_of(fs, path) != size) return false;
    path_of(partition, "00000000000000000009.log", path);
    if (size_of(fs, path) != UINT64_MAX) return false;
    path_of(partition, "00000000000000000009.index", path);
    if (size_of(fs, path) != UINT64_MAX) return false;
    path_of(partition, "00000000000000000000.1.cleaned.log", path);
    return size_of(fs, path) == UINT64_MAX;
}

static uint64_t bytes_of(struct store *s, int32_t partition) { return fixture_offsets(s, "t", partition).bytes; }

static struct recovery_report report_of(struct store *s) {
    struct recovery_report r;
    store_report(s, &r);
    return r;
}

TEST(a_start_looks_only_at_partitions_that_frames_name) {
    struct fs *fs = fs_fault_new(killed_store());
    struct store *s = open_later(fs);
    struct recovery_report r = report_of(s);
    assert_int_equal(r.partitions_checked, 1);
    assert_int_equal(r.partitions_left, PARTITIONS - 1);
    assert_in_range(fs_fault_count(fs, FS_OP_STAT), 1, 15);
    assert_int_equal(fs_fault_count(fs, FS_OP_LIST), 2); // the one partition and the folder of all
    assert_string_equal(fixture_log(s, "t", 0, READ_UNCOMMITTED), "0:text 1:text 2:text 3:text");
    assert_string_equal(fixture_log(s, "t", 7, READ_UNCOMMITTED), "0:text 1:text 2:text");
    fixture_close(s);
    fs_close(fs);
}

TEST(what_was_left_above_the_end_is_cut_before_anything_is_appended) {
    struct fs *fs = killed_store();
    struct err err;
    leave_behind(fs, 7);
    struct store *s = open_later(fs);
    uint64_t size = bytes_of(s, 7);
    assert_false(is_clear(fs, 7, size));
    assert_string_equal(fixture_log(s, "t", 7, READ_UNCOMMITTED), "0:text 1:text 2:text");
    assert_int_equal(fixture_put(s, "t", 7, "more", &err), PUTS);
    assert_true(is_clear(fs, 7, bytes_of(s, 7)));
    struct recovery_report r = report_of(s);
    assert_int_equal(r.partitions_left, PARTITIONS - 2);
    assert_int_equal(r.cut_bytes, 80);
    assert_int_equal(r.files_removed, 3);
    assert_int_equal(atomic_load(&s->quarantined), 80);
    assert_string_equal(fixture_log(s, "t", 7, READ_UNCOMMITTED), "0:text 1:text 2:text 3:more");
    fixture_close(s);
    fs_close(fs);
}

TEST(what_was_left_is_also_found_in_partitions_that_nobody_writes_to) {
    struct fs *fs = killed_store();
    struct err err;
    leave_behind(fs, 7);
    leave_behind(fs, 39);
    struct store *s = open_later(fs);
    assert_ok(store_clean(s, &err), err);
    struct recovery_report r = report_of(s);
    assert_int_equal(r.partitions_left, 0);
    assert_int_equal(r.cut_bytes, 160);
    assert_true(is_clear(fs, 7, bytes_of(s, 7)));
    assert_true(is_clear(fs, 39, bytes_of(s, 39)));
    fixture_close(s);
    fs_close(fs);
}

TEST(a_store_that_is_closed_before_leaves_nothing_either) {
    struct fs *fs = killed_store();
    leave_behind(fs, 7);
    struct store *s = open_later(fs);
    uint64_t size = bytes_of(s, 7);
    fixture_close(s);
    assert_true(is_clear(fs, 7, size));
    fs_mem_unlock(fs);
    s = fixture_open(fs);
    assert_true(report_of(s).was_clean);
    fixture_close(s);
    fs_close(fs);
}

TEST(another_kill_before_leaves_it_for_the_next_start) {
    struct fs *fs = killed_store();
    leave_behind(fs, 7);
    struct store *s = open_later(fs);
    uint64_t size = bytes_of(s, 7);
    struct fs *copy = fs_mem_clone(fs);
    fixture_close(s);
    fs_close(fs);
    s = open_later(copy);
    assert_int_equal(report_of(s).partitions_left, PARTITIONS);
    fixture_close(s);
    assert_true(is_clear(copy, 7, size));
    fs_close(copy);
}

TEST(the_epoch_rises_where_bytes_were_cut_and_frames_that_follow_tell_a_start_so) {
    struct fs *fs = killed_store();
    struct err err;
    leave_behind(fs, 7);
    struct store *s = open_later(fs);
    assert_int_equal(fixture_offsets(s, "t", 7).leader_epoch, 0);
    fixture_put(s, "t", 7, "more", &err);
    assert_int_equal(fixture_offsets(s, "t", 7).leader_epoch, 1);
    struct fs *copy = fs_mem_clone(fs);
    fixture_close(s);
    fs_close(fs);
    s = fixture_open(copy);
    assert_int_equal(fixture_offsets(s, "t", 7).leader_epoch, 1);
    assert_string_equal(fixture_log(s, "t", 7, READ_UNCOMMITTED), "0:text 1:text 2:text 3:more");
    fixture_close(s);
    fs_close(copy);
}

TEST(a_file_missing_below_the_end_stops_its_partition_when_it_is_looked_at_and_no_other) {
    struct fs *fs = killed_store();
    struct err err;
    assert_ok(fs->ops->unlink(fs, "t-7/00000000000000000000.log", &err), err);
    assert_ok(fs->ops->unlink(fs, "t-8/00000000000000000000.log", &err), err);
    struct store *s = open_later(fs);
    assert_int_equal(fixture_put(s, "t", 7, "more", &err), -1);
    assert_int_equal(err.code, ERR_CORRUPT);
    assert_has(err.msg, "t-7 is stopped");
    assert_ok(store_clean(s, &err), err);
    struct topic *t = topic_get(s, "t");
    assert_fails(partition_health(topic_partition(t, 8), &err), err, ERR_CORRUPT);
    topic_unref(t);
    assert_int_equal(fixture_put(s, "t", 9, "more", &err), PUTS);
    fixture_close(s);
    fs_close(fs);
}

TEST(a_cut_that_can_not_be_made_durable_stops_the_store) {
    struct fs *mem = killed_store(), *fs;
    struct err err;
    leave_behind(mem, 7);
    fs = fs_fault_new(mem);
    struct store *s = open_later(fs);
    fs_fault_add(fs, (struct fs_fault_rule){.ops = FS_OP_SYNC, .path = "t-7/", .sys = 5});
    assert_int_equal(fixture_put(s, "t", 7, "more", &err), PUTS);
    assert_fails(store_checkpoint(s, &err), err, ERR_IO);
    assert_fails(store_health(s, &err), err, ERR_STOPPED);
    assert_fails(store_close(s, &err), err, ERR_STOPPED);
    fs_close(fs);
}

TEST(a_process_without_a_free_descriptor_tries_again) {
    struct fs *mem = killed_store(), *fs;
    struct err err;
    leave_behind(mem, 7);
    fs = fs_fault_new(mem);
    struct store *s = open_later(fs);
    fs_fault_add(fs, (struct fs_fault_rule){.ops = FS_OP_LIST, .path = "t-7", .sys = 24});
    assert_int_equal(fixture_put(s, "t", 7, "more", &err), -1);
    assert_true(err_retriable(&err));
    assert_int_equal(fixture_put(s, "t", 7, "more", &err), PUTS);
    assert_true(is_clear(mem, 7, bytes_of(s, 7)));
    assert_int_equal(report_of(s).cut_bytes, 80);
    fixture_close(s);
    fs_close(fs);
}

TEST(a_topic_deleted_before_is_nobodys_to_look_at) {
    struct fs *fs = killed_store();
    struct err err;
    leave_behind(fs, 7);
    struct store *s = open_later(fs);
    assert_ok(store_topic_delete(s, "t", &err), err);
    assert_int_equal(report_of(s).partitions_left, 0);
    assert_ok(store_clean(s, &err), err);
    fixture_topic(s, "t", 9, NULL, NULL);
    assert_int_equal(fixture_put(s, "t", 7, "first", &err), 0);
    fixture_close(s);
    fs_close(fs);
}
