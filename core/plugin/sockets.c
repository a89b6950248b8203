// SPDX-License-Identifier: Apache-2.0
#include "plugin/sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/thread.h"
#include "listen_bind.h"

enum { MOST_SOCKETS = 16 };

// One name's sockets: systemd's (address NULL), or bound for one connector.
struct entry {
    char *name;
    char *connector; // who has them; NULL: systemd's, not asked for yet
    char *address;
    int fds[MOST_SOCKETS];
    size_t n;
    uint32_t wanted; // as asked for: Unix sockets are one whatever that is
};
struct sockets {
    pthread_mutex_t lock; // guards the list
    struct entry **list;
    size_t n, cap;
};

static struct entry *add(struct sockets *s, const char *name, const char *connector, const char *address) {
    struct entry *e = xcalloc(1, sizeof *e);
    e->name = xstrdup(name);
    e->connector = connector ? xstrdup(connector) : NULL;
    e->address = address ? xstrdup(address) : NULL;
    VEC_PUSH(s->list, s->n, s->cap, e);
    return e;
}
static void entry_free(struct entry *e) {
    for (size_t i = 0; i < e->n; i++) close(e->fds[i]);
    free(e->name), free(e->connector), free(e->address);
    free(e);
}
static struct entry *from_systemd(struct sockets *s, const char *name) {
    for (size_t i = 0; i < s->n; i++)
        if (!s->list[i]->address && strcmp(s->list[i]->name, name) == 0) return s->list[i];
    return NULL;
}

void sockets_give(struct sockets *s, const char *name, const int *fds, size_t n) {
    LOCK_SCOPE(&s->lock);
    struct entry *e = from_systemd(s, name);
    if (!e) e = add(s, name, NULL, NULL);
    for (size_t i = 0; i < n; i++) {
        if (e->n == MOST_SOCKETS) {
            close(fds[i]);
            continue;
        }
        e->fds[e->n++] = fds[i];
        (void)fcntl(fds[i], F_SETFL, fcntl(fds[i], F_GETFL) | O_NONBLOCK);
    }
}

struct sockets *sockets_new(void) {
    struct sockets *s = xcalloc(1, sizeof *s);
    char **names = NULL;
    pthread_mutex_init(&s->lock, NULL);
    int n = sd_listen_fds_with_names(1, &names);
    for (int i = 0; i < n; i++) {
        int fd = SD_LISTEN_FDS_START + i;
        if (sd_is_socket(fd, AF_UNSPEC, 0, -1) > 0) sockets_give(s, names[i], &fd, 1);
        free(names[i]);
    }
    free(names);
    return s;
}
void sockets_free(struct sockets *s) {
    if (!s) return;
    for (size_t i = 0; i < s->n; i++) entry_free(s->list[i]);
    free(s->list);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

static struct entry *bound_for(struct sockets *s, const char *connector, const char *name) {
    for (size_t i = 0; i < s->n; i++) {
        struct entry *e = s->list[i];
        if (e->address && strcmp(e->connector, connector) == 0 && strcmp(e->name, name) == 0) return e;
    }
    return NULL;
}
static void drop(struct sockets *s, struct entry *e) {
    for (size_t i = 0; i < s->n; i++) {
        if (s->list[i] != e) continue;
        s->list[i] = s->list[--s->n];
        entry_free(e);
        return;
    }
}

static int take_systemd(struct entry *e, const char *connector, const struct cn_listen *l, struct err *err) {
    if (e->connector && strcmp(e->connector, connector) != 0)
        return err_set(err, ERR_BUSY, "socket %s from systemd is already used by connector %s", e->name, e->connector);
    if (!e->connector) e->connector = xstrdup(connector);
    for (size_t i = 0; i < e->n; i++) {
        bool datagram = l->kind == CN_LISTEN_UDP || l->kind == CN_LISTEN_UNIX_DGRAM;
        bool local = l->kind == CN_LISTEN_UNIX_DGRAM || l->kind == CN_LISTEN_UNIX_STREAM;
        if (sd_is_socket(e->fds[i], AF_UNSPEC, datagram ? SOCK_DGRAM : SOCK_STREAM, -1) <= 0 || (sd_is_socket(e->fds[i], AF_UNIX, 0, -1) > 0) != local) {
            err_set(err, ERR_INVALID, "socket %s from systemd is of another kind than the connector listens with", e->name);
            return err_hint(err, "compare ListenDatagram= and ListenStream= in the socket unit with the connector's options");
        }
        if (l->receive_buffer > 0) listen_receive_buffer(e->fds[i], l->receive_buffer);
    }
    return 0;
}

static struct entry *bind_for(struct sockets *s, const char *connector, const struct cn_listen *l, struct err *err) {
    int fds[MOST_SOCKETS];
    char why[400];
    int n = listen_bind(l, fds, MOST_SOCKETS, why, sizeof why);
    if (n < 0) {
        int sys = errno;
        err_set(err, sys == EADDRINUSE ? ERR_BUSY : sys == EACCES || sys == EPERM ? ERR_DENIED : ERR_INVALID, "%s", why);
        err->sys = sys;
        if (sys == EADDRINUSE) err_hint(err, "another program has this port: `ss -lnp` shows which; choose another address");
        if (sys == EACCES || sys == EPERM) err_hint(err, "ports below 1024 need the socket unit connectd-syslog.socket or AmbientCapabilities=CAP_NET_BIND_SERVICE");
        return NULL;
    }
    struct entry *e = add(s, l->name, connector, l->address);
    memcpy(e->fds, fds, (size_t)n * sizeof *fds);
    e->n = (size_t)n;
    e->wanted = l->count;
    return e;
}

int sockets_listen(struct sockets *s, const char *connector, const struct cn_listen *l, int *fds, uint32_t max, struct err *err) {
    LOCK_SCOPE(&s->lock);
    struct entry *e = from_systemd(s, l->name);
    if (e && take_systemd(e, connector, l, err) != 0) return -1;
    if (!e) {
        e = bound_for(s, connector, l->name);
        if (e && (strcmp(e->address, l->address) != 0 || e->wanted != l->count)) {
            drop(s, e);
            e = NULL;
        }
        if (!e && !(e = bind_for(s, connector, l, err))) return -1;
    }
    size_t n = e->n < max ? e->n : max;
    memcpy(fds, e->fds, n * sizeof *fds);
    return (int)n;
}

void sockets_release(struct sockets *s, const char *connector) {
    LOCK_SCOPE(&s->lock);
    for (size_t i = s->n; i-- > 0;) {
        struct entry *e = s->list[i];
        if (!e->connector || strcmp(e->connector, connector) != 0) continue;
        if (e->address) {
            drop(s, e);
            continue;
        }
        free(e->connector);
        e->connector = NULL;
    }
}

void sockets_json(struct sockets *s, struct json_writer *w) {
    LOCK_SCOPE(&s->lock);
    json_array(w);
    for (size_t i = 0; i < s->n; i++) {
        const struct entry *e = s->list[i];
        json_object(w);
        json_kz(w, "name", e->name);
        json_kz(w, "connector", e->connector);
        json_kz(w, "address", e->address);
        json_kz(w, "from", e->address ? "bound" : "systemd");
        json_ki(w, "sockets", (int64_t)e->n);
        json_object_end(w);
    }
    json_array_end(w);
}
