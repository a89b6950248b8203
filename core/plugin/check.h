// SPDX-License-Identifier: Apache-2.0
// The conformance suite behind `connectd plugins check x.so`: every rule of plugin.h and host.h that can be seen from outside.
//
// Each case runs in a child process of its own, with the plugin's batches in shared memory that moves whenever it may: what
// a plugin keeps too long crashes there, and the parent checks every batch through its own mapping. Call it from a process
// with one thread.
#ifndef PLUGIN_CHECK_H
#define PLUGIN_CHECK_H

#include <stdio.h>

#include "base/err.h"

enum check_status { CHECK_OK, CHECK_FAILED, CHECK_SKIPPED };
struct check_result {
    const char *component; // "sink http-sink"; "" for the file as a whole
    const char *name;      // the rule, a sentence
    enum check_status status;
    const char *detail;    // what happened, or why it was skipped; "" when OK
};
struct check_params {
    const char *path;           // of the .so
    const char *component;      // only this one: "http-sink", or with its kind "sink/file"; NULL: all
    const char *const *options; // "key=value", NULL-terminated; NULL: none. With options a component that does not open is red
    const char *only;           // a part of the names of the cases to run; NULL: all
    const char *const *skip;    // parts of case names; NULL: none
    int case_ms;                // 0: 30 s
};
struct check_totals { unsigned ok, failed, skipped; };

// Runs all cases, each result to `each`. -1 only when nothing could be run at all (no such file).
int plugin_check(const struct check_params *p, void (*each)(void *arg, const struct check_result *r), void *arg, struct check_totals *ret, struct err *err) MUST_USE;

#endif
