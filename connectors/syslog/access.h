// SPDX-License-Identifier: Apache-2.0
// Who may send: the allowed networks, and the count of those turned away. One a task, on its thread; never silent: each
// refusal counts, and a log line names one sender at most every ten seconds.
#ifndef SYSLOG_ACCESS_H
#define SYSLOG_ACCESS_H

#include <connectd/plugin.h>

#include "cidr.h"

struct access {
    struct cn_host *host;
    struct cidr *networks;
    uint32_t network_count;
    int64_t refused, refused_shown;
    int64_t warn_after_ms; // monotonic: no warning before
};

// Parses the networks. 0, or -1 after cn_host.fail.
int access_init(struct access *a, struct cn_host *h, const struct cn_list *networks);
void access_done(struct access *a);
// Whether the sender may send; Unix senders may, by the rights of the socket's file. Counts and warns when not.
bool access_allows(struct access *a, const struct sockaddr *from);

// Whether a configured address ("127.0.0.1:514", "[::1]:514", "localhost:514") is only reached from this machine.
bool access_is_loopback(const char *address);

#endif
