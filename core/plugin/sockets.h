// SPDX-License-Identifier: Apache-2.0
// Listening sockets by name, held for the life of the process: from systemd when it passed that name, else bound here.
//
// A socket outlives the task and the reload that asked for it, so that the kernel keeps queueing; it is closed when its
// connector goes or asks for another address. What must keep queueing while connectd itself restarts belongs into a
// socket unit. Thread-safe.
#ifndef PLUGIN_SOCKETS_H
#define PLUGIN_SOCKETS_H

#include <connectd/host.h>

#include "base/err.h"
#include "base/json.h"

struct sockets;
// Takes what systemd passed (sd_listen_fds_with_names), once a process.
struct sockets *sockets_new(void);
void sockets_free(struct sockets *s); // closes all
// Takes descriptors of that name as if systemd had passed them (tests).
void sockets_give(struct sockets *s, const char *name, const int *fds, size_t n);

// The connector's sockets of l->name: fills fds and returns how many (the rest are left out when max is smaller), or -1.
// ERR_BUSY: another connector has that name from systemd, or the address is in use.
int sockets_listen(struct sockets *s, const char *connector, const struct cn_listen *l, int *fds, uint32_t max, struct err *err) MUST_USE;
// Closes what was bound for a connector that is gone for good; systemd's own become free for another.
void sockets_release(struct sockets *s, const char *connector);
// An array: [{"name","connector","address","from":"systemd"|"bound","sockets"}].
void sockets_json(struct sockets *s, struct json_writer *w);

#endif
