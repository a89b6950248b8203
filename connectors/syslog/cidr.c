// SPDX-License-Identifier: Apache-2.0
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "cidr.h"
#include "scan.h"

static const uint8_t mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

int cidr_parse(struct cidr *ret, const char *text) {
    char address[64];
    const char *slash = strchr(text, '/');
    size_t n = slash ? (size_t)(slash - text) : strlen(text);
    int64_t bits;
    struct cidr c;
    if (n >= sizeof address) return -1;
    memcpy(address, text, n);
    address[n] = '\0';
    memcpy(c.address, mapped_prefix, sizeof mapped_prefix);
    bool v4 = inet_pton(AF_INET, address, c.address + 12) == 1;
    if (!v4 && inet_pton(AF_INET6, address, c.address) != 1) return -1;
    bits = v4 ? 32 : 128;
    if (slash) {
        struct scan s = scan_of(slash + 1, strlen(slash + 1));
        int64_t most = bits;
        if (!scan_digits(&s, 3, &bits) || !scan_done(&s) || bits > most) return -1;
    }
    c.bits = (uint8_t)(v4 ? bits + 96 : bits);
    *ret = c;
    return 0;
}

bool cidr_contains(const struct cidr *c, const uint8_t address[16]) {
    size_t whole = c->bits / 8;
    if (memcmp(c->address, address, whole) != 0) return false;
    unsigned rest = c->bits % 8;
    return rest == 0 || ((c->address[whole] ^ address[whole]) >> (8 - rest)) == 0;
}

bool cidr_address(const struct sockaddr *a, uint8_t ret[16]) {
    if (a->sa_family == AF_INET) {
        memcpy(ret, mapped_prefix, sizeof mapped_prefix);
        memcpy(ret + 12, &((const struct sockaddr_in *)(const void *)a)->sin_addr, 4);
        return true;
    }
    if (a->sa_family != AF_INET6) return false;
    memcpy(ret, &((const struct sockaddr_in6 *)(const void *)a)->sin6_addr, 16);
    return true;
}
