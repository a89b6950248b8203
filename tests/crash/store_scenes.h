// SPDX-License-Identifier: Apache-2.0
// What the sweep over failing allocations runs: short scenes of the store and its coordinators, each of which tries again what may be.
#ifndef STORE_SCENES_H
#define STORE_SCENES_H

#include "base/clock.h"
#include "fs_mem.h"
#include "store/store.h"

struct world {
    struct fs *fs;
    struct store *s;          // NULL in a scene that opens it
    struct clock_manual clock;
    unsigned failures;        // calls that said no
    struct buf said;          // what the scene was told, the same in every run
    char why[1024];           // when it ends badly
};

struct scene {
    const char *name;
    bool (*prepare)(struct world *w); // over a new store; NULL: there is none yet
    bool (*act)(struct world *w);     // false: *why is set
    bool cold;                        // the store is not open when it begins
    bool killed;                      // what it begins on was left by a kill
};
extern const struct scene scenes[];
extern const size_t scene_count;

struct store_options world_options(struct world *w);
bool world_open(struct world *w);
// Everything that is in the store, as text.
void world_state(struct world *w, struct buf *out);

#endif
