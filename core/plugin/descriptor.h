// SPDX-License-Identifier: Apache-2.0
// A plugin's descriptor: checked against the ABI's rules and copied into this version's layout. Pure; borrows the plugin's texts.
#ifndef PLUGIN_DESCRIPTOR_H
#define PLUGIN_DESCRIPTOR_H

#include "plugin/plugins.h"

// Fills name … home, extension, components, n. The first broken rule is the error, naming component and option:
// "sink x: option url: a required option can not have a default".
int descriptor_copy(const struct cn_plugin *d, struct plugin *ret, struct err *err) MUST_USE;
void descriptor_done(struct plugin *p); // frees what descriptor_copy made

// The version gate alone: ERR_UNSUPPORTED names both versions; the hint is the way out.
int descriptor_abi(uint16_t major, uint16_t minor, struct err *err) MUST_USE;

#endif
