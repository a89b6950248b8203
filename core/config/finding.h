// SPDX-License-Identifier: Apache-2.0
// What is wrong with configuration: a list of errors and warnings, each with its place, and what to do about it.
//
// Reading goes on after an error, so that one run names all of them. Everything here is copied. One thread at a time.
#ifndef CONFIG_FINDING_H
#define CONFIG_FINDING_H

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"

// Where something stands in a file. line 0: the file as a whole; file NULL: no file (REST, command line).
struct place {
    const char *file; // borrowed from the document it came from
    int line, column; // from 1
};

enum finding_level { FINDING_ERROR, FINDING_WARNING };

struct finding {
    enum finding_level level;
    char *file; // NULL: no file
    int line, column;
    char *option;  // the option it is about as it is looked up (an alias resolved: `connector.class`), or NULL
    char *message; // lower case, no full stop, no secrets
    char *hint;    // or NULL
};
struct findings {
    struct finding *items;
    size_t n, cap;
    size_t errors;
};

// Returns -1, so that `return findings_error(...)` reads as one step.
int findings_error(struct findings *f, struct place at, const char *option, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
void findings_warn(struct findings *f, struct place at, const char *option, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
// A hint for the one added last. Returns -1.
int findings_hint(struct findings *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
// An err as an error finding.
int findings_err(struct findings *f, struct place at, const char *option, const struct err *err);
// By file, line, column; the order of adding is kept within one place.
void findings_sort(struct findings *f);
// "shop.yaml:7:5: error: unknown option `hostnme`\n    hint: did you mean hostname?\n"
void findings_print(const struct findings *f, struct buf *out);
void finding_print(const struct finding *f, struct buf *out);
// An array of {"level","file","line","column","option","message","hint"}.
void findings_json(const struct findings *f, struct json_writer *w);
// 0 without errors; else -1 with the errors as one err: the first one's text and hint, "(and 3 more)".
int findings_result(const struct findings *f, struct err *err) MUST_USE;
void findings_done(struct findings *f);

#endif
