// SPDX-License-Identifier: Apache-2.0
#include "runtime/codec.h"

#include <connectd/build.h>

#include "base/mem.h"
#include "converters/json_program.h"
#include "converters/out.h"
#include "runtime/definition.h"

enum { SCRATCH_KEPT = 4 << 20 };

struct converter {
    const struct setup_part *setup;
    const struct cn_converter_ops *ops;
    struct instance instance;
    void *self;
    struct cn_out out;
};
struct codec {
    struct converter key, value;
    struct cn_out header_out;
    struct backend_header *headers;
    size_t header_cap;
};

static int grow_scratch(struct cn_out *o, size_t more) {
    if (more > RECORD_MAX_BYTES || o->n + more > RECORD_MAX_BYTES) return -1;
    size_t cap = o->cap ? o->cap : 1024;
    while (cap < o->n + more) cap *= 2;
    void *p = mem_realloc(o->p, cap);
    if (!p) return -1;
    o->p = p;
    o->cap = cap;
    return 0;
}

static void trim(struct cn_out *o) {
    if (o->cap <= SCRATCH_KEPT) return;
    free(o->p);
    *o = (struct cn_out){.reserve = grow_scratch};
}

// ── life ──


static int converter_open(struct converter *c, const struct setup_part *s, const struct codec_params *p, bool is_key, struct failure *f) {
    struct instance_params ip = {
        .component = container_of((struct cn_component *)(uintptr_t)s->component, struct component, view),
        .connector = p->connector,
        .task = p->task,
        .tasks = p->tasks,
        .config = setup_part_config,
        .config_arg = (void *)(uintptr_t)s,
        .clock = p->clock,
        .metrics = p->metrics,
    };
    struct err err;
    *c = (struct converter){.setup = s, .ops = s->component->ops, .out = {.reserve = grow_scratch}};
    if (instance_init(&c->instance, &ip, &err) != 0) return failure_err(f, &err, CN_FAIL_BUG);
    instance_enter(&c->instance, "open");
    int r = c->ops->open(&c->instance.host, is_key, &c->self);
    instance_leave(&c->instance);
    if (r == 0) return 0;
    failure_plugin(f, &c->instance, "open");
    instance_done(&c->instance);
    c->ops = NULL;
    return failure_wrap(f, "%s %s", s->alias, s->component->name);
}

static void converter_close(struct converter *c) {
    if (!c->ops) return;
    instance_enter(&c->instance, "close");
    c->ops->close(c->self);
    instance_leave(&c->instance);
    instance_done(&c->instance);
    free(c->out.p);
}

int codec_open(const struct codec_params *p, struct codec **ret, struct failure *f) {
    struct codec *c = xcalloc(1, sizeof(*c));
    c->header_out.reserve = grow_scratch;
    if (converter_open(&c->key, &p->setup->key_converter, p, true, f) != 0 ||
        converter_open(&c->value, &p->setup->value_converter, p, false, f) != 0) {
        codec_close(c);
        return -1;
    }
    *ret = c;
    return 0;
}

void codec_close(struct codec *c) {
    if (!c) return;
    converter_close(&c->key);
    converter_close(&c->value);
    free(c->header_out.p);
    free(c->headers);
    free(c);
}

static void tell_batch(struct converter *c, const struct cn_batch *b) {
    if (b && c->ops->batch) c->ops->batch(c->self, b);
}

void codec_enter(struct codec *c, const struct cn_batch *b) {
    instance_enter(&c->key.instance, "convert");
    instance_enter(&c->value.instance, "convert"); // the last one is who a crash is blamed on, unless its code says otherwise
    tell_batch(&c->key, b);
    tell_batch(&c->value, b);
}

void codec_leave(struct codec *c) {
    instance_leave(&c->key.instance);
    instance_leave(&c->value.instance);
    trim(&c->key.out);
    trim(&c->value.out);
    trim(&c->header_out);
}

// ── to bytes ──

static int converter_failed(struct converter *c, const char *what, struct failure *f) {
    failure_plugin(f, &c->instance, what);
    return failure_wrap(f, "%s", c->setup->alias); // its own text begins with the component's name
}

const char *codec_component(const struct codec *c, enum error_stage stage) {
    if (stage == STAGE_KEY_CONVERTER) return c->key.setup->component->name;
    return stage == STAGE_VALUE_CONVERTER ? c->value.setup->component->name : "headers";
}

static int encode_value(struct converter *c, const struct cn_batch *b, const struct cn_text *topic, const struct cn_cell *v, uint16_t schema,
                        struct str *ret, struct failure *f) {
    c->out.n = 0;
    int r = c->ops->from_record(c->self, b, topic, v, schema, &c->out);
    if (r < 0) return converter_failed(c, "from_record", f);
    *ret = r == 1 ? (struct str){0} : str_make(c->out.p ? (const void *)c->out.p : "", c->out.n);
    return 0;
}

// Appends a value as JSON; false when it can not be rendered.
static bool put_json(struct cn_out *out, const struct cn_batch *b, const struct cn_cell *v, uint16_t schema) {
    static const struct json_format format = {.decimal = JSON_DECIMAL_NUMERIC};
    const struct cn_schema_blob *blob = cn_schema_blob_at(b, schema);
    struct json_program *program = blob ? json_program_new(blob, &format, NULL) : NULL;
    bool ok = (!blob || program) && json_render(program, &format, b->base, v, 0, out, &(struct err){0}) == 0;
    json_program_free(program);
    return ok;
}

// Text and bytes point into the batch; other values are rendered. The scratch may move: rendered ones are kept as offsets until
// all are there.
static bool encode_headers(struct codec *c, const struct cn_batch *b, const struct cn_record *r, struct backend_record *ret) {
    struct cn_out *out = &c->header_out;
    bool ok = true;
    out->n = 0;
    ret->headers = NULL;
    ret->header_count = r->header_count;
    if (!r->header_count) return true;
    vec_reserve((void **)&c->headers, &c->header_cap, r->header_count, sizeof(*c->headers));
    const struct cn_header *from = cn_headers_of(b, r);
    for (uint32_t i = 0; i < r->header_count; i++) {
        const struct cn_cell *v = &from[i].value;
        struct backend_header *h = &c->headers[i];
        bool direct = v->type == CN_STRING || v->type == CN_BYTES;
        *h = (struct backend_header){.name = str_make(cn_bytes_at(b, from[i].name.at), from[i].name.n), .null_value = v->type == CN_NULL};
        if (direct) h->value = str_make(cn_bytes_at(b, v->u.at), v->n);
        if (direct || h->null_value) continue;
        size_t start = out->n;
        ok = put_json(out, b, v, from[i].schema) && ok;
        h->value = (struct str){NULL, out->n - start};
    }
    for (size_t i = 0, at = 0; i < r->header_count; i++) {
        struct backend_header *h = &c->headers[i];
        if (h->null_value || h->value.p) continue;
        h->value.p = (const char *)(out->p ? out->p : (const uint8_t *)"") + at;
        at += h->value.n;
    }
    ret->headers = c->headers;
    return ok;
}

static const struct cn_record *encode_begin(const struct cn_batch *b, uint32_t record, const struct cn_text **topic, struct backend_record *ret) {
    const struct cn_record *r = cn_record_at(b, record);
    *topic = cn_topic_at(b, r->topic);
    *ret = (struct backend_record){.topic = str_make(cn_bytes_at(b, (*topic)->at), (*topic)->n), .partition = r->partition, .timestamp = r->timestamp};
    return r;
}

int codec_encode(struct codec *c, const struct cn_batch *b, uint32_t record, struct backend_record *ret, enum error_stage *stage,
                 struct failure *f) {
    const struct cn_text *topic;
    const struct cn_record *r = encode_begin(b, record, &topic, ret);
    *stage = STAGE_KEY_CONVERTER;
    if (encode_value(&c->key, b, topic, &r->key, r->key_schema, &ret->key, f) != 0) return -1;
    *stage = STAGE_VALUE_CONVERTER;
    if (encode_value(&c->value, b, topic, &r->value, r->value_schema, &ret->value, f) != 0) return -1;
    ret->value_disposable = true; // it lies in scratch of ours
    *stage = STAGE_HEADER_CONVERTER;
    if (encode_headers(c, b, r, ret)) return 0;
    return failure_set(f, CN_FAIL_RECORD, NULL, "a header can not be written as JSON");
}

static struct str plain(struct converter *c, const struct cn_batch *b, const struct cn_cell *v, uint16_t schema) {
    if (v->type == CN_NULL) return (struct str){0};
    c->out.n = 0;
    return put_json(&c->out, b, v, schema) ? str_make(c->out.p, c->out.n) : (struct str){0};
}

void codec_encode_plain(struct codec *c, const struct cn_batch *b, uint32_t record, struct backend_record *ret) {
    const struct cn_text *topic;
    const struct cn_record *r = encode_begin(b, record, &topic, ret);
    ret->key = plain(&c->key, b, &r->key, r->key_schema);
    ret->value = plain(&c->value, b, &r->value, r->value_schema);
    encode_headers(c, b, r, ret);
}

// ── from bytes ──

static int decode_value(struct converter *c, struct cn_batch *b, uint32_t topic, struct str bytes, struct cn_cell *ret, uint16_t *schema, struct failure *f) {
    struct cn_text name = *cn_topic_at(b, topic);
    if (c->ops->to_record(c->self, b, &name, bytes.p, bytes.n, ret, schema) != 0) return converter_failed(c, "to_record", f);
    if (b->failed) return failure_set(f, CN_FAIL_RECORD, NULL, "%s %s: the batch grows too large", c->setup->alias, c->setup->component->name);
    return 0;
}

static void decode_headers(struct cn_batch *b, uint32_t record, const struct consumed *r) {
    cn_off at = r->header_count ? cn_headers(b, record, r->header_count) : 0;
    for (uint32_t i = 0; i < r->header_count && at && !b->failed; i++) {
        const struct backend_header *from = &r->headers[i];
        struct cn_text name = cn_text(b, from->name.p, from->name.n);
        struct cn_cell value = from->null_value ? cn_null() : cn_string(b, from->value.p, from->value.n);
        if (b->failed) return;
        CN_AT(struct cn_header, b, at)[i] = (struct cn_header){.name = name, .value = value, .schema = CN_NO_SCHEMA};
    }
}

int codec_decode(struct codec *c, struct cn_batch *b, const struct consumed *r, enum error_stage *stage, struct failure *f) {
    uint32_t topic = cn_topic(b, r->topic, strlen(r->topic));
    uint32_t i = cn_record(b, topic);
    struct cn_cell key = cn_null(), value = cn_null();
    uint16_t key_schema = CN_NO_SCHEMA, value_schema = CN_NO_SCHEMA;
    *stage = STAGE_KAFKA_CONSUME;
    decode_headers(b, i, r);
    if (b->failed) return failure_set(f, CN_FAIL_RECORD, NULL, "the batch grows too large");
    struct cn_record *to = cn_record_at(b, i);
    to->timestamp = r->timestamp;
    to->offset = r->offset;
    to->partition = to->original_partition = r->partition;
    *stage = STAGE_KEY_CONVERTER;
    if (decode_value(&c->key, b, topic, r->key, &key, &key_schema, f) != 0) return -1;
    *stage = STAGE_VALUE_CONVERTER;
    if (decode_value(&c->value, b, topic, r->value, &value, &value_schema, f) != 0) return -1;
    cn_set_key(b, i, key, key_schema);
    cn_set_value(b, i, value, value_schema);
    return 0;
}
