// SPDX-License-Identifier: Apache-2.0
#include "backend_engines.h"

#include "backend/backend_embedded.h"
#include "backend/backend_mem.h"
#include "fs_mem.h"
#include "store/store.h"

static void memory_close(struct backend *b) { b->ops->close(b); }
static void memory_fail(struct backend *b, bool on) { backend_mem_fail(b, ERR_NOSPACE, on ? 1000 : 0); }

const struct engine engine_memory = {backend_mem_new, memory_close, memory_fail};

// The log on a file system in memory; one store at a time.
static struct { struct fs *fs; struct store *store; } bundled;

static struct backend *open_with(enum codec compression) {
    struct embedded_options o = {.offsets_partitions = 2, .txn_partitions = 2, .compression = compression};
    struct backend *b;
    struct err err;
    bundled.fs = fs_mem_new();
    if (store_open(&(struct store_options){.fs = bundled.fs, .journal_bytes = 40 << 20}, &bundled.store, &err)) fail_msg("store: %s", err.msg);
    o.store = bundled.store;
    if (backend_embedded_open(&o, &b, &err)) fail_msg("backend: %s", err.msg);
    return b;
}
static struct backend *embedded_open(void) { return open_with(CODEC_NONE); }
static struct backend *packed_open(void) { return open_with(CODEC_LZ4); }
static void embedded_close(struct backend *b) {
    struct err err;
    b->ops->close(b);
    if (store_close(bundled.store, &err)) fail_msg("store: %s", err.msg);
    fs_close(bundled.fs);
}
static void embedded_fill(struct backend *b, bool on) {
    (void)b;
    fs_mem_set_capacity(bundled.fs, on ? 1 : 1ull << 40);
}

const struct engine engine_embedded = {embedded_open, embedded_close, embedded_fill};
const struct engine engine_packed = {packed_open, embedded_close, NULL};
