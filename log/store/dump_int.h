// SPDX-License-Identifier: Apache-2.0
// The parts of store/dump.h: dump.c knows the kinds of files, dump_log.c batches and their records, dump_line.c what a line looks like.
//
// A line is built once, in one of two forms: `name: value ` pairs or a JSON object. One thread.
#ifndef STORE_DUMP_INT_H
#define STORE_DUMP_INT_H

#include "store/batch.h"
#include "store/dump.h"

enum { DUMP_READ_LIMIT = 1024 * 1024 * 1024 }; // of files that are read whole

struct dump {
    const struct dump_options *o;
    struct dump_result *result;
    const char *path;
    struct buf line;
    struct json_writer json;
};

// text_prefix begins the line in text form, kind is the member "type" in JSON.
void line_begin(struct dump *d, const char *kind, const char *text_prefix);
int line_end(struct dump *d, struct err *err) MUST_USE; // hands it to `write`
void field_int(struct dump *d, const char *name, int64_t v);
void field_bool(struct dump *d, const char *name, bool v);
void field_optional(struct dump *d, const char *name, int64_t v); // < 0 is none
void field_text(struct dump *d, const char *name, struct str s);
void field_bytes(struct dump *d, const char *name, struct str s); // a key or value, cut at max_bytes
void field_path(struct dump *d);
void field_headers(struct dump *d, struct record *r);
// Damage: a line of its own, counted. `at` is a position in the file or the number of an entry.
int line_fault(struct dump *d, const char *what, int64_t at, struct err *err) MUST_USE;

// The file's descriptor and size; the caller closes.
int dump_open(struct dump *d, const char *path, struct fs_file **ret, uint64_t *ret_size, struct err *err) MUST_USE;
// The header of the whole batch at `position`: 1; 0 when none can be there.
int dump_header_at(struct dump *d, struct fs_file *f, uint64_t position, uint64_t size, struct batch_header *h, struct err *err) MUST_USE;
// A file of batches: a segment, or a snapshot of Kafka's metadata.
int dump_log(struct dump *d, struct err *err) MUST_USE;

#endif
