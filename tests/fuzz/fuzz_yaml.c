// SPDX-License-Identifier: Apache-2.0
// Configuration files as hostile bytes: pipeline YAML, connector JSON, and secret references in what they hold.
//
// The first byte chooses: 'j' JSON, else YAML (the byte is part of neither).
#include <stdlib.h>

#include "config/pipeline.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void compare_copies(const struct pipeline *p) {
    for (size_t i = 0; i < p->n; i++) {
        struct connector_config *copy = connector_config_copy(&p->connectors[i]);
        if (!connector_config_equal(copy, &p->connectors[i])) abort();
        connector_config_free(copy);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct findings f = {0};
    struct pipeline *p;
    if (!size) return 0;
    int failed = pipeline_parse("fuzz", str_make(data + 1, size - 1), data[0] == 'j', &p, &f);
    if ((failed == 0) != (p != NULL) || (failed && !f.errors)) abort(); // a refusal says why
    if (p) compare_copies(p);
    struct buf out = {0};
    findings_sort(&f);
    findings_print(&f, &out);
    buf_done(&out);
    findings_done(&f);
    pipeline_free(p);
    return 0;
}
