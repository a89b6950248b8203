// SPDX-License-Identifier: Apache-2.0
// Thread start, conditions on the monotonic clock, the bounded queue, wake-up descriptors.
#include "base/thread.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"

struct start {
    void *(*run)(void *);
    void *arg;
    char name[16];
};

static void *thread_main(void *arg) {
    struct start s = *(struct start *)arg;
    free(arg);
    pthread_setname_np(pthread_self(), s.name);
    return s.run(s.arg);
}

int thread_start(pthread_t *ret, const char *name, void *(*run)(void *), void *arg, struct err *err) {
    struct start *s = xmalloc(sizeof(*s));
    *s = (struct start){.run = run, .arg = arg};
    snprintf(s->name, sizeof(s->name), "%.15s", name);
    // The new thread inherits the mask, so it can never take a signal meant for main. Its own faults stay open: a blocked one ends the
    // process without its handler.
    static const int faults[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGSYS};
    sigset_t all, before;
    sigfillset(&all);
    for (size_t i = 0; i < countof(faults); i++) sigdelset(&all, faults[i]);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_t thread;
    int failed = pthread_create(&thread, NULL, thread_main, s);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed) {
        free(s);
        return err_sys(err, failed, "start thread %s", name);
    }
    *ret = thread;
    return 0;
}

void cond_init_mono(pthread_cond_t *c) {
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(c, &attr);
    pthread_condattr_destroy(&attr);
}

static struct timespec after_ms(int64_t ms) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    int64_t ns = t.tv_nsec + ms % 1000 * 1000000;
    t.tv_sec += ms / 1000 + ns / 1000000000;
    t.tv_nsec = ns % 1000000000;
    return t;
}

bool cond_wait_ms(pthread_cond_t *c, pthread_mutex_t *m, int64_t timeout_ms) {
    if (timeout_ms < 0) return !pthread_cond_wait(c, m);
    struct timespec until = after_ms(timeout_ms);
    return pthread_cond_timedwait(c, m, &until) != ETIMEDOUT;
}

struct queue_item {
    struct queue_item *next;
    void *item;
    size_t bytes;
};

struct queue {
    pthread_mutex_t mutex; // guards all below
    pthread_cond_t not_full, not_empty;
    struct queue_item *first, **last;
    size_t bytes, max_bytes;
    bool closed;
};

struct queue *queue_new(size_t max_bytes) {
    struct queue *q = xcalloc(1, sizeof(*q));
    pthread_mutex_init(&q->mutex, NULL);
    cond_init_mono(&q->not_full);
    cond_init_mono(&q->not_empty);
    q->last = &q->first;
    q->max_bytes = max_bytes;
    return q;
}

void queue_free(struct queue *q, void (*free_item)(void *)) {
    if (!q) return;
    for (struct queue_item *i = q->first, *next; i; i = next) {
        next = i->next;
        if (free_item) free_item(i->item);
        free(i);
    }
    pthread_cond_destroy(&q->not_full);
    pthread_cond_destroy(&q->not_empty);
    pthread_mutex_destroy(&q->mutex);
    free(q);
}

static bool has_room(const struct queue *q, size_t bytes) {
    return !q->first || (q->bytes <= q->max_bytes && bytes <= q->max_bytes - q->bytes);
}

// Waits for one wake-up of c, but not past the deadline; false when that is reached.
static bool wait_until(pthread_cond_t *c, pthread_mutex_t *m, const struct timespec *deadline) {
    if (!deadline) return !pthread_cond_wait(c, m);
    return pthread_cond_timedwait(c, m, deadline) != ETIMEDOUT;
}

bool queue_put(struct queue *q, void *item, size_t bytes, int64_t timeout_ms) {
    struct timespec deadline = timeout_ms < 0 ? (struct timespec){0} : after_ms(timeout_ms);
    LOCK_SCOPE(&q->mutex);
    while (!q->closed && !has_room(q, bytes))
        if (!wait_until(&q->not_full, &q->mutex, timeout_ms < 0 ? NULL : &deadline)) break;
    if (q->closed || !has_room(q, bytes)) return false;
    struct queue_item *i = xmalloc(sizeof(*i));
    *i = (struct queue_item){.item = item, .bytes = bytes};
    *q->last = i;
    q->last = &i->next;
    q->bytes += bytes;
    pthread_cond_signal(&q->not_empty);
    return true;
}

static void *take_first(struct queue *q) {
    struct queue_item *i = q->first;
    if (!i) return NULL;
    void *item = i->item;
    q->first = i->next;
    if (!q->first) q->last = &q->first;
    q->bytes -= i->bytes;
    free(i);
    pthread_cond_broadcast(&q->not_full); // putters wait for different sizes
    return item;
}

void *queue_take(struct queue *q, int64_t timeout_ms) {
    struct timespec deadline = timeout_ms < 0 ? (struct timespec){0} : after_ms(timeout_ms);
    LOCK_SCOPE(&q->mutex);
    while (!q->closed && !q->first)
        if (!wait_until(&q->not_empty, &q->mutex, timeout_ms < 0 ? NULL : &deadline)) break;
    return take_first(q);
}

void queue_close(struct queue *q) {
    LOCK_SCOPE(&q->mutex);
    q->closed = true;
    pthread_cond_broadcast(&q->not_full);
    pthread_cond_broadcast(&q->not_empty);
}

size_t queue_bytes(struct queue *q) {
    LOCK_SCOPE(&q->mutex);
    return q->bytes;
}

int wake_open(struct err *err) {
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return fd < 0 ? err_sys(err, errno, "eventfd") : fd;
}

void wake_signal(int fd) {
    uint64_t one = 1;
    while (write(fd, &one, sizeof(one)) < 0 && errno == EINTR) {} // a full counter is readable already
}

void wake_drain(int fd) {
    uint64_t count;
    while (read(fd, &count, sizeof(count)) < 0 && errno == EINTR) {}
}
