// SPDX-License-Identifier: Apache-2.0
// ReplaceField: leaves fields out, keeps only some, renames others. As in Kafka Connect exclude wins over include, and
// renames name the fields that are left (old:new).
#include "base/map.h"
#include "base/str.h"
#include "converters/schema_cache.h"
#include "transforms/builtin.h"
#include "transforms/reshape.h"

struct options { struct cn_list exclude, include, renames; };
static const struct cn_option rows[] = {
    {"exclude", CN_OPT_LIST, 0, 0, offsetof(struct options, exclude), NULL, 0, 0, NULL, "Fields", "Fields to leave out.", "blacklist"},
    {"include", CN_OPT_LIST, 0, 0, offsetof(struct options, include), NULL, 0, 0, NULL, "Fields", "Fields to keep; all when empty.", "whitelist"},
    CN_LIST("renames", struct options, renames, NULL, 0, "Fields", "Fields to rename, each as old:new."),
};

struct rename { struct str from, to; };
struct replace_field {
    struct cn_host *host;
    enum operand which;
    struct options o;
    struct rename *renames;
    struct schema_cache plans;
};

static bool listed(const struct cn_list *l, struct str name) {
    for (uint32_t i = 0; i < l->n; i++)
        if (str_eqz(name, l->items[i])) return true;
    return false;
}

// The field's new name; {NULL,0} when it is left out.
static struct str new_name(const struct replace_field *t, struct str name) {
    if (listed(&t->o.exclude, name) || (t->o.include.n && !listed(&t->o.include, name))) return (struct str){0};
    for (uint32_t i = 0; i < t->o.renames.n; i++)
        if (str_eq(t->renames[i].from, name)) return t->renames[i].to;
    return name;
}

static struct reshape_plan *plan_new(struct replace_field *t, const struct cn_schema_blob *in, struct err *err) {
    const struct cn_schema *root = cn_schema_root(in);
    struct reshape_builder w;
    reshape_begin(&w, in);
    for (uint32_t i = 0; i < root->field_count; i++) {
        struct cn_text name = cn_schema_fields(in, root)[i].name;
        struct str to = new_name(t, str_make(cn_schema_text(in, name), name.n));
        if (to.p) reshape_keep(&w, i, to);
    }
    return reshape_finish(&w, err);
}

static int apply_struct(struct replace_field *t, struct cn_batch *b, uint32_t record, struct err *err) {
    struct operand_ref at = operand_of(b, record, t->which);
    const struct cn_schema_blob *in = cn_schema_blob_at(b, *at.schema);
    struct reshape_plan *plan = schema_cache_get(&t->plans, in);
    struct cn_cell out;
    uint16_t schema;
    if (!plan) {
        if (!(plan = plan_new(t, in, err))) return -1;
        schema_cache_put(&t->plans, in, plan);
    }
    if (reshape_struct(plan, b, *at.cell, NULL, &out, &schema, err) != 0) return -1;
    at = operand_of(b, record, t->which);
    *at.cell = out;
    *at.schema = schema;
    return 0;
}

static int apply_map(struct replace_field *t, struct cn_batch *b, uint32_t record, struct err *err) {
    struct cn_cell old = *operand_of(b, record, t->which).cell;
    cn_off pairs = cn_cells(b, 2 * old.n);
    uint32_t n = 0;
    for (uint32_t i = 0; i < old.n && !b->failed; i++) {
        struct cn_cell key = cn_cells_at(b, old.u.at)[2 * i], value = cn_cells_at(b, old.u.at)[2 * i + 1];
        if (key.type == CN_STRING) {
            struct str name = str_make(cn_bytes_at(b, key.u.at), key.n), to = new_name(t, name);
            if (!to.p) continue;
            if (to.p != name.p) key = cn_string(b, to.p, to.n);
        }
        cn_set(b, pairs, 2 * n, key);
        cn_set(b, pairs, 2 * n++ + 1, value);
    }
    if (b->failed) return err_set(err, ERR_TOO_LARGE, "the batch has no room");
    *operand_of(b, record, t->which).cell = cn_run(CN_MAP, pairs, n);
    return 0;
}

static int apply(void *self, struct cn_batch *b, uint32_t record) {
    struct replace_field *t = self;
    struct err err = {0};
    struct operand_ref at = operand_of(b, record, t->which);
    if (at.cell->type == CN_NULL) return CN_KEEP;
    int rc = at.cell->type == CN_STRUCT && *at.schema != CN_NO_SCHEMA ? apply_struct(t, b, record, &err)
             : at.cell->type == CN_MAP && *at.schema == CN_NO_SCHEMA  ? apply_map(t, b, record, &err)
                                                                      : err_set(&err, ERR_INVALID, "only structs and maps have fields to replace");
    if (rc == 0) return CN_KEEP;
    cn_fail_recordf(t->host, record, NULL, "%s", err.msg);
    return CN_APPLY_FAILED;
}

static int validate(struct cn_host *h) {
    struct options o = {0};
    if (CN_BIND(h, rows, &o) != 0) return -1;
    for (uint32_t i = 0; i < o.renames.n; i++) {
        struct str pair = str_of(o.renames.items[i]);
        size_t colon = str_find(pair, ':', 0);
        if (colon == 0 || colon + 1 >= pair.n || str_find(pair, ':', colon + 1) != pair.n)
            return cn_failf(h, CN_FAIL_CONFIG, "write old:new", "renames: '%s' is no pair of names", o.renames.items[i]);
    }
    return 0;
}

static int open_for(struct cn_host *h, enum operand which, void **ret) {
    if (validate(h) != 0) return -1;
    struct replace_field *t = xcalloc(1, sizeof(*t));
    *t = (struct replace_field){.host = h, .which = which, .plans = {.free_value = reshape_plan_free}};
    CN_BIND(h, rows, &t->o);
    t->renames = xcalloc(t->o.renames.n + 1, sizeof(t->renames[0]));
    for (uint32_t i = 0; i < t->o.renames.n; i++) {
        struct str rest = str_of(t->o.renames.items[i]);
        str_split(&rest, ':', &t->renames[i].from);
        t->renames[i].to = rest;
    }
    *ret = t;
    return 0;
}
static int open_key(struct cn_host *h, void **ret) { return open_for(h, OPERAND_KEY, ret); }
static int open_value(struct cn_host *h, void **ret) { return open_for(h, OPERAND_VALUE, ret); }

static void close_replace_field(void *self) {
    struct replace_field *t = self;
    schema_cache_done(&t->plans);
    free(t->renames);
    free(t);
}

static const struct cn_transform_ops key_ops = {sizeof(key_ops), 0, validate, open_key, apply, close_replace_field};
static const struct cn_transform_ops value_ops = {sizeof(value_ops), 0, validate, open_value, apply, close_replace_field};
COMPONENT(transform_replace_field_key, CN_TRANSFORM, "ReplaceField$Key", JAVA_TRANSFORM "ReplaceField$Key",
          "leaves out, keeps or renames fields of the key", rows, countof(rows), key_ops);
COMPONENT(transform_replace_field_value, CN_TRANSFORM, "ReplaceField$Value", JAVA_TRANSFORM "ReplaceField$Value",
          "leaves out, keeps or renames fields of the value", rows, countof(rows), value_ops);
