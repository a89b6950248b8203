// SPDX-License-Identifier: Apache-2.0
// The sockets of a task: got from the host, which binds them or has them from systemd, and keeps them when the task ends.
//
// Each of several tasks asks for the sockets of all (SO_REUSEPORT spreads senders over them) and takes its share.
#ifndef SYSLOG_LISTEN_H
#define SYSLOG_LISTEN_H

#include "conn.h"
#include "datagram.h"
#include "options.h"

enum { LISTEN_MAX = 16 };

struct listeners {
    struct datagram datagrams[2 * LISTEN_MAX];
    uint32_t datagram_count;
    struct socket tcp[LISTEN_MAX];
    uint32_t tcp_count;
};

// 0, or -1 after cn_host.fail.
int listeners_open(struct listeners *l, struct cn_host *h, const struct options *o);
// Datagrams the kernel dropped on this task's sockets, asked anew.
int64_t listeners_dropped(struct listeners *l);
// Takes one waiting connection of a sender that may send. 1 with *ret; 0 none waits; -1 no descriptor is left for it.
int listeners_accept(const struct socket *s, struct inlet *in, struct conn **ret);

#endif
