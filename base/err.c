// SPDX-License-Identifier: Apache-2.0
// The error value: filling, wrapping, and the table of codes.
#include "base/err.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name, *text;
    enum err_class class;
} codes[] = {
#define ERR_ROW(name, class, text) [ERR_##name] = {#name, text, ERR_CLASS_##class},
    ERR_CODES(ERR_ROW)
#undef ERR_ROW
};

// errno values that have a code of their own; all others are ERR_IO.
static const struct {
    int sys;
    enum err_code code;
} sys_codes[] = {
    {EAGAIN, ERR_AGAIN},
    {EINTR, ERR_AGAIN},
    {ENOMEM, ERR_NOMEM},
    {EMFILE, ERR_AGAIN},
    {ENFILE, ERR_AGAIN},
    {ETIMEDOUT, ERR_TIMEOUT},
    {ECANCELED, ERR_CANCELLED},
    {ENOSPC, ERR_NOSPACE},
    {EDQUOT, ERR_NOSPACE},
    {EBUSY, ERR_BUSY},
    {EADDRINUSE, ERR_BUSY},
    {ECONNREFUSED, ERR_NETWORK},
    {ECONNRESET, ERR_NETWORK},
    {ECONNABORTED, ERR_NETWORK},
    {EPIPE, ERR_NETWORK},
    {ENETUNREACH, ERR_NETWORK},
    {EHOSTUNREACH, ERR_NETWORK},
    {ENETDOWN, ERR_NETWORK},
    {EINVAL, ERR_INVALID},
    {ENAMETOOLONG, ERR_INVALID},
    {ENOTDIR, ERR_INVALID},
    {EISDIR, ERR_INVALID},
    {ELOOP, ERR_INVALID},
    {EFBIG, ERR_TOO_LARGE},
    {ENOENT, ERR_NOT_FOUND},
    {EEXIST, ERR_EXISTS},
    {ENOTEMPTY, ERR_EXISTS},
    {EOPNOTSUPP, ERR_UNSUPPORTED},
    {ENOSYS, ERR_UNSUPPORTED},
    {EACCES, ERR_DENIED},
    {EPERM, ERR_DENIED},
    {EROFS, ERR_DENIED},
};

int err_set(struct err *err, enum err_code code, const char *fmt, ...) {
    if (!err) return -1;
    va_list ap;
    va_start(ap, fmt);
    char msg[sizeof(err->msg)]; // the arguments may point into err itself
    vsnprintf(msg, sizeof(msg), fmt, ap);
    va_end(ap);
    memcpy(err->msg, msg, sizeof(msg));
    err->code = code;
    err->sys = 0;
    err->hint[0] = 0;
    return -1;
}

static enum err_code code_of_sys(int sys) {
    for (size_t i = 0; i < sizeof(sys_codes) / sizeof(sys_codes[0]); i++)
        if (sys_codes[i].sys == sys) return sys_codes[i].code;
    return ERR_IO;
}

// The system's text with a small first letter, as our messages are; acronyms ("RPC: ...") are left alone.
static void sys_text(int sys, char *out, size_t cap) {
    char room[128];
    const char *text = strerror_r(sys, room, sizeof(room));
    snprintf(out, cap, "%s", text);
    if (out[0] >= 'A' && out[0] <= 'Z' && !(out[1] >= 'A' && out[1] <= 'Z')) out[0] |= 0x20;
}

int err_sys(struct err *err, int sys, const char *fmt, ...) {
    if (!err) return -1;
    va_list ap;
    va_start(ap, fmt);
    char what[sizeof(err->msg)], why[128];
    vsnprintf(what, sizeof(what), fmt, ap);
    va_end(ap);
    sys_text(sys, why, sizeof(why));
    // The reason must survive a long path: cut the front part, not the end.
    err_set(err, code_of_sys(sys), "%.*s: %s", (int)(sizeof(err->msg) - strlen(why) - 3), what, why);
    err->sys = sys;
    return -1;
}

int err_wrap(struct err *err, const char *fmt, ...) {
    if (!err) return -1;
    va_list ap;
    va_start(ap, fmt);
    char msg[sizeof(err->msg)];
    int n = vsnprintf(msg, sizeof(msg), fmt, ap);
    va_end(ap);
    if (n < 0) return -1;
    size_t used = (size_t)n < sizeof(msg) ? (size_t)n : sizeof(msg) - 1;
    size_t room = sizeof(msg) - used;
    if (room > 3) snprintf(msg + used, room, ": %.*s", (int)room - 3, err->msg);
    memcpy(err->msg, msg, sizeof(msg));
    return -1;
}

int err_hint(struct err *err, const char *fmt, ...) {
    if (!err) return -1;
    va_list ap;
    va_start(ap, fmt);
    char hint[sizeof(err->hint)];
    vsnprintf(hint, sizeof(hint), fmt, ap);
    va_end(ap);
    memcpy(err->hint, hint, sizeof(hint));
    return -1;
}

const char *err_text(enum err_code code) { return (unsigned)code < ERR_CODE_COUNT ? codes[code].text : "unknown error"; }

const char *err_name(enum err_code code) { return (unsigned)code < ERR_CODE_COUNT ? codes[code].name : "UNKNOWN"; }

enum err_class err_class_of(enum err_code code) {
    return (unsigned)code < ERR_CODE_COUNT ? codes[code].class : ERR_CLASS_FATAL;
}
