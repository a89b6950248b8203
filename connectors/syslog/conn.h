// SPDX-License-Identifier: Apache-2.0
// One TCP connection: reading, framing, and what of an unfinished frame is held until the rest comes.
//
// An idle connection costs its struct and the bytes of its unfinished frame, at most max.message.bytes and 16; the buffer it
// is read into is the task's. A batch that became full in the middle leaves whole frames behind: then conn_has_frames, and
// conn_read is to be called again before more is read.
#ifndef SYSLOG_CONN_H
#define SYSLOG_CONN_H

#include "socket.h"

struct conn {
    struct socket socket;
    struct conn *prev, *next; // the task's list
    struct framing framing;
    struct peer peer;
    char *held;
    size_t held_n, held_cap;
    bool has_frames;          // held may contain whole frames
    bool ended;               // the peer closed, or failed: when held is empty the connection can go
};

enum { CONN_CHUNK = 128 * 1024 };
// What struct inlet's buffer must hold for conn_read.
static inline size_t conn_buffer_size(uint32_t max_message) { return (size_t)max_message + 16 + 2 * CONN_CHUNK; }

// Takes the descriptor. NULL: out of memory, the descriptor is closed.
struct conn *conn_new(int fd, const struct sockaddr *from, uint32_t max_message);
void conn_free(struct conn *c); // closes

// Reads once, at most CONN_CHUNK, and adds the records of whole frames until the batch is full. At the end of the stream the last frame is
// added too, marked. Returns 0 while the connection lives, 1 when it is over and can be freed.
int conn_read(struct conn *c, struct inlet *in);
// Adds what is held, an unfinished frame too: the source is about to stop.
void conn_drain(struct conn *c, struct inlet *in);

#endif
