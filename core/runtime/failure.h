// SPDX-License-Identifier: Apache-2.0
// Why a task, or one of its records, failed: class, text, hint; and at which stage, by Connect's names.
//
// Values on the stack.
#ifndef RUNTIME_FAILURE_H
#define RUNTIME_FAILURE_H

#include <connectd/host.h>

#include "base/err.h"
#include "plugin/instance.h"

enum error_stage {
    STAGE_TASK_POLL,
    STAGE_TASK_PUT,
    STAGE_TRANSFORMATION,
    STAGE_KEY_CONVERTER,
    STAGE_VALUE_CONVERTER,
    STAGE_HEADER_CONVERTER,
    STAGE_KAFKA_PRODUCE,
    STAGE_KAFKA_CONSUME,
};
const char *error_stage_name(enum error_stage s); // "TASK_POLL"
// The component was a converter: its failures' texts name it.
bool error_stage_converts(enum error_stage s);

struct failure {
    enum cn_fail_class fail_class;
    char text[1536];
    char hint[512];
};
// All return -1, so that `return failure_…` reads as one step.
int failure_set(struct failure *f, enum cn_fail_class c, const char *hint, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
// As the plugin said in `op`.
int failure_plugin(struct failure *f, struct instance *i, const char *op);
// From an error of ours: retriable and I/O errors are transient, damage is lost data (no attempt mends it), the rest as `otherwise` says.
int failure_err(struct failure *f, const struct err *err, enum cn_fail_class otherwise);
// It failed for want of memory, whatever it says: transient.
int failure_starved(struct failure *f);
// Prefixes context.
int failure_wrap(struct failure *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
