// SPDX-License-Identifier: Apache-2.0
// Every allocation of the scenes failed once, with those after it, or as the first of all large ones: nothing crashes or leaks (the sanitizers'
// build says so), what says no may be tried again, and what is then in the store, open, closed and after a kill, is what an undisturbed run left.
//
// CONNECTD_SHARE sets how many of the failures are tried (one in so many), CONNECTD_SEED which; `./test_store_memory -` … a part of a scene's
// name in CONNECTD_SCENE runs only that.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "alloc_fail.h"
#include "base/mem.h"
#include "store_scenes.h"
#include "test.h"

enum { SHARE = 20, SMALL_LARGE = 200 };

static unsigned long from_env(const char *name, unsigned long otherwise) {
    const char *z = getenv(name);
    return z ? strtoul(z, NULL, 10) : otherwise;
}

static const struct way { const char *name; struct alloc_plan plan; } ways[] = {
    {"fails once", {.times = 1}},
    {"fails with the two after it", {.times = 3}},
    {"and all later ones of 1 MiB fail until a call says no", {.times = UINT64_MAX, .least = MEM_LARGE}},
    {"fails, where a buf fails that grows past 1 KiB", {.times = 2, .least = SMALL_LARGE}},
};

// The store's state, by a store opened on a copy of the disk.
static void state_of(struct fs *disk, struct buf *out) {
    struct world w = {.fs = fs_mem_clone(disk)};
    struct err err;
    clock_manual_init(&w.clock, 1700000000000000);
    if (!world_open(&w)) fail_msg("it does not open: %s", w.why);
    world_state(&w, out);
    assert_ok(store_close(w.s, &err), err);
    fs_close(w.fs);
}

// What the scene begins on.
static struct fs *prepare(const struct scene *x) {
    struct world w = {.fs = fs_mem_new()};
    struct err err;
    if (!x->prepare) return w.fs;
    clock_manual_init(&w.clock, 1700000000000000);
    if (!world_open(&w) || !x->prepare(&w)) fail_msg("%s, prepared: %s", x->name, w.why);
    struct fs *killed = fs_mem_clone(w.fs);
    assert_ok(store_close(w.s, &err), err);
    struct fs *stopped = fs_mem_clone(w.fs);
    fs_close(w.fs);
    fs_close(x->killed ? stopped : killed);
    buf_done(&w.said);
    return x->killed ? killed : stopped;
}

struct acting { const struct scene *x; struct world *w; bool good; struct alloc_plan plan; };
static void *act(void *arg) {
    struct acting *a = arg;
    alloc_plan(a->plan);
    a->good = a->x->act(a->w);
    alloc_relief();
    return NULL;
}

struct run { uint64_t allocations, failed; unsigned refused; };

// One run; what it said and left is appended to `out`.
static struct run run(const struct scene *x, struct fs *disk, struct alloc_plan plan, struct buf *out) {
    struct world w = {.fs = fs_mem_clone(disk)};
    struct err err;
    clock_manual_init(&w.clock, 1700000000000000);
    if (!x->cold && !world_open(&w)) fail_msg("%s: %s", x->name, w.why);
    buf_reserve(&w.said, 64 << 10); // not what is tried
    struct acting a = {.x = x, .w = &w, .plan = plan};
    pthread_t thread; // a fresh one, so that what codecs keep by thread is allocated anew
    assert_int_equal(pthread_create(&thread, NULL, act, &a), 0);
    pthread_join(thread, NULL);
    bool good = a.good;
    struct run r = {alloc_count(), alloc_failed(), w.failures};
    if (!good) fail_msg("%s: allocation %llu of %llu: %s", x->name, (unsigned long long)plan.first, (unsigned long long)r.allocations, w.why);
    buf_puts(out, buf_str(&w.said));
    buf_u8(out, '\n');
    world_state(&w, out);
    struct fs *killed = fs_mem_clone(w.fs);
    assert_ok(store_close(w.s, &err), err);
    state_of(w.fs, out);
    state_of(killed, out);
    fs_close(killed);
    fs_close(w.fs);
    buf_done(&w.said);
    return r;
}

struct total { uint64_t runs, failed, refused; };

static void sweep(const struct scene *x, uint64_t *dice, uint64_t share, struct total *total) {
    struct fs *disk = prepare(x);
    struct buf want = {0}, got = {0};
    run(x, disk, (struct alloc_plan){0}, &want);
    for (size_t i = 0; i < countof(ways); i++) {
        struct alloc_plan plan = ways[i].plan;
        mem_large = plan.least ? plan.least : MEM_LARGE;
        for (uint64_t n = 1, counted = 1; n <= counted; n++) {
            if (n > 1 && test_random(dice) % (plan.least == MEM_LARGE ? 1 : plan.least ? share / 2 + 1 : share)) continue;
            buf_clear(&got);
            plan.first = n;
            struct run r = run(x, disk, plan, &got);
            if (!str_eq(buf_str(&got), buf_str(&want)))
                fail_msg("%s: allocation %llu of %llu %s: there is\n%s\nnot\n%s", x->name, (unsigned long long)n, (unsigned long long)r.allocations, ways[i].name,
                         buf_cstr(&got), buf_cstr(&want));
            counted = r.allocations;
            total->runs++;
            total->failed += r.failed;
            total->refused += r.refused;
        }
    }
    mem_large = MEM_LARGE;
    buf_done(&want);
    buf_done(&got);
    fs_close(disk);
}

TEST(whatever_allocation_fails_nothing_crashes_leaks_or_is_lost) {
    uint64_t seed = from_env("CONNECTD_SEED", 1), dice = seed, share = from_env("CONNECTD_SHARE", SHARE);
    const char *only = getenv("CONNECTD_SCENE");
    struct total total = {0};
    size_t n = 0;
    for (size_t i = 0; i < scene_count; i++) {
        struct total before = total;
        if (only && !strstr(scenes[i].name, only)) continue;
        sweep(&scenes[i], &dice, share, &total);
        n++;
        if (only || getenv("CONNECTD_VERBOSE")) print_message("%s: %llu runs, %llu allocations failed, %llu calls said no\n", scenes[i].name, (unsigned long long)(total.runs - before.runs),
                                (unsigned long long)(total.failed - before.failed), (unsigned long long)(total.refused - before.refused));
    }
    print_message("%zu scenes, %llu runs: %llu allocations failed, %llu calls said no and were tried again\n", n, (unsigned long long)total.runs,
                  (unsigned long long)total.failed, (unsigned long long)total.refused);
}
