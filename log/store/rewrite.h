// SPDX-License-Identifier: Apache-2.0
// Keep-latest rewrite of a compacted partition's sealed segments into new files; swapping them in is the partition's work.
//
//   rewrite_begin ─► rewrite_scan (each dirty segment, in order) ─► rewrite_write (each group of neighbours, from the first segment on)
//                      notes the last offset of every key              writes <stem>.log .index .timeindex .txnindex, synced
//
// What goes: records with a later one of the same key, records without a key, records of aborted transactions; tombstones, and end
// markers of transactions that have nothing left, once delete.retention.ms has passed since a rewrite first met them (it stamps the
// batch with the time, as Kafka's delete horizon). What stays: every offset (batches keep their base and last offset), the last batch of
// each live producer (emptied if need be), end markers while data of their transaction is left, and everything from `end` on.
// Memory is bounded: when the keys do not fit, the scan ends early (rewrite_limit), and what lies above waits for another round.
// One thread. Nothing is changed but the new files.
#ifndef STORE_REWRITE_H
#define STORE_REWRITE_H

#include "base/fs.h"
#include "producers.h"

struct rewrite;
struct rewrite_options {
    struct fs *fs;
    int64_t now_ms, delete_retention_ms;
    int64_t start;                      // below it earlier rounds have left no key twice: not scanned again
    int64_t end;                        // nothing from here on is compacted; not above the last stable offset
    const struct producer_end *aborted; // every aborted transaction that ended below `end`, of the active segment too; borrowed
    size_t aborted_n;
    const struct producers *live;       // a copy of the partition's; may be NULL; borrowed
    size_t keys_bytes;                  // memory for the keys, 0 = 32 MiB (a million keys)
    size_t max_batch;                   // bytes a batch may expand to, 0 = 256 MiB
    uint32_t index_interval;            // 0 = the default
    const int64_t *levels;              // of the codecs, for batches that are compressed anew; NULL: their defaults; borrowed
    uint64_t spare_bytes;               // of the disk, to be left free: NOSPACE instead
    bool (*over)(void *arg);            // asked now and then: CANCELLED when it says so; may be NULL
    void *over_arg;
};
struct rewrite_input {
    struct fs_file *log;
    uint64_t size;
    const char *name;                   // for messages
};
struct rewrite_result {
    uint64_t size;                      // of <stem>.log
    uint32_t crc;                       // CRC-32C of all of it
    int64_t max_ts;                     // -1 none
    bool changed;                       // false: the same bytes as the inputs, one after the other
    uint64_t records, kept;
    int64_t next_horizon;               // when the next tombstone or marker may go, -1 none
};

struct rewrite *rewrite_begin(const struct rewrite_options *o, struct err *err); // NULL: no memory for the keys
// Notes the keys of a segment: 0 all, 1 memory is full (no further segment may be scanned), -1 failed.
int rewrite_scan(struct rewrite *r, const struct rewrite_input *in, struct err *err) MUST_USE;
// Up to here the scan knows every key; batches from here on are copied as they are. The end until memory is full.
int64_t rewrite_limit(const struct rewrite *r);
// The share of the scanned records that are their key's last: about so much of those segments will stay.
double rewrite_share(const struct rewrite *r);
// Writes the group [in, in + n) as one segment of base offset `base`. Groups are written in order, beginning with the log's first segment.
int rewrite_write(struct rewrite *r, const struct rewrite_input *in, size_t n, const char *stem, int64_t base, struct rewrite_result *ret,
                  struct err *err) MUST_USE;
void rewrite_end(struct rewrite *r);

// Removes the files of a stem; those that are not there are fine.
int rewrite_unlink(struct fs *fs, const char *stem, struct err *err);

#endif
