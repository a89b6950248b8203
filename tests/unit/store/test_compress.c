// SPDX-License-Identifier: Apache-2.0
// The codecs alone: bounds, streams of several frames, damaged and cut streams, codecs that are not built in.
#include "compress.h"

#include "base/mem.h"
#include "base/thread.h"
#include "test.h"

static const enum codec built_in[] = {CODEC_GZIP, CODEC_SNAPPY, CODEC_LZ4, CODEC_ZSTD};

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

TEST(a_higher_level_is_smaller_and_every_level_comes_back) {
    static const struct { enum codec codec; int levels[8]; } rows[] = {
        {CODEC_GZIP, {1, 6, 9}}, {CODEC_LZ4, {9, 1, 12}}, {CODEC_ZSTD, {-50, 1, 3, 19}}}; // smaller and smaller
    struct buf plain = {0};
    fill(&plain, 200000);
    for (size_t c = 0; c < countof(rows); c++) {
        size_t before = plain.n;
        for (size_t i = 0; rows[c].levels[i]; i++) {
            struct buf small = {0}, again = {0};
            struct err err;
            assert_ok(compress_block(rows[c].codec, rows[c].levels[i], plain.p, plain.n, &small, &err), err);
            assert_true(small.n < before);
            before = small.n;
            assert_ok(decompress_block(rows[c].codec, small.p, small.n, &again, plain.n, &err), err);
            assert_true(str_eq(buf_str(&plain), buf_str(&again)));
            buf_done(&small);
            buf_done(&again);
        }
    }
    buf_done(&plain);
}

TEST(a_topics_default_levels_are_the_codecs_own) {
    static const struct { enum codec codec; int level; } rows[] = {{CODEC_GZIP, -1}, {CODEC_LZ4, 9}, {CODEC_ZSTD, 3}};
    struct buf plain = {0};
    fill(&plain, 20000);
    for (size_t c = 0; c < countof(rows); c++) {
        struct buf named = {0}, own = {0};
        struct err err;
        assert_ok(compress_block(rows[c].codec, rows[c].level, plain.p, plain.n, &named, &err), err);
        compress(rows[c].codec, &plain, &own);
        assert_true(str_eq(buf_str(&named), buf_str(&own)));
        buf_done(&named);
        buf_done(&own);
    }
    buf_done(&plain);
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
    static const enum codec bombs[] = {CODEC_GZIP, CODEC_LZ4, CODEC_ZSTD};
    struct buf plain = {0};
    buf_fill(&plain, 0, 64 << 20);
    for (size_t i = 0; i < countof(bombs); i++) {
        struct buf small = {0}, again = {0};
        struct err err;
        compress(bombs[i], &plain, &small);
        size_t bound = compress_bound_of(small.n) < 1 << 20 ? compress_bound_of(small.n) : 1 << 20;
        assert_fails(decompress_block(bombs[i], small.p, small.n, &again, bound, &err), err, ERR_TOO_LARGE);
        assert_true(again.cap <= 2 * bound);
        buf_done(&small);
        buf_done(&again);
    }
    buf_done(&plain);
}

TEST(a_snappy_block_that_claims_more_than_the_format_can_hold_is_refused_before_it_costs_memory) {
    static const char claims[] = "\xff\xff\xff\x7f\x00x"; // 256 MiB in six bytes
    struct buf again = {0};
    struct err err;
    assert_fails(decompress_block(CODEC_SNAPPY, claims, sizeof(claims) - 1, &again, SIZE_MAX, &err), err, ERR_CORRUPT);
    assert_int_equal(again.cap, 0);
}

// Python's gzip.compress(b'hello hello hello'); snappy-java's Snappy.compress and SnappyOutputStream; a block with a copy in it, by hand from the format.
TEST(what_others_compressed_is_read) {
    static const struct { enum codec codec; const char *bytes; size_t n; } samples[] = {
        {CODEC_GZIP, "\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xcb\x48\xcd\xc9\xc9\x57\xc8\x40\x90\x00\x80\x88\xf9\xe5\x11\x00\x00\x00", 28},
        {CODEC_SNAPPY, "\x11\x40\x68\x65\x6c\x6c\x6f\x20\x68\x65\x6c\x6c\x6f\x20\x68\x65\x6c\x6c\x6f", 19},
        {CODEC_SNAPPY, "\x82\x53\x4e\x41\x50\x50\x59\x00\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00\x13\x11\x40\x68\x65\x6c\x6c\x6f\x20\x68\x65\x6c\x6c\x6f\x20\x68\x65\x6c\x6c\x6f", 39},
        {CODEC_SNAPPY, "\x11\x14hello \x2a\x06\x00", 11},
    };
    for (size_t i = 0; i < countof(samples); i++) {
        struct buf out = {0};
        struct err err;
        assert_ok(decompress_block(samples[i].codec, samples[i].bytes, samples[i].n, &out, 1000, &err), err);
        assert_buf(&out, "hello hello hello");
        buf_done(&out);
    }
}

TEST(a_codec_that_nobody_knows_is_named) {
    struct buf out = {0};
    struct err err;
    assert_fails(compress_block((enum codec)5, 0, "x", 1, &out, &err), err, ERR_UNSUPPORTED);
    assert_fails(decompress_block((enum codec)6, "x", 1, &out, 10, &err), err, ERR_UNSUPPORTED);
    assert_has(err.msg, "(6)");
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
