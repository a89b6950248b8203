// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "alloc_fail.h"
#include "base/buf.h"
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

// ── when memory runs out ─────────────────────────────────────────────────────────────────────────────────────────────

TEST(a_small_allocation_waits_until_there_is_memory) {
    for (uint64_t times = 1; times <= 4; times++) {
        alloc_plan((struct alloc_plan){.first = 1, .times = times});
        char *p = xrealloc(xcalloc(1, 10), 20);
        assert_int_equal(alloc_failed(), times);
        free(p);
        alloc_plan((struct alloc_plan){.first = 1, .times = times});
        _cleanup_free_ char *text = xasprintf("%s", "text"), *copy = xstrdup(text);
        assert_int_equal(alloc_failed(), times);
        assert_string_equal(copy, "text");
    }
    alloc_relief();
}

TEST(the_reserve_is_given_up_first_and_made_up_for_later) {
    enum { RESERVE = 3 * MEM_LARGE };
    mem_reserve(RESERVE);
    alloc_plan((struct alloc_plan){.first = 1});
    free(xmalloc(1));
    alloc_plan((struct alloc_plan){.least = RESERVE});
    for (int i = 0; !alloc_count() && i < 20000; i++) {
        usleep(1000);
        free(xmalloc(1));
    }
    assert_int_equal(alloc_count(), 1); // it is back
    free(xmalloc(1));
    assert_int_equal(alloc_count(), 1);
    alloc_relief();
    mem_reserve(0);
}

TEST(a_process_without_memory_for_seconds_ends_and_says_so) {
    int fds[2], status;
    char said[512] = "";
    assert_int_equal(pipe(fds), 0);
    pid_t pid = fork();
    if (!pid) {
        dup2(fds[1], STDERR_FILENO);
        signal(SIGABRT, SIG_DFL);
        alloc_plan((struct alloc_plan){.first = 1, .times = UINT64_MAX});
        free(xmalloc(42));
        _exit(0);
    }
    close(fds[1]);
    size_t n = 0;
    for (ssize_t got; (got = read(fds[0], said + n, sizeof(said) - 1 - n)) > 0;) n += (size_t)got;
    close(fds[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    assert_string_equal(said, "connectd: no memory for 42 bytes, waiting for it\nconnectd: out of memory (42 bytes)\n");
}

TEST(a_large_buffer_fails_softly_and_keeps_what_it_had) {
    struct buf b = {0};
    buf_fill(&b, 'x', MEM_LARGE);
    alloc_plan((struct alloc_plan){.first = 1});
    buf_fill(&b, 'y', 1); // twice as much is not to be had, an eighth more is
    assert_false(b.bad);
    assert_in_range(b.cap, MEM_LARGE + 1, MEM_LARGE + MEM_LARGE / 4);
    buf_fill(&b, 'z', b.cap - b.n);
    size_t full = b.n;
    alloc_plan((struct alloc_plan){.first = 1, .times = 2});
    assert_false(buf_reserve(&b, 10));
    assert_true(b.bad);
    assert_int_equal(buf_fault(&b), ERR_NOMEM);
    buf_putz(&b, "ignored");
    assert_int_equal(b.n, full);
    alloc_relief();
    buf_clear(&b);
    buf_putz(&b, "good again");
    assert_buf(&b, "good again");
    b.limit = 5;
    assert_false(buf_reserve(&b, 100));
    assert_int_equal(buf_fault(&b), ERR_TOO_LARGE);
    buf_done(&b);
}

TEST(an_arena_makes_do_with_a_smaller_chunk) {
    struct arena a = {.chunk_size = MEM_LARGE};
    alloc_plan((struct alloc_plan){.least = MEM_LARGE, .first = 1, .times = UINT64_MAX});
    memset(arena_alloc(&a, 100), 1, 100);
    assert_int_equal(alloc_failed(), 1);
    alloc_relief();
    arena_done(&a);
}
