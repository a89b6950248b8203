// SPDX-License-Identifier: Apache-2.0
// Nodes of the in-memory file system: pages shared copy-on-write, sorted folder entries, path lookup.
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "fs_mem_int.h"

struct fs_mem *mem_of(struct fs *fs) { return container_of(fs, struct fs_mem, fs); }

int mem_node_new(struct fs_mem *m, bool is_dir) {
    struct mem_node *n = xcalloc(1, sizeof(*n));
    n->is_dir = is_dir;
    n->mtime_ms = clock_wall_ms(&clock_real);
    VEC_PUSH(m->nodes, m->node_count, m->node_cap, n);
    return (int)m->node_count - 1;
}

static void page_unref(struct mem_page *p) {
    if (p && atomic_fetch_sub(&p->refs, 1) == 1) free(p);
}

static void drop_pages(struct mem_node *n, size_t keep) {
    for (size_t i = keep; i < n->page_count; i++) {
        page_unref(n->pages[i]);
        n->pages[i] = NULL;
    }
    if (keep < n->page_count) n->page_count = keep;
}

static void node_empty(struct mem_node *n) {
    drop_pages(n, 0);
    free(n->pages);
    for (size_t i = 0; i < n->entry_count; i++) free(n->entries[i].name);
    free(n->entries);
    n->pages = NULL;
    n->entries = NULL;
    n->entry_count = n->entry_cap = 0;
    n->size = n->reserved = 0;
}

void mem_node_drop(struct fs_mem *m, int node) {
    struct mem_node *n = m->nodes[node];
    if (!node || n->links || n->opens) return;
    mem_set_extent(m, node, 0, 0);
    node_empty(n);
}

static struct mem_node *node_copy(const struct mem_node *from) {
    struct mem_node *n = xmemdup(from, sizeof(*n));
    n->opens = 0;
    n->pages = xcalloc(n->page_count, sizeof(*n->pages));
    for (size_t i = 0; i < n->page_count; i++) {
        n->pages[i] = from->pages[i];
        if (n->pages[i]) atomic_fetch_add(&n->pages[i]->refs, 1);
    }
    n->entry_cap = n->entry_count;
    n->entries = xcalloc(n->entry_count, sizeof(*n->entries));
    for (size_t i = 0; i < n->entry_count; i++)
        n->entries[i] = (struct mem_entry){xstrdup(from->entries[i].name), from->entries[i].node};
    return n;
}

struct fs_mem *mem_clone(const struct fs_mem *m) {
    struct fs_mem *copy = xcalloc(1, sizeof(*copy));
    copy->fs = m->fs;
    copy->capacity = m->capacity;
    copy->used = m->used;
    pthread_mutex_init(&copy->mutex, NULL);
    for (size_t i = 0; i < m->node_count; i++)
        VEC_PUSH(copy->nodes, copy->node_count, copy->node_cap, node_copy(m->nodes[i]));
    return copy;
}

void mem_free(struct fs_mem *m) {
    for (size_t i = 0; i < m->node_count; i++) {
        node_empty(m->nodes[i]);
        free(m->nodes[i]);
    }
    for (size_t i = 0; i < m->lock_count; i++) free(m->locks[i]);
    free(m->locks);
    free(m->nodes);
    pthread_mutex_destroy(&m->mutex);
    free(m);
}

// The index of the first entry whose name is not before `name`.
static size_t entry_index(const struct mem_node *dir, const char *name) {
    size_t low = 0, high = dir->entry_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (strcmp(dir->entries[middle].name, name) < 0) low = middle + 1;
        else high = middle;
    }
    return low;
}

static struct mem_entry *find_entry(const struct mem_node *dir, const char *name) {
    size_t i = entry_index(dir, name);
    return i < dir->entry_count && !strcmp(dir->entries[i].name, name) ? &dir->entries[i] : NULL;
}

int mem_entry(const struct fs_mem *m, int dir, const char *name) {
    struct mem_entry *e = find_entry(m->nodes[dir], name);
    return e ? e->node : MEM_NONE;
}

void mem_unlink(struct fs_mem *m, int dir, const char *name) {
    struct mem_node *d = m->nodes[dir];
    struct mem_entry *e = find_entry(d, name);
    if (!e) return;
    int node = e->node;
    free(e->name);
    memmove(e, e + 1, (size_t)(d->entries + d->entry_count - (e + 1)) * sizeof(*e));
    d->entry_count--;
    m->nodes[node]->links--;
    mem_node_drop(m, node);
}

void mem_link(struct fs_mem *m, int dir, const char *name, int node) {
    struct mem_node *d = m->nodes[dir];
    m->nodes[node]->links++; // before the old entry goes: it may be the same node
    mem_unlink(m, dir, name);
    size_t at = entry_index(d, name);
    vec_reserve((void **)&d->entries, &d->entry_cap, d->entry_count + 1, sizeof(*d->entries));
    memmove(&d->entries[at + 1], &d->entries[at], (d->entry_count - at) * sizeof(*d->entries));
    d->entries[at] = (struct mem_entry){xstrdup(name), node};
    d->entry_count++;
}

int mem_parent(const struct fs_mem *m, const char *path, char name[256]) {
    struct str rest = str_of(path), part, last = {NULL, 0};
    int dir = 0;
    while (str_split(&rest, '/', &part)) {
        if (!part.n || str_eqz(part, ".")) continue;
        if (last.n) {
            dir = mem_entry(m, dir, name);
            if (dir == MEM_NONE || !m->nodes[dir]->is_dir) return MEM_NONE;
        }
        last = part;
        snprintf(name, 256, "%.*s", STR_FMT(part));
    }
    if (!last.n) *name = 0;
    return dir;
}

int mem_lookup(const struct fs_mem *m, const char *path) {
    char name[256];
    int dir = mem_parent(m, path, name);
    return dir == MEM_NONE || !*name ? dir : mem_entry(m, dir, name);
}

static bool all_zero(const uint8_t *p, size_t n) { return !n || (!p[0] && !memcmp(p, p + 1, n - 1)); }

// A page that only this file uses, with the old content.
static struct mem_page *own_page(struct mem_node *n, size_t i) {
    struct mem_page *old = n->pages[i];
    if (old && atomic_load(&old->refs) == 1) return old;
    struct mem_page *p = xcalloc(1, sizeof(*p));
    atomic_init(&p->refs, 1);
    if (old) memcpy(p->bytes, old->bytes, MEM_PAGE);
    page_unref(old);
    return n->pages[i] = p;
}

static void want_pages(struct mem_node *n, uint64_t end) {
    size_t need = (size_t)((end + MEM_PAGE - 1) / MEM_PAGE);
    if (need <= n->page_count) return;
    n->pages = xrealloc(n->pages, need * sizeof(*n->pages));
    memset(n->pages + n->page_count, 0, (need - n->page_count) * sizeof(*n->pages));
    n->page_count = need;
}

void mem_write(struct fs_mem *m, int node, uint64_t at, const void *p, size_t n) {
    struct mem_node *file = m->nodes[node];
    const uint8_t *from = p;
    if (n) want_pages(file, at + n);
    if (n && at + n > file->size) mem_set_extent(m, node, at + n, file->reserved);
    while (n) {
        size_t page = (size_t)(at / MEM_PAGE), skip = (size_t)(at % MEM_PAGE);
        size_t part = n < MEM_PAGE - skip ? n : MEM_PAGE - skip;
        if (file->pages[page] || !all_zero(from, part)) memcpy(own_page(file, page)->bytes + skip, from, part);
        from += part, at += part, n -= part;
    }
}

size_t mem_read(const struct fs_mem *m, int node, uint64_t at, void *p, size_t n) {
    const struct mem_node *file = m->nodes[node];
    uint8_t *to = p;
    if (at >= file->size) return 0;
    if (n > file->size - at) n = (size_t)(file->size - at);
    for (size_t left = n; left;) {
        size_t page = (size_t)(at / MEM_PAGE), skip = (size_t)(at % MEM_PAGE);
        size_t part = left < MEM_PAGE - skip ? left : MEM_PAGE - skip;
        if (page < file->page_count && file->pages[page]) memcpy(to, file->pages[page]->bytes + skip, part);
        else memset(to, 0, part);
        to += part, at += part, left -= part;
    }
    return n;
}

void mem_resize(struct fs_mem *m, int node, uint64_t size) {
    struct mem_node *file = m->nodes[node];
    size_t keep = (size_t)((size + MEM_PAGE - 1) / MEM_PAGE);
    if (size < file->size) {
        drop_pages(file, keep);
        size_t tail = (size_t)(size % MEM_PAGE); // what is grown back later must read as zeros
        if (tail && keep <= file->page_count && file->pages[keep - 1]) {
            memset(own_page(file, keep - 1)->bytes + tail, 0, MEM_PAGE - tail);
        }
    }
    // As ext4 and XFS do, also when the size stays.
    mem_set_extent(m, node, size, file->reserved > size ? size : file->reserved);
}

void mem_set_extent(struct fs_mem *m, int node, uint64_t size, uint64_t reserved) {
    struct mem_node *n = m->nodes[node];
    m->used -= mem_allocated(n);
    n->size = size;
    n->reserved = reserved;
    m->used += mem_allocated(n);
}

uint64_t mem_allocated(const struct mem_node *n) {
    uint64_t end = n->size > n->reserved ? n->size : n->reserved;
    return (end + MEM_PAGE - 1) / MEM_PAGE * MEM_PAGE;
}
