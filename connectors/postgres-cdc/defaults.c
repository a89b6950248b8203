/* SPDX-License-Identifier: Apache-2.0 */
#include "defaults.h"

#include <ctype.h>
#include <stdio.h>
#include <strings.h>

/* What stands for a generated value, by type. A type without a row has no defaults. */
static const struct { const char *type, *generated; uint8_t null_cast; } rows[] = {
    {"bit", "00", 0},        {"varbit", "0", 0},          {"bool", "f", 1},       {"bpchar", "", 0},
    {"varchar", "", 0},      {"text", "", 0},             {"numeric", "0.0", 1},  {"float4", "0.0", 1},
    {"float8", "0.0", 1},    {"int2", "0", 1},            {"int4", "0", 1},       {"int8", "0", 1},
    {"json", "{}", 0},       {"jsonb", "{}", 0},          {"xml", "", 0},
    {"uuid", "00000000-0000-0000-0000-000000000000", 0},  {"date", "1970-01-01", 0},
    {"time", "00:00:00", 0}, {"timestamp", "1970-01-01 00:00:00", 0},
    {"timestamptz", "1970-01-01 00:00:00+00", 0},         {"interval", "00:00:00", 0},
};

static const char *const clocks[] = {"current_timestamp", "current_time", "current_date", "localtime", "localtimestamp"};

/* name(…) or (name(…, perhaps with a schema. */
static int is_call(const char *e) {
    const char *p = e + (*e == '(');
    const char *start = p;
    while (isalnum((unsigned char)*p) || *p == '_' || *p == '.') p++;
    return p > start && *p == '(' && strchr(p, ')');
}

static int is_generated(const char *e) {
    for (size_t i = 0; i < sizeof clocks / sizeof clocks[0]; i++)
        if (strcasecmp(e, clocks[i]) == 0) return 1;
    return is_call(e);
}

static int64_t put(const char *p, size_t n, char *out, size_t cap) {
    if (n >= cap) return -1;
    memcpy(out, p, n);
    out[n] = 0;
    return (int64_t)n;
}

/* 'it''s'::text → it's */
static int64_t take_quoted(const char *quote, char *out, size_t cap) {
    size_t n = 0;
    for (const char *p = quote + 1; *p; p++) {
        if (*p == '\'' && *++p != '\'') {
            out[n] = 0;
            return (int64_t)n;
        }
        if (n + 1 >= cap) return -1;
        out[n++] = *p;
    }
    return -1;
}

/* 'ok'::mood, also with a schema before the type; the type must be the column's. */
static int64_t enum_text(const char *e, const char *type, char *out, size_t cap) {
    const char *cast = NULL;
    for (const char *p = e; (p = strstr(p, "::")) != NULL; p += 2) cast = p;
    if (!cast || *e != '\'') return -1;
    const char *name = cast + 2, *dot = strrchr(name, '.');
    char want[80];
    if (dot) name = dot + 1;
    snprintf(want, sizeof want, "\"%s\"", type);
    if (strcmp(name, type) != 0 && strcmp(name, want) != 0) return -1;
    return take_quoted(e, out, cap);
}

/* Texts that PostgreSQL would accept but does not print. */
static int64_t normalise(const char *type, char *out, int64_t n, size_t cap) {
    if (n > 0 && strcmp(type, "bool") == 0) return put(strcasecmp(out, "true") == 0 || strcasecmp(out, "t") == 0 ? "t" : "f", 1, out, cap);
    if (n == 10 && strcmp(type, "timestamp") == 0 && (size_t)n + 10 < cap) {
        memcpy(out + n, " 00:00:00", sizeof " 00:00:00");
        return n + 9;
    }
    return n;
}

int64_t default_text(const char *e, const char *type, int is_enum, char *out, size_t cap) {
    size_t row = 0, count = sizeof rows / sizeof rows[0];
    while (*e == ' ') e++;
    if (is_enum) return enum_text(e, type, out, cap);
    while (row < count && strcmp(rows[row].type, type) != 0) row++;
    if (row == count || strncmp(e, "NULL::", 6) == 0 || strcasecmp(e, "NULL") == 0) return -1;
    if (is_generated(e)) return put(rows[row].generated, strlen(rows[row].generated), out, cap);
    const char *quote = strchr(e, '\'');
    int64_t n = quote ? take_quoted(quote, out, cap) : put(e, strlen(e), out, cap);
    return n < 0 ? n : normalise(type, out, n, cap);
}
