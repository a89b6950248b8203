// SPDX-License-Identifier: Apache-2.0
// Every file operation of the script failed, once and for ever, with every error: the store refuses or stops, whoever retries is served
// exactly once, and a restart, with the page cache or without, ends where the model says.
//
// The script is cut into windows; each begins on the disk that an undisturbed run left there, so that every call of a long script can
// be failed without running all that came before it. CONNECTD_OPS sets how long the script is, CONNECTD_SHARE how many of the
// failures are tried (one in so many), CONNECTD_SEED which.
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "fs_crash.h"
#include "store_script.h"
#include "test.h"

enum { OPS = 200, WINDOW = 20, SHARE = 40, TRIES = 3 };

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
    {"write that says EIO", {.ops = FS_OP_WRITE, .sys = EIO, .done = true}},
    {"fdatasync EIO", {.ops = FS_OP_SYNC, .sys = EIO}},
    {"fdatasync ENOSPC", {.ops = FS_OP_SYNC, .sys = ENOSPC}},
    {"fdatasync EDQUOT", {.ops = FS_OP_SYNC, .sys = EDQUOT}},
    {"fdatasync that says EIO", {.ops = FS_OP_SYNC, .sys = EIO, .done = true}},
    {"truncate EIO", {.ops = FS_OP_TRUNCATE, .sys = EIO}},
    {"fallocate ENOSPC", {.ops = FS_OP_ALLOCATE, .sys = ENOSPC}},
    {"fallocate EDQUOT", {.ops = FS_OP_ALLOCATE, .sys = EDQUOT}},
    {"fallocate EIO", {.ops = FS_OP_ALLOCATE, .sys = EIO}},
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
};

// One run of one window.
struct attempt {
    struct fs *inner, *fs;
    unsigned acked, begun;
    size_t cut;            // events before the store was closed
    unsigned tries;        // of the operation that fails
    bool wrong;            // an answer that the model does not allow
    struct err why;
};

static void on_begun(void *arg, unsigned op) {
    struct attempt *a = arg;
    a->begun = op + 1;
    a->tries = 0;
}
static void on_acked(void *arg, unsigned op) { ((struct attempt *)arg)->acked = op + 1; }

static bool again(void *arg, unsigned op, const struct err *err) {
    struct attempt *a = arg;
    a->wrong |= err->code == ERR_INTERNAL;
    a->why = *err;
    return err_retriable(err) && a->tries++ < TRIES;
}

static int open_again(struct fs *fs, struct fs *inner, struct store **s, struct err *err) {
    struct store_options o = script_options(fs);
    fs_mem_unlock(inner);
    return store_open(&o, s, err);
}

static int reopen(void *arg, struct store **s, struct err *err) {
    struct attempt *a = arg;
    struct store *old = *s;
    *s = NULL;
    return store_close(old, err) || open_again(a->fs, a->inner, s, err) ? -1 : 0;
}

// Goes on with the window on what is there, undisturbed; takes the disk.
static bool finishes(struct script *x, struct fs *disk, const struct attempt *was, unsigned to, struct buf *why) {
    struct attempt a = {.inner = disk, .fs = disk};
    struct script_hooks hooks = {.begun = on_begun, .acked = on_acked, .reopen = reopen, .arg = &a};
    struct store *s = NULL;
    struct err err;
    bool good = false;
    unsigned n = was->acked;
    if (open_again(disk, disk, &s, &err)) {
        buf_printf(why, "refused: %s", err.msg);
        fs_close(disk);
        return false;
    }
    while (!(good = script_matches(x, s, n, why)) && n < was->begun) n++;
    if (good && script_run(x, &s, n, to, &hooks, &err)) {
        buf_printf(why, "from %u on: %s", n, err.msg);
        good = false;
    }
    good = good && script_matches(x, s, to, why);
    if (s && store_close(s, &err)) good = false;
    fs_close(disk);
    return good;
}

static struct attempt disturb(struct script *x, struct fs *disk, unsigned from, unsigned to, const struct fs_fault_rule *rule) {
    struct fs *inner = fs_mem_clone(disk);
    struct attempt a = {.inner = inner, .fs = fs_fault_new(inner), .acked = from, .begun = from};
    struct script_hooks hooks = {.begun = on_begun, .acked = on_acked, .reopen = reopen, .again = again, .arg = &a};
    struct store *s;
    struct err err;
    fs_fault_record(a.fs, true);
    if (rule) fs_fault_add(a.fs, *rule);
    if (open_again(a.fs, inner, &s, &err)) {
        a.cut = fs_fault_recorded(a.fs);
        return a;
    }
    if (script_run(x, &s, from, to, &hooks, &err)) a.wrong |= err.code == ERR_INTERNAL;
    a.cut = fs_fault_recorded(a.fs);
    if (s) (void)!store_close(s, &err);
    return a;
}

static void try_way(struct script *x, struct fs *disk, unsigned from, unsigned to, const struct way *w, unsigned skip, bool forever) {
    struct fs_fault_rule rule = w->rule;
    struct buf why = {0};
    rule.skip = skip;
    rule.forever = forever;
    struct attempt a = disturb(x, disk, from, to, &rule);
    const struct fs_trace *t = fs_fault_trace(a.fs);
    bool open = fs_fault_open_files(a.fs);
    if (open) buf_puts(&why, STR("files were left open; "));
    bool good = !a.wrong && !open && finishes(x, fs_mem_clone(a.inner), &a, to, &why) &&
                finishes(x, fs_crash(disk, t, a.cut, fs_keep_none, NULL), &a, to, &why);
    if (!good)
        fail_msg("%s, call %u%s, operations %u to %u: acked %u, begun %u (%s), last error: %s: %s", w->name, skip, forever ? " and later ones" : "", from, to,
                 a.acked, a.begun, script_op_text(x, a.acked), a.why.msg, buf_cstr(&why));
    buf_done(&why);
    fs_close(a.fs);
}

// Returns the disk at the window's end; counts the calls of each way.
static struct fs *undisturbed(struct script *x, struct fs *disk, unsigned from, unsigned to, unsigned counts[countof(ways)]) {
    struct attempt a = disturb(x, disk, from, to, NULL);
    assert_int_equal(a.acked, to);
    for (size_t i = 0; i < countof(ways); i++) counts[i] = fs_fault_count(a.fs, ways[i].rule.ops);
    struct fs *end = fs_mem_clone(a.inner);
    fs_close(a.fs);
    return end;
}

TEST(whatever_fails_in_the_script_is_refused_and_nothing_is_lost_or_twice) {
    unsigned ops = (unsigned)from_env("CONNECTD_OPS", OPS), runs = 0;
    uint64_t seed = from_env("CONNECTD_SEED", 1), dice = seed, share = from_env("CONNECTD_SHARE", SHARE);
    struct script *x = script_new(seed, ops);
    struct fs *disk = fs_mem_new();
    unsigned counts[countof(ways)];
    for (unsigned from = 0, to; from < ops; from = to) {
        to = from + WINDOW < ops ? from + WINDOW : ops;
        struct fs *next = undisturbed(x, disk, from, to, counts);
        for (size_t i = 0; i < countof(ways); i++)
            for (unsigned skip = 0; skip < counts[i] * 2; skip++) {
                if (test_random(&dice) % share) continue;
                try_way(x, disk, from, to, &ways[i], skip / 2, skip % 2);
                runs++;
            }
        fs_close(disk);
        disk = next;
    }
    fs_close(disk);
    script_free(x);
    print_message("%u runs over %u operations, each with one call failing once or for ever in one of %zu ways\n", runs, ops, countof(ways));
}
