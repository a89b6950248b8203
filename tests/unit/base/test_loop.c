// SPDX-License-Identifier: Apache-2.0
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/thread.h"
#include "test.h"

static struct buf order;
static struct loop *loop;

static void note(void *arg) { buf_putz(&order, arg); }
static void stop(void *arg) { loop_stop(loop); }

static void begin(void) {
    struct err err = {0};
    loop = loop_new(&err);
    assert_non_null(loop);
    buf_clear(&order);
}

static void run(void) {
    struct err err;
    assert_ok(loop_run(loop, &err), err);
}

static void end(void) {
    loop_free(loop);
    buf_done(&order);
}

#define TEXT(z) ((void *)(uintptr_t)(z))

TEST(timers_fire_in_order_of_time_then_of_setting) {
    begin();
    loop_after(loop, 30, note, TEXT("d"));
    loop_after(loop, 10, note, TEXT("b"));
    loop_after(loop, 10, note, TEXT("c"));
    loop_after(loop, 0, note, TEXT("a"));
    loop_cancel(loop_after(loop, 5, note, TEXT("cancelled")));
    loop_cancel(NULL);
    loop_after(loop, 31, stop, NULL);
    loop_after(loop, 60000, note, TEXT("never"));
    run();
    assert_buf(&order, "abcd");
    end();
}

TEST(cancelling_any_timer_keeps_the_others_in_order) {
    begin();
    struct loop_timer *timers[50];
    uint64_t seed = 4;
    for (int i = 0; i < 50; i++) timers[i] = loop_after(loop, (int64_t)(test_random(&seed) % 20), note, TEXT(i % 2 ? "." : "x"));
    for (int i = 0; i < 50; i += 2) loop_cancel(timers[i]);
    loop_after(loop, 25, stop, NULL);
    run();
    assert_buf(&order, ".........................");
    end();
}

struct again {
    int left;
};
static void set_again(void *arg) {
    struct again *a = arg;
    if (--a->left) loop_after(loop, 0, set_again, a);
    else loop_stop(loop);
}
static void on_readable(void *arg, unsigned events) { note(arg); }

TEST(a_timer_that_sets_itself_does_not_starve_descriptors) {
    begin();
    int pair[2];
    struct err err;
    struct again a = {3};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    assert_int_equal(write(pair[1], "x", 1), 1);
    assert_non_null(loop_add(loop, pair[0], LOOP_READ, on_readable, TEXT("r"), &err));
    loop_after(loop, 0, set_again, &a);
    run();
    assert_true(order.n >= 2);
    end();
    close(pair[0]), close(pair[1]);
}

static struct loop_fd *watched[2];
static void remove_both(void *arg, unsigned events) {
    note(TEXT("once"));
    loop_remove(watched[0]);
    loop_remove(watched[1]);
    loop_after(loop, 5, stop, NULL);
}

TEST(a_descriptor_removed_in_a_callback_is_not_called_again) {
    begin();
    int pair[2];
    struct err err;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(write(pair[i], "x", 1), 1); // both become ready in the same turn
        watched[i] = loop_add(loop, pair[i], LOOP_READ, remove_both, NULL, &err);
    }
    run();
    assert_buf(&order, "once");
    end();
    close(pair[0]), close(pair[1]);
}

static struct loop_fd *writer;
static void writable_once(void *arg, unsigned events) {
    if (!(events & LOOP_WRITE)) return;
    note(TEXT("w"));
    loop_change(writer, LOOP_READ);
    loop_after(loop, 5, stop, NULL);
}

TEST(interest_can_be_changed) {
    begin();
    int pair[2];
    struct err err;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    writer = loop_add(loop, pair[0], LOOP_READ | LOOP_WRITE, writable_once, NULL, &err);
    run();
    assert_buf(&order, "w");
    assert_null(loop_add(loop, 9999, LOOP_READ, writable_once, NULL, &err));
    assert_has(err.msg, "watch descriptor 9999: bad file descriptor");
    end();
    close(pair[0]), close(pair[1]);
}

static void *post_many(void *arg) {
    for (int i = 0; i < 100; i++) loop_post(loop, note, TEXT("p"));
    loop_post(loop, stop, NULL);
    return NULL;
}

TEST(posts_from_another_thread_run_on_the_loop) {
    begin();
    pthread_t t;
    struct err err;
    assert_ok(thread_start(&t, "poster", post_many, NULL, &err), err);
    run();
    pthread_join(t, NULL);
    assert_int_equal(order.n, 100);
    loop_post(loop, note, TEXT("late"));
    loop_stop(loop);
    buf_clear(&order);
    run(); // a stop before the run ends it at once, but not before what was posted
    assert_buf(&order, "late");
    end();
    loop_free(NULL);
}
