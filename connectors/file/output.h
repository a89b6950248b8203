// SPDX-License-Identifier: Apache-2.0
// One output: the active file that records are appended to, its rolled predecessors, and the journal that makes both exact.
//
//   out.jsonl          active: committed │ written, not committed │ buffer (memory)
//                              └ journal.length    └ length
//   out.000001.jsonl   rolled, complete; only whole commits are ever in it
//   .out.jsonl.journal which offsets are in all of these
//
// Opening cuts the active file to its committed length, so what is in the files and what the journal says always agree. Rolling is:
// everything committed, rename, sync the directory, commit the journal with length 0 and the next number. When the file that the number
// belongs to is already there at an open, the rename happened and the rest is caught up.
// The task's thread owns all of it, but for what the committer does between output_snapshot and output_committed.
#ifndef FILE_OUTPUT_H
#define FILE_OUTPUT_H

#include <stdbool.h>

#include <connectd/plugin.h>

#include "journal.h"
#include "jsonline.h"

struct output_options {
    enum line_content content;
    int64_t roll_size, roll_ms, roll_records; // 0: not by that
    int64_t mode;                             // of files
    bool append;                              // go on behind what others put into the file
};

// A partition that has records in the output, or may get some.
struct output_part {
    char *topic;                   // terminated, as the journal's
    uint32_t tag;                  // the topic's, 0 not known
    int32_t partition;
    int64_t next;                  // [task] first offset not appended; -1: nothing is
    int64_t put_first, put_last;   // [task] appended by the put in work and not published; -1 none
    bool rejected;                 // [task] the put in work met a record that can not be written: what follows comes again
    int64_t published;             // [lock] as next, of what is written
    int64_t unsettled;             // [lock] first offset written and not being committed; -1 none
    int64_t commit_first, commit_next; // [committer] being committed
};

struct output {
    struct cn_host *host;
    const struct file_io *io;
    const struct output_options *options;
    char *path, *directory;
    int fd;
    struct journal journal;
    struct journal_state state;    // [committer, or task while it is idle] as committed last
    struct cn_json buffer;         // [task] lines not written yet
    int64_t length;                // [task] bytes written, at a record's end
    int64_t tail;                  // [task] bytes written of the put in work, behind length
    int64_t records, started_ms;   // [task] in the active file, buffer included
    struct output_part *parts;
    uint32_t part_count, part_cap;
    bool touched;                  // [task] by the put in work
    bool refused;                  // [task] the put in work could not be written: no room
    bool dirty;                    // [lock] something is written and not being committed
    bool in_commit;                // [committer] part of the commit in work
    struct { int64_t length, records, started_ms; } published, committing;
};

// Opens or makes it. 0, or -1 after cn_host.fail, with nothing left open.
int output_open(struct output *o, struct cn_host *h, const struct file_io *io, const struct output_options *options, const char *path);
void output_close(struct output *o);

struct output_part *output_part(struct output *o, const char *topic, size_t n, int32_t partition); // NULL: none yet
struct output_part *output_add_part(struct output *o, const char *topic, size_t n, int32_t partition); // with nothing in it
// The topic that the partition is of today. What is remembered of an earlier one of the same name is forgotten; its records stay.
void output_part_is_of(struct output_part *p, uint32_t tag);

// Whether the next record belongs into a new file.
bool output_is_full(const struct output *o, int64_t now_ms);
// The file was moved away or cut by somebody else: 1 moved, 0 as we left it, -1 after cn_host.fail.
int output_look(struct output *o);
// Goes on in a new file at the same path, since the old one was moved away. Nothing may be uncommitted. 0, or -1 after cn_host.fail.
int output_replace(struct output *o);
// Makes the active file a rolled one. Nothing may be uncommitted. 0, or -1 after cn_host.fail.
int output_roll(struct output *o);

// Appends the record's line to the buffer, and writes it when it is large. 0; 1 when the record can not be written at all; -1 with errno.
int output_append(struct output *o, const struct cn_batch *b, const struct cn_record *r, int64_t now_ms);
// Writes the buffer. 0, or -1 with errno.
int output_write(struct output *o);
// Takes back what the put in work has written. 0, or -1 with errno.
int output_take_back(struct output *o);

// [lock] What is written becomes what is to be committed; output_snapshot what is being committed.
void output_publish(struct output *o);
void output_snapshot(struct output *o);
// [committer] Makes the snapshot durable. 0, or -1 after cn_host.fail.
int output_commit(struct output *o);

// Says that a path could not be written, with the way out when the service's sandbox forbids it. Returns -1.
int output_fail(struct cn_host *h, const char *what, const char *path, int error);

#endif
