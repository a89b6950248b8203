// SPDX-License-Identifier: Apache-2.0
// Every state of the disk that a power cut may leave, as far as they can be counted: each is recovered and held against the model.
//
// One run of the script is recorded, with marks where an operation began, was acknowledged, or a reader was woken. For a cut between any
// two events the disk is built from what was synced and a choice of the rest (fs_crash.h). CONNECTD_STATES sets how many are tried,
// CONNECTD_SEED which.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "fs_crash.h"
#include "store_script.h"
#include "test.h"

enum { OPS = 160, STATES = 2500 };

static unsigned long from_env(const char *name, unsigned long otherwise) {
    const char *z = getenv(name);
    return z ? strtoul(z, NULL, 10) : otherwise;
}

struct recording {
    struct script *script;
    struct fs *base, *fs;
    const struct fs_trace *trace;
};

static void mark_begun(void *arg, unsigned op) { fs_fault_mark(arg, "begun %u", op); }
static void mark_acked(void *arg, unsigned op) { fs_fault_mark(arg, "acked %u", op); }
static void mark_seen(void *arg, int name, int partition, int64_t end) { fs_fault_mark(arg, "seen %d %d %" PRId64, name, partition, end); }

// Recording starts on an empty disk, so that the creation of the store is cut too.
static struct recording record_run(uint64_t seed) {
    struct recording r = {.script = script_new(seed, OPS), .fs = fs_fault_new(fs_mem_new())};
    struct script_hooks hooks = {mark_begun, mark_acked, mark_seen, r.fs};
    struct store_options o = script_options(r.fs);
    struct store *s;
    struct err err;
    struct buf why = {0};
    fs_fault_record(r.fs, true);
    assert_ok(store_open(&o, &s, &err), err);
    assert_ok(script_run(r.script, s, 0, &hooks, &err), err);
    if (!script_matches(r.script, s, OPS, &why)) fail_msg("seed %" PRIu64 ", no crash at all: %s", seed, buf_cstr(&why));
    buf_done(&why);
    assert_ok(store_close(s, &err), err);
    r.trace = fs_fault_trace(r.fs);
    return r;
}

static void recording_done(struct recording *r) {
    fs_close(r->fs);
    script_free(r->script);
}

struct bounds { unsigned acked, begun; };

// What a reader has seen counts as acknowledged.
static struct bounds bounds_at(const struct recording *r, size_t upto) {
    struct bounds b = {0};
    for (size_t i = 0; i < upto; i++) {
        const struct fs_event *e = &r->trace->events[i];
        unsigned op, least = b.acked;
        int name, partition;
        int64_t end;
        if (e->kind != FS_EV_MARK) continue;
        if (sscanf(e->path, "begun %u", &op) == 1) b.begun = op + 1;
        if (sscanf(e->path, "acked %u", &op) == 1) least = op + 1;
        if (sscanf(e->path, "seen %d %d %" SCNd64, &name, &partition, &end) == 3) least = script_seen_state(r->script, b.acked, name, partition, end);
        if (b.acked < least) b.acked = least;
    }
    return b;
}

static bool matches_one(const struct script *x, struct store *s, struct bounds b, unsigned *ret_n, struct buf *why) {
    for (unsigned n = b.acked; n <= b.begun; n++) {
        buf_printf(why, "state %u: ", n);
        *ret_n = n;
        if (script_matches(x, s, n, why)) return true;
    }
    return false;
}

// Takes the disk.
static bool recovers(const struct script *x, struct fs *disk, struct bounds b, bool go_on, unsigned *ret_n, struct buf *why) {
    struct store_options o = script_options(disk);
    struct store *s;
    struct err err;
    if (store_open(&o, &s, &err)) {
        buf_printf(why, "refused: %s", err.msg);
        fs_close(disk);
        return false;
    }
    bool good = matches_one(x, s, b, ret_n, why) && (!go_on || script_continues(x, s, *ret_n, why));
    if (store_close(s, &err)) {
        buf_printf(why, "close: %s", err.msg);
        good = false;
    }
    fs_close(disk);
    return good;
}

static void report(const struct recording *r, uint64_t seed, size_t upto, const char *variant, struct buf *why) {
    struct buf trace = {0};
    struct bounds b = bounds_at(r, upto);
    struct fs_trace tail = {r->trace->events + (upto > 25 ? upto - 25 : 0), upto > 25 ? 25 : upto, 0};
    fs_trace_print(&tail, &trace);
    print_message("seed %" PRIu64 ", cut before event %zu of %zu, %s, acked %u, begun %u (%s):\n%s\n%s", seed, upto, r->trace->n, variant, b.acked, b.begun,
                  script_op_text(r->script, b.acked), buf_cstr(why), buf_cstr(&trace));
    fail();
}

// ── choices ──────────────────────────────────────────────────────────────────────────────────────────────────────────

struct choice {
    const char *name;
    uint64_t seed;
    size_t lost;      // this pending event is lost, or only its first bytes reach the disk
    uint64_t bytes;
};

static struct fs_keep all_but_one(void *arg, const struct fs_trace *t, size_t event) {
    const struct choice *c = arg;
    return (struct fs_keep){0, event == c->lost ? c->bytes : UINT64_MAX};
}

// Sizes and names reach the disk, bytes do not: the file is as long as it was, and zero.
static struct fs_keep zeros(void *arg, const struct fs_trace *t, size_t event) {
    return (struct fs_keep){t->events[event].kind == FS_EV_WRITE ? t->events[event].n - 1 : 0, t->events[event].kind == FS_EV_WRITE ? 1 : UINT64_MAX};
}

static struct fs *build(const struct recording *r, size_t upto, struct choice *c, uint64_t dice) {
    size_t *pending, n;
    *c = (struct choice){.seed = dice};
    switch (dice % 8) {
    case 0: c->name = "all that was not synced is lost"; return fs_crash(NULL, r->trace, upto, fs_keep_none, NULL);
    case 1: c->name = "nothing is lost"; return fs_crash(NULL, r->trace, upto, fs_keep_all, NULL);
    case 2: c->name = "sizes without bytes"; return fs_crash(NULL, r->trace, upto, zeros, NULL);
    case 3:
    case 4:
        n = fs_crash_pending(NULL, r->trace, upto, &pending);
        c->lost = n ? pending[(dice >> 8) % n] : 0;
        if (n && dice % 8 == 4) c->lost = pending[n - 1], c->bytes = r->trace->events[c->lost].n ? (dice >> 8) % r->trace->events[c->lost].n : 0;
        if (dice & 128) c->bytes &= ~(uint64_t)511;
        free(pending);
        c->name = dice % 8 == 3 ? "one change is lost" : "the last change is cut";
        return fs_crash(NULL, r->trace, upto, all_but_one, c);
    default: c->name = "any subset, torn at sectors"; return fs_crash(NULL, r->trace, upto, fs_keep_random, &c->seed);
    }
}

// ── the tests ────────────────────────────────────────────────────────────────────────────────────────────────────────

TEST(after_a_cut_anywhere_the_store_holds_exactly_what_was_acknowledged_and_whole_commits) {
    uint64_t first = from_env("CONNECTD_SEED", 1), states = from_env("CONNECTD_STATES", STATES), tried = 0;
    for (uint64_t seed = first; tried < states; seed++) {
        struct recording r = record_run(seed);
        uint64_t dice = seed * 7919 + 1, step = r.trace->n * 3 / (STATES / 2) + 1;
        for (size_t upto = test_random(&dice) % step; upto <= r.trace->n && tried < states; upto += 1 + test_random(&dice) % step, tried++) {
            struct buf why = {0};
            struct choice c;
            unsigned n;
            struct fs *disk = build(&r, upto, &c, test_random(&dice) >> 8);
            if (!recovers(r.script, disk, bounds_at(&r, upto), tried % 4 == 0, &n, &why)) report(&r, seed, upto, c.name, &why);
            buf_done(&why);
        }
        recording_done(&r);
    }
    print_message("%" PRIu64 " crash states from seed %" PRIu64 ", all as the model says\n", tried, first);
}

// Recovery itself is recorded on a crashed disk and cut again: the second recovery ends in the same state.
static void cut_recovery(const struct recording *r, uint64_t seed, size_t upto, uint64_t dice) {
    struct choice c;
    struct buf why = {0};
    struct bounds b = bounds_at(r, upto);
    unsigned n = 0, again;
    struct fs *first = build(r, upto, &c, dice), *recording = fs_fault_new(fs_mem_clone(first));
    fs_fault_record(recording, true);
    struct store_options o = script_options(recording);
    struct store *s;
    struct err err;
    assert_ok(store_open(&o, &s, &err), err);
    if (!matches_one(r->script, s, b, &n, &why)) report(r, seed, upto, c.name, &why);
    const struct fs_trace *t = fs_fault_trace(recording);
    size_t events = t->n;
    for (int i = 0; i < 4; i++) {
        size_t cut = test_random(&dice) % (events + 1);
        uint64_t keep = test_random(&dice);
        struct fs *disk = fs_crash(first, t, cut, i == 0 ? fs_keep_none : i == 1 ? fs_keep_all : fs_keep_random, &keep);
        buf_clear(&why);
        if (!recovers(r->script, disk, (struct bounds){n, n}, true, &again, &why)) {
            print_message("recovery cut before its event %zu of %zu\n", cut, events);
            report(r, seed, upto, c.name, &why);
        }
    }
    assert_ok(store_close(s, &err), err);
    fs_close(recording);
    fs_close(first);
    buf_done(&why);
}

TEST(a_recovery_that_is_cut_itself_ends_in_the_same_state) {
    uint64_t seed = from_env("CONNECTD_SEED", 1) + 1000, dice = seed;
    struct recording r = record_run(seed);
    for (int i = 0; i < 60; i++) {
        size_t upto = test_random(&dice) % (r.trace->n + 1);
        if (bounds_at(&r, upto).acked > 0) cut_recovery(&r, seed, upto, test_random(&dice));
    }
    recording_done(&r);
}
