// SPDX-License-Identifier: Apache-2.0
#include "runtime/failure.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *error_stage_name(enum error_stage s) {
    static const char *const names[] = {"TASK_POLL",       "TASK_PUT",         "TRANSFORMATION", "KEY_CONVERTER",
                                        "VALUE_CONVERTER", "HEADER_CONVERTER", "KAFKA_PRODUCE",  "KAFKA_CONSUME"};
    return names[s];
}

bool error_stage_converts(enum error_stage s) { return s == STAGE_KEY_CONVERTER || s == STAGE_VALUE_CONVERTER || s == STAGE_HEADER_CONVERTER; }

int failure_set(struct failure *f, enum cn_fail_class c, const char *hint, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    f->fail_class = c;
    vsnprintf(f->text, sizeof(f->text), fmt, ap);
    va_end(ap);
    snprintf(f->hint, sizeof(f->hint), "%s", hint ? hint : "");
    return -1;
}

int failure_plugin(struct failure *f, struct instance *i, const char *op) {
    struct instance_failure why;
    instance_failed(i, op, &why);
    return failure_set(f, why.fail_class, why.hint, "%s", why.text);
}

int failure_err(struct failure *f, const struct err *err, enum cn_fail_class otherwise) {
    bool transient = err_retriable(err) || err->code == ERR_IO || err->code == ERR_FENCED;
    enum cn_fail_class c = transient ? CN_FAIL_TRANSIENT : err->code == ERR_CORRUPT ? CN_FAIL_LOST_DATA : otherwise;
    return failure_set(f, c, err->hint, "%s", err->msg);
}

int failure_starved(struct failure *f) {
    f->fail_class = CN_FAIL_TRANSIENT;
    f->hint[0] = 0;
    return failure_wrap(f, "out of memory");
}

int failure_wrap(struct failure *f, const char *fmt, ...) {
    char all[2 * sizeof(f->text)];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(all, sizeof(f->text), fmt, ap);
    va_end(ap);
    size_t n = strlen(all), m = strlen(f->text);
    memcpy(all + n, ": ", 2);
    memcpy(all + n + 2, f->text, m < sizeof(all) - n - 3 ? m + 1 : sizeof(all) - n - 3);
    memcpy(f->text, all, sizeof(f->text) - 1);
    f->text[sizeof(f->text) - 1] = 0;
    return -1;
}
