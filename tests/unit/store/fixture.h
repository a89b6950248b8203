// SPDX-License-Identifier: Apache-2.0
// What the store's tests share: a store over memory, batches of text, the log as text.
#ifndef STORE_FIXTURE_H
#define STORE_FIXTURE_H

#include "fs_fault.h"
#include "fs_mem.h"
#include "store/batch.h"
#include "store/store.h"
#include "test.h"

// A small journal, no thread that acts by itself: checkpoints and cleaning only when asked.
struct store_options fixture_options(struct fs *fs);
struct store *fixture_open(struct fs *fs);
void fixture_close(struct store *s);
// Closes the store, if there is one, and opens another one on a copy of the disk, which takes the place of *fs.
struct store *fixture_reopen(struct store *s, struct fs **fs);
void fixture_topic(struct store *s, const char *name, int32_t partitions, const char *setting, const char *value); // setting may be NULL

// A batch of one record per text, from producer `id` (-1 none) at `sequence`.
struct buf fixture_batch(int64_t id, int16_t epoch, int32_t sequence, const char *const *texts, size_t n);
struct buf fixture_text(const char *text);
// Appends one text and waits; the offset, or -1 with *err.
int64_t fixture_put(struct store *s, const char *topic, int32_t partition, const char *text, struct err *err);
void fixture_fill(struct store *s, const char *topic, int32_t partition, unsigned count, size_t bytes); // "0", "1", … padded
// Everything readable as "offset:text offset:text …" (control records as "offset:!commit" or "!abort").
const char *fixture_log(struct store *s, const char *topic, int32_t partition, enum isolation isolation);
struct partition_offsets fixture_offsets(struct store *s, const char *topic, int32_t partition);

#endif
