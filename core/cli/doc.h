// SPDX-License-Identifier: Apache-2.0
// A JSON text as a small tree, for requests and for what the commands show. Not for the record path.
//
// Lives in an arena of its own until doc_done; bounded by the reader's depth and the text's size. All getters take NULL.
#ifndef CLI_DOC_H
#define CLI_DOC_H

#include "base/json.h"
#include "base/mem.h"

struct doc_node {
    enum json_token kind;   // JSON_OBJECT, JSON_ARRAY, JSON_STRING, JSON_NUMBER, JSON_TRUE, JSON_FALSE, JSON_NULL
    struct str key;         // in an object; terminated
    struct str text;        // STRING: unescaped; NUMBER: as written; terminated
    struct doc_node *first, *next; // children, sibling
};
struct doc {
    struct arena arena;
    struct doc_node *root;
};
int doc_parse(struct doc *d, struct str text, struct err *err) MUST_USE;
void doc_done(struct doc *d);

const struct doc_node *doc_get(const struct doc_node *object, const char *key); // NULL when absent
// By a path of keys: doc_at(n, "a.b").
const struct doc_node *doc_at(const struct doc_node *object, const char *path);
const char *doc_text(const struct doc_node *object, const char *key, const char *otherwise); // strings and numbers
int64_t doc_int(const struct doc_node *object, const char *key, int64_t otherwise);
bool doc_true(const struct doc_node *object, const char *key);
size_t doc_count(const struct doc_node *n);
#define DOC_EACH(item, parent) for (const struct doc_node *item = (parent) ? (parent)->first : NULL; item; item = item->next)
// Writes the node as JSON again.
void doc_write(const struct doc_node *n, struct json_writer *w);

#endif
