// SPDX-License-Identifier: Apache-2.0
// An HTTP server that answers by a script: for the n-th request (from all connections, in the order they are read) the n-th
// line, 200 afterwards; and that keeps the bodies it answered with 200, in order.
#ifndef HTTP_SINK_SERVER_H
#define HTTP_SINK_SERVER_H

#include <stddef.h>

struct server;

// Script lines: a status with optional extra headers ("429 Retry-After: 1"), "close" (the connection, unanswered), "hang" (no answer until
// the client goes), "half" (the status line, then close). NULL-terminated, borrowed.
struct server *server_start(const char *const *script);
unsigned server_port(struct server *s);
size_t server_requests(struct server *s);           // read so far
size_t server_accepted(struct server *s);           // bodies answered with 2xx
const char *server_body(struct server *s, size_t i); // of the i-th accepted, terminated
const char *server_head(struct server *s);          // the latest request's head
void server_stop(struct server *s);                 // joins its threads, frees

#endif
