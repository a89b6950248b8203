// SPDX-License-Identifier: Apache-2.0
// The cases of sinks.
#include <connectd/json.h>
#include <stdlib.h>
#include <time.h>

#include "base/mem.h"
#include "plugin/check_int.h"
#include "plugin/check_records.h"

enum { SLACK_MS = 1000, SETTLE_MS = 5000, TOPICS = 2 };
static const char *const topics[TOPICS] = {"check-a", "check-b"};

// Assigns both topics' partition 0; where each wants to go on.
static void assign(struct checking *k, int64_t next[TOPICS]) {
    for (int i = 0; i < TOPICS; i++) {
        check_step(k, "assign");
        next[i] = testhost_assign(k->t, topics[i], 0, 0);
        if (next[i] == -2) check_said_why(k, "assign");
        if (next[i] == -2) check_fail(k, "assign failed: %s", k->t->failure.text);
        if (next[i] < 0) next[i] = 0;
    }
}

// A batch of `shapes` records, dealt out over the topics; writes it read-only, puts it, takes it away.
static int put(struct checking *k, int64_t next[TOPICS], unsigned first_shape, unsigned count) {
    check_region(k);
    testhost_batch(k->t);
    for (unsigned i = 0; i < count; i++) {
        uint32_t r = check_record(&k->t->batch, topics[i % TOPICS], first_shape + i);
        struct cn_record *rec = cn_record_at(&k->t->batch, r);
        rec->offset = next[i % TOPICS]++;
        rec->partition = rec->original_partition = 0;
        rec->timestamp = 1700000000000 + i;
    }
    check_batch(k, "the suite's own batch");
    check_region_read_only(k);
    check_step(k, "put");
    int rc = testhost_put(k->t);
    check_region_gone(k);
    if (rc < CN_PUT_FAILED || rc > CN_PUT_LATER) check_fail(k, "put returned %d", rc);
    if (rc == CN_PUT_FAILED) check_said_why(k, "put");
    return rc;
}

static void flush(struct checking *k, uint32_t deadline_ms) {
    int64_t from = check_now_ms();
    check_step(k, "flush");
    if (testhost_flush(k->t, deadline_ms) != 0) check_said_why(k, "flush");
    if (check_now_ms() - from > (int64_t)deadline_ms + SLACK_MS) check_fail(k, "flush with a deadline of %u ms took %lld ms", deadline_ms, (long long)(check_now_ms() - from));
}

// Every record put has exactly one verdict, and what is not OK has a reason.
static void check_verdicts(struct checking *k) {
    struct testhost_verdict v;
    int64_t until = check_now_ms() + SETTLE_MS;
    while (testhost_settled(k->t, 200) != 0) {
        check_step(k, "tick");
        if (testhost_tick(k->t) != 0) check_said_why(k, "tick");
        if (check_now_ms() > until) break;
    }
    for (size_t i = 0; testhost_verdict_at(k->t, i, &v); i++) {
        if (v.kind == -1) check_fail(k, "the record at offset %lld of %s was never settled, %d ms after put and flush", (long long)v.offset, v.topic, SETTLE_MS);
        if (v.kind > CN_FATAL) check_fail(k, "a verdict of unknown kind %d", v.kind);
        if (v.times > 1) check_fail(k, "the record at offset %lld of %s was settled %u times", (long long)v.offset, v.topic, v.times);
        if ((v.kind == CN_RETRY || v.kind == CN_REJECT) && !*v.reason) check_fail(k, "a verdict %s without a reason", v.kind == CN_RETRY ? "retry" : "reject");
        if (v.kind == CN_FATAL) check_said_why(k, "a fatal verdict");
    }
    unsigned stray = testhost_stray_verdicts(k->t);
    if (stray) check_fail(k, "%u verdicts name records that were not put", stray);
    check_manners(k);
}

static void case_settled(struct checking *k) {
    int64_t next[TOPICS];
    check_open(k);
    assign(k, next);
    for (int i = 0; i < 5; i++)
        if (put(k, next, CHECK_PLAIN_SHAPE, 20) == CN_PUT_FAILED) check_skip(k, "put fails: %s", k->t->failure.text);
    flush(k, 3000);
    check_verdicts(k);
    check_close(k);
}

static void case_shapes(struct checking *k) {
    int64_t next[TOPICS];
    check_open(k);
    assign(k, next);
    for (unsigned shape = 0; shape < CHECK_SHAPES; shape++) {
        if (put(k, next, shape, 1) == CN_PUT_FAILED && k->t->failure.fail_class == CN_FAIL_BUG) check_fail(k, "a value of another shape (%u) is called the plugin's own bug: %s", shape, k->t->failure.text);
    }
    flush(k, 3000);
    check_close(k);
}

static void case_again(struct checking *k) {
    int64_t next[TOPICS], start[TOPICS];
    check_open(k);
    assign(k, next);
    memcpy(start, next, sizeof next);
    if (put(k, next, CHECK_PLAIN_SHAPE, 10) == CN_PUT_FAILED) check_skip(k, "put fails: %s", k->t->failure.text);
    flush(k, 3000);
    check_verdicts(k);
    memcpy(next, start, sizeof next);
    if (put(k, next, CHECK_PLAIN_SHAPE, 10) == CN_PUT_FAILED) check_skip(k, "put fails: %s", k->t->failure.text);
    flush(k, 3000);
    check_verdicts(k);
    check_close(k);
}

static void case_empty(struct checking *k) {
    int64_t next[TOPICS];
    check_open(k);
    assign(k, next);
    if (put(k, next, 0, 0) == CN_PUT_FAILED) check_fail(k, "an empty batch is refused: %s", k->t->failure.text);
    flush(k, 500);
    check_step(k, "tick");
    if (testhost_tick(k->t) != 0) check_said_why(k, "tick");
    check_close(k);
}

static void case_revoke(struct checking *k) {
    int64_t next[TOPICS];
    check_open(k);
    assign(k, next);
    if (put(k, next, CHECK_PLAIN_SHAPE, 20) == CN_PUT_FAILED) check_skip(k, "put fails: %s", k->t->failure.text);
    for (int i = 0; i < TOPICS; i++) {
        check_step(k, "revoke");
        testhost_revoke(k->t, topics[i], 0);
    }
    nanosleep(&(struct timespec){0, 500000000}, NULL);
    unsigned stray = testhost_stray_verdicts(k->t);
    if (stray) check_fail(k, "%u verdicts came for partitions after their revoke returned", stray);
    assign(k, next); // and they may come again
    if (put(k, next, CHECK_PLAIN_SHAPE, 4) == CN_PUT_FAILED) check_said_why(k, "put");
    flush(k, 3000);
    check_verdicts(k);
    check_close(k);
}

static void case_close_in_flight(struct checking *k) {
    int64_t next[TOPICS];
    check_open(k);
    assign(k, next);
    put(k, next, CHECK_PLAIN_SHAPE, 50);
    int64_t from = check_now_ms();
    testhost_stop(k->t);
    check_step(k, "close with records in flight");
    testhost_close(k->t);
    if (check_now_ms() - from > 5000 + SLACK_MS) check_fail(k, "close with records in flight took %lld ms", (long long)(check_now_ms() - from));
    nanosleep(&(struct timespec){0, 300000000}, NULL);
    check_manners(k); // nothing is said after close
}

const struct check_case check_sink_cases[] = {
    {"every record is settled exactly once, with a reason where it is not ok", KIND_BIT(CN_SINK), case_settled},
    {"values of every shape are put", KIND_BIT(CN_SINK), case_shapes},
    {"a record put again is settled again", KIND_BIT(CN_SINK), case_again},
    {"an empty batch and ticks are fine", KIND_BIT(CN_SINK), case_empty},
    {"nothing is settled after a revoke", KIND_BIT(CN_SINK), case_revoke},
    {"close with records in flight comes back and says no more", KIND_BIT(CN_SINK), case_close_in_flight},
    {NULL, 0, NULL},
};
