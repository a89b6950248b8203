// SPDX-License-Identifier: Apache-2.0
// Reading JSON into cells: schemaless (maps, arrays, scalars) or along a schema; and Connect's JSON schemas into blobs.
//
// Strict where Connect is lax: a number that does not fit its type, a member the schema does not know, or an integer past
// 64 bits is an error, because the value would change in silence. One thread at a time.
#ifndef CONVERTERS_JSON_VALUE_H
#define CONVERTERS_JSON_VALUE_H

#include <connectd/build.h>

#include "base/err.h"
#include "base/json.h"

// Scratch kept between values, so that none allocates.
struct json_cells {
    struct cn_cell *stack;
    size_t n, cap;
};
void json_cells_done(struct json_cells *s);

// The one value in `text`, built in the batch. Fails with the byte where it is wrong.
int json_read_plain(struct json_cells *s, struct cn_batch *b, struct str text, struct cn_cell *ret, struct err *err) MUST_USE;
// The same along the node of a schema. null_as_default: a null or missing value with a default takes it.
int json_read_typed(struct json_cells *s, struct cn_batch *b, const struct cn_schema_blob *blob, cn_off node, bool null_as_default,
                    struct str text, struct cn_cell *ret, struct err *err) MUST_USE;

// The blob (heap, caller frees) of a schema as Connect writes it: {"type":"struct","fields":[…],…}.
int json_read_schema(struct str text, struct cn_schema_blob **ret, struct err *err) MUST_USE;

#endif
