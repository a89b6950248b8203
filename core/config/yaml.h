// SPDX-License-Identifier: Apache-2.0
// YAML as a tree with places, and its flattening into dotted keys.
//
// Scalars stay text (`no`, `0123`, `12:30` survive). Bounded against hostile input: 1 MiB, 32 levels, 100,000 nodes after
// aliases are expanded. Tags and merge keys (`<<`) are refused.
#ifndef CONFIG_YAML_H
#define CONFIG_YAML_H

#include "base/mem.h"
#include "config/props.h"

enum yaml_kind { YAML_TEXT, YAML_MAP, YAML_LIST };

struct yaml_node {
    enum yaml_kind kind;
    struct place at;
    struct str text;           // TEXT: terminated
    bool plain_empty;          // TEXT: nothing was written at all (`key:`)
    struct yaml_member *members; // MAP: in order
    struct yaml_node **items;  // LIST
    size_t n;                  // members or items
    size_t weight;             // nodes in it, itself included, aliases counted each time
};
struct yaml_member {
    struct str key; // terminated
    struct place at;
    struct yaml_node *value;
};

// A tree lives until yaml_done. Zero-initialised is valid.
struct yaml {
    struct arena arena;
    struct yaml_node *root; // NULL: the document is empty
};

// Parses one document; what is wrong goes to `f`. Returns 0, or -1 when there is no tree to go on with. `file` is borrowed
// by every place in the tree and in what is flattened from it.
int yaml_parse(struct yaml *y, const char *file, struct str text, struct findings *f) MUST_USE;
// A whole configuration file, at most 1 MiB.
int yaml_read_file(const char *path, struct buf *ret, struct findings *f) MUST_USE;
void yaml_done(struct yaml *y);

// The value of a key of a map; NULL when absent or not a map.
const struct yaml_node *yaml_get(const struct yaml_node *map, const char *key);

// Appends a map's leaves to `out` under dotted keys. A key that is both value and prefix takes its value as `type` in map
// form when `typed` says so (value.converter: {type: json, schemas.enable: false}). The same option twice, in any spelling,
// is an error that names both places; so are a list of maps and a key without a value.
int yaml_flatten(const struct yaml_node *map, const char *prefix, bool (*typed)(const char *key), struct props *out, struct findings *f);

#endif
