// SPDX-License-Identifier: Apache-2.0
// kill -9 at every system call of the sink, and at random moments: after each, a new task finds every settled record in the files, and when
// all has been put, each record is there exactly once and in order. What the file holds beyond its committed length is moreover garbled
// before the next start, as a power cut may leave it.
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "journal.h"
#include "sinking.h"
#include "test.h"
#include "tmpdir.h"

enum { TOTAL = 120, PARTITIONS = 2, WAIT_MS = 10000 };

struct shared { // what outlives the child
    volatile int64_t settled[PARTITIONS]; // first offset not known to be settled
    volatile int done;
};

static const char *dir;
static char path_option[512];

// Puts all records of both partitions from where the sink says, in pieces; notes what was settled.
static void child(struct shared *s, const struct io_plan *plan, uint64_t seed) {
    const char *const options[] = {path_option, "roll.records=23", "sync.interval.ms=0", NULL};
    int64_t next[PARTITIONS];
    sinking_plan(plan);
    struct testhost *t = sinking_new(options);
    if (testhost_open(t) != 0) {
        fprintf(stderr, "%s\n", t->failure.text);
        _exit(2);
    }
    for (int p = 0; p < PARTITIONS; p++) {
        next[p] = testhost_assign(t, "t", p, 0);
        if (next[p] < s->settled[p]) {
            fprintf(stderr, "settled %d of partition %d, and the sink says %d\n", (int)s->settled[p], p, (int)next[p]);
            _exit(3);
        }
    }
    while (next[0] < TOTAL || next[1] < TOTAL) {
        int p = (int)(test_random(&seed) % PARTITIONS);
        int64_t end = next[p] + 1 + (int64_t)(test_random(&seed) % 9);
        if (end > TOTAL) end = TOTAL;
        if (sinking_put(t, "t", p, next[p], end) == CN_PUT_FAILED) _exit(4);
        next[p] = end;
        if (test_random(&seed) % 3 == 0) {
            if (testhost_settled(t, WAIT_MS) != 0) _exit(5);
            for (int i = 0; i < PARTITIONS; i++) s->settled[i] = next[i];
        }
    }
    if (testhost_settled(t, WAIT_MS) != 0) _exit(5);
    testhost_free(t);
    s->done = 1;
    _exit(0);
}

// Runs one child; kills it after `us` microseconds, when that is not 0.
static void life(struct shared *s, const struct io_plan *plan, uint64_t seed, unsigned us) {
    int status;
    pid_t pid = fork();
    if (pid == 0) child(s, plan, seed);
    if (us) {
        usleep(us);
        kill(pid, SIGKILL);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status) && WEXITSTATUS(status)) fail_msg("the child ended with %d", WEXITSTATUS(status));
}

// Bytes beyond the committed length turn into others, or vanish in part.
static void garble_tail(uint64_t *seed) {
    char path[600], journal[600];
    struct journal j;
    struct journal_state state;
    struct stat st;
    snprintf(path, sizeof path, "%s/out", dir);
    snprintf(journal, sizeof journal, "%s/.out.journal", dir);
    if (journal_open(&j, &file_io_system, journal, "test", &state) != JOURNAL_OK) return;
    if (stat(path, &st) == 0 && st.st_size > state.length) {
        int fd = open(path, O_WRONLY);
        for (off_t at = state.length; at < st.st_size; at++)
            if (test_random(seed) % 2) assert_int_equal(pwrite(fd, "\0", 1, at), 1);
        if (test_random(seed) % 2) assert_int_equal(ftruncate(fd, state.length + (off_t)(test_random(seed) % (uint64_t)(st.st_size - state.length))), 0);
        close(fd);
    }
    journal_state_done(&state);
    journal_close(&j);
}

// Every record of both partitions in all files exactly once, in order. The value does not name its partition: both run through the same
// numbers, so each comes twice, and at any line the counts differ only as two ordered runs allow.
static void verify(void) {
    int64_t next[PARTITIONS] = {0};
    for (int number = 1; number < 100; number++) {
        char path[600];
        if (number < 99) snprintf(path, sizeof path, "%s/out.%06d", dir, number);
        else snprintf(path, sizeof path, "%s/out", dir);
        char *text = tmpdir_read(path);
        for (char *line = text ? strtok(text, "\n") : NULL; line; line = strtok(NULL, "\n")) {
            int64_t n = sinking_number(line);
            if (n == next[0]) next[0]++;
            else if (n == next[1]) next[1]++;
            else fail_msg("%s: %s where %d or %d belong", path, line, (int)next[0], (int)next[1]);
            if (next[1] > next[0]) { // which is which does not matter
                int64_t swap = next[0];
                next[0] = next[1];
                next[1] = swap;
            }
        }
        free(text);
    }
    assert_int_equal(next[0], TOTAL);
    assert_int_equal(next[1], TOTAL);
}

static struct shared *world(void) {
    static struct shared *s;
    if (!s) s = mmap(NULL, sizeof *s, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    memset(s, 0, sizeof *s);
    dir = tmpdir_new();
    snprintf(path_option, sizeof path_option, "path=%s/out", dir);
    return s;
}

TEST(killed_at_every_system_call_it_neither_loses_nor_repeats) {
    uint64_t seed = 11;
    int rounds = 0;
    for (int half = 0; half < 2; half++) {
        bool done = false;
        for (long at = 1; !done; at += 1 + at / 40) {
            struct shared *s = world();
            life(s, &(struct io_plan){.kill_at = at, .kill_half = half}, seed++, 0);
            done = s->done;
            garble_tail(&seed);
            life(s, NULL, seed++, 0);
            verify();
            rounds++;
        }
    }
    print_message("%d rounds\n", rounds);
    assert_true(rounds >= 100);
}

TEST(killed_again_and_again_it_neither_loses_nor_repeats) {
    uint64_t seed = 12;
    for (int round = 0; round < 20; round++) {
        struct shared *s = world();
        for (int tries = 0; !s->done && tries < 400; tries++) {
            life(s, &(struct io_plan){.kill_at = 5 + (long)(test_random(&seed) % 60), .kill_half = (int)(test_random(&seed) % 2)}, seed, 0);
            garble_tail(&seed);
        }
        if (!s->done) life(s, NULL, seed, 0);
        verify();
    }
}

TEST(killed_at_random_moments_it_neither_loses_nor_repeats) {
    uint64_t seed = 13;
    for (int round = 0; round < 100; round++) {
        struct shared *s = world();
        life(s, NULL, seed, 1 + (unsigned)(test_random(&seed) % 20000));
        garble_tail(&seed);
        life(s, NULL, seed, 0);
        verify();
    }
}
