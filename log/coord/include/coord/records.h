// SPDX-License-Identifier: Apache-2.0
// Kafka's record formats of __consumer_offsets and __transaction_state: structs ↔ bytes, pure.
//
//   __consumer_offsets    key {int16 0|1, group, topic, int32 partition}      value OffsetCommitValue 0-3 (4 is read too)
//                         key {int16 2, group}                                value GroupMetadataValue 0-3 (4 is read too)
//   __transaction_state   key {int16 0, transactional id}                     value TransactionLogValue 0-1
//
// Written: keys 1, 2, 0; values 3, 3, and 0 (1 when it needs its tagged fields). A null value deletes the key.
// Decoded texts point into the input. Counts are checked against the bytes left before anything is allocated.
#ifndef COORD_RECORDS_H
#define COORD_RECORDS_H

#include "base/buf.h"
#include "base/cur.h"
#include "base/err.h"
#include "base/hash.h"

#define OFFSETS_TOPIC "__consumer_offsets"
#define TXN_TOPIC "__transaction_state"
enum { COORD_PARTITIONS = 50 };
// abs(String.hashCode) % partitions, as Kafka finds the partition of a group or transactional id.
int32_t coord_partition(struct str id, int32_t partitions);

// ── __consumer_offsets ───────────────────────────────────────────────────────────────────────────────────────────────

enum offsets_key_kind { OFFSETS_KEY_COMMIT, OFFSETS_KEY_GROUP, OFFSETS_KEY_UNKNOWN }; // unknown: a later version, to be skipped
struct offsets_key {
    enum offsets_key_kind kind;
    int16_t version;
    struct str group, topic; // topic and partition: COMMIT only
    int32_t partition;
};
void offsets_key_encode(struct buf *out, const struct offsets_key *k); // version is chosen by kind
int offsets_key_decode(struct str in, struct offsets_key *ret, struct err *err) MUST_USE;

struct offset_value {
    int64_t offset;
    int32_t leader_epoch;    // -1 unknown
    struct str metadata;
    int64_t commit_ms, expire_ms; // expire -1: by the group's retention
    struct uuid topic_id;    // zero: not known
};
// With a topic id as version 4 (read by Kafka from 4.1 on), else as version 3.
void offset_value_encode(struct buf *out, const struct offset_value *v);
int offset_value_decode(struct str in, struct offset_value *ret, struct err *err) MUST_USE;

struct group_member {
    struct str id, instance; // instance.p NULL: dynamic
    struct str client_id, client_host;
    int32_t rebalance_timeout_ms, session_timeout_ms;
    struct str subscription, assignment;
};
struct group_value {
    struct str protocol_type, protocol, leader; // the last two p NULL = null
    int32_t generation;
    int64_t state_ms;        // since when it is in its state, -1 unknown
    struct group_member *members;
    uint32_t member_count;
};
void group_value_encode(struct buf *out, const struct group_value *v);
int group_value_decode(struct str in, struct group_value *ret, struct err *err) MUST_USE; // group_value_done frees members
void group_value_done(struct group_value *v);

// ── __transaction_state ──────────────────────────────────────────────────────────────────────────────────────────────

enum txn_status {
    TXN_EMPTY, TXN_ONGOING, TXN_PREPARE_COMMIT, TXN_PREPARE_ABORT, TXN_COMPLETE_COMMIT, TXN_COMPLETE_ABORT, TXN_DEAD, TXN_PREPARE_EPOCH_FENCE,
    TXN_STATUS_COUNT
};
const char *txn_status_name(enum txn_status s); // "Empty", "Ongoing", … as Kafka prints them

void txn_key_encode(struct buf *out, struct str id);
int txn_key_decode(struct str in, struct str *ret_id, struct err *err) MUST_USE; // ERR_UNSUPPORTED: a later version

struct txn_topic { struct str name; const int32_t *partitions; uint32_t partition_count; };
struct txn_value {
    int64_t producer_id, previous_id, next_id; // the last two -1: none (version 1 only)
    int16_t producer_epoch, client_version;    // client_version 0: not written
    int32_t timeout_ms;
    enum txn_status status;
    const struct txn_topic *topics;            // NULL with count 0 is written as null when Empty
    uint32_t topic_count;
    int64_t update_ms, start_ms;
    void *memory;                              // of a decoded one
};
void txn_value_encode(struct buf *out, const struct txn_value *v);
int txn_value_decode(struct str in, struct txn_value *ret, struct err *err) MUST_USE; // txn_value_done frees
void txn_value_done(struct txn_value *v);

#endif
