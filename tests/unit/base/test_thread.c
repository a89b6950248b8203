// SPDX-License-Identifier: Apache-2.0
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/thread.h"
#include "test.h"

static void *note_name_and_mask(void *arg) {
    char *name = arg;
    sigset_t mask;
    pthread_getname_np(pthread_self(), name, 16);
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    return sigismember(&mask, SIGTERM) && !sigismember(&mask, SIGSEGV) ? arg : NULL;
}

TEST(a_thread_has_its_name_and_takes_no_signals) {
    struct err err;
    pthread_t t;
    char name[16] = "";
    void *result;
    assert_ok(thread_start(&t, "a-name-that-is-too-long", note_name_and_mask, name, &err), err);
    pthread_join(t, &result);
    assert_string_equal(name, "a-name-that-is-");
    assert_non_null(result);
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    assert_false(sigismember(&mask, SIGTERM)); // the starter's own mask is as before
}

TEST(a_queue_is_first_in_first_out_and_bounded_in_bytes) {
    struct queue *q = queue_new(100);
    int a, b, c;
    assert_true(queue_put(q, &a, 60, 0));
    assert_true(queue_put(q, &b, 40, 0));
    assert_int_equal(queue_bytes(q), 100);
    assert_false(queue_put(q, &c, 1, 0));
    assert_false(queue_put(q, &c, 1, 10));
    assert_ptr_equal(queue_take(q, 0), &a);
    assert_true(queue_put(q, &c, 1, 0));
    assert_ptr_equal(queue_take(q, 0), &b);
    assert_ptr_equal(queue_take(q, 0), &c);
    assert_null(queue_take(q, 10));
    assert_true(queue_put(q, &a, 1000, 0)); // larger than all, but the queue is empty
    assert_false(queue_put(q, &b, 0, 0));
    assert_ptr_equal(queue_take(q, -1), &a);
    queue_free(q, NULL);
}

static int freed;
static void count_free(void *p) { freed++; }

TEST(a_closed_queue_refuses_and_is_drained) {
    struct queue *q = queue_new(100);
    int a, b;
    queue_put(q, &a, 1, 0), queue_put(q, &b, 1, 0);
    queue_close(q);
    assert_false(queue_put(q, &a, 1, -1));
    assert_ptr_equal(queue_take(q, -1), &a);
    assert_ptr_equal(queue_take(q, -1), &b);
    assert_null(queue_take(q, -1));
    queue_free(q, NULL);
    q = queue_new(100);
    queue_put(q, &a, 1, 0);
    queue_free(q, count_free);
    assert_int_equal(freed, 1);
    queue_free(NULL, NULL);
}

struct traffic {
    struct queue *q;
    _Atomic uint64_t sum;
    atomic_int most;
};

static void *produce(void *arg) {
    struct traffic *t = arg;
    for (uintptr_t i = 1; i <= 5000; i++) {
        if (!queue_put(t->q, (void *)i, 1 + i % 7, -1)) return NULL;
        int bytes = (int)queue_bytes(t->q);
        if (bytes > atomic_load(&t->most)) atomic_store(&t->most, bytes);
    }
    return NULL;
}

static void *consume(void *arg) {
    struct traffic *t = arg;
    void *item;
    while ((item = queue_take(t->q, -1))) atomic_fetch_add(&t->sum, (uintptr_t)item);
    return NULL;
}

TEST(many_threads_lose_and_double_nothing_within_the_bound) {
    struct traffic t = {.q = queue_new(64)};
    struct err err;
    pthread_t threads[6];
    for (int i = 0; i < 6; i++) assert_ok(thread_start(&threads[i], "q", i < 3 ? produce : consume, &t, &err), err);
    for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
    queue_close(t.q);
    for (int i = 3; i < 6; i++) pthread_join(threads[i], NULL);
    assert_int_equal(t.sum, 3ull * 5000 * 5001 / 2);
    assert_true(t.most <= 64);
    queue_free(t.q, NULL);
}

static void *close_later(void *arg) {
    usleep(20000);
    queue_close(arg);
    return NULL;
}

TEST(closing_wakes_a_waiting_taker) {
    struct queue *q = queue_new(10);
    struct err err;
    pthread_t t;
    assert_ok(thread_start(&t, "closer", close_later, q, &err), err);
    assert_null(queue_take(q, -1));
    pthread_join(t, NULL);
    queue_free(q, NULL);
}

TEST(a_wake_descriptor_is_readable_until_it_is_drained) {
    struct err err;
    int fd = wake_open(&err);
    assert_true(fd >= 0);
    struct pollfd p = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&p, 1, 0), 0);
    wake_signal(fd), wake_signal(fd);
    assert_int_equal(poll(&p, 1, 0), 1);
    wake_drain(fd);
    assert_int_equal(poll(&p, 1, 0), 0);
    wake_drain(fd); // nothing to drain does not block
    close(fd);
}

TEST(a_condition_wait_ends_at_its_time_out) {
    pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t c;
    cond_init_mono(&c);
    int64_t before = clock_mono_ms(&clock_real);
    {
        LOCK_SCOPE(&m);
        while (cond_wait_ms(&c, &m, 20)) {}
    }
    assert_true(clock_mono_ms(&clock_real) - before >= 19);
    assert_int_equal(pthread_mutex_trylock(&m), 0); // the scope gave it back
    pthread_mutex_unlock(&m);
    pthread_cond_destroy(&c);
}

TEST(a_manual_clock_moves_only_when_told) {
    struct clock_manual m;
    clock_manual_init(&m, 1700000000000000);
    assert_int_equal(clock_wall_ms(&m.clock), 1700000000000);
    clock_manual_advance(&m, 2500000);
    assert_int_equal(m.clock.wall_us(&m.clock), 1700000000002500);
    assert_int_equal(clock_mono_ms(&m.clock), 1700000000002);
    assert_true(clock_wall_ms(&clock_real) > 1700000000000);
    int64_t a = clock_real.mono_ns(&clock_real), b = clock_real.mono_ns(&clock_real);
    assert_true(b >= a);
}
