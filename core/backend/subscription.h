// SPDX-License-Identifier: Apache-2.0
// Which partitions a consumer wants: topic names or a regex, spread over the members of a group. And where a produced record goes.
//
// Pure but for the compiled pattern; one thread.
#ifndef BACKEND_SUBSCRIPTION_H
#define BACKEND_SUBSCRIPTION_H

#include "backend/backend.h"

struct subscription {
    char **topics; // names, when there is no pattern
    size_t topic_count;
    void *regex;   // pcre2_code
    bool (*wants)(void *arg, const char *topic);
    void *arg;
    char *except;
    bool internal;
    uint32_t member, members;
};
int subscription_init(struct subscription *s, const struct consumer_options *o, struct err *err) MUST_USE; // copies
void subscription_done(struct subscription *s);
bool subscription_has_topic(const struct subscription *s, const char *topic);
// Members take a topic's partitions in turn, each topic beginning at another member.
bool subscription_has_partition(const struct subscription *s, const char *topic, int32_t partition);

// Not for a pattern: "__…", connect-offsets, connect-configs, connect-status, connect-schemas.
bool topic_is_internal(const char *topic);

// Java's default partitioner: murmur2 of the key; a null key goes to `sticky` (any number).
int32_t partition_for(struct str key, int32_t partitions, uint32_t sticky);
int refuse_keyless(const char *topic, struct err *err); // a record without a key, of a compacted topic

#endif
