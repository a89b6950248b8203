// SPDX-License-Identifier: Apache-2.0
// One task: a thread that opens a connector's plugin, runs it, and starts it again by the restart policy.
//
//                 ┌────────────── restart ◄──────────────┐
//                 ▼                                      │
//   ──► UNASSIGNED ── opened ──► RUNNING ◄──► PAUSED     │         by class of the failure:
//          │  ▲                  │  │  │         │       │           transient           RESTARTING, for ever
//          │  └── time is up ────┼──┼──┼─────────┤       │           auth, once succeeded: RUNNING and `blocked`
//          │     RESTARTING ◄────┘  │  │         │       │           auth, never so far  FAILED
//          │                        │  └► COMPLETED ─────┤           config, lost data, record, bug: FAILED
//          └──────────► FAILED ◄────┴────────────┘ ──────┘
//   every state ── stop ──► DESTROYED
//
// The thread owns the run (plugin instance, producer or consumer); control threads only say what they want and wait. A task that
// does not come back is abandoned: its thread and memory stay, its producer is fenced by the successor's.
#ifndef RUNTIME_TASK_H
#define RUNTIME_TASK_H

#include <pthread.h>

#include "base/json.h"
#include "runtime/backoff.h"
#include "runtime/definition.h"

enum task_state { TASK_UNASSIGNED, TASK_RUNNING, TASK_PAUSED, TASK_RESTARTING, TASK_FAILED, TASK_COMPLETED, TASK_DESTROYED };
const char *task_state_name(enum task_state s);
enum task_want { WANT_RUN, WANT_PAUSE, WANT_STOP };

struct task;
// Makes it and starts its thread. `failed` (may be NULL): it begins FAILED, with that cause, and waits to be restarted.
int task_start(struct definition *d, uint32_t index, uint32_t count, enum task_want want, const struct failure *failed, struct task **ret,
               struct err *err) MUST_USE;
void task_want(struct task *t, enum task_want want); // does not wait
void task_restart(struct task *t);                   // ends the run, forgets failures, runs again
// Waits until the state fits what is wanted (STOP: DESTROYED; PAUSE: PAUSED, or an end state; RUN: its run began or an end state). False at
// the deadline (monotonic ms).
bool task_settled(struct task *t, int64_t deadline_ms);
// After DESTROYED: joins and frees. Otherwise the task is abandoned: reported with its stack; its memory stays.
// Returns true when it was freed.
bool task_free(struct task *t);

struct task_look { // what status needs, copied
    enum task_state state;
    struct failure failure; // text "" when there is none
    bool blocked;
    int64_t blocked_since_ms; // wall
    bool hung;
    unsigned restarts;
};
void task_look(struct task *t, struct task_look *ret);
void task_json(struct task *t, struct json_writer *w);
// Called now and then by the keeper: finds calls that do not return. True when it is time to abandon the task.
bool task_watch(struct task *t);

// ── for runs, on the task's thread ──

enum run_end { RUN_STOPPED, RUN_FAILED, RUN_COMPLETED };
struct run {
    struct task *task;
    const struct task_env *env;
    struct definition *def;
    const char *name;
    uint32_t index, count;
    char *producer_id;              // "connect-cluster/<name>/<index>"
    const struct connector_setup *setup;
    struct instance instance;
    struct metric *metrics;         // by enum source_metric or sink_metric
    void (*settle)(void *arg, const struct cn_verdict *v, uint32_t n); // [any thread] set by sink_run before it opens the plugin
    void *settle_arg;
    struct failure refused;         // text not "": the plugin asked for what nobody can tell; the run ends with this
};
enum run_end source_run(struct run *r, struct failure *f);
enum run_end sink_run(struct run *r, struct failure *f);

enum task_want run_wants(const struct run *r);
// Around every call of the plugin. budget_ms: how long it may take before it counts as hung (0: the usual). run_leave returns false when
// what the call gave is not to be used: the run was refused something in it, or the task was abandoned meanwhile (run_lost): then nothing
// may be touched any more but the plugin's close.
void run_enter(struct run *r, const char *op, int64_t budget_ms);
bool run_leave(struct run *r);
bool run_lost(const struct run *r);
void run_opened(struct run *r);                    // the plugin is open: RUNNING
void run_succeeded(struct run *r);                 // the other side let us in: a login that fails from now on is waited for
void run_paused(struct run *r, bool paused);       // RUNNING ◄──► PAUSED
void run_blocked(struct run *r, const char *why);  // shown in status until NULL; does not change the state
void run_progressed(struct run *r);                // something became durable: the back-off starts over
void run_wake_also(struct run *r, int fd);         // a descriptor to wake beside the instance's; -1 none
void run_detail(struct run *r, const char *key, struct str json); // one more member of the status, a whole JSON value; copied
// Counts, and logs by errors.log.enable; the key and value (p NULL: unknown) only where run_logs_messages.
void run_error(struct run *r, const struct failure *f, enum error_stage stage, const char *record, struct str key, struct str value);
bool run_logs_messages(const struct run *r); // errors.log.include.messages

#endif
