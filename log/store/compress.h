// SPDX-License-Identifier: Apache-2.0
// The codecs of a record batch's body, one row each: whole blocks in, whole blocks out.
//
// Contexts of the libraries are kept per thread and freed when it ends. Decompression is streaming and stops at a bound, so that
// hostile input costs at most what compress_bound_of allows, whatever sizes it claims.
#ifndef STORE_COMPRESS_H
#define STORE_COMPRESS_H

#include "base/buf.h"
#include "base/err.h"
#include "store/batch.h"

enum {
    COMPRESS_RATIO = 1024,             // a block may expand this many times,
    COMPRESS_ALWAYS = 16 * 1024 * 1024 // or to this, whichever is more
};
// The most that n compressed bytes may expand to.
static inline size_t compress_bound_of(size_t n) {
    return n > COMPRESS_ALWAYS / COMPRESS_RATIO ? n * COMPRESS_RATIO : COMPRESS_ALWAYS;
}

// Appends the compressed form of p[0..n) to out. Levels are Kafka's: gzip 1 to 9, lz4 1 to 17 (9 is the fast mode), zstd up to 22 and below 0;
// 0 is the codec's default, and snappy has none. ERR_UNSUPPORTED names a codec that is not built in.
int compress_block(enum codec codec, int level, const void *p, size_t n, struct buf *out, struct err *err) MUST_USE;
// Appends the expanded form of p[0..n), which must be exactly one whole stream of the codec (gzip, lz4, zstd: frames may follow each
// other). ERR_TOO_LARGE past max_bytes or past compress_bound_of(n); ERR_CORRUPT when the stream is damaged or cut.
int decompress_block(enum codec codec, const void *p, size_t n, struct buf *out, size_t max_bytes, struct err *err) MUST_USE;

#endif
