// SPDX-License-Identifier: Apache-2.0
#include "cli/term.h"

#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/text.h"

const char *term_colour(FILE *to, enum colour c) {
    static const char *const escapes[] = {[PLAIN] = "\033[0m", [BOLD] = "\033[1m", [DIM] = "\033[2m",
                                          [RED] = "\033[31m",  [GREEN] = "\033[32m", [YELLOW] = "\033[33m"};
    const char *no = getenv("NO_COLOR");
    return isatty(fileno(to)) && !(no && *no) ? escapes[c] : "";
}

int term_width(void) {
    struct winsize w;
    return isatty(STDOUT_FILENO) && ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col ? w.ws_col : 100;
}

void table_init(struct table *t, size_t columns, const char *const *headings) {
    *t = (struct table){.columns = columns};
    for (size_t i = 0; i < columns; i++) table_cell(t, DIM, "%s", headings[i]);
}

void table_cell(struct table *t, enum colour c, const char *fmt, ...) {
    struct buf text = {0};
    va_list ap;
    va_start(ap, fmt);
    buf_vprintf(&text, fmt, ap);
    va_end(ap);
    struct table_cell cell = {xstrdup(buf_cstr(&text)), c};
    buf_done(&text);
    VEC_PUSH(t->cells, t->n, t->cap, cell);
}

// Characters, as far as columns of a terminal go: UTF-8 lead bytes.
static size_t shown_width(const char *s) {
    size_t n = 0;
    for (; *s; s++) n += ((unsigned char)*s & 0xc0) != 0x80;
    return n;
}

static size_t bytes_of_width(const char *s, size_t width) {
    const char *p = s;
    for (; *p; p++)
        if (((unsigned char)*p & 0xc0) != 0x80 && !width--) break;
    return (size_t)(p - s);
}

void table_print(struct table *t, FILE *to) {
    size_t widths[16] = {0}, used = 0;
    for (size_t i = 0; i < t->n; i++) {
        size_t w = shown_width(t->cells[i].text);
        if (w > widths[i % t->columns]) widths[i % t->columns] = w;
    }
    for (size_t i = 0; i + 1 < t->columns; i++) used += widths[i] + 2;
    size_t room = (size_t)term_width() > used + 20 ? (size_t)term_width() - used : 20;
    for (size_t i = 0; i < t->n; i++) {
        const struct table_cell *c = &t->cells[i];
        bool last = i % t->columns == t->columns - 1, cut = last && isatty(fileno(to));
        size_t n = cut ? bytes_of_width(c->text, room) : strlen(c->text), w = shown_width(c->text);
        fprintf(to, "%s%.*s%s", c->colour ? term_colour(to, c->colour) : "", (int)n, c->text, c->colour ? term_colour(to, PLAIN) : "");
        fprintf(to, "%*s", last ? 0 : (int)(widths[i % t->columns] - w) + 2, "");
        if (last) fputc('\n', to);
    }
    for (size_t i = 0; i < t->n; i++) free(t->cells[i].text);
    free(t->cells);
}

void term_bytes(struct buf *out, int64_t bytes) {
    if (bytes >= 0) size_print(out, (uint64_t)bytes);
    else buf_putz(out, "-");
}

void term_count(struct buf *out, int64_t n) {
    char digits[24];
    int len = snprintf(digits, sizeof(digits), "%lld", (long long)n), from = n < 0;
    if (from) buf_u8(out, '-');
    for (int i = from; i < len; i++) {
        if (i > from && (len - i) % 3 == 0) buf_u8(out, ',');
        buf_u8(out, (uint8_t)digits[i]);
    }
}

void term_since(struct buf *out, int64_t ms) {
    int64_t s = ms / 1000;
    if (s < 60) buf_printf(out, "%lld s", (long long)s);
    else if (s < 3600) buf_printf(out, "%lld min", (long long)(s / 60));
    else if (s < 86400) buf_printf(out, "%lld h %lld min", (long long)(s / 3600), (long long)(s % 3600 / 60));
    else buf_printf(out, "%lld d %lld h", (long long)(s / 86400), (long long)(s % 86400 / 3600));
}

static void error_json(const struct err *err) {
    struct buf out = {0};
    struct json_writer w = json_to(&out);
    json_object(&w);
    json_kz(&w, "error", err->msg);
    if (err->hint[0]) json_kz(&w, "hint", err->hint);
    json_object_end(&w);
    printf("%s\n", buf_cstr(&out));
    buf_done(&out);
}

void term_error(bool json, const struct err *err) {
    if (json) {
        error_json(err);
        return;
    }
    fflush(stdout);
    fprintf(stderr, "connectd: %serror:%s %s\n", term_colour(stderr, RED), term_colour(stderr, PLAIN), err->msg);
    if (err->hint[0]) fprintf(stderr, "  hint: %s\n", err->hint);
}
