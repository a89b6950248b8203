// SPDX-License-Identifier: Apache-2.0
// Ways to make one append in each of many files durable, which is what a commit over many partitions asks for:
//
//   each      write all, fdatasync one after the other
//   threads   write all, fdatasync by up to 64 threads, so that the file system commits once for all that wait
//   syncfs    write all, syncfs: flushes everybody else's pages too
//   store     the log: write all, and one synced frame of its journal that holds them, too
//   ring      the frame alone, at its least: one write and fdatasync of all the bytes, over a file that was written before
//
//     syncs [FOLDER] [SECONDS]
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench.h"

enum { THREADS_MOST = 64, RING_BYTES = 64 << 20 };

struct files {
    int *fd, n;
    uint8_t *bytes;     // of one append
    size_t size;
    atomic_int next;    // of those the threads share out
};

static struct files *files_new(const char *folder, const char *name, int n, size_t size) {
    struct files *f = xcalloc(1, sizeof(*f));
    f->fd = xcalloc((size_t)n, sizeof(*f->fd));
    f->n = n;
    f->bytes = xcalloc(1, size);
    f->size = size;
    for (int i = 0; i < n; i++) {
        char path[4300];
        snprintf(path, sizeof(path), "%s/%s-%d", folder, name, i);
        f->fd[i] = open(path, O_RDWR | O_CREAT | O_TRUNC | O_APPEND, 0600);
        if (f->fd[i] < 0) bench_die(path, NULL);
        unlink(path); // gone with the descriptor
    }
    return f;
}

static void files_free(struct files *f) {
    for (int i = 0; i < f->n; i++) close(f->fd[i]);
    free(f->fd);
    free(f->bytes);
    free(f);
}

static void write_all(struct files *f) {
    for (int i = 0; i < f->n; i++)
        if (write(f->fd[i], f->bytes, f->size) != (ssize_t)f->size) bench_die("write", NULL);
}

static void sync_each(void *arg, int writer) {
    struct files *f = arg;
    write_all(f);
    for (int i = 0; i < f->n; i++)
        if (fdatasync(f->fd[i])) bench_die("fdatasync", NULL);
}

static void *sync_some(void *arg) {
    struct files *f = arg;
    for (int i; (i = atomic_fetch_add(&f->next, 1)) < f->n;)
        if (fdatasync(f->fd[i])) bench_die("fdatasync", NULL);
    return NULL;
}

static void sync_by_threads(void *arg, int writer) {
    struct files *f = arg;
    pthread_t threads[THREADS_MOST];
    int n = f->n < THREADS_MOST ? f->n : THREADS_MOST;
    write_all(f);
    atomic_store(&f->next, 0);
    for (int i = 0; i < n; i++)
        if (pthread_create(&threads[i], NULL, sync_some, f)) bench_die("thread", NULL);
    for (int i = 0; i < n; i++) pthread_join(threads[i], NULL);
}

static void sync_file_system(void *arg, int writer) {
    struct files *f = arg;
    write_all(f);
    if (syncfs(f->fd[0])) bench_die("syncfs", NULL);
}

struct ring { int fd; uint8_t *bytes; size_t size; off_t at; };

static struct ring ring_new(const char *folder, size_t size) {
    struct ring r = {.bytes = xcalloc(1, RING_BYTES), .size = (size + 4095) & ~(size_t)4095};
    char path[4200];
    snprintf(path, sizeof(path), "%s/ring", folder);
    r.fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (r.fd < 0 || pwrite(r.fd, r.bytes, RING_BYTES, 0) != RING_BYTES || fdatasync(r.fd)) bench_die(path, NULL);
    unlink(path);
    return r;
}

static void ring_commit(void *arg, int writer) {
    struct ring *r = arg;
    if (r->at + (off_t)r->size > RING_BYTES) r->at = 0;
    if (pwrite(r->fd, r->bytes, r->size, r->at) != (ssize_t)r->size || fdatasync(r->fd)) bench_die("ring", NULL);
    r->at += (off_t)r->size;
}

static void run_cell(struct bench_store *b, const char *folder, int n, size_t bytes, double seconds) {
    bench_store_topic(b, n);
    bench_batch(bytes, 1, &b->batch);
    struct files *files[] = {files_new(folder, "each", n, b->batch.n), files_new(folder, "threads", n, b->batch.n), files_new(folder, "syncfs", n, b->batch.n)};
    struct ring ring = ring_new(folder, b->batch.n * (size_t)n);
    struct side sides[] = {
        {.name = "each", .commit = sync_each, .arg = files[0]},      {.name = "threads", .commit = sync_by_threads, .arg = files[1]},
        {.name = "syncfs", .commit = sync_file_system, .arg = files[2]}, {.name = "store", .commit = bench_store_commit, .arg = b},
        {.name = "ring", .commit = ring_commit, .arg = &ring},
    };
    bench_race(sides, countof(sides), 1, seconds, SHORT_MS);
    printf("%5d %7zu |", n, bytes);
    for (size_t i = 0; i < countof(sides); i++) printf(" %9.2f %9.2f |", times_us(&sides[i].times, 0.5) / 1000, times_us(&sides[i].times, 0.99) / 1000);
    printf("\n");
    fflush(stdout);
    sides_done(sides, countof(sides));
    for (size_t i = 0; i < countof(files); i++) files_free(files[i]);
    close(ring.fd);
    free(ring.bytes);
}

int main(int argc, char **argv) {
    struct folder folder = bench_folder(argc > 1 ? argv[1] : NULL);
    double seconds = argc > 2 ? strtod(argv[2], NULL) : 1.5;
    static const struct { int files; size_t bytes; } cells[] = {{1, 1024}, {50, 1024}, {1000, 1024}, {1, 1 << 20}};
    struct bench_store b;
    bench_store_open(&b, folder.path, "store", (struct store_options){0});
    printf("milliseconds for one append in each file to be durable, p50 and p99\n%5s %7s |", "files", "bytes");
    for (int i = 0; i < 5; i++) printf(" %19s |", ((const char *[]){"each", "threads", "syncfs", "store", "ring"})[i]);
    printf("\n");
    for (size_t i = 0; i < countof(cells); i++) run_cell(&b, folder.path, cells[i].files, cells[i].bytes, seconds);
    bench_store_close(&b);
    bench_folder_done(&folder);
    return 0;
}
