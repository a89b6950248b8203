/* SPDX-License-Identifier: Apache-2.0 */
/* Breaks: the batch of a put is read only. */
#define PUT(t, b) if (cn_count(b)) cn_record_at(b, 0)->timestamp = 0
#include "good_sink.h"
