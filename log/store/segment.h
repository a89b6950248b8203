// SPDX-License-Identifier: Apache-2.0
// One segment of a partition: a file of concatenated batches, its entry in the catalogue, its lazily opened file and index.
//
// size, crc and max_ts are of the durable bytes; they move under the partition's lock, and only while the segment is the active (last)
// one. `crc` runs over the whole file, so a sealed segment's is its checksum. Counted references: the partition's list holds one,
// a reader and a dirty list hold theirs; nothing is unlinked through a segment, so a late reference costs memory only.
#ifndef STORE_SEGMENT_H
#define STORE_SEGMENT_H

#include <stdatomic.h>

#include "files.h"
#include "index.h"

enum { SEGMENT_PATH = 320 };

#define ABORTS_UNKNOWN UINT32_MAX // of a segment that was sealed long ago: its whole file counts
struct segment {                 // there may be a hundred thousand: 72 bytes
    atomic_uint refs;
    uint32_t generation, crc;
    uint32_t aborts;             // flusher: entries of its transaction index, those in memory too; under the partition's lock to set
    int64_t base;
    uint64_t size;
    int64_t max_ts;              // largest timestamp, -1 none
    int64_t time;                // wall clock ms: sealed: when; active: of its first append, -1 while empty
    struct file_slot file;
    struct index *index;         // of one that is written to, or was until a moment ago; under the partition's lock to set
    bool sealed;
    atomic_bool dropped;         // no longer in the list
    bool dirty;                  // flusher: in the list of what the next checkpoint syncs
    bool txn_dirty;              // flusher: its transaction index was written to
    int8_t has_aborts;           // 1 there is a transaction index, 0 none, -1 not known; under the partition's lock
    bool rested;                 // not appended to since a round of the cleaner; under the partition's lock
};

struct segment *segment_new(int64_t base, uint32_t generation);
struct segment *segment_ref(struct segment *g);
void segment_unref(struct files *files, struct segment *g);

struct store;
struct partition;
// "<topic>-<n>/<20 digits><suffix>"; suffix "" gives the stem.
void segment_path(const struct partition *p, int64_t base, const char *suffix, char out[SEGMENT_PATH]);
// Makes the empty files of a new segment; the caller syncs the folder. Bytes that are there already are above the durable end: into quarantine.
int segment_create_files(struct store *s, struct partition *p, struct segment *g, struct err *err) MUST_USE;
// The same for one that others see already, whose empty files have gone. The caller keeps others from it.
int segment_create_again(struct store *s, struct partition *p, struct segment *g, struct err *err) MUST_USE;
// Removes all files of a segment, the log last; those that are not there are fine.
int segment_unlink_files(struct store *s, const struct partition *p, int64_t base, struct err *err);
// Stem of the files that are to take the place of segment `base` as its next generation, and taking it.
void segment_cleaned_stem(const struct partition *p, int64_t base, uint32_t generation, char out[SEGMENT_PATH]);
// Every one has a transaction index: an empty one replaces an old one that names transactions which are gone.
int segment_cleaned_txnindex(struct store *s, const char *stem, struct err *err) MUST_USE;
int segment_rename_cleaned(struct store *s, const struct partition *p, int64_t base, const char *stem, struct err *err) MUST_USE;
// Undoes the taking, as far as it got.
int segment_take_back_names(struct store *s, const struct partition *p, int64_t base, const char *stem, struct err *err) MUST_USE;
// A reference to its open log file. Under the partition's lock (or before anybody else sees it).
int segment_open(struct store *s, const struct partition *p, struct segment *g, struct open_file **ret, struct err *err) MUST_USE;
// The index of a sealed segment can not be trusted (why): it is made anew from the segment, in new files, or, when that fails, too, there is none
// and reads begin at the segment's start. Says so.
void segment_renew_index(struct store *s, const struct partition *p, const struct segment *g, const struct err *why);
// The index of the active segment, loaded and brought up to its durable size if needed. For the flusher and recovery.
int segment_active_index(struct store *s, struct partition *p, struct segment *g, struct err *err) MUST_USE;
// A reference to what is loaded of it, or NULL: then its files say it.
struct index *segment_index(struct partition *p, struct segment *g);
void segment_forget_index(struct partition *p, struct segment *g); // its files say it from here on

#endif
