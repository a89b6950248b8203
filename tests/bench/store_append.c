// SPDX-License-Identifier: Apache-2.0
// Appending with acknowledgement after sync, beside one file that is written and fdatasync'ed in the same commit sizes.
//
//     store_append [FOLDER] [SECONDS] [INLINE BYTES] [NAME]     only cells whose name contains NAME
//
// Both take turns on the same disk in the same run, a few commits each, so that what else the machine does meets both. A ratio of 1
// means as fast as the file; the file's are the bytes alone, without any index, offset, checksum or journal.
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "store/batch.h"
#include "store/store.h"

struct cell { const char *name; int partitions; size_t record; int records; };
static const struct cell cells[] = {
    {"1 partition, 100 B", 1, 100, 1},           {"1 partition, 1 KiB", 1, 1024, 1},      {"1 partition, 16 KiB", 1, 1024, 16},
    {"1 partition, 80 KiB", 1, 1024, 80},  {"1 partition, 256 KiB", 1, 1024, 256},      {"1 partition, 1 MiB", 1, 1024, 1024},   {"50 partitions, 1 KiB each", 50, 1024, 1},
    {"1,000 partitions, 1 KiB each", 1000, 1024, 1},
};

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void die(const char *what, const struct err *err) {
    fprintf(stderr, "%s: %s\n", what, err ? err->msg : strerror(errno));
    exit(1);
}

struct times { int64_t *ns; size_t n, cap; };

static int by_value(const void *a, const void *b) {
    const int64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static double quantile_us(struct times *t, double q) {
    qsort(t->ns, t->n, sizeof(*t->ns), by_value);
    return t->n ? (double)t->ns[(size_t)(q * (double)(t->n - 1))] / 1000 : 0;
}

static void make_batch(const struct cell *c, struct buf *out) {
    struct batch_builder b;
    struct err err;
    _cleanup_free_ char *value = xmalloc(c->record);
    memset(value, 'v', c->record);
    batch_begin(&b, out, CODEC_NONE);
    for (int i = 0; i < c->records; i++) batch_add(&b, 1700000000000, (struct str){NULL, 0}, str_make(value, c->record), NULL, 0);
    if (batch_end(&b, &err)) die("batch", &err);
}

static void commit_once(struct store *s, struct topic *t, const struct cell *c, const struct buf *batch, struct times *times) {
    struct commit *commit = commit_new(s);
    struct err err;
    for (int p = 0; p < c->partitions; p++) {
        struct buf copy = {0};
        buf_put(&copy, batch->p, batch->n);
        if (commit_append(commit, topic_partition(t, p), &copy, true, &err)) die("append", &err);
    }
    int64_t began = now_ns();
    if (store_commit_wait(s, commit, NULL, &err)) die("commit", &err);
    VEC_PUSH(times->ns, times->n, times->cap, now_ns() - began);
}

static void write_once(int fd, const uint8_t *p, size_t n, struct times *times) {
    int64_t began = now_ns();
    if (write(fd, p, n) != (ssize_t)n || fdatasync(fd)) die("write", NULL);
    VEC_PUSH(times->ns, times->n, times->cap, now_ns() - began);
}

static void run_cell(struct store *s, const char *folder, const struct cell *c, double seconds) {
    struct err err;
    struct buf batch = {0};
    struct times ours = {0}, file = {0};
    char path[4096];
    struct topic_setting large = {"max.message.bytes", "67108864"};
    if (store_topic_create(s, "bench", c->partitions, &large, 1, &err)) die("create", &err);
    struct topic *t = topic_get(s, "bench");
    snprintf(path, sizeof(path), "%s/one-file", folder);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0600);
    make_batch(c, &batch);
    size_t total = batch.n * (size_t)c->partitions;
    _cleanup_free_ uint8_t *all = xmalloc(total);
    for (int p = 0; p < c->partitions; p++) memcpy(all + (size_t)p * batch.n, batch.p, batch.n);
    int64_t end = now_ns() + (int64_t)(seconds * 1e9);
    while (now_ns() < end) {
        for (int i = 0; i < 20; i++) commit_once(s, t, c, &batch, &ours);
        for (int i = 0; i < 20; i++) write_once(fd, all, total, &file);
    }
    double a = quantile_us(&ours, 0.5), b = quantile_us(&file, 0.5);
    printf("%-30s %9zu B  store p50 %8.0f p99 %8.0f us   file p50 %8.0f p99 %8.0f us   ratio p50 %.2f p99 %.2f   %.1f MB/s\n", c->name, total, a,
           quantile_us(&ours, 0.99), b, quantile_us(&file, 0.99), b / a, quantile_us(&file, 0.99) / quantile_us(&ours, 0.99), (double)total / a);
    fflush(stdout);
    close(fd);
    unlink(path);
    topic_unref(t);
    if (store_topic_delete(s, "bench", &err)) die("delete", &err);
    free(ours.ns);
    free(file.ns);
    buf_done(&batch);
}

static void print_status(struct store *s) {
    struct buf out = {0};
    struct json_writer w = json_to(&out);
    store_status_json(s, &w);
    printf("%s\n", buf_cstr(&out)); // how much of a commit is the frame's write and sync, and how many checkpoints there were
    buf_done(&out);
}

int main(int argc, char **argv) {
    const char *given = argc > 1 ? argv[1] : NULL;
    double seconds = argc > 2 ? strtod(argv[2], NULL) : 3;
    char folder[] = "/tmp/store-bench-XXXXXX";
    struct fs *fs;
    struct store *s;
    struct err err;
    const char *at = given ? given : mkdtemp(folder);
    if (!at || (mkdir(at, 0700) && errno != EEXIST)) die("folder", NULL);
    if (fs_posix_open(at, &fs, &err)) die(at, &err);
    struct store_options o = {.fs = fs, .inline_max_bytes = argc > 3 ? (uint32_t)strtoul(argv[3], NULL, 10) : 0};
    if (store_open(&o, &s, &err)) die("open", &err);
    for (size_t i = 0; i < countof(cells); i++)
        if (argc < 5 || strstr(cells[i].name, argv[4])) run_cell(s, at, &cells[i], seconds);
    print_status(s);
    if (store_close(s, &err)) die("close", &err);
    if (!given && fs_remove_tree(fs, ".", &err)) {} // the folder itself stays for rmdir
    fs_close(fs);
    if (!given) rmdir(at);
    return 0;
}
