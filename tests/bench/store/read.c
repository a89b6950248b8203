// SPDX-License-Identifier: Apache-2.0
// Reading: a log from its start to its end, from the page cache and from the disk, beside plain pread of the same files; and writers whose
// disk and cores 1,000 readers use, too.
//
//     read [FOLDER] [SECONDS] [MIB]     seconds for each side; MIB of log
#include <fcntl.h>
#include <glob.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench.h"

enum { CHUNK = 1 << 20, WRITERS = 8, READERS = 1000, READER_THREADS = 4, READER_BYTES = 64 << 10, READER_PAUSE_MS = 100 };

// ── the log ──────────────────────────────────────────────────────────────────────────────────────────────────────────

struct log {
    struct bench_store *b;
    struct topic *t;
    struct partition *p;
    int fds[256]; // of its segment files
    size_t files;
    uint64_t bytes;
    int64_t end;
};

static void fill(struct log *l, uint64_t bytes) {
    const struct topic_setting settings[] = {{"segment.bytes", "134217728"}, {"max.message.bytes", "67108864"}, {"retention.ms", "-1"}};
    struct err err;
    struct buf batch = {0};
    MUST(store_topic_create(l->b->s, "old", 1, settings, countof(settings), &err), "create");
    l->t = topic_get(l->b->s, "old");
    l->p = topic_partition(l->t, 0);
    bench_batch(1024, 62, &batch);
    for (uint64_t put = 0; put < bytes;) {
        struct commit *c = commit_new(l->b->s);
        for (int i = 0; i < 32; i++, put += batch.n) {
            struct buf copy = {0};
            buf_put(&copy, batch.p, batch.n);
            MUST(commit_append(c, l->p, &copy, true, &err), "append");
        }
        MUST(store_commit_wait(l->b->s, c, NULL, &err), "commit");
    }
    MUST(store_checkpoint(l->b->s, &err), "checkpoint"); // all of it is on disk
    buf_done(&batch);
}

static void open_files(struct log *l, const char *folder) {
    char pattern[4300];
    glob_t found;
    struct partition_offsets o;
    snprintf(pattern, sizeof(pattern), "%s/store/old-0/*.log", folder);
    if (glob(pattern, 0, NULL, &found) || found.gl_pathc > countof(l->fds)) bench_die(pattern, NULL);
    for (size_t i = 0; i < found.gl_pathc; i++) l->fds[l->files++] = open(found.gl_pathv[i], O_RDONLY);
    globfree(&found);
    partition_offsets(l->p, &o);
    l->bytes = o.bytes;
    l->end = o.high_watermark;
}

// Writes back and forgets what the page cache has of it.
static void forget(struct log *l) {
    for (size_t i = 0; i < l->files; i++)
        if (fdatasync(l->fds[i]) || posix_fadvise(l->fds[i], 0, 0, POSIX_FADV_DONTNEED)) bench_die("fadvise", NULL);
}

// ── from start to end ────────────────────────────────────────────────────────────────────────────────────────────────

static void read_store(struct log *l, struct buf *room) {
    struct read_result got;
    struct err err;
    for (int64_t at = 0; at < l->end; at = got.next) {
        buf_clear(room);
        MUST(partition_read(l->p, &(struct read_request){.from = at, .max_bytes = CHUNK}, room, &got, &err), "read");
    }
}

static void read_plain(struct log *l, struct buf *room) {
    buf_clear(room);
    if (!buf_reserve(room, CHUNK)) bench_die("memory", NULL);
    for (size_t i = 0; i < l->files; i++)
        for (off_t at = 0; pread(l->fds[i], room->p, CHUNK, at) > 0; at += CHUNK) {}
}

struct pass { double rate, cpu; }; // GB/s, and CPU seconds for one

static struct pass pass_of(struct log *l, void (*read)(struct log *l, struct buf *room), struct buf *room, bool cold) {
    if (cold) forget(l);
    int64_t began = bench_ns(), cpu = bench_cpu_ns();
    read(l, room);
    return (struct pass){(double)l->bytes / (double)(bench_ns() - began), (double)(bench_cpu_ns() - cpu) / (double)l->bytes};
}

static void compare(struct log *l, const char *name, bool cold) {
    enum { ROUNDS = 9 };
    struct buf room = {0};
    double rate[2][ROUNDS], cpu[2][ROUNDS];
    for (int i = -1; i < ROUNDS; i++)
        for (int k = 0; k < 2; k++) {
            struct pass p = pass_of(l, k ? read_plain : read_store, &room, cold);
            if (i >= 0) rate[k][i] = p.rate, cpu[k][i] = p.cpu; // the first touches buffer and cache
        }
    double a = median(rate[0], ROUNDS), b = median(rate[1], ROUNDS);
    printf("%-30s store %6.2f GB/s, %5.3f CPU s per GB   pread %6.2f GB/s, %5.3f CPU s   ratio %.2f\n", name, a, median(cpu[0], ROUNDS), b,
           median(cpu[1], ROUNDS), a / b);
    fflush(stdout);
    buf_done(&room);
}

// ── writers beside readers ───────────────────────────────────────────────────────────────────────────────────────────

struct readers {
    struct log *l;
    pthread_t threads[READER_THREADS];
    atomic_bool on, ending;
    atomic_uint_fast64_t reads, bytes;
    struct bench_store *writers_store;
};
struct reader_thread { struct readers *r; int64_t at[READERS / READER_THREADS]; };

static void read_some(struct readers *r, int64_t *at, struct buf *room) {
    struct read_result got;
    struct err err;
    buf_clear(room);
    MUST(partition_read(r->l->p, &(struct read_request){.from = *at, .max_bytes = READER_BYTES}, room, &got, &err), "read");
    *at = got.next < r->l->end ? got.next : 0;
    atomic_fetch_add(&r->reads, 1);
    atomic_fetch_add(&r->bytes, got.n);
}

// A thread's readers take turns, so that each reads once a pause.
static void *read_around(void *arg) {
    struct reader_thread *t = arg;
    struct buf room = {0};
    size_t n = countof(t->at);
    int64_t due = bench_ns();
    for (size_t i = 0; !atomic_load(&t->r->ending); i = (i + 1) % n) {
        if (atomic_load(&t->r->on)) read_some(t->r, &t->at[i], &room);
        due += READER_PAUSE_MS * 1000000ll / (int64_t)n;
        int64_t left = due - bench_ns();
        if (left > 0) usleep((useconds_t)(left / 1000));
        else due = bench_ns(); // late: what was missed is not made up for
    }
    buf_done(&room);
    free(t);
    return NULL;
}

static void start_readers(struct readers *r) {
    for (int i = 0; i < READER_THREADS; i++) {
        struct reader_thread *t = xcalloc(1, sizeof(*t));
        t->r = r;
        for (size_t k = 0; k < countof(t->at); k++) t->at[k] = r->l->end / READERS * (int64_t)(k * READER_THREADS + (size_t)i);
        if (pthread_create(&r->threads[i], NULL, read_around, t)) bench_die("thread", NULL);
    }
}

static void commit_beside(void *arg, int writer) { bench_store_commit(((struct readers *)arg)->writers_store, writer); }
static void readers_on(void *arg, bool on) { atomic_store(&((struct readers *)arg)->on, on); }

static void beside(struct log *l, double seconds) {
    struct readers r = {.l = l, .writers_store = l->b};
    bench_store_topic(l->b, 1);
    bench_batch(1024, 1, &l->b->batch);
    struct side sides[] = {{.commit = bench_store_commit, .arg = l->b}, {.commit = commit_beside, .arg = &r, .turn = readers_on}};
    start_readers(&r);
    bench_race(sides, 2, WRITERS, seconds, SHORT_MS);
    atomic_store(&r.ending, true);
    for (int i = 0; i < READER_THREADS; i++) pthread_join(r.threads[i], NULL);
    double s = (double)sides[1].ns / 1e9;
    printf("%d writers of 1 KiB alone            p50 %6.0f p99 %6.0f p99.9 %6.0f us   %.0f commits/s\n", WRITERS, times_us(&sides[0].times, 0.5),
           times_us(&sides[0].times, 0.99), times_us(&sides[0].times, 0.999), side_rate(&sides[0]));
    printf("  beside %d readers              p50 %6.0f p99 %6.0f p99.9 %6.0f us   %.0f commits/s   %.0f reads/s, %.0f MB/s\n", READERS,
           times_us(&sides[1].times, 0.5), times_us(&sides[1].times, 0.99), times_us(&sides[1].times, 0.999), side_rate(&sides[1]),
           (double)atomic_load(&r.reads) / s, (double)atomic_load(&r.bytes) / s / 1e6);
    sides_done(sides, 2);
}

int main(int argc, char **argv) {
    struct folder folder = bench_folder(argc > 1 ? argv[1] : NULL);
    double seconds = argc > 2 ? strtod(argv[2], NULL) : 4;
    uint64_t mib = argc > 3 ? strtoull(argv[3], NULL, 10) : 512;
    struct bench_store b;
    struct log l = {.b = &b};
    bench_store_open(&b, folder.path, "store", (struct store_options){0});
    fill(&l, mib << 20);
    open_files(&l, folder.path);
    compare(&l, "sequential, in the page cache", false);
    compare(&l, "sequential, from the disk", true);
    beside(&l, seconds);
    for (size_t i = 0; i < l.files; i++) close(l.fds[i]);
    topic_unref(l.t);
    struct err err;
    MUST(store_topic_delete(b.s, "old", &err), "delete");
    bench_store_close(&b);
    bench_folder_done(&folder);
    return 0;
}
