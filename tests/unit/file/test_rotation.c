// SPDX-License-Identifier: Apache-2.0
// Files that are renamed, copied, truncated and deleted while they are tailed, and while they are not: each line once, in order. The cases
// are those in which tailers of the field have lost or repeated lines.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tailing.h"
#include "test.h"

enum { QUIET_MS = 30 };
#define OPTIONS(...) (const char *const[]){__VA_ARGS__, NULL}

TEST(a_renamed_file_is_read_to_its_end_before_the_new_one) {
    struct tailing t = tailing_start("app.log", NULL);
    file_append(&t, "app.log", "1\n");
    tailing_drain(&t, QUIET_MS);
    file_append(&t, "app.log", "2\n3\n");
    file_rename(&t, "app.log", "app.log.1");
    file_append(&t, "app.log", "4\n");
    file_append(&t, "app.log.1", "written late\n"); // by a writer that has not reopened yet
    tailing_drain(&t, 100);
    assert_string_equal(tailing_lines(&t), "1|2|3|written late|4|");
    tailing_end(&t);
}

TEST(the_old_generation_comes_first_however_much_of_it_is_unread) {
    struct tailing t = tailing_start("app.log", OPTIONS("batch.size=1000"));
    char block[20000];
    file_append(&t, "app.log", "1\n");
    tailing_drain(&t, QUIET_MS);
    size_t n = 0;
    for (int i = 0; i < 4000; i++) n += (size_t)snprintf(block + n, sizeof block - n, "old\n");
    for (int i = 0; i < 25; i++) file_append(&t, "app.log", block);
    file_rename(&t, "app.log", "app.log.1");
    file_append(&t, "app.log", "new\n");
    tailing_drain(&t, 100);
    assert_int_equal(t.kept_count, 1 + 25 * 4000 + 1);
    assert_string_equal(t.kept[t.kept_count - 1], "new");
    tailing_end(&t);
}

TEST(rotation_faster_than_reading_loses_nothing) {
    struct tailing t = tailing_start("app.log", NULL);
    file_append(&t, "app.log", "1\n");
    tailing_drain(&t, QUIET_MS);
    for (int i = 2; i < 12; i++) { // back to back: nobody looks in between
        char line[16];
        snprintf(line, sizeof line, "%d\n", i);
        for (int k = 12; k > 0; k--) {
            char from[32], to[32];
            snprintf(from, sizeof from, k > 1 ? "app.log.%d" : "app.log", k - 1);
            snprintf(to, sizeof to, "app.log.%d", k);
            if (access(file_path(&t, from), F_OK) == 0) file_rename(&t, from, to);
        }
        file_append(&t, "app.log", line);
    }
    tailing_drain(&t, 100);
    assert_int_equal(t.kept_count, 11);
    assert_string_equal(t.kept[0], "1");
    bool seen[12] = {false};
    for (size_t i = 0; i < t.kept_count; i++) seen[atoi(t.kept[i])] = true;
    for (int i = 1; i < 12; i++) assert_true(seen[i]);
    tailing_end(&t);
}

TEST(a_pattern_that_matches_rotated_names_reads_nothing_twice) {
    struct tailing t = tailing_start("app.log*", NULL);
    for (int i = 0; i < 5; i++) {
        char line[16];
        snprintf(line, sizeof line, "%d\n", i);
        file_append(&t, "app.log", line);
        tailing_drain(&t, QUIET_MS);
        for (int k = 5; k > 0; k--) {
            char from[32], to[32];
            snprintf(from, sizeof from, k > 1 ? "app.log.%d" : "app.log", k - 1);
            snprintf(to, sizeof to, "app.log.%d", k);
            if (access(file_path(&t, from), F_OK) == 0) file_rename(&t, from, to);
        }
    }
    tailing_drain(&t, 100);
    tailing_restart(&t);
    tailing_drain(&t, 100);
    assert_string_equal(tailing_lines(&t), "0|1|2|3|4|");
    tailing_end(&t);
}

TEST(what_was_rotated_while_nobody_looked_is_read_on) {
    struct tailing t = tailing_start("app.log", NULL);
    file_append(&t, "app.log", "1\n");
    tailing_drain(&t, QUIET_MS);
    testhost_close(t.host);
    file_append(&t, "app.log", "2\n");
    file_rename(&t, "app.log", "app.log.1");
    file_append(&t, "app.log", "3\n");
    tailing_drain(&t, 100);
    assert_string_equal(tailing_lines(&t), "1|2|3|");
    tailing_end(&t);
}

TEST(a_deleted_file_is_read_to_its_end_and_then_forgotten) {
    struct tailing t = tailing_start("app.log", OPTIONS("rotate.wait.ms=50ms"));
    file_append(&t, "app.log", "1\n");
    tailing_drain(&t, QUIET_MS);
    assert_non_null(testhost_stored_at(t.host, 0));
    file_append(&t, "app.log", "2\nno end");
    file_delete(&t, "app.log");
    tailing_drain(&t, 400);
    assert_string_equal(tailing_lines(&t), "1|2|no end|");
    assert_null(testhost_stored_at(t.host, 0));
    tailing_end(&t);
}

TEST(the_writer_of_a_deleted_file_may_go_on_for_a_while) {
    struct tailing t = tailing_start("app.log", OPTIONS("rotate.wait.ms=10s"));
    int fd = open(file_path(&t, "app.log"), O_WRONLY | O_CREAT, 0644);
    assert_int_equal(write(fd, "1\n", 2), 2);
    tailing_drain(&t, QUIET_MS);
    file_delete(&t, "app.log");
    tailing_drain(&t, 100);
    assert_int_equal(write(fd, "2\n", 2), 2);
    tailing_drain(&t, 300);
    assert_string_equal(tailing_lines(&t), "1|2|");
    close(fd);
    tailing_end(&t);
}

TEST(copytruncate_loses_nothing_of_what_the_copy_holds) {
    struct tailing t = tailing_start("app.log", NULL);
    file_append(&t, "app.log", "1\n");
    tailing_drain(&t, QUIET_MS);
    file_append(&t, "app.log", "2\n3\n"); // not read before the truncation
    file_copy(&t, "app.log", "app.log.1");
    file_cut(&t, "app.log");
    file_append(&t, "app.log", "4\n");
    tailing_drain(&t, 100);
    assert_string_equal(tailing_lines(&t), "1|2|3|4|");
    tailing_end(&t);
}

TEST(copytruncate_with_a_pattern_that_matches_the_copy_repeats_nothing) {
    struct tailing t = tailing_start("app.log*", NULL);
    file_append(&t, "app.log", "1\n2\n");
    tailing_drain(&t, QUIET_MS);
    file_append(&t, "app.log", "3\n");
    file_copy(&t, "app.log", "app.log.1");
    tailing_drain(&t, 100); // sees the copy before the truncation
    file_cut(&t, "app.log");
    tailing_drain(&t, 300);
    file_append(&t, "app.log", "4\n");
    tailing_drain(&t, 300);
    assert_string_equal(tailing_lines(&t), "1|2|3|4|");
    tailing_end(&t);
}

TEST(copytruncate_while_nobody_looked) {
    static const char *const patterns[] = {"app.log", "app.log*"};
    for (int i = 0; i < 2; i++) {
        struct tailing t = tailing_start(patterns[i], NULL);
        file_append(&t, "app.log", "1\n2\n");
        tailing_drain(&t, QUIET_MS);
        testhost_close(t.host);
        file_append(&t, "app.log", "3\n");
        file_copy(&t, "app.log", "app.log.1");
        file_cut(&t, "app.log");
        file_append(&t, "app.log", "a longer line than all that was read before\n");
        tailing_drain(&t, 100);
        assert_string_equal(tailing_lines(&t), "1|2|3|a longer line than all that was read before|");
        tailing_end(&t);
    }
}

TEST(a_restart_while_a_copy_is_held_back_repeats_nothing) {
    struct tailing t = tailing_start("app.log*", NULL);
    file_append(&t, "app.log", "1\n2\n");
    tailing_drain(&t, QUIET_MS);
    file_copy(&t, "app.log", "app.log.1");
    tailing_drain(&t, 100);
    tailing_restart(&t);
    tailing_drain(&t, 100);
    file_cut(&t, "app.log");
    file_append(&t, "app.log", "3\n");
    tailing_drain(&t, 300);
    assert_string_equal(tailing_lines(&t), "1|2|3|");
    tailing_end(&t);
}

TEST(a_second_file_that_only_begins_like_the_first_is_read_in_full) {
    struct tailing t = tailing_start("app*.log", NULL);
    testhost_time(t.host, 1768046400000000);
    file_append(&t, "app.log", "# banner\none\n");
    tailing_drain(&t, QUIET_MS);
    file_append(&t, "app2.log", "# banner\n"); // so far it could be a copy being made
    testhost_advance(t.host, 100);
    tailing_drain(&t, QUIET_MS);
    assert_int_equal(t.kept_count, 2);
    file_append(&t, "app2.log", "two\n");
    tailing_drain(&t, 300);
    assert_string_equal(tailing_lines(&t), "# banner|one|# banner|two|");
    file_append(&t, "app3.log", "# banner\n"); // and this one stays as it is
    testhost_advance(t.host, 100);
    tailing_drain(&t, QUIET_MS);
    assert_int_equal(t.kept_count, 4);
    testhost_advance(t.host, 10000);
    tailing_drain(&t, 300);
    assert_string_equal(tailing_lines(&t), "# banner|one|# banner|two|# banner|");
    tailing_end(&t);
}

TEST(a_file_truncated_and_grown_past_the_old_offset_is_read_anew) {
    struct tailing t = tailing_start("app.log", NULL);
    file_append(&t, "app.log", "old 1\nold 2\n");
    tailing_drain(&t, QUIET_MS);
    file_cut(&t, "app.log");
    file_append(&t, "app.log", "new 1\nnew 2\nnew 3\n"); // the size only ever grew, for who did not look in between
    tailing_drain(&t, 100);
    assert_string_equal(tailing_lines(&t), "old 1|old 2|new 1|new 2|new 3|");
    tailing_end(&t);
}

TEST(a_file_truncated_and_grown_to_the_same_head_is_read_anew) {
    struct tailing t = tailing_start("app.log", NULL);
    file_append(&t, "app.log", "# head\nold\n");
    tailing_drain(&t, QUIET_MS);
    file_cut(&t, "app.log");
    file_append(&t, "app.log", "# head\nnew\nmore\n");
    tailing_drain(&t, 100);
    assert_string_equal(tailing_lines(&t), "# head|old|# head|new|more|");
    tailing_end(&t);
}

TEST(a_reused_inode_is_a_new_file) {
    static const char *const contents[] = {"short\n", "new content that is longer than what was read of the old one\n", "1\nother\n"};
    for (int i = 0; i < 3; i++) {
        struct tailing t = tailing_start("*.log", NULL);
        char want[256];
        file_append(&t, "a.log", "1\n2\n3\n4\n");
        tailing_drain(&t, QUIET_MS);
        testhost_close(t.host);
        file_cut(&t, "a.log"); // the same inode under another name with other content is what a reuse looks like
        file_rename(&t, "a.log", "b.log");
        file_append(&t, "b.log", contents[i]);
        tailing_drain(&t, 100);
        snprintf(want, sizeof want, "1|2|3|4|%s", contents[i]);
        for (char *c = want; *c; c++)
            if (*c == '\n') *c = '|';
        assert_string_equal(tailing_lines(&t), want);
        tailing_end(&t);
    }
}

TEST(compressed_generations_are_not_read_as_text) {
    struct tailing t = tailing_start("app.log*", OPTIONS("rotate.wait.ms=0"));
    file_append(&t, "app.log", "1\n");
    tailing_drain(&t, QUIET_MS);
    file_append(&t, "app.log", "2\n");
    file_rename(&t, "app.log", "app.log.1");
    file_append(&t, "app.log.1.gz", "\x1f\x8b...\n");
    file_delete(&t, "app.log.1");
    tailing_drain(&t, 100);
    assert_string_equal(tailing_lines(&t), "1|2|");
    tailing_end(&t);
}

TEST(a_full_queue_of_hints_loses_no_line) {
    struct tailing t = tailing_start("*.log", OPTIONS("scan.interval.ms=1h"));
    int limit = 0;
    FILE *f = fopen("/proc/sys/fs/inotify/max_queued_events", "r");
    if (!f || fscanf(f, "%d", &limit) != 1 || limit > 50000) skip();
    fclose(f);
    file_append(&t, "a.log", "1\n");
    tailing_drain(&t, QUIET_MS);
    for (int i = 0; i < limit; i++) {
        char name[32];
        snprintf(name, sizeof name, "x%d", i % 100);
        int fd = open(file_path(&t, name), O_CREAT | O_WRONLY, 0644);
        close(fd);
        file_delete(&t, name);
    }
    file_append(&t, "a.log", "2\n");
    file_append(&t, "b.log", "3\n");
    tailing_drain(&t, 300);
    assert_int_equal(t.kept_count, 3);
    tailing_end(&t);
}

// ── whatever happens, in any order ──

struct world {
    struct tailing t;
    uint64_t seed;
    int written, generation;
    bool copies_match; // the pattern
};

static unsigned dice(struct world *w, unsigned n) { return (unsigned)(test_random(&w->seed) % n); }

static void shift_generations(struct world *w) {
    for (int k = 40; k > 1; k--) {
        char from[32], to[32];
        snprintf(from, sizeof from, "app.log.%d", k - 1);
        snprintf(to, sizeof to, "app.log.%d", k);
        if (access(file_path(&w->t, from), F_OK) == 0) file_rename(&w->t, from, to);
    }
}

static void write_lines(struct world *w) {
    char block[4096];
    size_t n = 0;
    for (unsigned i = 0, many = 1 + dice(w, 8); i < many; i++) n += (size_t)snprintf(block + n, sizeof block - n, "%d %.*s\n", w->written++, (int)dice(w, 200),
        "....................................................................................................................................................................................................");
    file_append(&w->t, "app.log", block);
}

// One step of the writer, the rotation, or the reader.
static void step(struct world *w, bool copytruncate, bool restarts) {
    switch (dice(w, 10)) {
    case 0: case 1: case 2: case 3: write_lines(w); break;
    case 4: case 5: tailing_step(&w->t); break;
    case 6: tailing_drain(&w->t, 0); break;
    case 7:
        if (w->generation++ >= 30) break;
        if (access(file_path(&w->t, "app.log"), F_OK) != 0) break;
        if (copytruncate && !w->copies_match) { // of two between two looks, the first one's copy is a file that nothing tells of
            tailing_step(&w->t);
            if (dice(w, 2)) write_lines(w);
        }
        shift_generations(w);
        if (copytruncate) {
            file_copy(&w->t, "app.log", "app.log.1");
            if (dice(w, 2)) tailing_step(&w->t);
            file_cut(&w->t, "app.log");
        } else {
            file_rename(&w->t, "app.log", "app.log.1");
        }
        write_lines(w);
        break;
    case 8:
        if (restarts) tailing_poll(&w->t), tailing_restart(&w->t);
        break;
    case 9:
        if (restarts) testhost_close(w->t.host), w->t.seen = w->t.host->line_count, write_lines(w);
        break;
    }
}

static void live(const char *pattern, bool copytruncate, bool restarts, unsigned rounds) {
    for (uint64_t seed = 1; seed <= rounds; seed++) {
        struct world w = {.t = tailing_start(pattern, OPTIONS("rotate.wait.ms=1h")), .seed = seed * 7919, .copies_match = strchr(pattern, '*') != NULL};
        write_lines(&w);
        tailing_step(&w.t);
        for (int i = 0; i < 60; i++) step(&w, copytruncate, restarts);
        tailing_drain(&w.t, 60);
        tailing_drain(&w.t, 60);
        int *times = calloc((size_t)w.written + 1, sizeof *times);
        for (size_t i = 0; i < w.t.kept_count; i++) {
            int number = atoi(w.t.kept[i]);
            assert_true(number < w.written);
            times[number]++;
        }
        for (int i = 0; i < w.written; i++)
            if (times[i] != 1) fail_msg("seed %d: line %d came %d times (pattern %s, copytruncate %d, restarts %d)", (int)seed, i, times[i], pattern, copytruncate, restarts);
        free(times);
        tailing_end(&w.t);
    }
}

TEST(random_renames_repeat_and_lose_no_line) { live("app.log", false, false, 12); }
TEST(random_renames_and_restarts_with_a_pattern_for_all_generations) { live("app.log*", false, true, 12); }
TEST(random_copytruncates_repeat_and_lose_no_line) { live("app.log", true, false, 12); }
TEST(random_copytruncates_with_a_pattern_that_matches_the_copies) { live("app.log*", true, false, 12); }
TEST(random_copytruncates_and_restarts) { live("app.log*", true, true, 20); }
