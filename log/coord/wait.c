// SPDX-License-Identifier: Apache-2.0
#include "wait.h"

#include "base/mem.h"
#include "base/thread.h"

struct waiter {
    pthread_mutex_t lock;
    pthread_cond_t done;
    bool finished;
    int result;
    struct err *err;
    void (*settle)(void *arg, const struct err *err);
    void *arg;
};

static void finished(void *arg, const struct err *err, const struct append_result *results, size_t n) {
    struct waiter *w = arg;
    if (w->settle) w->settle(w->arg, err);
    LOCK_SCOPE(&w->lock);
    w->result = err ? -1 : 0;
    if (err && w->err) *w->err = *err;
    w->finished = true;
    pthread_cond_signal(&w->done);
}

int coord_commit(struct store *s, struct commit *c, void (*settle)(void *arg, const struct err *err), void *arg, struct err *err) {
    struct waiter w = {.err = err, .settle = settle, .arg = arg};
    pthread_mutex_init(&w.lock, NULL);
    pthread_cond_init(&w.done, NULL);
    store_commit(s, c, false, finished, &w);
    pthread_mutex_lock(&w.lock);
    while (!w.finished) pthread_cond_wait(&w.done, &w.lock);
    pthread_mutex_unlock(&w.lock);
    pthread_cond_destroy(&w.done);
    pthread_mutex_destroy(&w.lock);
    return w.result;
}

static const struct topic_setting state_settings[] = {
    {"cleanup.policy", "compact"},
    {"segment.bytes", "1048576"},
    {"min.cleanable.dirty.ratio", "0.1"},
    {"delete.retention.ms", "60000"},
    {"max.message.bytes", "67108864"},
};

int coord_topic(struct store *s, const char *name, int32_t partitions, struct topic **ret, struct err *err) {
    struct err e = {0};
    struct topic *t = topic_get(s, name);
    if (!t && store_topic_create(s, name, partitions, state_settings, countof(state_settings), &e) < 0 && e.code != ERR_EXISTS) {
        if (err) *err = e;
        return err_wrap(err, "topic %s", name);
    }
    if (!t && !(t = topic_get(s, name))) return err_set(err, ERR_NOT_FOUND, "topic %s: deleted while it was made", name);
    *ret = t;
    return 0;
}
