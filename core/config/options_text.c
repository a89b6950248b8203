// SPDX-License-Identifier: Apache-2.0
// An option table as text: --help, and the table of a manual page.
#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"
#include "config/options.h"

enum { HELP_WIDTH = 100 };

// Words of a text, broken before HELP_WIDTH, each line after `indent` spaces.
void options_wrap(struct buf *out, const char *text, size_t indent, const char *lead) {
    struct str rest = str_of(text), word;
    size_t column = 0;
    while (str_split(&rest, ' ', &word)) {
        if (column && column + 1 + word.n > HELP_WIDTH - indent) {
            buf_u8(out, '\n');
            column = 0;
        }
        if (!column) buf_fill(out, ' ', indent), buf_putz(out, lead);
        else buf_u8(out, ' ');
        buf_puts(out, word);
        column += word.n + 1;
    }
    buf_u8(out, '\n');
}

static bool is_shown(const struct cn_option *row) { return !(row->flags & (CN_OPT_REFUSED | CN_OPT_IGNORED)); }

// The largest unit that divides it: 86400000 is 1d.
static void duration_text(int64_t ms, struct buf *out) {
    static const struct {
        int64_t ms;
        const char *unit;
    } units[] = {{86400000, "d"}, {3600000, "h"}, {60000, "min"}, {1000, "s"}, {1, "ms"}};
    size_t i = 0;
    while (ms % units[i].ms) i++;
    buf_i64(out, ms / units[i].ms);
    buf_putz(out, units[i].unit);
}

static void bound_text(const struct cn_option *row, int64_t v, struct buf *out) {
    if (row->type == CN_OPT_SIZE && v >= 1024) size_print(out, (uint64_t)v);
    else if (row->type == CN_OPT_MS && v > 0) duration_text(v, out);
    else buf_i64(out, v);
}

// "number, 1 to 65535" or "one of none, all".
void option_shape(const struct cn_option *row, struct buf *out) {
    if (row->type == CN_OPT_ENUM) {
        buf_putz(out, "one of ");
        for (size_t i = 0; row->choices && row->choices[i]; i++) buf_printf(out, "%s%s", i ? ", " : "", row->choices[i]);
        return;
    }
    buf_putz(out, option_type_text(row));
    if (row->min || row->max) {
        buf_putz(out, row->max == INT64_MAX ? ", at least " : ", ");
        bound_text(row, row->min, out);
        if (row->max != INT64_MAX) buf_putz(out, " to "), bound_text(row, row->max, out);
    }
}

static void help_row(const struct option_scope *s, const struct cn_option *row, struct buf *out) {
    buf_printf(out, "  %s%s%s  (", s->prefix, row->name, row->type == CN_OPT_MAP ? "*" : "");
    option_shape(row, out);
    if (row->flags & CN_OPT_REQUIRED) buf_putz(out, ", required");
    if (row->def && *row->def) buf_printf(out, ", default %s", row->def);
    if (row->flags & CN_OPT_SECRET) buf_putz(out, ", secret");
    buf_putz(out, ")\n");
    if (row->doc) options_wrap(out, row->doc, 6, "");
}

static const char *group_of(const struct cn_option *row) { return row->group ? row->group : "Options"; }

// Whether the row begins a group: none before it is of the same one.
static bool begins_group(const struct option_scope *s, size_t at) {
    for (size_t i = 0; i < at; i++)
        if (is_shown(&s->rows[i]) && !strcmp(group_of(&s->rows[i]), group_of(&s->rows[at]))) return false;
    return true;
}

static void help_group(const struct option_scope *s, size_t from, bool advanced, struct buf *out) {
    const char *group = group_of(&s->rows[from]);
    bool titled = false;
    for (size_t i = from; i < s->n; i++) {
        const struct cn_option *row = &s->rows[i];
        if (!is_shown(row) || strcmp(group_of(row), group) || (!advanced && row->flags & CN_OPT_ADVANCED)) continue;
        if (!titled) buf_printf(out, "%s%s\n", out->n ? "\n" : "", group);
        titled = true;
        help_row(s, row, out);
    }
}

void options_help(const struct option_scope *s, bool advanced, struct buf *out) {
    for (size_t i = 0; i < s->n; i++)
        if (is_shown(&s->rows[i]) && begins_group(s, i)) help_group(s, i, advanced, out);
}

// Table cells may not hold a bare '|'.
static void markdown_cell(struct buf *out, const char *text) {
    for (; *text; text++) {
        if (*text == '|') buf_u8(out, '\\');
        buf_u8(out, (uint8_t)*text);
    }
}

static void markdown_row(const struct option_scope *s, const struct cn_option *row, struct buf *out) {
    struct buf shape = {0};
    option_shape(row, &shape);
    buf_printf(out, "| `%s%s%s` | ", s->prefix, row->name, row->type == CN_OPT_MAP ? "*" : "");
    markdown_cell(out, buf_cstr(&shape));
    if (row->flags & CN_OPT_REQUIRED) buf_putz(out, " | **required** | ");
    else if (row->def && *row->def) buf_printf(out, " | `%s` | ", row->def);
    else buf_putz(out, " | | ");
    markdown_cell(out, row->doc ? row->doc : "");
    if (row->flags & CN_OPT_SECRET) buf_putz(out, " Secret.");
    buf_putz(out, " |\n");
    buf_done(&shape);
}

void options_markdown(const struct option_scope *s, struct buf *out) {
    for (size_t i = 0; i < s->n; i++) {
        if (!is_shown(&s->rows[i]) || !begins_group(s, i)) continue;
        buf_printf(out, "%s### %s\n\n| option | value | default | |\n|---|---|---|---|\n", out->n ? "\n" : "", group_of(&s->rows[i]));
        for (size_t k = i; k < s->n; k++)
            if (is_shown(&s->rows[k]) && !strcmp(group_of(&s->rows[k]), group_of(&s->rows[i]))) markdown_row(s, &s->rows[k], out);
    }
}
