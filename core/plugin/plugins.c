// SPDX-License-Identifier: Apache-2.0
#include "plugin/plugins.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "base/thread.h"
#include "plugin/crash.h"
#include "plugin/descriptor.h"
#include "plugin/load.h"
#include "plugin/probe.h"
#include "plugin/trust.h"

enum { LOAD_TIMEOUT_MS = 2000, MOST_FILES = 1000 };

struct plugins {
    pthread_mutex_t lock; // guards the lists; entries never change once in
    struct plugin **all;
    size_t n, cap;
    char **folders; // searched so far, for messages
    size_t folder_n, folder_cap;
};

struct plugins *plugins_new(void) {
    struct plugins *p = xcalloc(1, sizeof *p);
    pthread_mutex_init(&p->lock, NULL);
    return p;
}

static void plugin_free(struct plugin *p) {
    descriptor_done(p);
    free(p->path), free(p->error), free(p->hint);
    free(p);
}

void plugins_free(struct plugins *p) {
    if (!p) return;
    for (size_t i = 0; i < p->n; i++) plugin_free(p->all[i]);
    for (size_t i = 0; i < p->folder_n; i++) free(p->folders[i]);
    free(p->all), free(p->folders);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

const char *plugin_status_name(enum plugin_status s) {
    static const char *const names[] = {[PLUGIN_BUILTIN] = "built in", [PLUGIN_LOADED] = "loaded", [PLUGIN_FAULTY] = "faulty"};
    return names[s];
}
const char *plugin_kind_name(enum cn_kind kind) {
    static const char *const names[] = {"component", "source", "sink", "transform", "converter", "predicate"};
    return (unsigned)kind < countof(names) ? names[kind] : names[0];
}

// ── names ──

static struct str last_part(struct str s, char at) {
    for (size_t i = s.n; i-- > 0;)
        if (s.p[i] == at) return str_from(s, i + 1);
    return s;
}
static struct str without(struct str s, struct str ending) { return str_ends(s, ending) && s.n > ending.n ? str_first(s, s.n - ending.n) : s; }

// An alias fits whole, or as a Java class's simple name, with or without "Connector".
static bool alias_fits(struct str alias, struct str name) {
    struct str simple = last_part(alias, '.');
    return str_eq(alias, name) || str_eq(simple, name) || str_eq(without(simple, STR("Connector")), name);
}
static bool component_fits(const struct component *c, struct str name) {
    if (str_eqz(name, c->name)) return true;
    struct str rest = str_of(c->aliases), alias;
    while (rest.p && str_split(&rest, ',', &alias))
        if (alias_fits(str_trim(alias), name)) return true;
    return false;
}

static const struct component *find_any(const struct plugins *p, enum cn_kind kind, struct str name) {
    for (size_t i = 0; i < p->n; i++)
        for (size_t k = 0; k < p->all[i]->n; k++) {
            const struct component *c = &p->all[i]->components[k];
            if (c->kind == kind && component_fits(c, name)) return c;
        }
    return NULL;
}

// ── entering ──

static int compare(const void *a, const void *b) {
    const struct plugin *x = *(struct plugin *const *)a, *y = *(struct plugin *const *)b;
    int c = strcmp(x->name, y->name);
    return c ? c : strcmp(x->path ? x->path : "", y->path ? y->path : "");
}
static void enter(struct plugins *p, struct plugin *entry) {
    LOCK_SCOPE(&p->lock);
    VEC_PUSH(p->all, p->n, p->cap, entry);
    qsort(p->all, p->n, sizeof *p->all, compare);
}

// Names are unique over all plugins: which of two would run must not depend on the order of a folder.
static int check_unique(struct plugins *p, const struct plugin *entry, struct err *err) {
    LOCK_SCOPE(&p->lock);
    for (size_t i = 0; i < entry->n; i++) {
        const struct component *c = &entry->components[i], *other = find_any(p, c->kind, str_of(c->name));
        if (!other) continue;
        const char *where = other->plugin->path ? other->plugin->path : "connectd itself";
        err_set(err, ERR_EXISTS, "offers %s %s, which %s offers already", plugin_kind_name(c->kind), c->name, where);
        return err_hint(err, "remove one of the two files");
    }
    return 0;
}

int plugins_add_builtin(struct plugins *p, const struct cn_plugin *descriptor, struct err *err) {
    struct plugin *entry = xcalloc(1, sizeof *entry);
    entry->status = PLUGIN_BUILTIN;
    if (descriptor_copy(descriptor, entry, err) != 0 || check_unique(p, entry, err) != 0) {
        plugin_free(entry);
        return err_wrap(err, "built-in plugin");
    }
    enter(p, entry);
    return 0;
}

static void enter_faulty(struct plugins *p, struct plugin *entry, const struct err *why) {
    struct str stem = without(last_part(str_of(entry->path), '/'), STR(".so"));
    descriptor_done(entry);
    entry->status = PLUGIN_FAULTY;
    entry->name = str_dup(stem);
    entry->version = xstrdup(""), entry->author = xstrdup(""), entry->license = xstrdup(""), entry->home = xstrdup("");
    entry->error = xstrdup(why->msg);
    if (*why->hint) entry->hint = xstrdup(why->hint);
    enter(p, entry);
}

static void remember_file(struct plugin *entry) {
    struct stat st;
    if (stat(entry->path, &st) != 0) return;
    entry->dev = st.st_dev, entry->ino = st.st_ino, entry->size = (uint64_t)st.st_size;
    entry->mtime = st.st_mtim;
}
bool plugin_changed(const struct plugin *p) {
    struct stat st;
    if (!p->path) return false;
    if (stat(p->path, &st) != 0) return true;
    return st.st_dev != p->dev || st.st_ino != p->ino || (uint64_t)st.st_size != p->size || st.st_mtim.tv_sec != p->mtime.tv_sec ||
           st.st_mtim.tv_nsec != p->mtime.tv_nsec;
}

// Into this process, after the helper process has seen it load.
static int load_entry(struct plugins *p, struct plugin *entry, struct err *err) {
    if (load_file(entry->path, entry, err) != 0 || check_unique(p, entry, err) != 0) return -1;
    entry->status = PLUGIN_LOADED;
    crash_add_plugin(entry->name, entry->path);
    enter(p, entry);
    return 0;
}

// ── files ──

static bool known(struct plugins *p, const char *path) {
    LOCK_SCOPE(&p->lock);
    for (size_t i = 0; i < p->n; i++)
        if (p->all[i]->path && strcmp(p->all[i]->path, path) == 0) return true;
    return false;
}

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

struct paths { char **p; size_t n, cap; };

// The *.so of a folder as real paths, sorted. A folder that is not there has none.
static void list_folder(const char *folder, struct paths *ret) {
    DIR *d = opendir(folder);
    if (!d) return;
    size_t from = ret->n;
    for (struct dirent *e; (e = readdir(d)) && ret->n < MOST_FILES;) {
        if (!str_ends(str_of(e->d_name), STR(".so")) || e->d_name[0] == '.') continue;
        _cleanup_free_ char *joined = xasprintf("%s/%s", folder, e->d_name);
        char *real = realpath(joined, NULL);
        if (!real) real = xstrdup(joined);
        VEC_PUSH(ret->p, ret->n, ret->cap, real);
    }
    closedir(d);
    if (ret->n > from) qsort(ret->p + from, ret->n - from, sizeof *ret->p, by_name);
}

// Checks, tries and loads the files; the paths become the entries'.
static size_t load_all(struct plugins *p, char **paths, size_t n) {
    struct probe_result *results = xcalloc(n, sizeof *results);
    const char **tried = xcalloc(n, sizeof *tried);
    size_t *index = xcalloc(n, sizeof *index), count = 0, faulty = 0;
    struct probe_result *all = xcalloc(n, sizeof *all);
    for (size_t i = 0; i < n; i++) {
        all[i].ok = trust_check(paths[i], &all[i].err) == 0;
        if (all[i].ok) index[count] = i, tried[count++] = paths[i];
    }
    probe_files(tried, count, LOAD_TIMEOUT_MS, results);
    for (size_t i = 0; i < count; i++) all[index[i]] = results[i];
    for (size_t i = 0; i < n; i++) {
        struct plugin *entry = xcalloc(1, sizeof *entry);
        entry->path = paths[i];
        remember_file(entry);
        if (all[i].ok && load_entry(p, entry, &all[i].err) == 0) continue;
        enter_faulty(p, entry, &all[i].err);
        faulty++;
    }
    free(results), free(tried), free(index), free(all);
    return faulty;
}

size_t plugins_scan(struct plugins *p, const char *const *folders, size_t n) {
    struct paths found = {0};
    size_t fresh = 0;
    for (size_t i = 0; i < n; i++) {
        list_folder(folders[i], &found);
        LOCK_SCOPE(&p->lock);
        VEC_PUSH(p->folders, p->folder_n, p->folder_cap, xstrdup(folders[i]));
    }
    for (size_t i = 0; i < found.n; i++) {
        bool again = known(p, found.p[i]);
        for (size_t k = 0; k < fresh && !again; k++) again = strcmp(found.p[k], found.p[i]) == 0;
        if (again) free(found.p[i]);
        else found.p[fresh++] = found.p[i];
    }
    size_t faulty = load_all(p, found.p, fresh);
    free(found.p);
    return faulty;
}

int plugins_load(struct plugins *p, const char *path, struct err *err) {
    char *real = realpath(path, NULL);
    if (!real) return err_sys(err, errno, "plugin %s", path);
    if (known(p, real)) {
        free(real);
        return 0;
    }
    if (load_all(p, (char *[]){real}, 1) == 0) return 0;
    LOCK_SCOPE(&p->lock);
    for (size_t i = 0; i < p->n; i++) {
        const struct plugin *e = p->all[i];
        if (e->status != PLUGIN_FAULTY || strcmp(e->path, real) != 0) continue;
        err_set(err, ERR_INVALID, "plugin %s: %s", e->path, e->error);
        if (e->hint) err_hint(err, "%s", e->hint);
    }
    return -1;
}

// ── finding ──

static const struct plugin *faulty_named(const struct plugins *p, struct str name) {
    for (size_t i = 0; i < p->n; i++)
        if (p->all[i]->status == PLUGIN_FAULTY && str_eqz(name, p->all[i]->name)) return p->all[i];
    return NULL;
}

static int hint_nearest(const struct plugins *p, enum cn_kind kind, struct str name, struct err *err) {
    const struct component *best = NULL;
    unsigned least = (unsigned)(name.n / 3 + 2);
    for (size_t i = 0; i < p->n; i++)
        for (size_t k = 0; k < p->all[i]->n; k++) {
            const struct component *c = &p->all[i]->components[k];
            unsigned d = c->kind == kind ? str_distance(name, str_of(c->name), least) : least;
            if (d < least) least = d, best = c;
        }
    if (best) return err_hint(err, "did you mean %s?", best->name);
    struct buf list = {0};
    for (size_t i = 0; i < p->folder_n; i++) buf_printf(&list, "%s%s", i ? ", " : "", p->folders[i]);
    err_hint(err, "`connectd plugins` lists what there is; searched: %s", p->folder_n ? buf_cstr(&list) : "no folder (plugin.path is empty)");
    buf_done(&list);
    return -1;
}

// A file of that name that can not be used: -1 with err; else 0.
static int explain_faulty(const struct plugins *p, enum cn_kind kind, struct str name, struct err *err) {
    const struct plugin *faulty = faulty_named(p, name);
    if (!faulty) return 0;
    err_set(err, ERR_NOT_FOUND, "%s %.*s: plugin %s can not be used: %s", plugin_kind_name(kind), STR_FMT(str_first(name, 100)), faulty->path, faulty->error);
    if (faulty->hint) err_hint(err, "%s", faulty->hint);
    return -1;
}

static int not_found(const struct plugins *p, enum cn_kind kind, struct str name, struct err *err) {
    if (explain_faulty(p, kind, name, err) != 0) return -1;
    for (enum cn_kind other = CN_SOURCE; other <= CN_PREDICATE; other++) {
        if (other == kind || !find_any(p, other, name)) continue;
        return err_set(err, ERR_NOT_FOUND, "%.*s is a %s, not a %s", STR_FMT(str_first(name, 100)), plugin_kind_name(other), plugin_kind_name(kind));
    }
    err_set(err, ERR_NOT_FOUND, "no %s is called '%.*s'", plugin_kind_name(kind), STR_FMT(str_first(name, 100)));
    return hint_nearest(p, kind, name, err);
}

int plugins_find(const struct plugins *p, enum cn_kind kind, const char *name, const struct component **ret, struct err *err) {
    LOCK_SCOPE((pthread_mutex_t *)(uintptr_t)&p->lock);
    const struct component *c = find_any(p, kind, str_of(name));
    if (!c) return not_found(p, kind, str_of(name), err);
    *ret = c;
    return 0;
}

const struct cn_component *plugins_lookup(void *arg, enum cn_kind kind, const char *name) {
    struct plugins *p = arg;
    LOCK_SCOPE(&p->lock);
    const struct component *c = find_any(p, kind, str_of(name));
    return c ? &c->view : NULL;
}
void plugins_lookup_each(void *arg, enum cn_kind kind, void (*name)(void *to, const char *name), void *to) {
    struct plugins *p = arg;
    LOCK_SCOPE(&p->lock);
    for (size_t i = 0; i < p->n; i++)
        for (size_t k = 0; k < p->all[i]->n; k++)
            if (p->all[i]->components[k].kind == kind) name(to, p->all[i]->components[k].name);
}

int plugins_lookup_explain(void *arg, enum cn_kind kind, const char *name, struct err *err) {
    struct plugins *p = arg;
    LOCK_SCOPE(&p->lock);
    return explain_faulty(p, kind, str_of(name), err);
}

int plugins_each(const struct plugins *p, int (*each)(void *arg, const struct plugin *plugin), void *arg) {
    LOCK_SCOPE((pthread_mutex_t *)(uintptr_t)&p->lock);
    int rc = 0;
    for (size_t i = 0; i < p->n && rc == 0; i++) rc = each(arg, p->all[i]);
    return rc;
}

// ── listing ──

static void component_json(const struct component *c, struct json_writer *w) {
    json_object(w);
    json_kz(w, "kind", plugin_kind_name(c->kind));
    json_kz(w, "name", c->name);
    json_key(w, STR("aliases"));
    json_array(w);
    struct str rest = str_of(c->aliases), alias;
    while (rest.p && str_split(&rest, ',', &alias)) json_string(w, str_trim(alias));
    json_array_end(w);
    json_kz(w, "summary", c->summary);
    json_object_end(w);
}

static int plugin_json(void *arg, const struct plugin *p) {
    struct json_writer *w = arg;
    json_object(w);
    json_kz(w, "name", p->name);
    json_kz(w, "version", p->version);
    json_kz(w, "status", plugin_status_name(p->status));
    json_kz(w, "path", p->path);
    if (p->error) json_kz(w, "error", p->error);
    if (p->hint) json_kz(w, "hint", p->hint);
    json_kb(w, "changed", plugin_changed(p));
    json_kz(w, "author", p->author);
    json_kz(w, "license", p->license);
    if (*p->home) json_kz(w, "home", p->home);
    json_key(w, STR("components"));
    json_array(w);
    for (size_t i = 0; i < p->n; i++) component_json(&p->components[i], w);
    json_array_end(w);
    json_object_end(w);
    return 0;
}

void plugins_json(const struct plugins *p, struct json_writer *w) {
    json_array(w);
    plugins_each(p, plugin_json, w);
    json_array_end(w);
}
