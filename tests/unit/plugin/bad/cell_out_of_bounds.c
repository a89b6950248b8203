/* SPDX-License-Identifier: Apache-2.0 */
/* Breaks: every offset lies in the batch. */
#define VALUE(t, b, record) cn_set_value(b, record, cn_run(CN_BYTES, 64, 1u << 20), CN_NO_SCHEMA)
#include "good_source.h"
