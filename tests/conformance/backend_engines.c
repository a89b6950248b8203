// SPDX-License-Identifier: Apache-2.0
#include "backend_engines.h"

#include "backend/backend_mem.h"

static void memory_close(struct backend *b) { b->ops->close(b); }
static void memory_fail(struct backend *b, bool on) { backend_mem_fail(b, ERR_NOSPACE, on ? 1000 : 0); }

const struct engine engine_memory = {backend_mem_new, memory_close, memory_fail};
