// SPDX-License-Identifier: Apache-2.0
// A file of unknown health, read through a window: its checksum on the way, and what the disk does not give. One thread.
#ifndef STORE_WINDOW_H
#define STORE_WINDOW_H

#include "base/fs.h"

// As fs_pread_full; blocks that the disk does not give become zeros, and their bytes are counted. 1 as soon as there is one, and *why says it.
int read_what_can(struct fs *fs, struct fs_file *f, void *p, size_t n, uint64_t at, uint64_t *unreadable, struct err *why) MUST_USE;

struct window {
    struct fs *fs;                // borrowed, as the file
    struct fs_file *file;
    uint64_t end;                 // nothing from here on is looked at
    uint64_t mended;              // the byte there is read with this mask; 0 none
    uint8_t mask;
    // Inner, but for crc once all was read and what is not readable.
    struct buf bytes;
    uint64_t at;
    uint32_t crc;                 // of the bytes before crc_at: every byte once, whichever way the window goes
    uint64_t crc_at;
    uint64_t *blocks;             // where the disk gave nothing
    size_t block_n, block_cap;
    struct err unreadable;        // the first of them
};
enum { WINDOW_BLOCK = 4096 };
void window_done(struct window *w);
// Bytes [at, at + n), which lie before the end, valid until the next call; *ret_n: how many there are from `at` on. NULL: failed.
const uint8_t *window_view(struct window *w, uint64_t at, uint64_t n, size_t *ret_n, struct err *err);
int window_read_all(struct window *w, struct err *err) MUST_USE; // what was not looked at, for its checksum
bool window_is_unreadable(const struct window *w, uint64_t from, uint64_t to); // some of it

#endif
