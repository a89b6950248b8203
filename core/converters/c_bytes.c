// SPDX-License-Identifier: Apache-2.0
// The bytes converter: bytes, and the UTF-8 bytes of text, as they are.
#include <connectd/sdk.h>

#include "base/mem.h"
#include "converters/converter.h"
#include "converters/json_program.h"
#include "converters/out.h"

static int from_record(void *self, const struct cn_batch *b, const struct cn_text *topic, const struct cn_cell *v, uint16_t schema,
                       struct cn_out *out) {
    struct cn_host *h = self;
    const char *type = json_type_name(v->type);
    if (v->type == CN_NULL) return 1;
    if (v->type != CN_BYTES && v->type != CN_STRING)
        return cn_failf(h, CN_FAIL_RECORD, "use the json converter", "bytes: value is %s, not bytes", type ? type : "of unknown type");
    return out_put(out, cn_bytes_at(b, v->u.at), v->n) ? 0 : cn_failf(h, CN_FAIL_RECORD, NULL, "bytes: the record grows too large");
}

static int to_record(void *self, struct cn_batch *b, const struct cn_text *topic, const void *bytes, size_t n, struct cn_cell *ret,
                     uint16_t *ret_schema) {
    struct cn_cell v = bytes ? cn_bytes(b, bytes, n) : cn_null();
    if (b->failed) return cn_failf(self, CN_FAIL_RECORD, NULL, "bytes: the batch has no room for the value");
    *ret = v;
    *ret_schema = CN_NO_SCHEMA;
    return 0;
}

static int bytes_open(struct cn_host *h, int is_key, void **ret) {
    *ret = h;
    return 0;
}

static void bytes_close(void *self) {}

static const struct cn_converter_ops ops = {
    .struct_size = sizeof(struct cn_converter_ops),
    .open = bytes_open,
    .from_record = from_record,
    .to_record = to_record,
    .close = bytes_close,
};
const struct cn_component converter_bytes = {
    .struct_size = sizeof(struct cn_component),
    .kind = CN_CONVERTER,
    .name = "bytes",
    .aliases = "ByteArrayConverter,org.apache.kafka.connect.converters.ByteArrayConverter",
    .summary = "bytes as they are",
    .option_size = sizeof(struct cn_option),
    .ops = &ops,
};
