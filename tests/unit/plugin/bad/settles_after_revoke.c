/* SPDX-License-Identifier: Apache-2.0 */
/* Breaks: nothing is settled after a revoke returned. */
#include <pthread.h>
#include <time.h>
#define REVOKE(t) later(t)
#define DECLARE static void later(struct task *t);
#include "good_sink.h"

static void *settle_late(void *arg) {
    struct task *t = (struct task *)arg;
    nanosleep(&(struct timespec){0, 100000000}, NULL);
    settle_all(t);
    return NULL;
}
static void later(struct task *t) {
    pthread_t thread;
    pthread_create(&thread, NULL, settle_late, t);
    pthread_detach(thread);
}
