// SPDX-License-Identifier: Apache-2.0
// The configuration of a syslog source as its option table binds it.
#ifndef SYSLOG_OPTIONS_H
#define SYSLOG_OPTIONS_H

#include <stdbool.h>

#include <connectd/option.h>

struct listen_options { const char *address, *name; }; // either may be NULL; both: not wanted

struct options {
    struct listen_options udp, tcp, local; // local: a Unix datagram socket
    int64_t udp_sockets, udp_receive_buffer, tcp_max_connections, max_message;
    struct cn_list networks;
    const char *topic, *timezone;
    int32_t format, key;
    uint8_t keep_raw;
};

static inline bool listen_wanted(const struct listen_options *l) { return (l->address && *l->address) || (l->name && *l->name); }

#endif
