// SPDX-License-Identifier: Apache-2.0
// Records and positions in one commit, under kill -9: a child runs the counting source into a log on disk and is killed, at random
// and at named points; whatever the moment, the log holds each number once, in order, and no position was told that is not there.
//
// The oracle is outside: the numbers themselves, and what the child reported by a pipe before it died.
#include "fixture.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backend/backend_embedded.h"
#include "base/fs.h"
#include "store/store.h"
#include "tmpdir.h"

static const char count_yaml[] = "pipeline: t\nsource:\n  connector: counting-source\n  value.converter: string\n";

struct log { struct fs *fs; struct store *store; struct backend *backend; };

static void log_open(struct log *l, const char *dir) {
    struct err err;
    assert_ok(fs_posix_open(dir, &l->fs, &err), err);
    const struct store_options o = {.fs = l->fs, .journal_bytes = 4 << 20, .commit_max_bytes = 1 << 20, .group_max_bytes = 1 << 20, .checkpoint_ms = 20, .reserve_bytes = 1 << 20};
    assert_ok(store_open(&o, &l->store, &err), err);
    const struct embedded_options e = {.store = l->store, .offsets_partitions = 1, .txn_partitions = 1, .commit_max_bytes = 256 << 10};
    assert_ok(backend_embedded_open(&e, &l->backend, &err), err);
}

static void log_close(struct log *l) {
    struct err err;
    l->backend->ops->close(l->backend);
    assert_ok(store_close(l->store, &err), err);
    fs_close(l->fs);
}

// The child is this program again (what a parent has looked up of its environment stays looked up): runs until it is killed,
// reporting the committed position on descriptor 3 whenever it moved.
TEST(child_process) {
    (void)state;
    const char *dir = getenv("CHILD_DIR"), *batch = getenv("CHILD_BATCH"), *open_every = getenv("CHILD_OPEN_EVERY");
    struct fixture f;
    struct log l;
    if (!dir) return; // nobody's child
    scripts_reset();
    source_script.limit = INT64_MAX;
    source_script.batch = atoi(batch);
    source_script.open_every = atoi(open_every);
    log_open(&l, dir);
    fixture_open_on(&f, l.backend);
    fixture_run(&f, count_yaml);
    for (int64_t told = -1;;) {
        int64_t now = atomic_load(&source_script.committed);
        if (now > told && write(3, &now, sizeof(now)) == sizeof(now)) told = now;
        usleep(200);
    }
}

static void become_child(const char *dir, const char *kill_at, int report, const struct source_script *script) {
    char batch[16], open_every[16];
    snprintf(batch, sizeof(batch), "%d", script->batch);
    snprintf(open_every, sizeof(open_every), "%d", script->open_every);
    setenv("CHILD_DIR", dir, 1);
    setenv("CHILD_BATCH", batch, 1);
    setenv("CHILD_OPEN_EVERY", open_every, 1);
    if (kill_at) setenv("CONNECTD_KILL_AT", kill_at, 1);
    dup2(report, 3);
    if (!freopen("/dev/null", "w", stdout)) _exit(1);
    dup2(fileno(stdout), 2);
    execl("/proc/self/exe", "child", "child_process", (char *)NULL);
    _exit(1);
}

// The highest position the child reported; kills it after `ms` (< 0: it kills itself, within 20 s).
static int64_t run_and_kill(const char *dir, const char *kill_at, int ms, const struct source_script *script) {
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    const char *scratch = tmpdir_new(); // what the child makes goes with it: it can not clean up itself
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        setenv("TMPDIR", scratch, 1);
        become_child(dir, kill_at, fds[1], script);
    }
    close(fds[1]);
    int64_t told = -1, one;
    if (ms >= 0) {
        // From its first report on, so that a slow start is no part of it.
        if (read(fds[0], &one, sizeof(one)) == sizeof(one)) told = one;
        usleep((unsigned)ms * 1000);
        kill(pid, SIGKILL);
    }
    while (read(fds[0], &one, sizeof(one)) == sizeof(one)) told = one;
    int status = 0;
    waitpid(pid, &status, 0);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    close(fds[0]);
    return told;
}

struct position { int64_t n; };
static int take_position(void *arg, struct str partition, struct str offset) {
    (void)partition;
    struct position *p = arg;
    for (size_t i = 0; i < offset.n; i++)
        if (offset.p[i] >= '0' && offset.p[i] <= '9') p->n = p->n * 10 + (offset.p[i] - '0');
    return 0;
}

// The log as a restart finds it. Returns how many numbers there are.
static int64_t check(const char *dir, int64_t told, const char *when) {
    struct log l;
    struct err err;
    struct position at = {0};
    const char *topic = "numbers";
    const struct consumed *r;
    struct consumer *c;
    int64_t next = 0;
    log_open(&l, dir);
    const struct backend_ops *ops = l.backend->ops;
    assert_ok(ops->positions(l.backend, "t-source", take_position, &at, &err), err);
    struct consumer_options o = {.topics = &topic, .topic_count = 1, .from_beginning = true};
    assert_ok(ops->consumer_open(l.backend, &o, &c, &err), err);
    for (int empty = 0; empty < 2;) {
        int n = ops->poll(c, 8 << 20, 5, &r, &err);
        if (n < 0) fail_msg("%s: %s", when, err.msg);
        for (int i = 0; i < n; i++, next++) {
            int64_t value;
            if (!str_to_i64(r[i].value, &value) || value != next) fail_msg("%s: number %lld where %lld belongs", when, (long long)value, (long long)next);
        }
        empty = n ? 0 : empty + 1;
    }
    ops->consumer_close(c);
    if (at.n != next) fail_msg("%s: %lld records, position %lld", when, (long long)next, (long long)at.n);
    if (told > at.n) fail_msg("%s: committed(%lld) was called, but the log ends at %lld", when, (long long)told, (long long)at.n);
    log_close(&l);
    return next;
}

static int64_t random_kills(int rounds, const struct source_script *script) {
    const char *dir = tmpdir_new();
    uint64_t seed = (uint64_t)script->batch * 1000 + (uint64_t)script->open_every;
    int64_t have = 0;
    for (int i = 0; i < rounds; i++) {
        char when[64];
        int ms = (int)(test_random(&seed) % 60);
        int64_t told = run_and_kill(dir, NULL, ms, script);
        snprintf(when, sizeof(when), "round %d, killed after %d ms", i, ms);
        int64_t now = check(dir, told, when);
        assert_true(now >= have);
        have = now;
    }
    return have;
}

TEST(small_commits_survive_kills_at_random) {
    (void)state;
    assert_true(random_kills(12, &(struct source_script){.batch = 7}) > 100);
}

TEST(large_commits_survive_kills_at_random) {
    (void)state;
    assert_true(random_kills(8, &(struct source_script){.batch = 3000}) > 1000);
}

TEST(transactions_survive_kills_at_random) {
    (void)state;
    // 40 polls of 1,000 records are one commit, more than a frame takes.
    assert_true(random_kills(8, &(struct source_script){.batch = 1000, .open_every = 40}) > 1000);
}

TEST(commits_survive_a_kill_at_each_named_point) {
    (void)state;
#ifndef CN_TEST_POINTS
    skip();
#endif
    static const char *const points[] = {"commit-segments-synced", "commit-written", "frame-written", "commit-framed", "commit-published",
                                         "checkpoint-captured", "checkpoint-segment-synced", "checkpoint-written", "checkpoint-synced"};
    const char *dir = tmpdir_new();
    int64_t have = 0;
    for (size_t i = 0; i < countof(points); i++)
        for (int large = 0; large < 2; large++) {
            char at[64], when[96];
            snprintf(at, sizeof(at), "%s:%d", points[i], strncmp(points[i], "check", 5) == 0 ? 3 : 12);
            int64_t told = run_and_kill(dir, at, -1, &(struct source_script){.batch = large ? 1000 : 7, .open_every = large ? 30 : 0});
            snprintf(when, sizeof(when), "killed at %s, %s commits", at, large ? "large" : "small");
            int64_t now = check(dir, told, when);
            assert_true(now >= have);
            have = now;
        }
}
