// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>
#include <string.h>

#include <connectd/sdk.h>

#include "access.h"
#include "record.h"

enum { WARN_EVERY_MS = 10000 };

int access_init(struct access *a, struct cn_host *h, const struct cn_list *networks) {
    memset(a, 0, sizeof *a);
    a->host = h;
    a->networks = calloc(networks->n ? networks->n : 1, sizeof *a->networks);
    if (!a->networks) return cn_failf(h, CN_FAIL_TRANSIENT, NULL, "out of memory");
    for (uint32_t i = 0; i < networks->n; i++)
        if (cidr_parse(&a->networks[a->network_count++], networks->items[i]) != 0) {
            access_done(a);
            return cn_failf(h, CN_FAIL_CONFIG, "write networks as 192.0.2.0/24 or 2001:db8::/32",
                            "allowed.networks: %s is not an address or a network", networks->items[i]);
        }
    return 0;
}

void access_done(struct access *a) {
    free(a->networks);
    a->networks = NULL;
    a->network_count = 0;
}

static void refuse(struct access *a, const struct sockaddr *from) {
    int64_t now = a->host->ops->monotonic_ms(a->host);
    struct peer who;
    a->refused++;
    if (now < a->warn_after_ms) return;
    a->warn_after_ms = now + WARN_EVERY_MS;
    peer_set(&who, TRANSPORT_UDP, from);
    cn_log(a->host, CN_LOG_WARN, "refused %s, which is in none of allowed.networks; %lld refused since the last such line", who.address,
           (long long)(a->refused - a->refused_shown));
    a->refused_shown = a->refused;
}

bool access_allows(struct access *a, const struct sockaddr *from) {
    uint8_t address[16];
    if (!cidr_address(from, address)) return true;
    for (uint32_t i = 0; i < a->network_count; i++)
        if (cidr_contains(&a->networks[i], address)) return true;
    refuse(a, from);
    return false;
}

bool access_is_loopback(const char *address) {
    return strncmp(address, "127.", 4) == 0 || strncmp(address, "[::1]:", 6) == 0 || strncmp(address, "localhost:", 10) == 0;
}
