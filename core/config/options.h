// SPDX-License-Identifier: Apache-2.0
// Option tables (connectd/option.h) put to use: texts to typed values, unknown keys, defaults, redaction, and the renderings
// of a table as help, JSON Schema and Connect's ConfigKeyInfo.
//
// Rows are static data of core or of plugins (as the loader copied them: sizeof(struct cn_option) apart). A set of values
// owns its texts and is immutable once read: any thread may get from it.
#ifndef CONFIG_OPTIONS_H
#define CONFIG_OPTIONS_H

#include <connectd/option.h>

#include "base/json.h"
#include "base/mem.h"
#include "config/interpolate.h"
#include "config/props.h"

// Rows that apply to the keys below a prefix: "" for a connector's own, "transforms.unwrap." for a transform's.
struct option_scope {
    const char *prefix;
    const struct cn_option *rows;
    size_t n;
    const char *owner; // "connector postgres-cdc", "transform unwrap": for messages
};

// ── values ──

struct option_values;
struct option_read {
    const struct option_scope *scope;
    const struct props *props;
    const struct secret_places *secrets; // NULL: references are not resolved; such values are only checked for their syntax
    struct place at;                     // where a missing required option is reported
};
// Types everything of the scope. Reports wrong values, missing required and refused options; unknown keys are left to
// options_unknown. Fills *ret also after errors (values that are wrong are unset); -1 when there were any.
int options_read(const struct option_read *r, struct findings *f, struct option_values **ret);
// The value of a row's name (without prefix); NULL when no row has it. A value that is neither set nor defaulted has type 0.
const struct cn_option_value *option_values_get(const struct option_values *v, const char *name);
// Writes every bound row's value into `self` by its `at`, as cn_options_bind does: unset becomes zero, NULL, empty, ENUM -1.
void option_values_bind(const struct option_values *v, void *self);
void option_values_free(struct option_values *v); // NULL is fine; wipes what was secret

// Types one text by a row, without secrets or places: 0, or -1 with the reason ("'5x' is not a whole number").
int option_parse(const struct cn_option *row, const char *text, struct cn_option_value *ret, struct arena *texts, struct err *err);

// ── keys ──

// The row that a key of the scope stands for: by name, alias or open prefix; NULL when none does. ret_canonical (may be
// NULL) gets the row's own name for an alias.
const struct cn_option *options_find(const struct option_scope *s, const char *key);
// Reports keys that belong to none of the scopes, with the nearest name.
void options_unknown(const struct props *p, const struct option_scope *scopes, size_t n, struct findings *f);
// Whether a resolved value must never be shown: a secret row's, one with a secret reference, or, for a key no row knows, one whose name
// sounds like a secret (password, secret, token, key...).
bool options_is_secret(const struct prop *p, const struct option_scope *scopes, size_t n);
#define OPTION_HIDDEN "[hidden]"
// What may be shown of a value: as written, or OPTION_HIDDEN.
const char *options_shown(const struct prop *p, const struct option_scope *scopes, size_t n);
// The configuration as an object of texts, as REST shows it: references as written, other secrets hidden.
void options_json(const struct props *p, const struct option_scope *scopes, size_t n, struct json_writer *w);

// ── renderings ──

const char *option_type_text(const struct cn_option *row);          // "size"
void option_shape(const struct cn_option *row, struct buf *out);     // "number, 1 to 65535"; "one of none, all"
void options_wrap(struct buf *out, const char *text, size_t indent, const char *lead); // words in lines, each after `lead`
void options_help(const struct option_scope *s, bool advanced, struct buf *out);   // --help text, grouped, wrapped at 100
void options_markdown(const struct option_scope *s, struct buf *out);              // a manual's table
// "name": {schema}, ... as members of an open "properties" object.
void options_json_schema(const struct option_scope *s, struct json_writer *w);
// An array of ConfigKeyInfo (GET /connector-plugins/{p}/config); refused and ignored rows are left out.
void options_config_keys(const struct option_scope *s, struct json_writer *w);
void option_config_key(const struct option_scope *s, const struct cn_option *row, int order, struct json_writer *w);

#endif
