/* SPDX-License-Identifier: Apache-2.0 */
/* What waits to be sent, by partition: a lane each, with at most one request under way, so that order is kept.
 *
 *   lane: chunk ─► chunk ─► chunk        chunk: S record S record S record S      S = the separator, a byte
 *         ▲ sent up to here                     └──── a request's body ────┘
 *
 * A chunk is rendered once and never copied: a request's body is a run of it, with the bytes around the run patched to
 * '[' and ']' for arrays while the request is under way. Records leave from the front, as their requests are answered.
 *
 * Not thread-safe: the client's mutex guards all lanes. Knows nothing of HTTP. */
#ifndef HTTP_SINK_LANES_H
#define HTTP_SINK_LANES_H

#include <connectd/json.h>

#include "options.h"

struct entry { int64_t offset; size_t end; }; /* end: of its bytes, at the separator behind them */

struct chunk {
    struct chunk *next;
    struct cn_json body;
    struct entry *entries;
    uint32_t n, cap, sent;   /* entries, and how many of the first are answered */
};

struct lane {
    struct lane *next;
    char *topic, *url;
    int32_t partition;
    uint32_t limit;          /* records a request may have: halves after a refusal, grows back with successes */
    uint32_t too_large;      /* so many records were refused as too large (413): stay below for a while; 0: never */
    uint32_t calm;           /* successes since then */
    struct chunk *first, *last;
    uint32_t under_way;      /* records of the request on its way, the first not sent ones of `first`; 0: none */
    int revoked;             /* forget it as soon as nothing is under way */
    int failed;              /* everything held is to be settled RETRY, on the task's thread */
    char reason[512];        /* of the failure */
    int64_t retry_after_ms;
};

struct lanes { struct lane *first; uint64_t held; /* records in all lanes */ };

struct lane *lanes_find(struct lanes *l, const char *topic, size_t n, int32_t partition); /* NULL when absent or revoked */
struct lane *lanes_add(struct lanes *l, const char *topic, size_t n, int32_t partition, const struct http_options *o);
void lanes_remove(struct lanes *l, struct lane *lane); /* and frees */
void lanes_done(struct lanes *l);

/* Starts a record in the lane: the buffer to render into. lane_end closes it; to give it up, put the buffer's n back. */
struct cn_json *lane_begin(struct lane *lane, const struct http_options *o);
void lane_end(struct lanes *l, struct lane *lane, int64_t offset, const struct http_options *o);

/* The next request's body, from the lane's front; n 0 when there is nothing. Marks its records under way. */
struct run { const char *p; size_t n; uint32_t records; };
struct run lane_take(struct lane *lane, const struct http_options *o);
/* The request under way is over. answered: its records leave the lane; otherwise they stay at its front. */
void lane_over(struct lanes *l, struct lane *lane, int answered, const struct http_options *o);
/* The offsets of the first `max` records held, as runs without gaps: what lies between them is not ours to settle. */
void lane_offsets(const struct lane *lane, uint32_t max, void (*each)(void *arg, int64_t first, int64_t last), void *arg);
void lane_clear(struct lanes *l, struct lane *lane);

#endif
