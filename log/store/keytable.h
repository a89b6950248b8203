// SPDX-License-Identifier: Apache-2.0
// From keys to their last offset, in bounded memory: 24 bytes a slot, by a 128-bit hash with a secret (SipHash-2-4), so that nobody can
// choose keys that collide. All of it is reserved at once and never grows; pages that no key touched cost nothing. One thread.
#ifndef STORE_KEYTABLE_H
#define STORE_KEYTABLE_H

#include "base/err.h"
#include "base/str.h"

struct keytable;
struct keytable *keytable_new(size_t max_bytes, struct err *err); // keys fill four fifths of it, two at least; NULL: no memory
void keytable_free(struct keytable *t);
bool keytable_put(struct keytable *t, struct str key, int64_t offset); // the largest offset stays; false: no room for another key
int64_t keytable_get(const struct keytable *t, struct str key);        // -1 absent
size_t keytable_count(const struct keytable *t);

// For its test: the published function, 16-byte key, 16-byte result.
void siphash128(const uint8_t secret[16], const void *p, size_t n, uint64_t ret[2]);

#endif
