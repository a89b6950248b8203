// SPDX-License-Identifier: Apache-2.0
// A task's converters: records of a batch to bytes for the log, and back.
//
// Values are converted into scratch that is kept, then copied once by whoever takes them. Headers go as Connect's simple
// converter: text and bytes as they are, other values as JSON; read back as text. One thread.
#ifndef RUNTIME_CODEC_H
#define RUNTIME_CODEC_H

#include "backend/backend.h"
#include "config/setup.h"
#include "runtime/failure.h"

enum { RECORD_MAX_BYTES = 64 << 20 }; // of a key or a value

struct codec_params {
    const struct connector_setup *setup; // borrowed until close
    const char *connector;
    uint32_t task, tasks;
    struct clock *clock;
    struct metric_registry *metrics;
};
struct codec;
int codec_open(const struct codec_params *p, struct codec **ret, struct failure *f) MUST_USE;
void codec_close(struct codec *c); // NULL is fine
// Around the conversion of a batch: names the converters for crash and hang reports, gives back large scratch. b: the batch to encode, in which
// nothing changes until codec_leave; NULL to decode.
void codec_enter(struct codec *c, const struct cn_batch *b);
void codec_leave(struct codec *c);

// The record as the log takes it: topic, key, value, headers; valid until the next call. On failure *stage and *f say what failed.
int codec_encode(struct codec *c, const struct cn_batch *b, uint32_t record, struct backend_record *ret, enum error_stage *stage,
                 struct failure *f) MUST_USE;
// The same for a dead letter: key and value as JSON whatever they are (null where that fails too). Never fails.
void codec_encode_plain(struct codec *c, const struct cn_batch *b, uint32_t record, struct backend_record *ret);
// Appends a consumed record to the batch; the record is there (with null key and value) also when it could not be converted.
int codec_decode(struct codec *c, struct cn_batch *b, const struct consumed *r, enum error_stage *stage, struct failure *f) MUST_USE;
// Who failed at the stage: "json". The failure's text names it already.
const char *codec_component(const struct codec *c, enum error_stage stage);

#endif
