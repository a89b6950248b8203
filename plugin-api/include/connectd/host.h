/* SPDX-License-Identifier: Apache-2.0 */
/* What connectd does for a plugin: a table of functions handed to every instance. A plugin links nothing of connectd.
 *
 * The table only grows at its end; `struct_size` tells how far it reaches in the running host. Every function takes the
 * host first, so that one table serves many instances. Threads: [task] only from the calls of that instance's own ops;
 * [any] from any thread of the plugin, until close returns. Nothing here blocks unless it says so. */
#ifndef CONNECTD_HOST_H
#define CONNECTD_HOST_H

#include <connectd/option.h>
#include <connectd/record.h>

#ifdef __cplusplus
extern "C" {
#endif

struct cn_host;

enum cn_log_level { CN_LOG_ERROR = 3, CN_LOG_WARN = 4, CN_LOG_INFO = 6, CN_LOG_DEBUG = 7 };
struct cn_log_field { const char *name; const char *value; }; /* name [a-z_]+ */

/* Why something failed, and so what connectd does about it. */
enum cn_fail_class {
    CN_FAIL_TRANSIENT = 1, /* the network, a server that restarts: the task restarts with back-off, for ever */
    CN_FAIL_CONFIG = 2,    /* the user must change something: the task stays FAILED */
    CN_FAIL_AUTH = 3,      /* FAILED when this start never succeeded, transient afterwards */
    CN_FAIL_LOST_DATA = 4, /* going on would skip data: FAILED until the user decides */
    CN_FAIL_RECORD = 5,    /* this batch's record `record` is at fault: errors.tolerance decides */
    CN_FAIL_BUG = 6        /* an invariant of the plugin broke: FAILED */
};

enum cn_verdict_kind {
    CN_OK = 0,      /* settled: delivered, or deliberately done with */
    CN_RETRY = 1,   /* put it again, not before retry_after_ms */
    CN_REJECT = 2,  /* this record can never be delivered: errors.tolerance decides */
    CN_FATAL = 3    /* nothing can be delivered: the task fails as cn_host.fail said */
};

/* The settlement of the records first..last (offsets, inclusive) of a partition. */
struct cn_verdict {
    const char *topic;      /* original topic */
    int32_t partition;      /* original partition */
    uint8_t kind;           /* enum cn_verdict_kind */
    uint8_t reserved[3];
    int64_t first, last;
    int64_t retry_after_ms; /* RETRY: 0 = core's own back-off */
    const char *reason;     /* RETRY, REJECT: one line for people, status and dead-letter headers; may be NULL */
};

enum cn_metric_kind { CN_COUNTER = 1, CN_GAUGE = 2 };

enum cn_listen_kind { CN_LISTEN_UDP = 1, CN_LISTEN_TCP = 2, CN_LISTEN_UNIX_DGRAM = 3, CN_LISTEN_UNIX_STREAM = 4 };
struct cn_listen {
    uint32_t struct_size;
    uint32_t kind;          /* enum cn_listen_kind */
    const char *name;       /* FileDescriptorName= in a systemd socket unit, e.g. "syslog-udp" */
    const char *address;    /* "127.0.0.1:5514", "[::]:514", "/run/connectd/log" */
    uint32_t count;         /* sockets to bind with SO_REUSEPORT; 1..16 */
    uint32_t backlog;       /* TCP */
    int64_t receive_buffer; /* bytes; SO_RCVBUFFORCE where allowed, else SO_RCVBUF; 0 = the system's default */
};

/* A stored source position, as terminated JSON text. */
struct cn_stored_position {
    const char *partition;
    const char *offset; /* NULL: deleted */
};

struct cn_host_ops {
    uint32_t struct_size;
    uint32_t reserved;

    /* ── configuration [task] ── */
    /* The effective value of an option of the instance's table. ret->type 0 when it has none. 0, or -1 for a name not in the table. */
    int (*config)(struct cn_host *h, const char *option, struct cn_option_value *ret);
    /* Identity: connector name, task index, number of tasks of the connector. Valid until close returns. */
    const char *(*connector_name)(struct cn_host *h);
    uint32_t (*task_index)(struct cn_host *h);
    uint32_t (*task_count)(struct cn_host *h);

    /* ── talking [any] ── */
    void (*log)(struct cn_host *h, int level, const char *text, const struct cn_log_field *fields, uint32_t n);
    /* Says why the op that is about to return a failure fails. `text` names what, where and why; `hint` what to do (may be NULL).
       `record` is the index in the current batch for CN_FAIL_RECORD, else ignored. The last call before the return counts. */
    void (*fail)(struct cn_host *h, int fail_class, const char *text, const char *hint, uint32_t record);
    /* One line about what the instance is doing now, shown by `connectd status` ("snapshot public.orders 42 %, 310 MB/s"); NULL clears. */
    void (*progress)(struct cn_host *h, const char *text);
    /* A metric by name (kebab-case, unit in the name's end where not a count); made at its first use, shown in status and metrics. */
    void (*metric)(struct cn_host *h, const char *name, int kind, int64_t value); /* COUNTER adds, GAUGE sets */

    /* ── time and cancelling [any] ── */
    int64_t (*now_us)(struct cn_host *h);      /* wall clock, microseconds since 1970 */
    int64_t (*monotonic_ms)(struct cn_host *h);
    /* Readable when the instance is wanted back: it stops, pauses, has a commit to hear of, or its call's deadline passed.
       Put it into every poll(2) that blocks; never read from it. Valid until close returns. Descriptors may be above 1023, which
       select(2) can not take. */
    int (*wake_fd)(struct cn_host *h);
    int (*stopping)(struct cn_host *h);        /* 1 once the task shall end: return from the op soon */

    /* ── settling [any], sinks ── */
    /* Verdicts for records put before, in any order; each record is settled once. Copies what it is given. */
    void (*settle)(struct cn_host *h, const struct cn_verdict *v, uint32_t n);

    /* ── resources [task] ── */
    /* A private folder for spilling, made at the first call, emptied when the connector is deleted. NULL after cn_host.fail. */
    const char *(*spool_dir)(struct cn_host *h);
    /* Accounts `delta` bytes (negative gives back) against spool.max.bytes: 0, or -1 when it would pass it. [any] */
    int (*spool_account)(struct cn_host *h, int64_t delta);
    /* Listening sockets by name: from systemd when it passed that name, else bound by connectd; held across task restarts
       and reloads, so that the kernel keeps queueing. Fills fds[0..max) and returns how many, or -1 after cn_host.fail. The
       descriptors stay the host's: do not close them. Non-blocking. */
    int (*listen)(struct cn_host *h, const struct cn_listen *l, int *fds, uint32_t max);

    /* ── small durable state [task], may block on the disk ── */
    /* Bytes by name in the connector's own space of a compacted topic, for schemas that outlive a restart; at most 1 MiB each.
       put returns after it is durable; n = 0 deletes. get copies up to max bytes and returns the full size, or -1 when absent. */
    int (*schema_put)(struct cn_host *h, const char *name, const void *p, uint32_t n);
    int64_t (*schema_get)(struct cn_host *h, const char *name, void *p, uint32_t max);

    /* ── growth ── */
    /* An extension by id ("connectd.example/1"), or NULL. */
    const void *(*extension)(struct cn_host *h, const char *id);
};

struct cn_host { const struct cn_host_ops *ops; }; /* the host's own data follows, opaque */

#ifdef __cplusplus
}
#endif
#endif
