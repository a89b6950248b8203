// SPDX-License-Identifier: Apache-2.0
// log-repair over an open store: the same for the daemon's request handlers and for the command on a data folder without a daemon.
//
// A partition is named TOPIC-N. Each answers with lines of JSON (store/repair.h) and returns the exit code, or -1 with err.
#ifndef CLI_REPAIR_H
#define CLI_REPAIR_H

#include "base/err.h"
#include "base/str.h"

struct store;
struct control_call;
struct served;

typedef int repair_line(void *arg, struct str json);
// One partition, or, with NULL, every stopped one. EXIT_BAD_DATA when there is damage.
int repair_show(struct store *s, const char *partition, repair_line *line, void *arg, struct err *err);
int repair_salvage(struct store *s, const char *partition, const char *to, repair_line *line, void *arg, struct err *err);
int repair_accept(struct store *s, const char *partition, bool unreadable, repair_line *line, void *arg, struct err *err);

// The requests (serve.h).
int serve_log_show(struct served *s, struct control_call *call, struct err *err);
int serve_log_salvage(struct served *s, struct control_call *call, struct err *err);
int serve_log_accept(struct served *s, struct control_call *call, struct err *err);

#endif
