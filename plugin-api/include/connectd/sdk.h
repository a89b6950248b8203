/* SPDX-License-Identifier: Apache-2.0 */
/* Conveniences for plugin authors, all inline: option rows and binding, log and failure with printf formats, descriptor
 * macros, and the small flat JSON objects that positions are.
 *
 * Includes everything a connector needs. C99, C11 and C++17; nothing to link. */
#ifndef CONNECTD_SDK_H
#define CONNECTD_SDK_H

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <connectd/build.h>
#include <connectd/plugin.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define CN_PRINTF_(fmt, args) __attribute__((format(printf, fmt, args), unused))
#else
#define CN_PRINTF_(fmt, args)
#endif

/* ── option rows ─────────────────────────────────────────────────────────────────────────────────────────────────────
 *   struct opts { const char *url; int64_t timeout; uint8_t gzip; int32_t mode; };
 *   static const char *const modes[] = {"array", "lines", NULL};
 *   static const struct cn_option options[] = {
 *       CN_STR("url", struct opts, url, NULL, CN_OPT_REQUIRED, "Connection", "Where to send."),
 *       CN_MS("timeout", struct opts, timeout, "30s", 1, 600000, 0, "Connection", "How long a request may take."),
 *       CN_BOOL("gzip", struct opts, gzip, "false", 0, "Body", "Whether to compress."),
 *       CN_ENUM("mode", struct opts, mode, "array", modes, 0, "Body", "The form of a body."),
 *   };
 * A member of the wrong size does not compile. */
#define CN_MEMBER_(T, member, type)                                                                                    \
    ((uint32_t)(offsetof(T, member) + 0 * sizeof(char[sizeof(((T *)0)->member) == sizeof(type) ? 1 : -1])))

#define CN_STR(name, T, member, def, flags, group, doc)                                                                \
    {name, CN_OPT_STRING, flags, 0, CN_MEMBER_(T, member, const char *), def, 0, 0, NULL, group, doc, NULL}
#define CN_BOOL(name, T, member, def, flags, group, doc)                                                               \
    {name, CN_OPT_BOOL, flags, 0, CN_MEMBER_(T, member, uint8_t), def, 0, 0, NULL, group, doc, NULL}
#define CN_INT(name, T, member, def, min, max, flags, group, doc)                                                      \
    {name, CN_OPT_INT, flags, 0, CN_MEMBER_(T, member, int64_t), def, min, max, NULL, group, doc, NULL}
#define CN_DOUBLE(name, T, member, def, min, max, flags, group, doc)                                                   \
    {name, CN_OPT_DOUBLE, flags, 0, CN_MEMBER_(T, member, double), def, min, max, NULL, group, doc, NULL}
#define CN_SIZE(name, T, member, def, min, max, flags, group, doc)                                                     \
    {name, CN_OPT_SIZE, flags, 0, CN_MEMBER_(T, member, int64_t), def, min, max, NULL, group, doc, NULL}
#define CN_MS(name, T, member, def, min, max, flags, group, doc)                                                       \
    {name, CN_OPT_MS, flags, 0, CN_MEMBER_(T, member, int64_t), def, min, max, NULL, group, doc, NULL}
#define CN_LIST(name, T, member, def, flags, group, doc)                                                               \
    {name, CN_OPT_LIST, flags, 0, CN_MEMBER_(T, member, struct cn_list), def, 0, 0, NULL, group, doc, NULL}
#define CN_ENUM(name, T, member, def, choices, flags, group, doc)                                                      \
    {name, CN_OPT_ENUM, flags, 0, CN_MEMBER_(T, member, int32_t), def, 0, 0, choices, group, doc, NULL}
#define CN_REGEX(name, T, member, def, flags, group, doc)                                                              \
    {name, CN_OPT_REGEX, flags, 0, CN_MEMBER_(T, member, const char *), def, 0, 0, NULL, group, doc, NULL}
#define CN_PAIRS(prefix, T, member, flags, group, doc)                                                                 \
    {prefix, CN_OPT_MAP, flags, 0, CN_MEMBER_(T, member, struct cn_pairs), NULL, 0, 0, NULL, group, doc, NULL}
/* Known in the field, refused or without effect here; doc says why and what to do. */
#define CN_REFUSED(name, doc) {name, CN_OPT_STRING, CN_OPT_REFUSED, 0, CN_NOT_BOUND, NULL, 0, 0, NULL, NULL, doc, NULL}
#define CN_IGNORED(name, doc) {name, CN_OPT_STRING, CN_OPT_IGNORED, 0, CN_NOT_BOUND, NULL, 0, 0, NULL, NULL, doc, NULL}

/* ── the descriptor ──────────────────────────────────────────────────────────────────────────────────────────────────
 *   CN_COMPONENT(lines_in, CN_SOURCE, "lines", NULL, "Reads lines", options, ops);
 *   CN_PLUGIN("lines", "1.0.0", "A. Uthor", "Apache-2.0", NULL, &lines_in)
 * `options` is an array of rows (never empty: C has no empty arrays; use CN_COMPONENT_PLAIN for none). */
#define CN_COMPONENT(ident, kind, name, aliases, summary, options, ops)                                                \
    static const struct cn_component ident = {sizeof(struct cn_component),                                             \
                                              kind,                                                                    \
                                              name,                                                                    \
                                              aliases,                                                                 \
                                              summary,                                                                 \
                                              options,                                                                 \
                                              (uint32_t)(sizeof(options) / sizeof((options)[0])),                      \
                                              sizeof(struct cn_option),                                                \
                                              &(ops)}
#define CN_COMPONENT_PLAIN(ident, kind, name, aliases, summary, ops)                                                   \
    static const struct cn_component ident = {                                                                         \
        sizeof(struct cn_component), kind, name, aliases, summary, NULL, 0, sizeof(struct cn_option), &(ops)}

#define CN_PLUGIN(name, version, author, license, home, ...)                                                           \
    static const struct cn_component *const cn_components_[] = {__VA_ARGS__};                                          \
    static const struct cn_plugin cn_plugin_ = {sizeof(struct cn_plugin),                                              \
                                                CN_ABI_MAJOR,                                                          \
                                                CN_ABI_MINOR,                                                          \
                                                name,                                                                  \
                                                version,                                                               \
                                                author,                                                                \
                                                license,                                                               \
                                                home,                                                                  \
                                                cn_components_,                                                        \
                                                (uint32_t)(sizeof cn_components_ / sizeof cn_components_[0]),          \
                                                0,                                                                     \
                                                NULL};                                                                 \
    CN_EXPORT const struct cn_plugin *connectd_plugin_v1(void) { return &cn_plugin_; }

/* ── talking to the host ── */
/* A log line without fields; long ones are cut at 2 KiB. [any] */
CN_PRINTF_(3, 4) static inline void cn_log(struct cn_host *h, int level, const char *fmt, ...) {
    char text[2048];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    h->ops->log(h, level, text, NULL, 0);
}
/* Says why the op fails (lower case, no full stop; hint says what to do or is NULL) and returns -1. [any] */
CN_PRINTF_(4, 5) static inline int cn_failf(struct cn_host *h, int fail_class, const char *hint, const char *fmt, ...) {
    char text[2048];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    h->ops->fail(h, fail_class, text, hint, 0);
    return -1;
}
/* As cn_failf(CN_FAIL_RECORD), naming the record by its index in the current batch. */
CN_PRINTF_(4, 5)
static inline int cn_fail_recordf(struct cn_host *h, uint32_t record, const char *hint, const char *fmt, ...) {
    char text[2048];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    h->ops->fail(h, CN_FAIL_RECORD, text, hint, record);
    return -1;
}
CN_PRINTF_(2, 3) static inline void cn_progressf(struct cn_host *h, const char *fmt, ...) {
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    h->ops->progress(h, text);
}
/* Settles the records first..last of a partition. [any] */
static inline void cn_settle(struct cn_host *h, const char *topic, int32_t partition, int64_t first, int64_t last, int kind,
                             const char *reason, int64_t retry_after_ms) {
    struct cn_verdict v;
    memset(&v, 0, sizeof v);
    v.topic = topic;
    v.partition = partition;
    v.kind = (uint8_t)kind;
    v.first = first;
    v.last = last;
    v.reason = reason;
    v.retry_after_ms = retry_after_ms;
    h->ops->settle(h, &v, 1);
}

/* Writes every bound option's value into `self` (the struct the rows name): unset ones without a default become zero,
   NULL or empty, an ENUM -1. Texts belong to the host until close returns. 0, or -1 after cn_host.fail. [task] */
static inline int cn_options_bind(struct cn_host *h, const struct cn_option *rows, uint32_t n, void *self) {
    uint32_t i;
    for (i = 0; i < n; i++) {
        struct cn_option_value v;
        char *to = (char *)self + rows[i].at;
        if (rows[i].at == CN_NOT_BOUND) continue;
        memset(&v, 0, sizeof v);
        v.choice = -1;
        if (h->ops->config(h, rows[i].name, &v) != 0)
            return cn_failf(h, CN_FAIL_BUG, NULL, "option %s: not in the component's table", rows[i].name);
        switch (rows[i].type) {
        case CN_OPT_BOOL: *(uint8_t *)to = v.i != 0; break;
        case CN_OPT_INT:
        case CN_OPT_SIZE:
        case CN_OPT_MS: memcpy(to, &v.i, sizeof v.i); break;
        case CN_OPT_DOUBLE: memcpy(to, &v.f, sizeof v.f); break;
        case CN_OPT_LIST: memcpy(to, &v.list, sizeof v.list); break;
        case CN_OPT_ENUM: memcpy(to, &v.choice, sizeof v.choice); break;
        case CN_OPT_MAP: memcpy(to, &v.pairs, sizeof v.pairs); break;
        default: memcpy(to, &v.text, sizeof v.text); break;
        }
    }
    return 0;
}
#define CN_BIND(h, rows, self) cn_options_bind(h, rows, (uint32_t)(sizeof(rows) / sizeof((rows)[0])), self)

/* ── positions: small flat JSON objects ──────────────────────────────────────────────────────────────────────────────
 * Writing into a buffer of yours; what does not fit sets `failed`:
 *   struct cn_pos w; char text[128];
 *   cn_pos_begin(&w, text, sizeof text); cn_pos_int(&w, "lsn", lsn); cn_pos_str(&w, "file", name);
 *   if (!cn_pos_end(&w)) …                                                                                             */
struct cn_pos {
    char *p;
    size_t n, cap;
    int failed;
};
static inline void cn_pos_put_(struct cn_pos *w, const char *p, size_t n) {
    if (w->failed || n >= w->cap - w->n) {
        w->failed = 1;
        return;
    }
    memcpy(w->p + w->n, p, n);
    w->n += n;
}
static inline void cn_pos_text_(struct cn_pos *w, const char *p, size_t n) {
    size_t i;
    cn_pos_put_(w, "\"", 1);
    for (i = 0; i < n; i++) {
        unsigned char c = (unsigned char)p[i];
        char e[8];
        if (c == '"' || c == '\\') {
            e[0] = '\\';
            e[1] = (char)c;
            cn_pos_put_(w, e, 2);
        } else if (c < 0x20) {
            snprintf(e, sizeof e, "\\u%04x", c);
            cn_pos_put_(w, e, 6);
        } else {
            cn_pos_put_(w, p + i, 1);
        }
    }
    cn_pos_put_(w, "\"", 1);
}
static inline void cn_pos_begin(struct cn_pos *w, char *p, size_t cap) {
    w->p = p;
    w->n = 0;
    w->cap = cap;
    w->failed = cap < 3;
    cn_pos_put_(w, "{", 1);
}
static inline void cn_pos_key_(struct cn_pos *w, const char *key) {
    if (w->n > 1) cn_pos_put_(w, ",", 1);
    cn_pos_text_(w, key, strlen(key));
    cn_pos_put_(w, ":", 1);
}
static inline void cn_pos_int(struct cn_pos *w, const char *key, int64_t v) {
    char e[24];
    int n = snprintf(e, sizeof e, "%lld", (long long)v);
    cn_pos_key_(w, key);
    cn_pos_put_(w, e, (size_t)n);
}
static inline void cn_pos_strn(struct cn_pos *w, const char *key, const char *p, size_t n) {
    cn_pos_key_(w, key);
    cn_pos_text_(w, p, n);
}
static inline void cn_pos_str(struct cn_pos *w, const char *key, const char *z) { cn_pos_strn(w, key, z, strlen(z)); }
static inline void cn_pos_bool(struct cn_pos *w, const char *key, int v) {
    cn_pos_key_(w, key);
    cn_pos_put_(w, v ? "true" : "false", v ? 4 : 5);
}
/* The terminated object, or NULL when it did not fit. */
static inline const char *cn_pos_end(struct cn_pos *w) {
    cn_pos_put_(w, "}", 1);
    if (w->failed) return NULL;
    w->p[w->n] = 0;
    return w->p;
}

/* Reading. `json` is terminated text, possibly wrong: the readers never leave it. */
static inline const char *cn_pos_space_(const char *s) {
    while (*s == ' ' || *s == '\t' || *s == '\n' || *s == '\r') s++;
    return s;
}
/* Past the string that starts at the quote s, or NULL. */
static inline const char *cn_pos_skip_string_(const char *s) {
    for (s++; *s && *s != '"'; s++)
        if (*s == '\\' && !*++s) return NULL;
    return *s ? s + 1 : NULL;
}
/* Past the value at s (nested ones by counting brackets outside strings), or NULL. */
static inline const char *cn_pos_skip_value_(const char *s) {
    int depth = 0;
    const char *start = s;
    while (*s) {
        if (*s == '"') {
            s = cn_pos_skip_string_(s);
            if (!s) return NULL;
            if (!depth) return s;
            continue;
        }
        if (*s == '{' || *s == '[') depth++;
        else if ((*s == '}' || *s == ']' || *s == ',') && !depth) break;
        else if ((*s == '}' || *s == ']') && --depth == 0) return s + 1;
        s++;
    }
    return depth || s == start ? NULL : s;
}
/* The start of field `name`'s value in the flat object, or NULL when it is absent or the text is no object. */
static inline const char *cn_pos_find(const char *json, const char *name) {
    size_t n = strlen(name);
    const char *s;
    if (!json) return NULL;
    s = cn_pos_space_(json);
    if (*s++ != '{') return NULL;
    for (;;) {
        const char *key = cn_pos_space_(s), *end;
        if (*key != '"' || !(end = cn_pos_skip_string_(key))) return NULL;
        s = cn_pos_space_(end);
        if (*s++ != ':') return NULL;
        s = cn_pos_space_(s);
        if ((size_t)(end - key) == n + 2 && memcmp(key + 1, name, n) == 0) return s;
        s = cn_pos_skip_value_(s);
        if (!s) return NULL;
        s = cn_pos_space_(s);
        if (*s++ != ',') return NULL;
    }
}
/* 0 and the number (also one written as a string, as REST clients may), or -1 when absent, no integer or out of range. */
static inline int cn_pos_get_int(const char *json, const char *name, int64_t *ret) {
    const char *s = cn_pos_find(json, name);
    uint64_t v = 0;
    int negative = 0, quoted = 0;
    if (!s) return -1;
    if (*s == '"') quoted = 1, s++;
    if (*s == '-') negative = 1, s++;
    if (*s < '0' || *s > '9') return -1;
    for (; *s >= '0' && *s <= '9'; s++) {
        if (v > (UINT64_MAX - 9) / 10) return -1;
        v = v * 10 + (uint64_t)(*s - '0');
    }
    if (quoted ? *s != '"' : (*s == '.' || *s == 'e' || *s == 'E')) return -1;
    if (v > (uint64_t)INT64_MAX + (uint64_t)negative) return -1;
    *ret = negative ? (int64_t)(0 - v) : (int64_t)v;
    return 0;
}
/* 0 and whether it is true, or -1. */
static inline int cn_pos_get_bool(const char *json, const char *name, int *ret) {
    const char *s = cn_pos_find(json, name);
    if (!s || (strncmp(s, "true", 4) != 0 && strncmp(s, "false", 5) != 0)) return -1;
    *ret = *s == 't';
    return 0;
}
static inline int cn_pos_hex_(const char *s, unsigned *ret) {
    unsigned v = 0;
    int i;
    for (i = 0; i < 4; i++) {
        char c = s[i];
        if (c >= '0' && c <= '9') v = v * 16 + (unsigned)(c - '0');
        else if (c >= 'a' && c <= 'f') v = v * 16 + (unsigned)(c - 'a' + 10);
        else if (c >= 'A' && c <= 'F') v = v * 16 + (unsigned)(c - 'A' + 10);
        else return -1;
    }
    *ret = v;
    return 0;
}
/* UTF-8 of a code point into e[4]; its length. */
static inline size_t cn_utf8_(unsigned c, char *e) {
    if (c < 0x80) { e[0] = (char)c; return 1; }
    if (c < 0x800) { e[0] = (char)(0xc0 | c >> 6); e[1] = (char)(0x80 | (c & 63)); return 2; }
    if (c < 0x10000) { e[0] = (char)(0xe0 | c >> 12); e[1] = (char)(0x80 | (c >> 6 & 63)); e[2] = (char)(0x80 | (c & 63)); return 3; }
    e[0] = (char)(0xf0 | c >> 18); e[1] = (char)(0x80 | (c >> 12 & 63)); e[2] = (char)(0x80 | (c >> 6 & 63)); e[3] = (char)(0x80 | (c & 63));
    return 4;
}
/* One escape after its backslash at *s: its UTF-8 into e[4] and length, *s moved past it; 0 when malformed. */
static inline size_t cn_pos_escape_(const char **s, char *e) {
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char *at = **s ? strchr(from, **s) : NULL;
    unsigned c, low;
    if (at) { e[0] = to[at - from]; ++*s; return 1; }
    if (**s != 'u' || cn_pos_hex_(*s + 1, &c) != 0) return 0;
    *s += 5;
    if (c >= 0xdc00 && c < 0xe000) return 0;
    if (c >= 0xd800 && c < 0xdc00) {
        if ((*s)[0] != '\\' || (*s)[1] != 'u' || cn_pos_hex_(*s + 2, &low) != 0 || low < 0xdc00 || low >= 0xe000) return 0;
        *s += 6;
        c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
    }
    return cn_utf8_(c, e);
}
/* The string field's length, its terminated text in out[0..cap); -1 when absent, null, no string, malformed or too long. */
static inline int64_t cn_pos_get_str(const char *json, const char *name, char *out, size_t cap) {
    const char *s = cn_pos_find(json, name);
    size_t n = 0;
    if (!s || *s++ != '"' || cap == 0) return -1;
    while (*s && *s != '"') {
        char e[4];
        size_t k = 1;
        if (*s == '\\') {
            s++;
            k = cn_pos_escape_(&s, e);
            if (!k) return -1;
        } else {
            e[0] = *s++;
        }
        if (k >= cap - n) return -1;
        memcpy(out + n, e, k);
        n += k;
    }
    if (*s != '"') return -1;
    out[n] = 0;
    return (int64_t)n;
}

#ifdef __cplusplus
}
#endif
#endif
