// SPDX-License-Identifier: Apache-2.0
// A connector's configuration shown to its plugin without starting it: validate() and, with `dial`, check().
//
// For `connectd check [--connect]` and for the worker before it starts anything. Blocks as the plugin does.
#ifndef RUNTIME_VALIDATE_H
#define RUNTIME_VALIDATE_H

#include "config/setup.h"
#include "runtime/failure.h"

struct task_env; // runtime/definition.h

// Whether the code of one of its plugins may not run, not even to validate: it crashed the daemon too often (plugin/crash.h). *f says so.
bool connector_suspended(const struct task_env *env, const struct connector_setup *s, struct failure *f);
// Also validates converters and transforms. 0, or -1 with what the plugin said added to `f` at the option's line where it names one.
int connector_validate(const struct connector_config *c, const struct connector_setup *s, bool dial, struct findings *f);

#endif
