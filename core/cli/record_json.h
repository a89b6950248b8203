// SPDX-License-Identifier: Apache-2.0
// A consumed record as one line of JSON, and a line read back.
//
//   {"topic":"orders","partition":0,"offset":7,"timestamp":1700000000123,"key":{…},"value":{…},"headers":[["name","value"]]}
//
// Key and value stand as JSON where they are JSON, else as a string, and as {"$base64":"…"} where they are no text. Pure.
#ifndef CLI_RECORD_JSON_H
#define CLI_RECORD_JSON_H

#include "backend/backend.h"
#include "cli/doc.h"

void record_json(const struct consumed *r, struct buf *out); // without a line end
// Bytes of a member: a string's characters, {"$base64"}'s bytes, any other value's JSON; {NULL,0} for null and absent ones.
// The bytes live in `room`, which is appended to.
int record_bytes_of(const struct doc_node *n, struct buf *room, struct str *ret, struct err *err) MUST_USE;

#endif
