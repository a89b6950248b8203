// SPDX-License-Identifier: Apache-2.0
// libyaml's events built into a bounded tree.
//
// Anchors are entered when their node is complete, so that no cycle can be written; an alias shares the node and is charged
// the anchored subtree's weight again, so that walking the tree costs no more than the limit.
#include "config/yaml.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <yaml.h>

#include "base/map.h"

enum { YAML_BYTES = 1024 * 1024, YAML_DEPTH = 32, YAML_NODES = 100000 };

struct builder {
    yaml_parser_t parser;
    yaml_event_t event;
    struct yaml *y;
    const char *file;
    struct findings *f;
    struct map anchors; // name → complete node
    size_t nodes;       // aliases expanded
    struct str text;
};

static struct place place_of(const struct builder *b, yaml_mark_t mark) {
    return (struct place){b->file, (int)mark.line + 1, (int)mark.column + 1};
}

static struct place here(const struct builder *b) { return place_of(b, b->event.start_mark); }

static bool line_has_tab(struct str text, size_t line) {
    struct str row;
    while (str_split(&text, '\n', &row))
        if (!line--) return str_find(row, '\t', 0) < row.n;
    return false;
}

static int parser_failed(struct builder *b) {
    const yaml_parser_t *p = &b->parser;
    struct place at = place_of(b, p->problem_mark);
    if (p->error == YAML_MEMORY_ERROR) return findings_error(b->f, at, NULL, "out of memory");
    if (p->error == YAML_READER_ERROR)
        return findings_error(b->f, (struct place){b->file, 0, 0}, NULL, "%s at byte %zu", p->problem,
                              p->problem_offset);
    findings_error(b->f, at, NULL, "%s%s%s", p->context ? p->context : "", p->context ? ": " : "",
                   p->problem ? p->problem : "malformed");
    if (line_has_tab(b->text, p->problem_mark.line)) return findings_hint(b->f, "YAML indents with spaces, not with tabs");
    return -1;
}

static int next_event(struct builder *b) {
    yaml_event_delete(&b->event);
    return yaml_parser_parse(&b->parser, &b->event) ? 0 : parser_failed(b);
}

static int charge(struct builder *b, size_t nodes) {
    b->nodes += nodes;
    return b->nodes <= YAML_NODES ? 0 : findings_error(b->f, here(b), NULL, "more than %d values", YAML_NODES);
}

static struct yaml_node *node_new(struct builder *b, enum yaml_kind kind) {
    struct yaml_node *n = arena_zalloc(&b->y->arena, sizeof(*n));
    n->kind = kind;
    n->at = here(b);
    n->weight = 1;
    return n;
}

static int refuse_tag(struct builder *b, const yaml_char_t *tag) {
    if (!tag) return 0;
    findings_error(b->f, here(b), NULL, "tag %s is not supported", (const char *)tag);
    return findings_hint(b->f, "values stay as written, so that no tag is needed");
}

static struct yaml_node *build(struct builder *b, unsigned depth);

static struct yaml_node *build_text(struct builder *b) {
    struct str text = str_make(b->event.data.scalar.value, b->event.data.scalar.length);
    if (refuse_tag(b, b->event.data.scalar.tag) || charge(b, 1)) return NULL;
    if (str_find(text, 0, 0) < text.n) {
        findings_error(b->f, here(b), NULL, "value contains a NUL character");
        return NULL;
    }
    struct yaml_node *n = node_new(b, YAML_TEXT);
    n->text = arena_copy(&b->y->arena, text);
    n->plain_empty = !text.n && b->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    return n;
}

static struct yaml_node *build_alias(struct builder *b) {
    const char *name = (const char *)b->event.data.alias.anchor;
    struct yaml_node *n = map_get(&b->anchors, str_of(name));
    if (!n) findings_error(b->f, here(b), NULL, "alias *%s has no anchor before it", name);
    return n && !charge(b, n->weight) ? n : NULL;
}

static struct yaml_node *build_list(struct builder *b, unsigned depth) {
    if (refuse_tag(b, b->event.data.sequence_start.tag) || charge(b, 1)) return NULL;
    struct yaml_node *list = node_new(b, YAML_LIST);
    struct yaml_node **items = NULL;
    size_t cap = 0;
    for (;;) {
        struct yaml_node *item = NULL;
        if (next_event(b)) break;
        if (b->event.type == YAML_SEQUENCE_END_EVENT) {
            list->items = list->n ? arena_alloc(&b->y->arena, list->n * sizeof(*items)) : NULL;
            if (list->n) memcpy(list->items, items, list->n * sizeof(*items));
            free(items);
            return list;
        }
        if (!(item = build(b, depth + 1))) break;
        VEC_PUSH(items, list->n, cap, item);
        list->weight += item->weight;
    }
    free(items);
    return NULL;
}

static int check_key(struct builder *b) {
    if (b->event.type != YAML_SCALAR_EVENT) return findings_error(b->f, here(b), NULL, "a key is a text, not a map or list");
    struct str key = str_make(b->event.data.scalar.value, b->event.data.scalar.length);
    if (!key.n) return findings_error(b->f, here(b), NULL, "empty key");
    if (str_find(key, 0, 0) < key.n) return findings_error(b->f, here(b), NULL, "key contains a NUL character");
    if (str_eqz(key, "<<")) return findings_error(b->f, here(b), NULL, "merge keys (<<) are not supported");
    return refuse_tag(b, b->event.data.scalar.tag);
}

// Members seen so far by key, so that a long map stays cheap.
static int check_duplicate(struct builder *b, struct map *seen, const struct yaml_member *m) {
    const struct yaml_member *first = map_put(seen, m->key, (void *)(uintptr_t)m);
    if (!first) return 0;
    return findings_error(b->f, m->at, m->key.p, "%s is given twice: it is also in line %d", m->key.p, first->at.line);
}

// The member whose key event is current; *ret_bad: go on, but the tree is not to be used.
static struct yaml_member *build_member(struct builder *b, struct map *seen, unsigned depth) {
    if (check_key(b) || charge(b, 1)) return NULL;
    struct yaml_member *m = arena_zalloc(&b->y->arena, sizeof(*m));
    m->at = here(b);
    m->key = arena_copy(&b->y->arena, str_make(b->event.data.scalar.value, b->event.data.scalar.length));
    check_duplicate(b, seen, m);
    if (next_event(b) || !(m->value = build(b, depth + 1))) return NULL;
    return m;
}

static struct yaml_node *build_map(struct builder *b, unsigned depth) {
    if (refuse_tag(b, b->event.data.mapping_start.tag) || charge(b, 1)) return NULL;
    struct yaml_node *map = node_new(b, YAML_MAP), *done = NULL;
    struct yaml_member **members = NULL;
    struct map seen = {0};
    size_t cap = 0;
    while (!next_event(b)) {
        if (b->event.type == YAML_MAPPING_END_EVENT) {
            done = map;
            break;
        }
        struct yaml_member *m = build_member(b, &seen, depth);
        if (!m) break;
        VEC_PUSH(members, map->n, cap, m);
        map->weight += 1 + m->value->weight;
    }
    map->members = arena_alloc(&b->y->arena, map->n * sizeof(*map->members));
    for (size_t i = 0; i < map->n; i++) map->members[i] = *members[i];
    map_done(&seen, NULL);
    free(members);
    return done;
}

static const yaml_char_t *event_anchor(const yaml_event_t *e) {
    switch (e->type) {
    case YAML_SCALAR_EVENT: return e->data.scalar.anchor;
    case YAML_SEQUENCE_START_EVENT: return e->data.sequence_start.anchor;
    case YAML_MAPPING_START_EVENT: return e->data.mapping_start.anchor;
    default: return NULL;
    }
}

static struct yaml_node *build_kind(struct builder *b, unsigned depth) {
    switch (b->event.type) {
    case YAML_SCALAR_EVENT: return build_text(b);
    case YAML_ALIAS_EVENT: return build_alias(b);
    case YAML_SEQUENCE_START_EVENT: return build_list(b, depth);
    case YAML_MAPPING_START_EVENT: return build_map(b, depth);
    default: findings_error(b->f, here(b), NULL, "value expected"); return NULL;
    }
}

// The node that begins with the current event; afterwards its last event is current.
static struct yaml_node *build(struct builder *b, unsigned depth) {
    if (depth > YAML_DEPTH) {
        findings_error(b->f, here(b), NULL, "nested more than %d deep", YAML_DEPTH);
        return NULL;
    }
    const yaml_char_t *anchor = event_anchor(&b->event);
    struct str name = anchor ? arena_copy(&b->y->arena, str_of((const char *)anchor)) : (struct str){NULL, 0};
    struct yaml_node *n = build_kind(b, depth);
    if (n && name.p) map_put(&b->anchors, name, n);
    return n;
}

// Stream start, document start, the root, document end, stream end.
static int build_document(struct builder *b) {
    if (next_event(b) || next_event(b)) return -1;
    if (b->event.type == YAML_STREAM_END_EVENT) return 0; // nothing but comments
    if (next_event(b) || !(b->y->root = build(b, 0))) return -1;
    if (next_event(b) || next_event(b)) return -1;
    if (b->event.type == YAML_STREAM_END_EVENT) return 0;
    return findings_error(b->f, here(b), NULL, "a second document begins here: one file holds one");
}

int yaml_parse(struct yaml *y, const char *file, struct str text, struct findings *f) {
    struct builder b = {.y = y, .file = file, .f = f, .text = text};
    size_t errors = f->errors;
    struct place whole = {file, 0, 0};
    if (text.n > YAML_BYTES) return findings_error(f, whole, NULL, "larger than %d bytes", YAML_BYTES);
    if (!yaml_parser_initialize(&b.parser)) return findings_error(f, whole, NULL, "out of memory");
    yaml_parser_set_encoding(&b.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&b.parser, (const unsigned char *)text.p, text.n);
    int failed = build_document(&b);
    if (failed || f->errors > errors) y->root = NULL;
    yaml_event_delete(&b.event);
    yaml_parser_delete(&b.parser);
    map_done(&b.anchors, NULL);
    return f->errors > errors ? -1 : 0;
}

void yaml_done(struct yaml *y) {
    arena_done(&y->arena);
    *y = (struct yaml){0};
}

static int read_stream(FILE *in, const char *path, struct buf *ret, struct findings *f) {
    size_t before = ret->n, got = 1;
    while (got && ret->n - before <= YAML_BYTES) {
        if (!buf_reserve(ret, 65536)) break;
        got = fread(ret->p + ret->n, 1, 65536, in);
        ret->n += got;
    }
    if (ferror(in)) return findings_error(f, (struct place){path, 0, 0}, NULL, "can not be read: %s", strerror(errno));
    if (ret->n - before > YAML_BYTES)
        return findings_error(f, (struct place){path, 0, 0}, NULL, "larger than %d bytes", YAML_BYTES);
    return 0;
}

int yaml_read_file(const char *path, struct buf *ret, struct findings *f) {
    FILE *in = fopen(path, "re");
    if (!in) return findings_error(f, (struct place){path, 0, 0}, NULL, "can not be read: %s", strerror(errno));
    int failed = read_stream(in, path, ret, f);
    fclose(in);
    return failed;
}

const struct yaml_node *yaml_get(const struct yaml_node *map, const char *key) {
    if (!map || map->kind != YAML_MAP) return NULL;
    for (size_t i = 0; i < map->n; i++)
        if (str_eqz(map->members[i].key, key)) return map->members[i].value;
    return NULL;
}
