// SPDX-License-Identifier: Apache-2.0
// The nodes of an in-memory file system, shared by fs_mem.c (paths, handles) and fs_crash.c (which builds one by node ids).
//
// A node is a file or a folder and is known by its id; names are entries of folders. Ids are given in order and never
// reused, so that two file systems fed the same creations agree on them. Node 0 is the root.
#ifndef FS_MEM_INT_H
#define FS_MEM_INT_H

#include <pthread.h>
#include <stdatomic.h>

#include "fs_mem.h"

enum { MEM_PAGE = 4096, MEM_NONE = -1 };

struct mem_page {
    atomic_uint refs;
    uint8_t bytes[MEM_PAGE];
};

struct mem_entry {
    char *name;
    int node;
};

struct mem_node {
    bool is_dir;
    unsigned links, opens;
    uint64_t size, reserved; // reserved: end of what allocate() promised
    int64_t mtime_ms;
    struct mem_page **pages; // NULL page = zeros
    size_t page_count;
    struct mem_entry *entries; // sorted by name
    size_t entry_count, entry_cap;
};

struct fs_mem {
    struct fs fs;
    pthread_mutex_t mutex; // guards all below
    struct mem_node **nodes;
    size_t node_count, node_cap;
    uint64_t capacity, used; // bytes; used: mem_allocated of all nodes
    char **locks;
    size_t lock_count, lock_cap;
};

struct fs_mem *mem_of(struct fs *fs);
struct fs_mem *mem_new(void);
struct fs_mem *mem_clone(const struct fs_mem *m);
void mem_free(struct fs_mem *m);

int mem_node_new(struct fs_mem *m, bool is_dir); // not linked anywhere yet
void mem_node_drop(struct fs_mem *m, int node);  // frees its bytes when nothing refers to it any more
int mem_entry(const struct fs_mem *m, int dir, const char *name); // or MEM_NONE
void mem_link(struct fs_mem *m, int dir, const char *name, int node); // replaces an entry of that name
void mem_unlink(struct fs_mem *m, int dir, const char *name);
// The folder a path lies in and, in *name, its last part; MEM_NONE when a part before is absent or no folder.
int mem_parent(const struct fs_mem *m, const char *path, char name[256]);
int mem_lookup(const struct fs_mem *m, const char *path); // "" and "." are the root

void mem_write(struct fs_mem *m, int node, uint64_t at, const void *p, size_t n);
size_t mem_read(const struct fs_mem *m, int node, uint64_t at, void *p, size_t n);
void mem_resize(struct fs_mem *m, int node, uint64_t size);
void mem_set_extent(struct fs_mem *m, int node, uint64_t size, uint64_t reserved); // nothing else changes these two
uint64_t mem_allocated(const struct mem_node *n);

#endif
