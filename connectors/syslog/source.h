// SPDX-License-Identifier: Apache-2.0
// A syslog task: one epoll set over its datagram sockets, listeners, connections and the host's wake descriptor.
//
// A poll reads from whatever is readable, in turn and at most a chunk each, until the batch is full or nothing more waits. While the host
// withholds polls nothing is read: TCP senders are held back by their windows, and what UDP then loses the kernel counts.
#ifndef SYSLOG_SOURCE_H
#define SYSLOG_SOURCE_H

#include <connectd/plugin.h>

#include "options.h"

int source_open(struct cn_host *h, const struct options *o, void **ret_task);
int source_poll(void *task, struct cn_batch *batch, uint32_t timeout_ms);
int source_tick(void *task);
void source_close(void *task);

#endif
