// SPDX-License-Identifier: Apache-2.0
// A worker over the memory backend with the scripted connectors, and ways to look at what it did.
#ifndef FIXTURE_H
#define FIXTURE_H

#include "test.h"

#include "backend/backend_mem.h"
#include "base/mem.h"
#include "runtime/worker.h"
#include "scripted.h"

struct fixture {
    struct backend *backend;
    bool own_backend;
    struct plugins *plugins;
    struct metric_registry *metrics;
    struct worker *worker;
    const char *dir;
    char *paths[16];
    size_t n;
    struct worker_report report; // of the last apply
};
void fixture_open(struct fixture *f);                           // resets the scripts
void fixture_open_on(struct fixture *f, struct backend *b);     // without resetting them
void fixture_close(struct fixture *f);                          // asserts that nothing was abandoned
void fixture_file(struct fixture *f, const char *name, const char *yaml); // writes it and notes the path
void fixture_remove(struct fixture *f, const char *name);
void fixture_apply(struct fixture *f);
void fixture_run(struct fixture *f, const char *yaml);          // one file, applied, nothing refused

// Waits at most 20 s for the condition.
#define eventually(condition)                                                                                          \
    do {                                                                                                               \
        int tries_ = 0;                                                                                                \
        while (!(condition) && tries_ < 20000) usleep(1000), tries_++;                                                 \
        if (tries_ == 20000) fail_msg("never: %s\n%s", #condition, fixture_status(f));                                 \
    } while (0)

const char *fixture_status(struct fixture *f); // status as JSON; valid until the next call
bool status_has(struct fixture *f, const char *part);
int64_t topic_end(struct fixture *f, const char *topic); // high watermark of partition 0; -1 absent
// The values of partition 0, as numbers; returns how many.
size_t topic_numbers(struct fixture *f, const char *topic, int64_t *to, size_t max);
int64_t group_offset(struct fixture *f, const char *group, const char *topic); // -1 none

#endif
