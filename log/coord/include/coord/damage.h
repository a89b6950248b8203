// SPDX-License-Identifier: Apache-2.0
// A damaged internal topic stops only what depends on it: the one rule of the coordinators.
//
// Each loads the partitions of its topic when it is opened. One that can not be read whole is noted here, and what was read of it counts for
// nothing: half of a state would be an older state. From then on whoever asks for what lies in it, or would add to it, is refused with the
// cause; what lies elsewhere goes on. Damage found later, while the memory is whole, refuses only what would be written.
//
// Filled by the one thread that opens, then only read.
#ifndef COORD_DAMAGE_H
#define COORD_DAMAGE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct damaged { const char *topic; int32_t partition; struct err why; }; // topic: static
struct damage {
    struct damaged *items;
    size_t n, cap;
};
// Makes of a partition's failure to load its cause, which names it and how to go on (ERR_CORRUPT). -1: it may well be read later (no memory).
int damage_of(const char *topic, int32_t partition, struct err *err) MUST_USE;
// The same, noted.
int damage_note(struct damage *d, const char *topic, int32_t partition, struct err *err) MUST_USE;
int damage_check(const struct damage *d, int32_t partition, struct err *err) MUST_USE; // 0, or -1 with the cause
void damage_done(struct damage *d);

#endif
