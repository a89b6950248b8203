// SPDX-License-Identifier: Apache-2.0
// The sink on a disk that is full, or that fails.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "sinking.h"
#include "test.h"
#include "tmpdir.h"

enum { WAIT_MS = 10000 };
#define OPTIONS(...) (const char *const[]){__VA_ARGS__, NULL}

static const char *dir;
static char path_option[512];

static struct testhost *started(const char *more) {
    dir = tmpdir_new();
    snprintf(path_option, sizeof path_option, "path=%s/out", dir);
    sinking_plan(NULL);
    struct testhost *t = sinking_start(OPTIONS(path_option, more));
    testhost_assign(t, "a", 0, 0);
    return t;
}

static void assert_numbers(int64_t end) {
    char path[600], *text, *line;
    int64_t n = 0;
    snprintf(path, sizeof path, "%s/out", dir);
    text = tmpdir_read(path);
    assert_non_null(text);
    for (line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) assert_int_equal(sinking_number(line), n++);
    assert_int_equal(n, end);
    free(text);
}

TEST(a_full_disk_retries_cuts_the_torn_tail_and_recovers) {
    struct testhost *t = started("sync.interval.ms=0");
    sinking_put(t, "a", 0, 0, 10);
    assert_int_equal(testhost_settled(t, WAIT_MS), 0);
    sinking_plan(&(struct io_plan){.fail_kind = IO_WRITE, .fail_errno = ENOSPC, .fail_from = 1});
    for (int i = 0; i < 3; i++) {
        assert_int_equal(sinking_put(t, "a", 0, 10, 20), CN_PUT_LATER);
        assert_int_equal(testhost_settled(t, WAIT_MS), 0);
        assert_int_equal(testhost_verdict(t, "a", 0, 10), CN_RETRY);
        assert_int_equal(testhost_verdict(t, "a", 0, 19), CN_RETRY);
        struct testhost_verdict v;
        assert_true(testhost_verdict_at(t, 10, &v));
        assert_has(v.reason, "/out: No space left on device");
        assert_numbers(10); // half of it had been written
    }
    sinking_plan(NULL);
    sinking_put(t, "a", 0, 10, 20);
    assert_int_equal(testhost_settled(t, WAIT_MS), 0);
    assert_int_equal(testhost_verdict(t, "a", 0, 19), CN_OK);
    assert_numbers(20);
    assert_int_equal(testhost_stray_verdicts(t), 0);
    testhost_free(t);
}

// Some megabytes in few records: a put of several writes.
static int put_large(struct testhost *t, int count) {
    static char pad[20000];
    char *lines = malloc((size_t)count * (sizeof pad + 100));
    size_t n = 0;
    memset(pad, 'x', sizeof pad - 1);
    for (int i = 0; i < count; i++) n += (size_t)sprintf(lines + n, "{\"topic\":\"a\",\"offset\":%d,\"value\":{\"n\":%d,\"pad\":\"%s\"}}\n", i, i, pad);
    int rc = testhost_put_json(t, lines);
    free(lines);
    return rc;
}

TEST(a_full_disk_in_the_middle_of_a_large_put_retries_what_is_not_in_the_file) {
    struct testhost *t = started("sync.interval.ms=0");
    enum { COUNT = 300 };
    sinking_plan(&(struct io_plan){.fail_kind = IO_WRITE, .fail_errno = ENOSPC, .fail_from = 2});
    assert_int_equal(put_large(t, COUNT), CN_PUT_LATER);
    assert_int_equal(testhost_settled(t, WAIT_MS), 0);
    assert_int_equal(testhost_verdict(t, "a", 0, 0), CN_RETRY);
    assert_int_equal(testhost_verdict(t, "a", 0, COUNT - 1), CN_RETRY);
    assert_numbers(0);
    sinking_plan(NULL);
    assert_int_equal(put_large(t, COUNT), CN_PUT_LATER);
    assert_int_equal(testhost_settled(t, WAIT_MS), 0);
    assert_numbers(COUNT);
    testhost_free(t);
}

TEST(a_failed_sync_ends_the_task_and_is_not_believed) {
    struct testhost *t = started("sync.interval.ms=0");
    sinking_put(t, "a", 0, 0, 5);
    assert_int_equal(testhost_settled(t, WAIT_MS), 0);
    sinking_plan(&(struct io_plan){.fail_kind = IO_SYNC, .fail_errno = EIO, .fail_from = 1});
    sinking_put(t, "a", 0, 5, 10);
    assert_int_equal(testhost_settled(t, WAIT_MS), 0);
    assert_int_equal(testhost_verdict(t, "a", 0, 5), CN_FATAL);
    assert_int_equal(t->failure.fail_class, CN_FAIL_TRANSIENT);
    assert_has(t->failure.text, "sync ");
    assert_int_equal(sinking_put(t, "a", 0, 5, 6), CN_PUT_FAILED);
    assert_int_equal(testhost_tick(t), -1);
    assert_int_equal(testhost_flush(t, 100), -1);
    testhost_close(t);
    sinking_plan(NULL);
    assert_int_equal(testhost_open(t), 0);
    assert_int_equal(testhost_assign(t, "a", 0, 0), 5);
    assert_numbers(5); // what was written behind is cut, and written anew
    sinking_put(t, "a", 0, 5, 10);
    assert_int_equal(testhost_settled(t, WAIT_MS), 0);
    assert_numbers(10);
    testhost_free(t);
}

TEST(no_room_for_a_new_file_is_transient) {
    dir = tmpdir_new();
    snprintf(path_option, sizeof path_option, "path=%s/out", dir);
    for (int kind = 0; kind < IO_KINDS; kind++) {
        if (kind == IO_TRUNCATE || kind == IO_MKDIR) continue;
        sinking_plan(&(struct io_plan){.fail_kind = kind, .fail_errno = ENOSPC, .fail_from = 1});
        struct testhost *t = sinking_new(OPTIONS(path_option));
        assert_int_equal(testhost_open(t), -1);
        assert_int_equal(t->failure.fail_class, CN_FAIL_TRANSIENT);
        assert_has(t->failure.hint, "make room");
        testhost_free(t);
    }
    sinking_plan(NULL);
    struct testhost *t = sinking_new(OPTIONS(path_option));
    assert_int_equal(testhost_open(t), 0);
    testhost_free(t);
}

TEST(a_read_only_file_system_names_the_drop_in) {
    dir = tmpdir_new();
    snprintf(path_option, sizeof path_option, "path=%s/new/out", dir);
    sinking_plan(&(struct io_plan){.fail_kind = IO_MKDIR, .fail_errno = EROFS, .fail_from = 1});
    struct testhost *t = sinking_new(OPTIONS(path_option));
    assert_int_equal(testhost_open(t), -1);
    assert_int_equal(t->failure.fail_class, CN_FAIL_CONFIG);
    assert_has(t->failure.text, "Read-only file system");
    assert_has(t->failure.hint, "file-sink.conf");
    sinking_plan(NULL);
    testhost_free(t);
}

// Every call of an open, a few puts with rolls, and a close fails once; what then can be opened again goes on without loss or repetition.
TEST(whatever_call_fails_nothing_is_lost_or_repeated) {
    static const int errors[] = {ENOSPC, EIO};
    for (int e = 0; e < 2; e++)
        for (int kind = 0; kind < IO_KINDS; kind++)
            for (long from = 1; from < 14; from += from < 5 ? 1 : 3) {
                int64_t next = 0;
                dir = tmpdir_new();
                snprintf(path_option, sizeof path_option, "path=%s/sub/out", dir);
                sinking_plan(&(struct io_plan){.fail_kind = kind, .fail_errno = errors[e], .fail_from = from});
                struct testhost *t = sinking_new(OPTIONS(path_option, "roll.records=4", "sync.interval.ms=0"));
                for (int tries = 0; next < 20; tries++) {
                    assert_true(tries < 60);
                    if (tries == 5) sinking_plan(NULL);
                    if (!t->task && testhost_open(t) != 0) continue;
                    next = testhost_assign(t, "a", 0, 0);
                    if (next >= 0 && sinking_put(t, "a", 0, next, next + 3) != CN_PUT_FAILED && testhost_settled(t, WAIT_MS) == 0 && t->failure.fail_class == 0) continue;
                    testhost_free(t);
                    t = sinking_new(OPTIONS(path_option, "roll.records=4", "sync.interval.ms=0"));
                }
                testhost_free(t);
                // All files together, in the order of their numbers.
                char name[64], path[700];
                int64_t n = 0;
                for (int number = 1; number < 12; number++) {
                    snprintf(name, sizeof name, "sub/out.%06d", number);
                    snprintf(path, sizeof path, "%s/%s", dir, number < 11 ? name : "sub/out");
                    char *text = tmpdir_read(path);
                    for (char *line = text ? strtok(text, "\n") : NULL; line; line = strtok(NULL, "\n"))
                        if (sinking_number(line) != n++) fail_msg("kind %d from %ld: %s holds %s where %d belongs", kind, from, path, line, (int)n - 1);
                    free(text);
                }
                assert_true(n >= 20);
            }
}
