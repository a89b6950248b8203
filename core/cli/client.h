// SPDX-License-Identifier: Apache-2.0
// A command's conversation with the daemon: find the socket, send the request, take the lines, end with its exit code.
//
//   struct client c;
//   client_begin(&c, args, "pause");             // {"command":"pause"
//   json_kz(&c.request, "connector", name);      // ,"connector":"shop-db"
//   return client_run(&c, show, &state);         // }  ► lines ► exit code
#ifndef CLI_CLIENT_H
#define CLI_CLIENT_H

#include "cli/command.h"
#include "cli/doc.h"

struct client {
    const struct args *args;
    struct buf text;
    struct json_writer request;
    int fd; // after client_send, else -1
};
void client_begin(struct client *c, const struct args *a, const char *command);
// Sends the request, calls `line` for each line of the answer but the last, and prints the daemon's error when there is one.
// A line that returns non-zero ends it. Returns the exit code (EXIT_NO_DAEMON when nobody answers). Ends the client.
// line NULL: an answer is printed as it is (--json).
int client_run(struct client *c, int (*line)(void *arg, struct str json), void *arg);
// In two steps, for commands that send more: after client_send (0 or an exit code) write to c->fd, then client_finish.
int client_send(struct client *c);
int client_finish(struct client *c, int (*line)(void *arg, struct str json), void *arg);

// The socket that would be used, for messages: --control, --data, $CONNECTD_DATA, $RUNTIME_DIRECTORY, /run/connectd, ./connectd-data.
void client_socket_path(const struct args *a, struct buf *out);

// For the common case: one answer, printed as it is with --json, else parsed and shown.
int client_show(struct client *c, void (*show)(const struct args *a, const struct doc_node *answer));

#endif
