// SPDX-License-Identifier: Apache-2.0
// One connector's configuration against the tables of everything it names: the connector plugin, its converters, transforms
// and predicates. What comes out is all the runtime needs to start tasks.
#ifndef CONFIG_SETUP_H
#define CONFIG_SETUP_H

#include <connectd/plugin.h>

#include "config/connector_options.h"
#include "config/pipeline.h"

// Finds components; thread-safe, borrowed for the call.
struct component_lookup {
    // The component of that kind whose name or alias it is, or NULL. "Cast$Value" is asked for whole, then as "Cast".
    const struct cn_component *(*find)(void *arg, enum cn_kind kind, const char *name);
    // Every component of a kind, for "did you mean". May be NULL.
    void (*each)(void *arg, enum cn_kind kind, void (*name)(void *to, const char *name), void *to);
    void *arg;
    // Why there is none, where more is known than that (its file can not be used): -1 with err; else 0. May be NULL.
    int (*explain)(void *arg, enum cn_kind kind, const char *name, struct err *err);
};

struct setup_part {
    const struct cn_component *component;
    const char *alias;   // "unwrap" of transforms and predicates; "key.converter", "value.converter"
    const char *variant; // "Key", "Value" of Cast$Value when the component is plain Cast; else NULL
    const char *prefix;  // "transforms.unwrap."
    struct option_values *values;
    int predicate; // transforms: index into predicates, -1 none
    bool negate;
    struct place at;
};

struct connector_setup {
    bool is_source; // as the plugin says
    struct connector_options options;
    struct option_values *common; // what `options` was bound from
    struct setup_part connector, key_converter, value_converter;
    struct setup_part *transforms;
    size_t transform_count;
    struct setup_part *predicates;
    size_t predicate_count;
    struct option_scope *scopes; // all of them, for options_json
    size_t scope_count, scope_cap;
    struct arena texts; // of aliases, prefixes, owners
};

struct setup_input {
    const struct connector_config *config;
    const struct component_lookup *lookup;
    const struct secret_places *secrets; // NULL: references stay unresolved (`check` without secrets, REST validate)
    const char *default_key_converter, *default_value_converter; // the worker's; NULL: "json"
    // Converter options of the worker (key.converter.*, value.converter.*), used with its converters; NULL: none.
    const struct props *worker_props;
};
// Fills *ret also after errors, as far as it got (for redaction); caller frees. -1 when there were errors.
int connector_setup(const struct setup_input *in, struct connector_setup **ret, struct findings *f);
void connector_setup_free(struct connector_setup *s);

#endif
