// SPDX-License-Identifier: Apache-2.0
// One frame of the commit journal: bytes ↔ header, records and data. Pure; journal.h does the I/O.
//
//   0 magic "CNJF" 4 | 4 header CRC 4, over 8.. | 8 version 2 | 10 reserved 2 | 12 lap 4 | 16 sequence 8 | 24 time ms 8
//   32 length of the records 4 | 36 length of the data 4 | 40 records CRC 4 | 44 reserved 4 | 48 records | data | zeros to 4096
//
// Both CRCs are CRC-32C begun with a salt made of the journal's id and the lap, so that neither an earlier lap's frame nor bytes
// that somebody placed into a record pass for one. The data (inline batches) is covered by the running checksums of the ranges.
// A frame begins on a page: writing one never rewrites a page that holds another.
#ifndef STORE_FRAME_H
#define STORE_FRAME_H

#include "base/buf.h"
#include "base/cur.h"
#include "base/err.h"
#include "base/hash.h"

enum { FRAME_HEADER = 48, FRAME_ALIGN = 4096, FRAME_VERSION = 1 };

struct frame {
    uint32_t lap;
    uint64_t seq;
    int64_t time_ms;
    uint32_t records_n, data_n, records_crc;
};

static inline uint64_t frame_round(uint64_t n) { return (n + FRAME_ALIGN - 1) & ~(uint64_t)(FRAME_ALIGN - 1); }
static inline uint64_t frame_bytes(const struct frame *f) { return frame_round(FRAME_HEADER + (uint64_t)f->records_n + f->data_n); }

// Room for the header at the start of `out` (empty); then put the records; then frame_end, which fills the header. The data and
// zeros up to frame_bytes follow on disk.
void frame_begin(struct buf *out);
void frame_end(struct buf *out, struct uuid journal, uint32_t lap, uint64_t seq, int64_t time_ms, uint32_t data_n);

// Is there a frame's header at p[0..n)? Checks magic and header CRC for this journal (any lap) and fills *ret.
bool frame_header_read(const void *p, size_t n, struct uuid journal, struct frame *ret);
// Do the records p[0..f->records_n) belong to the header?
bool frame_records_match(const struct frame *f, struct uuid journal, const void *p);
// Do the inline ranges match the data? Reads the records; p[0..f->data_n) is the data.
bool frame_data_match(const struct frame *f, struct cur records, const void *p);

#endif
