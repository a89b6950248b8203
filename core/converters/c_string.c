// SPDX-License-Identifier: Apache-2.0
// The string converter: text as it is; scalars as Java's toString writes them; arrays, maps and structs as JSON (Connect
// prints Struct{a=1}, which nothing can read back).
#include <connectd/sdk.h>

#include "base/mem.h"
#include "base/text.h"
#include "converters/converter.h"
#include "converters/json_program.h"

struct options { int32_t encoding; };
static const char *const encodings[] = {"UTF-8", "UTF8", NULL};
static const struct cn_option options[] = {
    CN_ENUM("converter.encoding", struct options, encoding, "UTF-8", encodings, CN_OPT_ADVANCED, "Format",
            "The encoding of the bytes. Only UTF-8; other bytes go through the bytes converter."),
};

struct string_converter {
    struct cn_host *host;
    struct json_program *program; // of the last structured value's schema
};

static int too_large(struct string_converter *c) { return cn_failf(c->host, CN_FAIL_RECORD, NULL, "string: the record grows too large"); }

static int put_structured(struct string_converter *c, const struct cn_batch *b, const struct cn_cell *v, uint16_t schema, struct cn_out *out) {
    static const struct json_format format = {.decimal = JSON_DECIMAL_NUMERIC};
    const struct cn_schema_blob *blob = cn_schema_blob_at(b, schema);
    struct err err = {0};
    if (blob && (!c->program || !json_program_is(c->program, blob))) {
        json_program_free(c->program);
        c->program = json_program_new(blob, &format, &err);
        if (!c->program) return cn_failf(c->host, CN_FAIL_RECORD, NULL, "string: %s", err.msg);
    }
    if (json_render(blob ? c->program : NULL, &format, b->base, v, 0, out, &err) == 0) return 0;
    return cn_failf(c->host, CN_FAIL_RECORD, NULL, "string: %s", err.msg);
}

static bool is_decimal(const struct cn_batch *b, uint16_t schema) {
    const struct cn_schema_blob *blob = cn_schema_blob_at(b, schema);
    struct cn_text name = blob ? cn_schema_root(blob)->name : (struct cn_text){0, 0};
    return blob && str_eq(str_make(cn_schema_text(blob, name), name.n), STR("org.apache.kafka.connect.data.Decimal"));
}

static int from_record(void *self, const struct cn_batch *b, const struct cn_text *topic, const struct cn_cell *v, uint16_t schema,
                       struct cn_out *out) {
    struct string_converter *c = self;
    switch (v->type) {
    case CN_NULL: return 1;
    case CN_BYTES:
        if (is_decimal(b, schema)) return put_structured(c, b, v, schema, out);
        // fallthrough
    case CN_STRING: return out_put(out, cn_bytes_at(b, v->u.at), v->n) ? 0 : too_large(c);
    case CN_FLOAT32: return out_float(out, (float)v->u.f) ? 0 : too_large(c);
    case CN_FLOAT64: return out_double(out, v->u.f) ? 0 : too_large(c);
    default: return put_structured(c, b, v, schema, out);
    }
}

static int to_record(void *self, struct cn_batch *b, const struct cn_text *topic, const void *bytes, size_t n, struct cn_cell *ret,
                     uint16_t *ret_schema) {
    struct string_converter *c = self;
    size_t valid = utf8_valid_prefix(str_make(bytes, bytes ? n : 0));
    if (bytes && valid != n)
        return cn_failf(c->host, CN_FAIL_RECORD, "use the bytes converter", "string: not UTF-8 at byte %zu of %zu", valid, n);
    struct cn_cell v = bytes ? cn_string(b, bytes, n) : cn_null();
    if (b->failed) return too_large(c);
    *ret = v;
    *ret_schema = CN_NO_SCHEMA;
    return 0;
}

static int string_open(struct cn_host *h, int is_key, void **ret) {
    struct string_converter *c = xcalloc(1, sizeof(*c));
    c->host = h;
    *ret = c;
    return 0;
}

static void string_close(void *self) {
    struct string_converter *c = self;
    json_program_free(c->program);
    free(c);
}

static const struct cn_converter_ops ops = {
    .struct_size = sizeof(struct cn_converter_ops),
    .open = string_open,
    .from_record = from_record,
    .to_record = to_record,
    .close = string_close,
};
const struct cn_component converter_string = {
    .struct_size = sizeof(struct cn_component),
    .kind = CN_CONVERTER,
    .name = "string",
    .aliases = "StringConverter,org.apache.kafka.connect.storage.StringConverter",
    .summary = "text in UTF-8",
    .options = options,
    .option_count = countof(options),
    .option_size = sizeof(struct cn_option),
    .ops = &ops,
};
