// SPDX-License-Identifier: Apache-2.0
// The test file systems themselves: injected failures, the trace, and the disks built from it.
#include <errno.h>
#include <stdlib.h>

#include "base/mem.h"
#include "fs_crash.h"
#include "test.h"

static struct fs *recording(void) {
    struct fs *fs = fs_fault_new(fs_mem_new());
    fs_fault_record(fs, true);
    return fs;
}

static struct fs_file *create(struct fs *fs, const char *path) {
    struct err err;
    struct fs_file *f;
    assert_ok(fs->ops->open(fs, path, FS_WRITE | FS_CREATE, &f, &err), err);
    return f;
}

static void write_at(struct fs *fs, struct fs_file *f, uint64_t at, const char *text) {
    struct err err;
    assert_ok(fs_pwrite(fs, f, text, strlen(text), at, &err), err);
}

static void sync_file(struct fs *fs, struct fs_file *f) {
    struct err err;
    assert_ok(fs->ops->fdatasync(f, &err), err);
}

static void sync_dir(struct fs *fs, const char *path) {
    struct err err;
    assert_ok(fs->ops->sync_dir(fs, path, &err), err);
}

static const struct fs_trace *end_of(struct fs *fs) { return fs_fault_trace(fs); }

// The content of a file on the disk left when nothing pending survived; NULL when it is not there.
static char *content(struct fs *disk, const char *path) {
    struct buf b = {0};
    struct err err;
    char *text = fs_read_all(disk, path, 1 << 20, &b, &err) ? NULL : xstrdup(buf_cstr(&b));
    buf_done(&b);
    return text;
}

static void assert_on_disk(struct fs *disk, const char *path, const char *want) {
    _cleanup_free_ char *got = content(disk, path);
    if (!want) assert_null(got);
    else {
        assert_non_null(got);
        assert_string_equal(got, want);
    }
}

TEST(the_nth_call_fails_once_and_the_next_succeeds) {
    struct err err;
    struct fs *fs = recording();
    struct fs_file *f = create(fs, "a");
    fs_fault_add(fs, (struct fs_fault_rule){.ops = FS_OP_SYNC, .skip = 1, .sys = EIO});
    assert_ok(fs->ops->fdatasync(f, &err), err);
    assert_fails(fs->ops->fdatasync(f, &err), err, ERR_IO);
    assert_has(err.msg, "fdatasync a (injected): input/output error");
    assert_ok(fs->ops->fdatasync(f, &err), err);
    fs->ops->close(f, NULL);
    fs_close(fs);
}

TEST(a_rule_can_hold_for_ever_and_for_some_paths_only) {
    struct err err;
    struct fs *fs = recording();
    struct fs_file *a = create(fs, "a.log"), *b = create(fs, "b.index");
    fs_fault_add(fs, (struct fs_fault_rule){.ops = FS_OP_MUTATING, .path = ".log", .forever = true, .sys = ENOSPC});
    assert_fails(fs_pwrite(fs, a, "x", 1, 0, &err), err, ERR_NOSPACE);
    assert_fails(fs->ops->truncate(a, 0, &err), err, ERR_NOSPACE);
    assert_fails(fs->ops->unlink(fs, "a.log", &err), err, ERR_NOSPACE);
    write_at(fs, b, 0, "x");
    fs_fault_clear(fs);
    write_at(fs, a, 0, "x");
    assert_int_equal(fs_fault_open_files(fs), 2);
    fs->ops->close(a, NULL);
    fs->ops->close(b, NULL);
    assert_int_equal(fs_fault_open_files(fs), 0);
    assert_int_equal(fs_fault_count(fs, FS_OP_WRITE | FS_OP_UNLINK), 4);
    fs_close(fs);
}

TEST(a_short_write_leaves_its_first_bytes) {
    struct err err;
    struct fs *fs = recording();
    struct fs_file *f = create(fs, "a");
    fs_fault_add(fs, (struct fs_fault_rule){.ops = FS_OP_WRITE, .sys = ENOSPC, .short_bytes = 4});
    assert_fails(fs_pwrite(fs, f, "0123456789", 10, 0, &err), err, ERR_NOSPACE);
    assert_on_disk(fs, "a", "0123");
    fs_fault_add(fs, (struct fs_fault_rule){.ops = FS_OP_READ, .short_bytes = 2});
    char part[4];
    assert_int_equal(fs->ops->pread(f, part, 4, 0, &err), 2);
    fs->ops->close(f, NULL);
    fs_close(fs);
}

TEST(a_call_can_take_effect_and_fail_all_the_same) {
    struct err err;
    struct fs *fs = recording();
    fs_fault_add(fs, (struct fs_fault_rule){.ops = FS_OP_RENAME, .sys = EIO, .done = true});
    struct fs_file *f = create(fs, "a");
    fs->ops->close(f, NULL);
    assert_fails(fs->ops->rename(fs, "a", "b", &err), err, ERR_IO);
    assert_on_disk(fs, "a", NULL);
    assert_on_disk(fs, "b", "");
    fs_close(fs);
}

TEST(a_full_disk_refuses_and_recovers) {
    struct err err;
    struct fs *fs = fs_mem_new();
    fs_mem_set_capacity(fs, 64 * 1024);
    struct fs_file *f = create(fs, "a");
    assert_ok(fs->ops->allocate(f, 0, 60 * 1024, true, &err), err);
    struct fs_file *g = create(fs, "b");
    assert_fails(fs->ops->allocate(g, 0, 8192, true, &err), err, ERR_NOSPACE);
    write_at(fs, f, 59 * 1024, "inside the reservation");
    write_at(fs, g, 0, "last block");
    assert_fails(fs_pwrite(fs, g, "x", 1, 8192, &err), err, ERR_NOSPACE);
    fs->ops->close(f, NULL);
    assert_ok(fs->ops->unlink(fs, "a", &err), err);
    write_at(fs, g, 8192, "x");
    fs->ops->close(g, NULL);
    fs_close(fs);
}

TEST(a_clone_shares_content_until_either_side_writes) {
    struct fs *a = fs_mem_new();
    struct fs_file *f = create(a, "x");
    write_at(a, f, 0, "before");
    struct fs *b = fs_mem_clone(a);
    assert_true(fs_mem_equal(a, b));
    write_at(a, f, 0, "after!");
    assert_on_disk(b, "x", "before");
    assert_on_disk(a, "x", "after!");
    assert_false(fs_mem_equal(a, b));
    fs_mem_flip(b, "x", 0, 0x20);
    assert_on_disk(b, "x", "Before");
    a->ops->close(f, NULL);
    fs_close(a);
    fs_close(b);
}

TEST(after_a_cut_only_synced_bytes_are_sure) {
    struct fs *fs = recording();
    struct fs_file *f = create(fs, "a");
    write_at(fs, f, 0, "synced");
    sync_file(fs, f);
    sync_dir(fs, "");
    write_at(fs, f, 0, "PENDING");
    fs_fault_mark(fs, "acked %d", 1);
    const struct fs_trace *t = end_of(fs);
    struct fs *none = fs_crash(NULL, t, t->n, fs_keep_none, NULL), *all = fs_crash(NULL, t, t->n, fs_keep_all, NULL);
    assert_on_disk(none, "a", "synced");
    assert_on_disk(all, "a", "PENDING");
    assert_string_equal(t->events[t->n - 1].path, "acked 1");
    fs_close(none);
    fs_close(all);
    fs->ops->close(f, NULL);
    fs_close(fs);
}

TEST(a_name_is_sure_only_when_its_folder_was_synced) {
    struct err err;
    struct fs *fs = recording();
    struct fs_file *f = create(fs, "a");
    write_at(fs, f, 0, "x");
    sync_file(fs, f);
    assert_ok(fs->ops->mkdir(fs, "d", &err), err);
    struct fs_file *g = create(fs, "d/b");
    write_at(fs, g, 0, "y");
    sync_dir(fs, "d");
    const struct fs_trace *t = end_of(fs);
    struct fs *disk = fs_crash(NULL, t, t->n, fs_keep_none, NULL);
    assert_on_disk(disk, "a", NULL);
    assert_on_disk(disk, "d/b", NULL); // d itself has no durable name
    fs_close(disk);
    sync_dir(fs, "");
    disk = fs_crash(NULL, t, t->n, fs_keep_none, NULL);
    assert_on_disk(disk, "a", "x");
    assert_on_disk(disk, "d/b", ""); // named, but its byte was never synced
    fs_close(disk);
    fs->ops->close(f, NULL);
    fs->ops->close(g, NULL);
    fs_close(fs);
}

TEST(replace_survives_a_cut_anywhere_with_the_old_or_the_new_content) {
    struct err err;
    struct fs *base = fs_mem_new();
    assert_ok(fs_replace(base, "s", "old", 3, &err), err);
    struct fs *fs = fs_fault_new(fs_mem_clone(base));
    fs_fault_record(fs, true);
    assert_ok(fs_replace(fs, "s", "new", 3, &err), err);
    fs_fault_mark(fs, "acked");
    const struct fs_trace *t = end_of(fs);
    for (size_t upto = 0; upto <= t->n; upto++) {
        bool acked = upto == t->n;
        for (uint64_t seed = 0; seed < 50; seed++) {
            uint64_t dice = seed;
            struct fs *disk = fs_crash(base, t, upto, fs_keep_random, &dice);
            _cleanup_free_ char *got = content(disk, "s");
            assert_non_null(got);
            assert_true(!strcmp(got, "new") || (!acked && !strcmp(got, "old")));
            fs_close(disk);
        }
    }
    fs_close(fs);
    fs_close(base);
}

TEST(a_replacement_without_its_sync_is_caught_by_the_model) {
    struct err err;
    struct fs *fs = recording();
    struct fs_file *f = create(fs, "s.tmp");
    write_at(fs, f, 0, "new");
    assert_ok(fs->ops->rename(fs, "s.tmp", "s", &err), err); // no fdatasync before
    sync_dir(fs, "");
    const struct fs_trace *t = end_of(fs);
    struct fs *disk = fs_crash(NULL, t, t->n, fs_keep_none, NULL);
    assert_on_disk(disk, "s", ""); // the empty file that careless programs leave
    fs_close(disk);
    fs->ops->close(f, NULL);
    fs_close(fs);
}

TEST(after_a_failed_sync_a_later_one_promises_nothing) {
    struct err err;
    struct fs *fs = recording();
    struct fs_file *f = create(fs, "a");
    sync_dir(fs, "");
    write_at(fs, f, 0, "lost");
    fs_fault_add(fs, (struct fs_fault_rule){.ops = FS_OP_SYNC, .sys = EIO});
    assert_fails(fs->ops->fdatasync(f, &err), err, ERR_IO);
    sync_file(fs, f);
    const struct fs_trace *t = end_of(fs);
    struct fs *disk = fs_crash(NULL, t, t->n, fs_keep_none, NULL);
    assert_on_disk(disk, "a", "");
    fs_close(disk);
    fs->ops->close(f, NULL);
    fs_close(fs);
}

TEST(a_torn_write_keeps_the_chosen_part) {
    struct fs *fs = recording();
    struct fs_file *f = create(fs, "a");
    sync_dir(fs, "");
    char text[2049];
    memset(text, 'x', 2048);
    text[2048] = 0;
    write_at(fs, f, 0, text);
    const struct fs_trace *t = end_of(fs);
    bool torn = false;
    for (uint64_t seed = 0; seed < 64; seed++) {
        uint64_t dice = seed;
        struct fs *disk = fs_crash(NULL, t, t->n, fs_keep_random, &dice);
        struct fs_stat st;
        assert_int_equal(disk->ops->stat(disk, "a", &st, NULL), 0);
        assert_int_equal(st.size % 512, 0);
        torn |= st.size > 0 && st.size < 2048;
        fs_close(disk);
    }
    assert_true(torn);
    fs->ops->close(f, NULL);
    fs_close(fs);
}

TEST(pending_events_are_listed_for_enumeration) {
    struct err err;
    struct fs *fs = recording();
    struct fs_file *f = create(fs, "a"); // event 0
    write_at(fs, f, 0, "x");             // 1
    sync_file(fs, f);                    // 2
    write_at(fs, f, 1, "y");             // 3
    assert_ok(fs->ops->unlink(fs, "a", &err), err); // 4
    size_t *pending;
    assert_int_equal(fs_crash_pending(NULL, end_of(fs), 5, &pending), 3);
    assert_int_equal(pending[0], 0);
    assert_int_equal(pending[1], 3);
    assert_int_equal(pending[2], 4);
    free(pending);
    struct buf text = {0};
    fs_trace_print(end_of(fs), &text);
    assert_has(buf_cstr(&text), "   3 write a [1, +1)\n");
    buf_done(&text);
    fs->ops->close(f, NULL);
    fs_close(fs);
}

TEST(a_second_cut_starts_from_what_the_first_one_left) {
    struct err err;
    struct fs *fs = recording();
    assert_ok(fs_replace(fs, "a", "1", 1, &err), err);
    struct fs *first = fs_crash(NULL, end_of(fs), end_of(fs)->n, fs_keep_none, NULL);
    struct fs *again = fs_fault_new(fs_mem_clone(first));
    fs_fault_record(again, true);
    assert_ok(fs_replace(again, "b", "2", 1, &err), err);
    struct fs *second = fs_crash(first, end_of(again), end_of(again)->n, fs_keep_none, NULL);
    assert_on_disk(second, "a", "1");
    assert_on_disk(second, "b", "2");
    assert_on_disk(first, "b", NULL);
    fs_close(first);
    fs_close(second);
    fs_close(again);
    fs_close(fs);
}
