// SPDX-License-Identifier: Apache-2.0
// One connector: its tasks, started and stopped together, by its target state.
//
//   observed state   STOPPED  no tasks, by target       PAUSED   by target        FAILED  it could not be started at all
//                    RUNNING  else (its tasks have states of their own)           UNASSIGNED  not started yet
//
// The control thread calls everything but connector_json and connector_look, one at a time; these two need the worker's lock,
// under which tasks come and go.
#ifndef RUNTIME_CONNECTOR_H
#define RUNTIME_CONNECTOR_H

#include <pthread.h>

#include "runtime/task.h"
#include "state/state.h"

struct connector {
    struct definition *def;
    enum target_state target;
    pthread_mutex_t *lock; // the worker's; guards the task list for those who look
    struct task **tasks;
    uint32_t n;
    bool started;
    struct failure failure; // text "" when there is none
    struct failure held;    // why its tasks begin FAILED and wait to be restarted; text "" when they need not
    unsigned abandoned;     // tasks that did not come back, ever
    unsigned hung;          // since the last start: after three it stays FAILED
};

// Takes the reference. Not started.
struct connector *connector_new(struct definition *d, enum target_state target, pthread_mutex_t *lock);
void connector_free(struct connector *c); // stopped before

// Starts tasks as the target state says (STOPPED: none).
void connector_start(struct connector *c);
void connector_ask(struct connector *c, enum task_want want); // of all tasks; does not wait
// After connector_ask(STOP): waits until deadline (mono ms), then abandons. Returns how many were abandoned.
unsigned connector_stop(struct connector *c, int64_t deadline_ms);
bool connector_settled(struct connector *c, int64_t deadline_ms);
// Replaces hung tasks whose time is up; at most three times.
void connector_watch(struct connector *c);

struct connector_look { uint32_t running, paused, failed, restarting, completed, hung; const char *state; };
void connector_look(const struct connector *c, struct connector_look *ret);
static inline const char *connector_name(const struct connector *c) { return definition_name(c->def); }
void connector_json(const struct connector *c, struct json_writer *w);

#endif
