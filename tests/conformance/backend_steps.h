// SPDX-License-Identifier: Apache-2.0
// What the cases do again and again; each step fails the case when it does not succeed.
#ifndef BACKEND_STEPS_H
#define BACKEND_STEPS_H

#include <stdatomic.h>

#include "backend_engines.h"

enum { BIG = 1000000 }; // bytes of a value: just below the default max.message.bytes

struct answer {
    atomic_int done;
    enum err_code code;
};
void answered(void *arg, const struct err *err); // a producer_done; arg is a struct answer
void wait_answer(struct answer *a, int times);

void make_topic(struct backend *b, const char *name, int32_t partitions);
struct producer *make_producer(struct backend *b, const char *id);
void add(struct backend *b, struct producer *p, const char *topic, int32_t partition, const char *key, const char *value); // waits while the backend says AGAIN
enum err_code commit(struct backend *b, struct producer *p); // and waits

struct consumer *make_consumer(struct backend *b, const struct consumer_options *o);
struct consumer *from_beginning(struct backend *b, const char *topic);
// Appends "partition@offset:key=value\n" of the next `want` records.
void read_text(struct backend *b, struct consumer *c, size_t want, struct buf *out);
void assert_empty(struct backend *b, struct consumer *c); // nothing comes
void assert_positions(struct backend *b, const char *connector, const char *want);
void assert_offsets(struct backend *b, const char *group, const char *want);

#endif
