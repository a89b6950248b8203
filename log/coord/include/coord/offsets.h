// SPDX-License-Identifier: Apache-2.0
// Committed offsets of consumer groups, in Kafka's records in __consumer_offsets, answered from memory.
//
// A group's records lie in partition abs(hash(group)) % partitions. What is answered is durable: an offset is seen once its commit is.
// The topic is made on first use. An offset belongs to the topic that had the name when its records were read: one of a deleted topic
// means nothing to a later one of the same name, and is not answered. A group in a partition that could not be loaded is refused with the
// cause (coord/damage.h). Thread-safe.
#ifndef COORD_OFFSETS_H
#define COORD_OFFSETS_H

#include "coord/damage.h"
#include "store/store.h"

struct offsets;
// Loads all groups. Borrows store and clock. partitions: of the topic when it is made, 0 = 50.
int offsets_open(struct store *s, struct clock *clock, int32_t partitions, struct offsets **ret, struct err *err) MUST_USE;
void offsets_close(struct offsets *o);
uint32_t offsets_skipped(const struct offsets *o); // records found while loading that are no record of Kafka's
const struct damage *offsets_damage(const struct offsets *o); // the partitions that could not be loaded
int offsets_check(struct offsets *o, const char *group, struct err *err) MUST_USE; // 0 when the group's offsets are known

struct group_offset {
    const char *topic;
    int32_t partition;
    int64_t offset;          // < 0 deletes
    int32_t leader_epoch;    // -1 unknown
    struct str metadata;     // at most 4096 bytes
    int64_t commit_ms;       // when it was committed; ignored when committing
    struct uuid topic_id;    // whose offset it is; zero when committing: the topic's that has the name
};

// Adds the offsets to a commit of the caller, as one batch, so that they become durable with whatever else is in it. The commit's done
// hands *ret to offsets_settle with what it was told; when the commit is freed unused, with an error.
struct offsets_change;
int offsets_append(struct offsets *o, struct commit *c, const char *group, const struct group_offset *list, size_t n,
                   struct offsets_change **ret, struct err *err) MUST_USE;
void offsets_settle(struct offsets_change *ch, const struct err *err); // frees; NULL is fine; does not block
// The same in a commit of its own. Durable when it returns 0.
int offsets_commit(struct offsets *o, const char *group, const struct group_offset *list, size_t n, struct err *err) MUST_USE;

// The offset of one partition; -1 when there is none for the topic that has the name.
int offsets_get(struct offsets *o, const char *group, const char *topic, int32_t partition, int64_t *ret, struct err *err) MUST_USE;
// All of a group but those of deleted topics, by topic and partition; stops at non-zero, which it returns. `each` must not call the offsets.
int offsets_each(struct offsets *o, const char *group, int (*each)(void *arg, const struct group_offset *g), void *arg, struct err *err) MUST_USE;
// Every group known to have an offset, in order of the names; stops at non-zero.
int offsets_groups(struct offsets *o, int (*each)(void *arg, const char *group), void *arg);
// Deletes every group's offsets of a topic that is gone, to tidy up: they are not answered any more, so a failure costs nothing.
void offsets_forget_topic(struct offsets *o, const char *topic);
// Deletes a group's offsets. Durable when it returns 0; ERR_NOT_FOUND.
int offsets_delete_group(struct offsets *o, const char *group, struct err *err) MUST_USE;

#endif
