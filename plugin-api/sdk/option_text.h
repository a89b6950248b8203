/* SPDX-License-Identifier: Apache-2.0 */
/* Option texts to typed values, by the rows of a component: what a host without a daemon needs.
 *
 * An option_set belongs to one thread; the values it gives live until option_set_done. libc and connectd headers only. */
#ifndef CONNECTD_SDK_OPTION_TEXT_H
#define CONNECTD_SDK_OPTION_TEXT_H

#include <connectd/plugin.h>

struct option_set {
    const struct cn_option *rows;
    uint32_t n;
    struct cn_option_value *values; /* one a row */
    void **owned;                   /* every allocation behind the values */
    size_t owned_n, owned_cap;
    char error[512];                /* of the last failure */
};

/* An empty set over static rows. */
void option_set_init(struct option_set *s, const struct cn_option *rows, uint32_t n);
/* Takes one option as the user wrote it; aliases and keys below a MAP's prefix count. 0, or -1 with `error`: unknown (with
   "did you mean"), refused, or not of its type or range. */
int option_set_put(struct option_set *s, const char *name, const char *text);
/* "key=value" in one text. */
int option_set_pair(struct option_set *s, const char *pair);
/* Fills defaults; -1 with `error` when a required option has no value. Call once, after the puts. */
int option_set_finish(struct option_set *s);
/* The value of a row's name, or NULL when no row has it. */
const struct cn_option_value *option_set_get(const struct option_set *s, const char *name);
void option_set_done(struct option_set *s);
/* "string", "int", … for messages. */
const char *option_type_name(uint8_t type);

#endif
