// SPDX-License-Identifier: Apache-2.0
// The catalogue: which topics, partitions and segments there are, with ids, settings, log starts and counters.
//
// It changes only by edits (edit.h), each durable in a frame before it is applied: at run time by the flusher, through the functions
// below; at start by `catalogue_load`, from a checkpoint image and the frames after it. Ids are never used twice.
#ifndef STORE_CATALOGUE_H
#define STORE_CATALOGUE_H

#include "store_int.h"

void catalogue_init(struct catalogue *c);
void catalogue_done(struct catalogue *c);

// Puts all that is framed into an image, as edits. The flusher, or while nobody else is there.
void catalogue_image(struct store *s, struct buf *out);
// The same of the partitions that changed since, and the counters; not enough when the catalogue was reshaped.
void catalogue_changes(const struct store *s, struct buf *out);
// [flusher] The next checkpoint has something new to tell of the partition. What concerns more than partitions sets `reshaped`.
void catalogue_changed(struct store *s, struct partition *p);
void catalogue_told(struct store *s); // nothing differs any more

// Applying, each after its edit is durable.
struct topic *catalogue_create(struct store *s, const struct edit *e, struct settings *settings); // with one empty segment a partition
void catalogue_delete(struct store *s, struct topic *t);  // becomes a grave; its partitions are gone, their watches fire
void catalogue_bury(struct store *s, uint32_t topic);     // the folders of a grave are gone
void catalogue_grow(struct store *s, struct topic *t, const struct edit *e);
void catalogue_roll(struct partition *p, struct segment *next, const struct edit *e);
void catalogue_drop(struct store *s, struct partition *p, int64_t base);
void catalogue_log_start(struct partition *p, int64_t first);
// The segments e names make way for `next` (NULL: for nothing).
void catalogue_swap(struct store *s, struct partition *p, const struct edit *e, struct segment *next);
// The partition serves again, and its losses count.
void catalogue_accept(struct partition *p, const struct edit *e);

// Loading.
struct loader {
    struct store *s;
    struct map topics, partitions; // by id
    bool frames;                   // the edits are of frames, not of a checkpoint
};
void loader_done(struct loader *l);
struct partition *loader_partition(const struct loader *l, uint32_t id); // NULL unknown
// Applies one edit other than a range. Edits of partitions that are gone are skipped (their ids are below the counters). ERR_CORRUPT when
// it contradicts what is there.
int catalogue_load(struct loader *l, const struct edit *e, struct err *err) MUST_USE;

#endif
