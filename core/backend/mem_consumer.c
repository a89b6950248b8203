// SPDX-License-Identifier: Apache-2.0
// Consuming from memory.
#include <poll.h>
#include <unistd.h>

#include "mem_int.h"

static struct mem_consumer *consumer_of(struct consumer *c) { return (struct mem_consumer *)(void *)c; }

int mem_consumer_open(struct backend *b, const struct consumer_options *o, struct consumer **ret, struct err *err) {
    struct mem *m = mem_of(b);
    struct mem_consumer *c = xcalloc(1, sizeof(*c));
    *c = (struct mem_consumer){.mem = m, .options = *o, .group = o->group ? xstrdup(o->group) : NULL, .wake = -1};
    if (subscription_init(&c->want, o, err) != 0 || (c->wake = wake_open(err)) < 0) {
        subscription_done(&c->want);
        free(c->group);
        free(c);
        return -1;
    }
    LOCK_SCOPE(&m->mutex);
    c->next = m->consumers;
    m->consumers = c;
    *ret = (struct consumer *)(void *)c;
    return 0;
}

void mem_consumer_close(struct consumer *consumer) {
    struct mem_consumer *c = consumer_of(consumer);
    {
        LOCK_SCOPE(&c->mem->mutex);
        struct mem_consumer **at = &c->mem->consumers;
        while (*at != c) at = &(*at)->next;
        *at = c->next;
    }
    subscription_done(&c->want);
    close(c->wake);
    free(c->cursors);
    free(c->out);
    free(c->group);
    free(c);
}

static struct mem_cursor *cursor_find(struct mem_consumer *c, const char *topic, int32_t partition) {
    for (size_t i = 0; i < c->n; i++)
        if (c->cursors[i].partition == partition && strcmp(c->cursors[i].topic->name, topic) == 0) return &c->cursors[i];
    return NULL;
}

static int64_t start_of(struct mem_consumer *c, struct mem_topic *t, int32_t partition) {
    _cleanup_free_ char *key = xasprintf("%s/%d", t->name, partition);
    const struct mem_offset *o = c->group ? map_get(mem_map_named(&c->mem->groups, c->group), str_of(key)) : NULL;
    if (o && mem_offset_is_current(c->mem, o)) return o->offset;
    return c->options.from_beginning ? t->partitions[partition].start : (int64_t)t->partitions[partition].n;
}

// Finds one change of the assignment, under the lock: 1 a new cursor (appended), -1 one whose topic is gone (moved last).
static int next_change(struct mem_consumer *c) {
    for (size_t i = 0; i < c->n; i++)
        if (c->cursors[i].topic->deleted) {
            struct mem_cursor gone = c->cursors[i];
            c->cursors[i] = c->cursors[c->n - 1];
            c->cursors[c->n - 1] = gone;
            return -1;
        }
    size_t at = 0;
    for (struct map_entry *e; (e = map_next(&c->mem->topics, &at));) {
        struct mem_topic *t = e->value;
        if (!subscription_has_topic(&c->want, t->name)) continue;
        for (int32_t p = 0; p < t->n; p++) {
            if (!subscription_has_partition(&c->want, t->name, p) || cursor_find(c, t->name, p)) continue;
            VEC_PUSH(c->cursors, c->n, c->cap, ((struct mem_cursor){t, p, start_of(c, t, p), false}));
            return 1;
        }
    }
    return 0;
}

// 1 when something changed and was told, 0, or -1.
static int update_assignment(struct mem_consumer *c, struct err *err) {
    int changed = 0;
    for (;;) {
        pthread_mutex_lock(&c->mem->mutex);
        int change = next_change(c);
        pthread_mutex_unlock(&c->mem->mutex);
        if (!change) return changed;
        changed = 1;
        struct mem_cursor *cursor = &c->cursors[c->n - 1];
        if (change < 0) {
            c->n--;
            if (c->options.revoked) c->options.revoked(c->options.arg, cursor->topic->name, cursor->partition);
        } else if (c->options.assigned &&
                   c->options.assigned(c->options.arg, &(struct assigned){cursor->topic->name, cursor->partition, cursor->topic->id}, &cursor->at, err) != 0) {
            return -1;
        }
    }
}

static size_t gather(struct mem_consumer *c, size_t max_bytes) {
    LOCK_SCOPE(&c->mem->mutex);
    size_t bytes = 0;
    c->out_n = 0;
    for (size_t k = 0; k < c->n && bytes < max_bytes; k++) {
        struct mem_cursor *cursor = &c->cursors[(c->turn + k) % c->n];
        struct mem_partition *p = &cursor->topic->partitions[cursor->partition];
        if (cursor->paused) continue;
        if (cursor->at < p->start || cursor->at > (int64_t)p->n) cursor->at = p->start;
        for (; cursor->at < (int64_t)p->n && bytes < max_bytes; cursor->at++) {
            const struct consumed *r = p->records[cursor->at];
            VEC_PUSH(c->out, c->out_n, c->out_cap, *r);
            bytes += r->key.n + r->value.n + 64;
        }
    }
    c->turn++;
    return c->out_n;
}

int mem_poll(struct consumer *consumer, size_t max_bytes, int64_t timeout_ms, const struct consumed **ret, struct err *err) {
    struct mem_consumer *c = consumer_of(consumer);
    int changed = update_assignment(c, err);
    if (changed) return changed < 0 ? -1 : 0;
    size_t n = gather(c, max_bytes);
    if (!n) {
        struct pollfd fd = {.fd = c->wake, .events = POLLIN};
        poll(&fd, 1, (int)timeout_ms);
        wake_drain(c->wake);
        if ((changed = update_assignment(c, err))) return changed < 0 ? -1 : 0;
        n = gather(c, max_bytes);
    }
    *ret = c->out;
    return (int)n;
}

int mem_wake_fd(struct consumer *c) { return consumer_of(c)->wake; }

int mem_seek(struct consumer *consumer, const char *topic, int32_t partition, int64_t offset, struct err *err) {
    struct mem_cursor *cursor = cursor_find(consumer_of(consumer), topic, partition);
    if (!cursor) return err_set(err, ERR_NOT_FOUND, "partition %s-%d: not assigned", topic, partition);
    cursor->at = offset;
    return 0;
}

void mem_pause(struct consumer *consumer, const char *topic, int32_t partition, bool paused) {
    struct mem_cursor *cursor = cursor_find(consumer_of(consumer), topic, partition);
    if (cursor) cursor->paused = paused;
}

int mem_assignment(struct consumer *consumer, int (*each)(void *, const char *, int32_t, int64_t, int64_t), void *arg) {
    struct mem_consumer *c = consumer_of(consumer);
    for (size_t i = 0; i < c->n; i++) {
        pthread_mutex_lock(&c->mem->mutex);
        int64_t end = (int64_t)c->cursors[i].topic->partitions[c->cursors[i].partition].n;
        pthread_mutex_unlock(&c->mem->mutex);
        int r = each(arg, c->cursors[i].topic->name, c->cursors[i].partition, c->cursors[i].at, end);
        if (r) return r;
    }
    return 0;
}

int mem_fetch(struct backend *b, const char *topic, int32_t partition, int64_t offset,
                     void (*each)(void *, const struct consumed *), void *arg, struct err *err) {
    struct mem *m = mem_of(b);
    struct consumed found;
    {
        LOCK_SCOPE(&m->mutex);
        const struct mem_partition *p = mem_partition_at(m, topic, partition, err);
        if (!p) return -1;
        if (offset < p->start || offset >= (int64_t)p->n)
            return err_set(err, ERR_NOT_FOUND, "record %s-%d@%lld: not in the log", topic, partition, (long long)offset);
        found = *p->records[offset];
    }
    each(arg, &found);
    return 0;
}
