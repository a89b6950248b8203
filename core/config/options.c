// SPDX-License-Identifier: Apache-2.0
// Rows against what was written: finding a key's row, reading a scope's values, naming unknown keys, deciding what is secret.
#include "config/options.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

struct option_values {
    const struct cn_option *rows;
    size_t n;
    struct cn_option_value *values; // one a row
    const struct prop **from;       // while reading: the prop each row was set by
    struct arena texts;
    struct arena secrets; // wiped at the end
};

// ── finding rows ──

static bool is_alias(const struct cn_option *row, struct str key) {
    struct str rest = str_of(row->aliases), part;
    while (str_split(&rest, ',', &part))
        if (str_eq(str_trim(part), key)) return true;
    return false;
}

static const struct cn_option *exact_row(const struct option_scope *s, struct str key) {
    for (size_t i = 0; i < s->n; i++)
        if (s->rows[i].type != CN_OPT_MAP && (str_eqz(key, s->rows[i].name) || is_alias(&s->rows[i], key))) return &s->rows[i];
    return NULL;
}

// The longest open prefix that the key goes on after.
static const struct cn_option *prefix_row(const struct option_scope *s, struct str key) {
    const struct cn_option *best = NULL;
    for (size_t i = 0; i < s->n; i++) {
        struct str prefix = str_of(s->rows[i].name);
        if (s->rows[i].type != CN_OPT_MAP || key.n <= prefix.n || !str_starts(key, prefix)) continue;
        if (!best || strlen(best->name) < prefix.n) best = &s->rows[i];
    }
    return best;
}

static bool has_rows_below(const struct option_scope *s, struct str key) {
    for (size_t i = 0; i < s->n; i++) {
        struct str name = str_of(s->rows[i].name);
        if (name.n > key.n && str_starts(name, key) && name.p[key.n] == '.') return true;
    }
    return false;
}

// A key that is both value and prefix, in map form: `snapshot.mode: {type: …, …}` gives snapshot.mode.type.
static const struct cn_option *typed_row(const struct option_scope *s, struct str key) {
    if (!str_ends(key, STR(".type"))) return NULL;
    struct str base = str_first(key, key.n - 5);
    return has_rows_below(s, base) ? exact_row(s, base) : NULL;
}

const struct cn_option *options_find(const struct option_scope *s, const char *key) {
    struct str rest = str_of(key), prefix = str_of(s->prefix);
    if (!str_starts(rest, prefix)) return NULL;
    rest = str_from(rest, prefix.n);
    const struct cn_option *row = exact_row(s, rest);
    if (!row) row = typed_row(s, rest);
    return row ? row : prefix_row(s, rest);
}

// ── reading values ──

struct reading {
    const struct option_read *r;
    struct option_values *v;
    struct findings *f;
    int failed;
};

static struct cn_option_value *value_of(struct option_values *v, const struct cn_option *row) { return &v->values[row - v->rows]; }

static void fail_at(struct reading *x, const struct prop *p, const struct err *err) {
    x->failed = findings_error(x->f, p->at, p->key, "option %s: %s", p->key, err->msg);
    if (err->hint[0]) findings_hint(x->f, "%s", err->hint);
}

// The text with its references replaced, or NULL after reporting. Without secrets a reference is only checked.
static const char *resolved(struct reading *x, const struct prop *p, const char *text) {
    struct err err;
    if (!interpolate_has_reference(str_of(text)) && !strstr(text, "$${")) return text;
    if (!x->r->secrets) {
        if (!interpolate_check(str_of(text), &err)) return text;
        return fail_at(x, p, &err), NULL;
    }
    struct buf out = {.limit = 1024 * 1024};
    const char *result = NULL;
    if (interpolate(x->r->secrets, str_of(text), &out, &err)) fail_at(x, p, &err);
    else result = arena_copy(&x->v->secrets, buf_str(&out)).p;
    if (out.p) explicit_bzero(out.p, out.cap);
    buf_done(&out);
    return result;
}

static struct arena *texts_for(struct reading *x, const struct cn_option *row, const struct prop *p) {
    return p->secret || row->flags & CN_OPT_SECRET ? &x->v->secrets : &x->v->texts;
}

// A reference that was not resolved can only be taken as it is.
static bool stays_open(const struct reading *x, const struct prop *p) { return p->secret && !x->r->secrets; }

static void read_items(struct reading *x, const struct cn_option *row, const struct prop *p) {
    const char **items = arena_alloc(&x->v->texts, (p->item_count + 1) * sizeof(*items));
    for (size_t i = 0; i < p->item_count; i++) {
        const char *text = resolved(x, p, p->items[i]);
        if (!text) return;
        items[i] = arena_copy(texts_for(x, row, p), str_of(text)).p;
    }
    *value_of(x->v, row) =
        (struct cn_option_value){.type = CN_OPT_LIST, .set = 1, .choice = -1, .list = {(uint32_t)p->item_count, items}};
}

// A list written as text is split before references are replaced: a secret may hold a comma.
static void read_list_text(struct reading *x, const struct cn_option *row, const struct prop *p) {
    struct cn_option_value v;
    if (option_parse(row, p->value, &v, &x->v->texts, NULL)) return;
    const char **items = arena_alloc(&x->v->texts, (v.list.n + 1) * sizeof(*items));
    for (uint32_t i = 0; i < v.list.n; i++) {
        const char *text = resolved(x, p, v.list.items[i]);
        if (!text) return;
        items[i] = arena_copy(texts_for(x, row, p), str_of(text)).p;
    }
    v.list.items = items;
    v.set = 1;
    *value_of(x->v, row) = v;
}

// With a secret inside, what is wrong must not repeat it.
static void read_text(struct reading *x, const struct cn_option *row, const struct prop *p) {
    struct err err;
    struct cn_option_value v = {0};
    struct cn_option hidden = *row;
    const char *text = resolved(x, p, p->value);
    if (!text) return;
    if (p->secret) hidden.flags |= CN_OPT_SECRET;
    if (stays_open(x, p) && row->type != CN_OPT_STRING) {
        *value_of(x->v, row) = (struct cn_option_value){.set = 1, .choice = -1};
        return;
    }
    if (option_parse(&hidden, text, &v, texts_for(x, row, p), &err)) return fail_at(x, p, &err);
    v.set = 1;
    *value_of(x->v, row) = v;
}

static void read_pair(struct reading *x, const struct cn_option *row, const struct prop *p) {
    struct cn_option_value *v = value_of(x->v, row);
    uint32_t n = v->pairs.n;
    const char *text = resolved(x, p, p->value);
    if (!text) return;
    const char **names = arena_alloc(&x->v->texts, (n + 1) * sizeof(*names));
    const char **values = arena_alloc(&x->v->texts, (n + 1) * sizeof(*values));
    if (n) memcpy(names, v->pairs.names, n * sizeof(*names));
    if (n) memcpy(values, v->pairs.values, n * sizeof(*values));
    names[n] = arena_copy(&x->v->texts, str_of(p->key + strlen(x->r->scope->prefix) + strlen(row->name))).p;
    values[n] = arena_copy(texts_for(x, row, p), str_of(text)).p;
    *v = (struct cn_option_value){.type = CN_OPT_MAP, .set = 1, .choice = -1, .pairs = {n + 1, names, values}};
}

static bool refused(struct reading *x, const struct cn_option *row, const struct prop *p) {
    if (row->flags & CN_OPT_REFUSED) {
        x->failed = findings_error(x->f, p->key_at, p->key, "option %s is not supported%s%s", p->key,
                                   row->doc ? ": " : "", row->doc ? row->doc : "");
        return true;
    }
    if (row->flags & CN_OPT_IGNORED)
        findings_warn(x->f, p->key_at, p->key, "option %s has no effect here%s%s", p->key, row->doc ? ": " : "",
                      row->doc ? row->doc : "");
    return row->flags & CN_OPT_IGNORED;
}

static bool already_set(struct reading *x, const struct cn_option *row, const struct prop *p) {
    const struct prop **from = &x->v->from[row - x->v->rows], *first = *from;
    *from = p;
    if (!first || row->type == CN_OPT_MAP) return false;
    x->failed = findings_error(x->f, p->key_at, p->key, "options %s and %s (line %d) are the same", p->key, first->key,
                               first->key_at.line);
    return true;
}

static void read_prop(struct reading *x, const struct cn_option *row, const struct prop *p) {
    if (refused(x, row, p) || already_set(x, row, p)) return;
    if (row->type == CN_OPT_MAP) read_pair(x, row, p);
    else if (row->type != CN_OPT_LIST && p->is_list) {
        x->failed = findings_error(x->f, p->at, p->key, "option %s takes one %s, not a list", p->key, option_type_text(row));
    } else if (p->is_list) read_items(x, row, p);
    else if (row->type == CN_OPT_LIST) read_list_text(x, row, p);
    else read_text(x, row, p);
}

static void missing(struct reading *x, const struct cn_option *row) {
    x->failed = findings_error(x->f, x->r->at, row->name, "option %s%s is required%s%s", x->r->scope->prefix, row->name,
                               x->r->scope->owner ? " by " : "", x->r->scope->owner ? x->r->scope->owner : "");
    if (row->doc) findings_hint(x->f, "%s", row->doc);
}

static void read_default(struct reading *x, const struct cn_option *row) {
    struct err err;
    struct cn_option_value *v = value_of(x->v, row);
    if (x->v->from[row - x->v->rows]) return; // set, right or wrong
    if (row->flags & (CN_OPT_REFUSED | CN_OPT_IGNORED)) return;
    if (row->def && option_parse(row, row->def, v, &x->v->texts, &err)) {
        x->failed = findings_error(x->f, x->r->at, row->name, "option %s: its default is wrong: %s", row->name, err.msg);
    }
    if (!row->def && row->flags & CN_OPT_REQUIRED) missing(x, row);
    if (row->type == CN_OPT_MAP) *v = (struct cn_option_value){.type = CN_OPT_MAP, .choice = -1};
}

int options_read(const struct option_read *r, struct findings *f, struct option_values **ret) {
    const struct option_scope *s = r->scope;
    struct option_values *v = xcalloc(1, sizeof(*v));
    struct reading x = {.r = r, .v = v, .f = f};
    v->rows = s->rows;
    v->n = s->n;
    v->values = xcalloc(s->n, sizeof(*v->values));
    v->from = xcalloc(s->n, sizeof(*v->from));
    for (size_t i = 0; i < s->n; i++) v->values[i].choice = -1;
    for (size_t i = 0; i < r->props->n; i++) {
        const struct cn_option *row = options_find(s, r->props->items[i].key);
        if (row) read_prop(&x, row, &r->props->items[i]);
    }
    for (size_t i = 0; i < s->n; i++) read_default(&x, &s->rows[i]);
    free(v->from);
    v->from = NULL;
    *ret = v;
    return x.failed;
}

const struct cn_option_value *option_values_get(const struct option_values *v, const char *name) {
    for (size_t i = 0; v && i < v->n; i++)
        if (!strcmp(v->rows[i].name, name)) return &v->values[i];
    return NULL;
}

static void bind_one(const struct cn_option *row, const struct cn_option_value *v, char *to) {
    switch (row->type) {
    case CN_OPT_BOOL: *(uint8_t *)to = v->i != 0; break;
    case CN_OPT_INT:
    case CN_OPT_SIZE:
    case CN_OPT_MS: memcpy(to, &v->i, sizeof(v->i)); break;
    case CN_OPT_DOUBLE: memcpy(to, &v->f, sizeof(v->f)); break;
    case CN_OPT_LIST: memcpy(to, &v->list, sizeof(v->list)); break;
    case CN_OPT_ENUM: memcpy(to, &v->choice, sizeof(v->choice)); break;
    case CN_OPT_MAP: memcpy(to, &v->pairs, sizeof(v->pairs)); break;
    default: memcpy(to, &v->text, sizeof(v->text)); break;
    }
}

void option_values_bind(const struct option_values *v, void *self) {
    for (size_t i = 0; i < v->n; i++)
        if (v->rows[i].at != CN_NOT_BOUND) bind_one(&v->rows[i], &v->values[i], (char *)self + v->rows[i].at);
}

void option_values_free(struct option_values *v) {
    if (!v) return;
    arena_wipe(&v->secrets);
    arena_done(&v->texts);
    free(v->values);
    free(v->from);
    free(v);
}

// ── unknown keys ──

struct nearest {
    struct str key;
    unsigned distance;
    char name[256];
};

// A name written without its prefix ("hostname" for database.hostname) is near, whatever its length.
static unsigned key_distance(struct str key, struct str name, unsigned limit) {
    bool tail = name.n > key.n + 1 && str_ends(name, key) && name.p[name.n - key.n - 1] == '.';
    return tail ? 1 : str_distance(key, name, limit);
}

static void try_name(struct nearest *n, const char *prefix, struct str name) {
    char full[256];
    int length = snprintf(full, sizeof(full), "%s%.*s", prefix, STR_FMT(name));
    if (length >= (int)sizeof(full)) return;
    unsigned d = key_distance(n->key, str_make(full, (size_t)length), n->distance);
    if (d >= n->distance) return;
    n->distance = d;
    memcpy(n->name, full, (size_t)length + 1);
}

static void try_scope(struct nearest *n, const struct option_scope *s) {
    for (size_t i = 0; i < s->n; i++) {
        struct str rest = str_of(s->rows[i].aliases), part;
        if (s->rows[i].flags & CN_OPT_REFUSED) continue;
        if (s->rows[i].type != CN_OPT_MAP) try_name(n, s->prefix, str_of(s->rows[i].name));
        while (str_split(&rest, ',', &part)) try_name(n, s->prefix, str_trim(part));
    }
}

static void report_unknown(const struct prop *p, const struct option_scope *scopes, size_t n, struct findings *f) {
    struct nearest near = {.key = str_of(p->key), .distance = (unsigned)strlen(p->key) / 4 + 2};
    for (size_t i = 0; i < n; i++) try_scope(&near, &scopes[i]);
    findings_error(f, p->key_at, p->key, "option %s is unknown", p->key);
    if (near.name[0]) findings_hint(f, "did you mean %s?", near.name);
}

static bool known(const char *key, const struct option_scope *scopes, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (options_find(&scopes[i], key)) return true;
    return false;
}

void options_unknown(const struct props *p, const struct option_scope *scopes, size_t n, struct findings *f) {
    for (size_t i = 0; i < p->n; i++)
        if (!known(p->items[i].key, scopes, n)) report_unknown(&p->items[i], scopes, n, f);
}

// ── secrets ──

static bool sounds_secret(const char *key) {
    static const char *const words[] = {"password",   "passwd",      "passphrase", "secret", "token",
                                        "credential", "private.key", "api.key",    "apikey", "authorization"};
    for (size_t i = 0; i < countof(words); i++)
        if (strcasestr(key, words[i])) return true;
    return false;
}

// By what it is called, whatever stands in it.
static bool is_secret_option(const struct prop *p, const struct option_scope *scopes, size_t n) {
    for (size_t i = 0; i < n; i++) {
        const struct cn_option *row = options_find(&scopes[i], p->key);
        if (row && row->type != CN_OPT_MAP) return row->flags & CN_OPT_SECRET;
        if (row && row->flags & CN_OPT_SECRET) return true;
    }
    return sounds_secret(p->key);
}

bool options_is_secret(const struct prop *p, const struct option_scope *scopes, size_t n) {
    return p->secret || is_secret_option(p, scopes, n);
}

// A reference says where a secret is, not what it is; but text beside it may be half of one.
const char *options_shown(const struct prop *p, const struct option_scope *scopes, size_t n) {
    bool hide = is_secret_option(p, scopes, n) && !interpolate_is_reference(str_of(p->value));
    return hide ? OPTION_HIDDEN : p->value;
}
