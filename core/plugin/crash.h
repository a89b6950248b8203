// SPDX-License-Identifier: Apache-2.0
// Fatal signals: names the plugin whose code crashed, on stderr and in the data folder, then dies as the signal wants.
//
// crash_setup installs handlers for SIGSEGV, SIGBUS, SIGILL, SIGFPE and SIGABRT. The handler is async-signal-safe: it only
// reads tables filled before and writes to descriptors opened before. A crash belongs to the plugin whose code the program
// counter, else the innermost frame of a plugin on the stack, lies in; else to the connector the thread was calling.
// After two crashes of a plugin within ten minutes its connectors start FAILED (crash_suspended) until
// `connectd plugins forgive NAME` or ten quiet minutes.
#ifndef PLUGIN_CRASH_H
#define PLUGIN_CRASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

// Process wide, once. Appends to data_dir/crashes (one line a crash: unix ms, signal, plugin, connector, op). NULL: stderr only.
int crash_setup(const char *data_dir, struct err *err) MUST_USE;
// The loaded file's code, for naming; at most 256. Called by the loader.
void crash_add_plugin(const char *name, const char *path);
// What this thread calls now; NULL, NULL when nothing. The texts stay valid until the next call. Also gives the thread a
// stack for the handler.
void crash_thread(const char *plugin, const char *connector, const char *op);

// Why connectors of the plugin shall not start: "plugin x crashed the daemon twice within ten minutes, last at … (SIGSEGV in poll
// of connector y)" into why, the way out into hint. False when they may. Reads data_dir/crashes.
bool crash_suspended(const char *data_dir, const char *plugin, int64_t now_ms, char *why, size_t why_cap, char *hint, size_t hint_cap);
// Forgets a plugin's crashes (NULL: all).
int crash_forgive(const char *data_dir, const char *plugin, struct err *err) MUST_USE;

#endif
