// SPDX-License-Identifier: Apache-2.0
// Any bytes as a record batch, under any checksum: checked, iterated with every codec, read as an end marker. And as a producer snapshot.
#include <stdlib.h>

#include "base/hash.h"
#include "base/mem.h"
#include "../../log/store/producers.h" // private to the store
#include "store/batch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_batch(const uint8_t *p, size_t n) {
    struct batch_header h;
    struct batch_marker m;
    struct buf scratch = {0};
    struct record_iter it;
    struct record r;
    struct record_header rh;
    struct err err;
    int64_t last = -1;
    if (batch_check(p, n, true, &h, &err) < 0) return;
    batch_marker_read(p, n, &m);
    if (record_iter_init(&it, p, n, &scratch, 1 << 22, &err) == 0) {
        while (record_iter_next(&it, &r, &err) > 0) {
            if (r.offset <= last || r.offset > batch_last_offset(&h)) abort();
            last = r.offset;
            uint32_t headers = 0;
            while (record_header_next(&r, &rh)) headers++;
            if (headers != r.header_count) abort();
        }
    }
    buf_done(&scratch);
}

static void read_snapshot(uint8_t *p, size_t n) {
    struct producers *s = producers_new();
    struct err err;
    if (n >= 6) put_be32(p + 2, crc32c(0, p + 6, n - 6));
    if (producers_load(s, p, n, 0, &err) == 0) {
        struct buf again = {0};
        struct producers *t = producers_new();
        producers_snapshot(s, &again);
        if (producers_load(t, again.p, again.n, 0, &err) < 0) abort();
        if (producers_count(s) != producers_count(t) || producers_last_stable(s, 0) != producers_last_stable(t, 0)) abort();
        producers_free(t);
        buf_done(&again);
    }
    producers_free(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint8_t *copy = xmemdup(data, size);
    struct batch_header h;
    batch_read_header(copy, size, &h);
    if (size >= BATCH_HEADER) put_be32(copy + 8, (uint32_t)(size - 12)); // the length is right more often than by chance
    read_batch(copy, size);
    memcpy(copy, data, size);
    read_snapshot(copy, size);
    free(copy);
    return 0;
}
