// SPDX-License-Identifier: Apache-2.0
#include "test.h"

#include <stdlib.h>

#include "pgarray.h"

/* Items joined by '|': N for null, [] for nested, ! for bad. */
static void array_is(const char *text, const char *want) {
    char scratch[256], out[512] = "";
    struct array_reader r;
    struct text item;
    if (array_open(&r, text_of(text), ',', scratch) != 0) strcpy(out, "!");
    else
        for (int k; (k = array_next(&r, &item)) != ITEM_END;) {
            if (*out) strcat(out, "|");
            if (k == ITEM_VALUE) strncat(out, item.p, item.n);
            else strcat(out, k == ITEM_NULL ? "N" : k == ITEM_NESTED ? "[]" : "!");
            if (k == ITEM_BAD) break;
        }
    assert_string_equal(out, want);
}

TEST(arrays_are_split_into_items) {
    array_is("{}", "");
    array_is("{1,2,NULL,3}", "1|2|N|3");
    array_is("{a,\"b c\",NULL,\"d\\\"q\"}", "a|b c|N|d\"q");
    array_is("{\"NULL\",null}", "NULL|null");
    array_is("{\"\"}", "");
    array_is("{{1,2},{3,4}}", "[]|[]");
    array_is("{{\"}\\\"\"},x}", "[]|x");
    array_is("[0:1]={7,8}", "7|8");
    array_is("{a\\,b}", "a,b");
}

TEST(malformed_arrays_are_bad) {
    array_is("", "!");
    array_is("1,2", "!");
    array_is("{1,2", "1|2|!");
    array_is("{1,,2}", "1|!");
    array_is("{1}x", "1|!");
    array_is("{\"a", "!");
    array_is("{{1}", "[]|!");
    array_is("{{1", "!");
    array_is("[1:2]{1}", "!");
    array_is("{1,}", "1|!");
}

TEST(hstore_gives_keys_and_values) {
    char scratch[128];
    struct hstore_reader r;
    struct text k, v;
    hstore_open(&r, text_of("\"a\"=>\"1\", \"b \\\"q\\\"\"=>NULL"), scratch);
    assert_int_equal(hstore_next(&r, &k, &v), ITEM_VALUE);
    assert_true(text_is(k, "a") && text_is(v, "1"));
    assert_int_equal(hstore_next(&r, &k, &v), ITEM_NULL);
    assert_true(text_is(k, "b \"q\""));
    assert_int_equal(hstore_next(&r, &k, &v), ITEM_END);
    hstore_open(&r, text_of("a=>1"), scratch);
    assert_int_equal(hstore_next(&r, &k, &v), ITEM_BAD);
    hstore_open(&r, text_of("\"a\"=>"), scratch);
    assert_int_equal(hstore_next(&r, &k, &v), ITEM_BAD);
}

TEST(texts_cut_anywhere_stay_within_their_bytes) {
    static const char text[] = "[1:3]={\"a\\\"b\",NULL,{\"x\",{y}},z\\}}";
    static const char pairs[] = "\"a\\\\b\"=>\"c\", \"d\"=>NULL";
    for (size_t n = 0; n < sizeof text; n++) {
        char *exact = malloc(n ? n : 1), *scratch = malloc(n ? n : 1);
        memcpy(exact, text, n);
        struct array_reader r;
        struct text item;
        if (array_open(&r, (struct text){exact, n}, ',', scratch) == 0)
            for (int k; (k = array_next(&r, &item)) != ITEM_END && k != ITEM_BAD;) {}
        free(exact);
        free(scratch);
    }
    for (size_t n = 0; n < sizeof pairs; n++) {
        char *exact = malloc(n ? n : 1), *scratch = malloc(n ? n : 1);
        memcpy(exact, pairs, n);
        struct hstore_reader r;
        struct text k, v;
        hstore_open(&r, (struct text){exact, n}, scratch);
        for (int i; (i = hstore_next(&r, &k, &v)) != ITEM_END && i != ITEM_BAD;) {}
        free(exact);
        free(scratch);
    }
}
