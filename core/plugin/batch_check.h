// SPDX-License-Identifier: Apache-2.0
// Whether a batch is well formed, as record.h says: every offset in bounds and aligned, types fit schemas, strings are UTF-8,
// positions are JSON objects. Pure and total: any bytes may stand in the region.
#ifndef PLUGIN_BATCH_CHECK_H
#define PLUGIN_BATCH_CHECK_H

#include <connectd/record.h>

#include "base/err.h"

// The region b->base[0..b->cap). The first fault is the error, naming where: "record 3: value: field name: string is not UTF-8".
int record_batch_check(const struct cn_batch *b, struct err *err) MUST_USE;
// The same for one schema blob in p[0..n).
int batch_check_schema(const void *p, size_t n, struct err *err) MUST_USE;

#endif
