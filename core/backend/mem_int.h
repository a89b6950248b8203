// SPDX-License-Identifier: Apache-2.0
// The memory backend's inside: backend_mem.c (topics, producers, positions, maps), mem_consumer.c.
#ifndef BACKEND_MEM_INT_H
#define BACKEND_MEM_INT_H

#include "backend/backend_mem.h"
#include "backend/subscription.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/thread.h"

struct mem_partition {
    struct consumed **records; // by offset; kept until the topic's memory goes
    size_t n, cap;
    int64_t start;
};
struct mem_topic {
    char *name;
    struct uuid id;
    struct mem_partition *partitions;
    int32_t n;
    int64_t max_bytes;
    bool max_set, compacted;
    bool deleted;
    struct mem_topic *next_dead; // records of deleted topics may still be looked at
};
struct mem_offset {
    char *topic;
    int32_t partition;
    int64_t offset;
    struct uuid topic_id;
};
struct mem {
    struct backend base;
    pthread_mutex_t mutex;
    struct map topics, groups, maps; // name → mem_topic | map "topic/partition" → mem_offset | map key → mem_text
    struct map producers;            // id → the newest producer's epoch
    struct mem_topic *dead;
    struct mem_consumer *consumers;
    struct mem_producer *all_producers;
    bool held;
    enum err_code fail_code;
    unsigned fail_times;
    const char *damaged;             // the topic that can be neither read nor written
    size_t commits;
    uint64_t epochs, topic_ids;
    void (*lost)(void *, const char *, const char *, int32_t, int64_t, int64_t, bool);
    void *lost_arg;
};

bool mem_offset_is_current(struct mem *m, const struct mem_offset *o); // of the topic that has the name. With the mutex.
static inline struct mem *mem_of(struct backend *b) { return container_of(b, struct mem, base); }

struct mem_consumer {
    struct mem *mem;
    struct mem_consumer *next;
    struct subscription want;
    struct consumer_options options;
    char *group;
    struct mem_cursor {
        struct mem_topic *topic;
        int32_t partition;
        int64_t at;
        bool paused;
    } *cursors;
    size_t n, cap, turn;
    struct consumed *out;
    size_t out_n, out_cap;
    int wake;
};

// With the mutex. The map of that name, made when it is not there; a partition, or NULL and ERR_NOT_FOUND.
struct map *mem_map_named(struct map *in, const char *name);
struct mem_partition *mem_partition_at(struct mem *m, const char *topic, int32_t partition, struct err *err);

// The operations of mem_consumer.c, as backend_ops has them.
int mem_consumer_open(struct backend *b, const struct consumer_options *o, struct consumer **ret, struct err *err);
void mem_consumer_close(struct consumer *consumer);
int mem_poll(struct consumer *consumer, size_t max_bytes, int64_t timeout_ms, const struct consumed **ret, struct err *err);
int mem_wake_fd(struct consumer *c);
int mem_seek(struct consumer *consumer, const char *topic, int32_t partition, int64_t offset, struct err *err);
void mem_pause(struct consumer *consumer, const char *topic, int32_t partition, bool paused);
int mem_assignment(struct consumer *consumer, int (*each)(void *, const char *, int32_t, int64_t, int64_t), void *arg);
int mem_fetch(struct backend *b, const char *topic, int32_t partition, int64_t offset, void (*each)(void *, const struct consumed *), void *arg, struct err *err);

#endif
