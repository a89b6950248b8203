// SPDX-License-Identifier: Apache-2.0
// From a frame and its sender to a record in the batch: parse, then cells that point into one copy of the message.
//
// One recorder a task, on the task's thread. recorder_begin before the first record of every batch. No allocation but in
// the batch, and a scratch buffer that grows with the longest message that is not UTF-8.
#ifndef SYSLOG_RECORD_H
#define SYSLOG_RECORD_H

#include <connectd/build.h>

#include "framing.h"
#include "message.h"

enum transport { TRANSPORT_UDP, TRANSPORT_TCP, TRANSPORT_UNIX };

// Who sent it. The text of the address is shared by all records of a batch that come from it.
struct peer {
    enum transport transport;
    int32_t port;             // -1: none
    uint32_t address_n;       // 0: none
    char address[56];         // an IPv4 or IPv6 address, perhaps with %zone
    uint64_t batch;           // for which `shared` is valid
    cn_off shared;
};

enum record_format { RECORD_PARSED, RECORD_RAW };
enum record_key { RECORD_KEY_SOURCE, RECORD_KEY_HOSTNAME, RECORD_KEY_NONE };

struct record_options {
    const char *topic;
    enum record_format format;
    enum record_key key;
    bool always_raw;          // the field `raw` also where nothing is wrong
    struct zone zone;
};

struct record_counts { int64_t records, bytes, faults, truncated, incomplete; };

struct recorder {
    struct record_options options;
    struct record_counts counts;       // since the task's start
    struct cn_schema_blob *schema;
    uint64_t batch;                    // counts them
    uint32_t topic;                    // indexes in the current batch
    uint16_t value_schema;
    struct cn_text names[24 + 8 + 3 + 3]; // facility, severity, transport and format names in the current batch; at 0: not yet
    char *mended;                      // the message with what is not UTF-8 replaced
    size_t mended_cap;
    struct message message;
};

int recorder_init(struct recorder *r, const struct record_options *options); // -1: out of memory
void recorder_done(struct recorder *r);
void recorder_begin(struct recorder *r, struct cn_batch *b);
// Adds one record. What does not fit sets b->failed.
void recorder_add(struct recorder *r, struct cn_batch *b, struct peer *peer, const struct frame *f, int64_t received_us);

// The address as text, once a sender.
void peer_set(struct peer *p, enum transport transport, const void *sockaddr);

#endif
