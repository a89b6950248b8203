// SPDX-License-Identifier: Apache-2.0
// Records of every shape a value can have, for the conformance suite.
#ifndef PLUGIN_CHECK_RECORDS_H
#define PLUGIN_CHECK_RECORDS_H

#include <connectd/record.h>

enum { CHECK_SHAPES = 16, CHECK_PLAIN_SHAPE = CHECK_SHAPES };
// Adds a record of that shape (< CHECK_SHAPES; from CHECK_PLAIN_SHAPE on: a small map without a schema). Its index.
uint32_t check_record(struct cn_batch *b, const char *topic, unsigned shape);

#endif
