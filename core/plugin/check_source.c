// SPDX-License-Identifier: Apache-2.0
// The cases of sources.
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/mem.h"
#include "plugin/check_int.h"

enum { SLACK_MS = 1000, DATA_MS = 3000, COMMITS = 12, QUIET_POLLS = 3 };

// One poll under all rules that hold for any poll.
static int poll_checked(struct checking *k, uint32_t timeout_ms) {
    int64_t from = check_now_ms();
    check_region(k);
    check_step(k, "poll");
    int rc = testhost_poll(k->t, timeout_ms);
    int64_t took = check_now_ms() - from;
    if (took > (int64_t)timeout_ms + SLACK_MS) check_fail(k, "poll with a time-out of %u ms took %lld ms", timeout_ms, (long long)took);
    if (rc < CN_POLL_FAILED || rc > CN_POLL_DONE) check_fail(k, "poll returned %d", rc);
    if (rc == CN_POLL_FAILED) {
        check_said_why(k, "poll");
        if (!k->options_given) check_skip(k, "poll fails without options (-o) or its remote: %s", k->t->failure.text);
        check_fail(k, "poll failed: %s", k->t->failure.text);
    }
    if (rc == CN_POLL_IDLE && (cn_count(&k->t->batch) || cn_head(&k->t->batch)->position_count)) check_fail(k, "poll said idle and left records or positions in the batch");
    check_manners(k);
    return rc;
}

static void case_deadline(struct checking *k) {
    check_open(k);
    unsigned empty = 0;
    int64_t until = check_now_ms() + 1500;
    poll_checked(k, 0);
    while (check_now_ms() < until) {
        int rc = poll_checked(k, 200);
        if (rc == CN_POLL_DONE) break;
        bool nothing = rc == CN_POLL_IDLE || (!cn_count(&k->t->batch) && !cn_head(&k->t->batch)->position_count);
        empty = nothing ? empty + 1 : 0;
        if (empty > 300) check_fail(k, "poll returns at once with nothing, again and again, instead of waiting for its time-out");
    }
    check_close(k);
}

static void *wake_soon(void *arg) {
    nanosleep(&(struct timespec){0, 150000000}, NULL);
    testhost_wake(arg);
    return NULL;
}
// Only a source that has run dry waits; one that always has something may never.
static void case_wake(struct checking *k) {
    pthread_t waker;
    check_open(k);
    int64_t until = check_now_ms() + DATA_MS;
    while (check_now_ms() < until && poll_checked(k, 0) == CN_POLL_OK) {}
    int64_t from = check_now_ms();
    check_region(k);
    check_step(k, "poll, which a wake should end");
    if (pthread_create(&waker, NULL, wake_soon, k->t) != 0) check_skip(k, "no thread");
    testhost_poll(k->t, 10000);
    int64_t took = check_now_ms() - from;
    pthread_join(waker, NULL);
    if (took > 150 + SLACK_MS) check_fail(k, "a wake did not end a waiting poll: it went on for %lld ms (is wake_fd in its poll(2)?)", (long long)took);
    check_close(k);
}

static void case_batches(struct checking *k) {
    check_open(k);
    int64_t until = check_now_ms() + DATA_MS;
    size_t seen = 0;
    unsigned quiet = 0;
    while (check_now_ms() < until && seen < 10000 && !(seen && quiet > QUIET_POLLS)) {
        int rc = poll_checked(k, 200);
        seen += cn_count(&k->t->batch);
        quiet = rc == CN_POLL_IDLE ? quiet + 1 : 0;
        if (rc == CN_POLL_DONE) break;
    }
    check_step(k, "committed");
    testhost_commit(k->t);
    check_close(k);
    if (!seen) check_skip(k, "no record came within %d ms", DATA_MS);
}

static void case_withheld(struct checking *k) {
    check_open(k);
    poll_checked(k, 200);
    for (int i = 0; i < 3; i++) {
        check_step(k, "tick");
        if (testhost_tick(k->t) != 0) check_said_why(k, "tick");
    }
    check_step(k, "committed");
    testhost_commit(k->t);
    testhost_stop(k->t);
    int64_t from = check_now_ms();
    check_region(k);
    check_step(k, "poll of a stopping task");
    testhost_poll(k->t, 5000);
    if (check_now_ms() - from > SLACK_MS) check_fail(k, "poll of a stopping task took %lld ms", (long long)(check_now_ms() - from));
    check_close(k);
}

static void case_strange_position(struct checking *k) {
    static const char *const strange[][2] = {{"{\"no\":\"such partition\"}", "{\"nonsense\":[1,{\"a\":null}]}"}, {"{}", "{}"}, {"{\"a\":1}", "{\"lsn\":\"x\",\"next\":-1,\"offset\":1e99}"}};
    check_open(k);
    check_close(k);
    for (size_t i = 0; i < countof(strange); i++) {
        check_new(k);
        testhost_position(k->t, strange[i][0], strange[i][1]); // no check_open: here it may refuse
        check_step(k, "open with a position it never gave");
        if (testhost_open(k->t) != 0) {
            check_said_why(k, "open");
            testhost_free(k->t);
            continue;
        }
        poll_checked(k, 0);
        check_close(k);
    }
}

// ── resuming ──

// What follows "topic": of a line without its batch-dependent offset and its timestamp.
static char *comparable(const char *line) {
    char *copy = xstrdup(line);
    static const char *const fields[] = {",\"offset\":", ",\"timestamp\":"};
    for (size_t i = 0; i < countof(fields); i++) {
        char *at = strstr(copy, fields[i]);
        if (!at) continue;
        size_t skip = strlen(fields[i]) + strcspn(at + strlen(fields[i]), ",");
        memmove(at, at + skip, strlen(at + skip) + 1);
    }
    return copy;
}

// What a source told while nothing was ever committed: its lines, and after which of them which positions stood.
enum { MOST_PARTITIONS = 32 };
struct commit {
    size_t lines;
    struct cn_stored_position positions[MOST_PARTITIONS];
    size_t n;
};
struct story {
    char **lines;
    size_t n, cap;
    struct commit commits[COMMITS];
    unsigned count;
};

static char *copy_text(const struct cn_batch *b, struct cn_text t) { return str_dup(str_make(cn_bytes_at(b, t.at), t.n)); }

// The commit before and the batch's positions on top; false when there are too many to follow.
static bool add_positions(struct commit *c, const struct cn_batch *b) {
    for (uint32_t i = 0; i < cn_head(b)->position_count; i++) {
        const struct cn_position *p = cn_position_at(b, i);
        char *partition = copy_text(b, p->partition);
        size_t at = 0;
        while (at < c->n && strcmp(c->positions[at].partition, partition) != 0) at++;
        if (at == MOST_PARTITIONS) return false;
        if (at == c->n) c->n++;
        c->positions[at] = (struct cn_stored_position){partition, p->offset.at ? copy_text(b, p->offset) : NULL};
    }
    return true;
}

static void record_story(struct checking *k, struct story *s) {
    struct commit now = {0};
    bool more = true;
    unsigned quiet = 0;
    check_open(k);
    int64_t until = check_now_ms() + DATA_MS;
    while (more && s->count < COMMITS && check_now_ms() < until) {
        int rc = poll_checked(k, 200);
        quiet = rc == CN_POLL_IDLE ? quiet + 1 : 0;
        more = rc != CN_POLL_DONE && !(s->count && quiet > QUIET_POLLS);
        const struct cn_batch *b = &k->t->batch;
        while (s->n < k->t->line_count) {
            char *line = comparable(k->t->lines[s->n]);
            VEC_PUSH(s->lines, s->n, s->cap, line);
        }
        if (!cn_head(b)->position_count || cn_head(b)->boundary == CN_BOUNDARY_ABORT) continue;
        more = more && add_positions(&now, b);
        now.lines = s->n;
        if (cn_head(b)->boundary == CN_BOUNDARY_COMMIT) s->commits[s->count++] = now;
    }
    check_close(k);
}

// Of one partition the lines come in order; those of several may be mixed anew.
static bool expected(const struct story *s, const struct commit *from, size_t i, const char *line) {
    if (from->n == 1) return strcmp(line, s->lines[from->lines + i]) == 0;
    for (size_t at = from->lines; at < s->n; at++)
        if (strcmp(line, s->lines[at]) == 0) return true;
    return false;
}

// From each position on, the same lines must come again.
static void replay(struct checking *k, const struct story *s, const struct commit *from) {
    const char *where = from->positions[from->n - 1].offset ? from->positions[from->n - 1].offset : "null";
    check_open_at(k, from->positions, from->n);
    int64_t until = check_now_ms() + DATA_MS;
    while (k->t->line_count == 0 && check_now_ms() < until)
        if (poll_checked(k, 200) == CN_POLL_DONE) break;
    if (from->lines < s->n && k->t->line_count == 0) check_fail(k, "reopened at position %s nothing more comes; before, %zu records followed it", where, s->n - from->lines);
    for (size_t i = 0; i < k->t->line_count && from->lines + i < s->n; i++) {
        _cleanup_free_ char *line = comparable(k->t->lines[i]);
        if (!expected(s, from, i, line))
            check_fail(k, "reopened at position %s it does not go on where that stands: got %.300s, expected %.300s", where, line, s->lines[from->lines + i]);
    }
    check_close(k);
}

static void case_resume(struct checking *k) {
    struct story s = {0};
    record_story(k, &s);
    if (!s.n) check_skip(k, "no record came within %d ms", DATA_MS);
    if (!s.count) check_skip(k, "no commit with a position came");
    for (unsigned c = 0; c < s.count; c++) replay(k, &s, &s.commits[c]);
}

const struct check_case check_source_cases[] = {
    {"poll returns by its time-out and waits until then", KIND_BIT(CN_SOURCE), case_deadline},
    {"a wake ends a waiting poll", KIND_BIT(CN_SOURCE), case_wake},
    {"every batch is well formed", KIND_BIT(CN_SOURCE), case_batches},
    {"tick, committed and stop may come at any time", KIND_BIT(CN_SOURCE), case_withheld},
    {"positions it never gave are refused with a reason or ignored", KIND_BIT(CN_SOURCE), case_strange_position},
    {"it resumes at every position", KIND_BIT(CN_SOURCE), case_resume},
    {NULL, 0, NULL},
};
