// SPDX-License-Identifier: Apache-2.0
// Which file this is, and how far it was read: device and inode, a fingerprint of its head, and a marker before the offset.
//
// Inodes are reused, heads are equal, files are truncated and grow again behind our back; the three together tell all of these
// apart. Head and marker cover only bytes that were read, so that they hold for files of any length: the head grows up to
// 1024 bytes, the marker is the last 256. Hashes are FNV-1a of 64 bits. Pure but for reading the file it is given.
#ifndef FILE_IDENTITY_H
#define FILE_IDENTITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { IDENTITY_HEAD = 1024, IDENTITY_MARK = 256, POSITION_MAX = 16384 };

// How far, as stored.
struct place {
    int64_t offset;
    uint64_t head, mark;      // hashes of
    uint32_t head_n, mark_n;  // the first and the last so many bytes before the offset
    bool skipping;            // inside a line that was cut: what follows up to its end is not wanted
};

// The same while reading, with the marker's bytes at hand.
struct identity {
    uint64_t head;
    uint32_t head_n, mark_n;
    char mark[IDENTITY_MARK];
};

void identity_reset(struct identity *id);
// The bytes p[0..n) at `offset` were read.
void identity_consume(struct identity *id, int64_t offset, const char *p, size_t n);
// As if [0, offset) of the file had been read. -1 when it is shorter or can not be read.
int identity_load(struct identity *id, int fd, int64_t offset);
struct place identity_place(const struct identity *id, int64_t offset, bool skipping);
// Whether the file's content up to the place is what was read.
bool identity_matches(int fd, const struct place *place);

// A stored position:
//   {"device":2049,"inode":131} → {"path":"/var/log/a.log","offset":912,"head":"912:…16 hex digits","mark":"256:…","skipping":false,"at":1768046400}
struct position {
    uint64_t device, inode;
    struct place place;
    int64_t at_s;              // when it was written, seconds since 1970
    char path[4096];
};
// Terminated JSON in to[0..cap), or NULL when it does not fit.
const char *position_partition(char *to, size_t cap, uint64_t device, uint64_t inode);
const char *position_offset(char *to, size_t cap, const struct position *p);
// 0, or -1 when the texts are no such position.
int position_parse(struct position *ret, const char *partition, const char *offset);

#endif
