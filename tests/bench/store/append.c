// SPDX-License-Identifier: Apache-2.0
// Appending with acknowledgement after sync, beside one file that gets the same bytes in the same commits and is fdatasync'ed.
//
//     append [FOLDER] [SECONDS]                               the table; a cell takes twice the seconds
//     append FOLDER SECONDS PARTITIONS BYTES COUNT WRITERS    one line: commits of COUNT records in each partition
//
// A commit has one record in every partition. With several writers both sides gather what came while a sync ran into the next one. A ratio
// of 1 means as many commits a second as the file; the file's are the bytes alone, without offset, index, checksum or journal.
#include <stdio.h>
#include <stdlib.h>

#include "bench.h"

struct cell { int partitions; size_t bytes; int count, writers; };

static void print_heading(void) {
    printf("%31s | %36s | %8s %8s | %36s | %5s %5s\n", "", "store: commit latency, us", "", "CPU s", "file: commit latency, us", "ratio", "p99");
    printf("%5s %5s %3s %7s %7s | %8s %8s %8s %9s | %8s %8s | %8s %8s %8s %9s | %5s %5s\n", "parts", "bytes", "wr", "records", "MB/s", "p50", "p99", "p99.9",
           "commits/s", "syncs/s", "per GB", "p50", "p99", "p99.9", "commits/s", "rate", "ratio");
}

static void print_cell(const struct cell *c, struct side *s, struct side *f, size_t commit_bytes) {
    double ours = side_rate(s), theirs = side_rate(f), per_commit = (double)c->partitions * c->count;
    double bytes = (double)commit_bytes * (double)s->commits;
    printf("%5d %5zu %3d %6.0fk %7.1f | %8.0f %8.0f %8.0f %9.0f | %8.0f %8.2f | %8.0f %8.0f %8.0f %9.0f | %5.2f %5.2f\n", c->partitions, c->bytes, c->writers,
           ours * per_commit / 1000, ours * (double)commit_bytes / 1e6, times_us(&s->times, 0.5), times_us(&s->times, 0.99), times_us(&s->times, 0.999), ours,
           (double)s->syncs * 1e9 / (double)s->ns, (double)s->cpu_ns / bytes, times_us(&f->times, 0.5), times_us(&f->times, 0.99),
           times_us(&f->times, 0.999), theirs, ours / theirs, times_us(&s->times, 0.99) / times_us(&f->times, 0.99));
    fflush(stdout);
}

static void run_cell(struct bench_store *b, const char *folder, const struct cell *c, double seconds) {
    bench_batch(c->bytes, c->count, &b->batch);
    size_t commit_bytes = b->batch.n * (size_t)c->partitions;
    struct one_file *file = one_file_new(folder, commit_bytes);
    struct side sides[] = {{.name = "store", .commit = bench_store_commit, .arg = b}, {.name = "file", .commit = one_file_commit, .arg = file}};
    bench_race(sides, 2, c->writers, seconds, SHORT_MS);
    print_cell(c, &sides[0], &sides[1], commit_bytes);
    sides_done(sides, 2);
    one_file_free(file);
}

static void run_table(struct bench_store *b, const char *folder, double seconds) {
    static const int partitions[] = {1, 50, 1000}, writers[] = {1, 8, 64};
    static const size_t bytes[] = {100, 1024};
    print_heading();
    for (size_t p = 0; p < countof(partitions); p++)
        for (size_t n = 0; n < countof(bytes); n++)
            for (size_t w = 0; w < countof(writers); w++) {
                const struct cell c = {partitions[p], bytes[n], 1, writers[w]};
                bench_store_topic(b, c.partitions);
                run_cell(b, folder, &c, seconds);
            }
}

int main(int argc, char **argv) {
    struct folder folder = bench_folder(argc > 1 ? argv[1] : NULL);
    double seconds = argc > 2 ? strtod(argv[2], NULL) : 1.5;
    struct bench_store b;
    bench_store_open(&b, folder.path, "store", (struct store_options){0});
    if (argc == 7) {
        const struct cell c = {atoi(argv[3]), (size_t)atoi(argv[4]), atoi(argv[5]), atoi(argv[6])};
        bench_store_topic(&b, c.partitions);
        print_heading();
        run_cell(&b, folder.path, &c, seconds);
    } else run_table(&b, folder.path, seconds);
    bench_store_close(&b);
    bench_folder_done(&folder);
    return 0;
}
