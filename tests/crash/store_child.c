// SPDX-License-Identifier: Apache-2.0
// What test_store_kill and store_cut.py kill. It says on stdout what began ("b 3"), what was acknowledged ("a 3") and which producer id was
// given ("i 3").
//
//   store_child run DIR SEED COUNT                   runs the script in a folder
//   store_child live DIR SEED COUNT FROM             the same from an operation on, with checkpoints of the store's own
//   store_child open DIR                             opens the store, which recovers it, and closes it
//   store_child check DIR SEED COUNT ACKED BEGUN ID  which of these states is it in? "n 3", and exit status 1 with the reason when none, or
//                                                    when it gives a producer id that is not above ID
//   store_child last DIR SEED COUNT ACKED BEGUN ID   the same, and the producers go on
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store_script.h"

struct child {
    const char *dir;
    struct fs *fs;
    bool live;
};

// One write a line: what was written before a kill is in the pipe.
static void tell(char what, int64_t number) {
    char line[32];
    int n = snprintf(line, sizeof(line), "%c %" PRId64 "\n", what, number);
    if (write(STDOUT_FILENO, line, (size_t)n) != n) _exit(3);
}

static void begun(void *arg, unsigned op) { tell('b', op); }
static void acked(void *arg, unsigned op) { tell('a', op); }
static void given(void *arg, int64_t id) { tell('i', id); }

static int give_up(const char *what, const struct err *err) {
    fprintf(stderr, "%s: %s\n", what, err->msg);
    return 1;
}

static int open_store(struct child *c, struct store **ret, struct err *err) {
    if (fs_posix_open(c->dir, &c->fs, err)) return -1;
    struct store_options o = script_options(c->fs);
    if (c->live) o.checkpoint_ms = 5;
    if (!store_open(&o, ret, err)) return 0;
    fs_close(c->fs);
    return -1;
}

static int close_store(struct child *c, struct store *s, struct err *err) {
    int failed = store_close(s, err);
    fs_close(c->fs);
    return failed;
}

static int reopen(void *arg, struct store **s, struct err *err) {
    struct store *old = *s;
    *s = NULL;
    return close_store(arg, old, err) || open_store(arg, s, err) ? -1 : 0;
}

static int run(struct child *c, struct store **s, struct script *x, unsigned from) {
    struct script_hooks hooks = {.begun = begun, .acked = acked, .given = given, .reopen = reopen, .arg = c};
    struct err err;
    return script_run(x, s, from, script_count(x), &hooks, &err) ? give_up("run", &err) : 0;
}

static bool gives_new_ids(struct store *s, int64_t last, struct buf *why) {
    int64_t id;
    struct err err = {0};
    if (!store_producer_id(s, &id, &err) && id > last) return true;
    buf_printf(why, "producer id after %" PRId64 ": %s", last, err.msg);
    return false;
}

static int check(struct store *s, struct script *x, unsigned from, unsigned to, int64_t last_id, bool go_on) {
    struct buf why = {0};
    bool good = false;
    unsigned n = from;
    while (!(good = script_matches(x, s, n, &why)) && n < to) n++;
    if (good && go_on) good = script_continues(x, s, n, &why);
    if (good) good = gives_new_ids(s, last_id, &why);
    if (good) tell('n', n);
    else fprintf(stderr, "%s\n", buf_cstr(&why));
    buf_done(&why);
    return !good;
}

static unsigned number(char **argv, int i) { return (unsigned)strtoul(argv[i], NULL, 10); }

int main(int argc, char **argv) {
    struct store *s;
    struct err err;
    if (argc < 3) return 2;
    const char *mode = argv[1];
    struct child c = {.dir = argv[2], .live = !strcmp(mode, "live")};
    struct script *x = argc >= 5 ? script_new(strtoull(argv[3], NULL, 10), number(argv, 4)) : NULL;
    int failed = 0;
    if (open_store(&c, &s, &err)) return give_up("open", &err);
    if (!strcmp(mode, "run") && argc == 5) failed = run(&c, &s, x, 0);
    if (c.live && argc == 6) failed = run(&c, &s, x, number(argv, 5));
    if (argc == 8) failed = check(s, x, number(argv, 5), number(argv, 6), strtoll(argv[7], NULL, 10), !strcmp(mode, "last"));
    if (failed) return failed;
    if (close_store(&c, s, &err)) return give_up("close", &err);
    if (x) script_free(x);
    return 0;
}
