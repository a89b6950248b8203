// SPDX-License-Identifier: Apache-2.0
// UDP and Unix datagram sockets: many datagrams a system call, and an exact count of those the kernel had to drop.
//
// The kernel counts per socket what did not fit the receive buffer. It tells the count with every datagram (SO_RXQ_OVFL)
// and when asked (SO_MEMINFO), which also works when nothing arrives any more. The sockets are the host's and outlive the
// task, so that what was dropped while no task ran is seen as well.
#ifndef SYSLOG_DATAGRAM_H
#define SYSLOG_DATAGRAM_H

#include "socket.h"

struct datagram {
    struct socket socket;
    enum transport transport;
    uint32_t dropped_last;   // the kernel's counter, which wraps
    int64_t dropped;         // since the socket was made
};

// The memory for one recvmmsg, shared by a task's sockets.
struct datagram_ring;
struct datagram_ring *datagram_ring_new(uint32_t max_message); // NULL: out of memory
void datagram_ring_free(struct datagram_ring *r);

void datagram_init(struct datagram *d, int fd, enum transport transport);
// One recvmmsg and its records. Returns how many datagrams there were, or -1 after cn_host.fail.
int datagram_receive(struct datagram *d, struct datagram_ring *r, struct inlet *in);
// Asks the kernel for its count of dropped datagrams.
void datagram_ask_drops(struct datagram *d);

#endif
