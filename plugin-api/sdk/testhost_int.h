/* SPDX-License-Identifier: Apache-2.0 */
/* What testhost.c and testhost_drive.c share. `lock` guards what the plugin's own threads may touch. */
#ifndef CONNECTD_SDK_TESTHOST_INT_H
#define CONNECTD_SDK_TESTHOST_INT_H

#include <connectd/ext/build.h>
#include <connectd/json.h>
#include <pthread.h>
#include <stdatomic.h>

#include "build_table.h"
#include "listen_bind.h"
#include "option_text.h"
#include "testhost.h"

struct testhost_number { char *name; int64_t value; };
struct testhost_listen { char *name; int fds[16]; uint32_t n; };
struct testhost_blob { char *name; void *p; uint32_t n; };
struct testhost_part { char *topic; int32_t partition; int64_t next; int assigned; }; /* next: of JSON lines without an offset */
struct testhost_positions { struct cn_stored_position *p; size_t n, cap; }; /* owned texts */
struct testhost_lines { char **p; size_t n, cap; };

enum life { LIFE_NEW, LIFE_OPENING, LIFE_OPEN, LIFE_CLOSED };

struct testhost_int {
    const struct cn_component *component;
    union {
        struct cn_source_ops source;
        struct cn_sink_ops sink;
        struct cn_transform_ops transform;
        struct cn_converter_ops converter;
    } ops;
    struct option_set options;
    int wrong;                      /* options.error says how */
    char *name;
    uint32_t task_index, task_count;
    int is_key, verbose, wake;
    _Atomic int life;               /* enum life */
    pthread_t thread;               /* that drives: [task] functions belong to it */
    _Atomic int stopping;
    _Atomic int64_t manual_us;      /* 0: real time */

    pthread_mutex_t lock;
    char **log;
    size_t log_n, log_cap;
    struct testhost_number *metrics;
    size_t metric_n, metric_cap;
    char progress[1024];
    int64_t spooled, spool_limit;
    struct testhost_verdict *verdicts;
    size_t verdict_n, verdict_cap, unsettled;
    unsigned stray;
    char violation[256];

    char *spool;
    struct testhost_listen *listens;
    size_t listen_n, listen_cap;
    struct testhost_blob *blobs;
    size_t blob_n, blob_cap;

    /* sources: of the commit still open; then of commits not yet durable */
    struct testhost_lines open_lines;
    struct testhost_positions open, ready, stored;
    size_t lines_cap;
    /* sinks */
    struct testhost_part *parts;
    size_t part_n, part_cap;

    void (*look)(void *arg);        /* at polled batches */
    void *look_arg;
    uint32_t batch_limit;
    int own_region;                 /* the batch's memory is ours (realloc) */
    void *region;
    uint32_t region_cap;
    int (*region_grow)(struct cn_batch *, uint32_t);
    void *region_owner;
};

struct testhost *testhost_of(struct cn_host *h);
void *testhost_grow(void *p, size_t n, size_t *cap, size_t item); /* room for item n */
char *testhost_dup(const char *z);
int testhost_failf(struct testhost *t, int fail_class, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void testhost_any_thread(struct cn_host *h, const char *name); /* notes a call after close */
void testhost_unwake(struct testhost *t);
int testhost_open_source(struct testhost *t);
void testhost_settle(struct cn_host *h, const struct cn_verdict *v, uint32_t n);
void testhost_forget_uncommitted(struct testhost *t);
void testhost_drive_done(struct testhost *t);

#endif
