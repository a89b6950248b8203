// SPDX-License-Identifier: Apache-2.0
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static atomic_uint_fast64_t sync_count;

void bench_die(const char *what, const struct err *err) {
    fprintf(stderr, "%s: %s\n", what, err ? err->msg : strerror(errno));
    exit(1);
}

static int64_t clock_ns(clockid_t id) {
    struct timespec t;
    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}
int64_t bench_ns(void) { return clock_ns(CLOCK_MONOTONIC); }
int64_t bench_cpu_ns(void) { return clock_ns(CLOCK_PROCESS_CPUTIME_ID); }

// ── times ────────────────────────────────────────────────────────────────────────────────────────────────────────────

void times_add(struct times *t, int64_t ns) { VEC_PUSH(t->ns, t->n, t->cap, ns); }

static int by_ns(const void *a, const void *b) {
    const int64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}
static int by_double(const void *a, const void *b) {
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

double times_us(struct times *t, double quantile) {
    if (!t->n) return 0;
    qsort(t->ns, t->n, sizeof(*t->ns), by_ns);
    return (double)t->ns[(size_t)(quantile * (double)(t->n - 1))] / 1000;
}

void times_done(struct times *t) {
    free(t->ns);
    *t = (struct times){0};
}

double median(double *list, size_t n) {
    if (!n) return 0;
    qsort(list, n, sizeof(*list), by_double);
    return list[n / 2];
}

// ── the race ─────────────────────────────────────────────────────────────────────────────────────────────────────────

struct worker {
    pthread_t thread;
    struct side *side;
    int writer;
    int64_t until;
    struct times times;
};

static void *work(void *arg) {
    struct worker *w = arg;
    for (int64_t began = bench_ns(), now; began < w->until; began = now) {
        w->side->commit(w->side->arg, w->writer);
        now = bench_ns();
        times_add(&w->times, now - began);
    }
    return NULL;
}

// Runs one slice; its times stay with the workers.
static void run_slice(struct side *s, struct worker *workers, int writers, int slice_ms) {
    if (s->turn) s->turn(s->arg, true);
    int64_t until = bench_ns() + slice_ms * 1000000ll;
    for (int i = 0; i < writers; i++) {
        workers[i].side = s, workers[i].writer = i, workers[i].until = until;
        if (pthread_create(&workers[i].thread, NULL, work, &workers[i])) bench_die("thread", NULL);
    }
    for (int i = 0; i < writers; i++) pthread_join(workers[i].thread, NULL);
    if (s->turn) s->turn(s->arg, false);
}

static void measure_slice(struct side *s, struct worker *workers, int writers, int slice_ms, size_t rounds) {
    uint64_t syncs = atomic_load(&sync_count), commits = 0;
    int64_t cpu = bench_cpu_ns(), began = bench_ns();
    run_slice(s, workers, writers, slice_ms);
    int64_t took = bench_ns() - began;
    for (int i = 0; i < writers; i++) {
        commits += workers[i].times.n;
        for (size_t k = 0; k < workers[i].times.n; k++) times_add(&s->times, workers[i].times.ns[k]);
        workers[i].times.n = 0;
    }
    if (!s->rates) s->rates = xcalloc(rounds, sizeof(*s->rates));
    s->rates[s->slices++] = (double)commits * 1e9 / (double)took;
    s->commits += commits;
    s->cpu_ns += bench_cpu_ns() - cpu;
    s->ns += took;
    s->syncs += atomic_load(&sync_count) - syncs;
}

void bench_race(struct side *sides, size_t n, int writers, double seconds, int slice_ms) {
    struct worker *workers = xcalloc((size_t)writers, sizeof(*workers));
    size_t rounds = (size_t)(seconds * 1000 / slice_ms) + 1;
    for (size_t i = 0; i < n; i++) run_slice(&sides[i], workers, writers, slice_ms);
    for (int i = 0; i < writers; i++) workers[i].times.n = 0;
    for (size_t r = 0; r < rounds; r++)
        for (size_t i = 0; i < n; i++) measure_slice(&sides[i], workers, writers, slice_ms, rounds);
    for (int i = 0; i < writers; i++) times_done(&workers[i].times);
    free(workers);
}

double side_rate(struct side *s) { return median(s->rates, s->slices); }

void sides_done(struct side *sides, size_t n) {
    for (size_t i = 0; i < n; i++) {
        times_done(&sides[i].times);
        free(sides[i].rates);
    }
}

// ── folders ──────────────────────────────────────────────────────────────────────────────────────────────────────────

struct folder bench_folder(const char *given) {
    struct folder f = {.made = !given};
    snprintf(f.path, sizeof(f.path), "%s", given ? given : "/tmp/store-bench-XXXXXX");
    if (f.made ? !mkdtemp(f.path) : mkdir(f.path, 0700) && errno != EEXIST) bench_die(f.path, NULL);
    return f;
}

void bench_folder_done(struct folder *f) {
    struct err err;
    struct fs *fs;
    if (!f->made) return;
    MUST(fs_posix_open(f->path, &fs, &err), f->path);
    if (fs_remove_tree(fs, ".", &err)) {} // the folder itself stays for rmdir
    fs_close(fs);
    rmdir(f->path);
}

// ── the store ────────────────────────────────────────────────────────────────────────────────────────────────────────

void bench_batch(size_t bytes, int count, struct buf *out) {
    struct batch_builder b;
    struct err err;
    _cleanup_free_ char *value = xmalloc(bytes);
    memset(value, 'v', bytes);
    buf_clear(out);
    batch_begin(&b, out, CODEC_NONE);
    for (int i = 0; i < count; i++) batch_add(&b, 1700000000000, (struct str){NULL, 0}, str_make(value, bytes), NULL, 0);
    MUST(batch_end(&b, &err), "batch");
}

// The system's file operations, with syncs counted.
static int (*sync_of_system)(struct fs_file *f, struct err *err);
static int counting_sync(struct fs_file *f, struct err *err) {
    atomic_fetch_add(&sync_count, 1);
    return sync_of_system(f, err);
}
static void count_syncs(struct fs *fs) {
    static struct fs_ops ops;
    if (!sync_of_system) {
        ops = *fs->ops;
        sync_of_system = ops.fdatasync;
        ops.fdatasync = counting_sync;
    }
    fs->ops = &ops;
}

void bench_store_open(struct bench_store *b, const char *folder, const char *name, struct store_options o) {
    struct err err;
    char path[4200];
    *b = (struct bench_store){0};
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    if (mkdir(path, 0700) && errno != EEXIST) bench_die(path, NULL);
    MUST(fs_posix_open(path, &b->fs, &err), path);
    count_syncs(b->fs);
    o.fs = b->fs;
    MUST(store_open(&o, &b->s, &err), path);
}

static void drop_topic(struct bench_store *b) {
    struct err err;
    if (!b->t) return;
    topic_unref(b->t);
    b->t = NULL;
    MUST(store_topic_delete(b->s, "bench", &err), "delete the topic");
}

void bench_store_topic(struct bench_store *b, int partitions) {
    const struct topic_setting settings[] = {{"max.message.bytes", "67108864"}, {"retention.ms", "-1"}}; // the records are of long ago
    struct err err;
    drop_topic(b);
    MUST(store_topic_create(b->s, "bench", partitions, settings, countof(settings), &err), "create the topic");
    b->t = topic_get(b->s, "bench");
    b->partitions = partitions;
}

void bench_store_close(struct bench_store *b) {
    struct err err;
    drop_topic(b);
    MUST(store_close(b->s, &err), "close the store");
    fs_close(b->fs);
    buf_done(&b->batch);
}

void bench_store_commit(void *arg, int writer) {
    struct bench_store *b = arg;
    struct commit *c = commit_new(b->s);
    struct err err;
    for (int p = 0; p < b->partitions; p++) {
        struct buf copy = {0};
        buf_put(&copy, b->batch.p, b->batch.n);
        MUST(commit_append(c, topic_partition(b->t, p), &copy, true, &err), "append");
    }
    MUST(store_commit_wait(b->s, c, NULL, &err), "commit");
}

// ── one file ─────────────────────────────────────────────────────────────────────────────────────────────────────────

struct one_file {
    char path[4200];
    int fd;
    uint8_t *bytes;            // of one commit
    size_t n;
    pthread_mutex_t lock;
    pthread_cond_t durable_moved;
    struct buf waiting, going; // bytes that came while a sync ran, and those that are being written
    uint64_t queued, durable;  // commits
    bool syncing;
};

struct one_file *one_file_new(const char *folder, size_t bytes) {
    struct one_file *f = xcalloc(1, sizeof(*f));
    snprintf(f->path, sizeof(f->path), "%s/one-file", folder);
    f->fd = open(f->path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0600);
    if (f->fd < 0) bench_die(f->path, NULL);
    f->bytes = xmalloc(bytes);
    memset(f->bytes, 'v', bytes);
    f->n = bytes;
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->durable_moved, NULL);
    return f;
}

void one_file_free(struct one_file *f) {
    close(f->fd);
    unlink(f->path);
    pthread_cond_destroy(&f->durable_moved);
    pthread_mutex_destroy(&f->lock);
    buf_done(&f->waiting);
    buf_done(&f->going);
    free(f->bytes);
    free(f);
}

// With the lock, which is let go meanwhile.
static void sync_waiting(struct one_file *f) {
    struct buf swap = f->going;
    f->going = f->waiting;
    f->waiting = swap;
    uint64_t until = f->queued;
    f->syncing = true;
    pthread_mutex_unlock(&f->lock);
    if (write(f->fd, f->going.p, f->going.n) != (ssize_t)f->going.n || fdatasync(f->fd)) bench_die(f->path, NULL);
    atomic_fetch_add(&sync_count, 1);
    buf_clear(&f->going);
    pthread_mutex_lock(&f->lock);
    f->syncing = false;
    f->durable = until;
    pthread_cond_broadcast(&f->durable_moved);
}

void one_file_commit(void *arg, int writer) {
    struct one_file *f = arg;
    pthread_mutex_lock(&f->lock);
    buf_put(&f->waiting, f->bytes, f->n);
    uint64_t mine = ++f->queued;
    while (f->durable < mine) {
        if (f->syncing) pthread_cond_wait(&f->durable_moved, &f->lock);
        else sync_waiting(f);
    }
    pthread_mutex_unlock(&f->lock);
}
