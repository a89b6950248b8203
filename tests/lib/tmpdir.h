// SPDX-License-Identifier: Apache-2.0
// Temporary folders that are gone when the test program ends. $KEEP_TMPDIR=1 keeps them and prints their names.
#ifndef TMPDIR_H
#define TMPDIR_H

#include <stddef.h>

const char *tmpdir_new(void); // the path of a new empty folder; valid until the program ends
// Writes a file below a folder of tmpdir_new (parents are made) and returns its path, valid until the program ends.
const char *tmpdir_file(const char *dir, const char *name, const char *text);
const char *tmpdir_bytes(const char *dir, const char *name, const void *p, size_t n);
char *tmpdir_read(const char *path); // a whole file as terminated text, caller frees; NULL when absent

#endif
