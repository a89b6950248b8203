// SPDX-License-Identifier: Apache-2.0
// What stands behind `connectd plugins`: list, check, run, new. Each writes what a person or a program reads and returns an
// exit code; parsing of arguments is the caller's.
#ifndef PLUGIN_COMMANDS_H
#define PLUGIN_COMMANDS_H

#include <stdio.h>

#include "plugin/check.h"
#include "plugin/plugins.h"

// A table, or with json the array of plugins_json. 0, or 1 when something is faulty.
int cmd_plugins_list(const struct plugins *p, bool json, FILE *out);

// The conformance suite, a line a rule as it is decided; json: one array at the end. 0 green, 1 red, 2 nothing could be run (err).
int cmd_plugins_check(const struct check_params *params, bool json, FILE *out, struct err *err);

struct run_params {
    const char *path;           // of the .so
    const char *component;      // "http-sink" or "sink/file"; NULL: its only one
    const char *const *options; // "key=value", NULL-terminated; may be NULL
    const char *const *positions; // pairs partition, offset; NULL-terminated; may be NULL: where a source starts
    size_t max;                 // records of a source; 0: no end
    int64_t idle_ms;            // a source that is quiet so long ends; 0: never
    bool verbose;               // the plugin's log lines to err_out
};
// A source's committed records go to out as JSON lines, its last positions to err_out; a sink's records come from `in` as JSON
// lines, a verdict a line goes to out; a transform's records come from `in` and go to out. SIGINT and SIGTERM end it in good order.
// 0, 1 when something was not OK, 2 when it could not be run (err).
int cmd_plugins_run(const struct run_params *params, FILE *in, FILE *out, FILE *err_out, struct err *err);

// Writes folder/NAME.c, test_NAME.c, NAME.yaml and a Makefile: a plugin that works, to change. Existing files are left alone
// (ERR_EXISTS). kind: CN_SOURCE or CN_SINK.
int cmd_plugins_new(const char *name, enum cn_kind kind, const char *folder, FILE *out, struct err *err) MUST_USE;

#endif
