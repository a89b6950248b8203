// SPDX-License-Identifier: Apache-2.0
// A record as one line of the output: JSON of its value, JSON of all of it, or its bytes as they are. Pure.
#ifndef FILE_JSONLINE_H
#define FILE_JSONLINE_H

#include <connectd/json.h>

enum line_content { CONTENT_VALUE, CONTENT_RECORD, CONTENT_RAW };

// Appends the line and its LF. 0, or -1 and nothing appended when the value can not be written (nested too deeply).
int jsonline_add(struct cn_json *to, const struct cn_batch *b, const struct cn_record *r, enum line_content content);

#endif
