// SPDX-License-Identifier: Apache-2.0
// The worker's inside, shared by worker.c (life, looking, target states), worker_apply.c (files) and worker_offsets.c.
//
//   control (mutex)   one changing call at a time; held while it waits. Its holder may read everything.
//   lock (mutex)      guards the lists for those who look; held only to change them or to look. Taken after control, before a task's lock.
#ifndef RUNTIME_WORKER_INT_H
#define RUNTIME_WORKER_INT_H

#include <pthread.h>

#include "config/pipeline.h"
#include "runtime/connector.h"
#include "runtime/gaps.h"
#include "runtime/worker.h"

struct worker_source { // a pipeline file
    char *path;
    struct pipeline *pipeline; // the running version; NULL: none yet
    struct findings findings;  // of the last reading, when it was refused
    bool refused;
    bool seen;                 // by the present apply
};

struct worker {
    struct task_env *env; // on the heap: abandoned tasks keep it
    pthread_mutex_t control, lock;
    pthread_t keeper;
    pthread_cond_t wake; // with lock: the keeper
    bool closing;
    struct gaps *gaps;
    unsigned abandoned;
    struct connector **connectors; // by name
    size_t n, cap;
    struct worker_source *sources;
    size_t source_n, source_cap;
};

struct connector *worker_get(struct worker *w, const char *name, struct err *err); // ERR_NOT_FOUND with the nearest name
void worker_add(struct worker *w, struct connector *c);    // keeps the order
void worker_remove(struct worker *w, struct connector *c); // and frees it; stopped before
static inline int64_t worker_deadline(const struct worker *w, int64_t ms) { return clock_mono_ms(w->env->clock) + ms; }

#endif
