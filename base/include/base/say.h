// SPDX-License-Identifier: Apache-2.0
// The daemon's own log lines: a level, a text and fields, to a terminal, to journald or as JSON. Thread-safe.
//
// Only deciding code (core, commands) says; libraries return errors. Repeats of one line within a second are counted.
#ifndef BASE_SAY_H
#define BASE_SAY_H

#include "base/err.h"
#include "base/str.h"

enum say_level { SAY_ERROR = 3, SAY_WARN = 4, SAY_INFO = 6, SAY_DEBUG = 7 }; // syslog severities
enum say_format { SAY_TEXT, SAY_JSON, SAY_JOURNAL };
struct say_field { const char *name; struct str value; }; // name [a-z_]+

void say_setup(enum say_format format, enum say_level max, int fd); // fd is borrowed; SAY_JOURNAL ignores it
enum say_format say_format_auto(int fd); // JOURNAL when $JOURNAL_STREAM names fd, else TEXT
void say(enum say_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void say_fields(enum say_level level, const struct say_field *fields, size_t n, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
void say_err(enum say_level level, const struct err *err, const char *fmt, ...) __attribute__((format(printf, 3, 4))); // "fmt: msg (hint: ...)"
void say_flush(void); // writes a pending "last line repeated"; before exit and now and then
bool say_enabled(enum say_level level);

#endif
