// SPDX-License-Identifier: Apache-2.0
// Helper threads that live for one call.
#include "many.h"

#include <stdatomic.h>

#include "base/thread.h"

enum { HELPERS = 15, EACH = 8 }; // helpers at most, and how many items make one worth starting

struct work {
    size_t n;
    int (*one)(void *arg, size_t i, struct err *err);
    void *arg;
    atomic_size_t next;
    atomic_bool failed;
    pthread_mutex_t lock; // guards err
    struct err err;
};

static void *do_some(void *arg) {
    struct work *w = arg;
    while (!atomic_load(&w->failed)) {
        struct err err;
        size_t i = atomic_fetch_add(&w->next, 1);
        if (i >= w->n) break;
        if (!w->one(w->arg, i, &err)) continue;
        LOCK_SCOPE(&w->lock);
        if (!atomic_exchange(&w->failed, true)) w->err = err;
    }
    return NULL;
}

int many(size_t n, int (*one)(void *arg, size_t i, struct err *err), void *arg, struct err *err) {
    struct work w = {.n = n, .one = one, .arg = arg, .lock = PTHREAD_MUTEX_INITIALIZER};
    pthread_t threads[HELPERS];
    size_t helpers = 0;
    while (helpers < n / EACH && helpers < HELPERS && !thread_start(&threads[helpers], "store-helper", do_some, &w, NULL)) helpers++;
    do_some(&w);
    while (helpers) pthread_join(threads[--helpers], NULL);
    pthread_mutex_destroy(&w.lock);
    if (!atomic_load(&w.failed)) return 0;
    *err = w.err;
    return -1;
}
