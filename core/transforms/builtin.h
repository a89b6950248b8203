// SPDX-License-Identifier: Apache-2.0
// The components of transforms_plugin, one file each, and the row they are declared with.
#ifndef TRANSFORMS_BUILTIN_H
#define TRANSFORMS_BUILTIN_H

#include <connectd/sdk.h>

#include "base/mem.h"

extern const struct cn_component transform_insert_field_key, transform_insert_field_value, transform_replace_field_key,
    transform_replace_field_value, transform_filter, transform_regex_router, predicate_topic_name_matches,
    predicate_has_header_key, predicate_record_is_tombstone;

#define JAVA_TRANSFORM "org.apache.kafka.connect.transforms."

#define COMPONENT(ident, component_kind, component_name, java, text, rows, row_count, component_ops)                      \
    const struct cn_component ident = {                                                                                \
        .struct_size = sizeof(struct cn_component),                                                                    \
        .kind = component_kind,                                                                                        \
        .name = component_name,                                                                                        \
        .aliases = java,                                                                                               \
        .summary = text,                                                                                               \
        .options = rows,                                                                                               \
        .option_count = row_count,                                                                                     \
        .option_size = sizeof(struct cn_option),                                                                       \
        .ops = &(component_ops)}

#endif
