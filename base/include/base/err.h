// SPDX-License-Identifier: Apache-2.0
// One error value: a code with its class, the system errno, a message that gains context on its way up, and a hint.
//
// An err lives on the caller's stack. A fallible function returns 0 or -1 and takes `struct err *err` as its last
// parameter; it fills err only when it fails, and leaves its other outputs untouched then. Library code never logs.
// Messages are lower case without a full stop and name the thing and the value: `segment 00000000000000000042.log: ...`.
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <stdarg.h>
#include <stdbool.h>

enum err_class {
    ERR_CLASS_RETRIABLE, // the same call may succeed later
    ERR_CLASS_DATA,      // these bytes or this argument are wrong; others may be right
    ERR_CLASS_FATAL,     // the thing it was done to can not go on
};

// code, class, text
#define ERR_CODES(X)                                                        \
    X(NONE, RETRIABLE, "no error")                                          \
    X(AGAIN, RETRIABLE, "try again")                                        \
    X(TIMEOUT, RETRIABLE, "timed out")                                      \
    X(CANCELLED, RETRIABLE, "cancelled")                                    \
    X(NOSPACE, RETRIABLE, "no space left")                                  \
    X(BUSY, RETRIABLE, "in use")                                            \
    X(NETWORK, RETRIABLE, "network error")                                  \
    X(NOMEM, RETRIABLE, "out of memory")                                    \
    X(INVALID, DATA, "invalid")                                             \
    X(TOO_LARGE, DATA, "too large")                                         \
    X(NOT_FOUND, DATA, "not found")                                         \
    X(EXISTS, DATA, "already exists")                                       \
    X(OUT_OF_RANGE, DATA, "out of range")                                   \
    X(SEQUENCE, DATA, "out of order sequence")                              \
    X(FENCED, DATA, "fenced by a newer epoch")                              \
    X(TXN_STATE, DATA, "invalid transaction state")                         \
    X(UNSUPPORTED, DATA, "not supported")                                   \
    X(DENIED, DATA, "permission denied")                                    \
    X(AUTH, DATA, "authentication failed")                                  \
    X(CORRUPT, FATAL, "damaged data")                                       \
    X(IO, FATAL, "i/o error")                                               \
    X(STOPPED, FATAL, "stopped")                                            \
    X(INTERNAL, FATAL, "internal error")

#define ERR_ENUM(name, class, text) ERR_##name,
enum err_code { ERR_CODES(ERR_ENUM) ERR_CODE_COUNT };
#undef ERR_ENUM

struct err {
    enum err_code code;
    int sys;         // errno at the failure, or 0
    char msg[512];   // always terminated
    char hint[256];  // what to do about it, or ""
};

// Fills *err (which may be NULL) and returns -1, so that `return err_set(...)` reads as one step.
int err_set(struct err *err, enum err_code code, const char *fmt, ...) __attribute__((format(printf, 3, 4), cold));

// As err_set, with the code derived from the errno value `sys` and its text appended: "open /x: permission denied".
int err_sys(struct err *err, int sys, const char *fmt, ...) __attribute__((format(printf, 3, 4), cold));

// Prefixes context: err_wrap(err, "topic %s", name) makes "topic orders: <old message>". Returns -1.
int err_wrap(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3), cold));

// Sets the hint. Returns -1.
int err_hint(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3), cold));

// The code's short text ("no space left") and name ("NOSPACE").
const char *err_text(enum err_code code);
const char *err_name(enum err_code code);
enum err_class err_class_of(enum err_code code);
static inline bool err_retriable(const struct err *err) { return err_class_of(err->code) == ERR_CLASS_RETRIABLE; }

#define MUST_USE __attribute__((warn_unused_result))

#endif
