// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "pattern.h"
#include "test.h"
#include "tmpdir.h"

static char found[8192];
static const char *root;

static void note(void *arg, const char *path) {
    (void)arg;
    size_t n = strlen(found), skip = strncmp(path, root, strlen(root)) == 0 ? strlen(root) : 0;
    snprintf(found + n, sizeof found - n, "%s ", path + skip);
}

static struct patterns patterns_of(const char **include, uint32_t n, const char **exclude, uint32_t m) {
    return (struct patterns){.include = {n, include}, .exclude = {m, exclude}};
}

static const char *below(const char *rest) {
    static char paths[16][512];
    static unsigned next;
    char *p = paths[next++ % 16];
    snprintf(p, sizeof paths[0], "%s%s", root, rest);
    return p;
}

TEST(patterns_find_what_matches_and_is_not_excluded) {
    root = tmpdir_new();
    tmpdir_file(root, "a.log", "");
    tmpdir_file(root, "b.log", "");
    tmpdir_file(root, "b.log.gz", "");
    tmpdir_file(root, "d1/c.log", "");
    tmpdir_file(root, "d2/c.log", "");
    const char *include[] = {below("/*.log*"), below("/d*/c.log")}, *exclude[] = {"*.gz", below("/d2/*")};
    struct patterns p = patterns_of(include, 2, exclude, 2);
    found[0] = '\0';
    patterns_expand(&p, note, NULL, NULL);
    assert_string_equal(found, "/a.log /b.log /d1/c.log ");
    assert_true(patterns_match(&p, below("/a.log.1")));
    assert_false(patterns_match(&p, below("/x/a.log")));
    assert_false(patterns_match(&p, below("/a.log.gz")));
    assert_true(patterns_match(&p, below("/d1/c.log")));
    assert_false(patterns_match(&p, below("/d2/c.log")));
}

TEST(a_literal_path_is_no_pattern) {
    root = tmpdir_new();
    tmpdir_file(root, "a[1].log", "");
    const char *include[] = {below("/a[1].log")};
    struct patterns p = patterns_of(include, 1, NULL, 0);
    p.literal = true;
    found[0] = '\0';
    patterns_expand(&p, note, NULL, NULL);
    assert_string_equal(found, "/a[1].log ");
    assert_true(patterns_match(&p, include[0]));
}

TEST(directories_are_those_in_which_a_match_may_appear) {
    root = tmpdir_new();
    tmpdir_file(root, "x1/logs/a.log", "");
    tmpdir_file(root, "x2/other", "");
    const char *include[] = {below("/x*/logs/*.log")};
    struct patterns p = patterns_of(include, 1, NULL, 0);
    found[0] = '\0';
    patterns_directories(&p, note, NULL);
    assert_string_equal(found, "/x1/logs /x1 /x2  ");
}

TEST(a_directory_that_is_not_there_yet_is_waited_for_in_the_nearest_that_is) {
    root = tmpdir_new();
    const char *include[] = {below("/not/yet/*.log")};
    struct patterns p = patterns_of(include, 1, NULL, 0);
    found[0] = '\0';
    patterns_directories(&p, note, NULL);
    assert_string_equal(found, " ");
}
