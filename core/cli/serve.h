// SPDX-License-Identifier: Apache-2.0
// What the control socket can be asked: a table of requests over the running daemon's parts.
//
// Handlers run on their client's thread and use only thread-safe functions of worker, backend and plugins.
#ifndef CLI_SERVE_H
#define CLI_SERVE_H

#include <pthread.h>

#include "cli/control.h"

struct backend;
struct store;
struct plugins;
struct sockets;
struct worker;
struct worker_report;

// The parts of a daemon that requests need; set before the socket opens and constant from then on.
struct served {
    struct backend *backend;
    struct store *store;
    struct plugins *plugins;
    struct sockets *sockets;
    struct worker *worker;
    const char *data_dir;
    int64_t started_ms;   // monotonic
    int64_t deadline_ms;  // how long a changing request may wait
    // Reads the pipeline files again and applies them; serialised by the daemon.
    void (*reload)(void *arg, struct worker_report *ret);
    void *arg;
};
// The control_options.handle; arg is a struct served.
int serve_request(void *arg, struct control_call *call, struct err *err);

// By theme (serve_*.c).
int serve_topics(struct served *s, struct control_call *call, struct err *err);
int serve_topic_create(struct served *s, struct control_call *call, struct err *err);
int serve_topic_delete(struct served *s, struct control_call *call, struct err *err);
int serve_topic_alter(struct served *s, struct control_call *call, struct err *err);
int serve_delete_records(struct served *s, struct control_call *call, struct err *err);
int serve_consume(struct served *s, struct control_call *call, struct err *err);
int serve_consume_of(struct served *s, struct control_call *call, const char *regex, struct err *err); // whatever the request names
int serve_produce(struct served *s, struct control_call *call, struct err *err);

#endif
