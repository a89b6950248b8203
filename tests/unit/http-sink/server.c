// SPDX-License-Identifier: Apache-2.0
#include "server.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/thread.h"

enum { BODIES = 4096, CONNECTIONS = 256, HEAD = 8192 };

struct server {
    int fd, stop[2];
    unsigned port;
    const char *const *script;
    pthread_mutex_t mutex;
    pthread_t accepter, threads[CONNECTIONS];
    size_t thread_count, requests, accepted;
    bool script_over;
    char *bodies[BODIES], head[HEAD];
};
struct connection { struct server *server; int fd; };

// Waits for fd to be readable; false when the server stops first.
static bool readable(struct server *s, int fd) {
    struct pollfd p[2] = {{fd, POLLIN, 0}, {s->stop[0], POLLIN, 0}};
    return poll(p, 2, -1) > 0 && !p[1].revents;
}

// Reads one request: head into `head`, body on the heap. NULL at the end.
static char *read_request(struct connection *c, char *head) {
    size_t n = 0, length = 0;
    char *end = NULL;
    while (!end) {
        if (n == HEAD - 1 || !readable(c->server, c->fd)) return NULL;
        ssize_t got = read(c->fd, head + n, HEAD - 1 - n);
        if (got <= 0) return NULL;
        head[n += (size_t)got] = 0;
        end = strstr(head, "\r\n\r\n");
    }
    const char *field = strcasestr(head, "\r\nContent-Length:");
    if (field && field < end) length = strtoul(field + 17, NULL, 10);
    char *body = xcalloc(1, length + 1);
    size_t have = n - (size_t)(end + 4 - head);
    memcpy(body, end + 4, have);
    end[2] = 0;
    while (have < length) {
        ssize_t got = readable(c->server, c->fd) ? read(c->fd, body + have, length - have) : 0;
        if (got <= 0) return free(body), NULL;
        have += (size_t)got;
    }
    return body;
}

static const char *next_line(struct server *s, const char *head) {
    LOCK_SCOPE(&s->mutex);
    s->requests++;
    snprintf(s->head, sizeof(s->head), "%s", head);
    if (s->script_over || !s->script || !*s->script) return s->script_over = true, "200";
    return *s->script++;
}

static void keep(struct server *s, char *body) {
    LOCK_SCOPE(&s->mutex);
    if (s->accepted < BODIES) s->bodies[s->accepted++] = body;
}

// Answers one request; false when the connection is over.
static bool answer(struct connection *c, const char *line, char *body) {
    char out[512];
    bool ok = *line == '2';
    if (ok) keep(c->server, body);
    else free(body);
    if (strcmp(line, "close") == 0) return false;
    if (strcmp(line, "hang") == 0) {
        char byte;
        if (readable(c->server, c->fd)) (void)!read(c->fd, &byte, 1);
        return false;
    }
    if (strcmp(line, "half") == 0) {
        (void)!write(c->fd, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n123", 41);
        return false;
    }
    const char *extra = strchr(line, ' ');
    int n = snprintf(out, sizeof(out), "HTTP/1.1 %.3s X\r\n%s%sContent-Length: 0\r\n\r\n", line, extra ? extra + 1 : "", extra ? "\r\n" : "");
    return write(c->fd, out, (size_t)n) == n;
}

static void *serve(void *arg) {
    struct connection *c = arg;
    char head[HEAD], *body;
    while ((body = read_request(c, head)) != NULL)
        if (!answer(c, next_line(c->server, head), body)) break;
    close(c->fd);
    free(c);
    return NULL;
}

static void *accept_all(void *arg) {
    struct server *s = arg;
    while (readable(s, s->fd)) {
        struct connection *c = xmalloc(sizeof(*c));
        *c = (struct connection){s, accept(s->fd, NULL, NULL)};
        if (c->fd < 0 || s->thread_count == CONNECTIONS) abort();
        if (pthread_create(&s->threads[s->thread_count], NULL, serve, c)) abort();
        s->thread_count++;
    }
    return NULL;
}

struct server *server_start(const char *const *script) {
    struct server *s = xcalloc(1, sizeof(*s));
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(a);
    s->script = script;
    s->fd = socket(AF_INET, SOCK_STREAM, 0);
    pthread_mutex_init(&s->mutex, NULL);
    if (bind(s->fd, (struct sockaddr *)&a, sizeof(a)) || listen(s->fd, 64) || getsockname(s->fd, (struct sockaddr *)&a, &n) || pipe(s->stop)) abort();
    s->port = ntohs(a.sin_port);
    if (pthread_create(&s->accepter, NULL, accept_all, s)) abort();
    return s;
}

unsigned server_port(struct server *s) { return s->port; }
size_t server_requests(struct server *s) { LOCK_SCOPE(&s->mutex); return s->requests; }
size_t server_accepted(struct server *s) { LOCK_SCOPE(&s->mutex); return s->accepted; }
const char *server_body(struct server *s, size_t i) { LOCK_SCOPE(&s->mutex); return i < s->accepted ? s->bodies[i] : ""; }
const char *server_head(struct server *s) { return s->head; }

void server_stop(struct server *s) {
    close(s->stop[1]);
    pthread_join(s->accepter, NULL);
    for (size_t i = 0; i < s->thread_count; i++) pthread_join(s->threads[i], NULL);
    for (size_t i = 0; i < s->accepted; i++) free(s->bodies[i]);
    close(s->fd);
    close(s->stop[0]);
    pthread_mutex_destroy(&s->mutex);
    free(s);
}
