// SPDX-License-Identifier: Apache-2.0
#include "jsonline.h"

// Strings and bytes as they are, null as nothing; what has no bytes of its own as JSON.
static void add_raw(struct cn_json *to, const struct cn_batch *b, const struct cn_record *r) {
    if (r->value.type == CN_STRING || r->value.type == CN_BYTES) cn_json_raw(to, cn_bytes_at(b, r->value.u.at), r->value.n);
    else if (r->value.type != CN_NULL) cn_json_value(to, b, &r->value, r->value_schema);
}

int jsonline_add(struct cn_json *to, const struct cn_batch *b, const struct cn_record *r, enum line_content content) {
    size_t before = to->n;
    switch (content) {
    case CONTENT_VALUE: cn_json_value(to, b, &r->value, r->value_schema); break;
    case CONTENT_RECORD: cn_json_record(to, b, r); break;
    case CONTENT_RAW: add_raw(to, b, r); break;
    }
    cn_json_char(to, '\n');
    if (!to->failed) return 0;
    to->n = before;
    to->failed = 0;
    to->depth = 0;
    return -1;
}
