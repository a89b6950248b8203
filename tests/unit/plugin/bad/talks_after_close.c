/* SPDX-License-Identifier: Apache-2.0 */
/* Breaks: no host function is called after close. */
#include <pthread.h>
#include <time.h>
#define CLOSE(t) later((t)->host)
#define DECLARE static void later(struct cn_host *h);
#include "good_sink.h"

static void *talk(void *arg) {
    nanosleep(&(struct timespec){0, 100000000}, NULL);
    cn_log((struct cn_host *)arg, CN_LOG_INFO, "still here");
    return NULL;
}
static void later(struct cn_host *h) {
    pthread_t thread;
    pthread_create(&thread, NULL, talk, h);
    pthread_detach(thread);
}
