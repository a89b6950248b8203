/* SPDX-License-Identifier: Apache-2.0 */
#include "filter.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct filter {
    uint32_t n;
    pcre2_match_data *match;
    pcre2_code *codes[];
};

static pcre2_code *compile(const char *pattern, char *error, size_t cap) {
    int code;
    PCRE2_SIZE at;
    uint32_t flags = PCRE2_CASELESS | PCRE2_ANCHORED | PCRE2_ENDANCHORED | PCRE2_UTF;
    pcre2_code *re = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, flags, &code, &at, NULL);
    if (!re) {
        char text[128];
        pcre2_get_error_message(code, (PCRE2_UCHAR *)text, sizeof text);
        snprintf(error, cap, "regular expression \"%s\", at %zu: %s", pattern, (size_t)at, text);
    }
    return re;
}

int filter_new(const struct cn_list *list, struct filter **ret, char *error, size_t cap) {
    *ret = NULL;
    if (!list->n) return 0;
    struct filter *f = calloc(1, sizeof *f + list->n * sizeof(pcre2_code *));
    if (!f) {
        snprintf(error, cap, "out of memory");
        return -1;
    }
    f->match = pcre2_match_data_create(1, NULL);
    for (uint32_t i = 0; i < list->n; i++) {
        const char *pattern = list->items[i];
        while (*pattern == ' ') pattern++;
        f->codes[f->n] = compile(pattern, error, cap);
        if (!f->codes[f->n] || !f->match) {
            filter_free(f);
            return -1;
        }
        f->n++;
    }
    *ret = f;
    return 0;
}

int filter_new_one(const char *pattern, struct filter **ret, char *error, size_t cap) {
    struct cn_list one = {1, &pattern};
    return filter_new(&one, ret, error, cap);
}

void filter_free(struct filter *f) {
    if (!f) return;
    for (uint32_t i = 0; i < f->n; i++) pcre2_code_free(f->codes[i]);
    if (f->match) pcre2_match_data_free(f->match);
    free(f);
}

int filter_rank(const struct filter *f, const char *name) {
    for (uint32_t i = 0; f && i < f->n; i++)
        if (pcre2_match(f->codes[i], (PCRE2_SPTR)name, strlen(name), 0, 0, f->match, NULL) >= 0) return (int)i;
    return -1;
}
