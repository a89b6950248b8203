/* SPDX-License-Identifier: Apache-2.0 */
/* Breaks: [task] functions are called on the task's thread. */
#include <pthread.h>
#define PUT(t, b) elsewhere((t)->host)
#define DECLARE static void elsewhere(struct cn_host *h);
#include "good_sink.h"

static void *ask(void *arg) {
    struct cn_host *h = (struct cn_host *)arg;
    char byte;
    h->ops->schema_get(h, "s", &byte, 1);
    return NULL;
}
static void elsewhere(struct cn_host *h) {
    pthread_t thread;
    pthread_create(&thread, NULL, ask, h);
    pthread_join(thread, NULL);
}
