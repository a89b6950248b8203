// SPDX-License-Identifier: Apache-2.0
// A whole file system in memory behind struct fs_ops: for tests of the log, and as what a simulated power cut leaves.
//
// Thread-safe. Zeros cost no memory, and a clone shares pages until either side writes. fd() is -1 (no sendfile).
#ifndef FS_MEM_H
#define FS_MEM_H

#include "base/fs.h"

struct fs *fs_mem_new(void); // empty; fs_close frees it
// The same content, without open files and locks. `fs` was made by fs_mem_new, fs_mem_clone or fs_crash.
struct fs *fs_mem_clone(struct fs *fs);
// Bytes of the disk; writes and reservations past it fail with ENOSPC. Default: 1 TiB.
void fs_mem_set_capacity(struct fs *fs, uint64_t bytes);
// The content of one file changed behind the fs's back, as a failing disk does. Aborts when it is not there.
void fs_mem_flip(struct fs *fs, const char *path, uint64_t at, uint8_t mask);
// True when both hold the same tree: names, kinds, sizes, bytes.
bool fs_mem_equal(struct fs *a, struct fs *b);
// Equal trees have equal numbers.
uint64_t fs_mem_hash(struct fs *fs);
// Locks of a process that has ended are free.
void fs_mem_unlock(struct fs *fs);

#endif
