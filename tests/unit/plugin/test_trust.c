// SPDX-License-Identifier: Apache-2.0
#include "plugin/trust.h"

#include <grp.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "test.h"
#include "tmpdir.h"

// A real path, which trust_check wants.
static char *file_in(const char *sub) {
    return realpath(tmpdir_file(tmpdir_new(), sub, "x"), NULL);
}

TEST(a_file_of_our_own_is_trusted) {
    struct err err;
    _cleanup_free_ char *path = file_in("a/b.so");
    chmod(path, 0644);
    assert_ok(trust_check(path, &err), err);
}

TEST(a_file_anybody_may_write_is_not) {
    struct err err;
    _cleanup_free_ char *path = file_in("a/b.so");
    chmod(path, 0646);
    assert_fails(trust_check(path, &err), err, ERR_DENIED);
    assert_has(err.msg, "writable by everybody");
}

TEST(a_folder_above_counts_and_a_sticky_one_passes) {
    struct err err;
    _cleanup_free_ char *path = file_in("a/b/c.so");
    _cleanup_free_ char *folder = xstrdup(path);
    *strrchr(folder, '/') = 0;
    *strrchr(folder, '/') = 0; // …/a
    chmod(path, 0644);
    chmod(folder, 0777);
    assert_fails(trust_check(path, &err), err, ERR_DENIED);
    assert_has(err.msg, "folder ");
    assert_has(err.hint, folder);
    chmod(folder, 01777);
    assert_ok(trust_check(path, &err), err);
}

TEST(a_foreign_group_or_owner_is_not_trusted) {
    struct err err;
    if (geteuid() != 0) skip();
    _cleanup_free_ char *path = file_in("a/b.so");
    chmod(path, 0664);
    assert_ok(trust_check(path, &err), err); // root's group
    assert_int_equal(chown(path, 0, 12345), 0);
    assert_fails(trust_check(path, &err), err, ERR_DENIED);
    assert_has(err.msg, "writable by group 12345");
    chmod(path, 0644);
    assert_ok(trust_check(path, &err), err);
    assert_int_equal(chown(path, 54321, 0), 0);
    assert_fails(trust_check(path, &err), err, ERR_DENIED);
    assert_has(err.msg, "belongs to user 54321");
}

TEST(what_is_not_there_is_not_found) {
    struct err err;
    assert_fails(trust_check("/no/such/file.so", &err), err, ERR_NOT_FOUND);
}
