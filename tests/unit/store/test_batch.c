// SPDX-License-Identifier: Apache-2.0
// Record batches: fixed vectors, round trips, every cut and every flipped bit, hostile input.
#include "store/batch.h"

#include <stdio.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/text.h"
#include "test.h"

// ── helpers ──────────────────────────────────────────────────────────────────────────────────────────────────────────

static const struct record_header_in two_headers[] = {{{"h1", 2}, {"v1", 2}, false}, {{"h2", 2}, {NULL, 0}, true}};

// The three records of the fixed vector.
static void add_three(struct batch_builder *b) {
    batch_add(b, 1700000000000, STR("key"), STR("value"), two_headers, 2);
    batch_add(b, 1700000000123, (struct str){NULL, 0}, STR("xxx"), NULL, 0);
    batch_add(b, 1699999999999, STR(""), (struct str){NULL, 0}, NULL, 0);
}

static void build_three(struct buf *out, enum codec codec) {
    struct batch_builder b;
    struct err err;
    batch_begin(&b, out, codec);
    b.attributes = BATCH_TRANSACTIONAL;
    b.producer_id = 4000000000000000;
    b.producer_epoch = 7;
    b.base_sequence = 42;
    add_three(&b);
    assert_ok(batch_end(&b, &err), err);
}

// A batch of n records that compress well, keys k0, k1, …
static void build_many(struct buf *out, enum codec codec, int n) {
    struct batch_builder b;
    struct err err;
    char key[16], value[64];
    batch_begin(&b, out, codec);
    for (int i = 0; i < n; i++) {
        int kn = snprintf(key, sizeof(key), "k%d", i), vn = snprintf(value, sizeof(value), "value number %d of a long line of values", i);
        batch_add(&b, 1000 + i, str_make(key, (size_t)kn), str_make(value, (size_t)vn), NULL, 0);
    }
    assert_ok(batch_end(&b, &err), err);
}

// Reads every record; returns their number or -1.
static int count_records(const void *p, size_t n, size_t max_bytes, struct err *err) {
    struct buf scratch = {0};
    struct record_iter it;
    struct record r;
    struct record_header h;
    int count = 0, got = record_iter_init(&it, p, n, &scratch, max_bytes, err);
    while (got == 0 && (got = record_iter_next(&it, &r, err)) > 0) {
        while (record_header_next(&r, &h)) {}
        count++;
        got = 0;
        if (it.left == 0 && record_iter_next(&it, &r, err) == 0) break;
    }
    buf_done(&scratch);
    return got < 0 ? -1 : count;
}


static void refresh_crc(struct buf *b) { put_be32(b->p + 17, crc32c(0, b->p + 21, b->n - 21)); }

// ── layout ───────────────────────────────────────────────────────────────────────────────────────────────────────────

// As kafka-python 2.0.2 builds the same three records.
static const char vector[] = "00000000000000000000005c0000000002322d27750010000000020000018bcfe568000000018bcfe5687b000e35fa931a0000"
                             "00070000002a0000000330000000066b65790a76616c756504046831047631046832011400f601020106787878000c000104000100";

TEST(a_batch_is_laid_out_as_published) {
    struct buf want = {0}, got = {0};
    assert_true(hex_decode(&want, str_of(vector)));
    build_three(&got, CODEC_NONE);
    put_be32(want.p + 12, (uint32_t)-1); // the other builder writes epoch 0; it is the broker's to set
    assert_int_equal(got.n, want.n);
    assert_memory_equal(got.p, want.p, want.n);
    buf_done(&want);
    buf_done(&got);
}

TEST(the_published_vector_reads_back) {
    struct buf b = {0}, scratch = {0};
    struct err err;
    struct batch_header h;
    struct record_iter it;
    struct record r;
    struct record_header rh;
    assert_true(hex_decode(&b, str_of(vector)));
    assert_ok(batch_check(b.p, b.n, false, &h, &err), err);
    assert_int_equal(h.producer_id, 4000000000000000);
    assert_int_equal(h.base_sequence, 42);
    assert_int_equal(h.max_timestamp, 1700000000123);
    assert_ok(record_iter_init(&it, b.p, b.n, &scratch, 1000, &err), err);
    assert_int_equal(record_iter_next(&it, &r, &err), 1);
    assert_str(r.key, "key");
    assert_str(r.value, "value");
    assert_int_equal(r.header_count, 2);
    assert_true(record_header_next(&r, &rh));
    assert_str(rh.name, "h1");
    assert_str(rh.value, "v1");
    assert_true(record_header_next(&r, &rh));
    assert_true(rh.null_value);
    assert_false(record_header_next(&r, &rh));
    assert_int_equal(record_iter_next(&it, &r, &err), 1);
    assert_null(r.key.p);
    assert_int_equal(r.timestamp, 1700000000123);
    assert_int_equal(record_iter_next(&it, &r, &err), 1);
    assert_non_null(r.key.p);
    assert_int_equal(r.key.n, 0);
    assert_null(r.value.p);
    assert_int_equal(r.timestamp, 1699999999999);
    assert_int_equal(r.offset, 2);
    assert_int_equal(record_iter_next(&it, &r, &err), 0);
    buf_done(&b);
    buf_done(&scratch);
}

TEST(an_end_marker_is_a_control_batch_of_one_record) {
    struct buf b = {0};
    struct err err;
    struct batch_header h;
    struct batch_marker m = {0};
    batch_control(&b, 5, 3, true, 9, 1700000000000);
    assert_ok(batch_check(b.p, b.n, false, &h, &err), err);
    assert_int_equal(h.attributes, BATCH_TRANSACTIONAL | BATCH_CONTROL);
    assert_int_equal(h.base_sequence, -1);
    assert_int_equal(h.producer_epoch, 3);
    assert_int_equal(h.count, 1);
    // length, attributes, deltas; key {version 0, COMMIT 1}; value {version 0, coordinator epoch 9}; no headers
    static const uint8_t record[] = {32, 0, 0, 0, 8, 0, 0, 0, 1, 12, 0, 0, 0, 0, 0, 9, 0};
    assert_int_equal(b.n, BATCH_HEADER + sizeof(record));
    assert_memory_equal(b.p + BATCH_HEADER, record, sizeof(record));
    assert_int_equal(batch_marker_read(b.p, b.n, &m), 0);
    assert_true(m.commit_txn);
    assert_int_equal(m.coordinator_epoch, 9);
    buf_clear(&b);
    batch_control(&b, 5, 3, false, 9, 0);
    assert_int_equal(batch_marker_read(b.p, b.n, &m), 0);
    assert_false(m.commit_txn);
    put_be64(b.p + 43, (uint64_t)-1); // a control batch of nobody's, as Apache Kafka's metadata log has them
    put_be16(b.p + 21, BATCH_CONTROL);
    put_be16(b.p + 67, 2); // leader change
    refresh_crc(&b);
    assert_ok(batch_check(b.p, b.n, false, &h, &err), err);
    assert_int_equal(batch_marker_read(b.p, b.n, &m), -1);
    buf_clear(&b);
    build_three(&b, CODEC_NONE);
    assert_int_equal(batch_marker_read(b.p, b.n, &m), -1);
    buf_done(&b);
}

// ── round trips ──────────────────────────────────────────────────────────────────────────────────────────────────────

static void round_trip(enum codec codec) {
    struct buf b = {0}, scratch = {0};
    struct err err;
    struct batch_header h;
    struct record_iter it;
    struct record r;
    char want[64];
    build_many(&b, codec, 5000);
    batch_patch(b.p, 700, 4);
    assert_ok(batch_check(b.p, b.n, false, &h, &err), err);
    assert_int_equal(h.attributes & BATCH_CODEC_MASK, codec);
    assert_int_equal(h.leader_epoch, 4);
    assert_int_equal(batch_last_offset(&h), 700 + 4999);
    assert_ok(record_iter_init(&it, b.p, b.n, &scratch, 1 << 20, &err), err);
    for (int i = 0; i < 5000; i++) {
        assert_int_equal(record_iter_next(&it, &r, &err), 1);
        assert_int_equal(r.offset, 700 + i);
        assert_int_equal(r.timestamp, 1000 + i);
        snprintf(want, sizeof(want), "k%d", i);
        assert_str(r.key, want);
        snprintf(want, sizeof(want), "value number %d of a long line of values", i);
        assert_str(r.value, want);
    }
    assert_int_equal(record_iter_next(&it, &r, &err), 0);
    buf_done(&b);
    buf_done(&scratch);
}

TEST(records_survive_without_compression) { round_trip(CODEC_NONE); }
TEST(records_survive_gzip) { round_trip(CODEC_GZIP); }
TEST(records_survive_snappy) { round_trip(CODEC_SNAPPY); }
TEST(records_survive_lz4) { round_trip(CODEC_LZ4); }
TEST(records_survive_zstd) { round_trip(CODEC_ZSTD); }

TEST(a_batch_written_anew_with_another_codec_keeps_all_but_its_bytes) {
    for (int from = CODEC_NONE; from <= CODEC_ZSTD; from++)
        for (int to = CODEC_NONE; to <= CODEC_ZSTD; to++) {
            struct buf b = {0};
            struct err err;
            struct batch_header was, is;
            build_many(&b, (enum codec)from, 500);
            batch_patch(b.p, 77, 3);
            batch_read_header(b.p, b.n, &was);
            if (from != CODEC_NONE) assert_fails(batch_recode(&b, (enum codec)to, 0, 100, &err), err, ERR_TOO_LARGE);
            assert_ok(batch_recode(&b, (enum codec)to, 0, 1 << 24, &err), err);
            assert_ok(batch_check(b.p, b.n, false, &is, &err), err);
            assert_int_equal(is.attributes, (was.attributes & ~BATCH_CODEC_MASK) | to);
            was.attributes = is.attributes, was.length = is.length, was.crc = is.crc;
            assert_memory_equal(&was, &is, sizeof(is));
            assert_int_equal(count_records(b.p, b.n, 1 << 24, &err), 500);
            buf_done(&b);
        }
}

TEST(an_lz4_body_is_a_frame_of_independent_64_kib_blocks) {
    struct buf b = {0};
    build_many(&b, CODEC_LZ4, 5000);
    assert_int_equal(get_be32(b.p + 61), 0x04224d18); // magic, little-endian on the wire
    assert_int_equal(b.p[65] & 0xe8, 0x60);           // version 1, independent blocks, no content size
    assert_int_equal(b.p[66], 0x40);                  // 64 KiB
    buf_done(&b);
}

TEST(values_written_in_place_make_the_same_batch) {
    for (size_t n = 0; n < 20000; n += 61) {
        struct buf one = {0}, two = {0};
        struct err err;
        struct batch_builder a, b;
        char *value = xmalloc(n + 1);
        memset(value, 'v', n);
        batch_begin(&a, &one, CODEC_NONE);
        batch_add(&a, 5, STR("k"), str_make(value, n), two_headers, 2);
        batch_begin(&b, &two, CODEC_NONE);
        batch_add_open(&b, 5, STR("k"), n, two_headers, 2);
        buf_put(&two, value, n);
        batch_add_close(&b, two_headers, 2);
        assert_ok(batch_end(&a, &err), err);
        assert_ok(batch_end(&b, &err), err);
        assert_int_equal(one.n, two.n);
        assert_memory_equal(one.p, two.p, one.n);
        free(value);
        buf_done(&one);
        buf_done(&two);
    }
}

TEST(timestamps_of_any_distance_survive) {
    static const int64_t times[] = {0, -1, 1, INT64_MAX, INT64_MIN, 1700000000000, 63, 64, -64, -65, 8191, 8192};
    struct buf b = {0}, scratch = {0};
    struct err err;
    struct batch_builder w;
    struct record_iter it;
    struct record r;
    batch_begin(&w, &b, CODEC_NONE);
    for (size_t i = 0; i < countof(times); i++) batch_add(&w, times[i], STR("k"), STR("v"), NULL, 0);
    assert_ok(batch_end(&w, &err), err);
    assert_ok(record_iter_init(&it, b.p, b.n, &scratch, 0, &err), err);
    assert_int_equal(it.header.max_timestamp, INT64_MAX);
    for (size_t i = 0; i < countof(times); i++) {
        assert_int_equal(record_iter_next(&it, &r, &err), 1);
        assert_true(r.timestamp == times[i]);
    }
    buf_done(&b);
}

TEST(a_batch_may_follow_other_bytes) {
    struct buf b = {0};
    struct err err;
    struct batch_header h;
    buf_putz(&b, "before");
    build_three(&b, CODEC_ZSTD);
    assert_memory_equal(b.p, "before", 6);
    assert_ok(batch_check(b.p + 6, b.n - 6, false, &h, &err), err);
    buf_done(&b);
}

TEST(a_batch_without_records_leaves_nothing) {
    struct buf b = {0};
    struct err err;
    struct batch_builder w;
    buf_putz(&b, "before");
    batch_begin(&w, &b, CODEC_ZSTD);
    assert_ok(batch_end(&w, &err), err);
    assert_buf(&b, "before");
    buf_done(&b);
}

TEST(what_does_not_shrink_is_stored_plain) {
    struct buf b = {0};
    struct err err;
    struct batch_header h;
    build_three(&b, CODEC_ZSTD);
    assert_ok(batch_check(b.p, b.n, false, &h, &err), err);
    assert_int_equal(h.attributes, BATCH_TRANSACTIONAL);
    assert_int_equal(count_records(b.p, b.n, 0, &err), 3);
    buf_done(&b);
}

TEST(what_a_reader_would_refuse_to_expand_is_stored_plain) {
    size_t n = 20 << 20; // zeros: zstd makes a few hundred bytes of them
    struct buf b = {0};
    struct err err;
    struct batch_header h;
    struct batch_builder w;
    char *zeros = xcalloc(1, n);
    batch_begin(&w, &b, CODEC_ZSTD);
    batch_add(&w, 0, STR("k"), str_make(zeros, n), NULL, 0);
    assert_ok(batch_end(&w, &err), err);
    assert_ok(batch_check(b.p, b.n, false, &h, &err), err);
    assert_int_equal(h.attributes, 0);
    assert_int_equal(count_records(b.p, b.n, n * 2, &err), 1);
    buf_done(&b);
    free(zeros);
}

TEST(a_builder_out_of_room_says_so) {
    struct buf b = {.limit = 200};
    struct err err;
    struct batch_builder w;
    char value[100] = "";
    batch_begin(&w, &b, CODEC_NONE);
    for (int i = 0; i < 3; i++) batch_add(&w, 0, STR("k"), str_make(value, sizeof(value)), NULL, 0);
    assert_fails(batch_end(&w, &err), err, ERR_TOO_LARGE);
    buf_done(&b);
}

TEST(append_time_replaces_the_records_times) {
    struct buf b = {0}, scratch = {0};
    struct err err;
    struct batch_header h;
    struct record_iter it;
    struct record r;
    build_many(&b, CODEC_LZ4, 100);
    batch_set_append_time(b.p, b.n, 1234567890123);
    assert_ok(batch_check(b.p, b.n, false, &h, &err), err);
    assert_ok(record_iter_init(&it, b.p, b.n, &scratch, 1 << 20, &err), err);
    assert_int_equal(record_iter_next(&it, &r, &err), 1);
    assert_int_equal(r.timestamp, 1234567890123);
    buf_done(&b);
    buf_done(&scratch);
}

TEST(an_empty_batch_kept_by_the_cleaner_is_whole) {
    struct buf b = {0};
    struct err err;
    struct batch_header h;
    build_many(&b, CODEC_NONE, 1);
    b.n = BATCH_HEADER;
    put_be32(b.p + 8, BATCH_HEADER - 12);
    put_be32(b.p + 23, 9); // ten offsets, no records
    put_be32(b.p + 57, 0);
    refresh_crc(&b);
    assert_ok(batch_check(b.p, b.n, false, &h, &err), err);
    assert_int_equal(count_records(b.p, b.n, 0, &err), 0);
    buf_done(&b);
}

// ── damage ───────────────────────────────────────────────────────────────────────────────────────────────────────────

TEST(a_batch_cut_at_any_byte_is_not_whole) {
    static const enum codec codecs[] = {CODEC_NONE, CODEC_GZIP, CODEC_SNAPPY, CODEC_LZ4, CODEC_ZSTD};
    for (size_t c = 0; c < countof(codecs); c++) {
        struct buf b = {0};
        struct err err;
        struct batch_header h;
        build_many(&b, codecs[c], 20);
        for (size_t n = 0; n < b.n; n++) {
            uint8_t *exact = xmemdup(b.p, n); // so that a sanitizer sees a read past it
            assert_int_equal(batch_read_header(exact, n, &h), 1);
            assert_fails(batch_check(exact, n, false, &h, &err), err, ERR_CORRUPT);
            free(exact);
        }
        assert_int_equal(batch_read_header(b.p, b.n, &h), 0);
        buf_done(&b);
    }
}

// Bytes 0-7 (base offset) and 12-15 (leader epoch) lie outside the CRC and say nothing about themselves; the store checks them against
// their neighbours. Length, magic and CRC lie outside too, but are checked.
TEST(any_flipped_bit_that_the_crc_or_the_size_covers_is_found) {
    struct buf b = {0};
    struct err err;
    struct batch_header h;
    build_many(&b, CODEC_ZSTD, 20);
    for (size_t bit = 8 * 8; bit < b.n * 8; bit++) {
        if (bit / 8 >= 12 && bit / 8 < 16) continue;
        b.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_fails(batch_check(b.p, b.n, false, &h, &err), err, ERR_CORRUPT);
        b.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_ok(batch_check(b.p, b.n, false, &h, &err), err);
    buf_done(&b);
}

TEST(damage_under_a_right_crc_never_reads_past_the_end) {
    static const enum codec codecs[] = {CODEC_NONE, CODEC_GZIP, CODEC_SNAPPY, CODEC_LZ4, CODEC_ZSTD};
    for (size_t c = 0; c < countof(codecs); c++) {
        struct buf b = {0};
        struct err err;
        struct batch_header h;
        build_many(&b, codecs[c], 20);
        for (size_t bit = 21 * 8; bit < b.n * 8; bit++) {
            uint8_t *exact = xmemdup(b.p, b.n);
            exact[bit / 8] ^= (uint8_t)(1 << bit % 8);
            if (batch_check(exact, b.n, true, &h, &err) == 0) count_records(exact, b.n, 1 << 20, &err);
            free(exact);
        }
        buf_done(&b);
    }
}

static void spoil32(const char *what, size_t at, uint32_t value) {
    struct buf b = {0};
    struct err err;
    struct batch_header h;
    build_three(&b, CODEC_NONE);
    put_be32(b.p + at, value);
    refresh_crc(&b);
    assert_fails(batch_check(b.p, b.n, false, &h, &err), err, ERR_CORRUPT);
    assert_has(err.msg, what);
    buf_done(&b);
}

TEST(header_numbers_that_contradict_each_other_are_refused) {
    spoil32("cut", 8, 1000);
    spoil32("not a record batch", 8, 48);
    spoil32("not a record batch", 8, 0x80000000);
    spoil32("offsets out of range", 23, (uint32_t)-1);
    spoil32("more records than offsets", 57, 4);
    spoil32("more records than offsets", 57, INT32_MAX);
    spoil32("more records than offsets", 57, (uint32_t)-1);
    spoil32("unknown attribute bits", 20, 0x00008000);
}

TEST(more_records_than_bytes_are_refused_before_anything_is_read) {
    struct buf b = {0};
    struct err err;
    struct batch_header h;
    build_three(&b, CODEC_NONE);
    put_be32(b.p + 23, INT32_MAX);
    put_be32(b.p + 57, INT32_MAX);
    refresh_crc(&b);
    assert_fails(batch_check(b.p, b.n, false, &h, &err), err, ERR_CORRUPT);
    assert_has(err.msg, "more records than bytes");
    buf_done(&b);
}

static void spoil_record(size_t at, uint8_t value) {
    struct buf b = {0};
    struct err err;
    build_three(&b, CODEC_NONE);
    b.p[BATCH_HEADER + at] = value;
    assert_int_equal(count_records(b.p, b.n, 0, &err), -1);
    assert_int_equal(err.code, ERR_CORRUPT);
    buf_done(&b);
}

TEST(records_that_lie_about_their_lengths_are_refused) {
    spoil_record(0, 46);  // record length
    spoil_record(0, 50);
    spoil_record(0, 1);   // negative
    spoil_record(3, 2);   // offset delta of the first record is 1: the second repeats it
    spoil_record(4, 127); // key length
    spoil_record(4, 3);   // -2
    spoil_record(14, 8);  // header count
    spoil_record(15, 1);  // header name is null
}

TEST(offsets_past_the_batchs_last_and_bytes_past_its_last_record_are_refused) {
    struct buf b = {0};
    struct err err;
    build_three(&b, CODEC_NONE);
    put_be32(b.p + 23, 1); // last offset delta
    assert_int_equal(count_records(b.p, b.n, 0, &err), -1);
    put_be32(b.p + 23, 2);
    put_be32(b.p + 57, 2); // count
    assert_int_equal(count_records(b.p, b.n, 0, &err), -1);
    assert_has(err.msg, "bytes after the last record");
    buf_done(&b);
}

TEST(a_body_that_expands_past_the_callers_bound_is_refused) {
    static const enum codec codecs[] = {CODEC_GZIP, CODEC_SNAPPY, CODEC_LZ4, CODEC_ZSTD};
    for (size_t c = 0; c < countof(codecs); c++) {
        struct buf b = {0};
        struct err err;
        build_many(&b, codecs[c], 5000);
        assert_int_equal(count_records(b.p, b.n, 100000, &err), -1);
        assert_int_equal(err.code, ERR_TOO_LARGE);
        assert_int_equal(count_records(b.p, b.n, 1 << 20, &err), 5000);
        buf_done(&b);
    }
}

TEST(codecs_go_by_their_names) {
    enum codec c = CODEC_NONE;
    assert_int_equal(codec_by_name(STR("zstd"), &c), 0);
    assert_int_equal(c, CODEC_ZSTD);
    assert_int_equal(codec_by_name(STR("brotli"), &c), -1);
    assert_string_equal(codec_name(CODEC_SNAPPY), "snappy");
    assert_string_equal(codec_name((enum codec)7), "unknown");
}
