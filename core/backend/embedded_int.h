// SPDX-License-Identifier: Apache-2.0
// What the files of the embedded backend share.
#ifndef BACKEND_EMBEDDED_INT_H
#define BACKEND_EMBEDDED_INT_H

#include <stdatomic.h>

#include "backend/backend_embedded.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/thread.h"
#include "coord/kvmap.h"
#include "coord/offsets.h"
#include "coord/txn.h"
#include "store/store.h"

#define POSITIONS_TOPIC "connect-offsets" // as Connect's offset.storage.topic

struct embedded_consumer;

struct embedded {
    struct backend base;
    struct store *store;
    struct clock *clock;
    size_t commit_max;
    struct txns *txns;
    struct offsets *offsets;
    struct kvmap *positions;
    pthread_mutex_t mutex;         // guards all below
    struct map maps;               // topic → struct kvmap
    struct embedded_consumer *consumers;
    void (*lost)(void *, const char *group, const char *topic, int32_t partition, int64_t first, int64_t last);
    void *lost_arg;
    _Atomic uint64_t generation;   // topics made and deleted, so that consumers look again
};

static inline struct embedded *embedded_of(struct backend *b) { return container_of(b, struct embedded, base); }

// `["connector",{partition}]`, as Connect keys its offsets. On the heap.
char *embedded_position_key(const char *connector, struct str partition);
// Wakes all consumers to look at the topics again.
void embedded_topics_changed(struct embedded *e);
// After offsets of a group became durable: retention may go as far.
void embedded_hold(struct embedded *e, const char *group, const char *topic, int32_t partition, int64_t offset);

// The rows of backend_ops that live in the other files.
int embedded_producer_open(struct backend *b, const char *id, struct producer **ret, struct err *err);
void embedded_producer_close(struct producer *p);
int embedded_add(struct producer *p, const struct backend_record *r, struct err *err);
size_t embedded_pending_bytes(struct producer *p);
void embedded_commit(struct producer *p, const char *connector, const struct backend_position *positions, size_t n_positions, const char *group,
                     const struct backend_offset *offsets, size_t n_offsets, producer_done *done, void *arg);
void embedded_retry(struct producer *p);
void embedded_abort(struct producer *p);

int embedded_consumer_open(struct backend *b, const struct consumer_options *o, struct consumer **ret, struct err *err);
void embedded_consumer_close(struct consumer *c);
int embedded_poll(struct consumer *c, size_t max_bytes, int64_t timeout_ms, const struct consumed **ret, struct err *err);
int embedded_wake_fd(struct consumer *c);
int embedded_seek(struct consumer *c, const char *topic, int32_t partition, int64_t offset, struct err *err);
void embedded_pause(struct consumer *c, const char *topic, int32_t partition, bool paused);
int embedded_assignment(struct consumer *c, int (*each)(void *, const char *, int32_t, int64_t, int64_t), void *arg);
int embedded_fetch(struct backend *b, const char *topic, int32_t partition, int64_t offset, void (*each)(void *, const struct consumed *), void *arg,
                   struct err *err);
void embedded_consumers_wake(struct embedded *e); // under its mutex

#endif
