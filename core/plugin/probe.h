// SPDX-License-Identifier: Apache-2.0
// Tries plugin files in a helper process first, so that one that crashes or hangs on load costs nobody else anything.
//
// The helper is this very program run again with a hidden argument, which a constructor here answers before main: nothing to
// wire. One helper tries all files in turn; when it dies, the file it was at is to blame and a new one goes on behind it.
#ifndef PLUGIN_PROBE_H
#define PLUGIN_PROBE_H

#include <stddef.h>

#include "base/err.h"

struct probe_result {
    bool ok;
    struct err err; // why not
};

// Fills results[0..n). Each file gets timeout_ms to load.
void probe_files(const char *const *paths, size_t n, int timeout_ms, struct probe_result *results);

#endif
