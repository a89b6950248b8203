// SPDX-License-Identifier: Apache-2.0
// What all sockets of the source share: the tag by which the poll loop tells them apart, and where their messages go.
#ifndef SYSLOG_SOCKET_H
#define SYSLOG_SOCKET_H

#include "access.h"
#include "record.h"

enum socket_kind { SOCKET_WAKE, SOCKET_DATAGRAM, SOCKET_LISTENER, SOCKET_CONNECTION };
struct socket { // first member of each kind's struct: epoll hands it back
    enum socket_kind kind;
    int fd;
};

// The task's own, lent to whichever socket is being read.
struct inlet {
    struct cn_host *host;
    struct recorder recorder;
    struct access access;
    struct cn_batch *batch;  // during a poll
    uint32_t batch_bytes;    // a batch of so many bytes is full
    uint32_t max_message;
    char *buffer;            // for reading streams: buffer_cap bytes
    size_t buffer_cap;
};

static inline bool inlet_full(const struct inlet *in) { return in->batch->failed || cn_head(in->batch)->used >= in->batch_bytes; }

#endif
