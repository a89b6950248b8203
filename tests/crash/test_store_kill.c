// SPDX-License-Identifier: Apache-2.0
// kill -9 at each named point of commit, roll, create, grow, delete, retention, checkpoint and recovery; the parent keeps the ledger of
// what the child acknowledged, and the next start must show exactly that.
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store_script.h"
#include "test.h"
#include "tmpdir.h"

enum { OPS = 100, TIMES = 2 };

struct ledger { unsigned acked, begun; int64_t given; };

// A kill leaves the page cache as it is, so memory serves as well as a disk, and faster.
__attribute__((constructor)) static void use_memory(void) {
    if (!access("/dev/shm", W_OK)) setenv("TMPDIR", "/dev/shm", 0);
}

static pid_t start_child(const char *mode, const char *dir, uint64_t seed, const char *kill_at, int *ret_pipe) {
    int ends[2];
    char number[24], count[12];
    snprintf(number, sizeof(number), "%" PRIu64, seed);
    snprintf(count, sizeof(count), "%d", OPS);
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    if (!pid) {
        setenv("CONNECTD_KILL_AT", kill_at, 1);
        dup2(ends[1], STDOUT_FILENO);
        close(ends[0]);
        close(ends[1]);
        execl(STORE_CHILD, STORE_CHILD, mode, dir, number, count, NULL);
        _exit(4);
    }
    assert_true(pid > 0);
    close(ends[1]);
    *ret_pipe = ends[0];
    return pid;
}

// Runs a child to its end; true when it was killed.
static bool run_child(const char *mode, const char *dir, uint64_t seed, const char *kill_at, struct ledger *l) {
    int fd, status;
    int64_t number;
    char what;
    pid_t pid = start_child(mode, dir, seed, kill_at, &fd);
    FILE *in = fdopen(fd, "r");
    while (fscanf(in, "%c %" SCNd64 "\n", &what, &number) == 2) {
        if (what == 'b') l->begun = (unsigned)number + 1;
        else if (what == 'a') l->acked = (unsigned)number + 1;
        else l->given = number;
    }
    fclose(in);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    bool killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    if (!killed && (!WIFEXITED(status) || WEXITSTATUS(status))) fail_msg("%s at %s: child ended with status %d", mode, kill_at, status);
    return killed;
}

static void verify(const char *dir, uint64_t seed, const char *kill_at, const struct ledger *l) {
    struct script *x = script_new(seed, OPS);
    struct buf why = {0};
    struct fs *fs;
    struct store *s;
    struct err err;
    int64_t id;
    bool good = false;
    assert_ok(fs_posix_open(dir, &fs, &err), err);
    struct store_options o = script_options(fs);
    assert_ok(store_open(&o, &s, &err), err);
    for (unsigned n = l->acked; n <= l->begun && !good; n++) good = script_matches(x, s, n, &why) && script_continues(x, s, n, &why);
    if (!good) fail_msg("seed %" PRIu64 ", killed at %s, acked %u, begun %u: %s", seed, kill_at, l->acked, l->begun, buf_cstr(&why));
    assert_ok(store_producer_id(s, &id, &err), err);
    assert_true(id > l->given);
    assert_ok(store_close(s, &err), err);
    fs_close(fs);
    buf_done(&why);
    script_free(x);
}

static const char *const points[] = {
    "commit-written", "commit-segments-synced", "frame-written", "commit-framed", "commit-published", "roll-created", "roll-synced",
    "create-made", "create-synced", "create-framed", "grow-framed", "delete-framed", "delete-renamed", "retention-framed", "retention-unlink",
    "swap-written", "swap-synced", "swap-framed", "swap-renaming", "swap-renamed",
    "checkpoint-captured", "checkpoint-segment-synced", "checkpoint-synced", "checkpoint-written",
};

// A seed whose script comes to the point; scripts differ in what they do.
static void kill_at_point(const char *point, unsigned nth, uint64_t *seed) {
    for (int tries = 0; tries < 20; tries++, ++*seed) {
        const char *dir = tmpdir_new();
        char kill_at[64];
        struct ledger l = {.given = -1};
        snprintf(kill_at, sizeof(kill_at), "%s:%u", point, nth);
        bool killed = run_child("run", dir, *seed, kill_at, &l);
        if (killed) verify(dir, *seed, kill_at, &l);
        if (killed) return;
    }
    fail_msg("%s was never reached %u times", point, nth);
}

TEST(a_kill_at_each_named_point_loses_nothing_and_shows_nothing_half) {
    uint64_t seed = 1;
    for (size_t i = 0; i < sizeof(points) / sizeof(*points); i++)
        for (unsigned k = 0; k < TIMES; k++, seed++) kill_at_point(points[i], k * 2 + 1, &seed);
}

static const char *const recovery_points[] = {"recovery-settled", "recovery-replayed", "recovery-quarantined", "recovery-mended", "checkpoint-synced", "checkpoint-written",
                                              "recovery-checkpointed"};

// Bytes of a commit are written, its frame is not: recovery has something to replay and something to cut.
static bool kill_recovery_at(const char *point, uint64_t seed) {
    const char *dir = tmpdir_new();
    struct ledger l = {.given = -1}, none;
    if (!run_child("run", dir, seed, "commit-written:15", &l)) return false;
    bool killed = run_child("open", dir, seed, point, &none);
    verify(dir, seed, point, &l);
    return killed;
}

TEST(a_kill_at_each_named_point_of_recovery_loses_nothing) {
    uint64_t seed = 100;
    for (size_t i = 0; i < sizeof(recovery_points) / sizeof(*recovery_points); i++) {
        unsigned tries = 0;
        while (!kill_recovery_at(recovery_points[i], seed++) && tries < 20) tries++;
        if (tries == 20) fail_msg("%s was never reached", recovery_points[i]);
    }
}
