// SPDX-License-Identifier: Apache-2.0
// What the benchmarks of the log store share: sides that take turns, their times, and the one file that is the limit.
//
// A side is something that makes commits durable: a store, one file, a database. bench_race lets the sides take turns, a slice of time each,
// round after round, with a thread for each writer, so that what else the machine does meets them all. Everything here ends the program
// when something fails.
#ifndef BENCH_H
#define BENCH_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "store/batch.h"
#include "store/store.h"

#define MUST(call, what)                               \
    do {                                               \
        if ((call) != 0) bench_die(what, &err);        \
    } while (0)
void bench_die(const char *what, const struct err *err) __attribute__((noreturn)); // err NULL: errno
int64_t bench_ns(void);     // monotonic
int64_t bench_cpu_ns(void); // of all threads of the process

struct times { int64_t *ns; size_t n, cap; };
void times_add(struct times *t, int64_t ns);
double times_us(struct times *t, double quantile); // 0 when there are none; sorts
void times_done(struct times *t);
double median(double *list, size_t n); // sorts

struct side {
    const char *name;
    void (*commit)(void *arg, int writer); // by that writer's thread; returns when it is durable
    void *arg;
    void (*turn)(void *arg, bool begins);  // around each of its slices; may be NULL
    // What bench_race found.
    struct times times;                    // of each commit
    double *rates;                         // commits a second, of each slice
    size_t slices;
    uint64_t commits, syncs; // syncs: of stores and files of ours, those in the background too
    int64_t cpu_ns, ns;
};
// About `seconds` for each side, in slices of slice_ms; the first of each does not count. Short slices let the same noise meet all; long ones
// keep what a side does in the background within its own turn.
enum { SHORT_MS = 150, LONG_MS = 1000 };
void bench_race(struct side *sides, size_t n, int writers, double seconds, int slice_ms);
double side_rate(struct side *s); // the median slice's commits a second
void sides_done(struct side *sides, size_t n);

// A scratch folder; `given` NULL: one in /tmp that bench_folder_done removes.
struct folder { char path[4096]; bool made; };
struct folder bench_folder(const char *given);
void bench_folder_done(struct folder *f);

// A batch of `count` records of `bytes` each, without keys.
void bench_batch(size_t bytes, int count, struct buf *out);

// A store in a subfolder of its own; o.fs is filled here.
struct bench_store {
    struct fs *fs;
    struct store *s;
    struct topic *t;
    int partitions;   // of the topic that commits go to
    struct buf batch; // what a commit appends to each of them
};
void bench_store_open(struct bench_store *b, const char *folder, const char *name, struct store_options o);
void bench_store_topic(struct bench_store *b, int partitions); // a fresh one, instead of the one before
void bench_store_close(struct bench_store *b);
void bench_store_commit(void *arg, int writer); // the batch into every partition, one commit

// One file to which writers append, and which one of them syncs for all that wait: nothing can be durable with less.
struct one_file;
struct one_file *one_file_new(const char *folder, size_t bytes); // each commit's
void one_file_free(struct one_file *f);
void one_file_commit(void *arg, int writer);

#endif
