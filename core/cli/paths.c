// SPDX-License-Identifier: Apache-2.0
#include "cli/paths.h"

#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"

#define LOCAL_DATA "connectd-data"

// The first of a colon-separated list, as systemd's *_DIRECTORY may be; NULL when unset or empty.
static const char *env_dir(const char *name, char *room, size_t n) {
    const char *v = getenv(name);
    if (!v || !*v) return NULL;
    snprintf(room, n, "%.*s", (int)strcspn(v, ":"), v);
    return room;
}

void paths_data(const char *given, const char *configured, struct buf *out) {
    char room[PATH_MAX];
    const char *dir = given ? given : configured ? configured : env_dir("CONNECTD_DATA", room, sizeof(room));
    if (!dir) dir = env_dir("STATE_DIRECTORY", room, sizeof(room));
    buf_putz(out, dir ? dir : LOCAL_DATA);
}

void paths_control(const char *configured, const char *data_dir, struct buf *out) {
    char room[PATH_MAX];
    if (configured) buf_putz(out, configured);
    else buf_printf(out, "%s/control.sock", env_dir("RUNTIME_DIRECTORY", room, sizeof(room)) ? room : data_dir);
}

void paths_control_of_client(const char *given, const char *data_dir, struct buf *out) {
    char room[PATH_MAX];
    if (!data_dir) data_dir = env_dir("CONNECTD_DATA", room, sizeof(room));
    if (given) {
        buf_putz(out, given);
        return;
    }
    if (data_dir) {
        buf_printf(out, "%s/control.sock", data_dir);
        return;
    }
    const char *const candidates[] = {env_dir("RUNTIME_DIRECTORY", room, sizeof(room)), "/run/connectd", LOCAL_DATA};
    for (size_t i = 0; i < countof(candidates); i++) {
        if (!candidates[i]) continue;
        buf_clear(out);
        buf_printf(out, "%s/control.sock", candidates[i]);
        if (access(buf_cstr(out), F_OK) == 0) return;
    }
}

size_t paths_plugins(char **ret, size_t max) {
    static const char *const installed[] = {"/usr/lib/connectd/plugins", "/usr/local/lib/connectd/plugins"};
    char self[PATH_MAX];
    size_t count = 0;
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if (n > 0) {
        self[n] = 0;
        // …/bin/connectd: a build folder has plugins beside bin, an installation lib/connectd/plugins.
        const char *root = dirname(dirname(self));
        char *built = xasprintf("%s/plugins", root), *own = xasprintf("%s/lib/connectd/plugins", root);
        if (access(built, X_OK) == 0 && count < max) ret[count++] = built, built = NULL;
        else if (access(own, X_OK) == 0 && strcmp(own, installed[0]) != 0 && count < max) ret[count++] = own, own = NULL;
        free(built);
        free(own);
    }
    for (size_t i = 0; i < countof(installed) && count < max; i++) ret[count++] = xstrdup(installed[i]);
    return count;
}
