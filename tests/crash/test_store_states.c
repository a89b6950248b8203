// SPDX-License-Identifier: Apache-2.0
// Every state of the disk that a power cut may leave, as far as they can be counted: each is recovered and held against the model.
//
// One run of the script is recorded, with marks where an operation began, was acknowledged, or a reader was woken. For a cut between any
// two events the disk is built from what was synced and a choice of the rest (fs_crash.h). CONNECTD_STATES sets how many are tried,
// CONNECTD_SEED which.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/map.h"
#include "base/mem.h"
#include "fs_crash.h"
#include "store_script.h"
#include "test.h"

enum { OPS = 160, STATES = 2500, SHARE = 800 };

static unsigned long from_env(const char *name, unsigned long otherwise) {
    const char *z = getenv(name);
    return z ? strtoul(z, NULL, 10) : otherwise;
}

struct bounds { unsigned acked, begun; int64_t given; }; // given: no producer id up to here may come again

struct recording {
    struct script *script;
    struct fs *fs;
    struct fs *base;          // what the disk held when it began, NULL nothing
    const struct fs_trace *trace;
    size_t *synced;           // for each event, the index after the last sync before it
    struct bounds *bounds;    // for each event, as of before it
};

static void mark_begun(void *arg, unsigned op) { fs_fault_mark(arg, "begun %u", op); }
static void mark_acked(void *arg, unsigned op) { fs_fault_mark(arg, "acked %u", op); }
static void mark_given(void *arg, int64_t id) { fs_fault_mark(arg, "given %" PRId64, id); }
static void mark_seen(void *arg, int name, int partition, int64_t end, int64_t stable) {
    fs_fault_mark(arg, "seen %d %d %" PRId64 " %" PRId64, name, partition, end, stable);
}

static void bounds_move(const struct recording *r, const struct fs_event *e, struct bounds *b) {
    unsigned op, least = b->acked;
    int name, partition;
    int64_t end, stable;
    if (e->kind != FS_EV_MARK) return;
    if (sscanf(e->path, "begun %u", &op) == 1 && b->begun <= op) b->begun = op + 1;
    if (sscanf(e->path, "given %" SCNd64, &b->given) == 1) return;
    if (sscanf(e->path, "acked %u", &op) == 1) least = op + 1;
    if (sscanf(e->path, "looked at %u", &op) == 1) b->begun = least = op; // after a start: it stays that
    if (sscanf(e->path, "seen %d %d %" SCNd64 " %" SCNd64, &name, &partition, &end, &stable) == 4)
        least = script_seen_state(r->script, b->acked, name, partition, end, stable); // what a reader has seen counts as acknowledged
    if (b->acked < least) b->acked = least;
}

static const struct bounds nothing = {.given = -1};

static void walk(struct recording *r, struct bounds b) {
    size_t synced = 0;
    r->synced = xcalloc(r->trace->n + 1, sizeof(*r->synced));
    r->bounds = xcalloc(r->trace->n + 1, sizeof(*r->bounds));
    r->bounds[0] = b;
    for (size_t i = 0; i < r->trace->n; i++) {
        const struct fs_event *e = &r->trace->events[i];
        bounds_move(r, e, &b);
        if (e->kind == FS_EV_SYNC || e->kind == FS_EV_SYNC_DIR) synced = i + 1;
        r->bounds[i + 1] = b;
        r->synced[i + 1] = synced;
    }
}

static struct fs *base; // of the run being recorded

static int reopen(void *arg, struct store **s, struct err *err) {
    struct store_options o = script_options(arg);
    struct store *old = *s;
    *s = NULL;
    if (store_close(old, err)) return -1;
    fs_mem_unlock(base);
    return store_open(&o, s, err);
}

// Recording starts on an empty disk, so that the creation of the store is cut too.
static struct recording record_run(uint64_t seed) {
    unsigned ops = (unsigned)from_env("CONNECTD_OPS", OPS);
    base = fs_mem_new();
    struct recording r = {.script = script_new(seed, ops), .fs = fs_fault_new(base)};
    struct script_hooks hooks = {.begun = mark_begun, .acked = mark_acked, .seen = mark_seen, .given = mark_given, .between = r.fs, .reopen = reopen, .arg = r.fs};
    struct store_options o = script_options(r.fs);
    struct store *s;
    struct err err;
    struct buf why = {0};
    fs_fault_record(r.fs, true);
    assert_ok(store_open(&o, &s, &err), err);
    assert_ok(script_run(r.script, &s, 0, ops, &hooks, &err), err);
    if (!script_matches(r.script, s, ops, &why)) fail_msg("seed %" PRIu64 ", no crash at all: %s", seed, buf_cstr(&why));
    buf_done(&why);
    assert_ok(store_close(s, &err), err);
    r.trace = fs_fault_trace(r.fs);
    walk(&r, nothing);
    return r;
}

static void recording_done(struct recording *r) {
    free(r->synced);
    free(r->bounds);
    fs_close(r->fs);
    script_free(r->script);
}

static bool matches_one(const struct script *x, struct store *s, struct bounds b, unsigned *ret_n, struct buf *why) {
    for (unsigned n = b.acked; n <= b.begun; n++) {
        buf_printf(why, "state %u: ", n);
        *ret_n = n;
        if (script_matches(x, s, n, why)) return true;
    }
    return false;
}

// After those that were given before the cut.
static bool gives_new_ids(struct store *s, struct bounds b, struct buf *why) {
    int64_t id;
    struct err err;
    if (store_producer_id(s, &id, &err)) buf_printf(why, "no producer id: %s", err.msg);
    else if (id > b.given) return true;
    else buf_printf(why, "producer id %" PRId64 " after %" PRId64, id, b.given);
    return false;
}

// Takes the disk.
static bool recovers(const struct script *x, struct fs *disk, struct bounds b, bool go_on, bool later, unsigned *ret_n, struct buf *why) {
    struct store_options o = script_options(disk);
    struct store *s;
    o.cleaner_off = !later; // with a cleaner the start leaves for later what no frame names
    struct err err;
    if (store_open(&o, &s, &err)) {
        buf_printf(why, "refused: %s", err.msg);
        fs_close(disk);
        return false;
    }
    bool good = matches_one(x, s, b, ret_n, why) && (!go_on || script_continues(x, s, *ret_n, why)) && gives_new_ids(s, b, why);
    if (store_close(s, &err)) {
        buf_printf(why, "close: %s", err.msg);
        good = false;
    }
    fs_close(disk);
    return good;
}

static void report(const struct recording *r, uint64_t seed, size_t upto, const char *variant, struct buf *why) {
    struct buf trace = {0};
    struct bounds b = r->bounds[upto];
    struct fs_trace tail = {r->trace->events + (upto > 25 ? upto - 25 : 0), upto > 25 ? 25 : upto, 0};
    fs_trace_print(&tail, &trace);
    print_message("%s\nseed %" PRIu64 ", cut before event %zu of %zu, %s, acked %u, begun %u (%s):\n%s", buf_cstr(why), seed, upto, r->trace->n, variant, b.acked, b.begun,
                  script_op_text(r->script, b.acked), buf_cstr(&trace));
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
    return (struct fs_keep){.take = event == c->lost ? c->bytes : UINT64_MAX};
}

// Sizes and names reach the disk, bytes do not: the file is as long as it was, and zero.
static struct fs_keep zeros(void *arg, const struct fs_trace *t, size_t event) {
    return t->events[event].kind == FS_EV_WRITE ? (struct fs_keep){.grow = true} : (struct fs_keep){.take = UINT64_MAX};
}

// A log of names and sizes, cut somewhere after the last sync, and bytes as they happened to be written back.
static struct fs *build_journalled(const struct recording *r, size_t upto, struct choice *c) {
    static const char *const kinds[] = {"as ext4 with data=writeback, sectors", "as ext4 and XFS, sectors", "as ext4 with data=writeback, pages", "as ext4 and XFS, pages"};
    size_t synced = r->synced[upto];
    struct fs_journalled m = {.seed = c->seed};
    uint64_t dice = test_random(&m.seed);
    m.ordered = dice & 1;
    m.unit = dice & 2 ? 4096 : 512;
    m.logged = synced + (dice >> 8) % (upto - synced + 1);
    c->name = kinds[dice & 3];
    return fs_crash(r->base, r->trace, upto, fs_keep_journalled, &m);
}

static struct fs *build(const struct recording *r, size_t upto, struct choice *c, uint64_t dice) {
    size_t *pending, n;
    *c = (struct choice){.seed = dice};
    switch (dice % 12) {
    case 0: c->name = "all that was not synced is lost"; return fs_crash(r->base, r->trace, upto, fs_keep_none, NULL);
    case 1: c->name = "nothing is lost"; return fs_crash(r->base, r->trace, upto, fs_keep_all, NULL);
    case 2: c->name = "sizes without bytes"; return fs_crash(r->base, r->trace, upto, zeros, NULL);
    case 3:
    case 4:
        n = fs_crash_pending(r->base, r->trace, upto, &pending);
        c->lost = n ? pending[(dice >> 8) % n] : 0;
        if (n && dice % 12 == 4) c->lost = pending[n - 1], c->bytes = r->trace->events[c->lost].n ? (dice >> 8) % r->trace->events[c->lost].n : 0;
        if (dice & 128) c->bytes &= ~(uint64_t)511;
        free(pending);
        c->name = dice % 12 == 3 ? "one change is lost" : "the last change is cut";
        return fs_crash(r->base, r->trace, upto, all_but_one, c);
    case 5:
    case 6:
    case 7:
    case 8:
    case 9: return build_journalled(r, upto, c);
    default: c->name = "any subset, torn at sectors"; return fs_crash(r->base, r->trace, upto, fs_keep_random, &c->seed);
    }
}

// ── the tests ────────────────────────────────────────────────────────────────────────────────────────────────────────

// Which disks were tried already, by fs_mem_hash.
static bool is_new(struct map *seen, struct fs *disk) {
    uint64_t hash = fs_mem_hash(disk);
    struct str key = str_make(&hash, sizeof(hash));
    if (map_get(seen, key)) return false;
    map_put(seen, key, seen);
    return true;
}

struct tally { uint64_t tried, built, wanted; struct map seen; };

static void try_cut(const struct recording *r, uint64_t seed, size_t upto, uint64_t dice, struct tally *t) {
    struct buf why = {0};
    struct choice c;
    unsigned n;
    struct fs *disk = build(r, upto, &c, dice);
    t->built++;
    if (!is_new(&t->seen, disk)) {
        fs_close(disk);
        return;
    }
    t->tried++;
    if (!recovers(r->script, disk, r->bounds[upto], t->tried % 4 == 0, t->tried % 3 == 0, &n, &why)) report(r, seed, upto, c.name, &why);
    buf_done(&why);
}

static bool enough(const struct tally *t) { return t->tried >= t->wanted; }

// After a frame was written and not synced, by which files are going to be renamed or removed; the end when there is no such frame.
static size_t before_files_go(const struct fs_trace *t, size_t from) {
    size_t frame = t->n;
    for (size_t i = from; i < t->n; i++) {
        const struct fs_event *e = &t->events[i];
        if (e->kind == FS_EV_WRITE) frame = strcmp(e->path, "journal") ? t->n : i + 1;
        else if ((e->kind == FS_EV_RENAME || e->kind == FS_EV_UNLINK) && frame < t->n) return frame;
    }
    return t->n;
}

// Cuts at steps of the trace, so that all of it gets its share, and after each a cut where a frame and its files part company.
static void try_script(uint64_t seed, struct tally *t) {
    struct recording r = record_run(seed);
    uint64_t dice = seed * 7919 + 1, share = from_env("CONNECTD_SHARE", SHARE), step = r.trace->n * 2 / share + 1;
    for (size_t upto = test_random(&dice) % step; upto <= r.trace->n && !enough(t); upto += 1 + test_random(&dice) % step) {
        size_t narrow = before_files_go(r.trace, upto) + test_random(&dice) % 5;
        try_cut(&r, seed, upto, test_random(&dice) >> 8, t);
        if (narrow <= r.trace->n && !enough(t) && test_random(&dice) % 3 == 0) try_cut(&r, seed, narrow, test_random(&dice) >> 8, t);
    }
    recording_done(&r);
}

TEST(after_a_cut_anywhere_the_store_holds_exactly_what_was_acknowledged_and_whole_commits) {
    uint64_t first = from_env("CONNECTD_SEED", 1), seed = first;
    struct tally t = {.wanted = from_env("CONNECTD_STATES", STATES)};
    for (; !enough(&t); seed++) try_script(seed, &t);
    map_done(&t.seen, NULL);
    print_message("%" PRIu64 " different crash states (of %" PRIu64 " built) of %" PRIu64 " scripts of %lu operations from seed %" PRIu64 ", all as the model says\n",
                  t.tried, t.built, seed - first, from_env("CONNECTD_OPS", OPS), first);
}

// ── several lives ────────────────────────────────────────────────────────────────────────────────────────────────────

// What an event is about: the same for all segments, all indexes, all folders ….
static unsigned class_of(const struct fs_event *e) {
    const char *slash = strrchr(e->path, '/'), *dot = strchr(slash ? slash : e->path, '.');
    const char *what = dot ? dot : slash ? "folder" : e->path;
    return crc32c((uint32_t)e->kind, what, strcspn(what, "0123456789")) % 64;
}

// Where a process ends: anywhere, or, so that rare moments get their share, right after one kind of event, or where a frame is written
// and what it says of files is not done.
static size_t pick_end(const struct fs_trace *t, size_t from, uint64_t *dice) {
    size_t at = from + test_random(dice) % (t->n - from + 1), of_class[64] = {0};
    uint64_t how = test_random(dice) % 4;
    if (how == 0) return at;
    if (how == 1) return before_files_go(t, at);
    for (size_t i = from; i < t->n; i++) of_class[class_of(&t->events[i])]++;
    unsigned c = (unsigned)(test_random(dice) % 64);
    for (unsigned tries = 0; tries < 64 && !of_class[c]; tries++) c = (c + 1) % 64;
    size_t nth = of_class[c] ? test_random(dice) % of_class[c] : 0;
    for (size_t i = from; i < t->n; i++)
        if (class_of(&t->events[i]) == c && !nth--) return i + 1;
    return at;
}

// A computer, and what was done on it since it was switched on.
enum { LIVES = 4 };
struct machine {
    struct recording now;         // its trace is `done`, its bounds those of what comes
    struct fs_trace done;
    struct bounds on;             // when it was switched on
    struct fs *lives[LIVES];      // their events are in `done`
    unsigned count;
};

static void machine_retrace(struct machine *m, struct fs_trace t) {
    free(m->now.synced);
    free(m->now.bounds);
    free(m->done.events);
    m->done = t;
    m->now.trace = &m->done;
    walk(&m->now, m->on);
}

static void machine_done(struct machine *m) {
    for (unsigned i = 0; i < m->count; i++) fs_close(m->lives[i]);
    if (m->now.base) fs_close(m->now.base);
    free(m->now.synced);
    free(m->now.bounds);
    free(m->done.events);
}

// The process is killed before event `end`; its page cache stays.
static void machine_kill(struct machine *m, size_t end) {
    static const struct fs_trace none;
    machine_retrace(m, fs_trace_join(&m->done, end, &none));
}

static void machine_cut(struct machine *m, size_t end, uint64_t dice) {
    struct choice c;
    struct fs *left = build(&m->now, end, &c, dice), *before = m->now.base;
    m->on = m->now.bounds[end];
    m->now.base = left;
    machine_retrace(m, (struct fs_trace){0});
    if (before) fs_close(before);
}

// A process recovers what is there, goes on for some operations, and ends properly. Of what it did a prefix will be left.
static bool machine_live(struct machine *m, unsigned more, struct buf *why) {
    struct fs *fs = fs_fault_new(fs_crash(m->now.base, &m->done, m->done.n, fs_keep_all, NULL));
    struct script_hooks hooks = {.begun = mark_begun, .acked = mark_acked, .seen = mark_seen, .given = mark_given, .between = fs, .arg = fs};
    struct store_options o = script_options(fs);
    struct bounds b = m->now.bounds[m->done.n];
    struct store *s;
    struct err err = {0};
    unsigned n = 0, count = script_count(m->now.script);
    m->lives[m->count++] = fs;
    o.cleaner_off = m->count & 1;
    fs_fault_record(fs, true);
    if (store_open(&o, &s, &err)) return buf_printf(why, "refused: %s", err.msg), false;
    bool good = matches_one(m->now.script, s, b, &n, why);
    fs_fault_mark(fs, "looked at %u", n);
    if (good && script_run(m->now.script, &s, n, n + more < count ? n + more : count, &hooks, &err)) good = false;
    if (store_close(s, &err)) good = false;
    buf_puts(why, str_of(err.msg));
    machine_retrace(m, fs_trace_join(&m->done, m->done.n, fs_fault_trace(fs)));
    return good;
}

static bool machine_holds(struct machine *m, size_t from, uint64_t *dice, struct buf *why) {
    enum { CUTS = 6 };
    for (int i = 0; i < CUTS; i++) {
        struct choice c;
        unsigned n;
        size_t cut = pick_end(&m->done, from, dice);
        struct fs *disk = build(&m->now, cut, &c, i ? test_random(dice) >> 8 : 0);
        buf_clear(why);
        if (!recovers(m->now.script, disk, m->now.bounds[cut], true, test_random(dice) & 1, &n, why)) return report(&m->now, 0, cut, c.name, why), false;
    }
    return true;
}

// The first process is the recorded one; those after it are killed or cut where the dice say, in recovery more often than not.
static void live_on(const struct recording *r, uint64_t seed, uint64_t dice) {
    struct machine m = {.now = {.script = r->script}, .on = nothing};
    struct buf why = {0};
    uint64_t all = dice;
    size_t from = 0, end = pick_end(r->trace, 0, &dice);
    machine_retrace(&m, fs_trace_join(r->trace, end, &m.done));
    for (unsigned life = 0, lives = 1 + (unsigned)(test_random(&dice) % (LIVES - 1)); life < lives; life++) {
        if (test_random(&dice) % 2) machine_cut(&m, end, test_random(&dice) >> 8);
        else machine_kill(&m, end);
        from = m.done.n;
        buf_clear(&why);
        if (!machine_live(&m, (unsigned)(test_random(&dice) % 3 * 4), &why)) fail_msg("seed %" PRIu64 ", dice %" PRIu64 ", life %u: %s", seed, all, life, buf_cstr(&why));
        end = pick_end(&m.done, from, &dice);
    }
    if (!machine_holds(&m, from, &dice, &why)) fail_msg("seed %" PRIu64 ", dice %" PRIu64, seed, all);
    buf_done(&why);
    machine_done(&m);
}

TEST(processes_that_are_killed_or_lose_the_power_one_after_the_other_also_while_they_recover_lose_nothing) {
    uint64_t seed = from_env("CONNECTD_SEED", 1) + 3000, dice = seed, times = from_env("CONNECTD_STATES", STATES) / 20;
    struct recording r = record_run(seed);
    for (uint64_t i = 0; i < times; i++) live_on(&r, seed, test_random(&dice));
    recording_done(&r);
    print_message("%" PRIu64 " times one to %d more processes\n", times, LIVES - 1);
}
