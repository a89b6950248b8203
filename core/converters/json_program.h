// SPDX-License-Identifier: Apache-2.0
// Rendering values as JSON: a schema is compiled once into nodes and pre-escaped field names, a value is then one walk.
//
//   blob ── program_compile ──► nodes[] ─ fields[] ─ texts      root { before, after, op }
//                                                                 ├ ,"before": ► node 1 { ,"id": ► int32 … }
//   cells ── json_render ─────► bytes                             ├ ,"after":  ► node 1
//                                                                 └ ,"op":     ► string
//
// A program knows its blob byte by byte. Values are checked against it: a cell of another type than its node says is an error and never
// misread. Structs that several records of a batch share (a source block) are rendered once and copied. One thread at a time.
#ifndef CONVERTERS_JSON_PROGRAM_H
#define CONVERTERS_JSON_PROGRAM_H

#include <connectd/record.h>

#include "base/err.h"
#include "converters/out.h"

enum json_decimal { JSON_DECIMAL_BASE64, JSON_DECIMAL_NUMERIC }; // order of the option's choices

struct json_format {
    bool null_as_default; // replace.null.with.default
    enum json_decimal decimal;
};

// No schema nests deeper; also the limit of values.
enum { JSON_DEPTH = 28 };

struct json_program;

// Compiles the blob, which is copied. NULL when it nests too deep or is malformed.
struct json_program *json_program_new(const struct cn_schema_blob *blob, const struct json_format *f, struct err *err);
void json_program_free(struct json_program *p);
// Whether it was compiled from this very schema.
bool json_program_is(const struct json_program *p, const struct cn_schema_blob *blob);
// {"schema":<the schema as Connect writes it>,"payload": — up to and with the colon.
struct str json_program_envelope(struct json_program *p);

// Appends the value as JSON; p NULL for a value without a schema. On failure `out` may hold a part of it. batch: a number that tells one batch,
// in which nothing changes, from every other that the program was used for; 0: of none.
int json_render(const struct json_program *p, const struct json_format *f, const uint8_t *base, const struct cn_cell *value,
                uint64_t batch, struct cn_out *out, struct err *err) MUST_USE;

// "int8", "struct" …: Connect's name of the type in JSON schemas; NULL for CN_NULL and CN_ABSENT.
const char *json_type_name(unsigned type);

#endif
