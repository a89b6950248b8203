// SPDX-License-Identifier: Apache-2.0
// One suite for every fs: the real one, the one in memory, and the fault-injecting one over each.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "fs_fault.h"
#include "fs_mem.h"
#include "test.h"
#include "tmpdir.h"

static struct fs *open_posix(void) {
    struct err err;
    struct fs *fs;
    assert_ok(fs_posix_open(tmpdir_new(), &fs, &err), err);
    return fs;
}
static struct fs *open_faulty_posix(void) { return fs_fault_new(open_posix()); }
static struct fs *open_faulty_mem(void) {
    struct fs *fs = fs_fault_new(fs_mem_new());
    fs_fault_record(fs, true);
    return fs;
}

static struct fs *(*const kinds[])(void) = {open_posix, fs_mem_new, open_faulty_posix, open_faulty_mem};

// Runs a case on a fresh fs of each kind.
static void on_each(void (*run)(struct fs *fs)) {
    for (size_t i = 0; i < countof(kinds); i++) {
        struct fs *fs = kinds[i]();
        run(fs);
        fs_close(fs);
    }
}

static struct fs_file *make(struct fs *fs, const char *path, const char *text) {
    struct err err;
    struct fs_file *f;
    assert_ok(fs->ops->open(fs, path, FS_WRITE | FS_CREATE | FS_TRUNC, &f, &err), err);
    assert_ok(fs_pwrite(fs, f, text, strlen(text), 0, &err), err);
    return f;
}

static void put(struct fs *fs, const char *path, const char *text) {
    struct err err;
    assert_ok(fs->ops->close(make(fs, path, text), &err), err);
}

static void assert_content(struct fs *fs, const char *path, const char *want) {
    struct err err;
    struct buf b = {0};
    assert_ok(fs_read_all(fs, path, 1 << 20, &b, &err), err);
    assert_buf(&b, want);
    buf_done(&b);
}

static bool exists(struct fs *fs, const char *path) {
    struct fs_stat st;
    return !fs->ops->stat(fs, path, &st, NULL);
}

static void check_read_back(struct fs *fs) {
    struct err err;
    struct fs_file *f = make(fs, "a", "hello world");
    char part[32] = "";
    assert_int_equal(fs->ops->pread(f, part, 5, 6, &err), 5);
    assert_string_equal(part, "world");
    assert_int_equal(fs->ops->pread(f, part, 32, 8, &err), 3);
    assert_int_equal(fs->ops->pread(f, part, 32, 11, &err), 0);
    assert_int_equal(fs->ops->pread(f, part, 32, 5000, &err), 0);
    assert_ok(fs->ops->fdatasync(f, &err), err);
    assert_ok(fs->ops->close(f, &err), err);
}
TEST(what_is_written_reads_back) { on_each(check_read_back); }

static void check_many_parts(struct fs *fs) {
    struct err err;
    struct fs_file *f;
    struct iovec iov[200];
    char want[201] = "", bytes[200];
    for (int i = 0; i < 200; i++) {
        bytes[i] = want[i] = (char)('a' + i % 26);
        iov[i] = (struct iovec){&bytes[i], 1};
    }
    iov[100].iov_len = 0; // empty parts are fine
    memmove(want + 100, want + 101, 100);
    assert_ok(fs->ops->open(fs, "v", FS_WRITE | FS_CREATE | FS_EXCL, &f, &err), err);
    assert_ok(fs->ops->pwritev(f, iov, 200, 0, &err), err);
    assert_ok(fs->ops->pwritev(f, iov, 0, 7, &err), err);
    assert_ok(fs->ops->close(f, &err), err);
    assert_content(fs, "v", want);
}
TEST(a_vectored_write_of_more_parts_than_one_call_takes_is_whole) { on_each(check_many_parts); }

static void check_open_flags(struct fs *fs) {
    struct err err;
    struct fs_file *f;
    assert_fails(fs->ops->open(fs, "x", FS_READ, &f, &err), err, ERR_NOT_FOUND);
    assert_has(err.msg, "open x: no such file");
    assert_fails(fs->ops->open(fs, "no/x", FS_WRITE | FS_CREATE, &f, &err), err, ERR_NOT_FOUND);
    put(fs, "x", "1");
    assert_fails(fs->ops->open(fs, "x", FS_WRITE | FS_CREATE | FS_EXCL, &f, &err), err, ERR_EXISTS);
    assert_ok(fs->ops->open(fs, "x", FS_READ, &f, &err), err);
    assert_int_equal(fs_pwrite(fs, f, "2", 1, 0, &err), -1);
    assert_ok(fs->ops->close(f, &err), err);
    assert_content(fs, "x", "1");
}
TEST(open_flags_decide_what_is_made_and_what_is_refused) { on_each(check_open_flags); }

static void check_outside(struct fs *fs) {
    struct err err;
    struct fs_file *f;
    struct fs_stat st;
    assert_fails(fs->ops->open(fs, "../x", FS_READ, &f, &err), err, ERR_INVALID);
    assert_fails(fs->ops->open(fs, "/etc/passwd", FS_READ, &f, &err), err, ERR_INVALID);
    assert_fails(fs->ops->stat(fs, "a/../../b", &st, &err), err, ERR_INVALID);
    assert_fails(fs->ops->unlink(fs, "..", &err), err, ERR_INVALID);
    assert_fails(fs->ops->rename(fs, "a", "../b", &err), err, ERR_INVALID);
    put(fs, "a..b", "fine");
    assert_true(exists(fs, "a..b"));
}
TEST(a_path_never_leads_out_of_the_root) { on_each(check_outside); }

static void check_truncate(struct fs *fs) {
    struct err err;
    struct fs_stat st;
    char room[8192];
    struct fs_file *f = make(fs, "t", "0123456789");
    assert_ok(fs->ops->truncate(f, 4, &err), err);
    assert_ok(fs->ops->truncate(f, 8000, &err), err);
    assert_ok(fs->ops->fstat(f, &st, &err), err);
    assert_int_equal(st.size, 8000);
    assert_int_equal(fs->ops->pread(f, room, sizeof(room), 0, &err), 8000);
    assert_memory_equal(room, "0123\0\0\0\0\0\0\0", 12);
    assert_int_equal(room[7999], 0);
    assert_ok(fs->ops->close(f, &err), err);
}
TEST(a_file_cut_and_grown_again_reads_zeros_there) { on_each(check_truncate); }

static void check_allocate(struct fs *fs) {
    struct err err;
    struct fs_stat st;
    struct fs_file *f = make(fs, "t", "abc");
    assert_ok(fs->ops->allocate(f, 0, 65536, true, &err), err);
    assert_ok(fs->ops->fstat(f, &st, &err), err);
    assert_int_equal(st.size, 3);
    assert_true(st.allocated >= 65536);
    assert_ok(fs->ops->allocate(f, 0, 100000, false, &err), err);
    assert_ok(fs->ops->allocate(f, 0, 0, false, &err), err);
    assert_ok(fs->ops->fstat(f, &st, &err), err);
    assert_int_equal(st.size, 100000);
    assert_ok(fs->ops->close(f, &err), err);
}
TEST(allocate_reserves_with_and_without_growing_the_file) { on_each(check_allocate); }

static int collect(void *arg, const char *name) {
    buf_printf(arg, "%s,", name);
    return !strcmp(name, "stop") ? 7 : 0;
}

static void check_names(struct fs *fs) {
    struct err err;
    struct buf names = {0};
    struct fs_stat st;
    assert_ok(fs->ops->mkdir(fs, "d", &err), err);
    assert_fails(fs->ops->mkdir(fs, "d", &err), err, ERR_EXISTS);
    assert_fails(fs->ops->mkdir(fs, "no/d", &err), err, ERR_NOT_FOUND);
    put(fs, "d/b", "b");
    put(fs, "d/a", "a");
    put(fs, "d/B", "B");
    assert_ok(fs->ops->list(fs, "d", collect, &names, &err), err);
    assert_buf(&names, "B,a,b,");
    put(fs, "d/stop", "");
    put(fs, "d/zzz", "");
    assert_int_equal(fs->ops->list(fs, "d", collect, &names, &err), 7);
    assert_buf(&names, "B,a,b,stop,");
    assert_fails(fs->ops->list(fs, "none", collect, &names, &err), err, ERR_NOT_FOUND);
    assert_ok(fs->ops->stat(fs, "d", &st, &err), err);
    assert_true(st.is_dir);
    assert_ok(fs->ops->stat(fs, "", &st, &err), err);
    assert_true(st.is_dir);
    assert_ok(fs->ops->list(fs, ".", collect, &names, &err), err);
    assert_buf(&names, "d,");
    assert_ok(fs->ops->sync_dir(fs, "d", &err), err);
    assert_ok(fs->ops->sync_dir(fs, "", &err), err);
    assert_fails(fs->ops->sync_dir(fs, "none", &err), err, ERR_NOT_FOUND);
    buf_done(&names);
}
TEST(names_are_listed_in_byte_order_until_the_caller_stops) { on_each(check_names); }

static void check_rename(struct fs *fs) {
    struct err err;
    put(fs, "a", "new");
    put(fs, "b", "old");
    assert_ok(fs->ops->rename(fs, "a", "b", &err), err);
    assert_content(fs, "b", "new");
    assert_false(exists(fs, "a"));
    assert_fails(fs->ops->rename(fs, "a", "c", &err), err, ERR_NOT_FOUND);
    assert_ok(fs->ops->mkdir(fs, "d", &err), err);
    assert_ok(fs->ops->rename(fs, "b", "d/b", &err), err);
    assert_ok(fs->ops->rename(fs, "d", "e", &err), err);
    assert_content(fs, "e/b", "new");
    assert_ok(fs->ops->rename(fs, "e/b", "e/b", &err), err);
    assert_content(fs, "e/b", "new");
}
TEST(rename_replaces_files_and_moves_folders) { on_each(check_rename); }

static void check_unlink(struct fs *fs) {
    struct err err;
    char part[8] = "";
    struct fs_file *f = make(fs, "a", "kept");
    assert_ok(fs->ops->unlink(fs, "a", &err), err);
    assert_false(exists(fs, "a"));
    assert_int_equal(fs->ops->pread(f, part, 8, 0, &err), 4); // open files outlive their names
    assert_string_equal(part, "kept");
    assert_ok(fs->ops->close(f, &err), err);
    assert_fails(fs->ops->unlink(fs, "a", &err), err, ERR_NOT_FOUND);
    assert_ok(fs->ops->mkdir(fs, "d", &err), err);
    put(fs, "d/x", "");
    assert_fails(fs->ops->unlink(fs, "d", &err), err, ERR_EXISTS);
    assert_ok(fs->ops->unlink(fs, "d/x", &err), err);
    assert_ok(fs->ops->unlink(fs, "d", &err), err);
    assert_false(exists(fs, "d"));
}
TEST(unlink_takes_files_and_empty_folders) { on_each(check_unlink); }

static void check_lock(struct fs *fs) {
    struct err err;
    struct fs_space space;
    char pid[32];
    snprintf(pid, sizeof(pid), "%ld", (long)getpid());
    assert_ok(fs->ops->lock(fs, ".lock", &err), err);
    assert_fails(fs->ops->lock(fs, ".lock", &err), err, ERR_BUSY);
    assert_has(err.msg, pid);
    assert_true(exists(fs, ".lock"));
    assert_ok(fs->ops->space(fs, &space, &err), err);
    assert_true(space.total >= space.available && space.available > 0);
}
TEST(a_lock_is_exclusive_and_names_its_holder) { on_each(check_lock); }

TEST(a_lock_ends_with_its_fs) {
    struct err err;
    struct fs *a, *b;
    const char *dir = tmpdir_new();
    assert_ok(fs_posix_open(dir, &a, &err), err);
    assert_ok(fs_posix_open(dir, &b, &err), err);
    assert_ok(a->ops->lock(a, ".lock", &err), err);
    assert_fails(b->ops->lock(b, ".lock", &err), err, ERR_BUSY);
    fs_close(a);
    assert_ok(b->ops->lock(b, ".lock", &err), err);
    fs_close(b);
    assert_fails(fs_posix_open("/nonexistent/folder", &a, &err), err, ERR_NOT_FOUND);
}

static void check_read_all(struct fs *fs) {
    struct err err;
    struct buf b = {0};
    put(fs, "a", "0123456789");
    buf_putz(&b, "kept ");
    assert_ok(fs_read_all(fs, "a", 10, &b, &err), err);
    assert_str(buf_str(&b), "kept 0123456789");
    assert_fails(fs_read_all(fs, "a", 9, &b, &err), err, ERR_TOO_LARGE);
    assert_str(buf_str(&b), "kept 0123456789");
    assert_fails(fs_read_all(fs, "b", 9, &b, &err), err, ERR_NOT_FOUND);
    put(fs, "empty", "");
    buf_clear(&b);
    assert_ok(fs_read_all(fs, "empty", 0, &b, &err), err);
    assert_buf(&b, "");
    buf_done(&b);
}
TEST(a_whole_file_is_read_up_to_a_limit) { on_each(check_read_all); }

static void check_pread_full(struct fs *fs) {
    struct err err;
    char part[11];
    struct fs_file *f = make(fs, "a", "0123456789");
    assert_ok(fs_pread_full(fs, f, part, 10, 0, &err), err);
    assert_fails(fs_pread_full(fs, f, part, 11, 0, &err), err, ERR_CORRUPT);
    assert_ok(fs->ops->close(f, &err), err);
}
TEST(a_full_read_that_falls_short_is_damage) { on_each(check_pread_full); }

static void check_replace(struct fs *fs) {
    struct err err;
    assert_ok(fs_mkdirs(fs, "x/y/z", &err), err);
    assert_ok(fs_mkdirs(fs, "x/y/z", &err), err);
    assert_ok(fs_replace(fs, "x/y/state", "one", 3, &err), err);
    assert_ok(fs_replace(fs, "x/y/state", "2", 1, &err), err);
    assert_content(fs, "x/y/state", "2");
    assert_false(exists(fs, "x/y/state.tmp"));
    assert_ok(fs_replace(fs, "top", "", 0, &err), err);
    assert_content(fs, "top", "");
    assert_fails(fs_replace(fs, "none/state", "x", 1, &err), err, ERR_NOT_FOUND);
    assert_has(err.msg, "replace none/state: open none/state.tmp");
}
TEST(replace_swaps_the_content_and_leaves_nothing_behind) { on_each(check_replace); }

static void check_remove_tree(struct fs *fs) {
    struct err err;
    assert_ok(fs_mkdirs(fs, "t/a/b", &err), err);
    put(fs, "t/a/b/file", "x");
    put(fs, "t/file", "x");
    put(fs, "beside", "x");
    assert_ok(fs_remove_tree(fs, "t", &err), err);
    assert_false(exists(fs, "t"));
    assert_true(exists(fs, "beside"));
    assert_ok(fs_remove_tree(fs, "t", &err), err); // nothing there is fine
}
TEST(a_tree_is_removed_and_nothing_beside_it) { on_each(check_remove_tree); }

TEST(removing_a_tree_does_not_follow_links_out_of_it) {
    struct err err;
    const char *dir = tmpdir_new(), *outside = tmpdir_new();
    tmpdir_file(outside, "precious", "x");
    struct fs *fs;
    assert_ok(fs_posix_open(dir, &fs, &err), err);
    assert_ok(fs->ops->mkdir(fs, "t", &err), err);
    _cleanup_free_ char *link = xasprintf("%s/t/link", dir);
    assert_int_equal(symlink(outside, link), 0);
    assert_ok(fs_remove_tree(fs, "t", &err), err);
    _cleanup_free_ char *precious = xasprintf("%s/precious", outside);
    assert_int_equal(access(precious, F_OK), 0);
    fs_close(fs);
}
