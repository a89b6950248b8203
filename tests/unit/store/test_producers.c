// SPDX-License-Identifier: Apache-2.0
// Producer state: Kafka's sequence and epoch rules, transactions, undo, snapshots, expiry; and a model with random histories.
#include "producers.h"

#include <stdio.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/text.h"
#include "test.h"

// ── helpers ──────────────────────────────────────────────────────────────────────────────────────────────────────────

static struct batch_header batch(int64_t id, int16_t epoch, int32_t sequence, int32_t count, int64_t offset) {
    return (struct batch_header){
        .base_offset = offset, .length = 100, .magic = 2, .last_offset_delta = count - 1, .max_timestamp = 1000 + offset,
        .producer_id = id, .producer_epoch = epoch, .base_sequence = sequence, .count = count,
    };
}
static struct batch_header txn_batch(int64_t id, int16_t epoch, int32_t sequence, int32_t count, int64_t offset) {
    struct batch_header h = batch(id, epoch, sequence, count, offset);
    h.attributes = BATCH_TRANSACTIONAL;
    return h;
}

static int check(struct producers *p, struct batch_header h, struct err *err) {
    struct producer_batch original;
    return producers_check(p, &h, NULL, &original, err);
}
static void apply(struct producers *p, struct batch_header h) {
    struct producer_end end;
    assert_false(producers_apply(p, &h, NULL, 5000, &end));
}
// Checks, then applies.
static void append(struct producers *p, struct batch_header h) {
    struct err err;
    assert_ok(check(p, h, &err), err);
    apply(p, h);
}
static bool mark_end(struct producers *p, int64_t id, int16_t epoch, bool commit, int64_t offset, struct producer_end *ret) {
    struct batch_header h = txn_batch(id, epoch, -1, 1, offset);
    struct batch_marker m = {commit, 0};
    struct producer_batch original;
    struct err err;
    h.attributes |= BATCH_CONTROL;
    assert_ok(producers_check(p, &h, &m, &original, &err), err);
    return producers_apply(p, &h, &m, 5000, ret);
}

#define assert_refused(p, h, want)                                                                                     \
    do {                                                                                                               \
        struct err refused_ = {0};                                                                                           \
        assert_fails(check(p, h, &refused_), refused_, want);                                                          \
    } while (0)

// ── sequences ────────────────────────────────────────────────────────────────────────────────────────────────────────

TEST(a_batch_without_a_producer_id_is_no_concern) {
    struct producers *p = producers_new();
    append(p, batch(-1, -1, -1, 10, 0));
    assert_int_equal(producers_count(p), 0);
    producers_free(p);
}

TEST(a_sequence_goes_on_by_one) {
    struct producers *p = producers_new();
    append(p, batch(1, 0, 0, 10, 0));
    append(p, batch(1, 0, 10, 5, 10));
    assert_refused(p, batch(1, 0, 16, 1, 15), ERR_SEQUENCE); // a gap
    assert_refused(p, batch(1, 0, 14, 1, 15), ERR_SEQUENCE); // an overlap
    assert_refused(p, batch(1, 0, 0, 9, 15), ERR_SEQUENCE);  // not exactly a former batch
    assert_refused(p, batch(1, 0, 5, 5, 15), ERR_SEQUENCE);
    assert_refused(p, batch(1, 0, -1, 1, 15), ERR_SEQUENCE);
    append(p, batch(1, 0, 15, 1, 15));
    producers_free(p);
}

TEST(an_unknown_producer_may_begin_anywhere) {
    struct producers *p = producers_new();
    append(p, batch(1, 3, 77, 1, 0));
    append(p, batch(1, 3, 78, 1, 1));
    producers_free(p);
}

TEST(a_new_epoch_begins_at_zero_and_fences_the_old) {
    struct producers *p = producers_new();
    append(p, batch(1, 3, 0, 10, 0));
    assert_refused(p, batch(1, 4, 10, 1, 10), ERR_SEQUENCE);
    append(p, batch(1, 4, 0, 1, 10));
    assert_refused(p, batch(1, 3, 10, 1, 11), ERR_FENCED);
    assert_refused(p, batch(1, 3, 0, 10, 11), ERR_FENCED); // also what was a duplicate
    producers_free(p);
}

TEST(the_last_five_batches_are_known_as_duplicates) {
    struct producers *p = producers_new();
    struct err err;
    for (int i = 0; i < 6; i++) append(p, batch(1, 0, i * 10, 10, 100 + i * 10));
    assert_refused(p, batch(1, 0, 0, 10, 200), ERR_SEQUENCE); // the sixth is forgotten
    for (int i = 1; i < 6; i++) {
        struct producer_batch original;
        struct batch_header h = batch(1, 0, i * 10, 10, 500);
        assert_int_equal(producers_check(p, &h, NULL, &original, &err), 1);
        assert_int_equal(original.last_offset - original.delta, 100 + i * 10);
        assert_int_equal(original.timestamp, 1100 + i * 10);
    }
    producers_free(p);
}

TEST(sequences_wrap_after_the_largest) {
    struct producers *p = producers_new();
    struct producer_batch original;
    struct err err;
    append(p, batch(1, 0, INT32_MAX - 4, 3, 0)); // … MAX-2
    append(p, batch(1, 0, INT32_MAX - 1, 4, 3)); // MAX-1, MAX, 0, 1
    struct batch_header again = batch(1, 0, INT32_MAX - 1, 4, 3);
    assert_int_equal(producers_check(p, &again, NULL, &original, &err), 1);
    assert_int_equal(original.last_offset, 6);
    append(p, batch(1, 0, 2, 1, 7));
    append(p, batch(2, 0, INT32_MAX, 1, 8));
    append(p, batch(2, 0, 0, 1, 9));
    producers_free(p);
}

// ── transactions ─────────────────────────────────────────────────────────────────────────────────────────────────────

TEST(the_last_stable_offset_waits_for_the_oldest_open_transaction) {
    struct producers *p = producers_new();
    struct producer_end end;
    append(p, txn_batch(1, 0, 0, 10, 100));
    append(p, txn_batch(2, 0, 0, 10, 110));
    append(p, txn_batch(1, 0, 10, 10, 120));
    assert_int_equal(producers_last_stable(p, 130), 100);
    assert_int_equal(producers_get(p, 1)->txn_bytes, 224);
    assert_true(mark_end(p, 1, 0, false, 130, &end));
    assert_true(end.aborted);
    assert_int_equal(end.producer_id, 1);
    assert_int_equal(end.first_offset, 100);
    assert_int_equal(end.last_offset, 130);
    assert_int_equal(end.last_stable, 110);
    assert_int_equal(producers_last_stable(p, 131), 110);
    assert_true(mark_end(p, 2, 0, true, 131, &end));
    assert_false(end.aborted);
    assert_int_equal(end.last_stable, 132);
    assert_int_equal(producers_last_stable(p, 132), 132);
    producers_free(p);
}

TEST(a_marker_without_data_ends_nothing_but_moves_the_epoch) {
    struct producers *p = producers_new();
    struct producer_end end;
    append(p, batch(1, 0, 0, 1, 0));
    assert_false(mark_end(p, 1, 5, false, 1, &end));
    assert_refused(p, batch(1, 0, 1, 1, 2), ERR_FENCED);
    assert_refused(p, batch(1, 5, 1, 1, 2), ERR_SEQUENCE);
    append(p, batch(1, 5, 0, 1, 2));
    assert_false(mark_end(p, 9, 0, true, 3, &end)); // an unknown producer
    append(p, batch(9, 0, 0, 1, 4));
    producers_free(p);
}

TEST(sequences_go_on_after_a_marker_of_the_same_epoch) {
    struct producers *p = producers_new();
    struct producer_end end;
    append(p, txn_batch(1, 0, 0, 5, 0));
    assert_true(mark_end(p, 1, 0, true, 5, &end));
    append(p, txn_batch(1, 0, 5, 5, 6));
    assert_int_equal(producers_last_stable(p, 11), 6);
    producers_free(p);
}

TEST(a_plain_batch_inside_the_producers_transaction_is_refused) {
    struct producers *p = producers_new();
    append(p, txn_batch(1, 0, 0, 5, 0));
    assert_refused(p, batch(1, 0, 5, 1, 5), ERR_TXN_STATE);
    producers_free(p);
}

TEST(a_marker_of_an_older_epoch_or_coordinator_is_fenced) {
    struct producers *p = producers_new();
    struct producer_batch original;
    struct producer_end end;
    struct err err;
    struct batch_header h = txn_batch(1, 2, -1, 1, 0);
    h.attributes |= BATCH_CONTROL;
    struct batch_marker m = {true, 7};
    producers_apply(p, &h, &m, 0, &end);
    m.coordinator_epoch = 6;
    assert_fails(producers_check(p, &h, &m, &original, &err), err, ERR_FENCED);
    m.coordinator_epoch = 7;
    h.producer_epoch = 1;
    assert_fails(producers_check(p, &h, &m, &original, &err), err, ERR_FENCED);
    producers_free(p);
}

// ── undo ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

static int by_id(const void *a, const void *b) {
    const struct producer_state *x = a, *y = b;
    return (x->id > y->id) - (x->id < y->id);
}
static int collect(void *arg, const struct producer_state *s) {
    buf_put(arg, s, sizeof(*s));
    return 0;
}
// Everything the state holds, in one order, as bytes.
static void image(struct producers *p, struct buf *out) {
    buf_clear(out);
    producers_each(p, collect, out);
    if (out->n) qsort(out->p, out->n / sizeof(struct producer_state), sizeof(struct producer_state), by_id);
    producers_each_open(p, collect, out);
}

// One random step that is always allowed; ids 1..8.
static int64_t random_step(struct producers *p, uint64_t *seed, int64_t offset) {
    int64_t id = 1 + (int64_t)(test_random(seed) % 8);
    const struct producer_state *s = producers_get(p, id);
    int16_t epoch = s ? s->epoch : 0;
    int32_t count = 1 + (int32_t)(test_random(seed) % 5);
    bool bump = s && test_random(seed) % 10 == 0, in_txn = s && s->txn_first >= 0;
    int32_t sequence = s && s->batch_count && !bump ? (s->batches[s->batch_count - 1].last_sequence + 1) & INT32_MAX : 0;
    struct producer_end end;
    if (test_random(seed) % 4 == 0) {
        mark_end(p, id, (int16_t)(epoch + bump), test_random(seed) % 2, offset, &end);
        return offset + 1;
    }
    bool txn = in_txn || test_random(seed) % 2;
    append(p, txn ? txn_batch(id, (int16_t)(epoch + bump), sequence, count, offset) : batch(id, (int16_t)(epoch + bump), sequence, count, offset));
    return offset + count;
}

TEST(undo_leaves_no_trace_of_what_it_takes_back) {
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct producers *p = producers_new();
        struct buf before = {0}, after = {0};
        uint64_t s = seed;
        int64_t offset = 0;
        for (int round = 0; round < 20; round++) {
            for (int i = 0; i < 10; i++) offset = random_step(p, &s, offset);
            if (test_random(&s) % 2) producers_framed(p);
            size_t mark = producers_mark(p);
            image(p, &before);
            int64_t end = offset;
            for (int i = 0; i < 10; i++) end = random_step(p, &s, end);
            producers_undo(p, mark);
            image(p, &after);
            assert_int_equal(before.n, after.n);
            if (before.n) assert_memory_equal(before.p, after.p, before.n);
        }
        buf_done(&before);
        buf_done(&after);
        producers_free(p);
    }
}

TEST(a_retry_after_undo_is_no_duplicate) {
    struct producers *p = producers_new();
    append(p, batch(1, 0, 0, 1, 0));
    producers_framed(p);
    size_t mark = producers_mark(p);
    append(p, batch(1, 0, 1, 1, 1));
    producers_undo(p, mark);
    append(p, batch(1, 0, 1, 1, 1));
    producers_free(p);
}

// ── snapshots ────────────────────────────────────────────────────────────────────────────────────────────────────────

TEST(a_snapshot_is_laid_out_as_kafkas) {
    struct producers *p = producers_new();
    struct buf b = {0}, want = {0};
    apply(p, txn_batch(0x0102030405060708, 9, 10, 3, 1000));
    producers_snapshot(p, &b);
    assert_true(hex_decode(&want, STR("0001"                 // version
                                      "00000000"             // checksum, below
                                      "00000001"             // one row
                                      "0102030405060708"     // producer id
                                      "0009"                 // epoch
                                      "0000000c"             // last sequence
                                      "00000000000003ea"     // last offset
                                      "00000002"             // offset delta
                                      "00000000000007d0"     // timestamp
                                      "ffffffff"             // coordinator epoch
                                      "00000000000003e8"))); // first offset of the open transaction
    put_be32(want.p + 2, crc32c(0, want.p + 6, want.n - 6));
    assert_int_equal(b.n, want.n);
    assert_memory_equal(b.p, want.p, b.n);
    buf_done(&b);
    buf_done(&want);
    producers_free(p);
}

static struct producers *after_random_steps(uint64_t seed, int steps) {
    struct producers *p = producers_new();
    int64_t offset = 0;
    for (int i = 0; i < steps; i++) offset = random_step(p, &seed, offset);
    producers_framed(p);
    return p;
}
// What a snapshot does not keep is made equal: bytes of the transaction, the wall clock.
static int forget(void *arg, const struct producer_state *s) {
    struct producer_state copy = *s;
    copy.txn_bytes = 0;
    copy.seen_ms = 0;
    memset(copy.batches + copy.batch_count, 0, (size_t)(PRODUCER_BATCHES - copy.batch_count) * sizeof(copy.batches[0]));
    if (copy.batch_count) copy.batches[copy.batch_count - 1].timestamp = 0; // the row's time is the producer's last
    return collect(arg, &copy);
}

TEST(a_snapshot_brings_back_all_five_batches) {
    for (uint64_t seed = 1; seed <= 100; seed++) {
        struct producers *p = after_random_steps(seed, 100), *q = producers_new();
        struct buf b = {0}, before = {0}, after = {0};
        struct err err;
        producers_snapshot(p, &b);
        assert_ok(producers_load(q, b.p, b.n, 0, &err), err);
        producers_each(p, forget, &before);
        producers_each(q, forget, &after);
        qsort(before.p, before.n / sizeof(struct producer_state), sizeof(struct producer_state), by_id);
        qsort(after.p, after.n / sizeof(struct producer_state), sizeof(struct producer_state), by_id);
        producers_each_open(p, forget, &before);
        producers_each_open(q, forget, &after);
        assert_int_equal(before.n, after.n);
        assert_memory_equal(before.p, after.p, before.n);
        assert_int_equal(producers_last_stable(p, 1000000), producers_last_stable(q, 1000000));
        buf_done(&b);
        buf_done(&before);
        buf_done(&after);
        producers_free(p);
        producers_free(q);
    }
}

TEST(a_snapshot_cut_or_flipped_anywhere_is_refused_and_changes_nothing) {
    struct producers *p = after_random_steps(3, 30), *q = producers_new();
    struct buf b = {0}, before = {0}, after = {0};
    struct err err;
    append(q, batch(99, 0, 0, 1, 0));
    image(q, &before);
    producers_snapshot(p, &b);
    for (size_t n = 0; n < b.n; n++) {
        uint8_t *exact = xmemdup(b.p, n);
        assert_fails(producers_load(q, exact, n, 0, &err), err, ERR_CORRUPT);
        free(exact);
    }
    for (size_t bit = 0; bit < b.n * 8; bit++) {
        b.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_fails(producers_load(q, b.p, b.n, 0, &err), err, bit < 16 ? ERR_UNSUPPORTED : ERR_CORRUPT);
        b.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    image(q, &after);
    assert_int_equal(before.n, after.n);
    assert_memory_equal(before.p, after.p, before.n);
    buf_done(&b);
    buf_done(&before);
    buf_done(&after);
    producers_free(p);
    producers_free(q);
}

TEST(a_copy_is_the_same_and_its_own) {
    struct producers *p = after_random_steps(5, 60), *q = producers_copy(p);
    struct buf before = {0}, after = {0};
    image(p, &before);
    producers_free(p);
    image(q, &after);
    assert_int_equal(before.n, after.n);
    assert_memory_equal(before.p, after.p, before.n);
    producers_free(q);
    buf_done(&before);
    buf_done(&after);
}

TEST(every_producer_is_found_whoever_else_goes) {
    struct producers *p = producers_new();
    int64_t ids[500];
    uint64_t seed = 11;
    for (int i = 0; i < 500; i++) {
        ids[i] = (int64_t)(test_random(&seed) >> 1);
        apply(p, batch(ids[i], 0, i, 1, i));
    }
    for (int kept = 500; kept > 0; kept -= 50) {
        producers_undo(p, (size_t)kept);
        for (int i = 0; i < 500; i++) {
            const struct producer_state *s = producers_get(p, ids[i]);
            assert_int_equal(s != NULL, i < kept);
            if (s) assert_int_equal(s->batches[0].last_sequence, i);
        }
    }
    producers_free(p);
}

// ── expiry ───────────────────────────────────────────────────────────────────────────────────────────────────────────

TEST(producers_expire_by_the_wall_clock_but_not_inside_a_transaction) {
    struct producers *p = producers_new();
    struct producer_end end;
    for (int i = 0; i < 1000; i++) {
        struct batch_header h = i % 10 ? batch(i, 0, 0, 1, i) : txn_batch(i, 0, 0, 1, i);
        producers_apply(p, &h, NULL, 1000 + i, &end);
    }
    producers_framed(p);
    producers_expire(p, 1500 + PRODUCER_EXPIRE_MS, PRODUCER_EXPIRE_MS, 0);
    for (int i = 0; i < 1000; i++) assert_int_equal(producers_get(p, i) != NULL, i > 500 || i % 10 == 0);
    producers_expire(p, 2000, PRODUCER_EXPIRE_MS, 200);
    assert_int_equal(producers_count(p), 200);
    assert_non_null(producers_get(p, 0));   // open
    assert_non_null(producers_get(p, 999)); // seen last
    assert_null(producers_get(p, 501));
    producers_free(p);
}
