// SPDX-License-Identifier: Apache-2.0
// `connectd check`: everything that can be said about pipeline files without dialling.
#ifndef CONFIG_CHECK_H
#define CONFIG_CHECK_H

#include "config/setup.h"

struct check_input {
    const char *const *files; // pipeline files; a folder stands for the files in it
    size_t n;
    const struct component_lookup *lookup;
    const struct secret_places *secrets; // NULL: references are checked for their syntax only
    const char *default_key_converter, *default_value_converter;
    const struct props *worker_props;
};
// Loads every file, sets every connector up, and finds names used twice over all files. Findings come sorted. `each` (may be NULL) gets
// every connector that is right, with its setup, valid during the call: plugins' validate() and `--connect` hang there;
// it adds findings of its own.
void check_files(const struct check_input *in, struct findings *f,
                 void (*each)(void *arg, const struct connector_config *c, const struct connector_setup *s, struct findings *f), void *arg);

#endif
