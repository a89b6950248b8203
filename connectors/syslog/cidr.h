// SPDX-License-Identifier: Apache-2.0
// Networks in CIDR notation, and whether an address is in one of them. Pure; an IPv4 address is held as its IPv6-mapped form, so
// that one rule serves both kinds of sockets.
#ifndef SYSLOG_CIDR_H
#define SYSLOG_CIDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct cidr {
    uint8_t address[16];
    uint8_t bits; // 0..128
};

// "192.0.2.0/24", "2001:db8::/32", "10.1.2.3". 0, or -1.
int cidr_parse(struct cidr *ret, const char *text);
bool cidr_contains(const struct cidr *c, const uint8_t address[16]);
// The IPv6 form of a socket's address; false for other families.
bool cidr_address(const struct sockaddr *a, uint8_t ret[16]);

#endif
