// SPDX-License-Identifier: Apache-2.0
// The converters that are built in, as one plugin descriptor: what a third party would ship, linked statically.
//
//   json     values ↔ JSON text, with or without Connect's {"schema", "payload"} envelope (also JsonConverter)
//   string   text as it is; scalars in Java's format; structured values as JSON (also StringConverter)
//   bytes    bytes as they are (also ByteArrayConverter)
//
// A connector's options name them under `key.converter` and `value.converter`, their own options below these names. The
// plugin registry lists this descriptor beside the loaded ones; an instance is opened like any other component's.
// Threads: as plugin.h says, one at a time for each instance; the descriptor is immutable.
#ifndef CONVERTERS_CONVERTER_H
#define CONVERTERS_CONVERTER_H

#include <connectd/plugin.h>

extern const struct cn_component converter_json, converter_string, converter_bytes;
extern const struct cn_plugin converters_plugin;

#endif
