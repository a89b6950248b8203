/* SPDX-License-Identifier: Apache-2.0 */
/* The plugin ABI: one exported function returns a descriptor; everything else is tables of functions.
 *
 *   source task     open ─► { poll ─► poll … │ tick while polls are withheld │ committed(positions) } ─► close
 *   sink task       open ─► assign(partitions) ─► { put … │ tick │ flush(deadline) │ revoke / assign } ─► close
 *   transform       open ─► apply(batch, record) … ─► close
 *   converter       open ─► from_record / to_record … ─► close
 *
 * Threads: all calls for one instance come from one thread, one at a time; different instances run on different threads
 * at once, so a plugin keeps no mutable globals. Sinks may settle records from threads of their own.
 * Deadlines: a call shall return within task.shutdown.graceful.timeout.ms of cn_host.wake_fd becoming readable; a task
 * that does not is abandoned and reported with its stack.
 * Lifetimes: no side keeps a pointer it was given after the call returned, unless the comment says until when.
 * Growth: structs only grow at their end; struct_size tells how far one reaches. The host copies what it knows of yours
 * and takes the rest as zero; a plugin guards newer host functions by host->ops->struct_size (CN_HOST_HAS). What is passed
 * in arrays without a size (cn_verdict, cn_log_field, cn_stored_position, cn_sink_partition) and everything in record.h
 * is final: it never grows; new abilities come as extensions by id.
 * Return values: 0 success, -1 failure after cn_host.fail, unless said otherwise. */
#ifndef CONNECTD_PLUGIN_H
#define CONNECTD_PLUGIN_H

#include <connectd/host.h>
#include <connectd/option.h>
#include <connectd/record.h>
#include <connectd/version.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ── connectors ── */
enum { CN_POLL_OK = 0,      /* the batch has records, positions or a boundary; an empty batch is fine */
       CN_POLL_IDLE = 1,    /* nothing within timeout_ms */
       CN_POLL_DONE = 2,    /* nothing will ever come again: the batch (may be empty) is the last, the task ends COMPLETED */
       CN_POLL_FAILED = -1 };

struct cn_source_ops {
    uint32_t struct_size;
    uint32_t reserved;
    /* How many tasks to run, 1..max (tasks.max). Optional: 1. May not dial. */
    uint32_t (*plan)(struct cn_host *h, uint32_t max);
    /* Checks what option rows can not say; reports with cn_host.fail(CN_FAIL_CONFIG) and returns -1. Optional. No side effects, < 50 ms, may not dial. */
    int (*validate)(struct cn_host *h);
    /* Dials and looks, without changing anything (`connectd check --connect`). Optional. May block 10 s. */
    int (*check)(struct cn_host *h);
    /* Starts a task: reads options, connects. `positions` are all that this task's connector has stored (none on the first start),
       partition and offset as terminated JSON text, valid during the call. May block. *ret_task is handed to every later call. */
    int (*open)(struct cn_host *h, const struct cn_stored_position *positions, uint32_t n, void **ret_task);
    /* Fills the batch (empty, given by the host) with what there is, waiting at most timeout_ms for the first record (with wake_fd).
       Returns CN_POLL_*. Aim at 64 KiB..1 MiB a batch when there is more. After a failure the batch is thrown away. */
    int (*poll)(void *task, struct cn_batch *batch, uint32_t timeout_ms);
    /* These positions, and all given before them, are durable in the log: a source may release what it held (LSN, file). The latest
       call always comes, also when the source is idle then. Optional. */
    void (*committed)(void *task, const struct cn_stored_position *positions, uint32_t n);
    /* Called at least every second while poll is withheld (back-pressure, pause, a slow commit): keep-alives go here. Optional. -1 fails the task. */
    int (*tick)(void *task);
    /* Ends the task and frees it. Called once after a successful open, also after a failure. */
    void (*close)(void *task);
};

struct cn_sink_partition {
    const char *topic;
    int32_t partition;
    uint32_t topic_tag;  /* differs when the topic was deleted and one of the same name made: what you remember by name is not of it. 0: not known */
    int64_t offset;      /* in: the next record core would put (-1: from auto.offset.reset). out (assign): the sink's own next offset wins */
};

enum { CN_PUT_OK = 0,       /* every record of the batch is settled as delivered */
       CN_PUT_LATER = 1,    /* records will be settled by cn_host.settle, now or later */
       CN_PUT_FAILED = -1 };

struct cn_sink_ops {
    uint32_t struct_size;
    uint32_t reserved;
    uint32_t (*plan)(struct cn_host *h, uint32_t max);   /* optional: max */
    int (*validate)(struct cn_host *h);                  /* as a source's */
    int (*check)(struct cn_host *h);                     /* as a source's */
    int (*open)(struct cn_host *h, void **ret_task);     /* reads options, connects. May block. */
    /* Partitions come, at the start and in mid-life. A sink that keeps its own offsets with the data writes them into `offset`. Optional. */
    int (*assign)(void *task, struct cn_sink_partition *parts, uint32_t n);
    /* Partitions go. Everything put for them has been settled or is forgotten: settle nothing of them after this returns. Optional. */
    void (*revoke)(void *task, const struct cn_sink_partition *parts, uint32_t n);
    /* Records of assigned partitions, in order within each. The batch is the host's and valid during the call only.
       A record settled RETRY comes again, and with it, in order, every later record of its partition that was not settled OK. So a
       sink that keeps order settles RETRY for all records of that partition it still holds behind a failed one.
       CN_PUT_FAILED fails the task as cn_host.fail said; CN_FAIL_TRANSIENT there means all unsettled records come again. */
    int (*put)(void *task, const struct cn_batch *batch);
    /* Settle what you hold, by deadline_ms from now: at commits, revocations and stops. Optional for sinks that settle in put. */
    int (*flush)(void *task, uint32_t deadline_ms);
    int (*tick)(void *task);                             /* at least every second while nothing is put. Optional. */
    void (*close)(void *task);
};

/* ── transforms: pure, record by record. The record's cells may be changed and new ones added in its batch. ── */
enum { CN_KEEP = 0, CN_DROP = 1, CN_APPLY_FAILED = -1 };
struct cn_transform_ops {
    uint32_t struct_size;
    uint32_t reserved;
    int (*validate)(struct cn_host *h);
    int (*open)(struct cn_host *h, void **ret);
    int (*apply)(void *self, struct cn_batch *batch, uint32_t record); /* CN_KEEP, CN_DROP, or CN_APPLY_FAILED after fail(CN_FAIL_RECORD) */
    void (*close)(void *self);
};

/* A predicate is a transform whose apply answers 1 (holds), 0, or -1. */

/* ── converters: values ↔ bytes. ── */
struct cn_out {             /* growable bytes of the host's */
    uint8_t *p;
    size_t n, cap;
    int (*reserve)(struct cn_out *o, size_t more); /* 0, or -1 past the record limit */
};
struct cn_converter_ops {
    uint32_t struct_size;
    uint32_t reserved;
    int (*validate)(struct cn_host *h);
    int (*open)(struct cn_host *h, int is_key, void **ret);
    /* Appends the bytes of a value. Returns 1 when the value is null on the wire (nothing appended), 0 appended, -1 after fail(CN_FAIL_RECORD). */
    int (*from_record)(void *self, const struct cn_batch *b, const struct cn_text *topic, const struct cn_cell *value, uint16_t schema, struct cn_out *out);
    /* Builds the value of `bytes` (NULL: null) in the batch. */
    int (*to_record)(void *self, struct cn_batch *b, const struct cn_text *topic, const void *bytes, size_t n, struct cn_cell *ret_value, uint16_t *ret_schema);
    void (*close)(void *self);
    /* Optional. The from_record calls up to the next `batch` are over this batch, in which nothing is changed meanwhile: what was written for cells
       may be written again for the same ones. */
    void (*batch)(void *self, const struct cn_batch *b);
};

/* ── the descriptor ── */
enum cn_kind { CN_SOURCE = 1, CN_SINK = 2, CN_TRANSFORM = 3, CN_CONVERTER = 4, CN_PREDICATE = 5 };
struct cn_component {
    uint32_t struct_size;
    uint32_t kind;                   /* enum cn_kind */
    const char *name;                /* "postgres-cdc": what a config's `connector:` or `type:` says; [a-z0-9-]+, transforms CamelCase */
    const char *aliases;             /* other names, comma separated (Java class names), or NULL */
    const char *summary;             /* one line */
    const struct cn_option *options;
    uint32_t option_count;
    uint32_t option_size;            /* sizeof(struct cn_option) as the plugin was compiled */
    const void *ops;                 /* the cn_*_ops of its kind */
};

struct cn_plugin {
    uint32_t struct_size;
    uint16_t abi_major, abi_minor;   /* CN_ABI_MAJOR, CN_ABI_MINOR */
    const char *name;
    const char *version;
    const char *author;
    const char *license;             /* SPDX expression */
    const char *home;                /* URL or NULL */
    const struct cn_component *const *components;
    uint32_t component_count;
    uint32_t reserved;
    const void *(*extension)(const char *id); /* optional abilities by id, or NULL */
};

#define CN_HOST_HAS(h, member) ((h)->ops->struct_size >= offsetof(struct cn_host_ops, member) + sizeof((h)->ops->member))

#if defined(__GNUC__)
#define CN_EXPORT __attribute__((visibility("default")))
#else
#define CN_EXPORT
#endif

/* The one exported symbol. Called once after loading, from the main thread; may not fail, block or allocate. */
CN_EXPORT const struct cn_plugin *connectd_plugin_v1(void);

#ifdef __cplusplus
}
#endif
#endif
