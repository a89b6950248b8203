// SPDX-License-Identifier: Apache-2.0
// Dead letters: the record as it was, with the cause in Connect's __connect.errors.* headers.
//
// A dead letter goes into the same commit as the offset or position beyond its record. One thread.
#ifndef RUNTIME_DEAD_LETTER_H
#define RUNTIME_DEAD_LETTER_H

#include "backend/backend.h"
#include "config/connector_options.h"
#include "runtime/failure.h"

struct dead_letter {
    const struct backend_record *record; // topic: where it came from or would have gone; key, value, headers: as they were
    int64_t offset;                      // sinks; -1 for sources
    const char *connector;
    uint32_t task;
    enum error_stage stage;
    const char *component;               // who refused it: "json", "ReplaceField$Value", "http-sink"
    const char *fail_class;              // "record", "rejected"
    const char *text, *hint;
};

// The topic: as configured, else <connector>.dlq. Caller frees.
char *dead_letter_topic(const struct connector_options *o, const char *connector);
int dead_letter_topic_ensure(struct backend *b, const char *topic, struct err *err) MUST_USE;
// Adds it to the producer's open commit. A record that is too large with its cause goes without its value, which then says so.
int dead_letter_add(struct backend *b, struct producer *p, const char *topic, bool with_headers, const struct dead_letter *d, struct err *err) MUST_USE;

#endif
