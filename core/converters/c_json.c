// SPDX-License-Identifier: Apache-2.0
// The json converter, option for option Connect's JsonConverter; two defaults differ and are documented in their rows.
//
// Schemas are compiled once and kept by fingerprint (writing) or by their JSON text (reading).
#include <connectd/sdk.h>

#include "base/map.h"
#include "base/mem.h"
#include "converters/converter.h"
#include "converters/json_program.h"
#include "converters/json_value.h"
#include "converters/schema_cache.h"

struct options {
    uint8_t schemas_enable;
    uint8_t null_as_default;
    int32_t decimal;
    int64_t cache_size;
};

static const char *const decimals[] = {"BASE64", "NUMERIC", NULL};
static const struct cn_option options[] = {
    CN_BOOL("schemas.enable", struct options, schemas_enable, "false", 0, "Format",
            "Whether each value carries its schema: {\"schema\":…,\"payload\":…}. Kafka Connect's default is true."),
    CN_BOOL("replace.null.with.default", struct options, null_as_default, "false", 0, "Format",
            "Whether a null in a field that has a default is written, and read, as that default. Kafka Connect's default is true."),
    CN_ENUM("decimal.format", struct options, decimal, "BASE64", decimals, 0, "Format",
            "How Decimal values are written: the unscaled bytes as BASE64, or NUMERIC as a JSON number. Both are read."),
    CN_INT("schemas.cache.size", struct options, cache_size, "1000", 1, 1000000, CN_OPT_ADVANCED, "Format",
           "How many schemas are kept compiled."),
};

struct json_converter {
    struct cn_host *host;
    struct options o;
    struct json_format format;
    uint64_t batch;              // how many there were
    struct schema_cache writing; // schema ► struct json_program
    struct map reading; // schema text ► struct cn_schema_blob
    struct cn_schema_blob *last_blob;
    struct buf last_text;
    struct json_cells cells;
};

static int fail(struct json_converter *c, const struct err *err) {
    return cn_failf(c->host, CN_FAIL_RECORD, err->hint[0] ? err->hint : NULL, "json: %s", err->msg);
}

// ── writing ──

static void program_free(void *p) { json_program_free(p); }

static struct json_program *program_of(struct json_converter *c, const struct cn_schema_blob *b, struct err *err) {
    struct json_program *p = schema_cache_get(&c->writing, b);
    if (p || !(p = json_program_new(b, &c->format, err))) return p;
    schema_cache_put(&c->writing, b, p);
    return p;
}

static int from_record(void *self, const struct cn_batch *b, const struct cn_text *topic, const struct cn_cell *value, uint16_t schema,
                       struct cn_out *out) {
    struct json_converter *c = self;
    struct err err; // not cleared as a whole: it is larger than most records
    struct json_program *p = NULL;
    err.hint[0] = 0;
    if (value->type == CN_NULL) return 1;
    if (schema != CN_NO_SCHEMA && !(p = program_of(c, cn_schema_blob_at(b, schema), &err))) return fail(c, &err);
    struct str envelope = !c->o.schemas_enable ? STR("") : p ? json_program_envelope(p) : STR("{\"schema\":null,\"payload\":");
    bool room = out_put(out, envelope.p, envelope.n);
    if (room && json_render(p, &c->format, b->base, value, c->batch, out, &err) != 0) return fail(c, &err);
    if (!room || (envelope.n && !out_put(out, "}", 1))) return cn_failf(c->host, CN_FAIL_RECORD, NULL, "json: the record grows too large");
    return 0;
}

static void next_batch(void *self, const struct cn_batch *b) {
    struct json_converter *c = self;
    (void)b;
    c->batch++;
}

// ── reading ──

static struct cn_schema_blob *blob_of(struct json_converter *c, struct str text, struct err *err) {
    if (c->last_blob && str_eq(buf_str(&c->last_text), text)) return c->last_blob;
    struct cn_schema_blob *blob = map_get(&c->reading, text);
    if (!blob) {
        if (json_read_schema(text, &blob, err) != 0) return NULL;
        if ((int64_t)c->reading.n >= c->o.cache_size) map_done(&c->reading, free);
        map_put(&c->reading, text, blob);
    }
    c->last_blob = blob;
    buf_clear(&c->last_text);
    buf_puts(&c->last_text, text);
    return blob;
}

// The raw members of an envelope; false when it is none.
static bool envelope_split(struct str text, struct str *ret_schema, struct str *ret_payload) {
    struct json_reader r;
    struct str schema = {0}, payload = {0};
    json_reader_init(&r, text);
    bool ok = json_next(&r) == JSON_OBJECT;
    enum json_token t = JSON_BAD;
    while (ok && (t = json_next(&r)) == JSON_KEY) {
        struct str *to = str_eqz(r.text, "schema") ? &schema : str_eqz(r.text, "payload") ? &payload : NULL;
        ok = to && (*to = json_raw_value(&r)).p;
    }
    ok = ok && t == JSON_OBJECT_END && json_next(&r) == JSON_END && schema.p && payload.p;
    json_reader_done(&r);
    if (ok) *ret_schema = schema, *ret_payload = payload;
    return ok;
}

static int read_envelope(struct json_converter *c, struct cn_batch *b, struct str text, struct cn_cell *ret, uint16_t *ret_schema,
                         struct err *err) {
    struct str schema, payload;
    if (!envelope_split(text, &schema, &payload)) {
        err_set(err, ERR_INVALID, "not an object with exactly \"schema\" and \"payload\"");
        return err_hint(err, "for plain JSON set schemas.enable=false on this converter");
    }
    if (str_eqz(schema, "null")) {
        *ret_schema = CN_NO_SCHEMA;
        return json_read_plain(&c->cells, b, payload, ret, err);
    }
    struct cn_schema_blob *blob = blob_of(c, schema, err);
    if (!blob || json_read_typed(&c->cells, b, blob, blob->root, c->o.null_as_default, payload, ret, err) != 0) return -1;
    *ret_schema = cn_schema_use(b, blob);
    return b->failed ? err_set(err, ERR_TOO_LARGE, "the batch has no room for the schema") : 0;
}

static int to_record(void *self, struct cn_batch *b, const struct cn_text *topic, const void *bytes, size_t n, struct cn_cell *ret,
                     uint16_t *ret_schema) {
    struct json_converter *c = self;
    struct err err;
    err.hint[0] = 0;
    struct cn_cell value = cn_null();
    uint16_t schema = CN_NO_SCHEMA;
    struct str text = str_make(bytes, n);
    if (bytes && (c->o.schemas_enable ? read_envelope(c, b, text, &value, &schema, &err) : json_read_plain(&c->cells, b, text, &value, &err)) != 0) {
        if (!err.hint[0]) err_hint(&err, "text that is no JSON is read by the string converter");
        return fail(c, &err);
    }
    *ret = value;
    *ret_schema = schema;
    return 0;
}

// ── life ──

static int json_open_instance(struct cn_host *h, int is_key, void **ret) {
    struct json_converter *c = xcalloc(1, sizeof(*c));
    c->host = h;
    if (CN_BIND(h, options, &c->o) != 0) {
        free(c);
        return -1;
    }
    c->format = (struct json_format){c->o.null_as_default, (enum json_decimal)c->o.decimal};
    c->writing = (struct schema_cache){.max = (size_t)c->o.cache_size, .free_value = program_free};
    *ret = c;
    return 0;
}

static void json_close_instance(void *self) {
    struct json_converter *c = self;
    schema_cache_done(&c->writing);
    map_done(&c->reading, free);
    buf_done(&c->last_text);
    json_cells_done(&c->cells);
    free(c);
}

static const struct cn_converter_ops ops = {
    .struct_size = sizeof(struct cn_converter_ops),
    .open = json_open_instance,
    .from_record = from_record,
    .to_record = to_record,
    .close = json_close_instance,
    .batch = next_batch,
};
const struct cn_component converter_json = {
    .struct_size = sizeof(struct cn_component),
    .kind = CN_CONVERTER,
    .name = "json",
    .aliases = "JsonConverter,org.apache.kafka.connect.json.JsonConverter",
    .summary = "JSON, with or without its schema beside it",
    .options = options,
    .option_count = countof(options),
    .option_size = sizeof(struct cn_option),
    .ops = &ops,
};
