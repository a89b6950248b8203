// SPDX-License-Identifier: Apache-2.0
// What people see: colours where standard output is a terminal, tables with aligned columns, errors with their hints.
#ifndef CLI_TERM_H
#define CLI_TERM_H

#include <stdbool.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/err.h"

enum colour { PLAIN, BOLD, DIM, RED, GREEN, YELLOW };
// The escape that starts (PLAIN: ends) a colour on that stream; "" where it is no terminal or $NO_COLOR is set.
const char *term_colour(FILE *to, enum colour c);
int term_width(void); // of standard output; 100 when it is no terminal

struct table_cell { char *text; enum colour colour; };
struct table {
    size_t columns;
    struct table_cell *cells; // row by row, the heading first
    size_t n, cap;
};
void table_init(struct table *t, size_t columns, const char *const *headings);
void table_cell(struct table *t, enum colour c, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void table_print(struct table *t, FILE *to); // the last column is cut at the terminal's width; frees the cells

// "1.5 KiB", "12.3k": for people.
void term_bytes(struct buf *out, int64_t bytes);
void term_count(struct buf *out, int64_t n); // 12,345
void term_since(struct buf *out, int64_t ms); // "3 min", "2 h 5 min"

// "connectd: error: …", and the hint, on standard error; with `json` as an object on standard output instead.
void term_error(bool json, const struct err *err);

#endif
