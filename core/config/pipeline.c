// SPDX-License-Identifier: Apache-2.0
// Pipeline files: the sections of the YAML form, names, defaults of sinks; loading, copying, comparing.
#include "config/pipeline.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "config/pipeline_int.h"

// ── names ──

bool pipeline_name_ok(struct str name) {
    if (!name.n || name.n > 100) return false;
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i], low = (char)(c | 0x20);
        bool alnum = (c >= '0' && c <= '9') || (low >= 'a' && low <= 'z');
        if (!alnum && (!i || !strchr("-_.", c))) return false;
    }
    return true;
}

static int check_name(struct str name, struct place at, const char *what, struct findings *f) {
    if (pipeline_name_ok(name)) return 0;
    findings_error(f, at, NULL, "'%.*s' can not be the name of a %s", STR_FMT(str_first(name, 120)), what);
    return findings_hint(f, PIPELINE_NAME_HINT);
}

bool pipeline_typed_key(const char *key) {
    return !strcmp(key, "key.converter") || !strcmp(key, "value.converter") || !strcmp(key, "header.converter");
}

void pipeline_set_plugin(struct connector_config *c, const char *name) {
    int source;
    free(c->plugin);
    c->plugin = xstrdup(pipeline_class_alias(name, &source));
    if (source < 0 || c->kind_known) return;
    c->is_source = source;
    c->kind_known = true;
}

// ── connectors ──

struct connector_config *pipeline_add(struct pipeline *p) {
    p->connectors = xrealloc(p->connectors, (p->n + 1) * sizeof(*p->connectors));
    p->connectors[p->n] = (struct connector_config){0};
    return &p->connectors[p->n++];
}

void pipeline_own_file(struct connector_config *c, const char *file) {
    char *own = file ? xstrdup(file) : NULL;
    c->at.file = own;
    for (size_t i = 0; i < c->props.n; i++) c->props.items[i].at.file = c->props.items[i].key_at.file = own;
    free(c->file);
    c->file = own;
}

void pipeline_done_connector(struct connector_config *c) {
    for (size_t i = 0; i < c->source_count; i++) free(c->sources[i]);
    free(c->sources);
    props_done(&c->props);
    free(c->name);
    free(c->pipeline);
    free(c->plugin);
    free(c->file);
}

// The connector's map without what pipeline_steps took and without its plugin's name.
static int flatten_rest(const struct yaml_node *map, struct connector_config *c, struct findings *f) {
    struct yaml_node rest = *map;
    rest.members = xcalloc(map->n, sizeof(*rest.members));
    rest.n = 0;
    for (size_t i = 0; i < map->n; i++)
        if (!pipeline_is_steps(&map->members[i])) rest.members[rest.n++] = map->members[i];
    int failed = yaml_flatten(&rest, "", pipeline_typed_key, &c->props, f);
    free(rest.members);
    return failed;
}

static int missing_plugin(const struct connector_config *c, struct findings *f) {
    findings_error(f, c->at, "connector", "connector %s has no `connector:` to say which plugin it is", c->name);
    return findings_hint(f, "for example `connector: %s`; `connectd plugins` lists them",
                         c->is_source ? "postgres-cdc" : "http-sink");
}

static int take_plugin(struct connector_config *c, struct findings *f) {
    const struct prop *ours = props_get(&c->props, "connector"), *theirs = props_get(&c->props, "connector.class");
    if (ours && theirs) {
        return findings_error(f, theirs->key_at, "connector.class",
                              "options connector.class and connector (line %d) are the same", ours->key_at.line);
    }
    if (!ours && !theirs) return missing_plugin(c, f);
    pipeline_set_plugin(c, ours ? ours->value : theirs->value);
    props_remove(&c->props, "connector");
    props_remove(&c->props, "connector.class");
    return 0;
}

// The name is the file's to give: `name` inside would make two identities.
static int refuse_name(struct connector_config *c, struct findings *f) {
    const struct prop *name = props_get(&c->props, "name");
    if (!name) return 0;
    findings_error(f, name->key_at, "name", "the connector's name is %s, from the pipeline and its key", c->name);
    return findings_hint(f, "remove `name:`");
}

static int read_connector(struct pipeline *p, const char *suffix, bool is_source, struct place at,
                          const struct yaml_node *map, struct findings *f) {
    struct connector_config *c = pipeline_add(p);
    c->name = xasprintf("%s-%s", p->name, suffix);
    c->pipeline = xstrdup(p->name);
    c->is_source = is_source;
    c->kind_known = true;
    c->at = at;
    int failed = check_name(str_of(c->name), at, "connector", f);
    if (map->kind != YAML_MAP) return findings_error(f, map->at, NULL, "the options of %s are a map", c->name);
    failed |= pipeline_steps(map, c, f);
    failed |= flatten_rest(map, c, f);
    failed |= take_plugin(c, f) | refuse_name(c, f);
    return failed;
}

// `sources: {db: {...}}`
static int read_section(struct pipeline *p, const struct yaml_member *section, bool is_source, struct findings *f) {
    const struct yaml_node *map = section->value;
    int failed = 0;
    if (map->kind != YAML_MAP) {
        findings_error(f, map->at, section->key.p, "`%s:` is a map from names to connectors", section->key.p);
        return findings_hint(f, "for example `%s: {%s: {connector: ...}}`", section->key.p, is_source ? "db" : "search");
    }
    for (size_t i = 0; i < map->n; i++) {
        const struct yaml_member *m = &map->members[i];
        failed |= read_connector(p, m->key.p, is_source, m->at, m->value, f);
    }
    return failed;
}

static int read_sections(const struct yaml_node *root, struct pipeline *p, struct findings *f) {
    int failed = 0;
    for (size_t i = 0; i < root->n; i++) {
        const struct yaml_member *m = &root->members[i];
        if (str_eqz(m->key, "sources")) failed |= read_section(p, m, true, f);
        if (str_eqz(m->key, "sinks")) failed |= read_section(p, m, false, f);
        if (str_eqz(m->key, "source")) failed |= read_connector(p, "source", true, m->at, m->value, f);
        if (str_eqz(m->key, "sink")) failed |= read_connector(p, "sink", false, m->at, m->value, f);
    }
    return failed;
}

// ── the file as a whole ──

static const char *const sections[] = {"pipeline", "source", "sources", "sink", "sinks", "topics"};

static int unknown_section(const struct yaml_member *m, struct findings *f) {
    unsigned best = 3;
    const char *near = NULL;
    for (size_t i = 0; i < countof(sections); i++) {
        unsigned d = str_distance(m->key, str_of(sections[i]), best);
        if (d < best) best = d, near = sections[i];
    }
    findings_error(f, m->at, m->key.p, "`%.100s:` is unknown at the top of a pipeline file", m->key.p);
    if (near) return findings_hint(f, "did you mean %s?", near);
    return findings_hint(f, "a pipeline file has pipeline, sources (or source), sinks (or sink) and topics");
}

static int check_sections(const struct yaml_node *root, struct findings *f) {
    int failed = 0;
    for (size_t i = 0; i < root->n; i++) {
        bool known = false;
        for (size_t k = 0; k < countof(sections); k++) known |= str_eqz(root->members[i].key, sections[k]);
        if (!known) failed = unknown_section(&root->members[i], f);
    }
    return failed;
}

static int check_short_form(const struct yaml_node *root, const char *one, const char *many, struct findings *f) {
    const struct yaml_node *a = yaml_get(root, one);
    if (!a || !yaml_get(root, many)) return 0;
    return findings_error(f, a->at, one, "`%s:` is short for one entry of `%s:`: use one of them", one, many);
}

static int read_name(const struct yaml_node *root, struct pipeline *p, struct findings *f) {
    const struct yaml_node *name = yaml_get(root, "pipeline");
    if (!name) {
        findings_error(f, root->at, "pipeline", "`pipeline:` is missing");
        return findings_hint(f, "name it, for example `pipeline: shop`: positions and groups are kept under this name");
    }
    if (name->kind != YAML_TEXT) return findings_error(f, name->at, "pipeline", "`pipeline:` is a name");
    p->name = str_dup(name->text);
    return check_name(name->text, name->at, "pipeline", f);
}

static int check_twice(const struct pipeline *p, struct findings *f) {
    int failed = 0;
    for (size_t i = 0; i < p->n; i++) {
        for (size_t k = 0; k < i; k++) {
            if (strcmp(p->connectors[i].name, p->connectors[k].name)) continue;
            failed =
                findings_error(f, p->connectors[i].at, NULL, "connector %s is defined twice: it is also in line %d",
                               p->connectors[i].name, p->connectors[k].at.line);
        }
    }
    return failed;
}

static void keep_sources(const struct pipeline *p, struct connector_config *sink) {
    sink->pipeline_topics = true;
    for (size_t i = 0; i < p->n; i++) {
        if (!p->connectors[i].is_source) continue;
        sink->sources = xrealloc(sink->sources, (sink->source_count + 1) * sizeof(*sink->sources));
        sink->sources[sink->source_count++] = xstrdup(p->connectors[i].name);
    }
}

// A sink that names no topics reads those of its pipeline's sources.
static int default_topics(struct pipeline *p, struct findings *f) {
    int failed = 0;
    for (size_t i = 0; i < p->n; i++) {
        struct connector_config *c = &p->connectors[i];
        if (c->is_source || props_get(&c->props, "topics") || props_get(&c->props, "topics.regex")) continue;
        keep_sources(p, c);
        if (c->source_count) continue;
        failed = findings_error(f, c->at, "topics",
                                "sink %s has no topics, and its pipeline has no sources whose topics it could read",
                                c->name);
        findings_hint(f, "add `topics: [name, ...]` or `topics.regex: ...`");
    }
    return failed;
}

static int parse_yaml(struct pipeline *p, struct str text, struct findings *f) {
    struct yaml y = {0};
    struct place whole = {p->file, 0, 0};
    int failed = yaml_parse(&y, p->file, text, f);
    if (!failed && (!y.root || y.root->kind != YAML_MAP)) {
        failed = findings_error(f, y.root ? y.root->at : whole, NULL, "%s",
                                y.root ? "a pipeline file is a map" : "the file is empty");
    }
    if (!failed) failed = check_sections(y.root, f) | read_name(y.root, p, f);
    if (!failed) failed = check_short_form(y.root, "source", "sources", f) | check_short_form(y.root, "sink", "sinks", f);
    if (!failed && p->name) {
        failed = read_sections(y.root, p, f) | check_twice(p, f);
        failed |= pipeline_topics(yaml_get(y.root, "topics"), p, f) | default_topics(p, f);
        if (!failed && !p->n) failed = findings_error(f, y.root->at, NULL, "pipeline %s has no sources and no sinks", p->name);
    }
    yaml_done(&y);
    return failed;
}

int pipeline_parse(const char *file, struct str text, bool json, struct pipeline **ret, struct findings *f) {
    struct pipeline *p = xcalloc(1, sizeof(*p));
    size_t errors = f->errors;
    *ret = NULL;
    p->file = xstrdup(file);
    p->content = str_hash(text);
    int failed = json ? pipeline_parse_json(p, text, f) : parse_yaml(p, text, f);
    if (failed || f->errors > errors) {
        pipeline_free(p);
        return -1;
    }
    for (size_t i = 0; i < p->n; i++) pipeline_own_file(&p->connectors[i], p->file);
    *ret = p;
    return 0;
}

int pipeline_load(const char *path, struct pipeline **ret, struct findings *f) {
    struct buf text = {0};
    int failed = yaml_read_file(path, &text, f);
    *ret = NULL;
    if (!failed) failed = pipeline_parse(path, buf_str(&text), str_ends(str_of(path), STR(".json")), ret, f);
    buf_done(&text);
    return failed;
}

void pipeline_free(struct pipeline *p) {
    if (!p) return;
    for (size_t i = 0; i < p->n; i++) pipeline_done_connector(&p->connectors[i]);
    free(p->connectors);
    free(p->name);
    free(p->file);
    free(p);
}

void connector_config_free(struct connector_config *c) {
    if (!c) return;
    pipeline_done_connector(c);
    free(c);
}

struct connector_config *connector_config_copy(const struct connector_config *c) {
    struct connector_config *copy = xmemdup(c, sizeof(*c));
    copy->name = xstrdup(c->name);
    copy->pipeline = c->pipeline ? xstrdup(c->pipeline) : NULL;
    copy->plugin = xstrdup(c->plugin);
    copy->file = NULL;
    copy->props = (struct props){0};
    props_copy(&copy->props, &c->props);
    copy->sources = xcalloc(c->source_count, sizeof(*copy->sources));
    for (size_t i = 0; i < c->source_count; i++) copy->sources[i] = xstrdup(c->sources[i]);
    pipeline_own_file(copy, c->file);
    return copy;
}

static bool same_sources(const struct connector_config *a, const struct connector_config *b) {
    if (a->pipeline_topics != b->pipeline_topics || a->source_count != b->source_count) return false;
    for (size_t i = 0; i < a->source_count; i++)
        if (strcmp(a->sources[i], b->sources[i])) return false;
    return true;
}

bool connector_config_equal(const struct connector_config *a, const struct connector_config *b) {
    return a->is_source == b->is_source && !strcmp(a->name, b->name) && !strcmp(a->plugin, b->plugin) && same_sources(a, b) &&
           props_equal(&a->props, &b->props);
}

// ── folders ──

static bool is_pipeline_file(const char *name) {
    struct str s = str_of(name);
    return name[0] != '.' && (str_ends(s, STR(".yaml")) || str_ends(s, STR(".yml")) || str_ends(s, STR(".json")));
}

static int keep_pipeline_file(const struct dirent *d) { return is_pipeline_file(d->d_name); }

static int by_bytes(const struct dirent **a, const struct dirent **b) { return strcmp((*a)->d_name, (*b)->d_name); }

int pipeline_files(const char *dir, char ***ret, size_t *ret_n, struct err *err) {
    struct dirent **found;
    int n = scandir(dir, &found, keep_pipeline_file, by_bytes);
    if (n < 0) return err_sys(err, errno, "list %s", dir);
    char **paths = xcalloc((size_t)n, sizeof(*paths));
    for (int i = 0; i < n; i++) {
        paths[i] = xasprintf("%s/%s", dir, found[i]->d_name);
        free(found[i]);
    }
    free(found);
    *ret = paths;
    *ret_n = (size_t)n;
    return 0;
}
