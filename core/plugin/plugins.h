// SPDX-License-Identifier: Apache-2.0
// The plugins this process knows: what was found in the plugin folders, what is built in, and the components they offer.
//
// Filled once at the start (and by plugins_scan again), then read. plugins_find and the lists are thread-safe; a component
// lives until plugins_free. A loaded file is never unloaded: a changed one on disk is reported as "changed" and used after
// a restart. Descriptors, option rows and ops are copies in this version's layout, whatever the plugin was compiled with:
// what it did not know is zero.
#ifndef PLUGIN_PLUGINS_H
#define PLUGIN_PLUGINS_H

#include <connectd/plugin.h>
#include <time.h>

#include "base/err.h"
#include "base/json.h"

enum plugin_status {
    PLUGIN_BUILTIN, // linked into connectd
    PLUGIN_LOADED,
    PLUGIN_FAULTY,  // `error` says why: refused, of another ABI, crashed on load, wrong descriptor
};

struct plugin;
struct component {
    const struct plugin *plugin;
    enum cn_kind kind;
    const char *name;    // "postgres-cdc"
    const char *aliases; // comma separated, or NULL
    const char *summary;
    const struct cn_option *options;
    uint32_t option_count;
    union component_ops {
        struct cn_source_ops source;
        struct cn_sink_ops sink;
        struct cn_transform_ops transform; // also predicates
        struct cn_converter_ops converter;
    } ops;
    struct cn_component view; // the same as one ABI struct, for hosts that take one
};

struct plugin {
    enum plugin_status status;
    char *path;  // NULL: built in
    char *name;  // as its descriptor says; of a faulty one the file's name without .so
    char *version, *author, *license, *home; // "" when unknown
    char *error, *hint; // FAULTY, else NULL
    struct component *components;
    size_t n;
    const void *(*extension)(const char *id); // or NULL
    // what was loaded, to notice a changed file
    uint64_t dev, ino, size;
    struct timespec mtime;
};

struct plugins;
struct plugins *plugins_new(void);
void plugins_free(struct plugins *p); // loaded code stays mapped

// Registers a descriptor that is linked in. It must be valid.
int plugins_add_builtin(struct plugins *p, const struct cn_plugin *descriptor, struct err *err) MUST_USE;
// Loads every *.so of the folders (colon-separated lists are the caller's to split), in name order, each tried in a helper
// process first. A file that can not be used becomes a FAULTY entry; files already known are left alone. A folder that does
// not exist is skipped. Returns the number of faulty files found by this scan.
size_t plugins_scan(struct plugins *p, const char *const *folders, size_t n);
// Loads one file. On failure it is also entered as FAULTY.
int plugins_load(struct plugins *p, const char *path, struct err *err) MUST_USE;

// The component by kind and name or alias (as Kafka Connect: a Java class name also without its package or "Connector").
// ERR_NOT_FOUND: "no sink is called 'htp-sink'", hint "did you mean http-sink?", or what a file of that name failed with, or
// that it is of another kind, or the folders that were searched.
int plugins_find(const struct plugins *p, enum cn_kind kind, const char *name, const struct component **ret, struct err *err) MUST_USE;

// The same for code that works on the ABI's own struct (config/setup.h's component_lookup): arg is a struct plugins; NULL when
// there is none. component_of goes back from the view.
const struct cn_component *plugins_lookup(void *arg, enum cn_kind kind, const char *name);
void plugins_lookup_each(void *arg, enum cn_kind kind, void (*name)(void *to, const char *name), void *to);
int plugins_lookup_explain(void *arg, enum cn_kind kind, const char *name, struct err *err); // -1: a file of that name can not be used
static inline const struct component *component_of(const struct cn_component *view) {
    return (const struct component *)(const void *)((const char *)view - offsetof(struct component, view));
}

// Every plugin in order of name; stops at non-zero and returns that.
int plugins_each(const struct plugins *p, int (*each)(void *arg, const struct plugin *plugin), void *arg);
// True when the file is not the one that was loaded any more.
bool plugin_changed(const struct plugin *p);
// Whether a user means this component by `name`: its own name, or that behind its kind, "sink/file".
bool component_named(const struct component *c, const char *name);
const char *plugin_status_name(enum plugin_status s); // "built in", "loaded", "faulty"
const char *plugin_kind_name(enum cn_kind kind);      // "source"
// An array: [{"name","version","status","path","error"?,"hint"?,"changed","author","license","home"?,"components":[{"kind","name",
// "aliases":[…],"summary"}]}].
void plugins_json(const struct plugins *p, struct json_writer *w);

#endif
