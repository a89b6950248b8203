// SPDX-License-Identifier: Apache-2.0
// The transforms and predicates that are built in, and the chain a task sends its records through.
//
//   record ─► [predicate?] step ─► [predicate?] step ─► … ─► kept │ CN_RECORD_DROPPED │ failed (the step is named)
//
// InsertField, ReplaceField, Filter, RegexRouter and the predicates TopicNameMatches, HasHeaderKey, RecordIsTombstone have
// Kafka Connect's names, options and meaning. Built-in ones are one plugin descriptor and are opened like third parties'.
// A chain belongs to one task and is used on its thread. It borrows the setup and everything in transform_params.
#ifndef TRANSFORMS_TRANSFORM_H
#define TRANSFORMS_TRANSFORM_H

#include <connectd/plugin.h>

#include "plugin/instance.h"

struct connector_setup; // config/setup.h

extern const struct cn_plugin transforms_plugin;

struct transform_params {
    const struct connector_setup *setup; // its transforms, predicates and their values
    const char *connector;
    uint32_t task, tasks;
    struct clock *clock;             // NULL: clock_real
    struct metric_registry *metrics; // NULL: plugins' own metrics go nowhere
};

struct transform_chain;
// Opens every step and predicate, in order. Without transforms the chain is empty and costs nothing.
// *ret_class says how a failed open is to be taken: as the plugin classed it, CN_FAIL_CONFIG where it did not.
int transform_chain_open(const struct transform_params *p, struct transform_chain **ret, enum cn_fail_class *ret_class, struct err *err) MUST_USE;
void transform_chain_close(struct transform_chain *c); // NULL is fine
size_t transform_chain_steps(const struct transform_chain *c); // 0 for NULL

struct transform_failure {
    const char *alias; // "unwrap", of the step or predicate; valid as long as the chain
    const char *type;  // "ReplaceField$Value"
    struct instance_failure failure;
};
// Sends the records from `from` on through the chain; those with CN_RECORD_DROPPED are passed over, those a step drops get
// it. Returns the batch's record count when done, or the index of a record that failed, with *ret filled: the caller settles
// what becomes of it and calls again with the next index.
uint32_t transform_chain_apply(struct transform_chain *c, struct cn_batch *b, uint32_t from, struct transform_failure *ret);

#endif
