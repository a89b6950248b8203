// SPDX-License-Identifier: Apache-2.0
// Every file operation of the script failed, once and for ever, with every error: the store refuses or stops, whoever retries is served
// exactly once, and a restart ends where the model says.
//
//   a process to whose calls something happens ─┬─► restarted: it finds the page cache ─┬─► goes on to the window's end ─► power cut ─► all is there
//                                               └─► power cut before it closed ─────────┘
//
// The script is cut into windows; each begins on the disk that an undisturbed run left there (closed, killed or cut in turn, so that recovery's
// calls fail too), so that every call of a long script can be failed without running all that came before it. CONNECTD_OPS sets how long
// the script is, CONNECTD_SHARE how many of the failures are tried (one in so many), CONNECTD_SEED which; CONNECTD_PART of CONNECTD_PARTS tries
// those of every so many-th window, CONNECTD_WAY the ways with that in their name.
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "fs_crash.h"
#include "store_script.h"
#include "test.h"

enum { OPS = 200, WINDOW = 20, SHARE = 60, TRIES = 3, FAILURES_MOST = 5 };

static unsigned long from_env(const char *name, unsigned long otherwise) {
    const char *z = getenv(name);
    return z ? strtoul(z, NULL, 10) : otherwise;
}

struct way { const char *name; struct fs_fault_rule rule; };
static const struct way ways[] = {
    {"open EIO", {.ops = FS_OP_OPEN, .sys = EIO}},
    {"open ENOSPC", {.ops = FS_OP_OPEN, .sys = ENOSPC}},
    {"open EMFILE", {.ops = FS_OP_OPEN, .sys = EMFILE}},
    {"close EIO", {.ops = FS_OP_CLOSE, .sys = EIO}},
    {"read EIO", {.ops = FS_OP_READ, .sys = EIO}},
    {"short read", {.ops = FS_OP_READ, .short_bytes = 7}},
    {"write EIO", {.ops = FS_OP_WRITE, .sys = EIO}},
    {"write ENOSPC", {.ops = FS_OP_WRITE, .sys = ENOSPC}},
    {"write EDQUOT", {.ops = FS_OP_WRITE, .sys = EDQUOT}},
    {"short write ENOSPC", {.ops = FS_OP_WRITE, .sys = ENOSPC, .short_bytes = 40}},
    {"short write EIO", {.ops = FS_OP_WRITE, .sys = EIO, .short_bytes = 600}},
    {"write EIO after a page", {.ops = FS_OP_WRITE, .sys = EIO, .short_bytes = 4096}},
    {"write that says EIO", {.ops = FS_OP_WRITE, .sys = EIO, .done = true}},
    {"fdatasync EIO", {.ops = FS_OP_SYNC, .sys = EIO}},
    {"fdatasync ENOSPC", {.ops = FS_OP_SYNC, .sys = ENOSPC}},
    {"fdatasync EDQUOT", {.ops = FS_OP_SYNC, .sys = EDQUOT}},
    {"fdatasync that says EIO", {.ops = FS_OP_SYNC, .sys = EIO, .done = true}},
    {"truncate EIO", {.ops = FS_OP_TRUNCATE, .sys = EIO}},
    {"fallocate ENOSPC", {.ops = FS_OP_ALLOCATE, .sys = ENOSPC}},
    {"fallocate EDQUOT", {.ops = FS_OP_ALLOCATE, .sys = EDQUOT}},
    {"fallocate EIO", {.ops = FS_OP_ALLOCATE, .sys = EIO}},
    {"fallocate EOPNOTSUPP", {.ops = FS_OP_ALLOCATE, .sys = EOPNOTSUPP}},
    {"stat EIO", {.ops = FS_OP_STAT, .sys = EIO}},
    {"mkdir ENOSPC", {.ops = FS_OP_MKDIR, .sys = ENOSPC}},
    {"rename EIO", {.ops = FS_OP_RENAME, .sys = EIO}},
    {"rename EDQUOT", {.ops = FS_OP_RENAME, .sys = EDQUOT}},
    {"unlink EIO", {.ops = FS_OP_UNLINK, .sys = EIO}},
    {"directory fsync EIO", {.ops = FS_OP_SYNC_DIR, .sys = EIO}},
    {"directory fsync ENOSPC", {.ops = FS_OP_SYNC_DIR, .sys = ENOSPC}},
    {"directory fsync that says EIO", {.ops = FS_OP_SYNC_DIR, .sys = EIO, .done = true}},
    {"list EIO", {.ops = FS_OP_LIST, .sys = EIO}},
    {"statvfs EIO", {.ops = FS_OP_SPACE, .sys = EIO}},
    {"anything EIO", {.ops = FS_OP_ALL & ~FS_OP_CLOSE, .sys = EIO}},
    {"any change EROFS", {.ops = FS_OP_MUTATING, .sys = EROFS}},
};

// One process on a disk.
struct life {
    struct fs *seen, *fs;  // what it finds, page cache and all; the recorder over it
    struct store *s;
    unsigned acked, begun;
    int64_t given;         // the last producer id
    size_t cut;            // events before the store was closed
    unsigned tries;        // of the operation that fails
    bool wrong;            // an answer that the model does not allow
    struct err why;
};

static void on_begun(void *arg, unsigned op) {
    struct life *l = arg;
    l->begun = op + 1;
    l->tries = 0;
}
static void on_acked(void *arg, unsigned op) { ((struct life *)arg)->acked = op + 1; }
static void on_given(void *arg, int64_t id) { ((struct life *)arg)->given = id; }

static bool again(void *arg, unsigned op, const struct err *err) {
    struct life *l = arg;
    l->wrong |= err->code == ERR_INTERNAL;
    l->why = *err;
    return err_retriable(err) && l->tries++ < TRIES;
}

static int open_again(struct life *l, struct store **ret, struct err *err) {
    struct store_options o = script_options(l->fs);
    fs_mem_unlock(l->seen);
    return store_open(&o, ret, err);
}

static int reopen(void *arg, struct store **s, struct err *err) {
    struct store *old = *s;
    *s = NULL;
    return store_close(old, err) || open_again(arg, s, err) ? -1 : 0;
}

// Takes what is seen.
static struct life life_new(struct fs *seen, unsigned acked, unsigned begun) {
    struct life l = {.seen = seen, .fs = fs_fault_new(seen), .acked = acked, .begun = begun, .given = -1};
    fs_mem_unlock(seen);
    fs_fault_record(l.fs, true);
    return l;
}

static int life_run(struct life *l, struct script *x, unsigned from, unsigned to, bool retries, struct err *err) {
    struct script_hooks hooks = {.begun = on_begun, .acked = on_acked, .given = on_given, .reopen = reopen, .again = retries ? again : NULL, .arg = l};
    return script_run(x, &l->s, from, to, &hooks, err);
}

// Notes where the power is cut, then closes.
static int life_end(struct life *l, struct err *err) {
    struct store *s = l->s;
    l->cut = fs_fault_recorded(l->fs);
    l->s = NULL;
    return store_close(s, err);
}

static bool differs(struct buf *why, const char *when, const struct err *err) {
    buf_printf(why, "%s: %s; ", when, err->msg);
    return false;
}

// ── after it ─────────────────────────────────────────────────────────────────────────────────────────────────────────

// Everything up to `n` is there, producers go on, and no id is given twice. Takes the disk.
static bool holds(struct script *x, struct fs *disk, unsigned n, int64_t given, struct buf *why) {
    struct store_options o = script_options(disk);
    struct store *s;
    struct err err;
    int64_t id;
    if (store_open(&o, &s, &err)) {
        fs_close(disk);
        return differs(why, "refused after the second power cut", &err);
    }
    bool good = script_matches(x, s, n, why) && script_continues(x, s, n, why);
    if (store_producer_id(s, &id, &err)) good = differs(why, "no producer id", &err);
    else if (id <= given) buf_printf(why, "producer id %" PRId64 " after %" PRId64, id, given), good = false;
    if (!good) buf_puts(why, STR("(after the second power cut) "));
    if (store_close(s, &err)) good = differs(why, "close after the second power cut", &err);
    fs_close(disk);
    return good;
}

static bool finish(struct life *l, struct script *x, unsigned to, struct buf *why) {
    struct err err;
    unsigned n = l->acked, last = l->begun;
    if (open_again(l, &l->s, &err)) return differs(why, "refused", &err);
    while (!script_matches(x, l->s, n, why))
        if (n++ == last) return false;
    buf_clear(why);
    if (life_run(l, x, n, to, false, &err)) return differs(why, "going on", &err);
    return script_matches(x, l->s, to, why);
}

// A start in which a call fails, too. Whether it comes to serve or not, it ends there.
static struct life stumble(struct fs *seen, uint64_t seed) {
    enum { CALLS = 60 };
    struct life l = life_new(seen, 0, 0);
    struct fs_fault_rule rule = ways[seed % countof(ways)].rule;
    struct err err;
    rule.skip = (unsigned)(seed >> 8) % CALLS;
    rule.forever = seed >> 16 & 1;
    fs_fault_add(l.fs, rule);
    if (!open_again(&l, &l.s, &err)) (void)!life_end(&l, &err);
    return l;
}

// A second process finds `seen`; base and what was done to it tell what of that is on the disk. It ends the window, loses the power, and
// nothing is lost.
static bool goes_on(struct script *x, struct fs *base, const struct fs_trace *done, struct fs *seen, const struct life *was, unsigned to, struct buf *why) {
    struct life l = life_new(seen, was->acked, was->begun);
    struct err err;
    l.given = was->given;
    bool good = finish(&l, x, to, why);
    if (life_end(&l, &err) && good) good = differs(why, "close", &err);
    struct fs_trace all = fs_trace_join(done, done->n, fs_fault_trace(l.fs));
    if (good) good = holds(x, fs_crash(base, &all, done->n + l.cut, fs_keep_none, NULL), to, l.given, why);
    free(all.events);
    fs_close(l.fs);
    return good;
}

static bool goes_on_stumbling(struct script *x, struct fs *base, const struct fs_trace *done, struct fs *seen, const struct life *was, unsigned to, uint64_t seed,
                              struct buf *why) {
    struct life first = stumble(seen, seed);
    struct fs_trace all = fs_trace_join(done, done->n, fs_fault_trace(first.fs));
    bool good = goes_on(x, base, &all, fs_mem_clone(first.seen), was, to, why);
    if (!good) buf_printf(why, "(the start before it: %s, call %u) ", ways[seed % countof(ways)].name, (unsigned)(seed >> 8));
    free(all.events);
    fs_close(first.fs);
    return good;
}

static struct fs *lose_power(struct fs *disk, const struct life *l, uint64_t seed) {
    return seed & 1 ? fs_crash(disk, fs_fault_trace(l->fs), l->cut, fs_keep_random, &seed) : fs_crash(disk, fs_fault_trace(l->fs), l->cut, fs_keep_none, NULL);
}

static bool survives(struct script *x, struct fs *disk, const struct life *l, unsigned to, uint64_t seed, struct buf *why) {
    static const struct fs_trace nothing;
    uint64_t dice = seed;
    if (test_random(&dice) % 3 == 0 && !goes_on_stumbling(x, disk, fs_fault_trace(l->fs), fs_mem_clone(l->seen), l, to, test_random(&dice), why)) return false;
    if (!goes_on(x, disk, fs_fault_trace(l->fs), fs_mem_clone(l->seen), l, to, why)) return buf_puts(why, STR("(restarted)")), false;
    struct fs *left = lose_power(disk, l, seed);
    bool good = goes_on(x, left, &nothing, fs_mem_clone(left), l, to, why);
    if (good && test_random(&dice) % 3 == 0) good = goes_on_stumbling(x, left, &nothing, fs_mem_clone(left), l, to, test_random(&dice), why);
    if (!good) buf_puts(why, STR("(after a power cut)"));
    fs_close(left);
    return good;
}

// ── one failure ──────────────────────────────────────────────────────────────────────────────────────────────────────

struct tally { unsigned runs, finished, refused, stopped, not_started, wrong; };

// Nothing shows of what was refused, and what is durable can still be read. A swap that stopped half-way leaves the names of two segments
// mixed up until the restart.
static bool shows_what_is_durable(struct script *x, struct life *l, struct buf *why) {
    fs_fault_clear(l->fs);
    if (!l->s || (store_health(l->s, NULL) && strstr(script_op_text(x, l->begun - 1), " clean"))) return true;
    return script_matches(x, l->s, l->acked, why);
}

static struct life disturb(struct script *x, struct fs *disk, unsigned from, unsigned to, const struct fs_fault_rule *rule, struct tally *t, struct buf *why) {
    struct life l = life_new(fs_mem_clone(disk), from, from);
    struct err err;
    if (rule) fs_fault_add(l.fs, *rule);
    if (open_again(&l, &l.s, &err)) {
        l.why = err;
        t->not_started++;
    } else if (!life_run(&l, x, from, to, true, &err)) {
        t->finished++;
    } else {
        bool stops = err.code == ERR_STOPPED || !l.s;
        l.wrong |= err.code == ERR_INTERNAL;
        t->stopped += stops;
        t->refused += !stops;
    }
    if (!shows_what_is_durable(x, &l, why)) l.wrong = true;
    (void)!life_end(&l, &err);
    return l;
}

static void try_way(struct script *x, struct fs *disk, unsigned from, unsigned to, const struct way *w, unsigned skip, bool forever, uint64_t seed,
                    struct tally *t) {
    struct fs_fault_rule rule = w->rule;
    struct buf why = {0};
    rule.skip = skip;
    rule.forever = forever;
    struct life l = disturb(x, disk, from, to, &rule, t, &why);
    bool open = fs_fault_open_files(l.fs);
    if (open) buf_puts(&why, STR("files were left open; "));
    t->runs++;
    if (l.wrong || open || !survives(x, disk, &l, to, seed, &why)) {
        print_message("%s, call %u%s, operations %u to %u: acked %u, begun %u (%s), last error: %s: %s\n", w->name, skip, forever ? " and later ones" : "", from,
                      to, l.acked, l.begun, script_op_text(x, l.acked), l.why.msg, buf_cstr(&why));
        if (++t->wrong == FAILURES_MOST) fail();
    }
    buf_done(&why);
    fs_close(l.fs);
}

// ── windows ──────────────────────────────────────────────────────────────────────────────────────────────────────────

// Returns what the next window begins on; counts the calls of each way.
static struct fs *undisturbed(struct script *x, struct fs *disk, unsigned from, unsigned to, unsigned counts[countof(ways)]) {
    struct life l = life_new(fs_mem_clone(disk), from, from);
    struct err err;
    assert_ok(open_again(&l, &l.s, &err), err);
    assert_ok(life_run(&l, x, from, to, true, &err), err);
    struct fs *killed = fs_mem_clone(l.seen), *next;
    assert_ok(life_end(&l, &err), err);
    for (size_t i = 0; i < countof(ways); i++) counts[i] = fs_fault_count(l.fs, ways[i].rule.ops);
    switch (from / WINDOW % 3) {
    case 0: next = fs_mem_clone(killed); break;
    case 1: next = lose_power(disk, &l, from); break;
    default: next = fs_mem_clone(l.seen);
    }
    fs_close(killed);
    fs_close(l.fs);
    return next;
}

static void try_window(struct script *x, struct fs *disk, unsigned from, unsigned to, const unsigned counts[countof(ways)], uint64_t *dice, struct tally *t) {
    uint64_t share = from_env("CONNECTD_SHARE", SHARE);
    const char *only = getenv("CONNECTD_WAY") ? getenv("CONNECTD_WAY") : "";
    for (size_t i = 0; i < countof(ways); i++)
        for (unsigned skip = 0; skip < counts[i] * 2; skip++)
            if (test_random(dice) % share == 0 && strstr(ways[i].name, only)) try_way(x, disk, from, to, &ways[i], skip / 2, skip % 2, test_random(dice), t);
}

TEST(whatever_fails_in_the_script_is_refused_and_nothing_is_lost_or_twice) {
    unsigned ops = (unsigned)from_env("CONNECTD_OPS", OPS), counts[countof(ways)];
    uint64_t seed = from_env("CONNECTD_SEED", 1), dice = seed;
    unsigned long parts = from_env("CONNECTD_PARTS", 1), part = from_env("CONNECTD_PART", 0);
    struct script *x = script_new(seed, ops);
    struct fs *disk = fs_mem_new();
    struct tally t = {0};
    for (unsigned from = 0, to; from < ops; from = to) {
        to = from + WINDOW < ops ? from + WINDOW : ops;
        struct fs *next = undisturbed(x, disk, from, to, counts);
        if (from / WINDOW % parts == part) try_window(x, disk, from, to, counts, &dice, &t);
        fs_close(disk);
        disk = next;
    }
    fs_close(disk);
    script_free(x);
    print_message("%u runs over %u operations from seed %" PRIu64 ", each with one call failing once or for ever in one of %zu ways: %u were finished by trying again, "
                  "%u operations refused, %u stores stopped, %u not started; then twice a restart, a power cut and a restart\n",
                  t.runs, ops, seed, countof(ways), t.finished, t.refused, t.stopped, t.not_started);
    assert_int_equal(t.wrong, 0);
}
