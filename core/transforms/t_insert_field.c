// SPDX-License-Identifier: Apache-2.0
// InsertField: topic, partition, offset, timestamp or a static text as further fields. A name may end in ? (optional, the
// default) or ! (required), as in Kafka Connect.
#include "base/str.h"
#include "converters/schema_cache.h"
#include "transforms/builtin.h"
#include "transforms/reshape.h"

enum { TOPIC, PARTITION, OFFSET, TIMESTAMP, STATIC, PART_COUNT };

struct options {
    const char *name[PART_COUNT]; // topic.field, partition.field, offset.field, timestamp.field, static.field
    const char *static_value;
};
#define ROW(option, i, doc) CN_STR(option, struct options, name[i], NULL, 0, "Fields", doc)
static const struct cn_option rows[] = {
    ROW("topic.field", TOPIC, "Name of a field for the record's topic."),
    ROW("partition.field", PARTITION, "Name of a field for the record's partition."),
    ROW("offset.field", OFFSET, "Name of a field for the record's offset; sinks only."),
    ROW("timestamp.field", TIMESTAMP, "Name of a field for the record's timestamp."),
    ROW("static.field", STATIC, "Name of a field with always the same text."),
    CN_STR("static.value", struct options, static_value, NULL, 0, "Fields", "The text of static.field."),
};
#undef ROW

struct part { struct str name; bool optional; }; // name.p NULL: not asked for

struct insert_field {
    struct cn_host *host;
    enum operand which;
    struct options o;
    struct part parts[PART_COUNT];
    struct schema_cache plans; // input schema ► struct reshape_plan
};

static struct part part_of(const char *spec) {
    struct str name = str_of(spec);
    bool marked = name.n && (name.p[name.n - 1] == '!' || name.p[name.n - 1] == '?');
    bool optional = !marked || name.p[name.n - 1] == '?';
    return (struct part){spec ? str_first(name, name.n - marked) : (struct str){0}, optional};
}

// ── the values ──

static struct cn_cell part_cell(struct insert_field *t, struct cn_batch *b, uint32_t record, int part) {
    const struct cn_record *r = cn_record_at(b, record);
    switch (part) {
    case TOPIC: { // the batch's own text is shared
        struct cn_text name = *cn_topic_at(b, r->topic);
        return cn_run(CN_STRING, name.at, name.n);
    }
    case PARTITION: return r->partition == CN_NO_PARTITION ? cn_null() : cn_int(CN_INT32, r->partition);
    case OFFSET: return cn_int(CN_INT64, r->offset);
    case TIMESTAMP: return r->timestamp == CN_NO_TIMESTAMP ? cn_null() : cn_int(CN_INT64, r->timestamp);
    default: return cn_stringz(b, t->o.static_value);
    }
}

// ── with a schema ──

static cn_off part_schema(struct cn_schema_builder *sb, int part, bool optional) {
    static const uint8_t types[] = {CN_STRING, CN_INT32, CN_INT64, CN_INT64, CN_STRING};
    const char *name = part == TIMESTAMP ? "org.apache.kafka.connect.data.Timestamp" : NULL;
    return cn_sb_type(sb, types[part], optional, name, name ? 1 : 0);
}

static struct reshape_plan *plan_new(struct insert_field *t, const struct cn_schema_blob *in, struct err *err) {
    const struct cn_schema *root = cn_schema_root(in);
    struct reshape_builder w;
    reshape_begin(&w, in);
    for (uint32_t i = 0; i < root->field_count; i++) {
        struct cn_text name = cn_schema_fields(in, root)[i].name;
        reshape_keep(&w, i, str_make(cn_schema_text(in, name), name.n));
    }
    for (int i = 0; i < PART_COUNT; i++)
        if (t->parts[i].name.p) reshape_add(&w, t->parts[i].name, part_schema(&w.sb, i, t->parts[i].optional), (uint32_t)i);
    return reshape_finish(&w, err);
}

static int apply_struct(struct insert_field *t, struct cn_batch *b, uint32_t record, struct err *err) {
    struct operand_ref at = operand_of(b, record, t->which);
    const struct cn_schema_blob *in = cn_schema_blob_at(b, *at.schema);
    struct reshape_plan *plan = schema_cache_get(&t->plans, in);
    struct cn_cell fresh[PART_COUNT], out, old = *at.cell;
    uint16_t schema;
    if (!plan) {
        if (!(plan = plan_new(t, in, err))) return -1;
        schema_cache_put(&t->plans, in, plan);
    }
    for (int i = 0; i < PART_COUNT; i++) fresh[i] = t->parts[i].name.p ? part_cell(t, b, record, i) : cn_null();
    if (reshape_struct(plan, b, old, fresh, &out, &schema, err) != 0) return -1;
    at = operand_of(b, record, t->which);
    *at.cell = out;
    *at.schema = schema;
    return 0;
}

// ── without ──

// The pair of that key, or the map's end.
static uint32_t pair_of(const struct cn_batch *b, const struct cn_cell *pairs, uint32_t n, struct str key) {
    uint32_t i = 0;
    while (i < n && !(pairs[2 * i].type == CN_STRING && str_eq(str_make(cn_bytes_at(b, pairs[2 * i].u.at), pairs[2 * i].n), key))) i++;
    return i;
}

static void map_put_part(struct insert_field *t, struct cn_batch *b, uint32_t record, cn_off pairs, uint32_t *n, int part) {
    struct cn_cell value = part_cell(t, b, record, part);
    if (value.type == CN_NULL) return;
    uint32_t at = b->failed ? 0 : pair_of(b, cn_cells_at(b, pairs), *n, t->parts[part].name);
    if (at == *n) {
        cn_set(b, pairs, 2 * at, cn_string(b, t->parts[part].name.p, t->parts[part].name.n));
        ++*n;
    }
    cn_set(b, pairs, 2 * at + 1, value);
}

static int apply_map(struct insert_field *t, struct cn_batch *b, uint32_t record, struct err *err) {
    struct cn_cell old = *operand_of(b, record, t->which).cell;
    uint32_t n = old.n;
    cn_off pairs = cn_cells(b, 2 * (n + PART_COUNT));
    if (!b->failed && n) memcpy(cn_cells_at(b, pairs), cn_cells_at(b, old.u.at), 2 * (size_t)n * sizeof(struct cn_cell));
    for (int i = 0; i < PART_COUNT; i++)
        if (t->parts[i].name.p) map_put_part(t, b, record, pairs, &n, i);
    if (b->failed) return err_set(err, ERR_TOO_LARGE, "the batch has no room");
    *operand_of(b, record, t->which).cell = cn_run(CN_MAP, pairs, n);
    return 0;
}

static int apply(void *self, struct cn_batch *b, uint32_t record) {
    struct insert_field *t = self;
    struct err err = {0};
    struct operand_ref at = operand_of(b, record, t->which);
    if (at.cell->type == CN_NULL) return CN_KEEP;
    int rc = at.cell->type == CN_STRUCT && *at.schema != CN_NO_SCHEMA ? apply_struct(t, b, record, &err)
             : at.cell->type == CN_MAP && *at.schema == CN_NO_SCHEMA  ? apply_map(t, b, record, &err)
                                                                      : err_set(&err, ERR_INVALID, "only structs and maps can be given fields");
    if (rc == 0) return CN_KEEP;
    cn_fail_recordf(t->host, record, NULL, "%s", err.msg);
    return CN_APPLY_FAILED;
}

static int validate(struct cn_host *h) {
    struct options o = {0};
    bool any = false;
    if (CN_BIND(h, rows, &o) != 0) return -1;
    for (int i = 0; i < PART_COUNT; i++) any |= o.name[i] != NULL;
    if (!any) return cn_failf(h, CN_FAIL_CONFIG, "set at least one of topic.field, partition.field, offset.field, timestamp.field, static.field", "no field to insert");
    if (o.name[STATIC] && !o.static_value) return cn_failf(h, CN_FAIL_CONFIG, "set static.value", "no value for the static field %s", o.name[STATIC]);
    return 0;
}

static int open_for(struct cn_host *h, enum operand which, void **ret) {
    if (validate(h) != 0) return -1;
    struct insert_field *t = xcalloc(1, sizeof(*t));
    *t = (struct insert_field){.host = h, .which = which, .plans = {.free_value = reshape_plan_free}};
    CN_BIND(h, rows, &t->o);
    for (int i = 0; i < PART_COUNT; i++) t->parts[i] = part_of(t->o.name[i]);
    *ret = t;
    return 0;
}
static int open_key(struct cn_host *h, void **ret) { return open_for(h, OPERAND_KEY, ret); }
static int open_value(struct cn_host *h, void **ret) { return open_for(h, OPERAND_VALUE, ret); }

static void close_insert_field(void *self) {
    struct insert_field *t = self;
    schema_cache_done(&t->plans);
    free(t);
}

static const struct cn_transform_ops key_ops = {sizeof(key_ops), 0, validate, open_key, apply, close_insert_field};
static const struct cn_transform_ops value_ops = {sizeof(value_ops), 0, validate, open_value, apply, close_insert_field};
COMPONENT(transform_insert_field_key, CN_TRANSFORM, "InsertField$Key", JAVA_TRANSFORM "InsertField$Key",
          "adds fields to the key: topic, partition, offset, timestamp, a static text", rows, countof(rows), key_ops);
COMPONENT(transform_insert_field_value, CN_TRANSFORM, "InsertField$Value", JAVA_TRANSFORM "InsertField$Value",
          "adds fields to the value: topic, partition, offset, timestamp, a static text", rows, countof(rows), value_ops);
