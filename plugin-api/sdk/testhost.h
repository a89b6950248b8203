/* SPDX-License-Identifier: Apache-2.0 */
/* A host for one plugin instance inside a test or a command: options, positions, batches, verdicts, no daemon.
 *
 *   struct testhost *t = testhost_new(plugin, NULL, (const char *const[]){"path=/tmp/x", NULL});
 *   testhost_open(t) → 0
 *   sources: testhost_poll(t, 100), or testhost_take(t, 3, 5000); t->lines[i]; testhost_commit(t)
 *   sinks:   testhost_assign(t, "a", 0, -1); testhost_put_json(t, "{…}\n{…}"); testhost_verdict(t, "a", 0, 1) == CN_OK
 *   testhost_close(t); testhost_open(t) again resumes from what was committed; testhost_free(t)
 *
 * What the plugin said is kept: t->failure, the log, metrics, progress. One thread drives; the plugin's own threads may
 * use the [any] functions. libc and connectd headers only, so that an out-of-tree plugin's test can use it as well. */
#ifndef CONNECTD_SDK_TESTHOST_H
#define CONNECTD_SDK_TESTHOST_H

#include <connectd/plugin.h>

struct testhost_failure {
    int fail_class;     /* 0: none */
    char text[2048], hint[1024];
    uint32_t record;
    unsigned count;     /* calls of cn_host.fail since the open */
};

struct testhost {
    struct cn_host host;                /* hand &t->host to helpers that want one */
    struct testhost_failure failure;    /* the latest cn_host.fail, or what the host itself objects to */
    struct cn_batch batch;              /* the source's last poll, or the sink's next put */
    char **lines;                       /* records of commits, as JSON objects (json.h), since testhost_clear */
    size_t line_count;
    void *task;                         /* the plugin's own, between open and close */
    uint32_t topic_tag;                 /* of topics assigned from now on; another one: they were deleted and made again */
    struct testhost_int *in;
};

/* A host for the named component of the plugin (NULL: its first), with "key=value" options (NULL-terminated, or NULL).
   A wrong option or a missing component shows at testhost_open. Never NULL. */
struct testhost *testhost_new(const struct cn_plugin *plugin, const char *component, const char *const *options);
/* The same for one component. */
struct testhost *testhost_new_component(const struct cn_component *component, const char *const *options);
void testhost_free(struct testhost *t); /* closes first */

/* ── before open ── */
void testhost_name(struct testhost *t, const char *connector, uint32_t task, uint32_t tasks); /* else "test", 0, 1 */
void testhost_position(struct testhost *t, const char *partition, const char *offset);       /* stored; NULL offset deletes */
void testhost_spool_limit(struct testhost *t, int64_t bytes);                                  /* else 64 MiB */
void testhost_batch_limit(struct testhost *t, uint32_t bytes);                                 /* else 256 MiB */
void testhost_verbose(struct testhost *t, int on);                                             /* log lines to stderr too */
/* Batches over memory of the caller's: `grow` as in struct cn_batch. The region is reset for every batch. */
void testhost_region(struct testhost *t, void *base, uint32_t cap, int (*grow)(struct cn_batch *, uint32_t), void *owner);

/* Called with every polled batch before the host reads it; it may check it as it likes. */
void testhost_inspect(struct testhost *t, void (*look)(void *arg), void *arg);

/* ── life ── */
int testhost_validate(struct testhost *t); /* options and the component's validate: 0 or -1 with t->failure */
int testhost_check(struct testhost *t);    /* the component's check, 0 without one */
int testhost_open(struct testhost *t);     /* validate, then open: 0 or -1 with t->failure */
void testhost_close(struct testhost *t);   /* the component's close, where it is open */
void testhost_wake(struct testhost *t);    /* makes wake_fd readable until the next op */
void testhost_stop(struct testhost *t);    /* stopping = 1, and wakes */
int testhost_tick(struct testhost *t);

/* ── sources ── */
/* One poll into a fresh t->batch; its records and positions count from the next COMMIT boundary on. CN_POLL_*. */
int testhost_poll(struct testhost *t, uint32_t timeout_ms);
/* Polls until n more lines are there, the source is done or failed, or timeout_ms passed; how many came. */
size_t testhost_take(struct testhost *t, size_t n, uint32_t timeout_ms);
/* Makes everything polled up to the last COMMIT boundary durable and tells the source (committed). How many positions. */
size_t testhost_commit(struct testhost *t);
/* The stored offset of a partition (its exact JSON text), or NULL. */
const char *testhost_stored(const struct testhost *t, const char *partition);
/* Stored position i, in the order they first came; NULL past the end. Deleted ones are gone. */
const struct cn_stored_position *testhost_stored_at(const struct testhost *t, size_t i);
void testhost_clear(struct testhost *t); /* forgets lines, log and failure */

/* ── sinks ── */
/* Assigns a partition; the offset the sink answers with. -2: it failed. */
int64_t testhost_assign(struct testhost *t, const char *topic, int32_t partition, int64_t offset);
void testhost_revoke(struct testhost *t, const char *topic, int32_t partition);
/* An empty t->batch to build records in (build.h); give them offsets: cn_record_at(b, i)->offset. */
struct cn_batch *testhost_batch(struct testhost *t);
/* Puts t->batch. CN_PUT_OK settles all its records. CN_PUT_*. */
int testhost_put(struct testhost *t);
/* Adds records from JSON lines to t->batch: {"topic","partition","offset","timestamp","key","value","headers":[[name,value]]},
   every member optional (topic "test", partition 0, the partition's next offset); a line without a "value" member is a
   value itself. How many, or -1 with t->failure. */
int testhost_add_json(struct testhost *t, const char *lines);
/* testhost_batch, testhost_add_json and testhost_put in one. */
int testhost_put_json(struct testhost *t, const char *lines);
int testhost_flush(struct testhost *t, uint32_t deadline_ms);
/* Waits until every record put is settled: 0, or -1 at the time-out. */
int testhost_settled(struct testhost *t, uint32_t timeout_ms);
/* The verdict of a record: CN_OK …, -1 not settled, -2 never put. */
int testhost_verdict(struct testhost *t, const char *topic, int32_t partition, int64_t offset);
struct testhost_verdict {
    char topic[256];
    int32_t partition;
    int64_t offset;
    int kind;               /* -1: not settled */
    int64_t retry_after_ms;
    char reason[256];
    unsigned times;         /* how often it was settled since its last put; more than one is a fault */
    unsigned puts;
};
/* Record i, in the order first put; 0 past the end. */
int testhost_verdict_at(struct testhost *t, size_t i, struct testhost_verdict *ret);
/* Verdicts that named no record put: a fault of the sink. */
unsigned testhost_stray_verdicts(struct testhost *t);

/* ── transforms, predicates, converters ── */
int testhost_apply(struct testhost *t, uint32_t record); /* on t->batch */
void testhost_converter_key(struct testhost *t, int is_key); /* before open */

/* ── what was said ── */
int testhost_logged(struct testhost *t, const char *part); /* 1 when a log line contains it */
int64_t testhost_metric(struct testhost *t, const char *name); /* 0 when never touched */
const char *testhost_progress(struct testhost *t);         /* "" when none; valid until the next progress */
const char *testhost_spool(struct testhost *t);            /* the folder, or NULL when never asked for */
int64_t testhost_spooled(struct testhost *t);              /* bytes accounted */
unsigned testhost_port(struct testhost *t, const char *listen_name); /* the port its socket got, or 0 */

/* The first rule of host.h the plugin broke ("listen was called from a thread of the plugin's own"), "" when none. */
const char *testhost_violation(struct testhost *t);

/* ── time: real, unless set by hand ── */
void testhost_time(struct testhost *t, int64_t wall_us);   /* both clocks stand still from here */
void testhost_advance(struct testhost *t, int64_t ms);

#endif
