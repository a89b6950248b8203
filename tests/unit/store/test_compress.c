// SPDX-License-Identifier: Apache-2.0
// The codecs alone: bounds, streams of several frames, damaged and cut streams, codecs that are not built in.
#include "compress.h"

#include "base/mem.h"
#include "base/thread.h"
#include "test.h"

static const enum codec built_in[] = {CODEC_LZ4, CODEC_ZSTD};

static void fill(struct buf *b, size_t n) {
    uint64_t seed = 7;
    while (b->n < n) buf_printf(b, "line %llu of some text\n", (unsigned long long)(test_random(&seed) % 1000));
}

static void compress(enum codec c, const struct buf *plain, struct buf *out) {
    struct err err;
    assert_ok(compress_block(c, 0, plain->p, plain->n, out, &err), err);
}

TEST(every_size_comes_back_as_it_was) {
    static const size_t sizes[] = {1, 2, 100, 65535, 65536, 65537, 200000, 3000000};
    for (size_t c = 0; c < countof(built_in); c++) {
        for (size_t i = 0; i < countof(sizes); i++) {
            struct buf plain = {0}, small = {0}, again = {0};
            struct err err;
            fill(&plain, sizes[i]);
            compress(built_in[c], &plain, &small);
            assert_ok(decompress_block(built_in[c], small.p, small.n, &again, plain.n, &err), err);
            assert_true(str_eq(buf_str(&plain), buf_str(&again)));
            buf_clear(&again);
            assert_fails(decompress_block(built_in[c], small.p, small.n, &again, plain.n - 1, &err), err, ERR_TOO_LARGE);
            assert_true(again.n <= plain.n);
            buf_done(&plain);
            buf_done(&small);
            buf_done(&again);
        }
    }
}

TEST(frames_may_follow_each_other) {
    for (size_t c = 0; c < countof(built_in); c++) {
        struct buf plain = {0}, small = {0}, again = {0};
        struct err err;
        fill(&plain, 1000);
        compress(built_in[c], &plain, &small);
        compress(built_in[c], &plain, &small);
        assert_ok(decompress_block(built_in[c], small.p, small.n, &again, 100000, &err), err);
        assert_int_equal(again.n, plain.n * 2);
        buf_done(&plain);
        buf_done(&small);
        buf_done(&again);
    }
}

TEST(a_stream_cut_at_any_byte_or_followed_by_rubbish_is_refused) {
    for (size_t c = 0; c < countof(built_in); c++) {
        struct buf plain = {0}, small = {0}, again = {0};
        struct err err;
        fill(&plain, 3000);
        compress(built_in[c], &plain, &small);
        for (size_t n = 0; n < small.n; n++) {
            uint8_t *exact = xmemdup(small.p, n);
            assert_fails(decompress_block(built_in[c], exact, n, &again, 100000, &err), err, ERR_CORRUPT);
            buf_clear(&again);
            free(exact);
        }
        buf_putz(&small, "rubbish");
        assert_fails(decompress_block(built_in[c], small.p, small.n, &again, 100000, &err), err, ERR_CORRUPT);
        buf_done(&plain);
        buf_done(&small);
        buf_done(&again);
    }
}

TEST(a_bomb_costs_no_more_than_the_bound) {
    struct buf plain = {0}, small = {0}, again = {0};
    struct err err;
    buf_fill(&plain, 0, 64 << 20);
    compress(CODEC_ZSTD, &plain, &small);
    assert_true(small.n < 10000);
    assert_fails(decompress_block(CODEC_ZSTD, small.p, small.n, &again, SIZE_MAX, &err), err, ERR_TOO_LARGE);
    assert_true(again.cap <= 2 * compress_bound_of(small.n));
    buf_done(&plain);
    buf_done(&small);
    buf_done(&again);
}

TEST(a_codec_that_is_not_built_in_is_named) {
    struct buf out = {0};
    struct err err;
    assert_fails(compress_block(CODEC_SNAPPY, 0, "x", 1, &out, &err), err, ERR_UNSUPPORTED);
    assert_has(err.msg, "snappy");
    assert_fails(decompress_block(CODEC_GZIP, "x", 1, &out, 10, &err), err, ERR_UNSUPPORTED);
    assert_has(err.msg, "gzip");
    assert_fails(decompress_block((enum codec)6, "x", 1, &out, 10, &err), err, ERR_UNSUPPORTED);
}

static void *one_round(void *arg) {
    struct buf plain = {0}, small = {0}, again = {0};
    fill(&plain, 1000);
    for (size_t c = 0; c < countof(built_in); c++) {
        buf_clear(&small);
        buf_clear(&again);
        if (compress_block(built_in[c], 0, plain.p, plain.n, &small, NULL) < 0) abort();
        if (decompress_block(built_in[c], small.p, small.n, &again, 5000, NULL) < 0) abort();
        if (!str_eq(buf_str(&plain), buf_str(&again))) abort();
    }
    buf_done(&plain);
    buf_done(&small);
    buf_done(&again);
    return arg;
}

TEST(contexts_end_with_their_thread) { // a leak checker would find them
    struct err err;
    for (int i = 0; i < 8; i++) {
        pthread_t t[2];
        for (int j = 0; j < 2; j++) assert_ok(thread_start(&t[j], "codec", one_round, NULL, &err), err);
        for (int j = 0; j < 2; j++) pthread_join(t[j], NULL);
    }
}
