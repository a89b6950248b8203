// SPDX-License-Identifier: Apache-2.0
// How much the runtime costs: a trivial source into the log on disk, and from the log into a trivial sink.
//
//   runtime DIR [records] [bytes]
//
// Ratios: against the source alone (polled in a loop, nothing written) and against one file written and fdatasync'ed in 1 MiB pieces.
#include <connectd/sdk.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "backend/backend_embedded.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/say.h"
#include "converters/converter.h"
#include "plugin/plugins.h"
#include "runtime/worker.h"
#include "store/store.h"
#include "transforms/transform.h"

static int64_t records = 2000000;
static size_t bytes = 100;
static int batch = 1000; // records a poll, at most 1 MiB
static char *value;
static _Atomic int64_t committed, put_count;
static _Atomic bool sink_go;

struct counter { struct cn_host *host; int64_t next; };

static int src_open(struct cn_host *h, const struct cn_stored_position *p, uint32_t n, void **ret) {
    struct counter *c = calloc(1, sizeof(*c));
    c->host = h;
    for (uint32_t i = 0; i < n; i++) cn_pos_get_int(p[i].offset, "n", &c->next);
    *ret = c;
    return 0;
}
static int src_poll(void *task, struct cn_batch *b, uint32_t timeout_ms) {
    struct counter *c = task;
    char at[40];
    if (c->next >= records) return usleep(1000), CN_POLL_IDLE;
    uint32_t topic = cn_topic(b, "bench", 5);
    for (int i = 0; i < batch && c->next < records; i++, c->next++) {
        uint32_t r = cn_record(b, topic);
        cn_set_value(b, r, cn_string(b, value, bytes), CN_NO_SCHEMA);
    }
    snprintf(at, sizeof(at), "{\"n\":%lld}", (long long)c->next);
    cn_position(b, "{}", at);
    return CN_POLL_OK;
}
static void src_committed(void *task, const struct cn_stored_position *p, uint32_t n) {
    int64_t at = 0;
    for (uint32_t i = 0; i < n; i++) cn_pos_get_int(p[i].offset, "n", &at);
    atomic_store(&committed, at);
}
static void task_close(void *task) { free(task); }
static const struct cn_source_ops src_ops = {.struct_size = sizeof(src_ops), .open = src_open, .poll = src_poll, .committed = src_committed, .close = task_close};

static int snk_open(struct cn_host *h, void **ret) {
    while (!atomic_load(&sink_go)) usleep(1000);
    *ret = calloc(1, 1);
    return 0;
}
static int snk_put(void *task, const struct cn_batch *b) {
    atomic_fetch_add(&put_count, cn_count(b));
    return CN_PUT_OK;
}
static const struct cn_sink_ops snk_ops = {.struct_size = sizeof(snk_ops), .open = snk_open, .put = snk_put, .close = task_close};
CN_COMPONENT_PLAIN(bench_source, CN_SOURCE, "bench-source", NULL, "Counts", src_ops);
CN_COMPONENT_PLAIN(bench_sink, CN_SINK, "bench-sink", NULL, "Counts", snk_ops);
static const struct cn_component *const parts[] = {&bench_source, &bench_sink};
static const struct cn_plugin plugin = {.struct_size = sizeof(plugin), .abi_major = CN_ABI_MAJOR, .abi_minor = CN_ABI_MINOR, .name = "bench", .version = "1", .author = "", .license = "", .components = parts, .component_count = 2};

static long rss_mb(void) {
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f && fscanf(f, "%*d %ld", &pages) != 1) pages = 0;
    if (f) fclose(f);
    return pages * sysconf(_SC_PAGESIZE) >> 20;
}
static double now(void) { return (double)clock_real.mono_ns(&clock_real) / 1e9; }
static void must(int r, const struct err *err) {
    if (r != 0) fprintf(stderr, "%s\n", err->msg), exit(1);
}
static void report(const char *what, double took, double ceiling) {
    double rate = (double)records / took;
    printf("%-28s %10.0f records/s %8.1f MB/s", what, rate, rate * (double)bytes / 1e6);
    if (ceiling > 0) printf("   %.2f of the ceiling", ceiling / took);
    printf("   %ld MB resident\n", rss_mb());
}

static double source_alone(void) {
    struct counter c = {0};
    size_t n = (1 << 20) + bytes * (size_t)batch * 2;
    char *mem = xmalloc(n);
    struct cn_batch b;
    double began = now();
    while (c.next < records) {
        cn_batch_init(&b, mem, (uint32_t)n, NULL, NULL);
        src_poll(&c, &b, 0);
    }
    free(mem);
    return now() - began;
}

static double file_alone(const char *dir) {
    _cleanup_free_ char *path = xasprintf("%s/plain", dir), *piece = xcalloc(1, 1 << 20);
    int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0600);
    double began = now();
    for (int64_t left = records * (int64_t)bytes; left > 0; left -= 1 << 20)
        if (write(fd, piece, 1 << 20) < 0 || fdatasync(fd) != 0) exit(1);
    double took = now() - began;
    close(fd);
    unlink(path);
    return took;
}

int main(int argc, char **argv) {
    struct err err;
    struct fs *fs;
    struct store *store;
    struct backend *b;
    struct worker *w;
    struct worker_report r;
    if (argc < 2) return 1;
    if (argc > 2) records = atoll(argv[2]);
    if (argc > 3) bytes = (size_t)atoll(argv[3]);
    if (bytes > 1048) batch = bytes < 1 << 20 ? (int)((1 << 20) / bytes) : 1;
    value = xcalloc(1, bytes + 1);
    memset(value, 'x', bytes);
    say_setup(SAY_TEXT, SAY_ERROR, 2);
    must(fs_posix_open(argv[1], &fs, &err), &err);
    must(store_open(&(struct store_options){.fs = fs}, &store, &err), &err);
    must(backend_embedded_open(&(struct embedded_options){.store = store}, &b, &err), &err);
    struct plugins *plugins = plugins_new();
    must(plugins_add_builtin(plugins, &converters_plugin, &err), &err);
    must(plugins_add_builtin(plugins, &transforms_plugin, &err), &err);
    must(plugins_add_builtin(plugins, &plugin, &err), &err);
    struct worker_options o = {.backend = b, .plugins = plugins, .metrics = metric_registry_new()};
    must(worker_open(&o, &w, &err), &err);
    _cleanup_free_ char *path = xasprintf("%s/bench.yaml", argv[1]);
    FILE *yaml = fopen(path, "w");
    fputs("pipeline: bench\nsource: {connector: bench-source, value.converter: string, max.bytes.in.flight: 8MiB}\nsink: {connector: bench-sink, topics: bench, value.converter: string}\n", yaml);
    fclose(yaml);

    double source = source_alone(), file = file_alone(argv[1]);
    report("source alone", source, 0);
    report("file, 1 MiB and fdatasync", file, 0);
    double began = now();
    worker_apply(w, (const char *[]){path}, 1, 100, &r);
    while (atomic_load(&committed) < records) usleep(200);
    report("source to log, durable", now() - began, file > source ? file : source);
    atomic_store(&sink_go, true);
    began = now();
    while (atomic_load(&put_count) < records) usleep(200);
    report("log to sink", now() - began, 0);
    worker_report_done(&r);
    worker_close(w, 10000);
    b->ops->close(b);
    must(store_close(store, &err), &err);
    fs_close(fs);
    return 0;
}
