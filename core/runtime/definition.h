// SPDX-License-Identifier: Apache-2.0
// What a connector is: its configuration, its plugin, and what all tasks of the process share. Read only once made.
//
// A definition is counted, because an abandoned task may outlive the connector it belonged to. The environment outlives all.
#ifndef RUNTIME_DEFINITION_H
#define RUNTIME_DEFINITION_H

#include <stdatomic.h>

#include "base/clock.h"
#include "base/metric.h"
#include "config/setup.h"
#include "plugin/plugins.h"
#include "runtime/failure.h"

struct backend;
struct sockets;
struct spool;
struct state;

struct task_env {
    struct backend *backend;
    struct state *state;
    struct plugins *plugins;
    struct sockets *sockets;
    struct metric_registry *metrics;
    struct clock *clock;
    struct component_lookup lookup;
    const struct secret_places *secrets;
    const char *key_converter, *value_converter, *worker_id, *spool_dir;
    const struct props *worker_props;
    int64_t shutdown_ms, hang_ms, retry_min_ms, retry_max_ms, flush_interval_ms, spool_max_bytes;
    const char *data_dir;
};

struct definition {
    _Atomic int refs;
    const struct task_env *env;
    struct connector_config *config;
    const struct component *component;
    struct spool *spool; // NULL: none
    char *file;          // or NULL
    char *group;         // "connect-<name>", a sink's
    uint64_t secrets;    // of the secrets its options refer to, as they were when it was made
};
// Takes the config (also when it fails). ERR_NOT_FOUND: no such plugin.
int definition_new(const struct task_env *env, struct connector_config *config, const char *file, struct definition **ret, struct err *err) MUST_USE;
// Of the secrets that a configuration refers to, as they are now; another value means another password.
uint64_t secrets_digest(const struct task_env *env, const struct connector_config *c);
struct definition *definition_ref(struct definition *d);
void definition_unref(struct definition *d);
static inline const char *definition_name(const struct definition *d) { return d->config->name; }
static inline bool definition_is_source(const struct definition *d) { return d->component->kind == CN_SOURCE; }

// Reads its options, secrets resolved anew. Caller frees. Findings may be NULL.
int definition_setup(const struct definition *d, struct connector_setup **ret, struct findings *findings, struct failure *f) MUST_USE;

// cn_host.config over the values of one part; arg is a struct setup_part.
int setup_part_config(void *arg, const char *option, struct cn_option_value *ret);
// How many tasks it wants: what the plugin's plan() says of tasks.max.
int definition_plan(struct definition *d, const struct connector_setup *setup, uint32_t *ret, struct failure *f) MUST_USE;

#endif
