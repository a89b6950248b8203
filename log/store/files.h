// SPDX-License-Identifier: Apache-2.0
// Open segment files: opened when needed, shared by references, closed least recently used first.
//
// A slot lives inside the struct segment it opens. A file with references is never closed; one that holds bytes not yet synced keeps a
// reference until they are, because a system may forget a write error with the last descriptor. Past the bound `files_crowded` says so, and the
// flusher syncs files early to let such references go: what remains beyond it are files being read at the moment. Thread-safe.
#ifndef STORE_FILES_H
#define STORE_FILES_H

#include "base/fs.h"
#include "base/thread.h"

struct open_file {
    struct fs_file *f;
    struct file_slot *slot;             // NULL: the segment is gone, closed with the last reference
    uint64_t reserved;                  // the flusher's: end of the bytes reserved on disk, as far as is known since it was opened
    unsigned refs;
    struct open_file *newer, *older;    // of the ring of unreferenced files
};
struct file_slot { struct open_file *open; };

struct files {
    struct fs *fs;
    pthread_mutex_t lock; // guards all below and every slot
    size_t n, limit;
    struct open_file idle; // ring head: idle.newer is the oldest
};

void files_init(struct files *x, struct fs *fs, size_t limit);
void files_done(struct files *x); // all slots are closed
// A reference to the slot's file, opened (with `flags`) if it was not. The caller keeps others from opening the same slot meanwhile.
int files_get(struct files *x, struct file_slot *slot, const char *path, int flags, struct open_file **ret, struct err *err) MUST_USE;
void files_put(struct files *x, struct open_file *f);
void files_close(struct files *x, struct file_slot *slot); // the slot is empty afterwards; readers keep their references
bool files_crowded(struct files *x);
size_t files_count(struct files *x);

#endif
