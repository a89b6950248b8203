// SPDX-License-Identifier: Apache-2.0
// What the cases of `plugins check` work with, inside the child process. A case returns when its rule holds.
#ifndef PLUGIN_CHECK_INT_H
#define PLUGIN_CHECK_INT_H

#include <connectd/build.h>
#include <testhost.h>

#include "plugin/check.h"
#include "plugin/plugins.h"

struct checking {
    const struct component *component;
    const char *path;
    const char *const *options; // never NULL
    bool options_given;
    int channel;                // to the parent, SOCK_SEQPACKET
    int memory;                 // the shared region
    struct testhost *t;         // of check_open
    void *mapped;               // the region as it is mapped now
    size_t mapped_n;
};

struct check_case {
    const char *name;
    unsigned kinds; // KIND_BIT()s
    void (*run)(struct checking *k);
};
#define KIND_BIT(kind) (1u << (kind))
#define KIND_ALL (~0u)
extern const struct check_case check_common_cases[], check_source_cases[], check_sink_cases[], check_other_cases[]; // end in a NULL name

// End the case.
_Noreturn void check_fail(struct checking *k, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
_Noreturn void check_skip(struct checking *k, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
// What the plugin is called for now: a crash is reported with it.
void check_step(struct checking *k, const char *step);
// The parent looks at t->batch; a fault ends the case as failed, naming `when`.
void check_batch(struct checking *k, const char *when);
// A fresh region at a fresh address for the next batch; the one before is not there any more.
void check_region(struct checking *k);
// t->batch, written and well formed, as the plugin may only read it; and gone again.
void check_region_read_only(struct checking *k);
void check_region_gone(struct checking *k);

// t, not yet open, every batch of which the parent sees first.
void check_new(struct checking *k);
// A new instance, open; without options, an instance that does not open skips the case, with options it fails it.
void check_open(struct checking *k);
void check_open_at(struct checking *k, const struct cn_stored_position *positions, size_t n); // with stored positions
void check_close(struct checking *k);
// Fails the case when the plugin broke a rule of host.h on the way.
void check_manners(struct checking *k);
// An op failed: it must have said why.
void check_said_why(struct checking *k, const char *op);
int64_t check_now_ms(void);

#endif
