// SPDX-License-Identifier: Apache-2.0
// Any bytes as a plugin's batch: what record_batch_check calls well formed is read to its end without leaving the region.
#include <connectd/json.h>

#include "base/mem.h"
#include "plugin/batch_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct err err;
    if (size < sizeof(struct cn_batch_head) || size > 1 << 20) return 0;
    uint8_t *region = xmemdup(data, size);
    struct cn_batch b = {.base = region, .cap = (uint32_t)size};
    if (record_batch_check(&b, &err) == 0) {
        struct cn_json j = {.limit = 1 << 20, .decimals = 1};
        for (uint32_t i = 0; i < cn_count(&b) && !j.failed; i++) cn_json_record(&j, &b, cn_record_at(&b, i));
        cn_json_done(&j);
    }
    free(region);
    return 0;
}
