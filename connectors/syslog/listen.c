// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <connectd/sdk.h>

#include "listen.h"

enum { BACKLOG = 512 };

// The sockets of one kind that are this task's: its share of fds[], and their number. -1 after cn_host.fail.
static int listen_share(struct cn_host *h, uint32_t kind, const char *word, const struct listen_options *o, uint32_t per_task, int64_t receive_buffer,
                        int fds[LISTEN_MAX]) {
    char name[256];
    uint32_t tasks = h->ops->task_count(h), index = h->ops->task_index(h), count = per_task * tasks;
    int all[LISTEN_MAX], n, mine = 0;
    snprintf(name, sizeof name, "%s-%s", h->ops->connector_name(h), word);
    struct cn_listen l = {
        .struct_size = sizeof l,
        .kind = kind,
        .name = o->name && *o->name ? o->name : name,
        .address = o->address ? o->address : "",
        .count = count > LISTEN_MAX ? LISTEN_MAX : count,
        .backlog = BACKLOG,
        .receive_buffer = receive_buffer,
    };
    n = h->ops->listen(h, &l, all, LISTEN_MAX);
    if (n < 0 && !*l.address)
        return cn_failf(h, CN_FAIL_CONFIG, "enable the socket unit that has this FileDescriptorName=, or give an address as well",
                        "%s.name: systemd passed no socket named %s", word, l.name);
    for (int i = 0; i < n; i++)
        if ((uint32_t)i % tasks == index) fds[mine++] = all[i];
    return n < 0 ? -1 : mine;
}

// The kernel grants what net.core.rmem_max allows, unless the daemon may go beyond: say so once, since the size decides about loss.
static void check_receive_buffer(struct cn_host *h, int fd, int64_t wanted) {
    int granted = 0;
    socklen_t n = sizeof granted;
    if (getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &granted, &n) != 0 || granted / 2 >= wanted) return;
    cn_log(h, CN_LOG_WARN, "udp.receive.buffer: the kernel granted %d of %lld bytes; raise it with sysctl net.core.rmem_max=%lld, or let systemd pass the "
           "socket with ReceiveBuffer=", granted / 2, (long long)wanted, (long long)wanted);
}

static int open_datagrams(struct listeners *l, struct cn_host *h, const struct options *o, enum transport transport) {
    int fds[LISTEN_MAX], n;
    if (transport == TRANSPORT_UDP) n = listen_share(h, CN_LISTEN_UDP, "udp", &o->udp, (uint32_t)o->udp_sockets, o->udp_receive_buffer, fds);
    else n = listen_share(h, CN_LISTEN_UNIX_DGRAM, "unix", &o->local, 1, 0, fds);
    for (int i = 0; i < n; i++) {
        struct datagram *d = &l->datagrams[l->datagram_count++];
        datagram_init(d, fds[i], transport);
        if (i == 0 && transport == TRANSPORT_UDP) check_receive_buffer(h, fds[i], o->udp_receive_buffer);
        if (d->dropped) cn_log(h, CN_LOG_WARN, "%s: the kernel dropped %lld datagrams before this start", transport == TRANSPORT_UDP ? "udp" : "unix", (long long)d->dropped);
    }
    return n < 0 ? -1 : 0;
}

int listeners_open(struct listeners *l, struct cn_host *h, const struct options *o) {
    int fds[LISTEN_MAX], n = 0;
    memset(l, 0, sizeof *l);
    if (listen_wanted(&o->udp) && open_datagrams(l, h, o, TRANSPORT_UDP) != 0) return -1;
    if (listen_wanted(&o->local) && open_datagrams(l, h, o, TRANSPORT_UNIX) != 0) return -1;
    if (listen_wanted(&o->tcp)) n = listen_share(h, CN_LISTEN_TCP, "tcp", &o->tcp, 1, 0, fds);
    for (int i = 0; i < n; i++) l->tcp[l->tcp_count++] = (struct socket){SOCKET_LISTENER, fds[i]};
    return n < 0 ? -1 : 0;
}

int64_t listeners_dropped(struct listeners *l) {
    int64_t sum = 0;
    for (uint32_t i = 0; i < l->datagram_count; i++) {
        datagram_ask_drops(&l->datagrams[i]);
        sum += l->datagrams[i].dropped;
    }
    return sum;
}

int listeners_accept(const struct socket *s, struct inlet *in, struct conn **ret) {
    union { struct sockaddr any; struct sockaddr_storage storage; } from;
    for (;;) {
        socklen_t n = sizeof from;
        int fd = accept4(s->fd, &from.any, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0 && (errno == EINTR || errno == ECONNABORTED)) continue;
        if (fd < 0) return errno == EAGAIN ? 0 : -1;
        if (!access_allows(&in->access, &from.any)) {
            close(fd);
            continue;
        }
        *ret = conn_new(fd, &from.any, in->max_message);
        return *ret ? 1 : -1;
    }
}
