// SPDX-License-Identifier: Apache-2.0
#define PCRE2_CODE_UNIT_WIDTH 8
#include "transforms/pattern.h"

#include <pcre2.h>

#include "base/mem.h"

struct pattern {
    pcre2_code *code;
    pcre2_match_data *match;
    uint32_t groups;
};

struct pattern *pattern_new(const char *regex, struct err *err) {
    int code;
    PCRE2_SIZE at;
    pcre2_code *compiled = pcre2_compile((PCRE2_SPTR)regex, PCRE2_ZERO_TERMINATED, PCRE2_UTF | PCRE2_NEVER_BACKSLASH_C, &code, &at, NULL);
    if (!compiled) {
        char why[128] = "";
        pcre2_get_error_message(code, (PCRE2_UCHAR *)why, sizeof(why));
        err_set(err, ERR_INVALID, "pattern '%s' is wrong at character %zu: %s", regex, at + 1, why);
        return NULL;
    }
    struct pattern *p = xcalloc(1, sizeof(*p));
    p->code = compiled;
    p->match = pcre2_match_data_create_from_pattern(compiled, NULL);
    pcre2_pattern_info(compiled, PCRE2_INFO_CAPTURECOUNT, &p->groups);
    return p;
}

void pattern_free(struct pattern *p) {
    if (!p) return;
    pcre2_match_data_free(p->match);
    pcre2_code_free(p->code);
    free(p);
}

int pattern_matches(struct pattern *p, struct str s, struct err *err) {
    int rc = pcre2_match(p->code, (PCRE2_SPTR)(s.n ? s.p : ""), s.n, 0, PCRE2_ANCHORED | PCRE2_ENDANCHORED, p->match, NULL);
    if (rc >= 0) return 1;
    if (rc == PCRE2_ERROR_NOMATCH) return 0;
    char why[128] = "";
    pcre2_get_error_message(rc, (PCRE2_UCHAR *)why, sizeof(why));
    return err_set(err, ERR_INVALID, "matching '%.*s' failed: %s", STR_FMT(str_first(s, 100)), why);
}

// ── replacements ──

struct piece { int group; struct str text; }; // group -1: text
struct replacement {
    char *text;
    struct piece *pieces;
    size_t n, cap;
};

static void add(struct replacement *r, struct piece p) {
    if (p.group >= 0 || p.text.n) VEC_PUSH(r->pieces, r->n, r->cap, p);
}

// ${name}: the number of the group, and *at moved past the brace.
static int named_group(const struct pattern *p, struct str s, size_t *at, struct err *err) {
    size_t end = str_find(s, '}', *at);
    if (end == s.n) return err_set(err, ERR_INVALID, "replacement: ${ without }");
    _cleanup_free_ char *name = str_dup(str_first(str_from(s, *at + 1), end - *at - 1));
    int group = pcre2_substring_number_from_name(p->code, (PCRE2_SPTR)name);
    *at = end + 1;
    return group >= 0 ? group : err_set(err, ERR_INVALID, "replacement: no group is named %s", name);
}

// $12: as many digits as still name a group, at least one.
static int numbered_group(const struct pattern *p, struct str s, size_t *at, struct err *err) {
    if (*at == s.n || s.p[*at] < '0' || s.p[*at] > '9') return err_set(err, ERR_INVALID, "replacement: $ must be followed by a group (\\$ for a dollar)");
    uint32_t group = (uint32_t)(s.p[(*at)++] - '0');
    if (group > p->groups) return err_set(err, ERR_INVALID, "replacement: no group %u, the pattern has %u", group, p->groups);
    while (*at < s.n && s.p[*at] >= '0' && s.p[*at] <= '9' && group * 10 + (uint32_t)(s.p[*at] - '0') <= p->groups)
        group = group * 10 + (uint32_t)(s.p[(*at)++] - '0');
    return (int)group;
}

static int parse(struct replacement *r, const struct pattern *p, struct err *err) {
    struct str s = str_of(r->text);
    for (size_t at = 0; at < s.n;) {
        size_t from = at;
        while (at < s.n && s.p[at] != '$' && s.p[at] != '\\') at++;
        add(r, (struct piece){-1, str_make(s.p + from, at - from)});
        if (at == s.n) break;
        if (s.p[at++] == '\\') {
            if (at == s.n) return err_set(err, ERR_INVALID, "replacement: \\ at the end");
            add(r, (struct piece){-1, str_make(s.p + at++, 1)});
            continue;
        }
        int group = at < s.n && s.p[at] == '{' ? named_group(p, s, &at, err) : numbered_group(p, s, &at, err);
        if (group < 0) return -1;
        add(r, (struct piece){group, {0}});
    }
    return 0;
}

struct replacement *replacement_new(const struct pattern *p, const char *text, struct err *err) {
    struct replacement *r = xcalloc(1, sizeof(*r));
    r->text = xstrdup(text);
    if (parse(r, p, err) == 0) return r;
    replacement_free(r);
    return NULL;
}

void replacement_free(struct replacement *r) {
    if (!r) return;
    free(r->text);
    free(r->pieces);
    free(r);
}

void replacement_expand(const struct replacement *r, const struct pattern *p, struct str s, struct buf *out) {
    const PCRE2_SIZE *v = pcre2_get_ovector_pointer(p->match);
    for (size_t i = 0; i < r->n; i++) {
        int g = r->pieces[i].group;
        if (g < 0) buf_puts(out, r->pieces[i].text);
        else if (v[2 * g] != PCRE2_UNSET) buf_put(out, s.p + v[2 * g], v[2 * g + 1] - v[2 * g]);
    }
}
