// SPDX-License-Identifier: Apache-2.0
#include "runtime/task_metrics.h"

#define ROW(index, name, kind, unit, doc) {name, METRIC_##kind, unit, doc},
const struct metric_row source_metric_rows[SOURCE_METRIC_COUNT] = {SOURCE_METRICS(ROW)};
const struct metric_row sink_metric_rows[SINK_METRIC_COUNT] = {SINK_METRICS(ROW)};
#undef ROW
