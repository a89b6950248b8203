// SPDX-License-Identifier: Apache-2.0
#include "test.h"

#include <stdlib.h>

#include "copytext.h"

/* Fields joined by '|', N for null; "!" when refused. */
static void line_is(const char *line, uint32_t want_fields, const char *want) {
    char copy[256], out[512] = "";
    struct text f[16];
    strcpy(copy, line);
    if (copytext_split(copy, strlen(line), f, want_fields) != 0) strcpy(out, "!");
    else
        for (uint32_t i = 0; i < want_fields; i++) {
            if (i) strcat(out, "|");
            if (f[i].p) strncat(out, f[i].p, f[i].n);
            else strcat(out, "N");
        }
    assert_string_equal(out, want);
}

TEST(a_line_is_split_at_tabs) {
    line_is("1\tabc\t\n", 3, "1|abc|");
    line_is("1\tabc", 2, "1|abc");
    line_is("\n", 1, "");
    line_is("\t\t\n", 3, "||");
}

TEST(nulls_and_escapes_are_told_apart) {
    line_is("\\N\tx\t\\N\n", 3, "N|x|N");
    line_is("\\\\N\t\\\\\n", 2, "\\N|\\");
    line_is("a\\tb\\nc\\rd\\be\\ff\\vg\n", 1, "a\tb\nc\rd\be\ff\vg");
    line_is("x\\\\\ty\\ttail\tz\n", 3, "x\\|y\ttail|z");
    line_is("\\101\\x41\\q\n", 1, "AAq");
    line_is("\\xzz\n", 1, "xzz");
}

TEST(another_number_of_fields_is_refused) {
    line_is("1\t2\n", 3, "!");
    line_is("1\t2\t3\n", 2, "!");
    line_is("abc\\", 1, "!");
}

TEST(lines_cut_anywhere_stay_within_their_bytes) {
    static const char text[] = "12\t\\N\ta\\tb\\\\c\t\\x4\\12\\N\tz\n";
    for (size_t n = 0; n < sizeof text; n++)
        for (uint32_t want = 1; want < 7; want++) {
            char *exact = malloc(n ? n : 1);
            struct text f[8];
            memcpy(exact, text, n);
            copytext_split(exact, n, f, want);
            free(exact);
        }
}
