// SPDX-License-Identifier: Apache-2.0
// The records of journal frames and checkpoint images: one struct, one table of which kind carries which fields. Pure.
//
// A frame holds what changed, a checkpoint image holds what is, in the same encoding, so that recovery has one way to apply both.
// A kind's fields are never changed; a new need is a new kind, and an unknown kind is ERR_UNSUPPORTED (a newer version wrote it).
#ifndef STORE_EDIT_H
#define STORE_EDIT_H

#include "base/buf.h"
#include "base/cur.h"
#include "base/err.h"
#include "base/hash.h"

enum edit_kind {
    // Of the image only.
    EDIT_COUNTERS = 1,  // topic, partition: the next ids; first: the next producer id
    EDIT_TOPIC,         // topic, id, name, text: settings
    EDIT_PARTITION,     // topic, index, partition, first: log start, end: next offset, epoch, text: why it is stopped
    EDIT_SEGMENT,       // partition, base, generation, size, crc, max_ts, time, flag: sealed; in order
    EDIT_EPOCH,         // partition, epoch, first: where it began; in order. In frames too
    EDIT_PRODUCERS,     // partition, text: a producer snapshot
    EDIT_GRAVE,         // topic, id, name, count: deleted, but its folders are not all gone yet
    EDIT_ABORTS,        // partition, count: entries of the active segment's transaction index. Left out when there are none
    EDIT_DAMAGED,       // partition, base: of a segment, text: what is wrong with it; the partition is stopped. Left out when there is none
    EDIT_COMPACTED,     // partition, first: below it compaction left no key twice, time: when the next tombstone may go, -1 none. Left out at first
    EDIT_LOSSES,        // partition, count: gaps, first: offsets, size: bytes, time: what was accepted as lost, in all. Left out when nothing was
    // Of frames.
    EDIT_CREATE = 32,   // topic, id, name, text, count: partitions, partition: id of the first
    EDIT_DELETE,        // topic
    EDIT_GROW,          // topic, index: the first new one, count: how many, partition: id of the first
    EDIT_CONFIG,        // topic, text
    EDIT_ROLL,          // partition, base: of the new segment, size, crc: of the one that ends here, time
    EDIT_RANGE,         // bytes appended to a segment, see below
    EDIT_LOG_START,     // partition, first
    EDIT_DROP,          // partition, base: of the first segment that stays
    EDIT_SWAP,          // partition, base: of the first segment replaced, count, then the one that takes their place: end: its base
                        // (-1: none does), generation, size, crc, max_ts
    EDIT_PRODUCER_IDS,  // first: the next producer id
    EDIT_ACCEPT,        // partition, count, first, size, time: losses; it is not stopped any more
};

// EDIT_RANGE: [position, position + size) of segment (base, generation) holds the batches of offsets [first, end). crc_before and crc
// are the checksum of the file up to position and up to its end. flag: the bytes follow in the frame's data.
struct edit {
    enum edit_kind kind;
    uint8_t flag;
    uint32_t topic, partition, index, count, generation, crc_before, crc;
    int32_t epoch;
    int64_t base, first, end, max_ts, time;
    uint64_t position, size;
    struct uuid id;
    struct str name, text; // borrowed
};

void edit_put(struct buf *out, const struct edit *e);
// The next one: 1, 0 at the end, -1 malformed or unknown. Text is borrowed from c's bytes.
int edit_next(struct cur *c, struct edit *ret, struct err *err) MUST_USE;
const char *edit_name(enum edit_kind kind);

#endif
