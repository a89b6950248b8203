// SPDX-License-Identifier: Apache-2.0
// Where one message ends and the next begins in a TCP stream: RFC 6587's two framings, told apart frame by frame.
//
//   digits SP '<' one to three digits '>'   an octet count: that many bytes follow the space
//   anything else                           a line: up to LF, CR LF or NUL
//
// Looking for the whole priority behind the count, not for the digits alone, keeps lines that begin with a number lines. A
// count that lies ends in the middle of some line; from there the next LF brings the two back in step. A frame above `max`
// gives its first `max` bytes, marked; the rest is skipped, never the connection closed. Pure: no I/O, no allocation.
#ifndef SYSLOG_FRAMING_H
#define SYSLOG_FRAMING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// One a connection; zeroed but for max, which is at least 16.
struct framing {
    uint32_t max;      // bytes of a frame that are kept
    uint64_t skip;     // bytes of an octet-counted frame still to be passed over
    bool skip_line;    // passing over the rest of a line
};

struct frame {
    const char *p;
    size_t n;
    bool truncated;    // longer than max
    bool incomplete;   // the stream ended inside it
};

// The bytes a caller must be able to hold for the next frame to come out: a length, a space and the frame itself.
static inline size_t framing_hold(const struct framing *f) { return (size_t)f->max + 16; }

// Takes the next frame from p[0..n); `eof` when nothing will follow. Returns 1 with *ret, or 0 when more bytes are needed (at eof: when
// nothing is left). *ret_used bytes are done with in either case, *ret points into p.
int framing_next(struct framing *f, const char *p, size_t n, bool eof, struct frame *ret, size_t *ret_used);

#endif
