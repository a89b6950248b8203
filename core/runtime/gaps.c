// SPDX-License-Identifier: Apache-2.0
#include "runtime/gaps.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/say.h"
#include "base/thread.h"
#include "runtime/dead_letter.h"

struct gap {
    struct gap *next;
    char *group, *topic;
    int32_t partition;
    int64_t first, last;
    bool damaged;
};
struct gaps {
    struct backend *backend;
    pthread_mutex_t lock; // guards all below; innermost: the backend may hold locks of its own when it notes
    pthread_cond_t answered;
    struct gap *first, **tail;
    int64_t records;
    bool done, failed;
    struct err err;
};

static void note(void *arg, const char *group, const char *topic, int32_t partition, int64_t first, int64_t last, bool damaged) {
    struct gaps *g = arg;
    struct gap *x = xcalloc(1, sizeof(*x));
    *x = (struct gap){
        .group = xstrdup(group), .topic = xstrdup(topic), .partition = partition, .first = first, .last = last, .damaged = damaged};
    LOCK_SCOPE(&g->lock);
    *g->tail = x;
    g->tail = &x->next;
    g->records += last - first + 1;
}

static void gap_free(struct gap *x) {
    free(x->group);
    free(x->topic);
    free(x);
}

struct gaps *gaps_new(struct backend *b) {
    struct gaps *g = xcalloc(1, sizeof(*g));
    g->backend = b;
    g->tail = &g->first;
    pthread_mutex_init(&g->lock, NULL);
    cond_init_mono(&g->answered);
    b->ops->on_lost(b, note, g);
    return g;
}

void gaps_free(struct gaps *g) {
    if (!g) return;
    g->backend->ops->on_lost(g->backend, NULL, NULL);
    for (struct gap *x = g->first, *next; x; x = next) {
        next = x->next;
        gap_free(x);
    }
    pthread_cond_destroy(&g->answered);
    pthread_mutex_destroy(&g->lock);
    free(g);
}

int64_t gaps_records(struct gaps *g) {
    LOCK_SCOPE(&g->lock);
    return g->records;
}

static void written(void *arg, const struct err *err) {
    struct gaps *g = arg;
    LOCK_SCOPE(&g->lock);
    g->failed = err != NULL;
    if (err) g->err = *err;
    g->done = true;
    pthread_cond_signal(&g->answered);
}

static int commit(struct gaps *g, struct producer *p, struct err *err) {
    g->done = false;
    g->backend->ops->commit(p, NULL, NULL, 0, NULL, NULL, 0, written, g);
    LOCK_SCOPE(&g->lock);
    while (!g->done) pthread_cond_wait(&g->answered, &g->lock);
    if (g->failed) *err = g->err;
    return g->failed ? -1 : 0;
}

static int write_gap(struct gaps *g, struct producer *p, const struct gap *x, const char *dead_letters, struct err *err) {
    struct buf value = {0};
    struct json_writer w = json_to(&value);
    _cleanup_free_ char *text =
        xasprintf("records %s-%d@%lld to %lld were %s before %s had read them", x->topic, x->partition, (long long)x->first,
                  (long long)x->last, x->damaged ? "damaged on disk and accepted as lost" : "deleted by retention", x->group);
    json_object(&w);
    json_key(&w, STR("gap"));
    json_object(&w);
    json_kz(&w, "group", x->group);
    json_kz(&w, "topic", x->topic);
    json_ki(&w, "partition", x->partition);
    json_ki(&w, "first", x->first);
    json_ki(&w, "last", x->last);
    json_object_end(&w);
    json_object_end(&w);
    const struct backend_record r = {.topic = str_of(x->topic), .partition = x->partition, .timestamp = clock_wall_ms(&clock_real), .value = buf_str(&value)};
    const struct dead_letter d = {.record = &r,
                                  .offset = x->first,
                                  .connector = x->group + strlen("connect-"),
                                  .stage = STAGE_KAFKA_CONSUME,
                                  .component = x->damaged ? "log-repair" : "retention",
                                  .fail_class = "gap",
                                  .text = text,
                                  .hint = x->damaged ? "the bytes are kept in quarantine/ of the data folder"
                                                     : "raise retention.bytes of the topic, or the log's total"};
    int rc = dead_letter_topic_ensure(g->backend, dead_letters, err);
    if (rc == 0) rc = dead_letter_add(g->backend, p, dead_letters, true, &d, err);
    if (rc == 0) rc = commit(g, p, err);
    if (rc == 0) say(SAY_ERROR, "%s", text);
    buf_done(&value);
    return rc;
}

static struct gap *first_of(struct gaps *g) {
    LOCK_SCOPE(&g->lock);
    return g->first;
}

static void drop_first(struct gaps *g) {
    LOCK_SCOPE(&g->lock);
    struct gap *x = g->first;
    g->first = x->next;
    if (!g->first) g->tail = &g->first;
    gap_free(x);
}

int gaps_write(struct gaps *g, char *(*topic_of)(void *arg, const char *group), void *arg, struct err *err) {
    struct producer *p;
    if (!first_of(g)) return 0;
    if (g->backend->ops->producer_open(g->backend, "connect-cluster/gaps", &p, err) != 0) return -1;
    int rc = 0;
    for (const struct gap *x; rc == 0 && (x = first_of(g));) {
        _cleanup_free_ char *topic = topic_of(arg, x->group);
        if (topic) rc = write_gap(g, p, x, topic, err);
        else say(SAY_ERROR, "records %s-%d@%lld to %lld were deleted by retention; who had not read them is not known (%s)", x->topic, x->partition, (long long)x->first, (long long)x->last, x->group);
        if (rc == 0) drop_first(g);
    }
    g->backend->ops->producer_close(p);
    return rc;
}
