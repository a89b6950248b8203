// SPDX-License-Identifier: Apache-2.0
// One plugin file into this process: dlopen, the one symbol, the descriptor. The code stays mapped for good.
#ifndef PLUGIN_LOAD_H
#define PLUGIN_LOAD_H

#include "plugin/plugins.h"

// Fills what descriptor_copy fills. Errors do not name the file.
int load_file(const char *path, struct plugin *ret, struct err *err) MUST_USE;

#endif
