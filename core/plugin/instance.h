// SPDX-License-Identifier: Apache-2.0
// One plugin instance's host: what cn_host gives a connector, transform or converter inside the daemon.
//
//   struct instance i; instance_init(&i, &params); component->ops.source.open(&i.host, …) …; instance_done(&i)
//
// The owner (a task) makes and ends it and calls the plugin on one thread, each call between instance_enter and
// instance_leave, so that a crash or a hang can be named. What plugins may call from any thread is locked or atomic here;
// the functions below are thread-safe where marked [any], else the owner's thread only. Between instance_done and the
// plugin's close nothing may be called: close comes first.
#ifndef PLUGIN_INSTANCE_H
#define PLUGIN_INSTANCE_H

#include <connectd/plugin.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/metric.h"
#include "base/say.h"
#include "plugin/plugins.h"

struct sockets; // plugin/sockets.h
struct spool;   // plugin/spool.h

// What only the runtime can answer. All may be NULL: then nothing is settled, and schemas are refused.
struct instance_runtime {
    void (*settle)(void *arg, const struct cn_verdict *v, uint32_t n); // [any]; the texts are the plugin's
    int (*schema_put)(void *arg, const char *name, const void *p, uint32_t n, struct err *err);
    int64_t (*schema_get)(void *arg, const char *name, void *p, uint32_t max); // the full size, -1 absent; a run that can not tell ends
};

struct instance_params {
    const struct component *component;
    const char *connector;          // copied
    uint32_t task, tasks;
    // The effective option values: 0, or -1 for a name not in the table. Texts live as long as the instance.
    int (*config)(void *arg, const char *option, struct cn_option_value *ret);
    void *config_arg;
    const struct instance_runtime *runtime; // borrowed, static
    void *runtime_arg;
    struct clock *clock;            // NULL: clock_real
    struct metric_registry *metrics; // NULL: metrics go nowhere
    struct sockets *sockets;        // NULL: listen fails
    struct spool *spool;            // the connector's; NULL: spool_dir fails
};

struct instance_failure {
    bool set;
    enum cn_fail_class fail_class;
    uint32_t record;
    char text[1024], hint[512];
};

struct instance_metric;
struct instance {
    struct cn_host host; // first: what the plugin gets
    struct instance_params params;
    char *connector;
    int wake;
    _Atomic bool stopping;
    // The call the plugin is in, for hang and crash reports: a static name, NULL outside, and since when.
    _Atomic(const char *) op;
    _Atomic int64_t op_since_ms;
    pthread_mutex_t lock; // guards what follows
    struct instance_failure failure;
    char progress[512];
    struct instance_metric *metrics;
    size_t metric_n;
};

// Copies the parameters. Fails when no descriptor is left.
int instance_init(struct instance *i, const struct instance_params *params, struct err *err) MUST_USE;
void instance_done(struct instance *i); // removes its metrics

// Around every call of the plugin, on the thread that calls: names the connector for the crash report, clears the last
// failure, notes op ("poll") and time.
void instance_enter(struct instance *i, const char *op);
void instance_leave(struct instance *i);

// What the plugin said in the op that just failed; when it said nothing, a CN_FAIL_BUG that says so ("poll of x failed
// without saying why"). Clears it.
void instance_failed(struct instance *i, const char *op, struct instance_failure *ret);
const char *fail_class_name(enum cn_fail_class c); // "transient", "config", …

// [any] Wakes a blocking op; stays readable until instance_unwake. instance_stop also makes cn_host.stopping true.
void instance_wake(struct instance *i);
void instance_unwake(struct instance *i);
void instance_stop(struct instance *i);
// [any] The current op and for how long; NULL outside.
const char *instance_op(struct instance *i, int64_t *ret_ms);
// [any] The progress line, "" when there is none.
void instance_progress(struct instance *i, char *out, size_t cap);
// [any] The plugin's own metrics: each(arg, name, kind, value), in order of first use.
void instance_metrics(struct instance *i, void (*each)(void *arg, const char *name, enum metric_kind kind, int64_t value), void *arg);

#endif
