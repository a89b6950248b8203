// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include <stdlib.h>

#include "framing.h"
#include "test.h"

// Feeds the stream in pieces of `step` bytes, as reads would bring it, and lists the frames: "a|b|c", '^' before a truncated one, '$'
// behind an incomplete one. What a caller must hold stays within the promised bound.
static char *frames_of(const char *stream, size_t n, size_t step, uint32_t max) {
    static char out[65536];
    struct framing f = {.max = max};
    char *held = malloc(n + 1);
    size_t held_n = 0, fed = 0;
    out[0] = '\0';
    for (bool eof = false; !eof;) {
        size_t piece = n - fed < step ? n - fed : step;
        eof = fed == n;
        memcpy(held + held_n, stream + fed, piece);
        fed += piece;
        held_n += piece;
        for (;;) {
            struct frame frame;
            size_t used;
            char *exact = malloc(held_n ? held_n : 1);
            memcpy(exact, held, held_n);
            int got = framing_next(&f, exact, held_n, eof, &frame, &used);
            assert_true(used <= held_n);
            if (got) {
                assert_true(frame.n <= max);
                size_t o = strlen(out);
                snprintf(out + o, sizeof out - o, "%s%.*s%s|", frame.truncated ? "^" : "", (int)frame.n, frame.p, frame.incomplete ? "$" : "");
            }
            free(exact);
            held_n -= used;
            memmove(held, held + used, held_n);
            if (!got) break;
        }
        if (!eof) assert_true(held_n <= framing_hold(&f));
    }
    assert_int_equal(held_n, 0);
    free(held);
    return out;
}

static void check(const char *stream, size_t n, uint32_t max, const char *want) {
    for (size_t step = 1; step <= n + 1; step++)
        if (strcmp(frames_of(stream, n, step, max), want) != 0) {
            print_error("in steps of %zu: want %s, got %s\n", step, want, frames_of(stream, n, step, max));
            fail();
        }
}
#define CHECK(stream, max, want) check(stream, sizeof(stream) - 1, max, want)

TEST(lines_end_at_lf_crlf_or_nul) {
    CHECK("<13>a\n<13>b\r\n<13>c\0<13>d\n\0<13>e\n", 64, "<13>a|<13>b|<13>c|<13>d|<13>e|");
    CHECK("\n\n\r\n\0<13>a\n\n", 64, "<13>a|");
    CHECK("<13>a\rb\n", 64, "<13>a\rb|");
}

TEST(octet_counts_may_hold_anything) {
    CHECK("5 <13>a6 <13>ab10 <13>a\nb\0\0c", 64, "<13>a|<13>ab|<13>a\nb|");
    CHECK("11 <13>one\ntwo7 <13>end", 64, "<13>one\ntwo|<13>end|");
    CHECK("6 <13>ab\n6 <13>cd\n", 64, "<13>ab|<13>cd|"); // a trailer that is not counted
}

TEST(each_frame_is_told_apart_anew) {
    CHECK("5 <13>a<13>b\n5 <13>c\n<13>d\n", 64, "<13>a|<13>b|<13>c|<13>d|");
}

TEST(a_number_alone_is_no_octet_count) {
    CHECK("54 <1 minute elapsed\n", 64, "54 <1 minute elapsed|");
    CHECK("54 <1234>x\n", 64, "54 <1234>x|");
    CHECK("54 <>x\n", 64, "54 <>x|");
    CHECK("54\n55 \n56 <\n", 64, "54|55 |56 <|");
    CHECK("200 GET /index.html\n", 64, "200 GET /index.html|");
    CHECK("0 <13>x\n", 64, "0 <13>x|");
    CHECK("007 <13>x\n", 64, "007 <13>x|");
    CHECK("4 <13>x\n", 64, "<13>|x|"); // counted, and wrong by one: the rest is a line
    CHECK("3 <13>x\n", 64, "3 <13>x|"); // can not even hold the priority
    CHECK("123456789 <13>x\n", 64, "123456789 <13>x|");
}

TEST(a_count_that_lies_is_back_in_step_at_the_next_line) {
    CHECK("8 <13>abc\n<13>d\n5 <13>e\n", 64, "<13>abc\n|<13>d|<13>e|");
    CHECK("7 <13>abcde\n<13>f\n", 64, "<13>abc|de|<13>f|");
}

TEST(long_frames_are_cut_and_the_rest_skipped) {
    CHECK("<13>0123456789abcdefghij\n<13>b\n", 16, "^<13>0123456789ab|<13>b|");
    CHECK("24 <13>0123456789abcdefghij<13>b\n", 16, "^<13>0123456789ab|<13>b|");
    CHECK("<13>0123456789ab\n<13>b\n", 16, "<13>0123456789ab|<13>b|");
    CHECK("16 <13>0123456789ab<13>b\n", 16, "<13>0123456789ab|<13>b|");
    CHECK("<13>0123456789abc", 16, "^<13>0123456789ab|");
}

TEST(a_cut_does_not_split_a_character) {
    CHECK("<13>0123456789\xe2\x82\xac\xe2\x82\xac\n", 16, "^<13>0123456789|");
    CHECK("<13>012345678\xe2\x82\xac\xe2\x82\xac\n", 16, "^<13>012345678\xe2\x82\xac|");
    CHECK("22 <13>0123456789\xe2\x82\xac\xe2\x82\xacxx", 16, "^<13>0123456789|");
}

TEST(the_last_frame_is_kept_when_the_stream_ends_inside_it) {
    CHECK("<13>a\n<13>no end", 64, "<13>a|<13>no end$|");
    CHECK("20 <13>short", 64, "<13>short$|");
    CHECK("54 <1", 64, "54 <1$|");
    CHECK("54 ", 64, "54 $|");
    CHECK("5", 64, "5$|");
    CHECK("<13>a\r", 64, "<13>a\r$|");
}

TEST(random_streams_lose_no_byte_of_their_messages) {
    uint64_t seed = 7;
    for (int round = 0; round < 2000; round++) {
        char stream[2048], want[2048];
        size_t n = 0, w = 0;
        for (int i = 0; i < 8; i++) {
            char text[64];
            int length = sprintf(text, "<13>m%d", (int)(test_random(&seed) % 100000));
            w += (size_t)sprintf(want + w, "%s|", text);
            if (test_random(&seed) % 2) n += (size_t)sprintf(stream + n, "%d %s", length, text);
            else n += (size_t)sprintf(stream + n, "%s%s", text, test_random(&seed) % 2 ? "\n" : "\r\n");
        }
        assert_string_equal(frames_of(stream, n, 1 + test_random(&seed) % 32, 64), want);
    }
}
