// SPDX-License-Identifier: Apache-2.0
// Prints what a log's files hold, as Kafka's DumpLogSegments does, as text or as one JSON object a line; and checks it on the way.
//
// Reads .log, .index, .timeindex, .txnindex, .snapshot and leader-epoch-checkpoint files, ours and Apache Kafka's, and the .checkpoint files of
// Kafka's metadata, without opening a store: on a copy, beside a running daemon, or on a damaged directory. Damage is printed and counted,
// never an error; an error means that a file could not be read at all or that `write` failed. What was only reserved (zeros to the end) is
// no damage. Pure but for reading; one thread.
#ifndef STORE_DUMP_H
#define STORE_DUMP_H

#include "base/fs.h"
#include "base/json.h"

struct dump_options {
    struct fs *fs;
    bool json;
    const char *prefix;  // of paths in the output, as "/" when fs is the whole file system; NULL none
    bool records;        // each record's offset, sizes, headers and key too, not only the batches
    bool values;         // those, and the values
    bool verify;         // index entries are held against the log beside them
    int64_t from, to;    // only batches that overlap [from, to); to 0 = all
    uint64_t max_batches;// over all files, 0 = all
    size_t max_bytes;    // of a key or value printed, 0 = all
    // With values: prints a record of an internal topic as fields of the open object and returns true; false: not one of those. `path` is
    // the file's.
    // May be NULL. coord/print.h has one.
    bool (*decode)(void *decode_arg, const char *path, struct str key, struct str value, struct json_writer *w);
    void *decode_arg;
    int (*write)(void *arg, struct str line); // one line without its end; non-zero stops
    void *arg;
};

struct dump_result {
    uint64_t files, batches, records, entries; // entries: of all but batches
    uint64_t faults;
};

// A file of a known kind by its name; ERR_UNSUPPORTED for others.
int dump_file(const struct dump_options *o, const char *path, struct dump_result *result, struct err *err) MUST_USE;
// All known files in a partition's folder, or in all partition folders of a log directory.
int dump_directory(const struct dump_options *o, const char *path, struct dump_result *result, struct err *err) MUST_USE;

#endif
