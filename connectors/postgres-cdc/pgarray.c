/* SPDX-License-Identifier: Apache-2.0 */
#include "pgarray.h"

/* The quoted run at **p (a quote), unescaped to *scratch. 0, or -1 when it does not end. */
static int take_quoted(const char **p, const char *end, char **scratch, struct text *ret) {
    char *out = *scratch;
    const char *s = *p + 1;
    for (; s < end && *s != '"'; s++) {
        if (*s == '\\' && ++s == end) return -1;
        *out++ = *s;
    }
    if (s == end) return -1;
    ret->p = *scratch;
    ret->n = (size_t)(out - *scratch);
    *scratch = out;
    *p = s + 1;
    return 0;
}

/* Past the nested array at *p (an opening brace), or NULL. */
static const char *skip_nested(const char *p, const char *end) {
    int depth = 0;
    for (; p < end; p++) {
        if (*p == '"') {
            for (p++; p < end && *p != '"'; p++)
                if (*p == '\\' && ++p == end) return NULL;
            if (p == end) return NULL;
        } else if (*p == '\\') {
            if (++p == end) return NULL;
        } else if (*p == '{') {
            depth++;
        } else if (*p == '}' && --depth == 0) {
            return p + 1;
        }
    }
    return NULL;
}

/* An unquoted item: up to the delimiter or the closing brace; a backslash keeps the next byte. */
static int take_plain(struct array_reader *r, struct text *ret) {
    char *out = r->scratch;
    const char *s = r->p;
    int escaped = 0;
    for (; s < r->end && *s != r->delimiter && *s != '}'; s++) {
        if (*s == '\\') {
            escaped = 1;
            if (++s == r->end) return ITEM_BAD;
        }
        *out++ = *s;
    }
    ret->p = r->scratch;
    ret->n = (size_t)(out - r->scratch);
    r->scratch = out;
    r->p = s;
    if (!ret->n) return ITEM_BAD;
    return !escaped && ret->n == 4 && memcmp(ret->p, "NULL", 4) == 0 ? ITEM_NULL : ITEM_VALUE;
}

int array_open(struct array_reader *r, struct text t, char delimiter, char *scratch) {
    const char *p = t.p, *end = t.p + t.n;
    if (p < end && *p == '[') { /* bounds: [l:u][l:u]= */
        p = memchr(p, '=', t.n);
        if (!p) return -1;
        p++;
    }
    if (p == end || *p != '{') return -1;
    *r = (struct array_reader){p + 1, end, scratch, delimiter, 1};
    return 0;
}

int array_next(struct array_reader *r, struct text *ret) {
    if (r->p == r->end) return ITEM_BAD;
    if (*r->p == '}') return r->p + 1 == r->end ? ITEM_END : ITEM_BAD;
    if (!r->first && *r->p++ != r->delimiter) return ITEM_BAD;
    r->first = 0;
    if (r->p == r->end) return ITEM_BAD;
    if (*r->p == '"') return take_quoted(&r->p, r->end, &r->scratch, ret) == 0 ? ITEM_VALUE : ITEM_BAD;
    if (*r->p == '{') {
        r->p = skip_nested(r->p, r->end);
        if (r->p) return ITEM_NESTED;
        r->p = r->end;
        return ITEM_BAD;
    }
    return take_plain(r, ret);
}

void hstore_open(struct hstore_reader *r, struct text t, char *scratch) {
    *r = (struct hstore_reader){t.p, t.p + t.n, scratch, 1};
}

int hstore_next(struct hstore_reader *r, struct text *ret_key, struct text *ret_value) {
    while (r->p < r->end && *r->p == ' ') r->p++;
    if (r->p == r->end) return ITEM_END;
    if (!r->first) {
        if (*r->p++ != ',') return ITEM_BAD;
        while (r->p < r->end && *r->p == ' ') r->p++;
    }
    r->first = 0;
    if (r->p == r->end || *r->p != '"' || take_quoted(&r->p, r->end, &r->scratch, ret_key) != 0) return ITEM_BAD;
    if (r->end - r->p < 3 || r->p[0] != '=' || r->p[1] != '>') return ITEM_BAD;
    r->p += 2;
    if (*r->p == '"') return take_quoted(&r->p, r->end, &r->scratch, ret_value) == 0 ? ITEM_VALUE : ITEM_BAD;
    if (r->end - r->p >= 4 && memcmp(r->p, "NULL", 4) == 0) {
        r->p += 4;
        return ITEM_NULL;
    }
    return ITEM_BAD;
}
