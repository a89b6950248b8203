/* SPDX-License-Identifier: Apache-2.0 */
#include "copytext.h"

static int hex_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* \ooo and \xhh; COPY OUT never writes them, but the format has them. Advances *s past the digits. */
static char numbered(const char **s, const char *end, int base) {
    unsigned v = 0;
    for (int n = 0; *s < end && n < (base == 8 ? 3 : 2); n++, ++*s) {
        int d = hex_value(**s);
        if (d < 0 || d >= base) break;
        v = v * (unsigned)base + (unsigned)d;
    }
    return (char)v;
}

/* Unescapes field[0..n) in place from the first backslash on; the new length, or -1. */
static int64_t unescape(char *field, size_t n, char *backslash) {
    char *out = backslash;
    const char *s = backslash, *end = field + n;
    while (s < end) {
        if (*s != '\\') {
            *out++ = *s++;
            continue;
        }
        if (++s == end) return -1;
        switch (*s) {
        case 'b': *out++ = '\b'; s++; break;
        case 'f': *out++ = '\f'; s++; break;
        case 'n': *out++ = '\n'; s++; break;
        case 'r': *out++ = '\r'; s++; break;
        case 't': *out++ = '\t'; s++; break;
        case 'v': *out++ = '\v'; s++; break;
        case 'x':
            s++;
            if (s < end && hex_value(*s) >= 0) *out++ = numbered(&s, end, 16);
            else *out++ = 'x';
            break;
        default:
            if (*s >= '0' && *s <= '7') *out++ = numbered(&s, end, 8);
            else *out++ = *s++;
        }
    }
    return out - field;
}

int copytext_split(char *line, size_t n, struct text *fields, uint32_t want) {
    if (n && line[n - 1] == '\n') n--;
    char *p = line, *end = line + n;
    /* One look for a backslash tells whether any field needs care at all. */
    char *escape = memchr(p, '\\', n);
    for (uint32_t i = 0; i < want; i++) {
        char *tab = memchr(p, '\t', (size_t)(end - p));
        char *stop = tab ? tab : end;
        if (!tab != (i + 1 == want)) return -1;
        fields[i].p = p;
        fields[i].n = (size_t)(stop - p);
        if (escape && escape < stop) {
            if (fields[i].n == 2 && p[0] == '\\' && p[1] == 'N') {
                fields[i].p = NULL;
                fields[i].n = 0;
            } else {
                int64_t len = unescape(p, fields[i].n, escape);
                if (len < 0) return -1;
                fields[i].n = (size_t)len;
            }
            escape = memchr(stop, '\\', (size_t)(end - stop));
        }
        p = stop + 1;
    }
    return 0;
}
