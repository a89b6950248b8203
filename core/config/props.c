// SPDX-License-Identifier: Apache-2.0
// Flat options: an array in the order written, and an index by key.
#include "config/props.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "config/interpolate.h"

// Positions are kept as pointers one higher, because a map's value is never NULL.
static void *position(size_t i) { return (void *)(uintptr_t)(i + 1); }

static struct prop *find_prop(const struct props *p, struct str key) {
    uintptr_t at = (uintptr_t)map_get(&p->index, key);
    return at ? &p->items[at - 1] : NULL;
}

const struct prop *props_get(const struct props *p, const char *key) { return find_prop(p, str_of(key)); }

const char *props_text(const struct props *p, const char *key, const char *otherwise) {
    const struct prop *x = props_get(p, key);
    return x ? x->value : otherwise;
}

static struct prop *prop_new(struct props *p, struct str key, struct place at) {
    vec_reserve((void **)&p->items, &p->cap, p->n + 1, sizeof(*p->items));
    struct prop *x = &p->items[p->n];
    map_put(&p->index, key, position(p->n++));
    *x = (struct prop){.key = str_dup(key), .at = at, .key_at = at};
    return x;
}

struct prop *props_add(struct props *p, struct str key, struct str value, struct place at) {
    struct prop *x = prop_new(p, key, at);
    x->value = str_dup(value);
    x->secret = interpolate_has_reference(value);
    return x;
}

static char *join_items(char *const *items, size_t n) {
    struct buf all = {0};
    for (size_t i = 0; i < n; i++) {
        if (i) buf_u8(&all, ',');
        buf_putz(&all, items[i]);
    }
    char *text = xstrdup(buf_cstr(&all));
    buf_done(&all);
    return text;
}

struct prop *props_add_list(struct props *p, struct str key, const struct str *items, size_t n, struct place at) {
    struct prop *x = prop_new(p, key, at);
    x->is_list = true;
    x->items = xcalloc(n, sizeof(*x->items));
    x->item_count = n;
    for (size_t i = 0; i < n; i++) {
        x->items[i] = str_dup(items[i]);
        x->secret |= interpolate_has_reference(items[i]);
    }
    x->value = join_items(x->items, n);
    return x;
}

static void drop_texts(struct prop *x) {
    for (size_t i = 0; i < x->item_count; i++) free(x->items[i]);
    free(x->items);
    free(x->value);
    x->items = NULL;
    x->item_count = 0;
}

void props_set(struct props *p, const char *key, const char *value) {
    struct prop *x = find_prop(p, str_of(key));
    if (!x) {
        props_add(p, str_of(key), str_of(value), (struct place){0});
        return;
    }
    char *text = xstrdup(value); // before: it may be the old one
    drop_texts(x);
    x->value = text;
    x->is_list = false;
    x->secret = interpolate_has_reference(str_of(text));
}

void props_remove(struct props *p, const char *key) {
    struct prop *x = find_prop(p, str_of(key));
    if (!x) return;
    size_t at = (size_t)(x - p->items);
    map_remove(&p->index, str_of(key));
    drop_texts(x);
    free(x->key);
    memmove(x, x + 1, (--p->n - at) * sizeof(*x));
    for (; at < p->n; at++) map_put(&p->index, str_of(p->items[at].key), position(at));
}

static void copy_prop(struct props *to, const struct prop *from) {
    struct prop *x = prop_new(to, str_of(from->key), from->at);
    x->value = xstrdup(from->value);
    x->is_list = from->is_list;
    x->secret = from->secret;
    x->key_at = from->key_at;
    x->item_count = from->item_count;
    if (from->is_list) x->items = xcalloc(from->item_count, sizeof(*x->items));
    for (size_t i = 0; i < from->item_count; i++) x->items[i] = xstrdup(from->items[i]);
}

void props_copy(struct props *to, const struct props *from) {
    for (size_t i = 0; i < from->n; i++)
        if (!find_prop(to, str_of(from->items[i].key))) copy_prop(to, &from->items[i]);
}

static bool prop_equal(const struct prop *a, const struct prop *b) {
    if (strcmp(a->value, b->value) || a->item_count != b->item_count) return false;
    for (size_t i = 0; i < a->item_count; i++)
        if (strcmp(a->items[i], b->items[i])) return false;
    return true;
}

bool props_equal(const struct props *a, const struct props *b) {
    if (a->n != b->n) return false;
    for (size_t i = 0; i < a->n; i++) {
        const struct prop *other = props_get(b, a->items[i].key);
        if (!other || !prop_equal(&a->items[i], other)) return false;
    }
    return true;
}

void props_done(struct props *p) {
    for (size_t i = 0; i < p->n; i++) {
        drop_texts(&p->items[i]);
        free(p->items[i].key);
    }
    free(p->items);
    map_done(&p->index, NULL);
    *p = (struct props){0};
}
