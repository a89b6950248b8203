// SPDX-License-Identifier: Apache-2.0
// A connector's private folder for spilling, with a byte quota shared by its tasks. Thread-safe.
#ifndef PLUGIN_SPOOL_H
#define PLUGIN_SPOOL_H

#include <stdint.h>

#include "base/err.h"

struct spool;
// root/connector (bytes outside [A-Za-z0-9._-] as %XX), made when first asked for. What lies there counts from the start.
struct spool *spool_new(const char *root, const char *connector, int64_t max_bytes);
void spool_free(struct spool *s); // the folder stays
const char *spool_dir(struct spool *s, struct err *err); // NULL on failure; mode 0700
// Accounts delta bytes (negative gives back): 0, or -1 when it would pass the quota.
int spool_account(struct spool *s, int64_t delta);
int64_t spool_used(struct spool *s);
// Removes the folder of a connector that is deleted.
int spool_remove(const char *root, const char *connector, struct err *err) MUST_USE;

#endif
