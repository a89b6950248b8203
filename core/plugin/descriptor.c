// SPDX-License-Identifier: Apache-2.0
#include "plugin/descriptor.h"

#include <connectd/version.h>
#include <stddef.h>

#include "base/mem.h"
#include "option_text.h"

// The oldest minor of the draft major 0 that still loads; raised only with a note in CHANGELOG.md.
enum { OLDEST_MINOR = 1, MOST_COMPONENTS = 256, MOST_OPTIONS = 4096, MOST_STRUCT = 65536 };

int descriptor_abi(uint16_t major, uint16_t minor, struct err *err) {
    if (major == CN_ABI_MAJOR && minor >= OLDEST_MINOR && minor <= CN_ABI_MINOR) return 0;
    bool newer = major > CN_ABI_MAJOR || (major == CN_ABI_MAJOR && minor > CN_ABI_MINOR);
    err_set(err, ERR_UNSUPPORTED, "built for plugin ABI %u.%u, this connectd %s speaks %d.%d", major, minor, CN_VERSION, CN_ABI_MAJOR,
            CN_ABI_MINOR);
    if (newer) return err_hint(err, "upgrade connectd, or build the plugin against this version's headers (pkg-config connectd)");
    return err_hint(err, "rebuild the plugin against this version's headers (pkg-config connectd)");
}

// ── names ──

static bool all_of(const char *z, const char *set, size_t most) { return z && *z && strlen(z) <= most && strspn(z, set) == strlen(z); }
#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

static int check_name(enum cn_kind kind, const char *name, struct err *err) {
    bool camel = kind == CN_TRANSFORM || kind == CN_PREDICATE;
    if (!name || !*name) return err_set(err, ERR_INVALID, "a %s without a name", plugin_kind_name(kind));
    if (camel && !all_of(name, LOWER UPPER DIGITS "$", 100)) return err_set(err, ERR_INVALID, "%s '%.100s': names are CamelCase letters and digits", plugin_kind_name(kind), name);
    if (!camel && !all_of(name, LOWER DIGITS "-", 100)) return err_set(err, ERR_INVALID, "%s '%.100s': names are of [a-z0-9-]", plugin_kind_name(kind), name);
    return 0;
}

// ── options ──

static int check_row(const struct cn_option *o, struct err *err) {
    if (!all_of(o->name, LOWER UPPER DIGITS "._-$", 200)) return err_set(err, ERR_INVALID, "option '%.200s': names are letters, digits, '.', '-', '_'", o->name ? o->name : "");
    if (o->type < CN_OPT_STRING || o->type > CN_OPT_MAP) return err_set(err, ERR_INVALID, "option %s: unknown type %u", o->name, o->type);
    if (o->flags & ~(CN_OPT_REQUIRED | CN_OPT_SECRET | CN_OPT_ADVANCED | CN_OPT_REFUSED | CN_OPT_IGNORED))
        return err_set(err, ERR_INVALID, "option %s: unknown flags %#x", o->name, o->flags);
    if (o->flags & CN_OPT_REQUIRED && o->def) return err_set(err, ERR_INVALID, "option %s: a required option can not have a default", o->name);
    if (o->type == CN_OPT_ENUM && (!o->choices || !o->choices[0])) return err_set(err, ERR_INVALID, "option %s: an enum without choices", o->name);
    if ((o->type == CN_OPT_MAP) != (o->name[strlen(o->name) - 1] == '.'))
        return err_set(err, ERR_INVALID, "option %s: a map's name, and no other, ends in '.'", o->name);
    if (o->min > o->max) return err_set(err, ERR_INVALID, "option %s: its range %lld..%lld is empty", o->name, (long long)o->min, (long long)o->max);
    if (!o->doc || !*o->doc) return err_set(err, ERR_INVALID, "option %s: without documentation", o->name);
    return 0;
}

static int check_options(const struct cn_option *rows, uint32_t n, struct err *err) {
    for (uint32_t i = 0; i < n; i++) {
        if (check_row(&rows[i], err) != 0) return -1;
        for (uint32_t k = 0; k < i; k++)
            if (strcmp(rows[k].name, rows[i].name) == 0) return err_set(err, ERR_INVALID, "option %s: stands twice in the table", rows[i].name);
        struct option_set one;
        option_set_init(&one, &rows[i], 1);
        bool bad = rows[i].def && option_set_put(&one, rows[i].name, rows[i].def) != 0 && !(rows[i].flags & CN_OPT_REFUSED);
        if (bad) err_set(err, ERR_INVALID, "its default does not fit: %s", one.error);
        option_set_done(&one);
        if (bad) return -1;
    }
    return 0;
}

// Rows as the plugin was compiled: shorter ones end in zeros here, longer ones lose what this version does not know.
static struct cn_option *copy_rows(const struct cn_component *c) {
    struct cn_option *rows = xcalloc(c->option_count ? c->option_count : 1, sizeof *rows);
    size_t size = c->option_size < sizeof *rows ? c->option_size : sizeof *rows;
    for (uint32_t i = 0; i < c->option_count; i++) memcpy(&rows[i], (const char *)c->options + (size_t)i * c->option_size, size);
    return rows;
}

// ── ops ──

struct need { enum cn_kind kind; const char *name; size_t at; };
#define NEED(kind, type, member) {kind, #member, offsetof(struct type, member)}
static const struct need needs[] = {
    NEED(CN_SOURCE, cn_source_ops, open), NEED(CN_SOURCE, cn_source_ops, poll), NEED(CN_SOURCE, cn_source_ops, close),
    NEED(CN_SINK, cn_sink_ops, open), NEED(CN_SINK, cn_sink_ops, put), NEED(CN_SINK, cn_sink_ops, close),
    NEED(CN_TRANSFORM, cn_transform_ops, open), NEED(CN_TRANSFORM, cn_transform_ops, apply), NEED(CN_TRANSFORM, cn_transform_ops, close),
    NEED(CN_PREDICATE, cn_transform_ops, open), NEED(CN_PREDICATE, cn_transform_ops, apply), NEED(CN_PREDICATE, cn_transform_ops, close),
    NEED(CN_CONVERTER, cn_converter_ops, open), NEED(CN_CONVERTER, cn_converter_ops, from_record),
    NEED(CN_CONVERTER, cn_converter_ops, to_record), NEED(CN_CONVERTER, cn_converter_ops, close),
};
#undef NEED

static const size_t ops_sizes[] = {
    [CN_SOURCE] = sizeof(struct cn_source_ops), [CN_SINK] = sizeof(struct cn_sink_ops), [CN_TRANSFORM] = sizeof(struct cn_transform_ops),
    [CN_CONVERTER] = sizeof(struct cn_converter_ops), [CN_PREDICATE] = sizeof(struct cn_transform_ops),
};

static int copy_ops(const struct cn_component *c, union component_ops *ret, struct err *err) {
    uint32_t size;
    if (!c->ops) return err_set(err, ERR_INVALID, "without an ops table");
    memcpy(&size, c->ops, sizeof size);
    if (size < 2 * sizeof(uint32_t) || size > MOST_STRUCT) return err_set(err, ERR_INVALID, "its ops table has struct_size %u: set it to sizeof", size);
    memset(ret, 0, sizeof *ret);
    memcpy(ret, c->ops, size < ops_sizes[c->kind] ? size : ops_sizes[c->kind]);
    for (size_t i = 0; i < countof(needs); i++) {
        void *f;
        memcpy(&f, (const char *)ret + needs[i].at, sizeof f);
        if (needs[i].kind == (enum cn_kind)c->kind && !f) return err_set(err, ERR_INVALID, "its ops table lacks %s", needs[i].name);
    }
    return 0;
}

// ── components ──

static int copy_component(const struct cn_component *theirs, struct component *ret, struct err *err) {
    struct cn_component c = {0};
    if (!theirs || theirs->struct_size < offsetof(struct cn_component, ops) + sizeof theirs->ops || theirs->struct_size > MOST_STRUCT)
        return err_set(err, ERR_INVALID, "a component has struct_size %u: set it to sizeof(struct cn_component)", theirs ? theirs->struct_size : 0);
    memcpy(&c, theirs, theirs->struct_size < sizeof c ? theirs->struct_size : sizeof c);
    if (c.kind < CN_SOURCE || c.kind > CN_PREDICATE) return err_set(err, ERR_INVALID, "component '%.100s' is of unknown kind %u", c.name ? c.name : "", c.kind);
    if (check_name((enum cn_kind)c.kind, c.name, err) != 0) return -1;
    const char *kind = plugin_kind_name((enum cn_kind)c.kind);
    if (!c.summary || !*c.summary) return err_set(err, ERR_INVALID, "%s %s: without a summary", kind, c.name);
    if (c.option_count > MOST_OPTIONS || (c.option_count && (!c.options || c.option_size < offsetof(struct cn_option, aliases) || c.option_size % 8)))
        return err_set(err, ERR_INVALID, "%s %s: %u options of %u bytes: set option_size to sizeof(struct cn_option)", kind, c.name, c.option_count, c.option_size);
    if (copy_ops(&c, &ret->ops, err) != 0) return err_wrap(err, "%s %s", kind, c.name);
    struct cn_option *rows = copy_rows(&c);
    if (check_options(rows, c.option_count, err) != 0) {
        free(rows);
        return err_wrap(err, "%s %s", kind, c.name);
    }
    ret->kind = (enum cn_kind)c.kind;
    ret->name = c.name;
    ret->aliases = c.aliases;
    ret->summary = c.summary;
    ret->options = rows;
    ret->option_count = c.option_count;
    return 0;
}

bool component_named(const struct component *c, const char *name) {
    const char *kind = plugin_kind_name(c->kind);
    size_t n = strlen(kind);
    if (strncmp(name, kind, n) == 0 && name[n] == '/') name += n + 1;
    return strcmp(name, c->name) == 0;
}

// The view points into its component, so it is made when that has its final place.
static void set_view(struct component *c) {
    c->view = (struct cn_component){sizeof c->view, c->kind, c->name, c->aliases, c->summary, c->options, c->option_count, sizeof(struct cn_option), &c->ops};
}

static char *text_or_empty(const char *z) { return xstrdup(z ? z : ""); }

int descriptor_copy(const struct cn_plugin *theirs, struct plugin *ret, struct err *err) {
    struct cn_plugin d = {0};
    if (!theirs) return err_set(err, ERR_INVALID, "connectd_plugin_v1 returned NULL");
    if (descriptor_abi(theirs->abi_major, theirs->abi_minor, err) != 0) return -1;
    if (theirs->struct_size < offsetof(struct cn_plugin, component_count) + sizeof d.component_count || theirs->struct_size > MOST_STRUCT)
        return err_set(err, ERR_INVALID, "its descriptor has struct_size %u: set it to sizeof(struct cn_plugin)", theirs->struct_size);
    memcpy(&d, theirs, theirs->struct_size < sizeof d ? theirs->struct_size : sizeof d);
    if (!all_of(d.name, LOWER DIGITS "-", 100)) return err_set(err, ERR_INVALID, "plugin name '%.100s': names are of [a-z0-9-]", d.name ? d.name : "");
    if (!d.version || !*d.version) return err_set(err, ERR_INVALID, "without a version");
    if (!d.component_count || d.component_count > MOST_COMPONENTS || !d.components) return err_set(err, ERR_INVALID, "%u components", d.component_count);
    struct component *list = xcalloc(d.component_count, sizeof *list);
    for (uint32_t i = 0; i < d.component_count; i++) {
        if (copy_component(d.components[i], &list[i], err) == 0) continue;
        while (i-- > 0) free((void *)(uintptr_t)list[i].options);
        free(list);
        return -1;
    }
    for (uint32_t i = 0; i < d.component_count; i++) {
        list[i].plugin = ret;
        set_view(&list[i]);
    }
    ret->name = xstrdup(d.name);
    ret->version = xstrdup(d.version);
    ret->author = text_or_empty(d.author);
    ret->license = text_or_empty(d.license);
    ret->home = text_or_empty(d.home);
    ret->extension = d.extension;
    ret->components = list;
    ret->n = d.component_count;
    return 0;
}

void descriptor_done(struct plugin *p) {
    for (size_t i = 0; i < p->n; i++) free((void *)(uintptr_t)p->components[i].options);
    free(p->components);
    free(p->name), free(p->version), free(p->author), free(p->license), free(p->home);
    p->components = NULL;
    p->n = 0;
    p->name = p->version = p->author = p->license = p->home = NULL;
}
