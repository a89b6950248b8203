/* SPDX-License-Identifier: Apache-2.0 */
/* Cells as plain JSON, both ways: a streaming writer onto a growable buffer and a parser that builds schemaless cells in a
 * batch. No tree in between; all inline, nothing to link.
 *
 * A writer, zero-initialised, is empty and valid; a failed growth, its limit or too deep a value set `failed`, after which
 * writes do nothing: test once at the end, free with cn_json_done. Values look as Kafka Connect's JsonConverter writes
 * them without schemas: bytes as base64, absent fields left out, maps whose keys are all strings as objects and other maps
 * as lists of pairs; NaN and infinities as strings; bytes that are not UTF-8 in strings as U+FFFD. */
#ifndef CONNECTD_JSON_H
#define CONNECTD_JSON_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <connectd/build.h>
#include <connectd/sdk.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CN_JSON_DEPTH 64

struct cn_json {
    char *p;
    size_t n, cap;
    size_t limit;    /* most bytes; 0 = none */
    int failed;      /* 1: out of memory or past the limit; 2: a value that can not be written: nested too deeply, malformed */
    int decimals;    /* 1: Connect's Decimal as a number, 0: as base64 like other bytes */
    unsigned depth;
};

/* ── bytes ── */
static inline void cn_json_fail_(struct cn_json *j, int why) {
    if (!j->failed) j->failed = why; /* the first reason stays */
}
static inline int cn_json_reserve(struct cn_json *j, size_t more) {
    size_t cap = j->cap ? j->cap : 256;
    char *p;
    if (j->failed) return 0;
    if (more <= j->cap - j->n) return 1;
    if (more > SIZE_MAX / 2 - j->n || (j->limit && j->n + more > j->limit)) {
        cn_json_fail_(j, 1);
        return 0;
    }
    while (cap < j->n + more) cap *= 2;
    if (j->limit && cap > j->limit) cap = j->limit; /* what is there may be used without asking again */
    p = (char *)realloc(j->p, cap);
    if (!p) {
        cn_json_fail_(j, 1);
        return 0;
    }
    j->p = p;
    j->cap = cap;
    return 1;
}
static inline void cn_json_raw(struct cn_json *j, const void *p, size_t n) {
    if ((j->failed || j->cap - j->n < n) && !cn_json_reserve(j, n)) return;
    if (n) memcpy(j->p + j->n, p, n);
    j->n += n;
}
static inline void cn_json_char(struct cn_json *j, char c) { cn_json_raw(j, &c, 1); }
static inline void cn_json_z(struct cn_json *j, const char *z) { cn_json_raw(j, z, strlen(z)); }
static inline void cn_json_clear(struct cn_json *j) { j->n = 0; j->failed = 0; j->depth = 0; }
static inline void cn_json_done(struct cn_json *j) {
    free(j->p);
    j->p = NULL;
    j->n = j->cap = 0;
}

/* ── scalars ── */
/* Bytes of the valid UTF-8 sequence at p[0..n), n ≥ 1, or 0. */
static inline size_t cn_utf8_length(const unsigned char *p, size_t n) {
    unsigned char c = p[0];
    if (c < 0x80) return 1;
    if (c < 0xc2 || c > 0xf4) return 0;
    if (c < 0xe0) return n >= 2 && (p[1] & 0xc0) == 0x80 ? 2 : 0;
    if (n < 3 || (p[1] & 0xc0) != 0x80 || (p[2] & 0xc0) != 0x80) return 0;
    if (c < 0xf0) return (c == 0xe0 && p[1] < 0xa0) || (c == 0xed && p[1] >= 0xa0) ? 0 : 3;
    if (n < 4 || (p[3] & 0xc0) != 0x80 || (c == 0xf0 && p[1] < 0x90) || (c == 0xf4 && p[1] >= 0x90)) return 0;
    return 4;
}
/* How many bytes from the start are valid UTF-8: n when all are. */
static inline size_t cn_utf8_valid(const void *text, size_t n) {
    const unsigned char *p = (const unsigned char *)text;
    size_t i = 0, k;
    while (i < n) {
        uint64_t a, b;
        for (; i + 16 <= n; i += 16) {
            memcpy(&a, p + i, 8);
            memcpy(&b, p + i + 8, 8);
            if ((a | b) & 0x8080808080808080ULL) break;
        }
        while (i < n && p[i] < 0x80) i++;
        if (i == n) break;
        k = cn_utf8_length(p + i, n - i);
        if (!k) return i;
        i += k;
    }
    return n;
}
/* Copies text into out[0..3n), each byte that is not UTF-8 as U+FFFD; returns the length. */
static inline size_t cn_utf8_mend(char *out, const void *text, size_t n) {
    const unsigned char *p = (const unsigned char *)text;
    size_t i = 0, o = 0;
    while (i < n) {
        size_t k = cn_utf8_valid(p + i, n - i);
        memcpy(out + o, p + i, k);
        i += k;
        o += k;
        if (i == n) break;
        memcpy(out + o, "\xef\xbf\xbd", 3);
        i++;
        o += 3;
    }
    return o;
}
/* How many bytes from p need neither escape nor check: printable ASCII but " and \. Eight at a time. */
static inline size_t cn_json_plain_(const unsigned char *p, size_t n) {
    const uint64_t ones = 0x0101010101010101ULL, high = 0x8080808080808080ULL;
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        uint64_t v, quote, back;
        memcpy(&v, p + i, 8);
        quote = v ^ ones * '"';
        back = v ^ ones * '\\';
        if (((v - ones * 0x20) | (quote - ones) | (back - ones) | v) & high) break;
    }
    while (i < n && p[i] >= 0x20 && p[i] < 0x80 && p[i] != '"' && p[i] != '\\') i++;
    return i;
}
static inline void cn_json_escape_(struct cn_json *j, unsigned char c) {
    static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
    const char *at = c ? strchr(from, c) : NULL;
    char e[8];
    if (at) snprintf(e, sizeof e, "\\%c", to[at - from]);
    else snprintf(e, sizeof e, "\\u%04X", c);
    cn_json_z(j, e);
}
static inline void cn_json_string(struct cn_json *j, const char *text, size_t n) {
    const unsigned char *p = (const unsigned char *)text;
    size_t i = 0;
    cn_json_char(j, '"');
    while (i < n && !j->failed) {
        size_t k = cn_json_plain_(p + i, n - i);
        cn_json_raw(j, p + i, k);
        i += k;
        if (i == n) break;
        k = cn_utf8_length(p + i, n - i);
        if (k > 1) cn_json_raw(j, p + i, k);
        else if (k == 0) cn_json_raw(j, "\xef\xbf\xbd", 3), k = 1;
        else cn_json_escape_(j, p[i]);
        i += k;
    }
    cn_json_char(j, '"');
}
static inline void cn_json_stringz(struct cn_json *j, const char *z) { cn_json_string(j, z, strlen(z)); }
static inline void cn_json_int(struct cn_json *j, int64_t v) {
    char e[24], *to = e + sizeof e;
    uint64_t u = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
    do *--to = (char)('0' + u % 10);
    while (u /= 10);
    if (v < 0) *--to = '-';
    cn_json_raw(j, to, (size_t)(e + sizeof e - to));
}
/* The shortest text that reads back the same; `single`: as a float. */
static inline void cn_json_float(struct cn_json *j, double v, int single) {
    char e[40];
    int digits = single ? 6 : 15, last = single ? 9 : 17, plain = 1, i;
    if (v != v || v - v != 0) {
        cn_json_z(j, v != v ? "\"NaN\"" : v > 0 ? "\"Infinity\"" : "\"-Infinity\"");
        return;
    }
    for (; digits <= last; digits++) {
        snprintf(e, sizeof e, "%.*g", digits, v);
        if (single ? strtof(e, NULL) == (float)v : strtod(e, NULL) == v) break;
    }
    for (i = 0; e[i]; i++) {
        if (e[i] == '-' || e[i] == '+' || (e[i] >= '0' && e[i] <= '9')) continue;
        plain = 0;
        if (e[i] != 'e') e[i] = '.'; /* whatever the locale's point is */
    }
    cn_json_z(j, e);
    if (plain) cn_json_raw(j, ".0", 2);
}
static inline void cn_json_base64(struct cn_json *j, const void *bytes, size_t n) {
    static const char set[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *p = (const unsigned char *)bytes;
    char *to;
    if (n > SIZE_MAX / 4 || !cn_json_reserve(j, (n + 2) / 3 * 4 + 2)) {
        cn_json_fail_(j, 1);
        return;
    }
    to = j->p + j->n;
    *to++ = '"';
    for (; n >= 3; n -= 3, p += 3) {
        *to++ = set[p[0] >> 2];
        *to++ = set[(p[0] & 3) << 4 | p[1] >> 4];
        *to++ = set[(p[1] & 15) << 2 | p[2] >> 6];
        *to++ = set[p[2] & 63];
    }
    if (n) {
        *to++ = set[p[0] >> 2];
        *to++ = set[(p[0] & 3) << 4 | (n > 1 ? p[1] >> 4 : 0)];
        *to++ = n > 1 ? set[(p[1] & 15) << 2] : '=';
        *to++ = '=';
    }
    *to++ = '"';
    j->n = (size_t)(to - j->p);
}

/* ── cells ── */
#define CN_DECIMAL_NAME "org.apache.kafka.connect.data.Decimal"
#define CN_DECIMAL_MAX 512 /* bytes of an unscaled value written as a number; longer ones stay base64 */

/* The Decimal schema's scale in *ret: 1 when `node` is one. */
static inline int cn_json_scale_(const struct cn_schema_blob *s, const struct cn_schema *node, long *ret) {
    const struct cn_schema_param *p;
    uint32_t i;
    if (!node || node->type != CN_BYTES || node->name.n != sizeof CN_DECIMAL_NAME - 1 ||
        memcmp(cn_schema_text(s, node->name), CN_DECIMAL_NAME, node->name.n) != 0)
        return 0;
    p = (const struct cn_schema_param *)(const void *)((const uint8_t *)s + node->params);
    for (i = 0; i < node->param_count; i++) {
        char e[16];
        if (p[i].name.n != 5 || memcmp(cn_schema_text(s, p[i].name), "scale", 5) != 0 || p[i].value.n >= sizeof e) continue;
        memcpy(e, cn_schema_text(s, p[i].value), p[i].value.n);
        e[p[i].value.n] = 0;
        *ret = strtol(e, NULL, 10);
        return *ret > -1000 && *ret < 1000;
    }
    return 0;
}
/* A big-endian two's complement number with `scale` digits behind the point. */
static inline void cn_json_decimal(struct cn_json *j, const unsigned char *p, size_t n, long scale) {
    unsigned char m[CN_DECIMAL_MAX + 1];
    char digits[CN_DECIMAL_MAX * 5 / 2 + 1008];
    size_t i, count = 0, from = 0;
    int negative = n && p[0] & 0x80, carry = 1;
    if (n > CN_DECIMAL_MAX) {
        cn_json_base64(j, p, n);
        return;
    }
    if (n) memcpy(m, p, n);
    for (i = n; negative && i-- > 0;) {
        int v = (unsigned char)~m[i] + carry;
        m[i] = (unsigned char)v;
        carry = v >> 8;
    }
    while (from < n && count < sizeof digits - 1002) { /* least digit first */
        unsigned rest = 0;
        for (i = from; i < n; i++) {
            unsigned v = rest << 8 | m[i];
            m[i] = (unsigned char)(v / 10);
            rest = v % 10;
        }
        while (from < n && !m[from]) from++;
        digits[count++] = (char)('0' + rest);
    }
    while (count && digits[count - 1] == '0') count--;
    while ((long)count <= (scale > 0 ? scale : 0)) digits[count++] = '0';
    if (negative) cn_json_char(j, '-');
    for (i = count; i-- > 0;) {
        cn_json_char(j, digits[i]);
        if (scale > 0 && i == (size_t)scale) cn_json_char(j, '.');
    }
    for (; scale < 0 && (count > 1 || digits[0] != '0'); scale++) cn_json_char(j, '0');
}

static inline void cn_json_cell(struct cn_json *j, const struct cn_batch *b, const struct cn_cell *c,
                                const struct cn_schema_blob *s, const struct cn_schema *node);

static inline void cn_json_struct_(struct cn_json *j, const struct cn_batch *b, const struct cn_cell *c,
                                   const struct cn_schema_blob *s, const struct cn_schema *node) {
    const struct cn_cell *at = cn_cells_at(b, c->u.at);
    const struct cn_schema_field *f;
    uint32_t i;
    int comma = 0;
    if (!node || node->type != CN_STRUCT || c->n != node->field_count) {
        cn_json_fail_(j, 2);
        return;
    }
    f = cn_schema_fields(s, node);
    cn_json_char(j, '{');
    for (i = 0; i < c->n && !j->failed; i++) {
        if (at[i].type == CN_ABSENT) continue;
        if (comma++) cn_json_char(j, ',');
        cn_json_string(j, cn_schema_text(s, f[i].name), f[i].name.n);
        cn_json_char(j, ':');
        cn_json_cell(j, b, at + i, s, cn_schema_node(s, f[i].schema));
    }
    cn_json_char(j, '}');
}
static inline void cn_json_run_(struct cn_json *j, const struct cn_batch *b, const struct cn_cell *c,
                                const struct cn_schema_blob *s, const struct cn_schema *node) {
    const struct cn_cell *at = cn_cells_at(b, c->u.at);
    const struct cn_schema *k = NULL, *e = NULL;
    int strings = c->type == CN_MAP;
    uint32_t i;
    if (node && node->key) k = cn_schema_node(s, node->key);
    if (node && node->element) e = cn_schema_node(s, node->element);
    for (i = 0; strings && i < c->n; i++) strings = at[2 * i].type == CN_STRING;
    cn_json_char(j, strings ? '{' : '[');
    for (i = 0; i < c->n && !j->failed; i++) {
        if (i) cn_json_char(j, ',');
        if (c->type == CN_ARRAY) {
            cn_json_cell(j, b, at + i, s, e);
            continue;
        }
        if (!strings) cn_json_char(j, '[');
        cn_json_cell(j, b, at + 2 * i, s, k);
        cn_json_char(j, strings ? ':' : ',');
        cn_json_cell(j, b, at + 2 * i + 1, s, e);
        if (!strings) cn_json_char(j, ']');
    }
    cn_json_char(j, strings ? '}' : ']');
}
/* A cell under its schema's node (both NULL for a value without one). */
static inline void cn_json_cell(struct cn_json *j, const struct cn_batch *b, const struct cn_cell *c,
                                const struct cn_schema_blob *s, const struct cn_schema *node) {
    long scale;
    switch (c->type) {
    case CN_BOOLEAN: cn_json_z(j, c->u.i ? "true" : "false"); return;
    case CN_INT8:
    case CN_INT16:
    case CN_INT32:
    case CN_INT64: cn_json_int(j, c->u.i); return;
    case CN_FLOAT32:
    case CN_FLOAT64: cn_json_float(j, c->u.f, c->type == CN_FLOAT32); return;
    case CN_STRING: cn_json_string(j, cn_bytes_at(b, c->u.at), c->n); return;
    case CN_BYTES:
        if (j->decimals && cn_json_scale_(s, node, &scale))
            cn_json_decimal(j, (const unsigned char *)cn_bytes_at(b, c->u.at), c->n, scale);
        else
            cn_json_base64(j, cn_bytes_at(b, c->u.at), c->n);
        return;
    case CN_ARRAY:
    case CN_MAP:
    case CN_STRUCT:
        if (++j->depth > CN_JSON_DEPTH) cn_json_fail_(j, 2);
        else if (c->type == CN_STRUCT) cn_json_struct_(j, b, c, s, node);
        else cn_json_run_(j, b, c, s, node);
        j->depth--;
        return;
    default: cn_json_z(j, "null"); return;
    }
}
/* A key, value or header value with the index of its schema. */
static inline void cn_json_value(struct cn_json *j, const struct cn_batch *b, const struct cn_cell *c, uint16_t schema) {
    const struct cn_schema_blob *s = cn_schema_blob_at(b, schema);
    cn_json_cell(j, b, c, s, s ? cn_schema_root(s) : NULL);
}
/* {"topic":…,"partition":…,"offset":…,"timestamp":…,"key":…,"value":…,"headers":[[name,value],…]} */
static inline void cn_json_record(struct cn_json *j, const struct cn_batch *b, const struct cn_record *r) {
    const struct cn_text *topic = cn_topic_at(b, r->topic);
    uint32_t i;
    cn_json_z(j, "{\"topic\":");
    cn_json_string(j, cn_bytes_at(b, topic->at), topic->n);
    cn_json_z(j, ",\"partition\":");
    if (r->partition < 0) cn_json_z(j, "null");
    else cn_json_int(j, r->partition);
    cn_json_z(j, ",\"offset\":");
    cn_json_int(j, r->offset);
    cn_json_z(j, ",\"timestamp\":");
    if (r->timestamp == CN_NO_TIMESTAMP) cn_json_z(j, "null");
    else cn_json_int(j, r->timestamp);
    cn_json_z(j, ",\"key\":");
    cn_json_value(j, b, &r->key, r->key_schema);
    cn_json_z(j, ",\"value\":");
    cn_json_value(j, b, &r->value, r->value_schema);
    cn_json_z(j, ",\"headers\":[");
    for (i = 0; i < r->header_count; i++) {
        const struct cn_header *h = cn_headers_of(b, r) + i;
        cn_json_z(j, i ? ",[" : "[");
        cn_json_string(j, cn_bytes_at(b, h->name.at), h->name.n);
        cn_json_char(j, ',');
        cn_json_value(j, b, &h->value, h->schema);
        cn_json_char(j, ']');
    }
    cn_json_z(j, "]}");
}

/* ── parsing: JSON text → schemaless cells in a batch ── */
struct cn_json_in {
    const char *start, *p, *end;
    struct cn_batch *b;
    struct cn_cell *stack; /* children of the arrays and maps still open */
    size_t n, cap;
    unsigned depth;
    const char *error;     /* what is wrong, at `p` */
};

static inline int cn_json_bad_(struct cn_json_in *in, const char *why) {
    if (!in->error) in->error = why;
    return -1;
}
static inline void cn_json_space_(struct cn_json_in *in) {
    while (in->p < in->end && (*in->p == ' ' || *in->p == '\t' || *in->p == '\n' || *in->p == '\r')) in->p++;
}
static inline int cn_json_push_(struct cn_json_in *in, struct cn_cell c) {
    if (in->n == in->cap) {
        size_t cap = in->cap ? in->cap * 2 : 32;
        struct cn_cell *s = (struct cn_cell *)realloc(in->stack, cap * sizeof *s);
        if (!s) return cn_json_bad_(in, "out of memory");
        in->stack = s;
        in->cap = cap;
    }
    in->stack[in->n++] = c;
    return 0;
}
static inline int cn_json_escaped_(struct cn_json_in *in, char **to) {
    /* the reader of escapes wants terminated text: an escape is at most 11 bytes after its backslash */
    char text[12], e[4];
    size_t left = (size_t)(in->end - in->p), k;
    const char *s = text;
    memset(text, 0, sizeof text);
    memcpy(text, in->p, left < 11 ? left : 11);
    k = cn_pos_escape_(&s, e);
    if (!k) return cn_json_bad_(in, "malformed escape");
    memcpy(*to, e, k);
    *to += k;
    in->p += s - text;
    return 0;
}
/* A string, its opening quote already taken. Its text goes to the end of the batch, never longer than the JSON. */
static inline int cn_json_string_in_(struct cn_json_in *in, struct cn_cell *ret) {
    const char *from = in->p, *close = in->p;
    char *to;
    cn_off at;
    while (close < in->end && *close != '"') close += *close == '\\' && close + 1 < in->end ? 2 : 1;
    if (close >= in->end) return cn_json_bad_(in, "string without an end");
    if (close == from) {
        *ret = cn_string(in->b, "", 0);
        in->p = close + 1;
        return 0;
    }
    at = cn_alloc(in->b, (size_t)(close - from));
    if (!at) return cn_json_bad_(in, "too large");
    to = (char *)(in->b->base + at);
    while (in->p < close) {
        size_t k = cn_json_plain_((const unsigned char *)in->p, (size_t)(close - in->p));
        memcpy(to, in->p, k);
        to += k;
        in->p += k;
        if (in->p == close) break;
        if (*in->p == '\\') {
            in->p++;
            if (cn_json_escaped_(in, &to) != 0) return -1;
            continue;
        }
        k = cn_utf8_length((const unsigned char *)in->p, (size_t)(close - in->p));
        if (k < 2) return cn_json_bad_(in, k ? "control character in a string" : "string is not UTF-8");
        memcpy(to, in->p, k);
        to += k;
        in->p += k;
    }
    *ret = cn_run(CN_STRING, at, (uint32_t)(to - (char *)(in->b->base + at)));
    in->p = close + 1;
    return 0;
}
static inline const char *cn_json_digits_(const char *p, const char *end) {
    while (p < end && *p >= '0' && *p <= '9') p++;
    return p;
}
static inline int cn_json_number_in_(struct cn_json_in *in, struct cn_cell *ret) {
    const char *from = in->p, *p = from + (*from == '-'), *whole = p;
    char text[400];
    size_t n;
    int integer = 1;
    p = cn_json_digits_(p, in->end);
    if (p == whole || (*whole == '0' && p > whole + 1)) return cn_json_bad_(in, "malformed number");
    if (p < in->end && *p == '.') {
        const char *q = cn_json_digits_(p + 1, in->end);
        if (q == p + 1) return cn_json_bad_(in, "malformed number");
        p = q;
        integer = 0;
    }
    if (p < in->end && (*p == 'e' || *p == 'E')) {
        const char *q = p + 1, *digits;
        if (q < in->end && (*q == '+' || *q == '-')) q++;
        digits = q;
        q = cn_json_digits_(q, in->end);
        if (q == digits) return cn_json_bad_(in, "malformed number");
        p = q;
        integer = 0;
    }
    n = (size_t)(p - from);
    if (n >= sizeof text) return cn_json_bad_(in, "number too long");
    memcpy(text, from, n);
    text[n] = 0;
    in->p = p;
    if (integer && n < 19) *ret = cn_int(CN_INT64, strtoll(text, NULL, 10));
    else *ret = cn_float(CN_FLOAT64, strtod(text, NULL));
    if (integer && n >= 19 && n <= 20) { /* int64's last digit: exact if it prints back the same */
        char back[24];
        long long v = strtoll(text, NULL, 10);
        snprintf(back, sizeof back, "%lld", v);
        if (strcmp(back, text) == 0) *ret = cn_int(CN_INT64, v);
    }
    return 0;
}
static inline int cn_json_word_in_(struct cn_json_in *in, const char *word, struct cn_cell c, struct cn_cell *ret) {
    size_t n = strlen(word);
    if ((size_t)(in->end - in->p) < n || memcmp(in->p, word, n) != 0) return cn_json_bad_(in, "no JSON value");
    in->p += n;
    *ret = c;
    return 0;
}
static inline int cn_json_value_in_(struct cn_json_in *in, struct cn_cell *ret);
static inline int cn_json_many_in_(struct cn_json_in *in, int is_map, struct cn_cell *ret) {
    size_t base = in->n, count;
    char close = is_map ? '}' : ']';
    cn_off at;
    cn_json_space_(in);
    if (in->p < in->end && *in->p == close) in->p++;
    else
        for (;;) {
            struct cn_cell c;
            cn_json_space_(in);
            if (is_map) {
                if (in->p >= in->end || *in->p++ != '"') return cn_json_bad_(in, "expected a key");
                if (cn_json_string_in_(in, &c) != 0 || cn_json_push_(in, c) != 0) return -1;
                cn_json_space_(in);
                if (in->p >= in->end || *in->p++ != ':') return cn_json_bad_(in, "expected ':'");
            }
            if (cn_json_value_in_(in, &c) != 0 || cn_json_push_(in, c) != 0) return -1;
            cn_json_space_(in);
            if (in->p >= in->end) return cn_json_bad_(in, "unexpected end");
            if (*in->p == close) {
                in->p++;
                break;
            }
            if (*in->p++ != ',') return cn_json_bad_(in, "expected ',' or the end");
        }
    count = in->n - base;
    if (count > UINT32_MAX / 32) return cn_json_bad_(in, "too large");
    at = cn_cells(in->b, (uint32_t)count);
    if (!at) return cn_json_bad_(in, "too large");
    if (count) memcpy(in->b->base + at, in->stack + base, count * sizeof(struct cn_cell));
    in->n = base;
    *ret = cn_run(is_map ? CN_MAP : CN_ARRAY, at, (uint32_t)(is_map ? count / 2 : count));
    return 0;
}
static inline int cn_json_value_in_(struct cn_json_in *in, struct cn_cell *ret) {
    int r;
    cn_json_space_(in);
    if (in->p >= in->end) return cn_json_bad_(in, "unexpected end");
    switch (*in->p) {
    case '"': in->p++; return cn_json_string_in_(in, ret);
    case '{':
    case '[':
        if (++in->depth > CN_JSON_DEPTH) return cn_json_bad_(in, "nested too deeply");
        r = *in->p++ == '{';
        r = cn_json_many_in_(in, r, ret);
        in->depth--;
        return r;
    case 't': return cn_json_word_in_(in, "true", cn_bool(1), ret);
    case 'f': return cn_json_word_in_(in, "false", cn_bool(0), ret);
    case 'n': return cn_json_word_in_(in, "null", cn_null(), ret);
    default: return cn_json_number_in_(in, ret);
    }
}
/* The one value in text[0..n) as a cell of the batch: objects as maps with string keys, whole numbers as int64. 0, or -1 with
 * what is wrong and at which byte in *ret_error and *ret_at (both may be NULL). `text` must not lie in the batch. */
static inline int cn_json_parse(struct cn_batch *b, const char *text, size_t n, struct cn_cell *ret, const char **ret_error,
                                size_t *ret_at) {
    struct cn_json_in in;
    struct cn_cell c;
    int r;
    memset(&in, 0, sizeof in);
    in.start = in.p = text;
    in.end = text + n;
    in.b = b;
    r = cn_json_value_in_(&in, &c);
    if (r == 0) {
        cn_json_space_(&in);
        if (in.p != in.end) r = cn_json_bad_(&in, "more than one value");
    }
    if (r == 0 && b->failed) r = cn_json_bad_(&in, "too large");
    free(in.stack);
    if (r == 0) *ret = c;
    else {
        if (ret_error) *ret_error = in.error;
        if (ret_at) *ret_at = (size_t)(in.p - in.start);
    }
    return r;
}

#ifdef __cplusplus
}
#endif
#endif
