// SPDX-License-Identifier: Apache-2.0
// What retention had to delete before a sink had read it, or somebody accepted as damaged: counted, and left as a gap record among the sink's dead letters.
//
// The backend's cleaner only notes it here; the worker's keeper writes it. Thread-safe.
#ifndef RUNTIME_GAPS_H
#define RUNTIME_GAPS_H

#include "backend/backend.h"

struct gaps;
struct gaps *gaps_new(struct backend *b); // listens from now on
void gaps_free(struct gaps *g);           // after the last consumer is closed
// Writes what was noted since, to the topic that `topic_of` names for a group (heap; NULL: nobody's). What can not be written now stays noted.
int gaps_write(struct gaps *g, char *(*topic_of)(void *arg, const char *group), void *arg, struct err *err);
int64_t gaps_records(struct gaps *g); // records lost so far

#endif
