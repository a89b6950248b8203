// SPDX-License-Identifier: Apache-2.0
// The store's small text files: meta.properties (Kafka's, with our format's version) and the marker of a clean shutdown.
#ifndef STORE_META_H
#define STORE_META_H

#include "store_int.h"

enum { STORE_FORMAT = 1 };
#define META_NAME "meta.properties"
#define CLEAN_NAME ".connectd_cleanshutdown"

// ERR_NOT_FOUND when absent; ERR_UNSUPPORTED for a newer format; ERR_CORRUPT.
int meta_read(struct store *s, struct err *err) MUST_USE;
// New ids; durable when it returns 0.
int meta_create(struct store *s, struct err *err) MUST_USE;
// Writes what was read anew: a process that made the store may have failed to make its name durable.
int meta_settle(struct store *s, struct err *err) MUST_USE;

// The marker says with which checkpoint the store was closed.
int clean_write(struct store *s, const struct checkpoint *c, struct err *err) MUST_USE;
// Reads it and takes it away, durably. *ret: there was one, and it names this checkpoint.
int clean_take(struct store *s, const struct checkpoint *c, bool *ret, struct err *err) MUST_USE;

#endif
