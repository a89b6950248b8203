// SPDX-License-Identifier: Apache-2.0
// Structs with other fields: a new schema once for each input schema, and then only cells moved from one run to another.
//
//   in    │ id │ note │ price │            out   │ id │ cost │ topic │
//                                          take    0     2      FRESH+0
// The plan says for each field of the new struct which cell it takes. One thread at a time.
#ifndef TRANSFORMS_RESHAPE_H
#define TRANSFORMS_RESHAPE_H

#include <connectd/build.h>

#include "base/err.h"
#include "base/str.h"

enum { REWRITE_FRESH = 1 << 30 }; // take[i] - REWRITE_FRESH: index into the values given to reshape_struct

struct reshape_plan {
    struct cn_schema_blob *schema; // of the new struct
    uint32_t n, fields_in;
    uint32_t *take;
};

// Builds a plan: begin with the old schema, add fields, finish. Name, version, doc and parameters of the struct are kept;
// it becomes required and without default, as Connect's transforms make it.
struct reshape_builder {
    struct cn_schema_builder sb; // starts as a copy of the old blob, whose nodes new fields may name
    const struct cn_schema_blob *old;
    struct reshape_field { struct str name; cn_off schema; uint32_t take; } *fields;
    size_t n, cap;
};
void reshape_begin(struct reshape_builder *w, const struct cn_schema_blob *old);
void reshape_keep(struct reshape_builder *w, uint32_t field, struct str name); // a field of the old struct under this name
void reshape_add(struct reshape_builder *w, struct str name, cn_off schema, uint32_t fresh);
// The plan (reshape_plan_free), or NULL: a field twice. Names are borrowed until here. Ends the builder either way.
struct reshape_plan *reshape_finish(struct reshape_builder *w, struct err *err);
void reshape_plan_free(void *plan);

// The new struct's cell. -1: the old value does not have the fields its schema says, or the batch has no room.
int reshape_struct(const struct reshape_plan *p, struct cn_batch *b, struct cn_cell old, const struct cn_cell *fresh,
                   struct cn_cell *ret, uint16_t *ret_schema, struct err *err) MUST_USE;

// Which half of a record a transform is for.
enum operand { OPERAND_KEY, OPERAND_VALUE };
struct operand_ref { struct cn_cell *cell; uint16_t *schema; }; // valid until the batch is allocated in
static inline struct operand_ref operand_of(const struct cn_batch *b, uint32_t record, enum operand which) {
    struct cn_record *r = cn_record_at(b, record);
    return which == OPERAND_KEY ? (struct operand_ref){&r->key, &r->key_schema} : (struct operand_ref){&r->value, &r->value_schema};
}

#endif
