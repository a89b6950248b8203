// SPDX-License-Identifier: Apache-2.0
// The list of findings: adding, sorting, printing for people and for programs.
#include "config/finding.h"

#include <stdlib.h>

#include "base/mem.h"

__attribute__((format(printf, 5, 0)))
static struct finding *finding_add(struct findings *f, enum finding_level level, struct place at, const char *option,
                                   const char *fmt, va_list ap) {
    struct buf text = {0};
    buf_vprintf(&text, fmt, ap);
    vec_reserve((void **)&f->items, &f->cap, f->n + 1, sizeof(*f->items));
    struct finding *x = &f->items[f->n++];
    *x = (struct finding){.level = level, .line = at.line, .column = at.column, .message = xstrdup(buf_cstr(&text))};
    if (at.file) x->file = xstrdup(at.file);
    if (option) x->option = xstrdup(option);
    f->errors += level == FINDING_ERROR;
    buf_done(&text);
    return x;
}

int findings_error(struct findings *f, struct place at, const char *option, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    finding_add(f, FINDING_ERROR, at, option, fmt, ap);
    va_end(ap);
    return -1;
}

void findings_warn(struct findings *f, struct place at, const char *option, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    finding_add(f, FINDING_WARNING, at, option, fmt, ap);
    va_end(ap);
}

int findings_hint(struct findings *f, const char *fmt, ...) {
    struct buf text = {0};
    va_list ap;
    va_start(ap, fmt);
    buf_vprintf(&text, fmt, ap);
    va_end(ap);
    struct finding *last = &f->items[f->n - 1];
    free(last->hint);
    last->hint = xstrdup(buf_cstr(&text));
    buf_done(&text);
    return -1;
}

int findings_err(struct findings *f, struct place at, const char *option, const struct err *err) {
    findings_error(f, at, option, "%s", err->msg);
    return err->hint[0] ? findings_hint(f, "%s", err->hint) : -1;
}

static int compare_place(const struct finding *a, const struct finding *b) {
    int order = strcmp(a->file ? a->file : "", b->file ? b->file : "");
    if (order) return order;
    if (a->line != b->line) return a->line < b->line ? -1 : 1;
    return a->column != b->column ? (a->column < b->column ? -1 : 1) : 0;
}

// Insertion keeps the order of equal places, and findings mostly come in order.
void findings_sort(struct findings *f) {
    for (size_t i = 1; i < f->n; i++) {
        struct finding x = f->items[i];
        size_t at = i;
        for (; at && compare_place(&x, &f->items[at - 1]) < 0; at--) f->items[at] = f->items[at - 1];
        f->items[at] = x;
    }
}

static void print_place(const struct finding *f, struct buf *out) {
    if (!f->file) return;
    buf_putz(out, f->file);
    if (f->line) buf_printf(out, ":%d:%d", f->line, f->column);
    buf_putz(out, ": ");
}

void finding_print(const struct finding *f, struct buf *out) {
    print_place(f, out);
    buf_printf(out, "%s: %s\n", f->level == FINDING_ERROR ? "error" : "warning", f->message);
    if (f->hint) buf_printf(out, "    hint: %s\n", f->hint);
}

void findings_print(const struct findings *f, struct buf *out) {
    for (size_t i = 0; i < f->n; i++) finding_print(&f->items[i], out);
}

static void finding_json(const struct finding *f, struct json_writer *w) {
    json_object(w);
    json_kz(w, "level", f->level == FINDING_ERROR ? "error" : "warning");
    json_kz(w, "file", f->file);
    if (f->line) json_ki(w, "line", f->line);
    if (f->line) json_ki(w, "column", f->column);
    if (f->option) json_kz(w, "option", f->option);
    json_kz(w, "message", f->message);
    if (f->hint) json_kz(w, "hint", f->hint);
    json_object_end(w);
}

void findings_json(const struct findings *f, struct json_writer *w) {
    json_array(w);
    for (size_t i = 0; i < f->n; i++) finding_json(&f->items[i], w);
    json_array_end(w);
}

int findings_result(const struct findings *f, struct err *err) {
    if (!f->errors) return 0;
    const struct finding *first = f->items;
    while (first->level != FINDING_ERROR) first++;
    struct buf where = {0};
    print_place(first, &where);
    err_set(err, ERR_INVALID, "%s%.400s", buf_cstr(&where), first->message);
    if (f->errors > 1) err_set(err, ERR_INVALID, "%s (and %zu more)", err ? err->msg : "", f->errors - 1);
    if (first->hint) err_hint(err, "%s", first->hint);
    buf_done(&where);
    return -1;
}

void findings_done(struct findings *f) {
    for (size_t i = 0; i < f->n; i++) {
        free(f->items[i].file);
        free(f->items[i].option);
        free(f->items[i].message);
        free(f->items[i].hint);
    }
    free(f->items);
    *f = (struct findings){0};
}
