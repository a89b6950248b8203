// SPDX-License-Identifier: Apache-2.0
#include "cli/doc.h"

struct build { struct doc *doc; struct json_reader in; };

static struct doc_node *build_value(struct build *b, enum json_token t);

static bool build_children(struct build *b, struct doc_node *parent, enum json_token end) {
    struct doc_node **tail = &parent->first;
    for (enum json_token t = json_next(&b->in); t != end; t = json_next(&b->in)) {
        struct str key = {0};
        if (t == JSON_KEY) {
            key = arena_copy(&b->doc->arena, b->in.text);
            t = json_next(&b->in);
        }
        struct doc_node *child = build_value(b, t);
        if (!child) return false;
        child->key = key;
        *tail = child;
        tail = &child->next;
    }
    return true;
}

static struct doc_node *build_value(struct build *b, enum json_token t) {
    if (t == JSON_BAD || t == JSON_END) return NULL;
    struct doc_node *n = arena_zalloc(&b->doc->arena, sizeof(*n));
    n->kind = t;
    if (t == JSON_STRING || t == JSON_NUMBER) n->text = arena_copy(&b->doc->arena, b->in.text);
    if (t == JSON_OBJECT && !build_children(b, n, JSON_OBJECT_END)) return NULL;
    if (t == JSON_ARRAY && !build_children(b, n, JSON_ARRAY_END)) return NULL;
    return n;
}

int doc_parse(struct doc *d, struct str text, struct err *err) {
    struct build b = {.doc = d};
    *d = (struct doc){0};
    json_reader_init(&b.in, text);
    d->root = build_value(&b, json_next(&b.in));
    bool ok = d->root && json_next(&b.in) == JSON_END;
    if (!ok) err_set(err, ERR_INVALID, "not JSON at byte %zu: %s", b.in.at, b.in.error ? b.in.error : "more than one value");
    json_reader_done(&b.in);
    if (!ok) doc_done(d);
    return ok ? 0 : -1;
}

void doc_done(struct doc *d) {
    arena_done(&d->arena);
    d->root = NULL;
}

static const struct doc_node *get(const struct doc_node *object, struct str key) {
    DOC_EACH(n, object)
        if (str_eq(n->key, key)) return n;
    return NULL;
}

const struct doc_node *doc_get(const struct doc_node *object, const char *key) { return get(object, str_of(key)); }

const struct doc_node *doc_at(const struct doc_node *object, const char *path) {
    struct str rest = str_of(path), key;
    while (object && str_split(&rest, '.', &key)) object = get(object, key);
    return object;
}

const char *doc_text(const struct doc_node *object, const char *key, const char *otherwise) {
    const struct doc_node *n = doc_get(object, key);
    return n && n->text.p ? n->text.p : otherwise;
}

int64_t doc_int(const struct doc_node *object, const char *key, int64_t otherwise) {
    const struct doc_node *n = doc_get(object, key);
    if (n && n->text.p) str_to_i64(n->text, &otherwise);
    return otherwise;
}

bool doc_true(const struct doc_node *object, const char *key) {
    const struct doc_node *n = doc_get(object, key);
    return n && n->kind == JSON_TRUE;
}

size_t doc_count(const struct doc_node *n) {
    size_t count = 0;
    DOC_EACH(child, n) count++;
    return count;
}

void doc_write(const struct doc_node *n, struct json_writer *w) {
    switch (n->kind) {
    case JSON_OBJECT:
        json_object(w);
        DOC_EACH(child, n) {
            json_key(w, child->key);
            doc_write(child, w);
        }
        json_object_end(w);
        break;
    case JSON_ARRAY:
        json_array(w);
        DOC_EACH(child, n) doc_write(child, w);
        json_array_end(w);
        break;
    case JSON_STRING: json_string(w, n->text); break;
    case JSON_NUMBER: json_raw(w, n->text); break;
    case JSON_TRUE: json_bool(w, true); break;
    case JSON_FALSE: json_bool(w, false); break;
    default: json_null(w); break;
    }
}
