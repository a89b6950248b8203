// SPDX-License-Identifier: Apache-2.0
// Whether a file can be changed by nobody but root and the user this process runs as. Thread-safe but for the group database.
#ifndef PLUGIN_TRUST_H
#define PLUGIN_TRUST_H

#include "base/err.h"

// `path` is absolute and without symbolic links. Checks the file and every folder above it: owner root or this user; not
// writable by others, nor by a group other than root's or the user's own private one; a sticky folder (/tmp) passes when
// what lies in it does. ERR_DENIED names the first offender; the hint is the command that helps.
int trust_check(const char *path, struct err *err) MUST_USE;

#endif
