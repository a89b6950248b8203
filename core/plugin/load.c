// SPDX-License-Identifier: Apache-2.0
#include "plugin/load.h"

#include <connectd/version.h>
#include <dlfcn.h>
#include <stdio.h>

#include "plugin/descriptor.h"

// A file without our symbol may be of another major, or no plugin at all.
static int no_symbol(void *so, struct err *err) {
    for (int v = 2; v < 10; v++) {
        char name[32];
        snprintf(name, sizeof name, "connectd_plugin_v%d", v);
        if (!dlsym(so, name)) continue;
        err_set(err, ERR_UNSUPPORTED, "offers plugin interface %d only, this connectd %s speaks interface 1 (ABI %d.%d)", v, CN_VERSION, CN_ABI_MAJOR, CN_ABI_MINOR);
        return err_hint(err, "upgrade connectd, or build the plugin against this version's headers (pkg-config connectd)");
    }
    err_set(err, ERR_INVALID, "exports no connectd_plugin_v1: not a connectd plugin");
    return err_hint(err, "a plugin ends in CN_PLUGIN(…); other libraries do not belong into a plugin folder");
}

// dlerror repeats the path, which the caller names already.
static int dl_failed(const char *path, struct err *err) {
    const char *text = dlerror();
    size_t n = strlen(path);
    if (text && strncmp(text, path, n) == 0 && strncmp(text + n, ": ", 2) == 0) text += n + 2;
    err_set(err, ERR_INVALID, "does not load: %s", text ? text : "unknown error");
    if (text && strstr(text, "undefined symbol")) return err_hint(err, "link the plugin with all its libraries (-Wl,-z,defs shows what is missing)");
    if (text && strstr(text, "cannot open shared object file")) return err_hint(err, "install the library it needs");
    return -1;
}

int load_file(const char *path, struct plugin *ret, struct err *err) {
    void *so = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!so) return dl_failed(path, err);
    union { void *p; const struct cn_plugin *(*f)(void); } entry = {dlsym(so, "connectd_plugin_v1")};
    int rc = entry.p ? descriptor_copy(entry.f(), ret, err) : no_symbol(so, err);
    if (rc != 0) dlclose(so);
    return rc;
}
