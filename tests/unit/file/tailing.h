// SPDX-License-Identifier: Apache-2.0
// A source under test and the files it tails: what arrived is kept over restarts, as the log would keep it.
#ifndef TAILING_H
#define TAILING_H

#include "testhost.h"

struct tailing {
    struct testhost *host;
    const char *dir;
    char **kept;        // values (line format) of committed records
    size_t kept_count, kept_cap;
    size_t seen;        // lines of the host that were committed
};

// Options besides path and topic; `pattern` is below the folder. The folder is new.
struct tailing tailing_start(const char *pattern, const char *const *more);
void tailing_end(struct tailing *t);
// Polls until nothing has come for `quiet_ms`, and commits.
void tailing_drain(struct tailing *t, unsigned quiet_ms);
// Polls once without waiting, and commits.
void tailing_step(struct tailing *t);
// Polls without committing: what comes is lost with a restart.
void tailing_poll(struct tailing *t);
void tailing_restart(struct tailing *t);
// The kept lines, each with '|' behind it; valid until the next call.
const char *tailing_lines(struct tailing *t);

// On files below the folder.
void file_append(struct tailing *t, const char *name, const char *text);
void file_rename(struct tailing *t, const char *from, const char *to);
void file_copy(struct tailing *t, const char *from, const char *to);
void file_cut(struct tailing *t, const char *name);   // to nothing
void file_delete(struct tailing *t, const char *name);
const char *file_path(struct tailing *t, const char *name);

#endif
