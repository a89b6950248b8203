// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <linux/sock_diag.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include <connectd/sdk.h>

#include "datagram.h"

enum { RING = 128, PEERS = 256, SLOT_ODD = 320, DATAGRAM_MAX = 65535 };

union sender { struct sockaddr any; struct sockaddr_storage storage; };
struct known { bool used; socklen_t n; union sender from; struct peer peer; };

struct datagram_ring {
    struct mmsghdr headers[RING];
    struct iovec slots[RING];
    union sender senders[RING];
    union { struct cmsghdr align; char bytes[CMSG_SPACE(sizeof(struct timespec)) + CMSG_SPACE(sizeof(uint32_t))]; } control[RING];
    struct known peers[PEERS]; // those seen lately, by a hash of their address
    char *memory;
    size_t memory_size;
};

// Slots are as large as the largest datagram, yet only pages that a datagram reached are ever touched. Their distance is no
// power of two, so that the beginnings of all slots do not compete for the same lines of the cache.
struct datagram_ring *datagram_ring_new(uint32_t max_message) {
    struct datagram_ring *r = calloc(1, sizeof *r);
    size_t slot = max_message < DATAGRAM_MAX ? max_message : DATAGRAM_MAX, distance = ((slot + 63) & ~(size_t)63) + SLOT_ODD;
    if (!r) return NULL;
    r->memory_size = distance * RING;
    r->memory = mmap(NULL, r->memory_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (r->memory == MAP_FAILED) {
        free(r);
        return NULL;
    }
    for (size_t i = 0; i < RING; i++) {
        r->slots[i] = (struct iovec){r->memory + i * distance, slot};
        r->headers[i].msg_hdr = (struct msghdr){.msg_iov = &r->slots[i], .msg_iovlen = 1, .msg_name = &r->senders[i], .msg_control = &r->control[i]};
    }
    return r;
}

void datagram_ring_free(struct datagram_ring *r) {
    if (!r) return;
    munmap(r->memory, r->memory_size);
    free(r);
}

// A datagram tells the count of when it was queued, which may be older than what was asked since.
static void count_drops(struct datagram *d, uint32_t counter) {
    int32_t more = (int32_t)(counter - d->dropped_last);
    if (more <= 0) return;
    d->dropped += more;
    d->dropped_last = counter;
}

void datagram_ask_drops(struct datagram *d) {
    uint32_t info[SK_MEMINFO_VARS] = {0};
    socklen_t n = sizeof info;
    if (getsockopt(d->socket.fd, SOL_SOCKET, SO_MEMINFO, info, &n) == 0 && n > SK_MEMINFO_DROPS * sizeof *info)
        count_drops(d, info[SK_MEMINFO_DROPS]);
}

void datagram_init(struct datagram *d, int fd, enum transport transport) {
    int on = 1;
    *d = (struct datagram){.socket = {SOCKET_DATAGRAM, fd}, .transport = transport};
    setsockopt(fd, SOL_SOCKET, SO_RXQ_OVFL, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
    datagram_ask_drops(d);
}

// Takes the arrival time and the drop counter from the control messages. The time, or 0.
static int64_t read_control(struct datagram *d, struct msghdr *h) {
    int64_t arrived_us = 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c)) {
        if (c->cmsg_level != SOL_SOCKET) continue;
        if (c->cmsg_type == SCM_TIMESTAMPNS) {
            struct timespec ts;
            memcpy(&ts, CMSG_DATA(c), sizeof ts);
            arrived_us = (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
        } else if (c->cmsg_type == SO_RXQ_OVFL) {
            uint32_t counter;
            memcpy(&counter, CMSG_DATA(c), sizeof counter);
            count_drops(d, counter);
        }
    }
    return arrived_us;
}

// The sender's text, made once while it keeps its place. NULL: it may not send.
static struct peer *peer_of(struct datagram *d, struct datagram_ring *r, struct inlet *in, const union sender *from, socklen_t n) {
    uint32_t hash = 0;
    if (d->transport == TRANSPORT_UNIX) n = 0;
    for (socklen_t i = 0; i < n && i < 28; i += 4) {
        uint32_t word;
        memcpy(&word, (const char *)from + i, 4);
        hash = (hash ^ word) * 0x9e3779b1u;
    }
    struct known *k = &r->peers[hash >> 24];
    if (k->used && k->n == n && k->peer.transport == d->transport && memcmp(&k->from, from, n) == 0) return &k->peer;
    if (n && !access_allows(&in->access, &from->any)) return NULL;
    k->used = true;
    k->n = n;
    memcpy(&k->from, from, n);
    peer_set(&k->peer, d->transport, n ? from : NULL);
    return &k->peer;
}

static void take_one(struct datagram *d, struct datagram_ring *r, struct inlet *in, size_t i, int64_t now_us) {
    struct mmsghdr *h = &r->headers[i];
    int64_t arrived_us = read_control(d, &h->msg_hdr);
    struct peer *peer = peer_of(d, r, in, &r->senders[i], h->msg_hdr.msg_namelen);
    struct frame f = {r->slots[i].iov_base, h->msg_len, false, false};
    if (!peer || f.n == 0) return;
    if (f.n > r->slots[i].iov_len) f.n = r->slots[i].iov_len; // MSG_TRUNC tells the length that was sent
    f.truncated = (h->msg_hdr.msg_flags & MSG_TRUNC) != 0;
    recorder_add(&in->recorder, in->batch, peer, &f, arrived_us ? arrived_us : now_us);
}

int datagram_receive(struct datagram *d, struct datagram_ring *r, struct inlet *in) {
    for (size_t i = 0; i < RING; i++) {
        r->headers[i].msg_hdr.msg_namelen = sizeof r->senders[i];
        r->headers[i].msg_hdr.msg_controllen = sizeof r->control[i];
    }
    int n = recvmmsg(d->socket.fd, r->headers, RING, MSG_DONTWAIT | MSG_TRUNC, NULL);
    if (n < 0) {
        if (errno == EAGAIN || errno == EINTR) return 0;
        return cn_failf(in->host, CN_FAIL_TRANSIENT, NULL, "receive datagrams: %s", strerror(errno));
    }
    int64_t now_us = in->host->ops->now_us(in->host);
    for (int i = 0; i < n; i++) take_one(d, r, in, (size_t)i, now_us);
    return n;
}
