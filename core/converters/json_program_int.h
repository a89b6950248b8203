// SPDX-License-Identifier: Apache-2.0
// The compiled form, shared by the compiler (json_program.c) and the walk (json_render.c).
#ifndef CONVERTERS_JSON_PROGRAM_INT_H
#define CONVERTERS_JSON_PROGRAM_INT_H

#include "converters/json_program.h"

struct span { uint32_t at, n; }; // in json_program.texts

struct json_node {
    uint8_t type; // enum cn_type
    bool optional;
    bool decimal;      // BYTES to be written as a number
    bool has_def;
    int32_t scale;     // of a Decimal
    uint32_t first, n; // STRUCT: its fields
    uint32_t element;  // ARRAY, MAP: node of the values
    uint32_t key;      // MAP
    struct span def;   // its default as JSON
    cn_off schema;     // where it stands in the blob
};

struct json_field {
    struct span prefix; // ,"name":
    uint32_t node;
    struct cn_text name; // in the blob
};

enum { PREFIX_PAD = 32 };

// A struct's last rendering: of the cells at `at` of `batch`. The text is kept when the same cells come a second time.
struct json_memo { uint64_t batch; cn_off at; struct buf text; };

struct json_program {
    struct cn_schema_blob *blob; // own copy
    struct json_node *nodes;     // nodes[0] is the root
    size_t node_count, node_cap;
    struct json_field *fields;
    size_t field_count, field_cap;
    struct json_memo *memos;     // by node
    struct buf texts;            // followed by PREFIX_PAD bytes, so that short prefixes are copied in one piece
    struct buf envelope; // made at its first use
};

static inline struct str program_text(const struct json_program *p, struct span s) { return str_make(p->texts.p + s.at, s.n); }
static inline struct str blob_text(const struct json_program *p, struct cn_text t) { return str_make(cn_schema_text(p->blob, t), t.n); }

// As json_render, beginning at a node; `err` may be NULL.
int json_render_node(const struct json_program *p, uint32_t node, const struct json_format *f, const uint8_t *base,
                     const struct cn_cell *value, struct cn_out *out, struct err *err) MUST_USE;

#endif
