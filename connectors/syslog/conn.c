// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conn.h"

struct conn *conn_new(int fd, const struct sockaddr *from, uint32_t max_message) {
    struct conn *c = calloc(1, sizeof *c);
    int on = 1;
    if (!c) {
        close(fd);
        return NULL;
    }
    c->socket = (struct socket){SOCKET_CONNECTION, fd};
    c->framing.max = max_message;
    peer_set(&c->peer, TRANSPORT_TCP, from);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on); // a peer that vanished shall not keep its place for ever
    return c;
}

void conn_free(struct conn *c) {
    close(c->socket.fd);
    free(c->held);
    free(c);
}

// Keeps p[0..n) for the next read. Bounded: at most a frame, or the rest of a chunk that did not fit the batch.
static void hold(struct conn *c, const char *p, size_t n) {
    if (n > c->held_cap || (n == 0 && c->held_cap)) {
        free(c->held);
        c->held_cap = n ? (n + 511) & ~(size_t)511 : 0;
        c->held = n ? malloc(c->held_cap) : NULL;
        if (n && !c->held) abort();
    }
    if (n) memcpy(c->held, p, n);
    c->held_n = n;
}

// The frames of buffer[0..n); what remains is held.
static void take_frames(struct conn *c, struct inlet *in, size_t n, bool eof) {
    int64_t now_us = in->host->ops->now_us(in->host);
    size_t at = 0, used;
    struct frame f;
    c->has_frames = false;
    while (!inlet_full(in)) {
        int got = framing_next(&c->framing, in->buffer + at, n - at, eof, &f, &used);
        at += used;
        if (!got) {
            hold(c, in->buffer + at, n - at);
            return;
        }
        if (f.n) recorder_add(&in->recorder, in->batch, &c->peer, &f, now_us);
    }
    hold(c, in->buffer + at, n - at);
    c->has_frames = at < n;
}

int conn_read(struct conn *c, struct inlet *in) {
    size_t n = c->held_n;
    if (n) memcpy(in->buffer, c->held, n);
    if (!c->has_frames && !c->ended) {
        ssize_t got = recv(c->socket.fd, in->buffer + n, CONN_CHUNK, 0);
        if (got < 0 && (errno == EAGAIN || errno == EINTR)) return 0;
        if (got > 0) n += (size_t)got;
        else c->ended = true; // a reset ends the stream as a close does: what came before it is kept
    }
    take_frames(c, in, n, c->ended);
    return c->ended && !c->has_frames;
}

void conn_drain(struct conn *c, struct inlet *in) {
    size_t n = c->held_n;
    if (n) memcpy(in->buffer, c->held, n);
    if (n) take_frames(c, in, n, true);
}
