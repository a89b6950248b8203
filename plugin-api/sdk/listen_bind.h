/* SPDX-License-Identifier: Apache-2.0 */
/* Binds the sockets a struct cn_listen describes. libc only; called by hosts, never by plugins. */
#ifndef CONNECTD_SDK_LISTEN_BIND_H
#define CONNECTD_SDK_LISTEN_BIND_H

#include <connectd/host.h>

/* Fills fds[0..count) with bound (and listening), non-blocking, close-on-exec sockets and returns the count; the caller
   closes them. -1: the reason, naming the address, in error[0..cap) and errno set; nothing is left open. A stale Unix
   socket file (nobody answers) is replaced. Port 0 picks a free port, the same for all. */
int listen_bind(const struct cn_listen *l, int *fds, uint32_t max, char *error, size_t cap);
/* The port a socket is bound to, 0 for Unix ones. */
unsigned listen_port(int fd);
/* Sets the receive buffer, by SO_RCVBUFFORCE where allowed; returns the bytes granted. */
int64_t listen_receive_buffer(int fd, int64_t bytes);

#endif
