// SPDX-License-Identifier: Apache-2.0
// The commands behind `connectd plugins` as a program of their own: plugin_tool check|run|new|load ARGS. $COMPONENT picks one.
#include <stdlib.h>

#include "base/mem.h"
#include "plugin/commands.h"

static int failed(const struct err *err) {
    fprintf(stderr, "%s\n", err->msg);
    if (*err->hint) fprintf(stderr, "hint: %s\n", err->hint);
    return 2;
}
// Loads a file as the daemon does and lists it.
static int load(const char *path) {
    struct plugins *p = plugins_new();
    struct err err;
    int rc = plugins_load(p, path, &err) != 0 ? failed(&err) : 0;
    cmd_plugins_list(p, false, stdout);
    plugins_free(p);
    return rc;
}

int main(int argc, char **argv) {
    struct err err = {0};
    if (argc < 3) return 2;
    const char *const *options = (const char *const *)argv + 3;
    if (strcmp(argv[1], "load") == 0) return load(argv[2]);
    if (strcmp(argv[1], "new") == 0) {
        bool sink = argc > 4 && strcmp(argv[4], "sink") == 0;
        return cmd_plugins_new(argv[2], sink ? CN_SINK : CN_SOURCE, argc > 3 ? argv[3] : argv[2], stdout, &err) == 0 ? 0 : failed(&err);
    }
    if (strcmp(argv[1], "check") == 0) {
        int rc = cmd_plugins_check(&(struct check_params){.path = argv[2], .component = getenv("COMPONENT"), .options = options}, false, stdout, &err);
        return rc == 2 ? failed(&err) : rc;
    }
    int rc = cmd_plugins_run(&(struct run_params){.path = argv[2], .component = getenv("COMPONENT"), .options = options, .idle_ms = 3000}, stdin, stdout, stderr, &err);
    return rc == 2 ? failed(&err) : rc;
}
