// SPDX-License-Identifier: Apache-2.0
// Maps to dotted keys: `errors: {tolerance: all}` and `errors.tolerance: all` become the same option.
#include <stdio.h>
#include <stdlib.h>

#include "config/yaml.h"

enum { KEY_MOST = 512 }; // bounds what nesting long keys can multiply to

struct flatten {
    bool (*typed)(const char *key);
    struct props *out;
    struct findings *f;
};

static int flatten_map(struct flatten *x, const struct yaml_node *map, const char *prefix);

static int twice(struct flatten *x, const char *key, struct place at, const struct prop *first) {
    findings_error(x->f, at, key, "option %s is given twice: it is also in line %d, column %d", key, first->key_at.line,
                   first->key_at.column);
    return findings_hint(x->f, "`a.b: 1` and `a: {b: 1}` are the same option");
}

static int add_text(struct flatten *x, const char *key, struct place key_at, const struct yaml_node *value) {
    const struct prop *first = props_get(x->out, key);
    if (first) return twice(x, key, key_at, first);
    if (value->plain_empty) {
        findings_error(x->f, key_at, key, "option %s has no value", key);
        return findings_hint(x->f, "remove the line, or write \"\" for an empty text");
    }
    props_add(x->out, str_of(key), value->text, value->at)->key_at = key_at;
    return 0;
}

static int add_list(struct flatten *x, const char *key, struct place key_at, const struct yaml_node *list) {
    const struct prop *first = props_get(x->out, key);
    if (first) return twice(x, key, key_at, first);
    for (size_t i = 0; i < list->n; i++) {
        if (list->items[i]->kind == YAML_TEXT) continue;
        return findings_error(x->f, list->items[i]->at, key, "option %s is a list of texts: its item %zu is a %s", key, i + 1,
                              list->items[i]->kind == YAML_MAP ? "map" : "list");
    }
    struct str *items = xcalloc(list->n, sizeof(*items));
    for (size_t i = 0; i < list->n; i++) items[i] = list->items[i]->text;
    props_add_list(x->out, str_of(key), items, list->n, list->at)->key_at = key_at;
    free(items);
    return 0;
}

// `value.converter: {type: json, schemas.enable: false}`: the type is the value of the key itself.
static int flatten_typed(struct flatten *x, const struct yaml_node *map, const char *key) {
    int failed = 0;
    char prefix[KEY_MOST + 2];
    snprintf(prefix, sizeof(prefix), "%s.", key);
    struct yaml_node rest = *map;
    rest.members = xcalloc(map->n, sizeof(*rest.members));
    rest.n = 0;
    for (size_t i = 0; i < map->n; i++) {
        const struct yaml_member *m = &map->members[i];
        if (str_eqz(m->key, "type") && m->value->kind == YAML_TEXT) failed |= add_text(x, key, m->at, m->value);
        else rest.members[rest.n++] = *m;
    }
    failed |= flatten_map(x, &rest, prefix);
    free(rest.members);
    return failed;
}

static bool key_ok(struct str key) {
    if (key.p[0] == '.' || key.p[key.n - 1] == '.') return false;
    for (size_t i = 0; i < key.n; i++)
        if ((unsigned char)key.p[i] <= ' ' || key.p[i] == 0x7f || (i && key.p[i] == '.' && key.p[i - 1] == '.')) return false;
    return true;
}

static int flatten_member(struct flatten *x, const struct yaml_member *m, const char *prefix) {
    char key[KEY_MOST + 1];
    if (!key_ok(m->key)) return findings_error(x->f, m->at, NULL, "'%.100s' can not be an option's name", m->key.p);
    if (snprintf(key, sizeof(key), "%s%s", prefix, m->key.p) >= (int)sizeof(key)) {
        return findings_error(x->f, m->at, NULL, "an option's name is longer than %d characters", KEY_MOST);
    }
    if (m->value->kind == YAML_TEXT) return add_text(x, key, m->at, m->value);
    if (m->value->kind == YAML_LIST) return add_list(x, key, m->at, m->value);
    if (x->typed && x->typed(key)) return flatten_typed(x, m->value, key);
    char below[KEY_MOST + 2];
    snprintf(below, sizeof(below), "%s.", key);
    return flatten_map(x, m->value, below);
}

static int flatten_map(struct flatten *x, const struct yaml_node *map, const char *prefix) {
    int failed = 0;
    for (size_t i = 0; i < map->n; i++) failed |= flatten_member(x, &map->members[i], prefix);
    return failed;
}

int yaml_flatten(const struct yaml_node *map, const char *prefix, bool (*typed)(const char *key), struct props *out,
                 struct findings *f) {
    struct flatten x = {typed, out, f};
    return flatten_map(&x, map, prefix) ? -1 : 0;
}
