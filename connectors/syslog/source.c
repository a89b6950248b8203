// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <connectd/sdk.h>

#include "listen.h"
#include "source.h"

enum { EVENTS = 64, BATCH_BYTES = 1 << 20, SHOW_EVERY_MS = 1000, WARN_EVERY_MS = 10000, ACCEPT_PAUSE_MS = 1000 };

struct source {
    struct inlet inlet;
    struct listeners listeners;
    struct datagram_ring *ring;
    int epoll;
    struct socket wake;
    struct conn *conns;
    uint32_t conn_count, conn_max;
    bool accept_paused;
    int64_t accept_after_ms;     // when paused for want of descriptors
    struct conn *unfinished;     // has frames that did not fit the last batch
    // What the last epoll_wait said and was not served yet: the next poll goes on there, so that nobody is always last.
    struct epoll_event events[EVENTS];
    int event_at, event_count;
    bool woken;
    struct record_counts shown;  // as told to the host
    int64_t show_after_ms, warn_after_ms, dropped, dropped_warned;
};

static int watch(struct source *s, struct socket *socket, int op, uint32_t events) {
    struct epoll_event e = {.events = events, .data.ptr = socket};
    if (epoll_ctl(s->epoll, op, socket->fd, &e) == 0) return 0;
    return cn_failf(s->inlet.host, CN_FAIL_TRANSIENT, NULL, "watch a socket: %s", strerror(errno));
}

// Watches or forgets the listeners: connections beyond the limit wait in the kernel, where nothing of theirs is lost.
static void pause_accept(struct source *s, bool pause) {
    if (s->accept_paused == pause) return;
    s->accept_paused = pause;
    for (uint32_t i = 0; i < s->listeners.tcp_count; i++) watch(s, &s->listeners.tcp[i], EPOLL_CTL_MOD, pause ? 0 : EPOLLIN);
}

static void add_conn(struct source *s, struct conn *c) {
    if (watch(s, &c->socket, EPOLL_CTL_ADD, EPOLLIN) != 0) {
        conn_free(c);
        return;
    }
    c->next = s->conns;
    if (c->next) c->next->prev = c;
    s->conns = c;
    s->conn_count++;
}

static void drop_conn(struct source *s, struct conn *c) {
    for (int i = s->event_at; i < s->event_count; i++)
        if (s->events[i].data.ptr == c) s->events[i].data.ptr = NULL;
    if (c->prev) c->prev->next = c->next;
    else s->conns = c->next;
    if (c->next) c->next->prev = c->prev;
    if (s->unfinished == c) s->unfinished = NULL;
    conn_free(c);
    s->conn_count--;
    if (s->accept_after_ms == 0) pause_accept(s, false);
}

static void accept_conns(struct source *s, const struct socket *listener) {
    struct conn *c;
    int got = 0;
    while (s->conn_count < s->conn_max && (got = listeners_accept(listener, &s->inlet, &c)) > 0) add_conn(s, c);
    if (got < 0) {
        s->accept_after_ms = s->inlet.host->ops->monotonic_ms(s->inlet.host) + ACCEPT_PAUSE_MS;
        cn_log(s->inlet.host, CN_LOG_WARN, "tcp: a connection has to wait: %s", strerror(errno));
    } else if (s->conn_count >= s->conn_max) {
        cn_log(s->inlet.host, CN_LOG_WARN, "tcp: all %u connections are taken; more wait until one ends (tcp.max.connections)", s->conn_max);
    }
    if (got < 0 || s->conn_count >= s->conn_max) pause_accept(s, true);
}

static void read_conn(struct source *s, struct conn *c) {
    int over = conn_read(c, &s->inlet);
    s->unfinished = c->has_frames ? c : NULL;
    if (over) drop_conn(s, c);
}

// One turn of one readable socket. 0, or -1 after cn_host.fail.
static int serve(struct source *s, struct socket *socket) {
    switch (socket->kind) {
    case SOCKET_WAKE: s->woken = true; return 0;
    case SOCKET_DATAGRAM: return datagram_receive((struct datagram *)(void *)socket, s->ring, &s->inlet) < 0 ? -1 : 0;
    case SOCKET_LISTENER: accept_conns(s, socket); return 0;
    case SOCKET_CONNECTION: read_conn(s, (struct conn *)(void *)socket); return 0;
    }
    return 0;
}

// Serves what is readable until the batch is full; waits for the first. 0, or -1 after cn_host.fail.
static int gather(struct source *s, uint32_t timeout_ms) {
    struct inlet *in = &s->inlet;
    s->woken = false;
    if (s->unfinished) read_conn(s, s->unfinished);
    while (!inlet_full(in) && !s->woken) {
        if (s->event_at == s->event_count) {
            s->event_at = 0;
            s->event_count = epoll_wait(s->epoll, s->events, EVENTS, cn_count(in->batch) ? 0 : (int)timeout_ms);
            if (s->event_count < 0) s->event_count = 0;
            if (s->event_count == 0) return 0;
        }
        struct socket *next = s->events[s->event_at++].data.ptr;
        if (next && serve(s, next) != 0) return -1;
    }
    return 0;
}

static void show_count(struct source *s, const char *name, int64_t now, int64_t *shown) {
    if (now != *shown) s->inlet.host->ops->metric(s->inlet.host, name, CN_COUNTER, now - *shown);
    *shown = now;
}

static void warn_drops(struct source *s, int64_t now_ms) {
    if (s->dropped == s->dropped_warned || now_ms < s->warn_after_ms) return;
    cn_log(s->inlet.host, CN_LOG_WARN, "the kernel dropped %lld datagrams, %lld since the socket was made: the receive buffer was full (udp.receive.buffer)",
           (long long)(s->dropped - s->dropped_warned), (long long)s->dropped);
    s->dropped_warned = s->dropped;
    s->warn_after_ms = now_ms + WARN_EVERY_MS;
}

// Tells the host what happened, once a second.
static void show(struct source *s) {
    struct cn_host *h = s->inlet.host;
    int64_t now_ms = h->ops->monotonic_ms(h);
    const struct record_counts *c = &s->inlet.recorder.counts;
    if (now_ms < s->show_after_ms) return;
    s->show_after_ms = now_ms + SHOW_EVERY_MS;
    s->dropped = listeners_dropped(&s->listeners);
    show_count(s, "received-messages", c->records, &s->shown.records);
    show_count(s, "received-bytes", c->bytes, &s->shown.bytes);
    show_count(s, "parse-errors", c->faults, &s->shown.faults);
    show_count(s, "truncated-messages", c->truncated, &s->shown.truncated);
    show_count(s, "incomplete-messages", c->incomplete, &s->shown.incomplete);
    h->ops->metric(h, "refused-senders", CN_GAUGE, s->inlet.access.refused);
    h->ops->metric(h, "dropped-datagrams", CN_GAUGE, s->dropped);
    h->ops->metric(h, "connections", CN_GAUGE, s->conn_count);
    warn_drops(s, now_ms);
    if (s->accept_after_ms && now_ms >= s->accept_after_ms) {
        s->accept_after_ms = 0;
        pause_accept(s, s->conn_count >= s->conn_max);
    }
}

// What connections have given so far is read bytes, acknowledged to their senders: it goes into the last batch.
static void drain(struct source *s) {
    pause_accept(s, true);
    for (struct conn *c = s->conns, *next; c && !inlet_full(&s->inlet); c = next) {
        next = c->next;
        conn_drain(c, &s->inlet);
        if (!c->held_n) drop_conn(s, c);
    }
}

int source_poll(void *task, struct cn_batch *batch, uint32_t timeout_ms) {
    struct source *s = task;
    struct cn_host *h = s->inlet.host;
    s->inlet.batch = batch;
    recorder_begin(&s->inlet.recorder, batch);
    if (h->ops->stopping(h)) drain(s);
    else if (gather(s, timeout_ms) != 0) return CN_POLL_FAILED;
    if (batch->failed) {
        cn_failf(h, CN_FAIL_BUG, "lower max.message.bytes", "a batch of %u bytes could not grow further", batch->cap);
        return CN_POLL_FAILED;
    }
    show(s);
    return cn_count(batch) ? CN_POLL_OK : CN_POLL_IDLE;
}

int source_tick(void *task) {
    show(task);
    return 0;
}

void source_close(void *task) {
    struct source *s = task;
    s->event_at = s->event_count = 0;
    while (s->conns) drop_conn(s, s->conns);
    if (s->epoll >= 0) close(s->epoll);
    datagram_ring_free(s->ring);
    access_done(&s->inlet.access);
    recorder_done(&s->inlet.recorder);
    free(s->inlet.buffer);
    free(s);
}

static int watch_all(struct source *s) {
    s->wake = (struct socket){SOCKET_WAKE, s->inlet.host->ops->wake_fd(s->inlet.host)};
    if (watch(s, &s->wake, EPOLL_CTL_ADD, EPOLLIN) != 0) return -1;
    for (uint32_t i = 0; i < s->listeners.datagram_count; i++)
        if (watch(s, &s->listeners.datagrams[i].socket, EPOLL_CTL_ADD, EPOLLIN) != 0) return -1;
    for (uint32_t i = 0; i < s->listeners.tcp_count; i++)
        if (watch(s, &s->listeners.tcp[i], EPOLL_CTL_ADD, EPOLLIN) != 0) return -1;
    s->dropped_warned = s->dropped = listeners_dropped(&s->listeners); // the start's own line has told of them
    return 0;
}

static int source_start(struct source *s, const struct options *o) {
    struct inlet *in = &s->inlet;
    struct record_options r = {.topic = o->topic, .format = (enum record_format)o->format, .key = (enum record_key)o->key, .always_raw = o->keep_raw};
    if (zone_parse(&r.zone, o->timezone) != 0)
        return cn_failf(in->host, CN_FAIL_CONFIG, "write local, UTC, or an offset as +02:00", "timezone: %s is none", o->timezone);
    in->max_message = (uint32_t)o->max_message;
    in->batch_bytes = BATCH_BYTES;
    in->buffer_cap = conn_buffer_size(in->max_message);
    in->buffer = malloc(in->buffer_cap);
    s->ring = datagram_ring_new(in->max_message);
    s->epoll = epoll_create1(EPOLL_CLOEXEC);
    s->conn_max = (uint32_t)o->tcp_max_connections;
    if (!in->buffer || !s->ring || s->epoll < 0 || recorder_init(&in->recorder, &r) != 0)
        return cn_failf(in->host, CN_FAIL_TRANSIENT, NULL, "start the source: %s", strerror(errno));
    if (access_init(&in->access, in->host, &o->networks) != 0) return -1;
    return listeners_open(&s->listeners, in->host, o) != 0 || watch_all(s) != 0 ? -1 : 0;
}

int source_open(struct cn_host *h, const struct options *o, void **ret_task) {
    struct source *s = calloc(1, sizeof *s);
    if (!s) return cn_failf(h, CN_FAIL_TRANSIENT, NULL, "out of memory");
    s->inlet.host = h;
    s->epoll = -1;
    if (source_start(s, o) != 0) {
        source_close(s);
        return -1;
    }
    *ret_task = s;
    return 0;
}
