// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <fnmatch.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "pattern.h"

static bool excluded(const struct patterns *p, const char *path) {
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    for (uint32_t i = 0; i < p->exclude.n; i++) {
        const char *pattern = p->exclude.items[i];
        if (fnmatch(pattern, strchr(pattern, '/') ? path : name, FNM_PATHNAME) == 0) return true;
    }
    return false;
}

bool patterns_match(const struct patterns *p, const char *path) {
    if (excluded(p, path)) return false;
    for (uint32_t i = 0; i < p->include.n; i++) {
        if (p->literal ? strcmp(p->include.items[i], path) == 0 : fnmatch(p->include.items[i], path, FNM_PATHNAME | FNM_PERIOD) == 0) return true;
    }
    return false;
}

// glob(3) takes a function without an argument for its errors: the one being told, per thread.
static _Thread_local struct { void (*denied)(void *, const char *, int); void *arg; } telling;

static int tell(const char *path, int error) {
    if (telling.denied && error != ENOENT && error != ENOTDIR) telling.denied(telling.arg, path, error);
    return 0;
}

void patterns_expand(const struct patterns *p, void (*found)(void *, const char *), void (*denied)(void *, const char *, int), void *arg) {
    for (uint32_t i = 0; i < p->include.n; i++) {
        glob_t g = {0};
        if (p->literal) {
            struct stat st;
            if (lstat(p->include.items[i], &st) == 0) found(arg, p->include.items[i]);
            else if (denied && errno != ENOENT && errno != ENOTDIR) denied(arg, p->include.items[i], errno);
            continue;
        }
        telling.denied = denied;
        telling.arg = arg;
        if (glob(p->include.items[i], 0, tell, &g) == 0)
            for (size_t k = 0; k < g.gl_pathc; k++)
                if (!excluded(p, g.gl_pathv[k])) found(arg, g.gl_pathv[k]);
        globfree(&g);
    }
}

// The existing directories of the pattern's first `n` bytes; how many.
static size_t expand_directory(const char *pattern, size_t n, bool literal, void (*found)(void *, const char *), void *arg) {
    glob_t g = {0};
    char *prefix = strndup(n ? pattern : "/", n ? n : 1);
    size_t count = 0;
    struct stat st;
    if (!prefix) return 0;
    if (literal) {
        if (stat(prefix, &st) == 0 && S_ISDIR(st.st_mode)) found(arg, prefix), count = 1;
    } else if (glob(prefix, GLOB_ONLYDIR, NULL, &g) == 0) {
        for (size_t k = 0; k < g.gl_pathc; k++)
            if (stat(g.gl_pathv[k], &st) == 0 && S_ISDIR(st.st_mode)) found(arg, g.gl_pathv[k]), count++;
    }
    globfree(&g);
    free(prefix);
    return count;
}

// From the parent of the last component upwards, until a level without wildcards exists.
void patterns_directories(const struct patterns *p, void (*found)(void *, const char *), void *arg) {
    for (uint32_t i = 0; i < p->include.n; i++) {
        const char *pattern = p->include.items[i];
        for (size_t n = strlen(pattern);;) {
            while (n && pattern[n - 1] != '/') n--;
            while (n && pattern[n - 1] == '/') n--;
            bool wild = !p->literal && strcspn(pattern, "*?[") < n;
            if ((expand_directory(pattern, n, p->literal, found, arg) && !wild) || n == 0) break;
        }
    }
}
