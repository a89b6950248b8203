// SPDX-License-Identifier: Apache-2.0
// Any bytes as a replication stream: messages framed by a length byte pair, between and inside streamed blocks. Every column and
// relation id is read; nothing outside of a message is.
#include <stdlib.h>

#include "pgoutput.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned walk_tuple(struct tuple t) {
    unsigned sum = 0;
    struct text v;
    for (uint32_t i = 0; t.w.p && i < t.columns; i++) {
        uint8_t kind = pgoutput_column(&t, &v);
        if (kind == COLUMN_TEXT || kind == COLUMN_BINARY)
            for (size_t k = 0; k < v.n; k++) sum += (uint8_t)v.p[k];
    }
    if (t.w.p && t.w.p != t.w.end) abort(); // the check and the walk agree
    return sum;
}

static unsigned walk(struct pgoutput *m) {
    unsigned sum = walk_tuple(m->old) + walk_tuple(m->fresh);
    struct relation_column c;
    for (uint32_t i = 0; m->kind == PGOUTPUT_RELATION && i < m->count; i++) {
        if (pgoutput_relation_column(m, &c) != 0) abort();
        for (size_t k = 0; k < c.name.n; k++) sum += (uint8_t)c.name.p[k];
    }
    for (uint32_t i = 0; m->kind == PGOUTPUT_TRUNCATE && i < m->count; i++) sum += pgoutput_truncated(m);
    for (size_t k = 0; k < m->content.n; k++) sum += (uint8_t)m->content.p[k];
    for (size_t k = 0; k < m->name.n; k++) sum += (uint8_t)m->name.p[k];
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    volatile unsigned sum = 0;
    int streamed = 0;
    while (size >= 2) {
        size_t n = (size_t)data[0] << 8 | data[1];
        struct pgoutput m;
        const char *why;
        data += 2;
        size -= 2;
        if (n > size) n = size;
        uint8_t *exact = malloc(n ? n : 1);
        if (!exact) return 0;
        for (size_t i = 0; i < n; i++) exact[i] = data[i];
        if (pgoutput_decode(exact, n, streamed, &m, &why) == 0) {
            sum += walk(&m);
            if (m.kind == PGOUTPUT_STREAM_START) streamed = 1;
            if (m.kind == PGOUTPUT_STREAM_STOP) streamed = 0;
        }
        free(exact);
        data += n;
        size -= n;
    }
    return 0;
}
