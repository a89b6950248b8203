// SPDX-License-Identifier: Apache-2.0
#include "converters/converter.h"

#include "base/mem.h"

static const struct cn_component *const components[] = {&converter_json, &converter_string, &converter_bytes};

const struct cn_plugin converters_plugin = {
    .struct_size = sizeof(struct cn_plugin),
    .abi_major = CN_ABI_MAJOR,
    .abi_minor = CN_ABI_MINOR,
    .name = "converters",
    .version = CN_VERSION,
    .author = "connectd",
    .license = "Apache-2.0",
    .components = components,
    .component_count = countof(components),
};
