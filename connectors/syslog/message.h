// SPDX-License-Identifier: Apache-2.0
// One syslog message taken apart: pure parsing of RFC 5424 and RFC 3164, with what real senders make of them.
//
// Parsing never fails and never drops: what is not understood ends up in `text`, and `error` says why. All slices point
// into the parsed bytes, which outlive the struct's use. No allocation, no I/O; a message may be parsed into again.
#ifndef SYSLOG_MESSAGE_H
#define SYSLOG_MESSAGE_H

#include "scan.h"
#include "when.h"

enum { MESSAGE_ELEMENTS = 64, MESSAGE_PARAMS = 256 };

enum message_format { MESSAGE_UNKNOWN, MESSAGE_RFC3164, MESSAGE_RFC5424 };

struct sd_param { struct slice name, value; bool escaped; }; // escaped: the value holds backslashes to be undone
struct sd_element { struct slice id; uint16_t first, count; };

struct message {
    int32_t priority;               // 0..191, or -1
    enum message_format format;
    struct when when;
    struct slice hostname, app, procid, msgid, text; // p NULL: absent or "-"
    const char *error;              // static text, or NULL
    uint32_t error_at;              // byte of the message
    uint16_t element_count, param_count;
    struct sd_element elements[MESSAGE_ELEMENTS]; // [first, first + count) are its params
    struct sd_param params[MESSAGE_PARAMS];
};

// Takes p[0..n) apart. `now_us` and `zone` fill in what a timestamp leaves out.
void message_parse(struct message *m, const char *p, size_t n, int64_t now_us, struct zone *zone);

// For the parsers: notes the first problem.
static inline void message_fault(struct message *m, const char *error, const char *start, const char *at) {
    if (m->error) return;
    m->error = error;
    m->error_at = (uint32_t)(at - start);
}

// The two formats, after the priority; `start` is where the message began. rfc5424_parse returns false, having changed
// nothing, when the header is not RFC 5424's.
bool rfc5424_parse(struct message *m, struct scan s, const char *start, int64_t now_us, struct zone *zone);
void rfc3164_parse(struct message *m, struct scan s, const char *start, int64_t now_us, struct zone *zone);

#endif
