// SPDX-License-Identifier: Apache-2.0
// One file being tailed: its descriptor, how far it was read, and reading on from there into a batch.
//
// The descriptor is kept until the file is read to its end, whatever became of its name. Every read begins with the marker's bytes, the
// last that were read before: when they are no longer there, the file was truncated or rewritten in place.
#ifndef FILE_TAILED_H
#define FILE_TAILED_H

#include <sys/stat.h>

#include "identity.h"
#include "linerec.h"

struct tailed {
    struct tailed *next_inode, *next_wd; // chains of the task's tables
    uint64_t device, inode;
    int fd;                    // -1: closed to make room, opened again when it grows
    int wd;                    // its watch, or -1
    struct line_path path;     // text: heap, ours
    int64_t offset;
    int64_t size, changed_ns;  // as last seen: length, and time of the last change
    bool skipping;             // inside a line that was cut
    bool dirty;                // there may be more to read
    bool told;                 // the position is what the log was last told
    bool left;                 // under no name that is wanted any more: forgotten once read to its end and quiet
    uint32_t pending;          // bytes behind offset without an end of line
    struct identity identity;
    int64_t grew_ms;           // monotonic: when it last was longer than before
    uint64_t seen;             // the scan that last found it
    struct tailed *behind;     // is to be read to its end first: the older generation of the same name
    struct tailed *copy_of;    // looks like a copy being made of it: held back until that is known
    bool judged;               // whether it is such a copy has been decided
    bool restarted;            // was truncated: its new content may be copied before any of it was read
};

enum tailed_read {
    TAILED_MORE,     // the turn is over, or the batch full: there is more
    TAILED_END,      // read to its end
    TAILED_REWRITTEN,// what was read before is no longer there
    TAILED_FAILED    // errno says why
};

struct tailed_limits {
    uint32_t max_line;
    uint32_t batch_bytes, batch_lines; // a batch of so much is full
    uint32_t turn;                     // bytes a file may give at once
};

static inline int64_t tailed_changed_ns(const struct stat *st) { return (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec; }
// Whether a look at the file shows anything that was not seen at the last read.
static inline bool tailed_differs(const struct tailed *f, const struct stat *st) {
    return st->st_size != f->offset + f->pending || tailed_changed_ns(st) != f->changed_ns;
}
bool tailed_batch_full(const struct cn_batch *b, const struct tailed_limits *l);
// Reads on. `final`: bytes without an end of line at the end are a line as well.
enum tailed_read tailed_read(struct tailed *f, struct cn_batch *b, struct linerec *r, const struct tailed_limits *l, bool final);
// To the start of new content.
void tailed_restart(struct tailed *f);

#endif
