// SPDX-License-Identifier: Apache-2.0
// An epoll event loop: descriptors, timers, wake-ups from other threads. All callbacks run on the thread in loop_run.
#ifndef BASE_LOOP_H
#define BASE_LOOP_H

#include <stdint.h>
#include "base/err.h"

struct loop;
struct loop_fd;
struct loop_timer;
enum { LOOP_READ = 1, LOOP_WRITE = 4, LOOP_HUP = 16 }; // EPOLLIN, EPOLLOUT, EPOLLHUP

struct loop *loop_new(struct err *err);
void loop_free(struct loop *l);
int loop_run(struct loop *l, struct err *err); // until loop_stop
void loop_stop(struct loop *l);                // thread-safe
void loop_post(struct loop *l, void (*fn)(void *), void *arg); // thread-safe: fn runs once on the loop's thread
struct loop_fd *loop_add(struct loop *l, int fd, unsigned events, void (*ready)(void *arg, unsigned events), void *arg, struct err *err);
void loop_change(struct loop_fd *f, unsigned events);
void loop_remove(struct loop_fd *f); // safe inside any callback; the fd stays open and the caller's
struct loop_timer *loop_after(struct loop *l, int64_t ms, void (*fn)(void *arg), void *arg);
void loop_cancel(struct loop_timer *t); // NULL is fine; not after it fired

#endif
