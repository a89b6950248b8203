// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include <stdlib.h>

#include "lines.h"
#include "test.h"

// The lines of a stream fed in steps: "a|b|", '^' before a truncated one, '$' behind an incomplete one.
static char *lines_of(const char *stream, size_t n, size_t step, uint32_t max, bool final) {
    static char out[65536];
    bool skipping = false;
    size_t at = 0, fed = 0, searched = 0;
    out[0] = '\0';
    while (fed < n || final) {
        bool last = fed == n;
        fed = n - fed < step ? n : fed + step;
        for (;;) {
            struct line line;
            size_t used;
            char *exact = malloc(fed - at ? fed - at : 1);
            memcpy(exact, stream + at, fed - at);
            int got = lines_next(&skipping, exact, fed - at, searched, max, final && last, &line, &used);
            if (got) {
                assert_true(line.n <= max);
                size_t o = strlen(out);
                snprintf(out + o, sizeof out - o, "%s%.*s%s|", line.truncated ? "^" : "", (int)line.n, line.p, line.incomplete ? "$" : "");
            }
            free(exact);
            at += used;
            searched = got ? 0 : fed - at; // what was searched needs no second look
            if (!got) break;
        }
        if (last) break;
    }
    return out;
}

static void check(const char *stream, size_t n, uint32_t max, bool final, const char *want) {
    for (size_t step = 1; step <= n + 1; step++)
        if (strcmp(lines_of(stream, n, step, max, final), want) != 0) {
            print_error("in steps of %zu: want %s, got %s\n", step, want, lines_of(stream, n, step, max, final));
            fail();
        }
}
#define CHECK(stream, max, final, want) check(stream, sizeof(stream) - 1, max, final, want)

TEST(lines_end_at_lf_and_lose_a_cr) {
    CHECK("a\nb\r\n\nc\rd\n", 64, false, "a|b||c\rd|");
    CHECK("\r\n\n", 64, false, "||");
}

TEST(an_unfinished_line_waits) {
    CHECK("a\nunfinished", 64, false, "a|");
    CHECK("a\nunfinished", 64, true, "a|unfinished$|");
    CHECK("a\n", 64, true, "a|");
}

TEST(long_lines_are_cut_and_the_rest_skipped) {
    CHECK("0123456789abcdef\nb\n", 8, false, "^01234567|b|");
    CHECK("01234567\nb\n", 8, false, "01234567|b|");
    CHECK("012345678\nb\n", 8, false, "^01234567|b|");
    CHECK("0123456789", 8, false, "^01234567|");
    CHECK("0123456789", 8, true, "^01234567|");
}

TEST(a_cut_does_not_split_a_character) { CHECK("0123456\xe2\x82\xac\n", 8, false, "^0123456|"); }
