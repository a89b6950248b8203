/* SPDX-License-Identifier: Apache-2.0 */
#include "listen_bind.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static int is_unix(const struct cn_listen *l) { return l->kind == CN_LISTEN_UNIX_DGRAM || l->kind == CN_LISTEN_UNIX_STREAM; }
static int is_datagram(const struct cn_listen *l) { return l->kind == CN_LISTEN_UDP || l->kind == CN_LISTEN_UNIX_DGRAM; }

static int fail(char *error, size_t cap, const struct cn_listen *l, int sys, const char *why) {
    snprintf(error, cap, "listen on %s (%s): %s", l->address, l->name, why ? why : strerror(sys));
    errno = sys ? sys : EINVAL;
    return -1;
}

int64_t listen_receive_buffer(int fd, int64_t bytes) {
    int want = bytes > 1 << 30 ? 1 << 30 : (int)bytes, got = 0;
    socklen_t n = sizeof got;
    if (want > 0 && setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &want, sizeof want) != 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &want, sizeof want);
    (void)getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &got, &n);
    return got / 2; /* the kernel reports twice what it grants */
}

unsigned listen_port(int fd) {
    union { struct sockaddr a; struct sockaddr_in in; struct sockaddr_in6 in6; struct sockaddr_storage s; } u;
    socklen_t n = sizeof u;
    if (getsockname(fd, &u.a, &n) != 0) return 0;
    if (u.a.sa_family == AF_INET) return ntohs(u.in.sin_port);
    return u.a.sa_family == AF_INET6 ? ntohs(u.in6.sin6_port) : 0;
}

/* "127.0.0.1:514", "[::1]:514", ":514" → host (empty: any) and port. */
static int split(const char *address, char *host, size_t host_cap, const char **ret_port) {
    const char *colon = strrchr(address, ':');
    size_t n;
    if (!colon || !colon[1] || strspn(colon + 1, "0123456789") != strlen(colon + 1)) return -1;
    n = (size_t)(colon - address);
    if (address[0] == '[') {
        if (n < 2 || address[n - 1] != ']') return -1;
        address++;
        n -= 2;
    } else if (memchr(address, ':', n)) {
        return -1;
    }
    if (n >= host_cap) return -1;
    memcpy(host, address, n);
    host[n] = 0;
    *ret_port = colon + 1;
    return 0;
}

static int prepare(int fd, const struct cn_listen *l, int family) {
    int on = 1;
    if (!is_unix(l) && !is_datagram(l) && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0) return -1;
    if (!is_unix(l) && l->count > 1 && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0) return -1;
    if (family == AF_INET6) (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &(int){0}, sizeof(int));
    if (l->receive_buffer > 0) (void)listen_receive_buffer(fd, l->receive_buffer);
    return 0;
}

/* One bound socket, or -1 with errno. */
static int bind_one(const struct cn_listen *l, const struct sockaddr *a, socklen_t n) {
    int fd = socket(a->sa_family, (is_datagram(l) ? SOCK_DGRAM : SOCK_STREAM) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int sys;
    if (fd < 0) return -1;
    if (prepare(fd, l, a->sa_family) == 0 && bind(fd, a, n) == 0 &&
        (is_datagram(l) || listen(fd, l->backlog ? (int)l->backlog : 128) == 0))
        return fd;
    sys = errno;
    close(fd);
    errno = sys;
    return -1;
}

/* A socket file nobody answers on is left over from a crash. */
static void remove_stale(const struct cn_listen *l, const struct sockaddr_un *a) {
    struct stat st;
    int fd;
    if (lstat(a->sun_path, &st) != 0 || !S_ISSOCK(st.st_mode)) return;
    fd = socket(AF_UNIX, (is_datagram(l) ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0);
    if (fd < 0) return;
    if (connect(fd, (const struct sockaddr *)a, sizeof *a) != 0 && errno == ECONNREFUSED) (void)unlink(a->sun_path);
    close(fd);
}

static int bind_unix(const struct cn_listen *l, int *fds, char *error, size_t cap) {
    struct sockaddr_un a;
    memset(&a, 0, sizeof a);
    a.sun_family = AF_UNIX;
    if (strlen(l->address) >= sizeof a.sun_path) return fail(error, cap, l, ENAMETOOLONG, NULL);
    memcpy(a.sun_path, l->address, strlen(l->address) + 1);
    remove_stale(l, &a);
    fds[0] = bind_one(l, (const struct sockaddr *)&a, sizeof a);
    if (fds[0] < 0) return fail(error, cap, l, errno, NULL);
    return 1;
}

static void set_port(struct sockaddr *a, unsigned port) {
    if (a->sa_family == AF_INET) ((struct sockaddr_in *)(void *)a)->sin_port = htons((uint16_t)port);
    else ((struct sockaddr_in6 *)(void *)a)->sin6_port = htons((uint16_t)port);
}

int listen_bind(const struct cn_listen *l, int *fds, uint32_t max, char *error, size_t cap) {
    struct addrinfo hints = {.ai_flags = AI_PASSIVE, .ai_socktype = SOCK_STREAM}, *list;
    uint32_t count = l->count ? l->count : 1, i;
    char host[256];
    const char *port;
    int rc;
    if (l->kind < CN_LISTEN_UDP || l->kind > CN_LISTEN_UNIX_STREAM) return fail(error, cap, l, 0, "unknown kind of socket");
    if (is_unix(l)) return max ? bind_unix(l, fds, error, cap) : 0;
    if (split(l->address, host, sizeof host, &port) != 0) return fail(error, cap, l, 0, "not host:port or [host]:port");
    rc = getaddrinfo(*host ? host : NULL, port, &hints, &list);
    if (rc) return fail(error, cap, l, 0, gai_strerror(rc));
    if (count > max) count = max;
    for (i = 0; i < count; i++) {
        fds[i] = bind_one(l, list->ai_addr, list->ai_addrlen);
        if (fds[i] < 0) break;
        set_port(list->ai_addr, listen_port(fds[i]));
    }
    rc = errno;
    freeaddrinfo(list);
    if (i == count) return (int)count;
    while (i-- > 0) close(fds[i]);
    return fail(error, cap, l, rc, NULL);
}
