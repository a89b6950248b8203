// SPDX-License-Identifier: Apache-2.0
// The sparse indexes of one segment: `.index` (offset → file position) and `.timeindex` (timestamp → offset), Kafka's files.
//
//   .index      8-byte entries {int32 offset - base, int32 position}: the last offset of a batch and where the batch starts
//   .timeindex 12-byte entries {int64 timestamp, int32 offset - base}: the largest timestamp so far and its batch's last offset
//
// One entry about every `interval` bytes of the segment, both rising strictly. Indexes are caches: nothing waits for them, whatever
// is missing or damaged is made again from the segment. Noted entries stay in memory until index_flush writes those that are framed.
// note, mark, undo, framed: one thread (the flusher). flush: another may. Lookups: any thread, at any time. A struct index holds no
// open file. References are counted: make and open give one.
#ifndef STORE_INDEX_H
#define STORE_INDEX_H

#include "base/fs.h"
#include "store/batch.h"

enum { INDEX_INTERVAL = 4096, INDEX_ENTRY = 8, TIMEINDEX_ENTRY = 12 };

struct index;
struct index_options {
    struct fs *fs;          // borrowed
    const char *stem;       // the segment's path without ".log"; copied
    int64_t base_offset;
    uint32_t interval;      // bytes; 0 = INDEX_INTERVAL
};
// Makes both files, empty.
int index_create(const struct index_options *o, struct index **ret, struct err *err) MUST_USE;
// Opens both files and checks their shape and last entries. ERR_NOT_FOUND, ERR_CORRUPT: index_create and index_extend instead.
int index_open(const struct index_options *o, struct index **ret, struct err *err) MUST_USE;
struct index *index_ref(struct index *x); // NULL stays NULL
void index_free(struct index *x); // one reference; with the last, what was not flushed is gone

// A batch was appended at `position`: adds entries when the interval has passed.
void index_note(struct index *x, const struct batch_header *h, uint64_t position);
struct index_mark {
    size_t entries, times;
    uint64_t since;              // bytes since the last entry
    int64_t max_timestamp, max_offset;
};
struct index_mark index_mark(struct index *x);
void index_undo(struct index *x, const struct index_mark *m); // back to a mark taken since the last framed
void index_framed(struct index *x);                           // all that was noted is durable in the log
// Writes the framed entries. sync: and fdatasync both files.
int index_flush(struct index *x, bool sync, struct err *err) MUST_USE;
// No more batches come: adds the last timestamp and flushes, synced. ERR_NOSPACE: nothing was synced, and it can be done again; else what is in the
// files nobody knows.
int index_seal(struct index *x, struct err *err) MUST_USE;

// Removes the entries of batches that do not end below end_offset or do not start below end_position.
int index_cut(struct index *x, int64_t end_offset, uint64_t end_position, struct err *err) MUST_USE;
// Notes, as framed, the batches of the segment file from the last entry's on up to `size`; after index_open or index_create, before
// the first note. Reads headers only. ERR_CORRUPT when they do not lead exactly to `size`.
int index_extend(struct index *x, struct fs_file *log, uint64_t size, struct err *err) MUST_USE;
// Reads both files whole: strictly rising, and every entry names a batch of the log that ends and starts there.
int index_verify(const struct index_options *o, struct fs_file *log, uint64_t size, struct err *err) MUST_USE;

// Where to start reading for `offset`: the position of a batch at or before the one that contains it (0 when there is no entry).
int index_position(struct index *x, int64_t offset, uint64_t *ret, struct err *err) MUST_USE;
// Where to start looking for the first timestamp ≥ ts: an offset before which there is none, which ends the batch with the entry's timestamp (the base
// offset and -1 when there is no entry). True as far as the file is: who uses an entry holds the batch that it names against it.
int index_for_time(struct index *x, int64_t ts, int64_t *ret_offset, int64_t *ret_ts, struct err *err) MUST_USE;
// The largest timestamp noted and framed, and the last offset of its batch; -1, -1 when there is none.
void index_max_timestamp(struct index *x, int64_t *ret_ts, int64_t *ret_offset);

#endif
