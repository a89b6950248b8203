// SPDX-License-Identifier: Apache-2.0
// What test_store_kill kills: `store_child run DIR SEED COUNT` runs the script in a folder and says on stdout what began ("b 3") and what
// was acknowledged ("a 3"); `store_child open DIR` opens the store, which recovers it, and closes it.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store_script.h"

// One write a line: what was written before a kill is in the pipe.
static void tell(char what, unsigned op) {
    char line[32];
    int n = snprintf(line, sizeof(line), "%c %u\n", what, op);
    if (write(STDOUT_FILENO, line, (size_t)n) != n) _exit(3);
}

static void begun(void *arg, unsigned op) { tell('b', op); }
static void acked(void *arg, unsigned op) { tell('a', op); }

static int give_up(const char *what, const struct err *err) {
    fprintf(stderr, "%s: %s\n", what, err->msg);
    return 1;
}

int main(int argc, char **argv) {
    struct fs *fs;
    struct store *s;
    struct err err;
    if (argc < 3) return 2;
    if (fs_posix_open(argv[2], &fs, &err)) return give_up("folder", &err);
    struct store_options o = script_options(fs);
    if (store_open(&o, &s, &err)) return give_up("open", &err);
    if (!strcmp(argv[1], "run")) {
        struct script *x = script_new(strtoull(argv[3], NULL, 10), (unsigned)strtoul(argv[4], NULL, 10));
        struct script_hooks hooks = {.begun = begun, .acked = acked};
        if (script_run(x, &s, 0, script_count(x), &hooks, &err)) return give_up("run", &err);
        script_free(x);
    }
    if (store_close(s, &err)) return give_up("close", &err);
    fs_close(fs);
    return 0;
}
