// SPDX-License-Identifier: Apache-2.0
// Builds a disk from a trace: resolve every event to nodes by replaying all of it, find out which are durable by walking
// back from the cut, then apply those and the chosen ones by node.
//
// Two namespaces are kept: `live`, as the program saw it, gives each path its node; `disk` gets the result. A node made by a
// dropped creation exists on the disk too but has no name there.
#include "fs_crash.h"

#include <stdlib.h>

#include "base/mem.h"
#include "fs_mem_int.h"
#include "test.h"

// An event in terms of nodes.
struct step {
    int node;            // the file, or the folder whose entry changes
    int to_dir;          // rename: the other folder
    int child;           // create, mkdir, rename: what the name stands for
    char name[256], to_name[256];
    bool durable;
};

struct crash {
    struct fs_mem *live, *disk;
    int *handles; // handle → node
    size_t handle_count, handle_cap;
    struct step *steps;
};

static void set_handle(struct crash *c, unsigned handle, int node) {
    while (c->handle_count <= handle) VEC_PUSH(c->handles, c->handle_count, c->handle_cap, MEM_NONE);
    c->handles[handle] = node;
    c->live->nodes[node]->opens++; // keeps it through an unlink
}

static int new_node(struct crash *c, bool is_dir) {
    mem_node_new(c->disk, is_dir);
    return mem_node_new(c->live, is_dir);
}

static int must(int node) {
    if (node == MEM_NONE) abort(); // the trace does not begin at `base`
    return node;
}

static void resolve_rename(struct crash *c, const struct fs_event *e, struct step *s) {
    s->node = must(mem_parent(c->live, e->path, s->name));
    s->to_dir = must(mem_parent(c->live, e->to, s->to_name));
    s->child = must(mem_entry(c->live, s->node, s->name));
    mem_link(c->live, s->to_dir, s->to_name, s->child);
    mem_unlink(c->live, s->node, s->name);
}

// Fills the step and moves the live namespace on. File contents are of no interest there.
static void resolve(struct crash *c, const struct fs_event *e, struct step *s) {
    *s = (struct step){.node = MEM_NONE, .to_dir = MEM_NONE, .child = MEM_NONE};
    switch (e->kind) {
    case FS_EV_OPEN: set_handle(c, e->handle, must(mem_lookup(c->live, e->path))); break;
    case FS_EV_CREATE:
    case FS_EV_MKDIR:
        s->node = must(mem_parent(c->live, e->path, s->name));
        s->child = new_node(c, e->kind == FS_EV_MKDIR);
        mem_link(c->live, s->node, s->name, s->child);
        if (e->kind == FS_EV_CREATE) set_handle(c, e->handle, s->child);
        break;
    case FS_EV_UNLINK:
        s->node = must(mem_parent(c->live, e->path, s->name));
        mem_unlink(c->live, s->node, s->name);
        break;
    case FS_EV_RENAME: resolve_rename(c, e, s); break;
    case FS_EV_SYNC_DIR:
    case FS_EV_SYNC_DIR_FAILED: s->node = must(mem_lookup(c->live, e->path)); break;
    case FS_EV_MARK: break;
    default: s->node = c->handles[e->handle];
    }
}

static bool is_change(enum fs_event_kind kind) {
    return kind == FS_EV_CREATE || kind == FS_EV_WRITE || kind == FS_EV_TRUNCATE || kind == FS_EV_ALLOCATE ||
           kind == FS_EV_MKDIR || kind == FS_EV_RENAME || kind == FS_EV_UNLINK;
}

enum verdict { NOT_SYNCED, SYNCED, SYNC_FAILED };

// From the cut back to the start: a change is durable when the next sync of its node after it succeeded. A rename across
// folders is one journal transaction of the file system, so either folder's sync carries it.
static void find_durable(struct crash *c, const struct fs_trace *t, size_t upto) {
    uint8_t *next = xcalloc(c->live->node_count, 1);
    for (size_t i = upto; i-- > 0;) {
        struct step *s = &c->steps[i];
        switch (t->events[i].kind) {
        case FS_EV_SYNC:
        case FS_EV_SYNC_DIR: next[s->node] = SYNCED; break;
        case FS_EV_SYNC_FAILED:
        case FS_EV_SYNC_DIR_FAILED: next[s->node] = SYNC_FAILED; break;
        case FS_EV_RENAME: s->durable = next[s->node] == SYNCED || next[s->to_dir] == SYNCED; break;
        case FS_EV_OPEN:
        case FS_EV_MARK: break;
        default: s->durable = next[s->node] == SYNCED;
        }
    }
    free(next);
}

static struct crash crash_begin(struct fs *base, const struct fs_trace *t, size_t upto) {
    struct crash c = {0};
    c.live = base ? mem_clone(mem_of(base)) : mem_new();
    c.disk = base ? mem_clone(mem_of(base)) : mem_new();
    c.steps = xcalloc(upto, sizeof(*c.steps));
    for (size_t i = 0; i < upto; i++) resolve(&c, &t->events[i], &c.steps[i]);
    find_durable(&c, t, upto);
    return c;
}

static void crash_end(struct crash *c) {
    mem_free(c->live);
    free(c->handles);
    free(c->steps);
}

// A name that is taken off only when it still stands for that node: an earlier dropped event may have changed it.
static void apply_rename(struct fs_mem *disk, const struct step *s) {
    bool there = mem_entry(disk, s->node, s->name) == s->child;
    mem_link(disk, s->to_dir, s->to_name, s->child);
    if (there) mem_unlink(disk, s->node, s->name);
}

// Each piece between multiples of the unit, or not.
static void apply_pieces(struct fs_mem *disk, const struct fs_event *e, int node, struct fs_keep k) {
    for (uint64_t at = k.skip, n; at < k.skip + k.take; at += n) {
        n = k.unit - (e->at + at) % k.unit;
        if (n > k.skip + k.take - at) n = k.skip + k.take - at;
        if (test_random(&k.seed) & 1) mem_write(disk, node, e->at + at, e->data + at, (size_t)n);
    }
}

static void grow(struct fs_mem *disk, const struct fs_event *e, int node, const struct fs_event *stale) {
    uint64_t size = disk->nodes[node]->size, more = e->at + e->n - size;
    mem_resize(disk, node, size + more);
    if (stale) mem_write(disk, node, size, stale->data, (size_t)(more < stale->n ? more : stale->n));
}

static void apply_write(struct fs_mem *disk, const struct fs_event *e, int node, struct fs_keep k) {
    if (k.grow && disk->nodes[node]->size < e->at + e->n) grow(disk, e, node, k.stale);
    if (k.skip >= e->n) return;
    if (k.take > e->n - k.skip) k.take = e->n - k.skip;
    if (k.unit) apply_pieces(disk, e, node, k);
    else mem_write(disk, node, e->at + k.skip, e->data + k.skip, (size_t)k.take);
}

static void apply_allocate(struct fs_mem *disk, const struct fs_event *e, int node) {
    struct mem_node *n = disk->nodes[node];
    uint64_t end = e->at + e->n;
    mem_set_extent(disk, node, !e->keep_size && n->size < end ? end : n->size, n->reserved < end ? end : n->reserved);
}

static void apply(struct fs_mem *disk, const struct fs_event *e, const struct step *s, struct fs_keep k) {
    if (!k.take && !k.grow) return;
    switch (e->kind) {
    case FS_EV_CREATE:
    case FS_EV_MKDIR: mem_link(disk, s->node, s->name, s->child); break;
    case FS_EV_UNLINK: mem_unlink(disk, s->node, s->name); break;
    case FS_EV_RENAME: apply_rename(disk, s); break;
    case FS_EV_WRITE: apply_write(disk, e, s->node, k); break;
    case FS_EV_TRUNCATE: mem_resize(disk, s->node, e->n); break;
    case FS_EV_ALLOCATE: apply_allocate(disk, e, s->node); break;
    default: break;
    }
}

// Frees what no name leads to, and lets the rest go as names do.
static void drop_holds(struct fs_mem *disk) {
    for (size_t i = 0; i < disk->node_count; i++) {
        disk->nodes[i]->opens = 0;
        if (i && !disk->nodes[i]->links) mem_node_drop(disk, (int)i);
    }
}

struct fs *fs_crash(struct fs *base, const struct fs_trace *t, size_t upto, fs_keep_fn *keep, void *arg) {
    struct crash c = crash_begin(base, t, upto);
    for (size_t i = 0; i < c.disk->node_count; i++) c.disk->nodes[i]->opens = 1; // none goes before all is applied
    for (size_t i = 0; i < upto; i++) {
        const struct fs_event *e = &t->events[i];
        if (!is_change(e->kind)) continue;
        struct fs_keep all = {0, UINT64_MAX};
        apply(c.disk, e, &c.steps[i], c.steps[i].durable ? all : keep(arg, t, i));
    }
    drop_holds(c.disk);
    struct fs *disk = &c.disk->fs;
    crash_end(&c);
    return disk;
}

size_t fs_crash_pending(struct fs *base, const struct fs_trace *t, size_t upto, size_t **ret) {
    struct crash c = crash_begin(base, t, upto);
    size_t n = 0, *pending = xcalloc(upto, sizeof(*pending));
    for (size_t i = 0; i < upto; i++)
        if (is_change(t->events[i].kind) && !c.steps[i].durable) pending[n++] = i;
    mem_free(c.disk);
    crash_end(&c);
    *ret = pending;
    return n;
}

struct fs_trace fs_trace_join(const struct fs_trace *first, size_t upto, const struct fs_trace *second) {
    struct fs_trace t = {.events = xcalloc(upto + second->n, sizeof(*t.events)), .n = upto + second->n};
    unsigned handles = 0;
    if (upto) memcpy(t.events, first->events, upto * sizeof(*t.events));
    if (second->n) memcpy(t.events + upto, second->events, second->n * sizeof(*t.events));
    for (size_t i = 0; i < upto; i++)
        if (t.events[i].handle > handles) handles = t.events[i].handle;
    for (size_t i = upto; i < t.n; i++) t.events[i].handle += handles;
    return t;
}

struct fs_keep fs_keep_none(void *arg, const struct fs_trace *t, size_t event) { return (struct fs_keep){0, 0}; }

struct fs_keep fs_keep_all(void *arg, const struct fs_trace *t, size_t event) { return (struct fs_keep){0, UINT64_MAX}; }

struct fs_keep fs_keep_random(void *arg, const struct fs_trace *t, size_t event) {
    uint64_t *seed = arg, dice = test_random(seed);
    const struct fs_event *e = &t->events[event];
    if (e->kind != FS_EV_WRITE || dice % 4 == 0) return (struct fs_keep){0, dice & 16 ? UINT64_MAX : 0};
    if (dice % 4 == 1) return (struct fs_keep){.take = UINT64_MAX, .unit = 512, .seed = dice >> 8};
    uint64_t sectors = (e->at % 512 + e->n + 511) / 512, from = test_random(seed) % sectors,
             count = test_random(seed) % (sectors + 1);
    uint64_t start = from * 512 > e->at % 512 ? from * 512 - e->at % 512 : 0;
    return (struct fs_keep){start, count * 512};
}

// Some write before this one, of a file of the same kind: what a freed block may hold.
static const struct fs_event *stale_block(const struct fs_trace *t, size_t event, uint64_t dice) {
    const char *kind = strrchr(t->events[event].path, '.');
    for (size_t i = event ? dice % event : 0; i-- > 0;) {
        const struct fs_event *e = &t->events[i];
        const char *other = strrchr(e->path, '.');
        if (e->kind == FS_EV_WRITE && kind && other && !strcmp(kind, other)) return e;
    }
    return NULL;
}

// A write that is not logged yet may have reached the disk all the same, as far as the file was long enough: here it did by halves.
struct fs_keep fs_keep_journalled(void *arg, const struct fs_trace *t, size_t event) {
    struct fs_journalled *m = arg;
    uint64_t dice = test_random(&m->seed);
    struct fs_keep none = {0}, all = {.take = UINT64_MAX}, torn = {.take = UINT64_MAX, .unit = m->unit, .seed = dice >> 8};
    if (t->events[event].kind != FS_EV_WRITE) return event < m->logged ? all : none;
    if (event >= m->logged) return dice & 1 ? torn : none;
    if (m->ordered) return dice & 4 ? all : dice & 8 ? torn : none; // none: its blocks were not even given when another file was synced
    torn.grow = true;
    if (dice & 2) torn.stale = stale_block(t, event, dice >> 16);
    return dice & 1 ? torn : (struct fs_keep){.grow = true, .stale = torn.stale};
}
