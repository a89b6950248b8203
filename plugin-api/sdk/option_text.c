/* SPDX-License-Identifier: Apache-2.0 */
#include "option_text.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static int fail(struct option_set *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static int fail(struct option_set *s, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(s->error, sizeof s->error, fmt, ap);
    va_end(ap);
    return -1;
}

/* Memory behind the values; aborts when there is none left: the amounts are a user's option texts. */
static void *own(struct option_set *s, size_t n) {
    void *p = calloc(1, n ? n : 1);
    if (s->owned_n == s->owned_cap) {
        s->owned_cap = s->owned_cap ? s->owned_cap * 2 : 16;
        s->owned = realloc(s->owned, s->owned_cap * sizeof *s->owned);
    }
    if (!p || !s->owned) abort();
    return s->owned[s->owned_n++] = p;
}
static char *own_text(struct option_set *s, const char *p, size_t n) {
    char *z = own(s, n + 1);
    if (n) memcpy(z, p, n);
    return z;
}

/* ── numbers with units ── */
struct unit { const char *name; int64_t factor; };
static const struct unit sizes[] = {{"", 1}, {"b", 1}, {"k", 1 << 10}, {"ki", 1 << 10}, {"kib", 1 << 10}, {"m", 1 << 20},
    {"mi", 1 << 20}, {"mib", 1 << 20}, {"g", 1 << 30}, {"gi", 1 << 30}, {"gib", 1 << 30}, {"t", 1LL << 40}, {"tib", 1LL << 40}, {NULL, 0}};
static const struct unit times[] = {{"", 1}, {"ms", 1}, {"s", 1000}, {"sec", 1000}, {"m", 60000}, {"min", 60000},
    {"h", 3600000}, {"d", 86400000}, {NULL, 0}};
static const struct unit plain[] = {{"", 1}, {NULL, 0}};

static const char *past_space(const char *s) {
    while (isspace((unsigned char)*s)) s++;
    return s;
}
/* A whole number with one of the units. */
static int number(const char *text, const struct unit *units, int64_t *ret) {
    char *end;
    long long v;
    const char *name;
    text = past_space(text);
    if (!isdigit((unsigned char)*text) && *text != '-') return -1;
    errno = 0;
    v = strtoll(text, &end, 10);
    if (errno || end == text) return -1;
    name = past_space(end);
    for (; units->name; units++)
        if (strcasecmp(units->name, name) == 0) return __builtin_mul_overflow((int64_t)v, units->factor, ret) ? -1 : 0;
    return -1;
}

/* ── one reader a type: fills *v, or returns -1 with the set's error ── */
static int wrong(struct option_set *s, const struct cn_option *o, const char *text, const char *want) {
    if (o->flags & CN_OPT_SECRET) return fail(s, "option %s: the value is not %s", o->name, want);
    return fail(s, "option %s: '%.100s' is not %s", o->name, text, want);
}
static int in_range(struct option_set *s, const struct cn_option *o, const char *text, double v) {
    if ((!o->min && !o->max) || (v >= (double)o->min && v <= (double)o->max)) return 0;
    return fail(s, "option %s: %s is out of range %lld..%lld", o->name, text, (long long)o->min, (long long)o->max);
}
static int read_bool(struct option_set *s, const struct cn_option *o, const char *text, struct cn_option_value *v) {
    if (strcasecmp(text, "true") != 0 && strcasecmp(text, "false") != 0) return wrong(s, o, text, "true or false");
    v->i = strcasecmp(text, "true") == 0;
    return 0;
}
static int read_number(struct option_set *s, const struct cn_option *o, const char *text, struct cn_option_value *v) {
    static const struct { const struct unit *units; const char *want; } how[] = {
        [CN_OPT_INT] = {plain, "a whole number"},
        [CN_OPT_SIZE] = {sizes, "a size such as 65536, 64k or 16MiB"},
        [CN_OPT_MS] = {times, "a duration such as 250ms, 10s or 5 min"},
    };
    if (number(text, how[o->type].units, &v->i) != 0) return wrong(s, o, text, how[o->type].want);
    return in_range(s, o, text, (double)v->i);
}
static int read_double(struct option_set *s, const struct cn_option *o, const char *text, struct cn_option_value *v) {
    char *end;
    v->f = strtod(text, &end);
    if (end == text || *past_space(end) || v->f - v->f != 0) return wrong(s, o, text, "a number");
    return in_range(s, o, text, v->f);
}
static int read_list(struct option_set *s, const struct cn_option *o, const char *text, struct cn_option_value *v) {
    const char **items = own(s, (strlen(text) / 2 + 2) * sizeof *items);
    uint32_t n = 0;
    (void)o;
    while (*past_space(text)) {
        size_t len = strcspn(text, ",");
        const char *from = past_space(text), *end = text + len;
        while (end > from && isspace((unsigned char)end[-1])) end--;
        if (end > from) items[n++] = own_text(s, from, (size_t)(end - from));
        text += len + (text[len] == ',');
    }
    v->list.n = n;
    v->list.items = items;
    return 0;
}
static int read_enum(struct option_set *s, const struct cn_option *o, const char *text, struct cn_option_value *v) {
    char want[256] = "one of";
    size_t n = strlen(want);
    int i;
    for (i = 0; o->choices && o->choices[i]; i++) {
        if (strcasecmp(o->choices[i], text) == 0) {
            v->choice = i;
            v->text = o->choices[i];
            return 0;
        }
        if (n < sizeof want) n += (size_t)snprintf(want + n, sizeof want - n, "%s %s", i ? "," : "", o->choices[i]);
    }
    return wrong(s, o, text, want);
}
static int read_text(struct option_set *s, const struct cn_option *o, const char *text, struct cn_option_value *v) {
    (void)o;
    v->text = own_text(s, text, strlen(text));
    return 0;
}

static const struct {
    const char *name;
    int (*read)(struct option_set *, const struct cn_option *, const char *, struct cn_option_value *);
} types[] = {
    [CN_OPT_STRING] = {"string", read_text},
    [CN_OPT_BOOL] = {"bool", read_bool},
    [CN_OPT_INT] = {"int", read_number},
    [CN_OPT_DOUBLE] = {"double", read_double},
    [CN_OPT_SIZE] = {"size", read_number},
    [CN_OPT_MS] = {"ms", read_number},
    [CN_OPT_LIST] = {"list", read_list},
    [CN_OPT_ENUM] = {"enum", read_enum},
    [CN_OPT_REGEX] = {"regex", read_text},
    [CN_OPT_MAP] = {"map", NULL},
};
#define TYPES (sizeof types / sizeof types[0])

const char *option_type_name(uint8_t type) { return type && type < TYPES ? types[type].name : "unknown"; }

/* ── the set ── */
void option_set_init(struct option_set *s, const struct cn_option *rows, uint32_t n) {
    memset(s, 0, sizeof *s);
    s->rows = rows;
    s->n = n;
    s->values = calloc(n ? n : 1, sizeof *s->values);
    if (!s->values) abort();
}

static int named(const struct cn_option *o, const char *name) {
    const char *a = o->aliases;
    size_t n = strlen(name);
    if (o->type == CN_OPT_MAP) return strncmp(o->name, name, strlen(o->name)) == 0 && name[strlen(o->name)];
    if (strcmp(o->name, name) == 0) return 1;
    while (a && *a) {
        size_t len = strcspn(a, ",");
        if (len == n && memcmp(a, name, n) == 0) return 1;
        a = past_space(a + len + (a[len] == ','));
    }
    return 0;
}
/* Exact rows go before open prefixes. */
static const struct cn_option *find(const struct option_set *s, const char *name) {
    const struct cn_option *prefix = NULL;
    for (uint32_t i = 0; i < s->n; i++) {
        if (!named(&s->rows[i], name)) continue;
        if (s->rows[i].type != CN_OPT_MAP) return &s->rows[i];
        prefix = &s->rows[i];
    }
    return prefix;
}

/* Edit distance, for names up to 63 characters. */
static size_t distance(const char *a, const char *b) {
    size_t row[64], n = strlen(b), i, j;
    if (n > 63 || strlen(a) > 63) return SIZE_MAX;
    for (j = 0; j <= n; j++) row[j] = j;
    for (i = 0; a[i]; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (j = 0; j < n; j++) {
            size_t replace = diagonal + (a[i] != b[j]), other = (row[j] < row[j + 1] ? row[j] : row[j + 1]) + 1;
            diagonal = row[j + 1];
            row[j + 1] = replace < other ? replace : other;
        }
    }
    return row[n];
}
static int unknown(struct option_set *s, const char *name) {
    const char *best = NULL;
    size_t least = strlen(name) / 3 + 2;
    for (uint32_t i = 0; i < s->n; i++) {
        size_t d = distance(name, s->rows[i].name);
        if (d < least) least = d, best = s->rows[i].name;
    }
    if (best) return fail(s, "option %.100s: unknown; did you mean %s?", name, best);
    return fail(s, "option %.100s: unknown", name);
}

static int put_pair(struct option_set *s, const struct cn_option *o, const char *name, const char *text) {
    struct cn_option_value *v = &s->values[o - s->rows];
    const char **names = own(s, (v->pairs.n + 1) * sizeof *names), **values = own(s, (v->pairs.n + 1) * sizeof *values);
    if (v->pairs.n) {
        memcpy(names, v->pairs.names, v->pairs.n * sizeof *names);
        memcpy(values, v->pairs.values, v->pairs.n * sizeof *values);
    }
    names[v->pairs.n] = own_text(s, name, strlen(name));
    values[v->pairs.n] = own_text(s, text, strlen(text));
    v->pairs.names = names;
    v->pairs.values = values;
    v->pairs.n++;
    return 0;
}

static int read_row(struct option_set *s, const struct cn_option *o, const char *text) {
    struct cn_option_value v;
    memset(&v, 0, sizeof v);
    v.type = o->type;
    v.choice = -1;
    if (!o->type || o->type >= TYPES || !types[o->type].read) return fail(s, "option %s: row of unknown type %u", o->name, o->type);
    if (types[o->type].read(s, o, text, &v) != 0) return -1;
    s->values[o - s->rows] = v;
    return 0;
}

int option_set_put(struct option_set *s, const char *name, const char *text) {
    const struct cn_option *o = find(s, name);
    if (!o) return unknown(s, name);
    if (o->flags & CN_OPT_REFUSED) return fail(s, "option %s: not supported: %s", o->name, o->doc ? o->doc : "");
    if (o->type == CN_OPT_MAP) {
        if (put_pair(s, o, name + strlen(o->name), text) != 0) return -1;
        s->values[o - s->rows].type = o->type;
    } else if (read_row(s, o, text) != 0) {
        return -1;
    }
    s->values[o - s->rows].set = 1;
    return 0;
}

int option_set_pair(struct option_set *s, const char *pair) {
    const char *eq = strchr(pair, '=');
    char *name;
    if (!eq || eq == pair) return fail(s, "'%.100s' is not key=value", pair);
    name = own_text(s, pair, (size_t)(eq - pair));
    return option_set_put(s, name, eq + 1);
}

int option_set_finish(struct option_set *s) {
    for (uint32_t i = 0; i < s->n; i++) {
        const struct cn_option *o = &s->rows[i];
        if (s->values[i].type) continue;
        if (o->def && read_row(s, o, o->def) != 0) return -1;
        if (!o->def && o->flags & CN_OPT_REQUIRED) return fail(s, "option %s: required, and not set", o->name);
        if (o->type == CN_OPT_MAP) s->values[i].type = CN_OPT_MAP;
    }
    return 0;
}

const struct cn_option_value *option_set_get(const struct option_set *s, const char *name) {
    for (uint32_t i = 0; i < s->n; i++)
        if (strcmp(s->rows[i].name, name) == 0) return &s->values[i];
    return NULL;
}

void option_set_done(struct option_set *s) {
    for (size_t i = 0; i < s->owned_n; i++) free(s->owned[i]);
    free(s->owned);
    free(s->values);
    memset(s, 0, sizeof *s);
}
