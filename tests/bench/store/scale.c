// SPDX-License-Identifier: Apache-2.0
// A store with many partitions: what it costs to make, to start cleanly and after a kill, to keep in memory, to append to, to checkpoint.
//
//     store_scale [FOLDER] [PARTITIONS] [SEGMENTS a partition] [TOPICS]        10,000 partitions of 10 segments in one topic
//
// Every step is a process of its own, so that its memory and open files are those of that step. "calls" are calls of the store's file
// system (tests/lib/fs_fault.h counts them in a start of its own, which is not timed).
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../../lib/fs_fault.h"
#include "base/mem.h"
#include "store/batch.h"
#include "store/store.h"

enum { BATCH_ROLLS = 1000, COMMIT_PARTITIONS = 500, APPENDS = 3000, CHECKPOINTS = 100 };

static const char *folder;
static int partitions = 10000, segments = 10, topics = 1;

static double now_ms(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void die(const char *what, const struct err *err) {
    fprintf(stderr, "%s: %s\n", what, err ? err->msg : strerror(errno));
    exit(1);
}

// ── what the system says ─────────────────────────────────────────────────────────────────────────────────────────────

static double rss_bytes(void) {
    unsigned long size, resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f || fscanf(f, "%lu %lu", &size, &resident) != 2) die("statm", NULL);
    fclose(f);
    return (double)resident * (double)sysconf(_SC_PAGESIZE);
}

static double written_bytes(void) { // handed to the system by this process
    char line[128];
    double n = 0;
    FILE *f = fopen("/proc/self/io", "r");
    while (f && fgets(line, sizeof(line), f)) sscanf(line, "wchar: %lf", &n);
    if (f) fclose(f);
    return n;
}

static int open_fds(void) {
    int n = -1; // the folder's own
    DIR *d = opendir("/proc/self/fd");
    while (d && readdir(d)) n++;
    if (d) closedir(d);
    return n - 2; // "." and ".."
}

static double heap_bytes(void) {
    struct mallinfo2 m = mallinfo2();
    return (double)m.uordblks + (double)m.hblkhd;
}

// ── the store ────────────────────────────────────────────────────────────────────────────────────────────────────────

static void happened(void *arg, enum store_event_kind kind, const char *text) {
    (void)arg;
    (void)kind;
    printf("  log: %s\n", text);
}

static struct fs *fs;

static struct store *open_store(bool counted) {
    struct store *s;
    struct err err;
    if (fs_posix_open(folder, &fs, &err)) die(folder, &err);
    if (counted) fs = fs_fault_new(fs);
    struct store_options o = {.fs = fs, .event = happened, .checkpoint_ms = INT64_MAX / 4};
    if (store_open(&o, &s, &err)) die("open", &err);
    return s;
}

static void close_store(struct store *s) {
    struct err err;
    if (store_close(s, &err)) die("close", &err);
    fs_close(fs);
}

static void topic_name_of(int i, char out[32]) { snprintf(out, 32, "scale-%05d", i); }

static struct partition *pick(struct store *s, int number, struct topic **ret) {
    char name[32];
    topic_name_of(number % topics, name);
    *ret = topic_get(s, name);
    if (!*ret) die(name, NULL);
    return topic_partition(*ret, number / topics);
}

static struct buf make_batch(size_t bytes, int64_t producer) {
    struct batch_builder b;
    struct buf out = {0};
    struct err err;
    _cleanup_free_ char *value = xmalloc(bytes);
    memset(value, 'v', bytes);
    batch_begin(&b, &out, CODEC_NONE);
    b.producer_id = producer;
    b.producer_epoch = producer < 0 ? -1 : 0;
    b.base_sequence = producer < 0 ? -1 : 0;
    batch_add(&b, 1700000000000, (struct str){NULL, 0}, str_make(value, bytes), NULL, 0);
    if (batch_end(&b, &err)) die("batch", &err);
    return out;
}

static void put(struct store *s, int first, int count, size_t bytes, int64_t producer) {
    struct commit *c = commit_new(s);
    struct err err;
    for (int i = first; i < first + count; i++) {
        struct topic *t;
        struct partition *p = pick(s, i, &t);
        struct buf b = make_batch(bytes, producer);
        if (commit_append(c, p, &b, true, &err)) die("append", &err);
        topic_unref(t);
    }
    if (store_commit_wait(s, c, NULL, &err)) die("commit", &err);
}

static void put_everywhere(struct store *s, size_t bytes, int64_t producer) {
    for (int i = 0; i < partitions; i += COMMIT_PARTITIONS)
        put(s, i, partitions - i < COMMIT_PARTITIONS ? partitions - i : COMMIT_PARTITIONS, bytes, producer);
}

// ── steps ────────────────────────────────────────────────────────────────────────────────────────────────────────────

static void create(void) {
    struct store *s = open_store(false);
    struct err err;
    char name[32], rolls[16];
    snprintf(rolls, sizeof(rolls), "%d", BATCH_ROLLS);
    struct topic_setting small[] = {{"segment.bytes", rolls}, {"retention.ms", "-1"}};
    double began = now_ms(CLOCK_MONOTONIC);
    for (int i = 0; i < topics; i++) {
        topic_name_of(i, name);
        if (store_topic_create(s, name, partitions / topics, small, countof(small), &err)) die("create", &err);
    }
    printf("create %d partitions in %d topics: %.0f ms\n", partitions, topics, now_ms(CLOCK_MONOTONIC) - began);
    close_store(s);
}

static void fill(void) {
    struct store *s = open_store(false);
    double began = now_ms(CLOCK_MONOTONIC);
    for (int i = 0; i < segments; i++) put_everywhere(s, BATCH_ROLLS, -1);
    for (int i = 0; i < 3; i++) put_everywhere(s, 100, 100 + i);
    printf("fill with %d segments each, and three producers: %.0f ms\n", segments, now_ms(CLOCK_MONOTONIC) - began);
    began = now_ms(CLOCK_MONOTONIC);
    close_store(s);
    printf("close: %.0f ms\n", now_ms(CLOCK_MONOTONIC) - began);
}

static void start(void) {
    free(xmalloc(1)); // the heap is there
    double rss = rss_bytes(), heap = heap_bytes(), began = now_ms(CLOCK_MONOTONIC), cpu = now_ms(CLOCK_PROCESS_CPUTIME_ID);
    int fds = open_fds();
    struct store *s = open_store(false);
    double took = now_ms(CLOCK_MONOTONIC) - began;
    printf("start: %.1f ms, CPU %.1f ms; open files %d\n", took, now_ms(CLOCK_PROCESS_CPUTIME_ID) - cpu, open_fds() - fds);
    printf("  memory a partition: heap %.0f bytes, resident %.0f bytes\n", (heap_bytes() - heap) / partitions, (rss_bytes() - rss) / partitions);
    struct buf out = {0};
    struct json_writer w = json_to(&out);
    began = now_ms(CLOCK_MONOTONIC);
    store_status_json(s, &w);
    printf("  status: %.2f ms, %zu bytes\n", now_ms(CLOCK_MONOTONIC) - began, out.n);
    buf_done(&out);
    struct err err;
    for (int i = 0; i < 2; i++) {
        began = now_ms(CLOCK_MONOTONIC), cpu = now_ms(CLOCK_THREAD_CPUTIME_ID);
        if (store_clean(s, &err)) die("clean", &err);
        printf("  cleaner's round: %.1f ms, CPU %.1f ms\n", now_ms(CLOCK_MONOTONIC) - began, now_ms(CLOCK_THREAD_CPUTIME_ID) - cpu);
    }
    began = now_ms(CLOCK_MONOTONIC);
    close_store(s);
    printf("  close: %.1f ms\n", now_ms(CLOCK_MONOTONIC) - began);
}

static void count_start(void) {
    struct store *s = open_store(true);
    static const struct { const char *name; unsigned op; } ops[] = {
        {"open", FS_OP_OPEN}, {"read", FS_OP_READ}, {"write", FS_OP_WRITE}, {"sync", FS_OP_SYNC},   {"stat", FS_OP_STAT},
        {"list", FS_OP_LIST}, {"sync_dir", FS_OP_SYNC_DIR}, {"rename", FS_OP_RENAME}, {"truncate", FS_OP_TRUNCATE},
    };
    printf("calls of a start: %u", fs_fault_count(fs, FS_OP_ALL));
    for (size_t i = 0; i < countof(ops); i++) printf(", %s %u", ops[i].name, fs_fault_count(fs, ops[i].op));
    printf("\n");
    close_store(s);
}

static int by_value(const void *a, const void *b) {
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static void append_some(struct store *s, const char *what, int step) {
    static double took[APPENDS];
    for (int i = 0; i < APPENDS; i++) {
        double began = now_ms(CLOCK_MONOTONIC);
        put(s, (int)((int64_t)i * step % partitions), 1, 100, -1);
        took[i] = now_ms(CLOCK_MONOTONIC) - began;
    }
    qsort(took, APPENDS, sizeof(took[0]), by_value);
    printf("append 100 B, %s: p50 %.3f, p99 %.3f, max %.3f ms\n", what, took[APPENDS / 2], took[APPENDS * 99 / 100], took[APPENDS - 1]);
}

static void append(void) {
    struct store *s = open_store(false);
    append_some(s, "to one partition", 0);
    append_some(s, "to another one each time", 7919);
    printf("  open files %d\n", open_fds());
    close_store(s);
}

static void checkpoint(void) {
    struct store *s = open_store(false);
    struct err err;
    double wall = 0, cpu = now_ms(CLOCK_PROCESS_CPUTIME_ID), worst = 0, bytes = written_bytes();
    for (int i = 0; i < CHECKPOINTS; i++) {
        put(s, 1, 1, 100, -1); // the first has many segments by now
        double began = now_ms(CLOCK_MONOTONIC);
        if (store_checkpoint(s, &err)) die("checkpoint", &err);
        double took = now_ms(CLOCK_MONOTONIC) - began;
        wall += took;
        if (took > worst) worst = took;
    }
    printf("append to one partition and checkpoint, %d times: checkpoint %.2f ms each, worst %.1f ms, CPU of both %.2f ms, written %.0f bytes\n", CHECKPOINTS,
           wall / CHECKPOINTS, worst, (now_ms(CLOCK_PROCESS_CPUTIME_ID) - cpu) / CHECKPOINTS, (written_bytes() - bytes) / CHECKPOINTS);
    close_store(s);
}

static int written; // partitions before the kill
static void killed(void) {
    struct store *s = open_store(false);
    for (int i = 0; i < written; i += COMMIT_PARTITIONS) put(s, i, written - i < COMMIT_PARTITIONS ? written - i : COMMIT_PARTITIONS, 100, -1);
    raise(SIGKILL);
}

static void step(void (*run)(void)) {
    fflush(stdout);
    pid_t pid = fork();
    if (pid < 0) die("fork", NULL);
    if (!pid) {
        run();
        exit(0);
    }
    int status;
    if (waitpid(pid, &status, 0) != pid || (status && run != killed)) die("step", NULL);
}

static void after_kill(int n) {
    written = n;
    printf("killed after %d partitions were written\n", n);
    step(killed);
    step(start);
    step(killed);
    step(count_start);
}

int main(int argc, char **argv) {
    char made[] = "/tmp/store-scale-XXXXXX";
    struct err err;
    folder = argc > 1 ? argv[1] : mkdtemp(made);
    if (argc > 2) partitions = atoi(argv[2]);
    if (argc > 3) segments = atoi(argv[3]);
    if (argc > 4) topics = atoi(argv[4]);
    if (!folder || (mkdir(folder, 0700) && errno != EEXIST)) die("folder", NULL);
    step(create);
    step(start);
    step(fill);
    step(start);
    step(count_start);
    step(append);
    step(checkpoint);
    after_kill(1);
    after_kill(100);
    after_kill(partitions / 10);
    if (fs_posix_open(folder, &fs, &err)) die(folder, &err);
    if (argc < 2 && (fs_remove_tree(fs, ".", &err) || rmdir(folder))) {}
    fs_close(fs);
    return 0;
}
