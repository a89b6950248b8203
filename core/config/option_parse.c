// SPDX-License-Identifier: Apache-2.0
// One option's text to its typed value, by the row's type, range, choices or pattern.
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>
#include <strings.h>

#include "base/mem.h"
#include "base/text.h"
#include "config/options.h"

struct parsing {
    const struct cn_option *row;
    const char *text;
    struct cn_option_value *v;
    struct arena *texts;
    struct err *err;
};

// Says what the value is not; a secret is not repeated.
static int not_a(const struct parsing *p, const char *what) {
    if (p->row->flags & CN_OPT_SECRET) return err_set(p->err, ERR_INVALID, "its value is not %s", what);
    return err_set(p->err, ERR_INVALID, "'%.100s' is not %s", p->text, what);
}

static int check_range(const struct parsing *p, double v) {
    const struct cn_option *r = p->row;
    const char *text = r->flags & CN_OPT_SECRET ? "its value" : p->text;
    if ((!r->min && !r->max) || (v >= (double)r->min && v <= (double)r->max)) return 0;
    if (r->max == INT64_MAX) return err_set(p->err, ERR_OUT_OF_RANGE, "%.100s is below %lld", text, (long long)r->min);
    return err_set(p->err, ERR_OUT_OF_RANGE, "%.100s is out of range: %lld to %lld", text, (long long)r->min, (long long)r->max);
}

static int parse_text(const struct parsing *p) {
    p->v->text = arena_copy(p->texts, str_of(p->text)).p;
    return 0;
}

static int parse_bool(const struct parsing *p) {
    bool yes = !strcasecmp(p->text, "true");
    if (!yes && strcasecmp(p->text, "false")) return not_a(p, "true or false");
    p->v->i = yes;
    return 0;
}

static int parse_int(const struct parsing *p) {
    if (!str_to_i64(str_trim(str_of(p->text)), &p->v->i)) return not_a(p, "a whole number");
    return check_range(p, (double)p->v->i);
}

static int parse_double(const struct parsing *p) {
    if (!str_to_double(str_trim(str_of(p->text)), &p->v->f)) return not_a(p, "a number");
    return check_range(p, p->v->f);
}

static bool ends_in_decimal_unit(const char *text) {
    static const char *const units[] = {"kB", "KB", "MB", "GB", "TB"};
    for (size_t i = 0; i < countof(units); i++)
        if (str_ends(str_trim(str_of(text)), str_of(units[i]))) return true;
    return false;
}

static int parse_size(const struct parsing *p) {
    if (size_parse(str_of(p->text), &p->v->i)) return check_range(p, (double)p->v->i);
    not_a(p, "a size such as 65536, 64k or 16MiB");
    if (ends_in_decimal_unit(p->text)) err_hint(p->err, "kB and MB mean 1000 to some and 1024 to others: write k, MiB or GiB");
    return -1;
}

static int parse_ms(const struct parsing *p) {
    if (!duration_parse(str_of(p->text), &p->v->i)) return not_a(p, "a duration such as 250ms, 10s, 5 min or 7d");
    return check_range(p, (double)p->v->i);
}

static void choices_text(const struct cn_option *row, struct buf *out) {
    for (size_t i = 0; row->choices && row->choices[i]; i++) buf_printf(out, "%s%s", i ? ", " : "", row->choices[i]);
}

static int bad_choice(const struct parsing *p) {
    struct buf what = {0};
    buf_putz(&what, "one of ");
    choices_text(p->row, &what);
    not_a(p, buf_cstr(&what));
    buf_done(&what);
    unsigned best = 3;
    for (size_t i = 0; p->row->choices && p->row->choices[i]; i++) {
        unsigned d = str_distance(str_of(p->text), str_of(p->row->choices[i]), 3);
        if (d >= best) continue;
        best = d;
        err_hint(p->err, "did you mean %s?", p->row->choices[i]);
    }
    return -1;
}

static int parse_enum(const struct parsing *p) {
    for (int32_t i = 0; p->row->choices && p->row->choices[i]; i++) {
        if (strcasecmp(p->row->choices[i], p->text)) continue;
        p->v->choice = i;
        p->v->text = p->row->choices[i];
        return 0;
    }
    return bad_choice(p);
}

static int parse_regex(const struct parsing *p) {
    int code;
    size_t at;
    pcre2_code *re = pcre2_compile((PCRE2_SPTR)p->text, PCRE2_ZERO_TERMINATED, PCRE2_UTF, &code, &at, NULL);
    if (re) {
        pcre2_code_free(re);
        return parse_text(p);
    }
    PCRE2_UCHAR why[128];
    pcre2_get_error_message(code, why, sizeof(why));
    not_a(p, "a regular expression");
    return err_set(p->err, ERR_INVALID, "%s: %s at character %zu", p->err ? p->err->msg : "", (char *)why, at);
}

static int parse_list(const struct parsing *p) {
    struct str rest = str_of(p->text), part;
    const char **items = arena_alloc(p->texts, (strlen(p->text) / 2 + 1) * sizeof(*items));
    uint32_t n = 0;
    while (str_split(&rest, ',', &part)) {
        part = str_trim(part);
        if (part.n) items[n++] = arena_copy(p->texts, part).p;
    }
    p->v->list = (struct cn_list){n, items};
    return 0;
}

static int parse_map(const struct parsing *p) {
    return err_set(p->err, ERR_INVALID, "it has no value of its own: options go below it");
}

static const struct {
    int (*parse)(const struct parsing *p);
    const char *name;
} types[] = {
    [CN_OPT_STRING] = {parse_text, "text"},  [CN_OPT_BOOL] = {parse_bool, "true or false"},
    [CN_OPT_INT] = {parse_int, "number"},    [CN_OPT_DOUBLE] = {parse_double, "decimal number"},
    [CN_OPT_SIZE] = {parse_size, "size"},    [CN_OPT_MS] = {parse_ms, "duration"},
    [CN_OPT_LIST] = {parse_list, "list"},    [CN_OPT_ENUM] = {parse_enum, "choice"},
    [CN_OPT_REGEX] = {parse_regex, "regex"}, [CN_OPT_MAP] = {parse_map, "options"},
};

int option_parse(const struct cn_option *row, const char *text, struct cn_option_value *ret, struct arena *texts, struct err *err) {
    struct cn_option_value v = {.type = row->type, .choice = -1};
    struct err none;
    if (!row->type || row->type >= countof(types)) return err_set(err, ERR_INTERNAL, "its row has the unknown type %u", row->type);
    if (types[row->type].parse(&(struct parsing){row, text, &v, texts, err ? err : &none})) return -1;
    *ret = v;
    return 0;
}

const char *option_type_text(const struct cn_option *row) {
    return row->type && row->type < countof(types) ? types[row->type].name : "unknown";
}
