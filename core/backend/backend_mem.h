// SPDX-License-Identifier: Apache-2.0
// A backend in memory, for tests: nothing survives, everything can be held back or made to fail.
//
// Thread-safe as backend.h says. Commits complete inside commit() unless held.
#ifndef BACKEND_BACKEND_MEM_H
#define BACKEND_BACKEND_MEM_H

#include "backend/backend.h"

struct backend *backend_mem_new(void); // close with ops->close
// While held, commits wait; letting go completes them in order, on the calling thread.
void backend_mem_hold(struct backend *b, bool hold);
// The next `times` commits fail with this code. A retriable one holds them until retry.
void backend_mem_fail(struct backend *b, enum err_code code, unsigned times);
// The map over that topic (a literal; NULL: none) is damaged from now on.
void backend_mem_damage(struct backend *b, const char *topic);
size_t backend_mem_commits(struct backend *b); // durable commits so far
// Deletes records below `before` as retention would, reporting what a group had not read.
void backend_mem_expire(struct backend *b, const char *topic, int32_t partition, int64_t before);

#endif
