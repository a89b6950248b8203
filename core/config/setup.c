// SPDX-License-Identifier: Apache-2.0
// A connector's configuration resolved: find each component by name, read its options, then look for keys nobody knows.
#include "config/setup.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "config/topic_creation.h"

struct setting_up {
    const struct setup_input *in;
    const struct connector_config *c;
    struct connector_setup *s;
    struct findings *f;
    int failed;
};

// `type`, `predicate` and `negate` of a transform; `type` of a predicate.
static const struct cn_option step_rows[] = {
    {.name = "type",
     .type = CN_OPT_STRING,
     .flags = CN_OPT_REQUIRED,
     .at = CN_NOT_BOUND,
     .doc = "Which transform or predicate it is."},
    {.name = "predicate", .type = CN_OPT_STRING, .at = CN_NOT_BOUND, .doc = "The predicate a record must meet."},
    {.name = "negate",
     .type = CN_OPT_BOOL,
     .at = CN_NOT_BOUND,
     .def = "false",
     .doc = "Whether the predicate is turned round."},
};

// Takes every key below a prefix: of components that were not found, whose options nobody can judge.
static const struct cn_option anything_row = {.name = "", .type = CN_OPT_MAP, .at = CN_NOT_BOUND};

static void add_scope(struct setting_up *x, const char *prefix, const struct cn_option *rows, size_t n, const char *owner) {
    struct option_scope scope = {prefix, rows, n, owner};
    VEC_PUSH(x->s->scopes, x->s->scope_count, x->s->scope_cap, scope);
}

static struct option_values *read_values(struct setting_up *x, const struct option_scope *scope,
                                         const struct props *props, struct place at) {
    struct option_values *v;
    struct option_read r = {.scope = scope, .props = props, .secrets = x->in->secrets, .at = at};
    x->failed |= options_read(&r, x->f, &v);
    return v;
}

// ── finding components ──

static const struct cn_component *find(struct setting_up *x, enum cn_kind kind, const char *name) {
    return x->in->lookup->find(x->in->lookup->arg, kind, name);
}

// By the name as written, by what a Java class is called here, and without `$Key` or `$Value`.
static const struct cn_component *find_any(struct setting_up *x, enum cn_kind kind, const char *name, const char **ret_variant) {
    const char *alias = pipeline_class_alias(name, NULL), *dollar = strchr(alias, '$');
    const struct cn_component *found = find(x, kind, name);
    if (!found && alias != name) found = find(x, kind, alias);
    if (found || !dollar) return found;
    const char *base = arena_copy(&x->s->texts, str_make(alias, (size_t)(dollar - alias))).p;
    *ret_variant = arena_copy(&x->s->texts, str_of(dollar + 1)).p;
    return find(x, kind, base);
}

struct near {
    struct str name;
    unsigned distance;
    char best[128];
};

static void try_component(void *to, const char *name) {
    struct near *n = to;
    unsigned d = str_distance(n->name, str_of(name), n->distance);
    if (d >= n->distance || strlen(name) >= sizeof(n->best)) return;
    n->distance = d;
    memcpy(n->best, name, strlen(name) + 1);
}

static const char *kind_text(enum cn_kind kind) {
    switch (kind) {
    case CN_SOURCE: return "source";
    case CN_SINK: return "sink";
    case CN_TRANSFORM: return "transform";
    case CN_CONVERTER: return "converter";
    default: return "predicate";
    }
}

static void not_found(struct setting_up *x, enum cn_kind kind, const char *name, struct place at, const char *option) {
    struct near near = {.name = str_of(pipeline_class_alias(name, NULL)), .distance = (unsigned)strlen(name) / 3 + 2};
    enum cn_kind other = kind == CN_SOURCE ? CN_SINK : CN_SOURCE;
    const struct component_lookup *l = x->in->lookup;
    struct err why;
    if (l->explain && l->explain(l->arg, kind, name, &why) != 0) {
        x->failed = findings_err(x->f, at, option, &why);
        return;
    }
    x->failed = findings_error(x->f, at, option, "no %s is called %.200s", kind_text(kind), name);
    if ((kind == CN_SOURCE || kind == CN_SINK) && find(x, other, name)) {
        findings_hint(x->f, "%s is a %s: put it under `%ss:`", name, kind_text(other), kind_text(other));
        return;
    }
    if (l->each) l->each(l->arg, kind, try_component, &near);
    if (near.best[0]) findings_hint(x->f, "did you mean %s?", near.best);
    else findings_hint(x->f, "`connectd plugins` lists what there is");
}

// Finds the component of a part, reads its options below its prefix, and enters their scope.
static void fill_part(struct setting_up *x, struct setup_part *part, enum cn_kind kind, const char *name,
                      const char *option, const struct props *props) {
    part->predicate = -1;
    part->component = find_any(x, kind, name, &part->variant);
    if (!part->component) {
        not_found(x, kind, name, part->at, option);
        add_scope(x, part->prefix, &anything_row, 1, NULL);
        return;
    }
    const char *owner = arena_printf(&x->s->texts, "%s %s", kind_text(kind), part->component->name);
    struct option_scope scope = {part->prefix, part->component->options, part->component->option_count, owner};
    add_scope(x, scope.prefix, scope.rows, scope.n, scope.owner);
    part->values = read_values(x, &scope, props, part->at);
}

// ── the connector ──

static void set_up_connector(struct setting_up *x) {
    enum cn_kind kind = x->c->is_source ? CN_SOURCE : CN_SINK;
    // Connector JSON does not say which it is; the plugin does.
    if (!x->c->kind_known && !find(x, kind, x->c->plugin) && find(x, kind == CN_SOURCE ? CN_SINK : CN_SOURCE, x->c->plugin)) {
        kind = kind == CN_SOURCE ? CN_SINK : CN_SOURCE;
    }
    x->s->is_source = kind == CN_SOURCE;
    x->s->connector = (struct setup_part){.alias = "connector", .prefix = "", .at = x->c->at};
    const struct option_scope common = {"", x->s->is_source ? source_options : sink_options,
                                        x->s->is_source ? source_option_count : sink_option_count, NULL};
    add_scope(x, common.prefix, common.rows, common.n, common.owner);
    x->s->common = read_values(x, &common, &x->c->props, x->c->at);
    option_values_bind(x->s->common, &x->s->options);
    fill_part(x, &x->s->connector, kind, x->c->plugin, "connector", &x->c->props);
}

static void check_sink_topics(struct setting_up *x) {
    const struct connector_options *o = &x->s->options;
    const struct prop *topics = props_get(&x->c->props, "topics"), *regex = props_get(&x->c->props, "topics.regex");
    if (x->s->is_source || x->c->pipeline_topics) return;
    if (topics && regex)
        x->failed = findings_error(x->f, regex->key_at, "topics.regex",
                                   "topics and topics.regex (line %d) are both given: use one", topics->key_at.line);
    else if (!regex && topics && !o->topics.n) x->failed = findings_error(x->f, topics->at, "topics", "topics is empty");
    else if (!regex && !topics)
        x->failed = findings_error(x->f, x->c->at, "topics", "sink %s needs topics or topics.regex", x->c->name);
    for (uint32_t i = 0; i < o->topics.n && o->dead_letter_topic; i++) {
        if (strcmp(o->topics.items[i], o->dead_letter_topic)) continue;
        x->failed = findings_error(x->f, topics->at, "topics",
                                   "the dead-letter topic %s is among the topics: it would be read again for ever",
                                   o->dead_letter_topic);
    }
}

// ── converters ──

// The worker's converter comes with the worker's options for it; a connector's own converter does not.
static void set_up_converter(struct setting_up *x, struct setup_part *part, const char *key, const char *fallback) {
    const struct prop *own = props_get(&x->c->props, key);
    struct props merged = {0};
    *part = (struct setup_part){.alias = key, .prefix = arena_printf(&x->s->texts, "%s.", key), .at = own ? own->at : x->c->at};
    props_copy(&merged, &x->c->props);
    for (size_t i = 0; !own && x->in->worker_props && i < x->in->worker_props->n; i++) {
        const struct prop *p = &x->in->worker_props->items[i];
        if (!str_starts(str_of(p->key), str_of(part->prefix)) || props_get(&merged, p->key)) continue;
        props_add(&merged, str_of(p->key), str_of(p->value), p->at);
    }
    fill_part(x, part, CN_CONVERTER, own ? own->value : fallback ? fallback : "json", key, &merged);
    props_done(&merged);
}

// ── transforms and predicates ──

// The names of a list option as the common rows read it.
static struct cn_list names_of(const struct setting_up *x, const char *option) {
    const struct cn_option_value *v = option_values_get(x->s->common, option);
    return v ? v->list : (struct cn_list){0};
}

static const char *step_key(struct setting_up *x, const struct setup_part *part, const char *name) {
    return arena_printf(&x->s->texts, "%s%s", part->prefix, name);
}

static void set_up_step(struct setting_up *x, struct setup_part *part, enum cn_kind kind, const char *list, const char *name) {
    part->predicate = -1;
    part->alias = arena_copy(&x->s->texts, str_of(name)).p;
    part->prefix = arena_printf(&x->s->texts, "%s.%s.", list, name);
    const struct prop *type = props_get(&x->c->props, step_key(x, part, "type")), *own = props_get(&x->c->props, list);
    part->at = type ? type->at : own ? own->at : x->c->at;
    add_scope(x, part->prefix, step_rows, kind == CN_TRANSFORM ? countof(step_rows) : 1, NULL);
    if (type) return fill_part(x, part, kind, type->value, type->key, &x->c->props);
    x->failed = findings_error(x->f, part->at, list, "option %stype is missing: %s %s has no type", part->prefix,
                               kind_text(kind), name);
    add_scope(x, part->prefix, &anything_row, 1, NULL);
}

static struct setup_part *set_up_steps(struct setting_up *x, enum cn_kind kind, const char *list, size_t *ret_n) {
    struct cn_list names = names_of(x, list);
    struct setup_part *parts = xcalloc(names.n, sizeof(*parts));
    for (uint32_t i = 0; i < names.n; i++) set_up_step(x, &parts[i], kind, list, names.items[i]);
    *ret_n = names.n;
    return parts;
}

static void link_predicate(struct setting_up *x, struct setup_part *transform) {
    const struct prop *name = props_get(&x->c->props, step_key(x, transform, "predicate"));
    const struct prop *negate = props_get(&x->c->props, step_key(x, transform, "negate"));
    struct cn_option_value v = {0};
    struct err err;
    if (negate && option_parse(&step_rows[2], negate->value, &v, &x->s->texts, &err)) {
        x->failed = findings_error(x->f, negate->at, negate->key, "option %s: %s", negate->key, err.msg);
    }
    transform->negate = v.i;
    if (!name) return;
    for (size_t i = 0; i < x->s->predicate_count; i++)
        if (!strcmp(x->s->predicates[i].alias, name->value)) transform->predicate = (int)i;
    if (transform->predicate >= 0) return;
    x->failed = findings_error(x->f, name->at, name->key, "option %s: predicates has no %.100s", name->key, name->value);
}

static void check_duplicates(struct setting_up *x, const struct setup_part *parts, size_t n, const char *list) {
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < i; k++) {
            if (strcmp(parts[i].alias, parts[k].alias)) continue;
            x->failed = findings_error(x->f, parts[i].at, list, "option %s names %s twice", list, parts[i].alias);
        }
    }
}

// "transforms.unwarp.type" where the list says unwrap: named as such, not as an unknown option.
static void check_unlisted(struct setting_up *x, const char *list, const struct setup_part *parts, size_t n) {
    for (size_t i = 0; i < x->c->props.n; i++) {
        const struct prop *p = &x->c->props.items[i];
        size_t skip = strlen(list);
        if (strncmp(p->key, list, skip) || p->key[skip] != '.') continue;
        struct str alias = str_of(p->key + skip + 1);
        alias = str_first(alias, str_find(alias, '.', 0));
        bool listed = false;
        for (size_t k = 0; k < n; k++) listed |= str_eqz(alias, parts[k].alias);
        if (listed) continue;
        x->failed = findings_error(x->f, p->key_at, p->key, "option %s: %s does not name %.*s", p->key, list, STR_FMT(alias));
        add_scope(x, arena_printf(&x->s->texts, "%s.%.*s", list, STR_FMT(alias)), &anything_row, 1, NULL);
    }
}

static void set_up_transforms(struct setting_up *x) {
    struct connector_setup *s = x->s;
    s->predicates = set_up_steps(x, CN_PREDICATE, "predicates", &s->predicate_count);
    s->transforms = set_up_steps(x, CN_TRANSFORM, "transforms", &s->transform_count);
    for (size_t i = 0; i < s->transform_count; i++) link_predicate(x, &s->transforms[i]);
    check_duplicates(x, s->transforms, s->transform_count, "transforms");
    check_duplicates(x, s->predicates, s->predicate_count, "predicates");
    check_unlisted(x, "transforms", s->transforms, s->transform_count);
    check_unlisted(x, "predicates", s->predicates, s->predicate_count);
}

int connector_setup(const struct setup_input *in, struct connector_setup **ret, struct findings *f) {
    struct connector_setup *s = xcalloc(1, sizeof(*s));
    struct setting_up x = {.in = in, .c = in->config, .s = s, .f = f};
    size_t errors = f->errors;
    set_up_connector(&x);
    check_sink_topics(&x);
    set_up_converter(&x, &s->key_converter, "key.converter", in->default_key_converter);
    set_up_converter(&x, &s->value_converter, "value.converter", in->default_value_converter);
    set_up_transforms(&x);
    if (s->is_source)
        x.failed |=
            topic_creation_read(&in->config->props, &s->options.topic_groups, &s->texts, &s->options.topic_creation, f);
    if (s->connector.component) options_unknown(&in->config->props, s->scopes, s->scope_count, f);
    *ret = s;
    return x.failed || f->errors > errors ? -1 : 0;
}

static void free_parts(struct setup_part *parts, size_t n) {
    for (size_t i = 0; i < n; i++) option_values_free(parts[i].values);
    free(parts);
}

void connector_setup_free(struct connector_setup *s) {
    if (!s) return;
    option_values_free(s->common);
    option_values_free(s->connector.values);
    option_values_free(s->key_converter.values);
    option_values_free(s->value_converter.values);
    free_parts(s->transforms, s->transform_count);
    free_parts(s->predicates, s->predicate_count);
    free(s->scopes);
    arena_done(&s->texts);
    free(s);
}
