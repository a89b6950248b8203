// SPDX-License-Identifier: Apache-2.0
// Power cuts and kills while the loss in a damaged partition is accepted: at every one of them it is as before, stopped with the same damage, or
// done, serving all that is whole. Once it was answered it is done.
//
// CONNECTD_STATES: disks tried for each cut beside the two plain ones; CONNECTD_SEED: which.
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "fs_crash.h"
#include "repair_world.h"

static unsigned long from_env(const char *name, unsigned long otherwise) {
    const char *z = getenv(name);
    return z ? strtoul(z, NULL, 10) : otherwise;
}

struct recording {
    struct world w;              // its fs: the damaged disk before
    struct fs *fs;               // what recorded the acceptance
    const struct fs_trace *trace;
    char *before;                // what is said of the damage
    struct buf kept;             // the names and bytes in quarantine afterwards
    size_t begun, answered;      // events
};

// From "lost" on: what of the answer does not depend on counters.
static const char *damage_of(struct world *w) {
    const char *all = world_show(w), *at = strstr(all, "\"lost\":");
    assert_non_null(at);
    return at;
}

static void damage_some(struct world *w) {
    struct partition *p = world_partition(w);
    struct piece *marker = NULL;
    struct batch_header h;
    for (size_t i = 10; i < w->n && !marker; i++) // the end of an aborted transaction
        if (!batch_read_header(w->pieces[i].bytes, w->pieces[i].size, &h) && h.attributes & BATCH_CONTROL) marker = &w->pieces[i];
    assert_non_null(marker);
    damage(w, ZEROS, marker);
    damage(w, HEADER, piece_at(w, p->segs[1]->base, 1));
    damage(w, CUT_IN, piece_at(w, p->segs[p->seg_count - 1]->base, 2));
}

struct quarantine { struct fs *fs; struct buf *all; };
static int add_kept(void *arg, const char *name) {
    struct quarantine *q = arg;
    struct err err;
    char path[300];
    snprintf(path, sizeof(path), "quarantine/%s", name);
    buf_putz(q->all, name);
    assert_ok(fs_read_all(q->fs, path, 1 << 20, q->all, &err), err);
    return 0;
}

static struct buf quarantine_of(struct fs *fs) {
    struct buf all = {0};
    (void)!fs->ops->list(fs, "quarantine", add_kept, &(struct quarantine){fs, &all}, NULL); // it may not be there
    return all;
}

static struct recording record_acceptance(enum workload workload) {
    struct recording r = {.w = make_world(workload)};
    struct world running;
    struct err err;
    if (workload == PRODUCERS) damage_some(&r.w);
    else damage(&r.w, MISSING, piece_at(&r.w, segment_at(&r.w, workload == PLAIN), 0));
    find_damage(&r.w);
    assert_ok(store_checkpoint(r.w.s, &err), err);
    world_kill(&r.w);
    r.fs = fs_fault_new(fs_mem_clone(r.w.fs));
    fs_fault_record(r.fs, true);
    running = (struct world){.fs = r.fs};
    world_start(&running);
    r.before = xstrdup(damage_of(&running));
    r.begun = fs_fault_recorded(r.fs);
    assert_ok(world_accept(&running, &err), err);
    r.answered = fs_fault_recorded(r.fs);
    r.kept = quarantine_of(r.fs);
    assert_true(r.kept.n > 0 || workload != PRODUCERS); // a missing file has no bytes to keep
    fixture_close(running.s);
    r.trace = fs_fault_trace(r.fs);
    return r;
}

static void recording_done(struct recording *r) {
    fs_close(r->fs);
    free(r->before);
    buf_done(&r->kept);
    world_done(&r->w);
}

// Takes the disk.
static void try_disk(struct recording *r, struct fs *disk, size_t upto, const char *kind) {
    struct world w = r->w; // what should be there
    struct err err;
    w.fs = disk;
    world_start(&w);
    bool done = !partition_health(world_partition(&w), &err);
    if (!done && upto >= r->answered) fail_msg("cut before event %zu, %s: it was answered, and is stopped: %s", upto, kind, err.msg);
    if (!done && strcmp(damage_of(&w), r->before) != 0)
        fail_msg("cut before event %zu, %s: other damage than before: %s", upto, kind, damage_of(&w));
    struct buf kept = quarantine_of(disk);
    if (done && r->kept.n && (kept.n != r->kept.n || memcmp(kept.p, r->kept.p, kept.n) != 0))
        fail_msg("cut before event %zu, %s: the damaged bytes were not kept", upto, kind);
    buf_done(&kept);
    if (!done && world_accept(&w, &err)) fail_msg("cut before event %zu, %s: %s", upto, kind, err.msg);
    check_all(&w);
    assert_int_equal(fixture_put(w.s, "t", 0, "goes on", &err), w.end);
    fixture_close(w.s);
    fs_close(disk);
}

static size_t last_sync(const struct fs_trace *t, size_t upto) {
    while (upto && t->events[upto - 1].kind != FS_EV_SYNC && t->events[upto - 1].kind != FS_EV_SYNC_DIR) upto--;
    return upto;
}

static void try_cut(struct recording *r, size_t upto, uint64_t *dice, unsigned long more) {
    size_t synced = last_sync(r->trace, upto);
    try_disk(r, fs_crash(r->w.fs, r->trace, upto, fs_keep_none, NULL), upto, "all that was not synced is lost");
    try_disk(r, fs_crash(r->w.fs, r->trace, upto, fs_keep_all, NULL), upto, "a kill");
    for (unsigned long i = 0; i < more; i++) {
        uint64_t seed = test_random(dice);
        struct fs_journalled m = {
            .seed = seed, .ordered = seed & 1, .unit = seed & 2 ? 4096 : 512, .logged = synced + (seed >> 8) % (upto - synced + 1)};
        if (i % 2) try_disk(r, fs_crash(r->w.fs, r->trace, upto, fs_keep_random, &seed), upto, "any subset");
        else try_disk(r, fs_crash(r->w.fs, r->trace, upto, fs_keep_journalled, &m), upto, "as ext4 and XFS");
    }
}

TEST(a_cut_anywhere_in_an_acceptance_leaves_it_as_before_or_done) {
    uint64_t dice = from_env("CONNECTD_SEED", 1);
    unsigned long more = from_env("CONNECTD_STATES", 2), states = 0;
    for (enum workload workload = PLAIN; workload < WORKLOADS; workload++) {
        struct recording r = record_acceptance(workload);
        for (size_t upto = r.begun; upto <= r.trace->n; upto++, states += 2 + more) try_cut(&r, upto, &dice, more);
        recording_done(&r);
    }
    print_message("%lu disks\n", states);
}

// ── operations that fail ─────────────────────────────────────────────────────────────────────────────────────────────

static void fail_one(struct recording *r, const struct fs_fault_rule *rule) {
    struct fs *inner = fs_mem_clone(r->w.fs);
    struct world w = r->w;
    struct err err, ignored;
    w.fs = fs_fault_new(inner);
    world_start(&w);
    fs_fault_add(w.fs, *rule);
    int failed = world_accept(&w, &err);
    fs_fault_clear(w.fs);
    bool stopped = store_health(w.s, &ignored) != 0;
    if (failed && !stopped && strcmp(damage_of(&w), r->before) != 0)
        fail_msg("operation %x, call %u: other damage than before: %s", rule->ops, rule->skip, damage_of(&w));
    struct fs *disk = fs_mem_clone(inner);
    if (failed && !stopped && world_accept(&w, &err))
        fail_msg("operation %x, call %u: a second attempt: %s", rule->ops, rule->skip, err.msg);
    if (!stopped) check_all(&w);
    (void)!store_close(w.s, &ignored);
    if (fs_fault_open_files(w.fs))
        fail_msg("operation %x, call %u: %u files were left open", rule->ops, rule->skip, fs_fault_open_files(w.fs));
    fs_close(w.fs);
    try_disk(r, disk, failed ? 0 : r->answered, "after a failure");
}

TEST(an_acceptance_of_which_an_operation_fails_changes_nothing_or_is_found_out_by_the_next_start) {
    static const unsigned ops[] = {FS_OP_OPEN,  FS_OP_CLOSE,  FS_OP_READ,   FS_OP_WRITE,    FS_OP_SYNC, FS_OP_STAT,
                                   FS_OP_MKDIR, FS_OP_RENAME, FS_OP_UNLINK, FS_OP_SYNC_DIR, FS_OP_LIST};
    struct recording r = record_acceptance(PRODUCERS);
    unsigned runs = 0;
    r.kept.n = 0; // names differ when it is tried again
    for (size_t op = 0; op < countof(ops); op++) {
        unsigned calls = fs_fault_count(r.fs, ops[op]);
        for (unsigned skip = 0; skip < calls; skip++, runs++) {
            struct fs_fault_rule rule = {
                .ops = ops[op], .skip = skip, .sys = skip % 2 ? ENOSPC : EIO, .done = ops[op] == FS_OP_SYNC && skip % 3 == 0};
            fail_one(&r, &rule);
        }
    }
    print_message("%u runs with one operation failing\n", runs);
    recording_done(&r);
}
