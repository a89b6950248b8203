// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <unistd.h>

#include "base/mem.h"
#include "test.h"

TEST(a_vector_grows_and_keeps_its_items) {
    int *items = NULL;
    size_t n = 0, cap = 0;
    for (int i = 0; i < 1000; i++) VEC_PUSH(items, n, cap, i);
    for (int i = 0; i < 1000; i++) assert_int_equal(items[i], i);
    assert_true(cap >= n && n == 1000);
    free(items);
}

TEST(arena_memory_is_aligned_and_does_not_overlap) {
    struct arena a = {0};
    uint8_t *blocks[300];
    for (size_t i = 0; i < 300; i++) {
        blocks[i] = arena_alloc(&a, i * 7);
        assert_int_equal((uintptr_t)blocks[i] % 16, 0);
        memset(blocks[i], (int)i, i * 7);
    }
    for (size_t i = 0; i < 300; i++)
        for (size_t k = 0; k < i * 7; k++) assert_int_equal(blocks[i][k], (uint8_t)i);
    assert_true(a.used >= 300 * 299 / 2 * 7);
    arena_done(&a);
    assert_null(a.chunk);
}

TEST(a_reset_arena_keeps_one_chunk_and_is_used_again) {
    struct arena a = {.chunk_size = 64};
    for (int i = 0; i < 100; i++) arena_alloc(&a, 1000);
    arena_reset(&a);
    assert_int_equal(a.used, 0);
    assert_non_null(a.chunk);
    void *kept = a.chunk;
    arena_alloc(&a, 1000);
    assert_ptr_equal(a.chunk, kept);
    arena_reset(&a);
    struct arena empty = {0};
    arena_reset(&empty);
    arena_done(&a);
    arena_done(&empty);
}

TEST(arena_texts_are_terminated) {
    struct arena a = {0};
    assert_string_equal(arena_printf(&a, "%s-%d", "x", 5), "x-5");
    assert_string_equal(arena_copy(&a, str_first(STR("abcdef"), 3)).p, "abc");
    char *z = arena_zalloc(&a, 100);
    for (int i = 0; i < 100; i++) assert_int_equal(z[i], 0);
    arena_done(&a);
}

TEST(cleanup_closes_what_was_opened_and_nothing_else) {
    int seen;
    {
        _cleanup_close_ int fd = open("/dev/null", O_RDONLY), none = -1;
        seen = fd;
        assert_int_equal(none, -1);
    }
    assert_int_equal(fcntl(seen, F_GETFD), -1);
    _cleanup_free_ char *text = xasprintf("%d %s", 1, "two");
    assert_string_equal(text, "1 two");
}
