// SPDX-License-Identifier: Apache-2.0
// Threads, locks with scope, and a bounded blocking queue of owned items counted in bytes.
//
// Lock order is drawn in docs/locking.md. queue_* is thread-safe; an item handed to queue_put belongs to the queue until
// queue_take hands it on. queue_close wakes everybody: puts fail, takes drain what is left and then return NULL.
#ifndef BASE_THREAD_H
#define BASE_THREAD_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

// Starts a joinable thread with all signals blocked and the given name (15 bytes are kept).
int thread_start(pthread_t *ret, const char *name, void *(*run)(void *), void *arg, struct err *err) MUST_USE;

static inline void cleanup_unlockp(pthread_mutex_t **m) { if (*m) pthread_mutex_unlock(*m); }
static inline pthread_mutex_t *lock_(pthread_mutex_t *m) { pthread_mutex_lock(m); return m; }
#define LOCK_CAT_(a, b) a##b
#define LOCK_NAME_(line) LOCK_CAT_(scoped_lock_, line)
#define LOCK_SCOPE(m) pthread_mutex_t *LOCK_NAME_(__LINE__) __attribute__((cleanup(cleanup_unlockp), unused)) = lock_(m)

void cond_init_mono(pthread_cond_t *c); // a condition that waits on CLOCK_MONOTONIC
// Waits at most timeout_ms (<0 = for ever); false on time-out.
bool cond_wait_ms(pthread_cond_t *c, pthread_mutex_t *m, int64_t timeout_ms);

struct queue;
struct queue *queue_new(size_t max_bytes); // one item larger than max_bytes is accepted when the queue is empty
void queue_free(struct queue *q, void (*free_item)(void *));
bool queue_put(struct queue *q, void *item, size_t bytes, int64_t timeout_ms); // false: closed or timed out, item still the caller's
void *queue_take(struct queue *q, int64_t timeout_ms);                         // NULL: closed and empty, or timed out
void queue_close(struct queue *q);
size_t queue_bytes(struct queue *q);

// An eventfd pair-in-one: wake makes fd readable, drain resets it. Thread-safe.
int wake_open(struct err *err) MUST_USE; // the fd, or -1; close(2) it
void wake_signal(int fd);
void wake_drain(int fd);

#endif
