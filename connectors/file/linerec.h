// SPDX-License-Identifier: Apache-2.0
// From a line in the batch to its record. The line's bytes lie in the batch already (that is where the file was read to), so that a line
// costs its record, two headers and no copy.
//
// One a task, on its thread; linerec_begin before the first line of every batch.
#ifndef FILE_LINEREC_H
#define FILE_LINEREC_H

#include <connectd/build.h>

#include "lines.h"

enum line_format { LINE_STRING, LINE_BYTES, LINE_STRUCT };
enum line_key { LINE_KEY_NONE, LINE_KEY_PATH };

struct linerec_options {
    const char *topic;
    enum line_format format;
    enum line_key key;
    bool headers;
};

// The text of a file's path, once a batch.
struct line_path {
    const char *text;
    uint64_t batch;
    struct cn_text shared;
};

struct linerec {
    struct linerec_options options;
    struct cn_schema_blob *schema;
    uint64_t batch;
    uint32_t topic;
    uint16_t value_schema;
    struct cn_text path_name, offset_name;
    int64_t lines, bytes, truncated, invalid; // since the task's start
};

int linerec_init(struct linerec *r, const struct linerec_options *options); // -1: out of memory
void linerec_done(struct linerec *r);
void linerec_begin(struct linerec *r, struct cn_batch *b);
// Adds the record of the line that starts at `at` in the batch, `offset` in the file.
void linerec_add(struct linerec *r, struct cn_batch *b, struct line_path *path, const struct line *line, cn_off at, int64_t offset);

#endif
