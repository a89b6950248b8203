// SPDX-License-Identifier: Apache-2.0
// A cn_host for one built-in component in a test: options from "name=value" texts, failures kept for looking at.
#ifndef COMPONENT_HOST_H
#define COMPONENT_HOST_H

#include <connectd/build.h>
#include <connectd/plugin.h>

struct component_host {
    struct cn_host host; // first
    const struct cn_component *component;
    const char *const *settings; // NULL-terminated "name=value"
    int fail_class;
    char fail_text[512], fail_hint[256];
    const char *list_items[64];
    char list_text[1024];
    uint32_t list_used;
};
// Opens nothing: only fills h. `settings` may be NULL.
void component_host_init(struct component_host *h, const struct cn_component *c, const char *const *settings);

// A batch on the heap that grows; batch_done frees it.
void batch_heap(struct cn_batch *b);
void batch_done(struct cn_batch *b);

#endif
