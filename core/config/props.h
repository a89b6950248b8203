// SPDX-License-Identifier: Apache-2.0
// Flat options in order: dotted key, text or list of texts, the place it was written at, and whether it must not be shown.
//
// The form both configuration languages meet in: YAML maps flattened, and Connect's JSON as it is. Keys are unique. Values
// are as written: secret references are not resolved here. Owns its texts.
#ifndef CONFIG_PROPS_H
#define CONFIG_PROPS_H

#include "base/map.h"
#include "config/finding.h"

struct prop {
    char *key;   // "errors.tolerance"
    char *value; // a list: its items joined by commas
    char **items; // a sequence in YAML: items keep their commas; NULL when it was written as text
    size_t item_count;
    bool is_list;
    bool secret;        // contains a secret reference (an option row may make it secret too: options.h)
    struct place at;    // of the value
    struct place key_at;
};

struct props {
    struct prop *items; // in the order written
    size_t n, cap;
    struct map index; // key → position + 1
};

const struct prop *props_get(const struct props *p, const char *key); // NULL when absent
const char *props_text(const struct props *p, const char *key, const char *otherwise);
// Appends; key is not present yet. Copies. The result is valid until the next change.
struct prop *props_add(struct props *p, struct str key, struct str value, struct place at);
struct prop *props_add_list(struct props *p, struct str key, const struct str *items, size_t n, struct place at);
// Sets the text of a key, present or not.
void props_set(struct props *p, const char *key, const char *value);
void props_remove(struct props *p, const char *key);
void props_copy(struct props *to, const struct props *from); // appends what `to` does not have
bool props_equal(const struct props *a, const struct props *b); // same keys and values; order and places do not matter
void props_done(struct props *p);

#endif
