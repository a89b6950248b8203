// SPDX-License-Identifier: Apache-2.0
// The store's tuning knobs, each at several values, in stores that take turns; beside the one file.
//
//     knobs [FOLDER] [SECONDS] [KNOB]     inline, journal, checkpoint or group; all when none is named
#include <stdio.h>
#include <stdlib.h>

#include "bench.h"

enum { VALUES = 5 };
struct shape { int partitions; size_t bytes; int count, writers; }; // of what is committed
struct knob {
    const char *name;
    void (*set)(struct store_options *o, uint64_t value);
    uint64_t values[VALUES]; // the third is the default
    const char *unit;
    uint64_t divisor;
    const struct shape *shapes;
    size_t shape_count;
};

static void set_inline(struct store_options *o, uint64_t v) { o->inline_max_bytes = (uint32_t)v; }
static void set_journal(struct store_options *o, uint64_t v) { o->journal_bytes = v; }
static void set_checkpoint(struct store_options *o, uint64_t v) { o->checkpoint_ms = (int64_t)v; }
static void set_group(struct store_options *o, uint64_t v) { o->group_max_bytes = v; }

static const struct shape around_inline[] = {{1, 1024, 40, 1}, {1, 1024, 80, 1}, {1, 1024, 200, 1}, {1, 1024, 400, 1},
                                             {4, 1024, 80, 1}, {4, 1024, 400, 1}, {1, 1024, 40, 8}, {1, 1024, 200, 8}};
static const struct shape long_runs[] = {{50, 1024, 1, 1}, {1000, 1024, 1, 1}, {1, 1024, 40, 8}};
static const struct shape many_writers[] = {{1, 1024, 1, 64}, {50, 1024, 1, 64}, {1, 1024, 40, 64}};

#define ROWS(array) array, countof(array)
static const struct knob knobs[] = {
    {"inline", set_inline, {32 << 10, 64 << 10, 128 << 10, 256 << 10, 512 << 10}, "KiB", 1024, ROWS(around_inline)},
    {"journal", set_journal, {16 << 20, 32 << 20, 64 << 20, 128 << 20, 256 << 20}, "MiB", 1 << 20, ROWS(long_runs)},
    {"checkpoint", set_checkpoint, {100, 300, 1000, 3000, 10000}, "ms", 1, ROWS(long_runs)},
    {"group", set_group, {1 << 20, 4 << 20, 16 << 20, 64 << 20, 256 << 20}, "MiB", 1 << 20, ROWS(many_writers)},
};

static void run_shape(const struct knob *k, struct bench_store *stores, const char *folder, const struct shape *c, double seconds) {
    struct side sides[VALUES + 1];
    for (int i = 0; i < VALUES; i++) {
        bench_store_topic(&stores[i], c->partitions);
        bench_batch(c->bytes, c->count, &stores[i].batch);
        sides[i] = (struct side){.commit = bench_store_commit, .arg = &stores[i]};
    }
    struct one_file *file = one_file_new(folder, stores[0].batch.n * (size_t)c->partitions);
    sides[VALUES] = (struct side){.commit = one_file_commit, .arg = file};
    bench_race(sides, VALUES + 1, c->writers, seconds, LONG_MS);
    printf("%4d x %5zu KiB, %2d wr |", c->partitions, c->bytes * (size_t)c->count / 1024, c->writers);
    double limit = side_rate(&sides[VALUES]);
    for (int i = 0; i <= VALUES; i++)
        printf(" %7.2f %7.2f %5.2f |", times_us(&sides[i].times, 0.5) / 1000, times_us(&sides[i].times, 0.99) / 1000, side_rate(&sides[i]) / limit);
    printf("\n");
    fflush(stdout);
    sides_done(sides, VALUES + 1);
    one_file_free(file);
}

static void run_knob(const struct knob *k, const char *folder, double seconds) {
    struct bench_store stores[VALUES];
    printf("%s: p50 and p99 in ms, and the rate against the file's\n%25s|", k->name, "");
    for (int i = 0; i < VALUES; i++) {
        struct store_options o = {0};
        char name[64];
        k->set(&o, k->values[i]);
        snprintf(name, sizeof(name), "%s-%d", k->name, i);
        bench_store_open(&stores[i], folder, name, o);
        printf(" %17llu %-3s |", (unsigned long long)(k->values[i] / k->divisor), k->unit);
    }
    printf(" %21s |\n", "file");
    for (size_t i = 0; i < k->shape_count; i++) run_shape(k, stores, folder, &k->shapes[i], seconds);
    for (int i = 0; i < VALUES; i++) bench_store_close(&stores[i]);
}

int main(int argc, char **argv) {
    struct folder folder = bench_folder(argc > 1 ? argv[1] : NULL);
    double seconds = argc > 2 ? strtod(argv[2], NULL) : 2;
    for (size_t i = 0; i < countof(knobs); i++)
        if (argc < 4 || !strcmp(argv[3], knobs[i].name)) run_knob(&knobs[i], folder.path, seconds);
    bench_folder_done(&folder);
    return 0;
}
