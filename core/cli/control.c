// SPDX-License-Identifier: Apache-2.0
#include "cli/control.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <libgen.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/thread.h"

enum { CLIENTS_MAX = 32, REQUEST_MAX = 1 << 20, OUT_BYTES = 64 * 1024, REQUEST_SECONDS = 10 };

struct control_call {
    struct control *control;
    int fd;
    struct ucred peer;
    struct doc doc;
    struct buf in; // received; [taken, n) is not used yet
    size_t taken;
    struct buf out;
    bool gone;
};

struct control {
    struct control_options o;
    char *path;
    int fd, wake;
    pthread_t thread;
    atomic_bool stopping;
    pthread_mutex_t lock; // guards clients
    pthread_cond_t idle;  // a client left
    struct control_call *clients[CLIENTS_MAX];
    size_t client_count;
};

// ── addresses ──

// A socket address is 108 bytes; a longer path goes through the descriptor of its folder.
static int address_of(const char *path, struct sockaddr_un *ret, int *ret_dir, struct err *err) {
    *ret = (struct sockaddr_un){.sun_family = AF_UNIX};
    *ret_dir = -1;
    if (strlen(path) < sizeof(ret->sun_path)) {
        memcpy(ret->sun_path, path, strlen(path) + 1);
        return 0;
    }
    _cleanup_free_ char *a = xstrdup(path), *b = xstrdup(path);
    *ret_dir = open(dirname(a), O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (*ret_dir < 0) return err_sys(err, errno, "control socket %s", path);
    if ((size_t)snprintf(ret->sun_path, sizeof(ret->sun_path), "/proc/self/fd/%d/%s", *ret_dir, basename(b)) < sizeof(ret->sun_path)) return 0;
    close(*ret_dir);
    return err_set(err, ERR_INVALID, "control socket %s: the name is too long", path);
}

static int connect_to(const char *path, struct err *err) {
    struct sockaddr_un at;
    int dir;
    if (address_of(path, &at, &dir, err) != 0) return -1;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int rc = fd < 0 ? -1 : connect(fd, (struct sockaddr *)&at, sizeof(at)), sys = errno;
    if (dir >= 0) close(dir);
    if (rc == 0) return fd;
    if (fd >= 0) close(fd);
    if (sys == ENOENT || sys == ECONNREFUSED || sys == ENOTDIR) return err_set(err, ERR_NOT_FOUND, "no daemon listens on %s", path);
    return err_sys(err, sys, "control socket %s", path);
}

int control_connect(const char *path, int *ret_fd, struct err *err) {
    int fd = connect_to(path, err);
    if (fd < 0) return -1;
    *ret_fd = fd;
    return 0;
}

// ── a client's call ──

const struct doc_node *call_request(const struct control_call *call) { return call->doc.root; }
const char *call_command(const struct control_call *call) { return doc_text(call->doc.root, "command", ""); }
uid_t call_uid(const struct control_call *call) { return call->peer.uid; }
pid_t call_pid(const struct control_call *call) { return call->peer.pid; }

int call_flush(struct control_call *call) {
    for (size_t at = 0; at < call->out.n && !call->gone;) {
        ssize_t n = send(call->fd, call->out.p + at, call->out.n - at, MSG_NOSIGNAL);
        if (n > 0) at += (size_t)n;
        else if (errno != EINTR) call->gone = true;
    }
    buf_clear(&call->out);
    return call->gone ? -1 : 0;
}

int call_line(struct control_call *call, struct str json) {
    buf_puts(&call->out, json);
    buf_u8(&call->out, '\n');
    return call->out.n >= OUT_BYTES ? call_flush(call) : call->gone ? -1 : 0;
}

bool call_gone(struct control_call *call) {
    struct pollfd p = {.fd = call->fd, .events = POLLRDHUP};
    if (atomic_load(&call->control->stopping)) return true;
    if (poll(&p, 1, 0) > 0 && p.revents & (POLLHUP | POLLERR | POLLRDHUP)) call->gone = true;
    return call->gone;
}

static int receive(struct control_call *call, struct err *err) {
    for (;;) {
        if (!buf_reserve(&call->in, 16384)) return err_set(err, ERR_TOO_LARGE, "the line is too long");
        ssize_t n = recv(call->fd, call->in.p + call->in.n, call->in.cap - call->in.n, 0);
        if (n > 0) call->in.n += (size_t)n;
        if (n >= 0) return n > 0;
        if (errno == EINTR) continue;
        return errno == EAGAIN ? err_set(err, ERR_TIMEOUT, "no request came within %d s", REQUEST_SECONDS) : err_sys(err, errno, "control socket");
    }
}

int call_read(struct control_call *call, size_t max, struct str *ret, struct err *err) {
    size_t looked = call->taken;
    for (;;) {
        struct str in = buf_str(&call->in);
        size_t end = str_find(in, '\n', looked);
        if (end - call->taken > max) return err_set(err, ERR_TOO_LARGE, "a line is longer than %zu bytes", max);
        if (end < in.n) {
            *ret = str_make(in.p + call->taken, end - call->taken);
            call->taken = end + 1;
            return 1;
        }
        // What was taken makes room for what comes.
        if (call->taken) memmove(call->in.p, call->in.p + call->taken, in.n - call->taken);
        call->in.n -= call->taken;
        call->taken = 0;
        looked = call->in.n;
        int rc = receive(call, err);
        if (rc < 0) return -1;
        if (rc > 0) continue;
        if (!call->in.n) return 0;
        *ret = buf_str(&call->in); // a last line without its end
        call->taken = call->in.n;
        return 1;
    }
}

bool call_would_wait(struct control_call *call) {
    struct pollfd p = {.fd = call->fd, .events = POLLIN};
    struct str in = buf_str(&call->in);
    return str_find(in, '\n', call->taken) == in.n && poll(&p, 1, 0) == 0;
}

static void answer_end(struct control_call *call, int code, const struct err *err) {
    struct buf line = {0};
    struct json_writer w = json_to(&line);
    json_object(&w);
    json_kb(&w, "done", true);
    json_ki(&w, "exit", code < 0 ? 1 : code);
    if (code < 0) {
        json_kz(&w, "error", err->msg);
        if (err->hint[0]) json_kz(&w, "hint", err->hint);
    }
    json_object_end(&w);
    if (call_line(call, buf_str(&line)) == 0 && call_flush(call) != 0) call->gone = true;
    buf_done(&line);
}

static void set_timeout(int fd, int seconds) {
    struct timeval t = {.tv_sec = seconds};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t));
}

static int serve(struct control_call *call, struct err *err) {
    struct str line;
    set_timeout(call->fd, REQUEST_SECONDS);
    int rc = call_read(call, REQUEST_MAX, &line, err);
    if (rc <= 0) return rc;
    set_timeout(call->fd, 0);
    if (doc_parse(&call->doc, line, err) != 0) return err_wrap(err, "request");
    rc = call->control->o.handle(call->control->o.arg, call, err);
    doc_done(&call->doc);
    return rc;
}

static void client_leave(struct control *c, struct control_call *call) {
    LOCK_SCOPE(&c->lock);
    for (size_t i = 0; i < CLIENTS_MAX; i++)
        if (c->clients[i] == call) c->clients[i] = NULL;
    c->client_count--;
    pthread_cond_broadcast(&c->idle);
}

static void *client_run(void *arg) {
    struct control_call *call = arg;
    struct control *c = call->control;
    struct err err = {0};
    int rc = serve(call, &err);
    answer_end(call, rc, &err);
    client_leave(c, call); // nobody shuts the descriptor down any more
    close(call->fd);
    buf_done(&call->in);
    buf_done(&call->out);
    free(call);
    return NULL;
}

// ── accepting ──

static bool client_enter(struct control *c, struct control_call *call) {
    LOCK_SCOPE(&c->lock);
    for (size_t i = 0; i < CLIENTS_MAX && !atomic_load(&c->stopping); i++) {
        if (c->clients[i]) continue;
        c->clients[i] = call;
        c->client_count++;
        return true;
    }
    return false;
}

static void client_start(struct control *c, int fd) {
    struct control_call *call = xcalloc(1, sizeof(*call));
    struct err err = {0};
    pthread_t thread;
    *call = (struct control_call){.control = c, .fd = fd};
    socklen_t n = sizeof(call->peer);
    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &call->peer, &n);
    bool entered = client_enter(c, call);
    if (entered && thread_start(&thread, "control", client_run, call, &err) == 0) {
        pthread_detach(thread);
        return;
    }
    if (!entered) err_set(&err, ERR_BUSY, "%d clients are connected already", CLIENTS_MAX);
    if (entered) client_leave(c, call);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    answer_end(call, -1, &err);
    close(fd);
    buf_done(&call->out);
    free(call);
}

static void *accept_run(void *arg) {
    struct control *c = arg;
    struct pollfd p[] = {{.fd = c->fd, .events = POLLIN}, {.fd = c->wake, .events = POLLIN}};
    while (!atomic_load(&c->stopping)) {
        if (poll(p, 2, -1) < 0 || !(p[0].revents & POLLIN)) continue;
        int fd = accept4(c->fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0) client_start(c, fd);
        else if (errno == EMFILE || errno == ENFILE) usleep(100000);
    }
    return NULL;
}

// ── opening and closing ──

static void give_to_group(const char *path, const char *group) {
    struct group entry, *found = NULL;
    char room[4096];
    if (!group || getgrnam_r(group, &entry, room, sizeof(room), &found) != 0 || !found) return;
    // Without the right to (not a member), the socket stays the owner's alone.
    if (chown(path, (uid_t)-1, found->gr_gid) != 0) return;
}

// The umask is the process's, so this runs before other threads make files.
static int bind_socket(struct control *c, const struct sockaddr_un *at, struct err *err) {
    c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (c->fd < 0) return err_sys(err, errno, "control socket");
    mode_t old = umask(0117);
    int rc = bind(c->fd, (const struct sockaddr *)at, sizeof(*at)), sys = errno;
    umask(old);
    if (rc != 0) return err_sys(err, sys, "control socket %s", c->path);
    give_to_group(c->path, c->o.group);
    return listen(c->fd, 16) == 0 ? 0 : err_sys(err, errno, "control socket %s", c->path);
}

static int take_path(struct control *c, struct err *err) {
    struct sockaddr_un at;
    struct err ignored;
    struct stat st;
    int dir, other = connect_to(c->path, &ignored);
    if (other >= 0) {
        close(other);
        return err_set(err, ERR_BUSY, "control socket %s: another daemon serves it", c->path);
    }
    if (lstat(c->path, &st) == 0 && !S_ISSOCK(st.st_mode) && !S_ISLNK(st.st_mode))
        return err_set(err, ERR_EXISTS, "control socket %s: there is a file of that name", c->path);
    unlink(c->path);
    if (address_of(c->path, &at, &dir, err) != 0) return -1;
    int rc = bind_socket(c, &at, err);
    if (dir >= 0) close(dir);
    return rc;
}

int control_open(const struct control_options *o, struct control **ret, struct err *err) {
    struct control *c = xcalloc(1, sizeof(*c));
    *c = (struct control){.o = *o, .path = xstrdup(o->path), .fd = -1, .wake = -1};
    pthread_mutex_init(&c->lock, NULL);
    cond_init_mono(&c->idle);
    int rc = take_path(c, err);
    if (rc == 0) rc = (c->wake = wake_open(err)) < 0 ? -1 : 0;
    if (rc == 0) rc = thread_start(&c->thread, "control", accept_run, c, err);
    if (rc == 0) return *ret = c, 0;
    if (c->fd >= 0) close(c->fd);
    if (c->wake >= 0) close(c->wake);
    free(c->path);
    free(c);
    return -1;
}

void control_close(struct control *c) {
    if (!c) return;
    atomic_store(&c->stopping, true);
    wake_signal(c->wake);
    pthread_join(c->thread, NULL);
    pthread_mutex_lock(&c->lock);
    for (size_t i = 0; i < CLIENTS_MAX; i++)
        if (c->clients[i]) shutdown(c->clients[i]->fd, SHUT_RDWR);
    while (c->client_count) pthread_cond_wait(&c->idle, &c->lock);
    pthread_mutex_unlock(&c->lock);
    close(c->fd);
    close(c->wake);
    unlink(c->path);
    pthread_cond_destroy(&c->idle);
    pthread_mutex_destroy(&c->lock);
    free(c->path);
    free(c);
}
