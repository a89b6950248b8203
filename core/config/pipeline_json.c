// SPDX-License-Identifier: Apache-2.0
// Kafka Connect's connector JSON: {"name": …, "config": {…}}, the flat map alone, or an array of either.
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/mem.h"
#include "config/pipeline_int.h"

struct json_config {
    struct json_reader r;
    const char *file;
    struct findings *f;
    struct str text;
    size_t seen;       // places are asked for in order: what was counted so far
    struct place last; // is the place of `seen`
};

static struct place json_place(struct json_config *j, size_t at) {
    for (; j->seen < at && j->seen < j->text.n; j->seen++) {
        j->last.column++;
        if (j->text.p[j->seen] == '\n') j->last.line++, j->last.column = 1;
    }
    return j->last;
}

static int json_fail(struct json_config *j) {
    return findings_error(j->f, json_place(j, j->r.at), NULL, "%s", j->r.error ? j->r.error : "malformed JSON");
}

// Where the next token begins.
static size_t token_start(const struct json_config *j) {
    size_t at = j->r.at;
    while (at < j->text.n && strchr(" \t\r\n,", j->text.p[at])) at++;
    return at;
}

static int add_option(struct json_config *j, struct connector_config *c, struct str key, struct place key_at,
                      struct str value, struct place at) {
    _cleanup_free_ char *name = str_dup(key);
    const struct prop *first = props_get(&c->props, name);
    if (!key.n || str_find(key, 0, 0) < key.n || str_find(value, 0, 0) < value.n) {
        return findings_error(j->f, key_at, NULL, "an option's name is empty, or it or its value contains a NUL character");
    }
    if (first)
        return findings_error(j->f, key_at, name, "option %s is given twice: it is also in line %d", name,
                              first->key_at.line);
    props_add(&c->props, key, value, at)->key_at = key_at;
    return 0;
}

static int not_flat(struct json_config *j, const char *key, struct place at) {
    if (!json_skip(&j->r)) return json_fail(j);
    findings_error(j->f, at, key, "option %s is an object or array: options are texts", key);
    return findings_hint(j->f, "write its parts under dotted names, lists with commas");
}

// The value after a key, as an option. A null is the same as an absent key.
static int read_option(struct json_config *j, struct connector_config *c, struct str key, struct place key_at) {
    struct place at = json_place(j, token_start(j));
    _cleanup_free_ char *name = str_dup(key);
    switch (json_next(&j->r)) {
    case JSON_STRING:
    case JSON_NUMBER: return add_option(j, c, str_of(name), key_at, j->r.text, at);
    case JSON_TRUE: return add_option(j, c, str_of(name), key_at, STR("true"), at);
    case JSON_FALSE: return add_option(j, c, str_of(name), key_at, STR("false"), at);
    case JSON_NULL: return 0;
    case JSON_OBJECT:
    case JSON_ARRAY: return not_flat(j, name, at);
    default: return json_fail(j);
    }
}

static int read_options(struct json_config *j, struct connector_config *c);

// `name` may stand beside the options and among them, if it is the same.
static int read_json_name(struct json_config *j, struct connector_config *c, struct place at) {
    const struct prop *before = props_get(&c->props, "name");
    if (!before) return read_option(j, c, STR("name"), at);
    if (json_next(&j->r) != JSON_STRING) return j->r.error ? json_fail(j) : findings_error(j->f, at, "name", "a name is a text");
    if (str_eqz(j->r.text, before->value)) return 0;
    return findings_error(j->f, at, "name", "the connector has two names: %s in line %d, and %.*s", before->value,
                          before->at.line, STR_FMT(str_first(j->r.text, 100)));
}

// One member of the outer object: `config` holds the options; anything else is one (the flat form).
static int read_json_member(struct json_config *j, struct connector_config *c) {
    struct place at = json_place(j, token_start(j));
    enum json_token t = json_next(&j->r);
    if (t == JSON_OBJECT_END) return 1;
    if (t != JSON_KEY) return json_fail(j);
    _cleanup_free_ char *key = str_dup(j->r.text);
    size_t start = token_start(j);
    bool object = start < j->text.n && j->text.p[start] == '{', array = start < j->text.n && j->text.p[start] == '[';
    if (!strcmp(key, "config") && object) return json_next(&j->r) == JSON_OBJECT ? read_options(j, c) : json_fail(j);
    // What GET /connectors/NAME gives beside name and config, and what POST may have.
    if (!strcmp(key, "tasks") && array) return json_skip(&j->r) ? 0 : json_fail(j);
    if (!strcmp(key, "type") || !strcmp(key, "initial_state")) return json_skip(&j->r) ? 0 : json_fail(j);
    return !strcmp(key, "name") ? read_json_name(j, c, at) : read_option(j, c, str_of(key), at);
}

static int read_options(struct json_config *j, struct connector_config *c) {
    int failed = 0;
    for (;;) {
        struct place at = json_place(j, token_start(j));
        enum json_token t = json_next(&j->r);
        if (t == JSON_OBJECT_END) return failed;
        if (t != JSON_KEY) return json_fail(j);
        _cleanup_free_ char *key = str_dup(j->r.text);
        failed |= !strcmp(key, "name") ? read_json_name(j, c, at) : read_option(j, c, str_of(key), at);
        if (j->r.error) return -1;
    }
}

static int name_connector(struct json_config *j, struct connector_config *c, const char *given) {
    const struct prop *name = props_get(&c->props, "name");
    if (!name && !given) {
        return findings_error(j->f, c->at, "name", "the connector has no name");
    }
    c->name = xstrdup(given ? given : name->value);
    bool ok = pipeline_name_ok(str_of(c->name));
    if (!ok) findings_error(j->f, name ? name->at : c->at, "name", "'%.120s' can not be the name of a connector", c->name);
    if (!ok) findings_hint(j->f, PIPELINE_NAME_HINT);
    props_remove(&c->props, "name");
    return ok ? 0 : -1;
}

static int class_connector(struct json_config *j, struct connector_config *c) {
    const char *class_name = props_text(&c->props, "connector.class", props_text(&c->props, "connector", NULL));
    if (!class_name) {
        findings_error(j->f, c->at, "connector.class", "connector %s has no connector.class", c->name ? c->name : "");
        return -1;
    }
    c->is_source = !props_get(&c->props, "topics") && !props_get(&c->props, "topics.regex");
    pipeline_set_plugin(c, class_name);
    props_remove(&c->props, "connector.class");
    props_remove(&c->props, "connector");
    return 0;
}

// After the object's opening bracket.
static int read_json_connector(struct json_config *j, struct connector_config *c, const char *given) {
    int failed = 0, end;
    while (!(end = read_json_member(j, c)) || (end < 0 && !j->r.error)) failed |= end;
    if (end < 0) return -1;
    return failed | name_connector(j, c, given) | class_connector(j, c);
}

static int read_json_array(struct json_config *j, struct pipeline *p) {
    int failed = 0;
    for (;;) {
        struct place at = json_place(j, token_start(j));
        enum json_token t = json_next(&j->r);
        if (t == JSON_ARRAY_END) return failed;
        if (t != JSON_OBJECT) return t == JSON_BAD ? json_fail(j) : findings_error(j->f, at, NULL, "a connector is an object");
        struct connector_config *c = pipeline_add(p);
        c->at = at;
        failed |= read_json_connector(j, c, NULL);
        if (j->r.error) return -1;
    }
}

static int read_json_document(struct json_config *j, struct pipeline *p, const char *given) {
    struct place at = json_place(j, token_start(j));
    enum json_token t = json_next(&j->r);
    int failed;
    if (t == JSON_ARRAY && !given) failed = read_json_array(j, p);
    else if (t == JSON_OBJECT) {
        struct connector_config *c = pipeline_add(p);
        c->at = at;
        failed = read_json_connector(j, c, given);
    } else return t == JSON_BAD ? json_fail(j) : findings_error(j->f, at, NULL, "a connector is an object");
    if (!failed && json_next(&j->r) != JSON_END) failed = json_fail(j);
    return failed;
}

static int parse_json(struct pipeline *p, const char *given, struct str text, struct findings *f) {
    struct json_config j = {.file = p->file, .f = f, .text = text, .last = {p->file, 1, 1}};
    json_reader_init(&j.r, text);
    int failed = read_json_document(&j, p, given);
    json_reader_done(&j.r);
    return failed;
}

int pipeline_parse_json(struct pipeline *p, struct str text, struct findings *f) {
    if (parse_json(p, NULL, text, f)) return -1;
    for (size_t i = 0; i < p->n; i++)
        for (size_t k = 0; k < i; k++)
            if (!strcmp(p->connectors[i].name, p->connectors[k].name))
                return findings_error(f, p->connectors[i].at, NULL,
                                      "connector %s is defined twice: it is also in line %d", p->connectors[i].name,
                                      p->connectors[k].at.line);
    return 0;
}

int pipeline_connector_json(const char *name, struct str json, struct connector_config **ret, struct findings *f) {
    struct pipeline p = {0};
    size_t errors = f->errors;
    *ret = NULL;
    int failed = parse_json(&p, name, json, f);
    if (!failed && f->errors == errors) {
        *ret = xmemdup(&p.connectors[0], sizeof(**ret));
        p.n = 0;
    }
    for (size_t i = 0; i < p.n; i++) pipeline_done_connector(&p.connectors[i]);
    free(p.connectors);
    return *ret ? 0 : -1;
}
