// SPDX-License-Identifier: Apache-2.0
#include "component_host.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/mem.h"
#include "base/str.h"

static const struct cn_option *option_named(const struct component_host *h, const char *name) {
    for (uint32_t i = 0; i < h->component->option_count; i++)
        if (strcmp(h->component->options[i].name, name) == 0) return &h->component->options[i];
    return NULL;
}

static const char *setting(const struct component_host *h, const char *name) {
    size_t n = strlen(name);
    for (const char *const *s = h->settings; s && *s; s++)
        if (strncmp(*s, name, n) == 0 && (*s)[n] == '=') return *s + n + 1;
    return NULL;
}

static void split_list(struct component_host *h, const char *text, struct cn_list *ret) {
    struct str rest = str_of(text), part;
    char *to = h->list_text + h->list_used;
    const char **items = h->list_items + 16 * (h->list_used / 256);
    ret->items = items;
    ret->n = 0;
    while (str_split(&rest, ',', &part)) {
        part = str_trim(part);
        if (!part.n) continue;
        memcpy(to, part.p, part.n);
        to[part.n] = 0;
        items[ret->n++] = to;
        to += part.n + 1;
    }
    h->list_used += 256;
}

static void value_of(struct component_host *h, const struct cn_option *o, const char *text, struct cn_option_value *v) {
    v->type = o->type;
    v->text = text;
    if (o->type == CN_OPT_BOOL) v->i = strcasecmp(text, "true") == 0;
    if (o->type == CN_OPT_INT) v->i = atoll(text);
    if (o->type == CN_OPT_LIST) split_list(h, text, &v->list);
    for (int i = 0; o->type == CN_OPT_ENUM && o->choices[i]; i++)
        if (strcasecmp(o->choices[i], text) == 0) v->choice = i;
}

static int config(struct cn_host *host, const char *name, struct cn_option_value *ret) {
    struct component_host *h = (struct component_host *)host;
    const struct cn_option *o = option_named(h, name);
    if (!o) return -1;
    const char *text = setting(h, name);
    memset(ret, 0, sizeof *ret);
    ret->choice = -1;
    ret->set = text != NULL;
    if (!text) text = o->def;
    if (text) value_of(h, o, text, ret);
    return 0;
}

static void fail(struct cn_host *host, int class, const char *text, const char *hint, uint32_t record) {
    struct component_host *h = (struct component_host *)host;
    h->fail_class = class;
    snprintf(h->fail_text, sizeof h->fail_text, "%s", text);
    snprintf(h->fail_hint, sizeof h->fail_hint, "%s", hint ? hint : "");
}

static const struct cn_host_ops ops = {.struct_size = sizeof ops, .config = config, .fail = fail};

void component_host_init(struct component_host *h, const struct cn_component *c, const char *const *settings) {
    memset(h, 0, sizeof *h);
    h->host.ops = &ops;
    h->component = c;
    h->settings = settings;
}

static int grow(struct cn_batch *b, uint32_t need) {
    uint32_t cap = b->cap;
    while (cap < need) cap *= 2;
    b->base = xrealloc(b->base, cap);
    b->cap = cap;
    return 0;
}

void batch_heap(struct cn_batch *b) { cn_batch_init(b, xmalloc(256), 256, grow, NULL); }
void batch_done(struct cn_batch *b) { free(b->base); }
