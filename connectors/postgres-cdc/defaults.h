/* SPDX-License-Identifier: Apache-2.0 */
/* A column's DEFAULT expression as the catalog prints it → the text of a constant, where it is one.
 *
 * Debezium's rules: literals with or without a cast are taken, function calls and CURRENT_… give a placeholder of the type,
 * other types and expressions have no default. Pure. */
#ifndef DEFAULTS_H
#define DEFAULTS_H

#include "types.h"

/* Writes the constant's text to out[0..cap). Its length, or -1 when there is none to show. `is_enum` tells that `type` is
   an enum. */
int64_t default_text(const char *expression, const char *type, int is_enum, char *out, size_t cap);

#endif
