// SPDX-License-Identifier: Apache-2.0
// The embedded backend's inside: backend_embedded.c (topics, maps, offsets), embedded_producer.c, embedded_consumer.c.
#ifndef BACKEND_EMBEDDED_INT_H
#define BACKEND_EMBEDDED_INT_H

#include <pthread.h>
#include <stdatomic.h>

#include "backend/backend_embedded.h"
#include "base/map.h"
#include "coord/kvmap.h"
#include "coord/offsets.h"
#include "coord/txn.h"
#include "store/batch.h"

#define POSITIONS_TOPIC "connect-offsets"

struct embedded {
    struct backend base;
    struct store *store;
    struct clock *clock;
    size_t commit_max;
    int32_t default_partitions;
    enum codec codec;             // of topics that leave it to producers
    struct offsets *offsets;
    struct txns *txns;
    uint32_t undecided;           // transactions left open for want of a state
    pthread_mutex_t lock;         // guards maps, consumers
    struct map maps;              // topic → struct state_map
    struct embedded_consumer *consumers;
    _Atomic uint64_t generation;  // of the topics, as far as this backend changed them
    void (*lost)(void *arg, const char *group, const char *topic, int32_t partition, int64_t first, int64_t last, bool damaged);
    void *lost_arg;
};

static inline struct embedded *embedded_of(struct backend *b) { return (struct embedded *)(void *)b; }
// The map over a topic; NULL with the cause when it could not be loaded.
struct kvmap *embedded_map(struct embedded *e, const char *topic, struct err *err);
// A map's key of a source position, as Connect writes it: ["connector",{partition}].
void embedded_position_key(struct buf *out, const char *connector, struct str partition);
void embedded_topics_changed(struct embedded *e); // wakes consumers, who look again
struct group_offset embedded_group_offset(const struct backend_offset *o);
void embedded_hold(struct embedded *e, const char *group, const char *topic, int32_t partition, int64_t offset); // offset < 0 releases

int embedded_producer_open(struct backend *b, const char *id, struct producer **ret, struct err *err);
void embedded_producer_close(struct producer *p);
int embedded_add(struct producer *p, const struct backend_record *r, struct err *err);
size_t embedded_pending_bytes(struct producer *p);
void embedded_commit(struct producer *p, const char *connector, const struct backend_position *positions, size_t n_positions,
                     const char *group, const struct backend_offset *offsets, size_t n_offsets, producer_done *done, void *arg);
void embedded_retry(struct producer *p);
void embedded_abort(struct producer *p);

int embedded_consumer_open(struct backend *b, const struct consumer_options *o, struct consumer **ret, struct err *err);
void embedded_consumer_close(struct consumer *c);
int embedded_poll(struct consumer *c, size_t max_bytes, int64_t timeout_ms, const struct consumed **ret, struct err *err);
int embedded_wake_fd(struct consumer *c);
int embedded_seek(struct consumer *c, const char *topic, int32_t partition, int64_t offset, struct err *err);
void embedded_pause(struct consumer *c, const char *topic, int32_t partition, bool paused);
int embedded_assignment(struct consumer *c, int (*each)(void *arg, const char *topic, int32_t partition, int64_t next, int64_t end), void *arg);
int embedded_fetch(struct backend *b, const char *topic, int32_t partition, int64_t offset, void (*each)(void *arg, const struct consumed *r), void *arg,
                   struct err *err);

#endif
