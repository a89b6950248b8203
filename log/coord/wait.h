// SPDX-License-Identifier: Apache-2.0
// Commits that a caller waits for, with what must happen in the flusher once they are durable; and state topics made on first use.
#ifndef COORD_WAIT_H
#define COORD_WAIT_H

#include "store/store.h"

// Hands the commit over and waits. `settle` (may be NULL) is called first, where done is called: so changes of several threads settle in
// the order of their commits.
int coord_commit(struct store *s, struct commit *c, void (*settle)(void *arg, const struct err *err), void *arg, struct err *err) MUST_USE;

// The topic, made when absent: compacted, small segments, tombstones dropped soon. Caller unrefs.
int coord_topic(struct store *s, const char *name, int32_t partitions, struct topic **ret, struct err *err) MUST_USE;

#endif
