// SPDX-License-Identifier: Apache-2.0
// The event loop: epoll for descriptors, a binary heap of timers, a posted list behind an eventfd.
//
// One turn: run posted functions, fire due timers, wait, call `ready` for each event, free what was removed meanwhile.
// A removed descriptor is only marked: events of the same turn may still name it.
#include "base/loop.h"

#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/thread.h"

struct loop_fd {
    struct loop *loop;
    int fd;
    void (*ready)(void *arg, unsigned events);
    void *arg;
    bool removed;
    struct loop_fd *next_removed;
    struct loop_fd **place, *next; // the list of all
};

struct loop_timer {
    struct loop *loop;
    int64_t due_ms;
    uint64_t order; // timers of the same millisecond fire as they were set
    size_t at;      // index in the heap
    void (*fn)(void *arg);
    void *arg;
};

struct posted {
    void (*fn)(void *);
    void *arg;
};

struct loop {
    int epoll, wake;
    atomic_bool stopping;
    struct loop_fd *all, *removed;
    struct loop_timer **heap;
    size_t timer_count, timer_cap;
    uint64_t timer_order;
    pthread_mutex_t mutex; // guards posts
    struct posted *posts;
    size_t post_count, post_cap;
};

struct loop *loop_new(struct err *err) {
    struct loop *l = xcalloc(1, sizeof(*l));
    l->wake = -1;
    pthread_mutex_init(&l->mutex, NULL);
    l->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (l->epoll < 0) err_sys(err, errno, "epoll_create");
    else l->wake = wake_open(err);
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = NULL}; // NULL stands for the wake-up
    if (l->wake >= 0 && !epoll_ctl(l->epoll, EPOLL_CTL_ADD, l->wake, &ev)) return l;
    if (l->wake >= 0) err_sys(err, errno, "epoll_ctl");
    loop_free(l);
    return NULL;
}

static void free_removed(struct loop *l) {
    while (l->removed) {
        struct loop_fd *f = l->removed;
        l->removed = f->next_removed;
        free(f);
    }
}

void loop_free(struct loop *l) {
    if (!l) return;
    while (l->all) loop_remove(l->all);
    free_removed(l);
    for (size_t i = 0; i < l->timer_count; i++) free(l->heap[i]);
    free(l->heap);
    free(l->posts);
    cleanup_closep(&l->wake);
    cleanup_closep(&l->epoll);
    pthread_mutex_destroy(&l->mutex);
    free(l);
}

struct loop_fd *loop_add(struct loop *l, int fd, unsigned events, void (*ready)(void *arg, unsigned events), void *arg,
                         struct err *err) {
    struct loop_fd *f = xcalloc(1, sizeof(*f));
    *f = (struct loop_fd){.loop = l, .fd = fd, .ready = ready, .arg = arg, .next = l->all, .place = &l->all};
    struct epoll_event ev = {.events = events, .data.ptr = f};
    if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &ev)) {
        free(f);
        err_sys(err, errno, "watch descriptor %d", fd);
        return NULL;
    }
    if (l->all) l->all->place = &f->next;
    l->all = f;
    return f;
}

void loop_change(struct loop_fd *f, unsigned events) {
    struct epoll_event ev = {.events = events, .data.ptr = f};
    if (!f->removed) epoll_ctl(f->loop->epoll, EPOLL_CTL_MOD, f->fd, &ev);
}

void loop_remove(struct loop_fd *f) {
    if (!f || f->removed) return;
    epoll_ctl(f->loop->epoll, EPOLL_CTL_DEL, f->fd, NULL);
    *f->place = f->next;
    if (f->next) f->next->place = f->place;
    f->removed = true;
    f->next_removed = f->loop->removed;
    f->loop->removed = f;
}

static bool timer_before(const struct loop_timer *a, const struct loop_timer *b) {
    return a->due_ms != b->due_ms ? a->due_ms < b->due_ms : a->order < b->order;
}

static void timer_place(struct loop *l, size_t at, struct loop_timer *t) {
    l->heap[at] = t;
    t->at = at;
}

static void timer_up(struct loop *l, struct loop_timer *t) {
    size_t at = t->at;
    for (; at && timer_before(t, l->heap[(at - 1) / 2]); at = (at - 1) / 2) timer_place(l, at, l->heap[(at - 1) / 2]);
    timer_place(l, at, t);
}

static void timer_down(struct loop *l, struct loop_timer *t) {
    size_t at = t->at;
    for (size_t child; (child = 2 * at + 1) < l->timer_count; at = child) {
        if (child + 1 < l->timer_count && timer_before(l->heap[child + 1], l->heap[child])) child++;
        if (!timer_before(l->heap[child], t)) break;
        timer_place(l, at, l->heap[child]);
    }
    timer_place(l, at, t);
}

struct loop_timer *loop_after(struct loop *l, int64_t ms, void (*fn)(void *arg), void *arg) {
    struct loop_timer *t = xmalloc(sizeof(*t));
    int64_t due = clock_mono_ms(&clock_real) + (ms > 0 ? ms : 0);
    *t = (struct loop_timer){.loop = l, .due_ms = due, .order = l->timer_order++, .at = l->timer_count, .fn = fn, .arg = arg};
    VEC_PUSH(l->heap, l->timer_count, l->timer_cap, t);
    timer_up(l, t);
    return t;
}

static void timer_take(struct loop_timer *t) {
    struct loop *l = t->loop;
    struct loop_timer *last = l->heap[--l->timer_count];
    if (last == t) return;
    timer_place(l, t->at, last);
    timer_up(l, last);
    timer_down(l, last);
}

void loop_cancel(struct loop_timer *t) {
    if (!t) return;
    timer_take(t);
    free(t);
}

// Only those due now: a timer that sets itself again with 0 ms must not starve the descriptors.
static void fire_timers(struct loop *l) {
    int64_t now = clock_mono_ms(&clock_real);
    uint64_t newest = l->timer_order;
    while (l->timer_count && l->heap[0]->due_ms <= now && l->heap[0]->order < newest) {
        struct loop_timer *t = l->heap[0], due = *t;
        timer_take(t);
        free(t);
        due.fn(due.arg);
    }
}

static int next_timeout(const struct loop *l) {
    if (!l->timer_count) return -1;
    int64_t ms = l->heap[0]->due_ms - clock_mono_ms(&clock_real);
    return ms <= 0 ? 0 : ms > INT_MAX ? INT_MAX : (int)ms;
}

void loop_post(struct loop *l, void (*fn)(void *), void *arg) {
    LOCK_SCOPE(&l->mutex);
    VEC_PUSH(l->posts, l->post_count, l->post_cap, ((struct posted){fn, arg}));
    wake_signal(l->wake);
}

void loop_stop(struct loop *l) {
    atomic_store(&l->stopping, true);
    wake_signal(l->wake);
}

static void run_posts(struct loop *l) {
    pthread_mutex_lock(&l->mutex);
    struct posted *posts = l->posts;
    size_t n = l->post_count;
    l->posts = NULL;
    l->post_count = l->post_cap = 0;
    pthread_mutex_unlock(&l->mutex);
    for (size_t i = 0; i < n; i++) posts[i].fn(posts[i].arg);
    free(posts);
}

static void dispatch(struct loop *l, const struct epoll_event *ev) {
    struct loop_fd *f = ev->data.ptr;
    if (!f) wake_drain(l->wake);
    else if (!f->removed) f->ready(f->arg, ev->events);
}

int loop_run(struct loop *l, struct err *err) {
    struct epoll_event events[64];
    while (!atomic_load(&l->stopping)) {
        run_posts(l);
        fire_timers(l);
        free_removed(l);
        if (atomic_load(&l->stopping)) break;
        int n = epoll_wait(l->epoll, events, countof(events), next_timeout(l));
        if (n < 0 && errno != EINTR) return err_sys(err, errno, "epoll_wait");
        for (int i = 0; i < n; i++) dispatch(l, &events[i]);
    }
    atomic_store(&l->stopping, false);
    run_posts(l); // what was posted before the stop owns memory
    return 0;
}
