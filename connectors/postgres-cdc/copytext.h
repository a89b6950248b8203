/* SPDX-License-Identifier: Apache-2.0 */
/* One line of COPY … TO STDOUT in text format, split into fields in place.
 *
 * Pure. The line's own bytes are overwritten by the unescaped ones, which are never longer. */
#ifndef COPYTEXT_H
#define COPYTEXT_H

#include "pgtext.h"

/* Splits line[0..n) (with or without its final newline) into exactly `want` fields; a NULL field has p == NULL.
   0, or -1 when the line has another number of fields or ends inside an escape. */
int copytext_split(char *line, size_t n, struct text *fields, uint32_t want);

#endif
