// SPDX-License-Identifier: Apache-2.0
// Hints from inotify that a file was written to or that a directory changed. Only hints: what they miss (a full queue, no watches left,
// network file systems) the periodic scan finds.
#ifndef FILE_WATCH_H
#define FILE_WATCH_H

#include <stdbool.h>
#include <stdint.h>

struct watch;

struct watch_events {
    void *arg;
    void (*file)(void *arg, int wd);                                          // written to, renamed or unlinked
    void (*entry)(void *arg, const char *path);                               // came into being in a directory
    void (*moved)(void *arg, const char *from, const char *to);               // within watched directories
    void (*gone)(void *arg, const char *path);                                // left a directory
    void (*overflow)(void *arg);                                              // anything may have happened
};

struct watch *watch_new(void);        // never NULL but when out of memory; works without inotify by doing nothing
void watch_free(struct watch *w);
bool watch_works(const struct watch *w);
int watch_fd(const struct watch *w);  // readable when there are hints; -1 without inotify

// A file by its descriptor: the watch's number (the same inode gives the same), or -1. *ret_full is set when watches ran out.
int watch_file(struct watch *w, int fd, bool *ret_full);
void watch_forget(struct watch *w, int wd);
// Watches a directory; again is fine. False when watches ran out.
bool watch_directory(struct watch *w, const char *path);

// Hands over what happened since the last call; never blocks.
void watch_drain(struct watch *w, const struct watch_events *to);

#endif
