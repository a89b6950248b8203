// SPDX-License-Identifier: Apache-2.0
// Options as JSON: a configuration without its secrets, JSON Schema, and Connect's ConfigKeyInfo.
#include <stdio.h>

#include "base/mem.h"
#include "config/options.h"

void options_json(const struct props *p, const struct option_scope *scopes, size_t n, struct json_writer *w) {
    json_object(w);
    for (size_t i = 0; i < p->n; i++) json_kz(w, p->items[i].key, options_shown(&p->items[i], scopes, n));
    json_object_end(w);
}

static bool offered(const struct cn_option *row) { return !(row->flags & (CN_OPT_REFUSED | CN_OPT_IGNORED)); }

// Every value may also be a text: a secret reference.
static void schema_type(const struct cn_option *row, struct json_writer *w) {
    static const char *const own[] = {[CN_OPT_BOOL] = "boolean", [CN_OPT_INT] = "integer", [CN_OPT_DOUBLE] = "number",
                                      [CN_OPT_SIZE] = "integer", [CN_OPT_MS] = "integer", [CN_OPT_LIST] = "array", [CN_OPT_MAP] = "object"};
    const char *type = row->type < countof(own) ? own[row->type] : NULL;
    json_key(w, STR("type"));
    if (!type || row->type == CN_OPT_MAP) return json_string(w, type ? str_of(type) : STR("string"));
    json_array(w);
    json_string(w, str_of(type));
    json_string(w, STR("string"));
    json_array_end(w);
}

static void schema_limits(const struct cn_option *row, struct json_writer *w) {
    if (row->type == CN_OPT_INT && (row->min || row->max)) {
        json_ki(w, "minimum", row->min);
        if (row->max != INT64_MAX) json_ki(w, "maximum", row->max);
    }
    if (row->type == CN_OPT_LIST) json_key(w, STR("items")), json_raw(w, STR("{\"type\":\"string\"}"));
    if (row->type != CN_OPT_ENUM) return;
    json_key(w, STR("examples"));
    json_array(w);
    for (size_t i = 0; row->choices && row->choices[i]; i++) json_string(w, str_of(row->choices[i]));
    json_array_end(w);
}

static void schema_row(const struct option_scope *s, const struct cn_option *row, struct json_writer *w) {
    char name[256];
    int n = snprintf(name, sizeof(name), "%s%s", s->prefix, row->name);
    if (n < (int)sizeof(name) && row->type == CN_OPT_MAP && n) name[n - 1] = 0; // without the last dot
    json_key(w, str_of(name));
    json_object(w);
    schema_type(row, w);
    schema_limits(row, w);
    if (row->doc) json_kz(w, "description", row->doc);
    if (row->def) json_kz(w, "default", row->def);
    if (row->flags & CN_OPT_SECRET) json_kb(w, "writeOnly", true);
    json_object_end(w);
}

void options_json_schema(const struct option_scope *s, struct json_writer *w) {
    for (size_t i = 0; i < s->n; i++)
        if (offered(&s->rows[i])) schema_row(s, &s->rows[i], w);
}

static const char *connect_type(const struct cn_option *row) {
    if (row->flags & CN_OPT_SECRET) return "PASSWORD";
    switch (row->type) {
    case CN_OPT_BOOL: return "BOOLEAN";
    case CN_OPT_INT: return row->max && row->max <= INT32_MAX && row->min >= INT32_MIN ? "INT" : "LONG";
    case CN_OPT_DOUBLE: return "DOUBLE";
    case CN_OPT_SIZE:
    case CN_OPT_MS: return "LONG";
    case CN_OPT_LIST: return "LIST";
    default: return "STRING";
    }
}

// Clients parse LONG defaults as numbers: "16MiB" is shown as 16777216.
static void connect_default(const struct cn_option *row, struct json_writer *w) {
    struct cn_option_value v;
    char number[24];
    json_key(w, STR("default_value"));
    if (!row->def) return json_null(w);
    if (row->flags & CN_OPT_SECRET) return json_string(w, STR(OPTION_HIDDEN));
    if ((row->type == CN_OPT_SIZE || row->type == CN_OPT_MS) && !option_parse(row, row->def, &v, NULL, NULL)) {
        snprintf(number, sizeof(number), "%lld", (long long)v.i);
        return json_string(w, str_of(number));
    }
    json_string(w, str_of(row->def));
}

void option_config_key(const struct option_scope *s, const struct cn_option *row, int order, struct json_writer *w) {
    char name[256];
    snprintf(name, sizeof(name), "%s%s", s->prefix, row->name);
    json_object(w);
    json_kz(w, "name", name);
    json_kz(w, "type", connect_type(row));
    json_kb(w, "required", row->flags & CN_OPT_REQUIRED);
    connect_default(row, w);
    json_kz(w, "importance", row->flags & CN_OPT_REQUIRED ? "HIGH" : row->flags & CN_OPT_ADVANCED ? "LOW" : "MEDIUM");
    json_kz(w, "documentation", row->doc ? row->doc : "");
    json_kz(w, "group", row->group);
    json_kz(w, "width", "MEDIUM");
    json_kz(w, "display_name", name);
    json_key(w, STR("dependents")), json_array(w), json_array_end(w);
    json_ki(w, "order", order);
    json_object_end(w);
}

void options_config_keys(const struct option_scope *s, struct json_writer *w) {
    int order = 0;
    json_array(w);
    for (size_t i = 0; i < s->n; i++)
        if (offered(&s->rows[i]) && s->rows[i].type != CN_OPT_MAP) option_config_key(s, &s->rows[i], ++order, w);
    json_array_end(w);
}
