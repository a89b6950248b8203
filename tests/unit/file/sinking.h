// SPDX-License-Identifier: Apache-2.0
// A file sink under test, with system calls that can be made to fail, or to be the process's last.
#ifndef SINKING_H
#define SINKING_H

#include "io.h"
#include "testhost.h"

enum io_kind { IO_CREATE, IO_MKDIR, IO_WRITE, IO_SYNC, IO_TRUNCATE, IO_RENAME, IO_SYNC_DIRECTORY, IO_KINDS };

// What happens to the system calls, counted from 1 over all kinds. Atomic, since the committer calls as well.
struct io_plan {
    long kill_at;           // SIGKILL instead of this one; 0: never
    int kill_half;          // a write that is killed has written half
    int fail_kind, fail_errno; // every call of this kind fails while fail_errno is set
    long fail_from;         // … from this one of its kind on
};
void sinking_plan(const struct io_plan *p); // for the whole process
long sinking_calls(void);                   // since the plan
extern const struct file_io sinking_io;

// A host for the sink whose open uses sinking_io. Options as given.
struct testhost *sinking_new(const char *const *options);
struct testhost *sinking_start(const char *const *options); // opened; fails the test when it can not be

// Puts records {"n":FIRST}… of the topic, offsets FIRST up to and without END. CN_PUT_*.
int sinking_put(struct testhost *t, const char *topic, int partition, int64_t first, int64_t end);
// The number of the line "{"n":123}", or -1.
int64_t sinking_number(const char *line);

#endif
