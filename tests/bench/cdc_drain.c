// SPDX-License-Identifier: Apache-2.0
// How fast the postgres-cdc source gives records, without a daemon behind it: opens the plugin, polls until COUNT rows came, counts.
//
//   cdc_drain COUNT option=value …      prints rows, seconds, rows/s, CPU seconds and peak memory
//
// Batches live in one region that is used again; every COMMIT is told back as durable at once.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include <connectd/build.h>

#include "testhost.h"

const struct cn_plugin *connectd_plugin_v1(void);

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}
static double seconds_of(const struct timeval *a, const struct timeval *b) {
    return (double)(b->tv_sec - a->tv_sec) + (double)(b->tv_usec - a->tv_usec) / 1e6;
}
static int grow(struct cn_batch *b, uint32_t need) {
    uint32_t cap = b->cap;
    while (cap < need) cap *= 2;
    uint8_t *p = realloc(b->base, cap);
    if (!p) return -1;
    b->base = p;
    b->cap = cap;
    return 0;
}

static void commit(const struct cn_source_ops *ops, void *task, const struct cn_batch *b) {
    char partition[512], offset[4096];
    for (uint32_t i = 0; i < cn_head(b)->position_count; i++) {
        const struct cn_position *p = cn_position_at(b, i);
        snprintf(partition, sizeof partition, "%.*s", (int)p->partition.n, cn_bytes_at(b, p->partition.at));
        snprintf(offset, sizeof offset, "%.*s", (int)p->offset.n, cn_bytes_at(b, p->offset.at));
        struct cn_stored_position s = {partition, offset};
        ops->committed(task, &s, 1);
    }
}

int main(int argc, char **argv) {
    const char *options[64];
    int n = 0;
    if (argc < 2) return fprintf(stderr, "usage: cdc_drain COUNT option=value ...\n"), 2;
    long want = atol(argv[1]), rows = 0, batches = 0;
    for (int i = 2; i < argc && n < 63; i++) options[n++] = argv[i];
    options[n] = NULL;
    const struct cn_plugin *plugin = connectd_plugin_v1();
    const struct cn_source_ops *ops = plugin->components[0]->ops;
    struct testhost *t = testhost_new(plugin, NULL, options);
    testhost_spool_limit(t, INT64_C(8) << 30);
    if (testhost_open(t) != 0) return fprintf(stderr, "%s; %s\n", t->failure.text, t->failure.hint), 1;
    struct cn_batch b = {.base = malloc(4 << 20), .cap = 4 << 20, .grow = grow};
    struct rusage before, after;
    double start = 0;
    getrusage(RUSAGE_SELF, &before);
    start = now();
    while (rows < want) {
        cn_batch_init(&b, b.base, b.cap, grow, NULL);
        int r = ops->poll(t->task, &b, 1000);
        if (r == CN_POLL_FAILED) return fprintf(stderr, "%s; %s\n", t->failure.text, t->failure.hint), 1;
        if (r == CN_POLL_DONE) break;
        rows += cn_count(&b);
        batches++;
        if (cn_head(&b)->boundary == CN_BOUNDARY_COMMIT) commit(ops, t->task, &b);
    }
    double seconds = now() - start;
    getrusage(RUSAGE_SELF, &after);
    printf("%ld rows in %.3f s: %.0f rows/s, CPU %.2f user %.2f system, %ld batches, peak %ld KiB\n", rows, seconds, (double)rows / seconds,
           seconds_of(&before.ru_utime, &after.ru_utime), seconds_of(&before.ru_stime, &after.ru_stime), batches, after.ru_maxrss);
    testhost_free(t);
    return 0;
}
