// SPDX-License-Identifier: Apache-2.0
// Frames of the commit journal.
#include "frame.h"

#include "edit.h"

static const char MAGIC[4] = "CNJF";
enum { AT_CRC = 4, AT_VERSION = 8, AT_LAP = 12, AT_SEQ = 16, AT_TIME = 24, AT_RECORDS = 32, AT_DATA = 36, AT_RECORDS_CRC = 40 };

static uint32_t salt_of(struct uuid journal, uint32_t lap) {
    uint8_t be[4];
    put_be32(be, lap);
    return crc32c(crc32c(0, journal.b, sizeof(journal.b)), be, sizeof(be));
}

void frame_begin(struct buf *out) { buf_fill(out, 0, FRAME_HEADER); }

void frame_end(struct buf *out, struct uuid journal, uint32_t lap, uint64_t seq, int64_t time_ms, uint32_t data_n) {
    uint32_t salt = salt_of(journal, lap), records_n = (uint32_t)(out->n - FRAME_HEADER);
    uint8_t *p = out->p;
    memcpy(p, MAGIC, sizeof(MAGIC));
    put_be16(p + AT_VERSION, FRAME_VERSION);
    put_be32(p + AT_LAP, lap);
    put_be64(p + AT_SEQ, seq);
    put_be64(p + AT_TIME, (uint64_t)time_ms);
    put_be32(p + AT_RECORDS, records_n);
    put_be32(p + AT_DATA, data_n);
    put_be32(p + AT_RECORDS_CRC, crc32c(salt, p + FRAME_HEADER, records_n));
    put_be32(p + AT_CRC, crc32c(salt, p + AT_VERSION, FRAME_HEADER - AT_VERSION));
}

bool frame_header_read(const void *bytes, size_t n, struct uuid journal, struct frame *ret) {
    const uint8_t *p = bytes;
    if (n < FRAME_HEADER || memcmp(p, MAGIC, sizeof(MAGIC)) != 0) return false;
    uint32_t lap = get_be32(p + AT_LAP);
    if (get_be32(p + AT_CRC) != crc32c(salt_of(journal, lap), p + AT_VERSION, FRAME_HEADER - AT_VERSION)) return false;
    *ret = (struct frame){
        .lap = lap,
        .seq = get_be64(p + AT_SEQ),
        .time_ms = (int64_t)get_be64(p + AT_TIME),
        .records_n = get_be32(p + AT_RECORDS),
        .data_n = get_be32(p + AT_DATA),
        .records_crc = get_be32(p + AT_RECORDS_CRC),
    };
    return get_be16(p + AT_VERSION) == FRAME_VERSION;
}

bool frame_records_match(const struct frame *f, struct uuid journal, const void *p) {
    return crc32c(salt_of(journal, f->lap), p, f->records_n) == f->records_crc;
}

bool frame_data_match(const struct frame *f, struct cur records, const void *data) {
    struct cur left = cur_of(data, f->data_n);
    struct edit e;
    struct err err;
    int more;
    while ((more = edit_next(&records, &e, &err)) > 0) {
        if (e.kind != EDIT_RANGE || !e.flag) continue;
        const uint8_t *p = e.size <= cur_left(&left) ? cur_take(&left, (size_t)e.size) : NULL;
        if (!p || crc32c(e.crc_before, p, (size_t)e.size) != e.crc) return false;
    }
    return more == 0 && cur_done(&left);
}
