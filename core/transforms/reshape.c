// SPDX-License-Identifier: Apache-2.0
#include "transforms/reshape.h"

#include "base/mem.h"

void reshape_begin(struct reshape_builder *w, const struct cn_schema_blob *old) {
    *w = (struct reshape_builder){.old = old};
    w->sb.p = xmemdup(old, old->size);
    w->sb.used = w->sb.cap = old->size;
}

static void add(struct reshape_builder *w, struct reshape_field f) { VEC_PUSH(w->fields, w->n, w->cap, f); }

void reshape_keep(struct reshape_builder *w, uint32_t field, struct str name) {
    const struct cn_schema_field *fields = cn_schema_fields(w->old, cn_schema_root(w->old));
    add(w, (struct reshape_field){name, fields[field].schema, field});
}

void reshape_add(struct reshape_builder *w, struct str name, cn_off schema, uint32_t fresh) {
    add(w, (struct reshape_field){name, schema, REWRITE_FRESH + fresh});
}

static int check_names(const struct reshape_builder *w, struct err *err) {
    for (size_t i = 0; i < w->n; i++)
        for (size_t k = 0; k < i; k++)
            if (str_eq(w->fields[i].name, w->fields[k].name))
                return err_set(err, ERR_EXISTS, "field %.*s would be there twice", STR_FMT(str_first(w->fields[i].name, 100)));
    return 0;
}

// A new root over the old blob's nodes: its offsets stay true, because the copy begins at the same place.
static struct cn_schema_blob *build(struct reshape_builder *w) {
    cn_off root = cn_sb_alloc_(&w->sb, sizeof(struct cn_schema));
    cn_off at = cn_sb_alloc_(&w->sb, (w->n ? w->n : 1) * sizeof(struct cn_schema_field));
    for (size_t i = 0; i < w->n && !w->sb.failed; i++) {
        struct cn_text name = cn_sb_text(&w->sb, w->fields[i].name.p, w->fields[i].name.n);
        if (w->sb.failed) break;
        struct cn_schema_field *f = (struct cn_schema_field *)(void *)(w->sb.p + at) + i;
        *f = (struct cn_schema_field){.name = name, .schema = w->fields[i].schema};
    }
    if (w->sb.failed) return cn_sb_finish(&w->sb, 0);
    struct cn_schema s = *cn_schema_root(w->old);
    s.optional = s.has_default = 0;
    memset(&s.def, 0, sizeof(s.def));
    s.fields = at;
    s.field_count = (uint32_t)w->n;
    *cn_sb_node(&w->sb, root) = s;
    return cn_sb_finish(&w->sb, root);
}

struct reshape_plan *reshape_finish(struct reshape_builder *w, struct err *err) {
    struct reshape_plan *p = NULL;
    struct cn_schema_blob *schema = check_names(w, err) == 0 ? build(w) : NULL;
    if (schema) {
        p = xcalloc(1, sizeof(*p));
        *p = (struct reshape_plan){schema, (uint32_t)w->n, cn_schema_root(w->old)->field_count, xcalloc(w->n + 1, sizeof(uint32_t))};
        for (size_t i = 0; i < w->n; i++) p->take[i] = w->fields[i].take;
    } else if (w->sb.failed) {
        err_set(err, ERR_TOO_LARGE, "the new schema is larger than 16 MiB");
    }
    free(w->sb.p);
    free(w->fields);
    return p;
}

void reshape_plan_free(void *plan) {
    struct reshape_plan *p = plan;
    if (!p) return;
    free(p->schema);
    free(p->take);
    free(p);
}

int reshape_struct(const struct reshape_plan *p, struct cn_batch *b, struct cn_cell old, const struct cn_cell *fresh,
                   struct cn_cell *ret, uint16_t *ret_schema, struct err *err) {
    if (old.type != CN_STRUCT || old.n != p->fields_in) return err_set(err, ERR_INVALID, "value does not fit its schema");
    cn_off at = cn_cells(b, p->n);
    uint16_t schema = cn_schema_use(b, p->schema);
    if (b->failed) return err_set(err, ERR_TOO_LARGE, "the batch has no room");
    struct cn_cell *out = cn_cells_at(b, at);
    const struct cn_cell *in = cn_cells_at(b, old.u.at);
    for (uint32_t i = 0; i < p->n; i++) out[i] = p->take[i] >= REWRITE_FRESH ? fresh[p->take[i] - REWRITE_FRESH] : in[p->take[i]];
    *ret = cn_run(CN_STRUCT, at, p->n);
    *ret_schema = schema;
    return 0;
}
