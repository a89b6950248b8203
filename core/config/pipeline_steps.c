// SPDX-License-Identifier: Apache-2.0
// Ordered lists of maps in a pipeline file, made into Connect's flat options: transforms, predicates, topics.
//
//   transforms:                                    transforms=slim
//     - {name: slim, type: ReplaceField$Value,     transforms.slim.type=ReplaceField$Value
//        exclude: [notes],                         transforms.slim.exclude=notes
//        predicate: {type: TopicNameMatches,       transforms.slim.predicate=slim
//                    pattern: '.*orders'}}         predicates=slim, predicates.slim.type=…, predicates.slim.pattern=…
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "config/pipeline_int.h"

// One list under way: `transforms` or `predicates`.
struct steps {
    const char *what; // "transforms"
    struct connector_config *c;
    struct findings *f;
    struct str *names;
    size_t n, cap;
    struct place at;
};

bool pipeline_is_steps(const struct yaml_member *m) {
    if (!str_eqz(m->key, "transforms") && !str_eqz(m->key, "predicates")) return false;
    if (m->value->kind == YAML_MAP) return true;
    return m->value->kind == YAML_LIST && m->value->n && m->value->items[0]->kind == YAML_MAP;
}

static bool step_name_ok(struct str name) {
    for (size_t i = 0; i < name.n; i++)
        if ((unsigned char)name.p[i] <= ' ' || strchr(".,", name.p[i])) return false;
    return name.n && name.n <= 100;
}

static int add_name(struct steps *s, struct str name, struct place at) {
    if (!step_name_ok(name))
        return findings_error(s->f, at, s->what, "'%.*s' can not be a name in %s: it has no dots, commas or blanks",
                              STR_FMT(str_first(name, 120)), s->what);
    for (size_t i = 0; i < s->n; i++) {
        if (!str_eq(s->names[i], name)) continue;
        findings_error(s->f, at, s->what, "%s has two entries called %.*s", s->what, STR_FMT(name));
        return findings_hint(s->f, "give one of them another `name:`");
    }
    VEC_PUSH(s->names, s->n, s->cap, name);
    return 0;
}

// Everything of an entry but the members that were dealt with, under WHAT.NAME.
static int flatten_step(struct steps *s, const struct yaml_node *entry, struct str name, const struct yaml_node *skip_a,
                        const struct yaml_node *skip_b) {
    struct yaml_node rest = *entry;
    rest.members = xcalloc(entry->n, sizeof(*rest.members));
    rest.n = 0;
    for (size_t i = 0; i < entry->n; i++)
        if (entry->members[i].value != skip_a && entry->members[i].value != skip_b) rest.members[rest.n++] = entry->members[i];
    _cleanup_free_ char *prefix = xasprintf("%s.%.*s.", s->what, STR_FMT(name));
    int failed = yaml_flatten(&rest, prefix, NULL, &s->c->props, s->f);
    free(rest.members);
    return failed;
}

// The name given, or the simple type's: `{type: Filter}` is called Filter.
static struct str step_name(const struct yaml_node *entry, const struct yaml_node *name, const struct yaml_node *type) {
    if (name && name->kind == YAML_TEXT) return name->text;
    if (!type || type->kind != YAML_TEXT) return (struct str){NULL, 0};
    struct str s = str_of(pipeline_class_alias(type->text.p, NULL));
    return str_first(s, str_find(s, '$', 0));
}

static int no_type(struct steps *s, const struct yaml_node *entry) {
    return findings_error(s->f, entry->at, s->what, "this entry of %s has no `type:`", s->what);
}

static int inline_predicate(struct steps *s, struct steps *predicates, struct str name, const struct yaml_node *map) {
    if (!yaml_get(map, "type")) return no_type(predicates, map);
    _cleanup_free_ char *key = xasprintf("transforms.%.*s.predicate", STR_FMT(name));
    props_add(&s->c->props, str_of(key), name, map->at);
    return add_name(predicates, name, map->at) | flatten_step(predicates, map, name, NULL, NULL);
}

static int add_step(struct steps *s, struct steps *predicates, const struct yaml_node *entry, struct str name) {
    const struct yaml_node *given = yaml_get(entry, "name"), *predicate = yaml_get(entry, "predicate");
    if (predicate && (predicate->kind != YAML_MAP || s == predicates)) predicate = NULL;
    if (add_name(s, name, given ? given->at : entry->at)) return -1;
    int failed = flatten_step(s, entry, name, given, predicate);
    if (predicate) failed |= inline_predicate(s, predicates, name, predicate);
    return failed;
}

static int list_step(struct steps *s, struct steps *predicates, const struct yaml_node *entry) {
    const struct yaml_node *type = yaml_get(entry, "type");
    if (entry->kind != YAML_MAP)
        return findings_error(s->f, entry->at, s->what, "an entry of %s is a map with `name:` and `type:`", s->what);
    if (!type) return no_type(s, entry);
    return add_step(s, predicates, entry, step_name(entry, yaml_get(entry, "name"), type));
}

// `transforms: {unwrap: {type: …}}`: in the order written.
static int map_step(struct steps *s, struct steps *predicates, const struct yaml_member *m) {
    if (m->value->kind == YAML_MAP && yaml_get(m->value, "type")) return add_step(s, predicates, m->value, m->key);
    return findings_error(s->f, m->at, s->what, "%s.%.*s is a map with `type:`", s->what, STR_FMT(str_first(m->key, 120)));
}

static int read_steps(struct steps *s, struct steps *predicates, const struct yaml_node *node) {
    int failed = 0;
    s->at = node->at;
    for (size_t i = 0; i < node->n; i++)
        failed |= node->kind == YAML_LIST ? list_step(s, predicates, node->items[i]) : map_step(s, predicates, &node->members[i]);
    return failed;
}

// The list of names itself. Predicates written inline join those of an own `predicates` list of names.
static void put_names(struct steps *s, const struct yaml_node *connector) {
    const struct yaml_node *own = yaml_get(connector, s->what);
    if (own && own->kind == YAML_LIST && (!own->n || own->items[0]->kind == YAML_TEXT)) return; // flattened as it is
    if (s->n) props_add_list(&s->c->props, str_of(s->what), s->names, s->n, s->at);
}

int pipeline_steps(const struct yaml_node *connector, struct connector_config *c, struct findings *f) {
    struct steps transforms = {.what = "transforms", .c = c, .f = f}, predicates = {.what = "predicates", .c = c, .f = f};
    int failed = 0;
    for (size_t i = 0; i < connector->n; i++) {
        const struct yaml_member *m = &connector->members[i];
        if (!pipeline_is_steps(m)) continue;
        failed |= read_steps(str_eqz(m->key, "transforms") ? &transforms : &predicates, &predicates, m->value);
    }
    const struct yaml_node *own = yaml_get(connector, "predicates");
    if (predicates.n && own && own->kind != YAML_MAP && !(own->kind == YAML_LIST && own->n && own->items[0]->kind == YAML_MAP)) {
        failed = findings_error(f, own->at, "predicates", "predicates are given inline and as a list of names: use one form");
    }
    if (!failed) put_names(&transforms, connector), put_names(&predicates, connector);
    free(transforms.names);
    free(predicates.names);
    return failed;
}

// ── topics ──

static int rule_of(struct pipeline *p, const struct yaml_node *rule, size_t number, struct connector_config *c,
                   struct findings *f) {
    const struct yaml_node *match = yaml_get(rule, "match");
    struct steps s = {.what = "topic.creation", .c = c, .f = f};
    char name[32];
    snprintf(name, sizeof(name), "rule%zu", number);
    _cleanup_free_ char *include = xasprintf("topic.creation.%s.include", name);
    // One pattern, commas and all: as a list of one item.
    props_add_list(&c->props, str_of(include), &match->text, 1, match->at);
    return flatten_step(&s, rule, str_of(name), match, NULL);
}

static int check_rule(const struct yaml_node *rule, struct findings *f) {
    const struct yaml_node *match = yaml_get(rule, "match");
    if (rule->kind != YAML_MAP)
        return findings_error(f, rule->at, "topics",
                              "an entry of topics is a map: {match: 'pattern', partitions: 4, ...}");
    if (!match) return findings_error(f, rule->at, "topics", "this entry of topics has no `match:`");
    return match->kind == YAML_TEXT ? 0 : findings_error(f, match->at, "topics", "`match:` is a regular expression");
}

// A source's own groups go first; those of the file follow in their order.
static void put_groups(struct connector_config *c, size_t rules, struct place at) {
    const struct prop *own = props_get(&c->props, "topic.creation.groups");
    struct buf all = {0};
    if (own) buf_putz(&all, own->value);
    for (size_t i = 1; i <= rules; i++) buf_printf(&all, "%srule%zu", all.n ? "," : "", i);
    if (own) props_set(&c->props, "topic.creation.groups", buf_cstr(&all));
    else props_add(&c->props, STR("topic.creation.groups"), buf_str(&all), at);
    buf_done(&all);
}

static int rules_of(struct pipeline *p, const struct yaml_node *topics, struct connector_config *c, struct findings *f) {
    int failed = 0;
    for (size_t i = 0; i < topics->n; i++) failed |= rule_of(p, topics->items[i], i + 1, c, f);
    put_groups(c, topics->n, topics->at);
    return failed;
}

int pipeline_topics(const struct yaml_node *topics, struct pipeline *p, struct findings *f) {
    int failed = 0;
    bool any = false;
    if (!topics) return 0;
    if (topics->kind != YAML_LIST)
        return findings_error(f, topics->at, "topics", "`topics:` is a list: - {match: 'pattern', partitions: 4, ...}");
    for (size_t i = 0; i < topics->n; i++) failed |= check_rule(topics->items[i], f);
    for (size_t i = 0; i < p->n && !failed; i++) {
        if (!p->connectors[i].is_source) continue;
        any = true;
        failed = rules_of(p, topics, &p->connectors[i], f);
    }
    if (failed || any) return failed;
    return findings_error(f, topics->at, "topics", "`topics:` is for the topics that sources make, and there are no sources");
}
