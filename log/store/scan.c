// SPDX-License-Identifier: Apache-2.0
// A committed read: one partition_read at a time, its batches in turn, skipping what an aborted transaction wrote.
//
// Which batches are aborted is known from the list of transactions that overlap what was read: a batch belongs to one when it is
// transactional, of its producer id, and not before its first offset; the list's entry ends at that producer's ABORT marker.
#include "store/scan.h"

#include <stdlib.h>

enum { READ_BYTES = 1024 * 1024, MAX_BATCH = 256 * 1024 * 1024 };

void scan_init(struct scan *s, struct partition *p, int64_t from) {
    struct partition_offsets o;
    partition_offsets(p, &o);
    if (from < o.log_start) from = o.log_start;
    *s = (struct scan){.partition = p, .next = from, .from = from};
}

void scan_done(struct scan *s) {
    buf_done(&s->bytes);
    buf_done(&s->scratch);
    free(s->aborted);
    *s = (struct scan){0};
}

// Reads the next bytes: 1 something, 0 nothing there, -1 failed.
static int fill(struct scan *s, struct err *err) {
    const struct read_request r = {.from = s->next, .max_bytes = s->read_bytes ? s->read_bytes : READ_BYTES, .isolation = READ_COMMITTED};
    struct read_result got;
    struct aborted_txn *aborted = NULL;
    size_t aborted_n = 0;
    buf_clear(&s->bytes);
    s->at = 0;
    if (partition_read(s->partition, &r, &s->bytes, &got, err) < 0) return -1;
    if (!got.n) return 0;
    if (partition_aborted(s->partition, s->next, got.next, &aborted, &aborted_n, err) < 0) {
        buf_clear(&s->bytes); // nobody could tell what of it is aborted
        return -1;
    }
    free(s->aborted);
    s->aborted = aborted;
    s->aborted_n = aborted_n;
    return 1;
}

// Does the batch belong to an aborted transaction? Its ABORT marker takes the transaction off the list.
static bool is_aborted(struct scan *s, const struct batch_header *h, const void *p, size_t n) {
    struct batch_marker m;
    bool ends = h->attributes & BATCH_CONTROL && batch_marker_read(p, n, &m) == 0 && !m.commit_txn;
    if (!(h->attributes & BATCH_TRANSACTIONAL)) return false;
    for (size_t i = 0; i < s->aborted_n; i++) {
        if (s->aborted[i].producer_id != h->producer_id || s->aborted[i].first_offset > h->base_offset) continue;
        if (ends) s->aborted[i].producer_id = -1;
        return true;
    }
    return false;
}

// Opens the next batch in `bytes` that has records to hand out: 1, 0 none left, -1.
static int next_batch(struct scan *s, struct err *err) {
    while (s->at < s->bytes.n) {
        struct batch_header h;
        const uint8_t *p = s->bytes.p + s->at;
        if (batch_read_header(p, s->bytes.n - s->at, &h) != 0) return err_set(err, ERR_CORRUPT, "offset %lld: no whole batch", (long long)s->next);
        size_t n = batch_size(&h);
        s->last = batch_last_offset(&h);
        if (is_aborted(s, &h, p, n) || h.attributes & BATCH_CONTROL || s->last < s->next) {
            s->at += n;
            if (s->last >= s->next) s->next = s->last + 1;
            continue;
        }
        if (record_iter_init(&s->it, p, n, &s->scratch, s->max_batch ? s->max_batch : MAX_BATCH, err) < 0) return -1;
        s->at += n;
        s->in_batch = true;
        return 1;
    }
    return 0;
}

int scan_next(struct scan *s, struct record *ret, struct err *err) {
    for (;;) {
        int got = s->in_batch ? record_iter_next(&s->it, ret, err) : 0;
        if (got < 0) return -1;
        if (got > 0 && ret->offset < s->from) continue;
        if (got > 0) {
            s->next = ret->offset + 1;
            return 1;
        }
        if (s->in_batch) s->next = s->last + 1;
        s->in_batch = false;
        got = next_batch(s, err);
        if (!got) got = fill(s, err);
        if (got <= 0) return got;
    }
}
