// SPDX-License-Identifier: Apache-2.0
// Temporary folders, remembered and removed at exit.
#include "tmpdir.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

static struct {
    char **dirs, **paths;
    size_t n, cap, path_count, path_cap;
    pid_t owner; // a forked child must not remove its parent's folders
} made;

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw) { return remove(path); }

static void remove_all(void) {
    bool mine = made.owner == getpid();
    for (size_t i = 0; i < made.n; i++) {
        if (mine && getenv("KEEP_TMPDIR")) fprintf(stderr, "kept %s\n", made.dirs[i]);
        else if (mine) nftw(made.dirs[i], remove_one, 16, FTW_DEPTH | FTW_PHYS);
        free(made.dirs[i]);
    }
    for (size_t i = 0; i < made.path_count; i++) free(made.paths[i]);
    free(made.dirs);
    free(made.paths);
}

static void die(const char *what, const char *path) {
    fprintf(stderr, "tmpdir: %s %s failed\n", what, path);
    abort();
}

const char *tmpdir_new(void) {
    const char *base = getenv("TMPDIR");
    char *dir = xasprintf("%s/connectd-test-XXXXXX", base && *base ? base : "/tmp");
    if (!mkdtemp(dir)) die("mkdtemp", dir);
    if (!made.owner) atexit(remove_all);
    made.owner = getpid();
    VEC_PUSH(made.dirs, made.n, made.cap, dir);
    return dir;
}

static void make_parents(char *path, size_t from) {
    for (char *slash = strchr(path + from, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        mkdir(path, 0700); // may exist
        *slash = '/';
    }
}

const char *tmpdir_bytes(const char *dir, const char *name, const void *p, size_t n) {
    char *path = xasprintf("%s/%s", dir, name);
    make_parents(path, strlen(dir) + 1);
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(p, 1, n, f) != n || fclose(f)) die("write", path);
    VEC_PUSH(made.paths, made.path_count, made.path_cap, path);
    return path;
}

const char *tmpdir_file(const char *dir, const char *name, const char *text) {
    return tmpdir_bytes(dir, name, text, strlen(text));
}

char *tmpdir_read(const char *path) {
    FILE *f = fopen(path, "rb");
    if (!f) return NULL;
    size_t n = 0, cap = 4096, got;
    char *text = xmalloc(cap);
    while ((got = fread(text + n, 1, cap - n - 1, f))) {
        n += got;
        if (cap - n < 2) text = xrealloc(text, cap *= 2);
    }
    fclose(f);
    text[n] = 0;
    return text;
}
