// SPDX-License-Identifier: Apache-2.0
// Any bytes as a TCP stream of syslog, read in one piece and in pieces of any size: the same frames come out, each becomes a record,
// and every byte of every record lies in the batch. Byte 0 chooses the size of pieces, byte 1 the longest message.
#include <stdlib.h>

#include <connectd/json.h>

#include "record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct sums { size_t frames, bytes; uint64_t hash; };

static void add_frame(struct sums *s, const struct frame *f) {
    s->frames++;
    s->bytes += f->n;
    for (size_t i = 0; i < f->n; i++) s->hash = (s->hash ^ (uint8_t)f->p[i]) * 0x100000001b3u;
    s->hash = (s->hash ^ (f->truncated | f->incomplete << 1 | 4)) * 0x100000001b3u;
}

// Every byte the cells refer to is read by writing the record as JSON.
static void record_frame(struct recorder *r, const struct frame *f) {
    static uint64_t memory[1 << 17];
    struct cn_batch b;
    struct peer peer;
    struct cn_json j = {0};
    peer_set(&peer, TRANSPORT_TCP, NULL);
    cn_batch_init(&b, memory, sizeof memory, NULL, NULL);
    recorder_begin(r, &b);
    recorder_add(r, &b, &peer, f, 1768046400000000);
    if (b.failed) return;
    cn_json_record(&j, &b, cn_record_at(&b, 0));
    if (j.failed) abort();
    cn_json_done(&j);
}

static struct sums read_stream(const char *p, size_t n, size_t step, uint32_t max, struct recorder *r) {
    struct framing framing = {.max = max};
    struct sums sums = {0};
    char *held = malloc(n + 1);
    size_t held_n = 0, fed = 0;
    for (bool eof = false; !eof;) {
        size_t piece = n - fed < step ? n - fed : step, used = 0, at = 0;
        struct frame f;
        eof = fed == n;
        if (piece) memcpy(held + held_n, p + fed, piece);
        held_n += piece;
        fed += piece;
        while (framing_next(&framing, held + at, held_n - at, eof, &f, &used)) {
            if (used == 0 || f.n > max) abort();
            add_frame(&sums, &f);
            if (r) record_frame(r, &f);
            at += used;
        }
        at += used;
        memmove(held, held + at, held_n -= at);
        if (held_n > (eof ? 0 : framing_hold(&framing))) abort();
    }
    free(held);
    return sums;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct recorder recorder;
    if (!recorder.schema && recorder_init(&recorder, &(struct record_options){.topic = "t"}) != 0) abort();
    if (size < 2) return 0;
    uint32_t max = 16u + data[1];
    struct sums whole = read_stream((const char *)data + 2, size - 2, size, max, &recorder);
    struct sums pieces = read_stream((const char *)data + 2, size - 2, 1u + data[0], max, NULL);
    if (whole.frames != pieces.frames || whole.bytes != pieces.bytes || whole.hash != pieces.hash) abort();
    return 0;
}
