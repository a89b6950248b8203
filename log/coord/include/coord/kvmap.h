// SPDX-License-Identifier: Apache-2.0
// Small durable state as a map over a compacted topic: loaded at start, answered from memory, changed by records.
//
//   kvmap_open ── reads the log ──► memory        kvmap_put ── append, durable ──► memory
//   kvmap_append ── into a commit of the caller ──► commit done ── kvmap_settle ──► memory
//
// Memory never shows what a power cut could take back: a change is seen once it is durable. The log behind is a small vtable, so that
// the same map can lie over cn_store (kvmap_store_open) or elsewhere. Thread-safe.
#ifndef COORD_KVMAP_H
#define COORD_KVMAP_H

#include "store/store.h"

struct kvmap;
struct kvmap_entry { struct str key, value; }; // value.p NULL deletes

// What a map needs of its log. All calls come one at a time.
struct kvmap_log;
struct kvmap_log_ops {
    // Every committed record from offset *next on, in order; moves *next past the last one. value.p NULL: a tombstone.
    int (*read)(struct kvmap_log *l, int64_t *next, void (*each)(void *arg, struct str key, struct str value), void *arg, struct err *err);
    // Appends the entries as one batch; returns when it is durable.
    int (*append)(struct kvmap_log *l, const struct kvmap_entry *entries, size_t n, struct err *err);
    void (*close)(struct kvmap_log *l); // also frees
};
struct kvmap_log { const struct kvmap_log_ops *ops; };

// Reads everything. Takes the log (also when it fails).
int kvmap_open(struct kvmap_log *log, struct kvmap **ret, struct err *err) MUST_USE;
void kvmap_close(struct kvmap *m);
int kvmap_refresh(struct kvmap *m, struct err *err) MUST_USE; // reads what others appended since

// Over a topic of a store with one partition, made on first use: compacted, with segments of 1 MiB, tombstones kept for a minute.
// ERR_CORRUPT: it can not be read whole (coord/damage.h).
int kvmap_store_open(struct store *s, struct clock *clock, const char *topic, struct kvmap **ret, struct err *err) MUST_USE;

bool kvmap_get(struct kvmap *m, struct str key, struct buf *ret); // appends the value; false when absent
size_t kvmap_count(struct kvmap *m);
// Every entry whose key begins with `prefix`, in order of the keys; stops at non-zero. `each` must not call the map.
int kvmap_each(struct kvmap *m, struct str prefix, int (*each)(void *arg, struct str key, struct str value), void *arg);

// Durable, and seen, when it returns 0.
int kvmap_put(struct kvmap *m, const struct kvmap_entry *entries, size_t n, struct err *err) MUST_USE;

// The same inside a commit of the caller (maps over a store only): adds one batch. The commit's done must hand *ret to kvmap_settle
// with what it was told; when the commit is freed unused, with an error.
struct kvmap_change;
int kvmap_append(struct kvmap *m, struct commit *c, const struct kvmap_entry *entries, size_t n, struct kvmap_change **ret, struct err *err) MUST_USE;
void kvmap_settle(struct kvmap_change *ch, const struct err *err); // err NULL: durable, seen from now on. Frees. NULL is fine. Does not block.

#endif
