// SPDX-License-Identifier: Apache-2.0
// The backend over the log in this process: commits are struct commit, positions a map over connect-offsets, group offsets Kafka's.
//
// Opens the coordinators over the store, which aborts what a crash left open; so before any listener.
#ifndef BACKEND_BACKEND_EMBEDDED_H
#define BACKEND_BACKEND_EMBEDDED_H

#include "backend/backend.h"
#include "base/clock.h"
#include "store/batch.h"

struct offsets;
struct store;
struct txns;

struct embedded_options {       // zero means the default
    struct store *store;        // required; borrowed until close
    struct clock *clock;        // clock_real
    int32_t default_partitions; // of topics for which nobody says otherwise: 1
    int32_t offsets_partitions; // of __consumer_offsets when it is made: 50
    int32_t txn_partitions;     // of __transaction_state: 50
    enum codec compression;     // of batches in topics that leave it to producers: none
    size_t commit_max_bytes;    // an open commit past it goes on as a transaction; below the store's own limit by a margin: 15 MiB
};
int backend_embedded_open(const struct embedded_options *o, struct backend **ret, struct err *err) MUST_USE;

// For a broker over the same store. Borrowed until close.
struct offsets *backend_embedded_offsets(struct backend *b);
struct txns *backend_embedded_txns(struct backend *b);

#endif
