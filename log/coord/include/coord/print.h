// SPDX-License-Identifier: Apache-2.0
// The coordinators' records as JSON, for log-dump and tools: __consumer_offsets and __transaction_state.
#ifndef COORD_PRINT_H
#define COORD_PRINT_H

#include "base/json.h"

// Write the fields `key` and `value` into the open object; false when the record is none of that topic's.
bool coord_print_offsets(struct str key, struct str value, struct json_writer *w);
bool coord_print_txn(struct str key, struct str value, struct json_writer *w);
// The `decode` of dump_options. `arg`: the name of a topic, or NULL to go by the folder in the path.
bool coord_print(void *arg, const char *path, struct str key, struct str value, struct json_writer *w);

#endif
