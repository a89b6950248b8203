// SPDX-License-Identifier: Apache-2.0
// The backend over the bundled log, by direct call: cn_store for records, cn_coord for offsets, transactions and maps.
//
// A commit that fits one frame is one atomic commit of the store; a larger one is a transaction whose end is one.
// embedded.c: life, topics, maps · embedded_producer.c · embedded_consumer.c. Threads as backend.h says.
#ifndef BACKEND_BACKEND_EMBEDDED_H
#define BACKEND_BACKEND_EMBEDDED_H

#include "backend/backend.h"
#include "base/clock.h"

struct store;

struct embedded_options {
    struct store *store;        // borrowed until close; required
    struct clock *clock;        // borrowed; NULL: clock_real
    int32_t offsets_partitions; // of __consumer_offsets when it is made, 0 = 50
    int32_t txn_partitions;     // of __transaction_state, 0 = 50
    size_t commit_max_bytes;    // a larger commit becomes a transaction; 0 = 15 MiB, below the store's own limit
};

// Aborts transactions a crash left open, loads offsets and positions. Before any task starts.
int backend_embedded_open(const struct embedded_options *o, struct backend **ret, struct err *err) MUST_USE;

#endif
