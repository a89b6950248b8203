// SPDX-License-Identifier: Apache-2.0
// The control socket: a Unix stream socket through which the commands ask the daemon.
//
//   client ── {"command":"pause","connector":"shop-db"}\n [more lines] ──► thread of its own ── handler
//          ◄── {…}\n {…}\n … {"done":true,"exit":0}\n ──────────────────────┘
//
// One request a connection; the answer is a stream of JSON lines, of which the last, and only that, begins with {"done".
// After a failure it is {"done":true,"exit":1,"error":"…","hint":"…"}. Requests are at most 1 MiB; there are at most 32
// clients at once, each holding one thread and one buffer of 64 KiB however slowly it reads. The socket is 0660 and belongs
// to a group, so the kernel decides who may connect; the peer's uid and pid stand in the call.
#ifndef CLI_CONTROL_H
#define CLI_CONTROL_H

#include <sys/types.h>

#include "cli/doc.h"

struct control;
struct control_call;

struct control_options {
    const char *path;
    const char *group; // gets the socket when it exists and may be given; NULL: none
    // Serves one request on its client's thread. Returns the exit code the client shall end with, or -1 with err.
    int (*handle)(void *arg, struct control_call *call, struct err *err);
    void *arg;
};
// Binds (replacing a socket nobody listens on) and starts to serve. ERR_BUSY: somebody does.
int control_open(const struct control_options *o, struct control **ret, struct err *err) MUST_USE;
void control_close(struct control *c); // ends all clients, waits for their threads, removes the socket

// ── inside handle ──
const struct doc_node *call_request(const struct control_call *call);
const char *call_command(const struct control_call *call); // "" when the request names none
uid_t call_uid(const struct control_call *call);
pid_t call_pid(const struct control_call *call);
// Sends one line (without the line end). Blocks while the client does not read; -1 once it is gone or the daemon stops.
int call_line(struct control_call *call, struct str json) MUST_USE;
int call_flush(struct control_call *call) MUST_USE;
// Whether the client has gone or the daemon stops: a handler that waits looks now and then.
bool call_gone(struct control_call *call);
// The next line the client sends after its request: 1, 0 at its end, -1 gone. Valid until the next call. At most `max` bytes.
int call_read(struct control_call *call, size_t max, struct str *ret, struct err *err) MUST_USE;

// Whether call_read would have to wait now.
bool call_would_wait(struct control_call *call);

// ── for clients ──
// Connects; paths longer than a socket address are fine. ERR_NOT_FOUND: nobody listens there.
int control_connect(const char *path, int *ret_fd, struct err *err) MUST_USE;

#endif
