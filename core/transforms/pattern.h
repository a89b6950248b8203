// SPDX-License-Identifier: Apache-2.0
// A PCRE2 pattern matched against whole texts, and Java's replacement texts ($1, ${name}, \$). One thread at a time.
#ifndef TRANSFORMS_PATTERN_H
#define TRANSFORMS_PATTERN_H

#include "base/buf.h"
#include "base/err.h"

struct pattern;
struct pattern *pattern_new(const char *regex, struct err *err);
void pattern_free(struct pattern *p);
// 1: the whole of s matches; 0: it does not; -1 with err: matching gave up (back-tracking limit).
int pattern_matches(struct pattern *p, struct str s, struct err *err);

struct replacement;
// Parses the text against the groups the pattern has.
struct replacement *replacement_new(const struct pattern *p, const char *text, struct err *err);
void replacement_free(struct replacement *r);
// Appends the replacement for the text that pattern_matches matched last.
void replacement_expand(const struct replacement *r, const struct pattern *p, struct str s, struct buf *out);

#endif
