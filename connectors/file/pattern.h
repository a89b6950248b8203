// SPDX-License-Identifier: Apache-2.0
// Which paths are wanted: glob patterns, less the excluded ones, and the directories in which a match may appear.
//
// A pattern is glob(7)'s, absolute; '*' does not cross '/'. Excludes without a '/' are matched with the last component, others with
// the whole path. Reads directories, opens nothing; keeps no state between calls.
#ifndef FILE_PATTERN_H
#define FILE_PATTERN_H

#include <stdbool.h>

#include <connectd/option.h>

struct patterns {
    struct cn_list include, exclude;
    bool literal;             // include is one path, taken as it is written
};

// Calls `found` for each existing path that matches. `denied` (may be NULL) is called for each directory that could not be read, with errno.
void patterns_expand(const struct patterns *p, void (*found)(void *arg, const char *path), void (*denied)(void *arg, const char *path, int error), void *arg);
bool patterns_match(const struct patterns *p, const char *path);
// Calls `found` for each existing directory where a match, or a directory on the way to one, may appear.
void patterns_directories(const struct patterns *p, void (*found)(void *arg, const char *path), void *arg);

#endif
